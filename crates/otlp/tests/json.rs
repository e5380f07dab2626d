//! OTLP/JSON against its oracles: opentelemetry-proto writes the JSON, prost reads the protobuf.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{arbitrary, corpus};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use proptest::prelude::*;
use prost::Message;
use spanmill_otlp::json::{JsonError, Signal, logs_to_protobuf, metrics_to_protobuf, signal_of, traces_to_protobuf};

/// The request after protobuf -> JSON -> protobuf.
fn through_json<M>(request: &M, to_protobuf: fn(&[u8]) -> Result<Vec<u8>, JsonError>) -> M
where
    M: Message + Default + serde::Serialize,
{
    let json = serde_json::to_vec(request).unwrap();
    let protobuf = to_protobuf(&json).unwrap_or_else(|error| panic!("{error}"));
    M::decode(protobuf.as_slice()).unwrap()
}

proptest! {
    /// Whatever a trace request holds comes through JSON unchanged.
    #[test]
    fn traces_come_through(request in arbitrary::traces()) {
        prop_assert_eq!(through_json(&request, traces_to_protobuf), request);
    }

    /// Whatever a metrics request holds comes through JSON unchanged.
    #[test]
    fn metrics_come_through(request in arbitrary::metrics()) {
        prop_assert_eq!(through_json(&request, metrics_to_protobuf), request);
    }

    /// Whatever a logs request holds comes through JSON unchanged.
    #[test]
    fn logs_come_through(request in arbitrary::logs()) {
        prop_assert_eq!(through_json(&request, logs_to_protobuf), request);
    }

    /// Damaged JSON is an error with a path, or protobuf that prost reads; never a panic.
    #[test]
    fn damaged_json_is_an_error_or_a_request(request in arbitrary::traces(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut json = serde_json::to_vec(&request).unwrap();
        let at = at.index(json.len());
        json[at] = byte;
        match traces_to_protobuf(&json) {
            Ok(protobuf) => prop_assert!(ExportTraceServiceRequest::decode(protobuf.as_slice()).is_ok()),
            Err(error) => prop_assert!(!error.path.is_empty()),
        }
        prop_assert!(traces_to_protobuf(&json[..at]).is_err() || at == 0);
    }
}

/// Every real payload of every client comes through JSON unchanged, and is known by its first key.
#[test]
fn the_corpus_comes_through() {
    for (name, body) in corpus::payloads("traces") {
        let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
        assert_eq!(through_json(&request, traces_to_protobuf), request, "{name}");
        assert_eq!(signal_of(&serde_json::to_vec(&request).unwrap()), Some(Signal::Traces), "{name}");
    }
    for (name, body) in corpus::payloads("metrics") {
        let request = ExportMetricsServiceRequest::decode(body.as_slice()).unwrap();
        assert_eq!(through_json(&request, metrics_to_protobuf), request, "{name}");
        assert_eq!(signal_of(&serde_json::to_vec(&request).unwrap()), Some(Signal::Metrics), "{name}");
    }
    for (name, body) in corpus::payloads("logs") {
        let request = ExportLogsServiceRequest::decode(body.as_slice()).unwrap();
        assert_eq!(through_json(&request, logs_to_protobuf), request, "{name}");
        assert_eq!(signal_of(&serde_json::to_vec(&request).unwrap()), Some(Signal::Logs), "{name}");
    }
}
