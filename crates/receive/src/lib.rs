//! The way in: OTLP servers over gRPC and HTTP, their limits, and the replay of files.
//!
//! - [`GrpcServer`] and [`HttpServer`] serve a bound listener until they are told to stop; [`serve_http`] does the same for any
//!   other HTTP service, under the same limits.
//! - [`Intake`] is what both hand a request to: it inflates, turns JSON into protobuf, counts, and calls [`Ingest`].
//! - [`Request`] is what comes out: a signal and its inflated protobuf body. [`Ingest`] decides when it is acknowledged.
//! - [`Refusal`] is every reason for a "no"; one table ([`Refusal::grpc_code`], [`Refusal::http_status`]) says how it reads
//!   on the wire.
//! - [`is_called_by_own_name`] keeps pages of others from asking where nobody shows credentials.
//! - [`Credentials`] says who may call, [`Tls`] how connections are encrypted.
//! - [`Budget`] bounds the bytes of all requests held at once; [`Limits`] bounds one request and one server.
//! - [`Replay`] yields the requests stored in files.
//!
//! This crate looks into a protobuf body only to count the spans of one that is refused; it never retries, never stores, and never
//! answers success before [`Ingest::ingest`] has.

mod accept;
mod basic;
mod budget;
mod credentials;
mod gather;
mod grpc;
mod grpc_frame;
mod grpc_health;
mod headers;
mod http;
mod idle;
mod inflate;
mod intake;
mod json;
mod metrics;
mod names;
mod refusal;
mod reload;
mod replay;
mod request;
mod server;
mod tls;
mod windows;

pub use budget::Budget;
pub use credentials::Credentials;
pub use intake::Intake;
pub use names::{is_called_by_own_name, own_names_only};
pub use refusal::Refusal;
pub use reload::FileError;
pub use replay::{Entry, Place, Replay, ReplayError};
pub use request::{Ingest, Request, Signal};
pub use server::{GrpcServer, Health, HttpServer, Limits, ServeError, serve_http};
pub use tls::{Tls, TlsFiles};
