//! What the end-to-end tests need: the real binary, clients, destinations, and a reader for every place that tells totals.
//!
//! Nothing here calls into Spanmill's crates: what is tested is what a user runs, through the doors a user has.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod backend;
mod binary;
mod chromium;
mod client;
mod corpus;
mod encoded;
mod eventually;
mod faults;
mod hook;
mod mail;
mod memory_cap;
mod programs;
mod promql;
mod python;
mod raw;
mod signoz;
mod spanmill;
mod tls;
mod totals;

pub use backend::{Backend, Received};
pub use binary::{binary, target_directory};
pub use chromium::Chromium;
pub use client::{Client, Compression, Transport};
pub use corpus::{Call, CorpusClient, Payload, Signal, Truth, corpus, corpus_directory};
pub use encoded::Encoded;
pub use eventually::{PATIENCE, eventually};
pub use faults::{Disk, Fault, Power, Switch, death_at};
pub use hook::{Hook, Taken};
pub use mail::MailServer;
pub use memory_cap::MemoryCap;
pub use programs::{Alertmanager, Collector, Phoenix, Prometheus, StoredSpan, VictoriaMetrics, promtool};
pub use promql::{Element, PromQl};
pub use python::Python;
pub use raw::{Answer, get, get_with, grpc_call, grpc_frame, post};
pub use rustix::process::Signal as ProcessSignal;
pub use signoz::{Chosen, SigNoz};
pub use spanmill::{Addresses, Destination, Launched, Setup, Spanmill, Stopped, run, run_with};
pub use tls::{Authority, Certificate, TLS_VERSIONS, TlsClient, TlsConnection, TlsFront};
pub use totals::archive::{Row, archived_ids, archived_texts, complete_files, rows};
pub use totals::{ModelTotals, Tokens, Totals, labels_of, otlp, prometheus, sample};
