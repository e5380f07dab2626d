//! Every reason for a "no", and how it reads on the wire.
//!
//! Clients retry UNAVAILABLE and 503 and drop the batch on everything else used here (OTLP specification, "Failures"). So
//! whatever passes with time must be UNAVAILABLE and 503 - never 408, 500 or 507 - and whatever would fail again must not.
use crate::intake::Format;
use bytes::Bytes;
use http::StatusCode;
use http_body_util::Full;
use std::time::Duration;
use tonic::Code;
use tonic_types::{ErrorDetails, StatusExt};

/// Why a request is not accepted. The text is for the client and never holds payload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The message is not what the signal demands: bad protobuf, bad JSON, bad compressed data.
    #[error("{0}")]
    Malformed(String),
    /// The gRPC frame around the message is wrong.
    #[error("{0}")]
    Framing(String),
    /// More bytes than the limit, on the wire or inflated.
    #[error("request exceeds the limit of {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// A compression that is not known, or more than one.
    #[error("unsupported compression {0:?}: send one of none, identity, gzip, zstd")]
    UnsupportedEncoding(String),
    /// Neither protobuf nor JSON, or not gRPC.
    #[error("unsupported content type {found:?}: send {expected}")]
    UnsupportedContentType {
        /// What was sent.
        found: String,
        /// What is accepted.
        expected: &'static str,
    },
    /// Credentials are missing or wrong. Clients drop the batch: their owner must act.
    #[error("credentials are missing or wrong: send them as \"Authorization: {scheme} ...\"")]
    Unauthenticated {
        /// The authentication scheme that is asked for.
        scheme: &'static str,
    },
    /// The server is called by a name that others may have given to this machine.
    #[error("call the server localhost or by an IP address, or ask for credentials (auth)")]
    OtherName,
    /// No such path or gRPC method.
    #[error("unknown path: OTLP is served at {0}")]
    UnknownPath(&'static str),
    /// Only POST is served.
    #[error("method not allowed: send POST")]
    MethodNotAllowed,
    /// Too much is held already; the client is told when to come again.
    #[error("too many requests are being held, try again later")]
    Busy {
        /// How long the client should wait.
        retry_after: Duration,
    },
    /// The body did not arrive in time. Retryable, because a slow network is no fault of the batch: 408 would lose it.
    #[error("request body did not arrive within {} s", .0.as_secs_f32())]
    TooSlow(Duration),
    /// The connection broke while the body was read.
    #[error("request body was cut off")]
    Interrupted,
    /// Not possible now, for the reason given: shutting down, storage failed.
    #[error("{0}")]
    Unavailable(String),
}

impl Refusal {
    /// The table: name in metrics, gRPC status code, HTTP status.
    const fn row(&self) -> (&'static str, Code, StatusCode) {
        match self {
            Refusal::Malformed(_) => ("malformed", Code::InvalidArgument, StatusCode::BAD_REQUEST),
            Refusal::Framing(_) => ("malformed", Code::Internal, StatusCode::BAD_REQUEST),
            Refusal::TooLarge { .. } => ("too_large", Code::ResourceExhausted, StatusCode::PAYLOAD_TOO_LARGE),
            Refusal::UnsupportedEncoding(_) => {
                ("unsupported_encoding", Code::Unimplemented, StatusCode::UNSUPPORTED_MEDIA_TYPE)
            }
            Refusal::UnsupportedContentType { .. } => {
                ("unsupported_content_type", Code::InvalidArgument, StatusCode::UNSUPPORTED_MEDIA_TYPE)
            }
            Refusal::Unauthenticated { .. } => ("unauthenticated", Code::Unauthenticated, StatusCode::UNAUTHORIZED),
            Refusal::OtherName => ("other_name", Code::PermissionDenied, StatusCode::FORBIDDEN),
            Refusal::UnknownPath(_) => ("unknown_path", Code::Unimplemented, StatusCode::NOT_FOUND),
            Refusal::MethodNotAllowed => ("method_not_allowed", Code::Unimplemented, StatusCode::METHOD_NOT_ALLOWED),
            Refusal::Busy { .. } => ("busy", Code::Unavailable, StatusCode::SERVICE_UNAVAILABLE),
            Refusal::TooSlow(_) => ("too_slow", Code::Unavailable, StatusCode::SERVICE_UNAVAILABLE),
            Refusal::Interrupted => ("interrupted", Code::Unavailable, StatusCode::SERVICE_UNAVAILABLE),
            Refusal::Unavailable(_) => ("unavailable", Code::Unavailable, StatusCode::SERVICE_UNAVAILABLE),
        }
    }

    /// The name in metrics: one word, from a closed set.
    pub const fn name(&self) -> &'static str {
        self.row().0
    }

    /// The gRPC status code.
    pub const fn grpc_code(&self) -> Code {
        self.row().1
    }

    /// The HTTP status.
    pub const fn http_status(&self) -> StatusCode {
        self.row().2
    }

    /// How long the client is asked to wait; only for [`Refusal::Busy`].
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Refusal::Busy { retry_after } => Some(*retry_after),
            _ => None,
        }
    }

    /// What stands in `google.rpc.Status.details`: RetryInfo for pressure, BadRequest for bad data, else nothing.
    fn details(&self) -> Option<ErrorDetails> {
        match self {
            Refusal::Busy { retry_after } => Some(ErrorDetails::with_retry_info(Some(*retry_after))),
            Refusal::Malformed(reason) => Some(ErrorDetails::with_bad_request_violation("body", reason)),
            _ => None,
        }
    }

    /// The HTTP response with all its headers, its status as JSON.
    pub fn json_response(&self) -> http::Response<Full<Bytes>> {
        crate::http::refused(self, Format::Json)
    }

    /// The status of a gRPC response.
    pub(crate) fn grpc_status(&self) -> tonic::Status {
        match self.details() {
            Some(details) => tonic::Status::with_error_details(self.grpc_code(), self.to_string(), details),
            None => tonic::Status::new(self.grpc_code(), self.to_string()),
        }
    }

    /// The `google.rpc.Status` of an HTTP response, as protobuf.
    pub(crate) fn protobuf_body(&self) -> Vec<u8> {
        // tonic-types puts the whole google.rpc.Status into the details of its status
        let details = self.details().unwrap_or_default();
        tonic::Status::with_error_details(self.grpc_code(), self.to_string(), details).details().to_vec()
    }

    /// The `google.rpc.Status` of an HTTP response, as JSON.
    pub(crate) fn json_body(&self) -> Vec<u8> {
        let details = match self {
            Refusal::Busy { retry_after } => serde_json::json!([{
                "@type": "type.googleapis.com/google.rpc.RetryInfo",
                "retryDelay": format!("{}s", retry_after.as_secs_f64()),
            }]),
            Refusal::Malformed(reason) => serde_json::json!([{
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                "fieldViolations": [{ "field": "body", "description": reason }],
            }]),
            _ => serde_json::json!([]),
        };
        let status = serde_json::json!({
            "code": self.grpc_code() as i32,
            "message": self.to_string(),
            "details": details,
        });
        status.to_string().into_bytes()
    }
}
