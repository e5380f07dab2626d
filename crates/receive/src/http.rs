//! OTLP/HTTP: `POST /v1/{traces,metrics,logs}`, protobuf or JSON, answered in the request's type.
use crate::gather::Gather;
use crate::headers::{self, Compression};
use crate::intake::{Format, Intake, Received};
use crate::metrics::Ongoing;
use crate::names::is_called_by_own_name;
use crate::server::Limits;
use crate::{Ingest, Refusal, Signal};
use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Version};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use std::time::Duration;

const TRANSPORT: &str = "http";
/// How long what a caller without credentials sends is thrown away: enough for a client that has only a wrong token, and too
/// short to hold up a shutdown.
const STRANGERS_DRAIN: Duration = Duration::from_secs(2);
const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

type Response = http::Response<Full<Bytes>>;

impl Format {
    fn from_headers(headers: &HeaderMap) -> Result<Self, Refusal> {
        let media_type = headers::media_type(headers);
        if media_type.eq_ignore_ascii_case(PROTOBUF.as_bytes()) {
            return Ok(Format::Protobuf);
        }
        if media_type.eq_ignore_ascii_case(JSON.as_bytes()) {
            return Ok(Format::Json);
        }
        Err(Refusal::UnsupportedContentType {
            found: headers::echo(media_type),
            expected: "application/x-protobuf or application/json",
        })
    }
}

/// What the head of a request says.
struct Head {
    signal: Signal,
    format: Format,
    compression: Option<Compression>,
    content_length: Option<usize>,
}

impl Head {
    fn read(parts: &Parts, signal: Option<Signal>, limits: Limits) -> Result<Self, Refusal> {
        let signal = signal.ok_or(Refusal::UnknownPath("/v1/traces, /v1/metrics and /v1/logs"))?;
        if parts.method != Method::POST {
            return Err(Refusal::MethodNotAllowed);
        }
        let format = Format::from_headers(&parts.headers)?;
        let compression = Compression::from_headers(&parts.headers, CONTENT_ENCODING)?;
        let content_length =
            parts.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        if content_length.is_some_and(|length| length > limits.max_request_size) {
            return Err(Refusal::TooLarge { limit: limits.max_request_size });
        }
        Ok(Head { signal, format, compression, content_length })
    }
}

/// Answers one request.
pub(crate) async fn answer<I: Ingest>(
    intake: &Intake<I>,
    limits: Limits,
    own_names_only: bool,
    request: http::Request<Incoming>,
) -> Response {
    let (parts, mut body) = request.into_parts();
    let signal = Signal::ALL.into_iter().find(|signal| signal.http_path() == parts.uri.path());
    let mut ongoing = intake.metrics.begin(signal, TRANSPORT);
    let place = intake.admit(&parts.headers).await;
    let head = match &place {
        Ok(_) if own_names_only && !is_called_by_own_name(&parts.headers, &parts.uri) => Err(Refusal::OtherName),
        Ok(_) => Head::read(&parts, signal, limits),
        Err(refusal) => Err(refusal.clone()),
    };
    let format = Format::from_headers(&parts.headers).unwrap_or(Format::Protobuf);
    let may_be_writing = may_be_writing(&parts);
    drop(parts);
    let result = match head {
        Ok(head) => export(intake, limits, head, &mut body, &mut ongoing).await,
        Err(refusal) => Err(refusal),
    };
    ongoing.end(&result);
    match result {
        Ok(_) => success(format),
        Err(refusal) => {
            if !body.is_end_stream() && may_be_writing && !is_at_fault(&refusal) {
                let patience = match refusal {
                    Refusal::Unauthenticated { .. } | Refusal::OtherName => {
                        STRANGERS_DRAIN.min(limits.body_read_timeout)
                    }
                    _ => limits.body_read_timeout,
                };
                tokio::spawn(drain(body, limits.max_request_size, patience));
            }
            refused(&refusal, format)
        }
    }
}

async fn export<I: Ingest>(
    intake: &Intake<I>,
    limits: Limits,
    head: Head,
    body: &mut Incoming,
    ongoing: &mut Ongoing<'_>,
) -> Result<u64, Refusal> {
    let mut hold = intake.budget.hold();
    let reading = async {
        let mut gather = Gather::new(limits.max_request_size, 0);
        gather.expect(head.content_length.unwrap_or(limits.max_request_size));
        hold.admit(head.content_length.unwrap_or(1)).await;
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame.map_err(|_| Refusal::Interrupted)?.into_data() {
                gather.push(data, &mut hold)?;
            }
        }
        Ok(gather.finish(&mut hold))
    };
    let wire = tokio::time::timeout(limits.body_read_timeout, reading)
        .await
        .map_err(|_| Refusal::TooSlow(limits.body_read_timeout))??;
    ongoing.received(wire.len());
    let received = Received { signal: head.signal, compression: head.compression, format: head.format, wire, hold };
    intake.accept(received, limits.max_request_size, ongoing).await
}

/// A client that is refused early over HTTP/1 may still be writing. Closing on it would reset the connection and destroy the
/// response, and a client without a response sends the same batch again. So the rest is read and thrown away, unless the
/// client waits for a go-ahead (`Expect`) or is the reason itself.
fn may_be_writing(parts: &Parts) -> bool {
    parts.version <= Version::HTTP_11 && !parts.headers.contains_key(EXPECT)
}

fn is_at_fault(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::TooSlow(_) | Refusal::Interrupted)
}

/// Discards up to four request sizes, for no longer than `patience`. Nothing is kept; it costs only the network.
async fn drain(mut body: Incoming, max_request_size: usize, patience: Duration) {
    let discarding = async {
        let mut discarded = 0;
        while let Some(Ok(frame)) = body.frame().await {
            discarded += frame.data_ref().map_or(0, Bytes::len);
            if discarded > max_request_size.saturating_mul(4) {
                return;
            }
        }
    };
    if tokio::time::timeout(patience, discarding).await.is_err() {
        tracing::debug!("rest of a refused request did not arrive in time");
    }
}

/// An export response without `partial_success`: no bytes in protobuf, an empty object in JSON.
fn success(format: Format) -> Response {
    let (content_type, body) = match format {
        Format::Protobuf => (PROTOBUF, Bytes::new()),
        Format::Json => (JSON, Bytes::from_static(b"{}")),
    };
    let mut response = Response::new(Full::new(body));
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

pub(crate) fn refused(refusal: &Refusal, format: Format) -> Response {
    let (content_type, body) = match format {
        Format::Protobuf => (PROTOBUF, refusal.protobuf_body()),
        Format::Json => (JSON, refusal.json_body()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = refusal.http_status();
    let response_headers = response.headers_mut();
    response_headers.insert(CONTENT_TYPE, content_type);
    match refusal {
        Refusal::MethodNotAllowed => {
            response_headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        Refusal::UnsupportedEncoding(_) => {
            response_headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(headers::ACCEPTED));
        }
        Refusal::Unauthenticated { scheme } => {
            let challenge = HeaderValue::from_str(&format!("{scheme} realm=\"spanmill\""));
            response_headers.extend(challenge.ok().map(|challenge| (WWW_AUTHENTICATE, challenge)));
        }
        _ => {}
    }
    if let Some(wait) = refusal.retry_after() {
        // whole seconds, rounded up: 0 would invite at once
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        response_headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
    response
}
