//! Any bytes as OTLP/JSON: an error with a path, or protobuf that prost reads and that is not much larger.

#![no_main]

use libfuzzer_sys::fuzz_target;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use spanmill_otlp::json::{self, JsonError};

fuzz_target!(|body: &[u8]| {
    check::<ExportTraceServiceRequest>(body, json::traces_to_protobuf);
    check::<ExportMetricsServiceRequest>(body, json::metrics_to_protobuf);
    check::<ExportLogsServiceRequest>(body, json::logs_to_protobuf);
    json::signal_of(body);
});

fn check<M: Message + Default>(body: &[u8], to_protobuf: fn(&[u8]) -> Result<Vec<u8>, JsonError>) {
    match to_protobuf(body) {
        Ok(protobuf) => {
            assert!(protobuf.len() <= 4 * body.len());
            M::decode(protobuf.as_slice()).expect("protobuf from JSON is sound");
        }
        Err(error) => assert!(!error.path.is_empty()),
    }
}
