//! The borrowed reader of logs against its oracle: prost, with opentelemetry-proto's types.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::mangle::mangle_logs;
use common::{arbitrary, corpus, observed_logs as observed};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use proptest::prelude::*;
use prost::Message;

fn decode(body: &[u8]) -> ExportLogsServiceRequest {
    ExportLogsServiceRequest::decode(body).unwrap()
}

proptest! {
    /// Any request is read as prost reads it.
    #[test]
    fn reads_what_prost_reads(request in arbitrary::logs()) {
        prop_assert_eq!(observed::read(&request.encode_to_vec()).unwrap(), observed::visible(request));
    }

    /// The same in any other legal encoding: see [`common::mangle`].
    #[test]
    fn reads_every_legal_encoding(request in arbitrary::logs(), seed in any::<u64>()) {
        let body = mangle_logs(&request.encode_to_vec(), seed);
        prop_assert_eq!(&decode(&body), &request, "the test itself is wrong");
        prop_assert_eq!(observed::read(&body).unwrap(), observed::visible(request));
    }

    /// Bytes that are no request at all are refused or read as prost does.
    #[test]
    fn any_bytes_are_an_error_or_a_request(body in prop::collection::vec(any::<u8>(), 0..200)) {
        observed::compare(&body, "bytes");
    }

    /// A request with some bytes overwritten, or cut off, is refused or read as prost does.
    #[test]
    fn damage_is_an_error_or_a_request(
        request in arbitrary::logs(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut body = request.encode_to_vec();
        for (at, byte) in damage {
            if !body.is_empty() {
                let at = at.index(body.len());
                body[at] = byte;
            }
        }
        if let Some(cut) = cut.filter(|_| !body.is_empty()) {
            body.truncate(cut.index(body.len()));
        }
        observed::compare(&body, "damaged");
    }
}

/// Every real payload of every client is read as prost reads it.
#[test]
fn reads_the_corpus() {
    for (name, body) in corpus::payloads("logs") {
        let request = decode(&body);
        assert!(!request.resource_logs.is_empty(), "{name}");
        assert_eq!(observed::read(&body).unwrap(), observed::visible(request), "{name}");
    }
}

/// An error says where: the byte, and the fields around it.
#[test]
fn an_error_has_its_place() {
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
    let record = LogRecord { time_unix_nano: 1, event_name: "judged".into(), ..LogRecord::default() };
    let scope_logs = ScopeLogs { log_records: vec![record], ..ScopeLogs::default() };
    let resource_logs = ResourceLogs { scope_logs: vec![scope_logs], ..ResourceLogs::default() };
    let mut body = ExportLogsServiceRequest { resource_logs: vec![resource_logs] }.encode_to_vec();
    let name = body.windows(6).position(|bytes| bytes == b"judged").unwrap();
    body[name - 1] = 100;

    let error = observed::read(&body).unwrap_err();
    let place = "resource_logs.scope_logs.log_records.event_name";
    assert_eq!(error.to_string(), format!("truncated message at byte {name} in {place}"));
}
