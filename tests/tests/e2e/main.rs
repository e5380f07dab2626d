//! End-to-end tests against the real binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod access;
mod accuracy;
mod admin;
mod backends;
mod bad_input;
mod browser;
mod console;
mod corpus;
mod dashboards;
mod destinations;
mod durability;
mod evaluations;
mod exposition;
mod faults;
mod forwarding;
mod histograms;
mod hostile;
mod incidents;
mod limits;
mod load;
mod notifiers;
mod overload;
mod pages;
mod power;
mod prices;
mod python;
mod redaction;
mod shutdown;
mod spans;
mod telemetry;
mod tls;
