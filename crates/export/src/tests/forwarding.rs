//! What applications sent is handed on as it is.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use twox_hash::XxHash3_128;

use super::*;

fn traces(names: &[&str]) -> ExportTraceServiceRequest {
    let spans = names.iter().map(|name| Span { name: (*name).to_owned(), ..Default::default() }).collect();
    let scope_spans = vec![ScopeSpans { spans, ..Default::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..Default::default() }] }
}

// Every signal arrives byte for byte, with fields that nobody here knows, over both protocols and whatever the compression; failures
// are tried again.
#[tokio::test]
async fn bytes_stay_as_they_are() {
    const UNKNOWN_FIELD: &[u8] = &[0xfa, 0x3f, 1, 7];
    let requests = [
        (Signal::Traces, traces(&["a", "b"]).encode_to_vec(), 2),
        (Signal::Metrics, metrics_request(&[1, 2, 3]).encode_to_vec(), 3),
        (Signal::Logs, logs_request(1, 4).encode_to_vec(), 4),
    ];
    let requests = requests.map(|(signal, body, items)| (signal, [&body, UNKNOWN_FIELD].concat(), items));
    for protocol in PROTOCOLS {
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let server = Server::start(protocol).await;
            server.answer_next([Answer::Busy]);
            let exporter = start(Destination { compression, ..destination(&server.endpoint, protocol) }, impatient());
            let mut forwarder = exporter.forwarder().unwrap();
            for (signal, body, items) in &requests {
                let body = Bytes::from(body.clone());
                assert_eq!(forwarder.deliver(*signal, vec![(body, *items)], || false).await, Forwarded::Answered);
                assert_eq!(counts(&exporter, *signal).sent, *items, "{signal:?}");
            }
            let received: Vec<_> = server.received().into_iter().map(|request| request.body).collect();
            let [traces, metrics, logs] = requests.each_ref().map(|(_, body, _)| body);
            assert_eq!(
                received.iter().collect::<Vec<_>>(),
                [traces, traces, metrics, logs],
                "{protocol:?} {compression:?}"
            );
        }
    }
}

// Requests that are sent as one and take the destination too long are sent in halves, until it answers: none is lost, or sent again
// when it was answered for.
#[tokio::test]
async fn what_takes_too_long_is_sent_in_halves() {
    for protocol in PROTOCOLS {
        let server = Server::start(protocol).await;
        server.answer_next([Answer::Silence, Answer::Silence]);
        let to = Destination { timeout: Duration::from_millis(500), ..destination(&server.endpoint, protocol) };
        let exporter = start(to, impatient());
        let bodies = ["a", "b", "c", "d"].map(|name| traces(&[name]).encode_to_vec());
        let requests = bodies.iter().map(|body| (Bytes::from(body.clone()), 1)).collect();
        let forwarded = exporter.forwarder().unwrap().deliver(Signal::Traces, requests, || false).await;
        assert_eq!((forwarded, counts(&exporter, Signal::Traces).sent), (Forwarded::Answered, 4));
        let received: Vec<_> = server.received().into_iter().map(|request| request.body).collect();
        let [a, b, ..] = bodies.clone();
        assert_eq!(received, [bodies.concat(), bodies[..2].concat(), a, b, bodies[2..].concat()], "{protocol:?}");
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
    let forwarded = exporter.forwarder().unwrap().deliver(Signal::Traces, vec![(body, 5)], || false).await;
    assert_eq!((forwarded, counts(&exporter, Signal::Traces).sent), (Forwarded::Answered, 5));
    let received = server.received();
    assert!(received.len() > 1 && received.iter().all(|request| request.body.len() <= 30));
    let decoded = received.iter().map(|request| ExportTraceServiceRequest::decode(&*request.body).unwrap());
    let spans = decoded.flat_map(|request| request.resource_spans).flat_map(|resource| resource.scope_spans);
    assert!(spans.flat_map(|scope| scope.spans).map(|span| span.name).eq(names));
}

fn text(key: &str, text: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(any_value::Value::StringValue(text.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..Default::default() }
}

// A span, a record or a point that alone is too large for what the destination takes arrives with its texts cut, with the length and the
// hash of the whole, also if they were cut for `max_request_size` before; those beside it arrive as they are, and none is lost.
#[tokio::test]
async fn single_items_that_are_too_large_are_shortened() {
    const MAX: usize = 3_000;
    let long = "x".repeat(200_000);
    let note = format!("… [cut by spanmill: 200000 bytes, xxh3 {:032x}]", XxHash3_128::oneshot(long.as_bytes()));
    let cut = format!("{}{note}", &long[..1024]);

    let traces = |prompt: &str| {
        let mut request = traces(&["a", "b", "c"]);
        let span = &mut request.resource_spans[0].scope_spans[0].spans[1];
        span.attributes = vec![text("gen_ai.request.model", "gpt-4o"), text("gen_ai.input.messages", prompt)];
        request
    };
    let logs = |body: &str| {
        let mut request = logs_request(1, 3);
        request.resource_logs[0].scope_logs[0].log_records[1].body = text("", body).value;
        request
    };
    let metrics = |command: &str| {
        let mut request = metrics_request(&[1]);
        let resource = request.resource_metrics[0].resource.as_mut().unwrap();
        resource.attributes = vec![text("process.command_line", command)];
        request
    };
    for protocol in PROTOCOLS {
        for max_request_size in [4 << 20, 70_000] {
            let server = Server::start_limited(protocol, "127.0.0.1:0".parse().unwrap(), MAX).await;
            let to = Destination { max_request_size, ..destination(&server.endpoint, protocol) };
            let exporter = start(to, impatient());
            let mut forwarder = exporter.forwarder().unwrap();
            for (signal, body, items) in [
                (Signal::Traces, traces(&long).encode_to_vec(), 3),
                (Signal::Logs, logs(&long).encode_to_vec(), 3),
                (Signal::Metrics, metrics(&long).encode_to_vec(), 1),
            ] {
                assert_eq!(forwarder.deliver(signal, vec![(body.into(), items)], || false).await, Forwarded::Answered);
                assert_eq!(counts(&exporter, signal), Counts { sent: items, ..Counts::default() }, "{signal:?}");
            }

            let received = server.received();
            assert!(received.iter().all(|request| request.body.len() <= MAX));
            let of = |signal| received.iter().filter(move |request| request.path.to_lowercase().contains(signal));
            let spans = of("traces").map(|request| ExportTraceServiceRequest::decode(&*request.body).unwrap());
            let spans = spans.flat_map(|request| request.resource_spans).flat_map(|resource| resource.scope_spans);
            let expected = traces(&cut).resource_spans.remove(0).scope_spans.remove(0).spans;
            assert_eq!(spans.flat_map(|scope| scope.spans).collect::<Vec<_>>(), expected, "{protocol:?}");
            let records = of("logs").map(|request| ExportLogsServiceRequest::decode(&*request.body).unwrap());
            let records = records.flat_map(|request| request.resource_logs).flat_map(|resource| resource.scope_logs);
            let expected = logs(&cut).resource_logs.remove(0).scope_logs.remove(0).log_records;
            assert_eq!(records.flat_map(|scope| scope.log_records).collect::<Vec<_>>(), expected, "{protocol:?}");
            let points: Vec<_> = of("metrics").map(|request| request.body.clone()).collect();
            assert_eq!(points, [metrics(&cut).encode_to_vec()], "{protocol:?}");
        }
    }
}

/// A field of a message of up to 16 KiB, its length in two bytes.
fn field(key: u8, content: &[u8]) -> Vec<u8> {
    [&[key, 0x80 | (content.len() & 0x7f) as u8, (content.len() >> 7) as u8][..], content].concat()
}

// A batch that is too large is split though a text in it is not UTF-8 and a value is nested deeper than we would decode: every record
// arrives as it was.
#[tokio::test]
async fn what_nobody_here_decodes_is_split_too() {
    let server = Server::start(Protocol::HttpProtobuf).await;
    let to = Destination { max_request_size: 500, ..destination(&server.endpoint, Protocol::HttpProtobuf) };
    let exporter = start(to, impatient());
    let deep = (0..150).fold(Vec::new(), |inner, _| field(0x2a, &field(0x0a, &inner)));
    let records = [field(0x1a, &[0xff; 300]), field(0x2a, &deep), field(0x1a, &[b'x'; 300])];
    let scope: Vec<u8> = records.iter().flat_map(|record| field(0x12, record)).collect();
    let body: Bytes = field(0x0a, &field(0x12, &scope)).into();
    assert!(ExportLogsServiceRequest::decode(body.clone()).is_err());
    let forwarded = exporter.forwarder().unwrap().deliver(Signal::Logs, vec![(body, 3)], || false).await;
    assert_eq!(forwarded, Forwarded::Answered);
    assert_eq!(counts(&exporter, Signal::Logs), Counts { sent: 3, ..Counts::default() });
    let received = server.received();
    assert!(
        received.len() == 3 && received.iter().zip(&records).all(|(request, record)| request.body.ends_with(record))
    );
}

// A small request that would take a hundred times its size if it were decoded is filtered and split in little more than itself.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn splitting_takes_little_memory() {
    let most = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    };
    const RECORDS: u64 = 1_000_000;
    let large_field = |key: u8, content: Vec<u8>| {
        let mut field = vec![key];
        prost::encoding::encode_varint(content.len() as u64, &mut field);
        [field, content].concat()
    };
    let empty = [0x12, 0].repeat(RECORDS as usize);
    let logs = large_field(0x0a, large_field(0x12, empty));
    let points = large_field(0x3a, [0x0a, 0].repeat(RECORDS as usize));
    let metrics = large_field(0x0a, large_field(0x12, large_field(0x12, points)));
    let server = Server::start(Protocol::HttpProtobuf).await;
    let to = Destination {
        max_request_size: 512 << 10,
        replaced_metrics: vec!["requests"],
        ..destination(&server.endpoint, Protocol::HttpProtobuf)
    };
    let exporter = start(to, impatient());
    let mut forwarder = exporter.forwarder().unwrap();
    let before = most();
    for (signal, body) in [(Signal::Logs, logs), (Signal::Metrics, metrics)] {
        let body = vec![(body.into(), RECORDS)];
        assert_eq!(forwarder.deliver(signal, body, || false).await, Forwarded::Answered);
        assert_eq!(counts(&exporter, signal).sent, RECORDS, "{signal:?}");
    }
    assert!(server.received().iter().all(|request| request.body.len() <= 512 << 10));
    // decoded: 180 MB of log records, 90 MB of points
    assert!(most() - before < 60, "{} MiB", most() - before);
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
    let forwarded = exporter.forwarder().unwrap().deliver(Signal::Traces, vec![(body, 3)], || false).await;
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
        assert_eq!(forwarder.deliver(Signal::Metrics, vec![(body, 1)], || false).await, Forwarded::Answered);
    }
    let received: Vec<_> = server.received().into_iter().map(|request| request.body).collect();
    assert_eq!(received, [other.encode_to_vec(), other.encode_to_vec()]);
    assert_eq!(counts(&exporter, Signal::Metrics), Counts { sent: 4, replaced: 4, ..Counts::default() });
    let replaced = exporter.stats().of(Signal::Metrics).replaced.read();
    assert_eq!(replaced.bytes, 2 * own.encoded_len() as u64);
}

// Whoever forwards may give up on a destination that does not answer, which is counted, and is not held up by it at the end.
#[tokio::test]
async fn waiting_can_be_given_up() {
    let exporter = start(destination(&format!("http://{}", server::unused_address()), Protocol::Grpc), impatient());
    let mut forwarder = exporter.forwarder().unwrap();
    let body = || Bytes::from(traces(&["a", "b"]).encode_to_vec());
    assert_eq!(forwarder.deliver(Signal::Traces, vec![(body(), 2)], || true).await, Forwarded::Dropped);
    assert_eq!(counts(&exporter, Signal::Traces), Counts { dropped: 2, retries: 1, ..Counts::default() });
    exporter.begin_shutdown(Duration::from_millis(50));
    let ended = forwarder.deliver(Signal::Traces, vec![(body(), 2)], || false);
    assert_eq!(tokio::time::timeout(PATIENCE, ended).await.unwrap(), Forwarded::Ended);
}

// Several requests go as one; if the destination refuses that, each goes alone, and only the bad one is lost.
#[tokio::test]
async fn nobody_loses_by_what_another_one_sent() {
    let server = Server::start(Protocol::Grpc).await;
    let exporter = start(destination(&server.endpoint, Protocol::Grpc), impatient());
    let mut forwarder = exporter.forwarder().unwrap();
    let requests = || -> Vec<(Bytes, u64)> {
        ["a", "b", "c"].iter().map(|name| (traces(&[name]).encode_to_vec().into(), 1)).collect()
    };
    assert_eq!(forwarder.deliver(Signal::Traces, requests(), || false).await, Forwarded::Answered);
    assert_eq!(
        server.received().last().unwrap().body,
        requests().into_iter().flat_map(|(body, _)| body).collect::<Vec<u8>>()
    );
    server.answer_next([Answer::Refused, Answer::Ok, Answer::Refused, Answer::Ok]);
    assert_eq!(forwarder.deliver(Signal::Traces, requests(), || false).await, Forwarded::Answered);
    assert_eq!(server.received().len(), 1 + 1 + 3);
    assert_eq!(counts(&exporter, Signal::Traces), Counts { sent: 3 + 2, failed: 1, ..Counts::default() });
}
