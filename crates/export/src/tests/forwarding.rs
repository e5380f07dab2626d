//! What applications sent is handed on as it is.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

use super::*;

fn traces(names: &[&str]) -> ExportTraceServiceRequest {
    let spans = names.iter().map(|name| Span { name: (*name).to_owned(), ..Default::default() }).collect();
    let scope_spans = vec![ScopeSpans { spans, ..Default::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..Default::default() }] }
}

// Every signal arrives byte for byte, with fields that nobody here knows, over both protocols; failures are tried again.
#[tokio::test]
async fn bytes_stay_as_they_are() {
    for protocol in PROTOCOLS {
        let server = Server::start(protocol).await;
        server.answer_next([Answer::Busy]);
        let exporter = start(destination(&server.endpoint, protocol), impatient());
        let mut forwarder = exporter.forwarder().unwrap();
        // the test's gRPC server decodes what it gets
        let unknown_field: &[u8] = if protocol == Protocol::Grpc { &[] } else { &[0xfa, 0x3f, 1, 7] };
        let requests = [
            (Signal::Traces, traces(&["a", "b"]).encode_to_vec(), 2),
            (Signal::Metrics, metrics_request(&[1, 2, 3]).encode_to_vec(), 3),
            (Signal::Logs, logs_request(1, 4).encode_to_vec(), 4),
        ];
        let requests = requests.map(|(signal, body, items)| (signal, [&body, unknown_field].concat(), items));
        for (signal, body, items) in &requests {
            let body = bytes::Bytes::from(body.clone());
            assert_eq!(forwarder.deliver(*signal, body, *items, || false).await, Forwarded::Answered);
            assert_eq!(counts(&exporter, *signal).sent, *items, "{signal:?}");
        }
        let received: Vec<_> = server.received().into_iter().map(|request| request.body).collect();
        let [traces, metrics, logs] = requests.map(|(_, body, _)| body);
        assert_eq!(received, [traces.clone(), traces, metrics, logs], "{protocol:?}");
    }
}

// What is larger than the destination takes is split between spans.
#[tokio::test]
async fn large_requests_are_split() {
    let server = Server::start(Protocol::Grpc).await;
    let to = Destination { max_request_size: 30, ..destination(&server.endpoint, Protocol::Grpc) };
    let exporter = start(to, impatient());
    let names = ["one", "two", "three", "four", "five"];
    let body = traces(&names).encode_to_vec().into();
    let forwarded = exporter.forwarder().unwrap().deliver(Signal::Traces, body, 5, || false).await;
    assert_eq!((forwarded, counts(&exporter, Signal::Traces).sent), (Forwarded::Answered, 5));
    let received = server.received();
    assert!(received.len() > 1 && received.iter().all(|request| request.body.len() <= 30));
    let decoded = received.iter().map(|request| ExportTraceServiceRequest::decode(&*request.body).unwrap());
    let spans = decoded.flat_map(|request| request.resource_spans).flat_map(|resource| resource.scope_spans);
    assert!(spans.flat_map(|scope| scope.spans).map(|span| span.name).eq(names));
}

// A span that alone is larger than the destination takes loses the end of its texts, and its batch nothing.
#[tokio::test]
async fn large_spans_are_shortened() {
    let server = Server::start(Protocol::Grpc).await;
    let to = Destination { max_request_size: 500, ..destination(&server.endpoint, Protocol::Grpc) };
    let exporter = start(to, impatient());
    let mut request = traces(&["one", "two", "three"]);
    let value = Some(AnyValue { value: Some(any_value::Value::StringValue("x".repeat(5_000))) });
    let attribute = KeyValue { key: "input.value".to_owned(), value, ..Default::default() };
    request.resource_spans[0].scope_spans[0].spans[1].attributes.push(attribute);
    let body = request.encode_to_vec().into();
    let forwarded = exporter.forwarder().unwrap().deliver(Signal::Traces, body, 3, || false).await;
    assert_eq!((forwarded, counts(&exporter, Signal::Traces).sent), (Forwarded::Answered, 3));
    let received = server.received();
    assert!(received.iter().all(|request| request.body.len() <= 500));
    let decoded = received.iter().map(|request| ExportTraceServiceRequest::decode(&*request.body).unwrap());
    let spans = decoded.flat_map(|request| request.resource_spans).flat_map(|resource| resource.scope_spans);
    let spans: Vec<Span> = spans.flat_map(|scope| scope.spans).collect();
    assert!(spans.iter().map(|span| &*span.name).eq(["one", "two", "three"]));
    let Some(any_value::Value::StringValue(text)) = spans[1].attributes[0].value.clone().unwrap().value else {
        panic!()
    };
    assert!(text.starts_with("xxxx") && text.contains("5000 bytes, xxh3"), "{text}");
}

// A destination that gets derived metrics does not get those of the same names from applications, others untouched.
#[tokio::test]
async fn replaced_metrics_are_left_out() {
    let server = Server::start(Protocol::Grpc).await;
    let to = Destination { replaced_metrics: vec!["requests"], ..destination(&server.endpoint, Protocol::Grpc) };
    let exporter = start(to, impatient());
    let mut forwarder = exporter.forwarder().unwrap();
    let own = metrics_request(&[1, 2]);
    let mut both = own.clone();
    let mut other = own.clone();
    other.resource_metrics[0].scope_metrics[0].metrics[0].name = "cpu".to_owned();
    both.resource_metrics.extend(other.resource_metrics.clone());
    for request in [&own, &both, &other] {
        let body = request.encode_to_vec().into();
        assert_eq!(forwarder.deliver(Signal::Metrics, body, 1, || false).await, Forwarded::Answered);
    }
    let received: Vec<_> = server.received().into_iter().map(|request| request.body).collect();
    assert_eq!(received, [other.encode_to_vec(), other.encode_to_vec()]);
    assert_eq!(counts(&exporter, Signal::Metrics), Counts { sent: 4, replaced: 4, ..Counts::default() });
}

// Whoever forwards may give up on a destination that does not answer, which is counted, and is not held up by it at the end.
#[tokio::test]
async fn waiting_can_be_given_up() {
    let exporter = start(destination(&format!("http://{}", server::unused_address()), Protocol::Grpc), impatient());
    let mut forwarder = exporter.forwarder().unwrap();
    let body = || bytes::Bytes::from(traces(&["a", "b"]).encode_to_vec());
    assert_eq!(forwarder.deliver(Signal::Traces, body(), 2, || true).await, Forwarded::Dropped);
    assert_eq!(counts(&exporter, Signal::Traces), Counts { dropped: 2, retries: 1, ..Counts::default() });
    exporter.begin_shutdown(Duration::from_millis(50));
    let ended = forwarder.deliver(Signal::Traces, body(), 2, || false);
    assert_eq!(tokio::time::timeout(PATIENCE, ended).await.unwrap(), Forwarded::Ended);
}
