//! What the answer of a destination means: taken, try again, or refused for good. The rules are the OTLP specification's
//! (opentelemetry.io/docs/specs/otlp: "Failures", "Retryable Response Codes").

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use http::status::StatusCode;
use prost::Message;
use serde::Deserialize;
use tonic::{Code, Status};

/// The destination took the request, with the exception of `rejected` items.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) rejected: u64,
    /// Why, or a warning if nothing was rejected.
    pub(crate) message: String,
}

/// The destination did not take the request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) verdict: Verdict,
    /// Such as `grpc Unavailable`, `http 503` or `timeout`: one of a small set.
    pub(crate) status: String,
    /// The destination's or the system's words.
    pub(crate) message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The same request may succeed later, and not before the destination said, if it said so.
    Transient { retry_after: Option<Duration> },
    /// It may succeed later, and what takes less work the sooner.
    TimedOut,
    /// It may succeed in smaller pieces.
    TooLarge,
    /// It never will.
    Permanent,
}

impl Verdict {
    /// How long the destination asked to be left alone.
    pub(crate) fn retry_after(self) -> Option<Duration> {
        match self {
            Verdict::Transient { retry_after } => retry_after,
            Verdict::TimedOut | Verdict::TooLarge | Verdict::Permanent => None,
        }
    }
}

/// Both answers of OTLP have one form: `ExportMetricsPartialSuccess` and `ExportLogsPartialSuccess` use the same fields.
#[derive(Clone, PartialEq, Message)]
struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected_items: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

/// `google.rpc.Status`, the body of a failure.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// The same in JSON; other errors in JSON have a `message` too.
#[derive(Deserialize)]
struct JsonStatus {
    message: String,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<ProtoDuration>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
struct ProtoDuration {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// Reads the body of a success. One that cannot be read changes nothing about the success.
pub(crate) fn accepted(body: &[u8]) -> Accepted {
    match ExportResponse::decode(body).ok().and_then(|response| response.partial_success) {
        Some(partial) => {
            Accepted { rejected: u64::try_from(partial.rejected_items).unwrap_or(0), message: partial.error_message }
        }
        None => Accepted::default(),
    }
}

/// How servers say that a message is too large. gRPC has no code for it: grpc-go, grpc-java, gRPC's C core and Spanmill answer
/// RESOURCE_EXHAUSTED, which may also be a quota that more and smaller requests only use up; tonic answers OUT_OF_RANGE,
/// which is to be retried otherwise.
const TOO_LARGE: &[&str] = &["too large", "larger than", "exceeds maximum", "exceeds the limit", "too big"];

/// What they say beside that, ...
const SIZES: &[&str] = &["byte", "bytes", "size", "length", "message"];

/// ... and what they say of a quota.
const QUOTAS: &[&str] = &["quota", "rate", "per", "s", "sec", "second", "minute", "hour", "day", "month"];

fn says_too_large(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    let says_any = |known: &[&str]| {
        let mut words = message.split(|c: char| !c.is_ascii_alphabetic());
        words.any(|word| known.contains(&word))
    };
    TOO_LARGE.iter().any(|words| message.contains(words)) && says_any(SIZES) && !says_any(QUOTAS)
}

/// A failure over gRPC. A status that tonic made itself, because the connection broke, has a source.
pub(crate) fn grpc_failure(status: &Status) -> Failure {
    let retry_after = retry_info(status.details());
    let broken_connection = std::error::Error::source(status).is_some();
    let transient = Verdict::Transient { retry_after };
    let verdict = match status.code() {
        Code::OutOfRange | Code::ResourceExhausted if retry_after.is_none() && says_too_large(status.message()) => {
            Verdict::TooLarge
        }
        Code::Cancelled | Code::DeadlineExceeded if retry_after.is_none() => Verdict::TimedOut,
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => transient,
        Code::ResourceExhausted if retry_after.is_some() => transient,
        _ if broken_connection => transient,
        _ => Verdict::Permanent,
    };
    let message = match std::error::Error::source(status) {
        Some(source) => innermost(source),
        None => status.message().to_owned(),
    };
    Failure { verdict, status: format!("grpc {:?}", status.code()), message }
}

/// A failure over HTTP, answered at this time.
pub(crate) fn http_failure(status: StatusCode, headers: &HeaderMap, body: &Bytes, now: SystemTime) -> Failure {
    let verdict = match status.as_u16() {
        429 | 502 | 503 | 504 => Verdict::Transient { retry_after: retry_after(headers, now) },
        413 => Verdict::TooLarge,
        _ => Verdict::Permanent,
    };
    Failure { verdict, status: format!("http {}", status.as_u16()), message: explanation(headers, body) }
}

/// What the body of a failure says. A destination answers in OTLP's own form, what stands before it (a proxy, a router) in text.
fn explanation(headers: &HeaderMap, body: &Bytes) -> String {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = media_type.ends_with("/json") || media_type.ends_with("+json");
    if !is_json && !media_type.starts_with("text/") {
        return RpcStatus::decode(body.clone()).map(|status| status.message).unwrap_or_default();
    }
    let status = is_json.then(|| serde_json::from_slice(body).ok()).flatten();
    status.map_or_else(|| String::from_utf8_lossy(body).trim().to_owned(), |status: JsonStatus| status.message)
}

/// No answer within the time that it has.
pub(crate) fn too_late(error: &dyn std::error::Error) -> Failure {
    Failure { verdict: Verdict::TimedOut, status: "timeout".to_owned(), message: innermost(error) }
}

/// No answer at all.
pub(crate) fn no_answer(status: &str, error: &dyn std::error::Error) -> Failure {
    let verdict = Verdict::Transient { retry_after: None };
    Failure { verdict, status: status.to_owned(), message: innermost(error) }
}

/// The last error of a chain says what happened; those before it say only where.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

fn retry_info(details: &[u8]) -> Option<Duration> {
    let details = RpcStatus::decode(details).ok()?.details;
    let retry_info = details.iter().find(|detail| detail.type_url.ends_with("/google.rpc.RetryInfo"))?;
    let delay = RetryInfo::decode(&retry_info.value[..]).ok()?.retry_delay.unwrap_or_default();
    Some(Duration::new(u64::try_from(delay.seconds).unwrap_or(0), u32::try_from(delay.nanos).unwrap_or(0)))
}

/// A number of seconds, or a date. One that has passed is now.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = || value.parse().ok().map(Duration::from_secs);
    let date = || httpdate::parse_http_date(value).ok().map(|date| date.duration_since(now).unwrap_or_default());
    seconds().or_else(date)
}

#[cfg(test)]
mod tests {
    use super::*;

    // The retryable codes are exactly those of the specification; RESOURCE_EXHAUSTED only with RetryInfo, whose delay counts.
    #[test]
    fn grpc_codes() {
        let retried: Vec<Code> = (0..=16)
            .map(Code::from_i32)
            .filter(|code| grpc_failure(&Status::new(*code, "")).verdict != Verdict::Permanent)
            .collect();
        use Code::{Aborted, Cancelled, DataLoss, DeadlineExceeded, OutOfRange, Unavailable};
        assert_eq!(retried, [Cancelled, DeadlineExceeded, Aborted, OutOfRange, Unavailable, DataLoss]);

        let retry_info = RetryInfo { retry_delay: Some(ProtoDuration { seconds: 2, nanos: 500_000_000 }) };
        let detail =
            Any { type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(), value: retry_info.encode_to_vec() };
        let details = RpcStatus { message: String::new(), details: vec![detail] }.encode_to_vec();
        let status = Status::with_details(Code::ResourceExhausted, "slow down", details.into());
        let expected = Verdict::Transient { retry_after: Some(Duration::from_millis(2500)) };
        assert_eq!(grpc_failure(&status).verdict, expected);
    }

    // A message is cut in two where the server says that it is too large, in the words of tonic, grpc-go, grpc-java and the C
    // core; a quota that is used up is not, nor a refusal that may pass.
    #[test]
    fn messages_that_are_too_large() {
        for (code, words) in [
            (Code::OutOfRange, "Error, decoded message length too large: found 5 bytes, the limit is: 4 bytes"),
            (Code::ResourceExhausted, "grpc: received message larger than max (5 vs. 4)"),
            (Code::ResourceExhausted, "gRPC message exceeds maximum size 4: 5"),
            (Code::ResourceExhausted, "CLIENT: Received message larger than max (5 vs. 4)"),
            (Code::ResourceExhausted, "request exceeds the limit of 4 bytes"),
        ] {
            assert_eq!(grpc_failure(&Status::new(code, words)).verdict, Verdict::TooLarge, "{words}");
        }
        for words in [
            "daily quota exceeded",
            "the number of spans exceeds the limit of your plan",
            "ingestion of 7000000 bytes exceeds the limit of 5000000 bytes per second",
            "ingestion exceeds the limit of 5 bytes/s",
            "message size exceeds maximum rate",
        ] {
            assert_eq!(
                grpc_failure(&Status::new(Code::ResourceExhausted, words)).verdict,
                Verdict::Permanent,
                "{words}"
            );
        }
        let other = Status::new(Code::OutOfRange, "time is out of range");
        assert_eq!(grpc_failure(&other).verdict, Verdict::Transient { retry_after: None });
    }

    // A refusal keeps its reason, be it told in OTLP's form, in JSON or in text.
    #[test]
    fn http_reasons() {
        let rpc_status = RpcStatus { message: "no".to_owned(), details: Vec::new() }.encode_to_vec();
        for (content_type, body, expected) in [
            ("application/x-protobuf", &rpc_status[..], "no"),
            ("", &rpc_status, "no"),
            ("application/x-protobuf", b"404 page not found", ""),
            ("text/plain; charset=utf-8", b"404 page not found\n", "404 page not found"),
            ("Text/HTML", b"caf\xe9", "caf\u{fffd}"),
            ("application/json", br#"{"code": 3, "message": "no", "details": [{}]}"#, "no"),
            ("application/problem+json", br#"{"title": "no"}"#, r#"{"title": "no"}"#),
            ("application/json", b"no", "no"),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, http::HeaderValue::from_static(content_type))]);
            let body = Bytes::copy_from_slice(body);
            let failure = http_failure(StatusCode::NOT_FOUND, &headers, &body, SystemTime::UNIX_EPOCH);
            assert_eq!(failure.message, expected, "{content_type}");
        }
    }

    // 429, 502, 503 and 504 are tried again, when Retry-After says in either form; 413 in smaller pieces; all else is final.
    #[test]
    fn http_codes() {
        let http_failure = |status: StatusCode, headers: &HeaderMap| {
            http_failure(status, headers, &Bytes::new(), SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777))
        };
        let none = HeaderMap::new();
        let retried: Vec<u16> = (300..600)
            .filter_map(|code| StatusCode::from_u16(code).ok())
            .filter(|code| matches!(http_failure(*code, &none).verdict, Verdict::Transient { .. }))
            .map(|code| code.as_u16())
            .collect();
        assert_eq!(retried, [429, 502, 503, 504]);
        assert_eq!(http_failure(StatusCode::PAYLOAD_TOO_LARGE, &none).verdict, Verdict::TooLarge);

        for (value, seconds) in [
            ("7", Some(7)),
            ("Sun, 06 Nov 1994 08:50:00 GMT", Some(23)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("soon", None),
        ] {
            let later = HeaderMap::from_iter([(RETRY_AFTER, http::HeaderValue::from_static(value))]);
            let expected = Verdict::Transient { retry_after: seconds.map(Duration::from_secs) };
            assert_eq!(http_failure(StatusCode::TOO_MANY_REQUESTS, &later).verdict, expected, "{value}");
        }
    }
}
