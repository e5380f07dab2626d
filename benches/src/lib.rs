//! What the load generator, the baseline server and the micro benches share.
//!
//! - [`payload`] builds `ExportTraceServiceRequest` bodies, the same for the same seed, and gives every send its own ids.
//! - [`client`] sends bodies to an OTLP server over gRPC or HTTP and tells whether they were acknowledged.
//! - [`load`] keeps a number of calls in flight for a while and counts what came back.
//! - [`decoder`] reads a body in the ways that are compared: prost, the borrowed reader alone, reader and derivation.
//! - [`settings`] sets the pipeline in loops over its parts.
//! - [`process`] reads what a server process has used: CPU time and peak memory (Linux).
//!
//! Nothing here takes part in serving: no other crate depends on this one. Bodies are written by prost and sent by hyper,
//! not by code under test.

pub mod client;
pub mod decoder;
pub mod load;
pub mod payload;
pub mod process;
mod random;
pub mod settings;
