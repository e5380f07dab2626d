//! Any bytes as requests: what is redacted reads as before, and is redacted for good.

#![no_main]

use libfuzzer_sys::fuzz_target;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use spanmill_genai::Redactor;

fuzz_target!(|body: &[u8]| {
    let _ = Redactor::Drop.logs(body);
    let dropped = Redactor::Drop.traces(body);
    let hashed = Redactor::hash(b"key").traces(body);
    assert_eq!(dropped.as_ref().map(Option::is_some), hashed.as_ref().map(Option::is_some));
    let (Ok(Some(dropped)), Ok(Some(hashed))) = (dropped, hashed) else { return };
    assert_eq!(Redactor::Drop.traces(&dropped), Ok(None), "nothing is left");
    assert_eq!(Redactor::Drop.traces(&hashed).as_ref(), Ok(&Some(dropped.clone())), "only content differs");
    let reads = |body: &[u8]| ExportTraceServiceRequest::decode(body).is_ok();
    assert_eq!(reads(body), reads(&dropped));
});
