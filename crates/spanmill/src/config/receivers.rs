//! `receivers`: how spans come in.

use serde::{Deserialize, Serialize};

use super::access::{Auth, Tls};
use super::address::Address;
use super::units::ByteSize;

/// `receivers`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Receivers {
    /// The OTLP receiver.
    pub otlp: OtlpReceiver,
}

/// `receivers.otlp`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OtlpReceiver {
    /// Its two listeners.
    pub protocols: Protocols,
    /// How connections to both are encrypted; `None` if not.
    pub tls: Option<Tls>,
    /// What callers of both must show.
    pub auth: Auth,
    /// Whether any listener of Spanmill may be reached from other machines although nothing asks who calls.
    pub insecure: bool,
    /// Request bytes held at once, over both listeners.
    pub memory_budget: ByteSize,
}

impl Default for OtlpReceiver {
    fn default() -> Self {
        Self {
            protocols: Protocols::default(),
            tls: None,
            auth: Auth::None,
            insecure: false,
            memory_budget: ByteSize::mebibytes(512),
        }
    }
}

/// `receivers.otlp.protocols`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Protocols {
    /// OTLP over gRPC.
    pub grpc: GrpcListener,
    /// OTLP over HTTP.
    pub http: HttpListener,
}

/// `receivers.otlp.protocols.grpc`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GrpcListener {
    /// Where to listen.
    pub endpoint: Address,
    /// The largest message, after inflation.
    pub max_recv_msg_size: ByteSize,
}

impl Default for GrpcListener {
    fn default() -> Self {
        Self { endpoint: Address::loopback(4317), max_recv_msg_size: ByteSize::mebibytes(64) }
    }
}

/// `receivers.otlp.protocols.http`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpListener {
    /// Where to listen.
    pub endpoint: Address,
    /// The largest body, after inflation.
    pub max_request_body_size: ByteSize,
}

impl Default for HttpListener {
    fn default() -> Self {
        Self { endpoint: Address::loopback(4318), max_request_body_size: ByteSize::mebibytes(64) }
    }
}
