//! What no client should send: a clear error or a counted outcome, and the next good request works.

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::any_value;
use prost::Message;
use spanmill_tests::{
    Backend, Client, Compression, Destination, Setup, Signal, Spanmill, Totals, corpus, eventually, get, grpc_call,
    grpc_frame, post, rows,
};
use tonic::Code;
use tonic_types::StatusExt;

use crate::spans::{attribute, call, payload, request};

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");
const TRACES: &str = Signal::Traces.http_path();
const TRACES_METHOD: &str = Signal::Traces.grpc_path();

/// A server under attack, and the well-behaved client beside the attacker.
pub struct Target {
    pub spanmill: Spanmill,
    client: Client,
    good: u64,
}

impl Target {
    pub fn start(setup: &Setup) -> Self {
        let spanmill = Spanmill::start(setup);
        let client = Client::grpc(spanmill.addresses);
        Self { spanmill, client, good: 0 }
    }

    /// Sends a good request, which must be counted.
    pub async fn still_works(&mut self) {
        self.good += 1;
        let model = format!("good-{}", self.good);
        let id = u64::MAX / 2 + self.good;
        self.client.send(&payload(vec![call(id, &model)])).await.unwrap();
        eventually("the good request is counted", async || {
            self.spanmill.totals().await.by_model.contains_key(&model).then_some(())
        })
        .await;
    }

    /// How many requests ended so.
    async fn outcome(&self, outcome: &str) -> u64 {
        self.spanmill.sample("spanmill_receiver_requests", &[("outcome", outcome)]).await
    }

    async fn post(&self, header: (&str, &str), body: impl Into<bytes::Bytes>) -> (u16, String) {
        let answer = post(self.spanmill.addresses.http, TRACES, &[header], body).await;
        (answer.status.as_u16(), answer.text())
    }

    async fn call(&self, message: &[u8]) -> Code {
        grpc_call(self.spanmill.addresses.grpc, TRACES_METHOD, &[], grpc_frame(false, message)).await.grpc_code()
    }
}

// A body cut off anywhere is refused as malformed, with the place, over every transport.
#[tokio::test(flavor = "multi_thread")]
async fn truncated_bodies() {
    let mut target = Target::start(&Setup::default());
    let whole = payload(vec![call(1, "gpt-4o")]).body;
    for length in (1..whole.len()).step_by(3) {
        let (status, said) = target.post(PROTOBUF, whole.slice(..length)).await;
        assert_eq!(status, 400, "{length} bytes");
        assert!(said.contains("resource_spans"), "{said:?}");
        assert_eq!(target.call(&whole[..length]).await, Code::InvalidArgument, "{length} bytes");
    }
    let json = serde_json::to_vec(&request(vec![call(1, "gpt-4o")])).unwrap();
    for length in (1..json.len()).step_by(30) {
        assert_eq!(target.post(JSON, json[..length].to_vec()).await.0, 400, "{length} bytes of JSON");
    }
    let compressed = Compression::Gzip.compress(&whole);
    let headers = [PROTOBUF, ("content-encoding", "gzip")];
    let answer = post(target.spanmill.addresses.http, TRACES, &headers, compressed[..50].to_vec()).await;
    assert_eq!(answer.status, 400);
    // The frame says more than there is.
    let frame = grpc_frame(false, &whole)[..50].to_vec();
    let answer = grpc_call(target.spanmill.addresses.grpc, TRACES_METHOD, &[], frame).await;
    assert_eq!(answer.grpc_code(), Code::Internal);

    assert!(target.outcome("malformed").await > 100);
    target.still_works().await;
    let rows = rows(&target.spanmill.stop().archive());
    assert_eq!(rows.len(), 1, "nothing of a refused request is kept");
}

// Real bodies with bits flipped are refused as malformed or taken; what is taken is the same at /metrics and in the archive.
#[tokio::test(flavor = "multi_thread")]
async fn flipped_bits() {
    const SEED: u64 = 20_260_101;
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut target = Target::start(&Setup::default());
    let bodies: Vec<_> = corpus()
        .into_iter()
        .flat_map(|client| client.payloads)
        .filter(|payload| payload.signal == Signal::Traces && payload.body.len() < 40_000)
        .collect();
    for round in 0..400 {
        let mut body = bodies[random.usize(..bodies.len())].body.to_vec();
        for _ in 0..random.usize(1..8) {
            let at = random.usize(..body.len());
            body[at] ^= 1 << random.u8(..8);
        }
        if round % 2 == 0 {
            let (status, said) = target.post(PROTOBUF, body).await;
            assert!([200, 400].contains(&status), "round {round}: {status} {said}");
        } else {
            let code = target.call(&body).await;
            assert!([Code::Ok, Code::InvalidArgument].contains(&code), "round {round}: {code:?}");
        }
    }
    target.still_works().await;
    let accepted = target.outcome("accepted").await;
    let refused = target.outcome("malformed").await;
    assert_eq!(accepted + refused, 401);
    assert!(accepted > 50 && refused > 50, "{accepted} accepted, {refused} refused");

    let counted = target.spanmill.totals().await;
    let rows = rows(&target.spanmill.stop().archive());
    assert_eq!(Totals::from_rows(&rows), counted);
}

// Random bytes are never more than malformed.
#[tokio::test(flavor = "multi_thread")]
async fn noise() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut target = Target::start(&Setup::default());
    for _ in 0..100 {
        let body: Vec<u8> = (0..random.usize(1..500)).map(|_| random.u8(..)).collect();
        assert!([200, 400].contains(&target.post(PROTOBUF, body.clone()).await.0));
        assert_eq!(target.post(JSON, body.clone()).await.0, 400);
        assert!([Code::Ok, Code::InvalidArgument].contains(&target.call(&body).await));
    }
    target.still_works().await;
    target.spanmill.stop();
}

// Wrong type, wrong compression, wrong method and wrong path each have their status and their outcome.
#[tokio::test(flavor = "multi_thread")]
async fn wrong_headers() {
    let mut target = Target::start(&Setup::default());
    let (http, grpc) = (target.spanmill.addresses.http, target.spanmill.addresses.grpc);
    let body = payload(vec![call(1, "gpt-4o")]).body;

    assert_eq!(target.post(("content-type", "text/plain"), body.clone()).await.0, 415);
    assert_eq!(post(http, TRACES, &[], body.clone()).await.status, 415, "no type at all");
    let call = grpc_call(grpc, TRACES_METHOD, &[("content-type", "application/json")], body.clone()).await;
    assert_eq!(call.grpc_code(), Code::InvalidArgument);
    assert_eq!(target.outcome("unsupported_content_type").await, 3);

    assert_eq!(post(http, TRACES, &[PROTOBUF, ("content-encoding", "br")], body.clone()).await.status, 415);
    let call = grpc_call(grpc, TRACES_METHOD, &[("grpc-encoding", "snappy")], grpc_frame(true, &body)).await;
    assert_eq!(call.grpc_code(), Code::Unimplemented);
    assert_eq!(target.outcome("unsupported_encoding").await, 2);

    let answer = get(http, TRACES).await;
    assert_eq!((answer.status.as_u16(), answer.headers["allow"].as_bytes()), (405, b"POST".as_slice()));
    assert_eq!(target.outcome("method_not_allowed").await, 1);

    assert_eq!(post(http, "/v1/spans", &[PROTOBUF], body.clone()).await.status, 404);
    assert_eq!(grpc_call(grpc, "/x.Y/Export", &[], grpc_frame(false, &body)).await.grpc_code(), Code::Unimplemented);
    assert_eq!(target.outcome("unknown_path").await, 2);

    // Protobuf that says it is JSON.
    assert_eq!(target.post(JSON, body).await.0, 400);
    assert_eq!(target.outcome("malformed").await, 1);
    target.still_works().await;
    target.spanmill.stop();
}

/// A field of protobuf's wire type for messages.
fn field(number: u8, message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    prost::encode_length_delimiter(message.len(), &mut bytes).unwrap();
    bytes.extend_from_slice(message);
    bytes
}

/// A call with an attribute of `depth` lists in each other, written by hand: prost would need as much stack.
fn deep_call(id: u64, depth: usize) -> Vec<u8> {
    let innermost_list = Vec::new();
    let value = (1..depth).fold(field(5, &innermost_list), |value, _| field(5, &field(1, &value)));
    let attribute = [field(1, b"deep"), field(2, &value)].concat();
    let span = [call(id, "deep").encode_to_vec(), field(9, &attribute)].concat();
    field(1, &field(2, &field(2, &span)))
}

// Values 100 deep are counted and archived, one deeper is refused with a word about it; JSON stops earlier, cleanly.
#[tokio::test(flavor = "multi_thread")]
async fn deep_values() {
    let mut target = Target::start(&Setup::default());
    assert_eq!(target.post(PROTOBUF, deep_call(1, 100)).await.0, 200);
    assert_eq!(target.spanmill.counted(1).await.requests, 1);

    let too_deep = deep_call(2, 101);
    let (status, said) = target.post(PROTOBUF, too_deep.clone()).await;
    assert_eq!(status, 400);
    assert!(said.contains("deep"), "{said:?}");
    assert_eq!(target.call(&too_deep).await, Code::InvalidArgument);
    assert_eq!(target.call(&deep_call(3, 50_000)).await, Code::InvalidArgument);

    let in_json = |depth| {
        let value = "{\"arrayValue\":{\"values\":[".repeat(depth) + &"]}}".repeat(depth);
        format!(
            "{{\"resourceSpans\":[{{\"scopeSpans\":[{{\"spans\":[{{\"attributes\":[{{\"key\":\"deep\",\"value\":{value}}}]}}]}}]}}]}}"
        )
    };
    assert_eq!(target.post(JSON, in_json(30)).await.0, 200);
    for depth in [100, 101, 50_000] {
        assert_eq!(target.post(JSON, in_json(depth)).await.0, 400, "{depth}");
    }
    target.still_works().await;
    let rows = rows(&target.spanmill.stop().archive());
    assert_eq!(rows.iter().filter(|row| row.is_counted()).count(), 2);
}

// Strings that are no UTF-8 are taken and shown with the replacement character, everywhere the same.
#[tokio::test(flavor = "multi_thread")]
async fn strings_that_are_not_utf8() {
    const PLACEHOLDER: &[u8] = b"gpt-####";
    let backend = Backend::grpc().await;
    let mut target = Target::start(&Setup::with(Destination::grpc(&backend)));
    let mut body = payload(vec![call(1, "gpt-####")]).body.to_vec();
    let at = body.windows(PLACEHOLDER.len()).position(|window| window == PLACEHOLDER).unwrap();
    body[at + 4..at + 8].copy_from_slice(b"\xff\xfe\xc3\x28");
    assert_eq!(target.post(PROTOBUF, body.clone()).await.0, 200);
    assert_eq!(target.call(&body).await, Code::Ok);
    let json = serde_json::to_vec(&request(vec![call(2, "gpt-####")])).unwrap();
    let mut broken = json.clone();
    let at = json.windows(PLACEHOLDER.len()).position(|window| window == PLACEHOLDER).unwrap();
    broken[at + 4] = 0xff;
    assert_eq!(target.post(JSON, broken).await.0, 400, "JSON is UTF-8");
    target.still_works().await;

    let counted = target.spanmill.totals().await;
    let shown = String::from_utf8_lossy(b"gpt-\xff\xfe\xc3\x28").into_owned();
    assert_eq!(counted.by_model[&shown].requests, 1, "a span that is sent twice is one call");
    let rows = rows(&target.spanmill.stop().archive());
    assert_eq!(Totals::from_rows(&rows), counted);
    assert_eq!(backend.received().totals(), counted);
}

// A span that ends before it begins, says not when, or claims to have taken years is a call all the same: counted, without a
// duration.
#[tokio::test(flavor = "multi_thread")]
async fn absurd_times() {
    let backend = Backend::grpc().await;
    let mut target = Target::start(&Setup::with(Destination::grpc(&backend)));
    let now = call(1, "").start_time_unix_nano;
    let times = [
        (now, now - 1),
        (now, 0),
        (u64::MAX, 0),
        (0, 0),
        (0, now),
        (0, u64::MAX),
        (u64::MAX, u64::MAX),
        (now, u64::MAX),
        (i64::MAX as u64, i64::MAX as u64 + 1),
        (now, now + 1_000_000_000),
    ];
    let span = |(number, (start, end)): (usize, (u64, u64))| {
        let mut span = call(number as u64 + 1, "absurd");
        span.start_time_unix_nano = start;
        span.end_time_unix_nano = end;
        span.status = Some(opentelemetry_proto::tonic::trace::v1::Status { code: 2, message: "x".to_owned() });
        span
    };
    let spans: Vec<_> = times.into_iter().enumerate().map(span).collect();
    let count = spans.len() as u64;
    assert_eq!(target.post(PROTOBUF, payload(spans).body).await.0, 200);
    let counted = target.spanmill.counted(count).await;
    assert_eq!((counted.requests, counted.errors), (count, count));
    let labels = [("outcome", "counted"), ("reason", "invalid_duration")];
    let without_duration = target.spanmill.sample("spanmill_spans", &labels).await;
    assert_eq!(without_duration, count - 3, "only three say how long they took: nothing, a nanosecond, a second");
    let durations = target.spanmill.sample("gen_ai_client_operation_duration_seconds_count", &[]).await;
    assert_eq!(durations + without_duration, count, "who has no duration is in no histogram of them");
    target.still_works().await;

    let counted = target.spanmill.totals().await;
    let rows = rows(&target.spanmill.stop().archive());
    assert_eq!(Totals::from_rows(&rows), counted);
    assert_eq!(backend.received().totals(), counted);
    assert_eq!(backend.received().log_records().count() as u64, count);
}

// A span without valid ids cannot be told from others: its outcome is malformed, it is not counted, its neighbour is.
#[tokio::test(flavor = "multi_thread")]
async fn invalid_ids() {
    let mut target = Target::start(&Setup::default());
    let with_ids = |trace_id: Vec<u8>, span_id: Vec<u8>| {
        let mut span = call(1, "gpt-4o");
        (span.trace_id, span.span_id) = (trace_id, span_id);
        span
    };
    let bad = vec![with_ids(vec![0; 16], vec![1; 8]), with_ids(vec![1; 16], vec![0; 8]), with_ids(vec![], vec![])];
    let count = bad.len() as u64;
    let body = payload([bad, vec![call(1, "gpt-4o")]].concat()).body;
    assert_eq!(target.post(PROTOBUF, body).await.0, 200);
    assert_eq!(target.spanmill.counted(1).await.requests, 1);
    assert_eq!(target.spanmill.sample("spanmill_spans", &[("outcome", "malformed")]).await, count);
    target.still_works().await;
    target.spanmill.stop();
}

// A message beyond the limit is RESOURCE_EXHAUSTED without RetryInfo, or 413: clients must not send it again. The limit
// itself is allowed.
#[tokio::test(flavor = "multi_thread")]
async fn oversized_messages() {
    const LIMIT: usize = 1 << 20;
    let mut target = Target::start(&Setup { max_request_size: "1MiB", ..Setup::default() });
    let sized = |size: usize| {
        let with_text = |length| {
            let mut span = call(1, "large");
            span.attributes.push(attribute("text", any_value::Value::StringValue("x".repeat(length))));
            request(vec![span])
        };
        let overhead = with_text(size).encoded_len() - size;
        let request = with_text(size - overhead);
        assert_eq!(request.encoded_len(), size);
        request
    };
    let mut client = TraceServiceClient::connect(format!("http://{}", target.spanmill.addresses.grpc)).await.unwrap();
    let status = client.export(sized(LIMIT + 1)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert!(status.get_details_retry_info().is_none());
    assert!(status.message().contains(&LIMIT.to_string()), "{status}");
    client.export(sized(LIMIT)).await.unwrap();

    // Only declared: refused before any of it arrives.
    let mut frame = grpc_frame(false, b"");
    frame[1..5].copy_from_slice(&u32::MAX.to_be_bytes());
    let answer = grpc_call(target.spanmill.addresses.grpc, TRACES_METHOD, &[], frame).await;
    assert_eq!(answer.grpc_code(), Code::ResourceExhausted);

    assert_eq!(target.post(PROTOBUF, sized(LIMIT + 1).encode_to_vec()).await.0, 413);
    assert_eq!(target.post(PROTOBUF, sized(LIMIT).encode_to_vec()).await.0, 200);
    assert_eq!(target.outcome("too_large").await, 3);
    target.still_works().await;
    target.spanmill.stop();
}
