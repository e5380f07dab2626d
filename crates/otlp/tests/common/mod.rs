//! What the tests of this crate share.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, dead_code)]

pub mod arbitrary;
pub mod compare;
pub mod corpus;
pub mod mangle;
pub mod observed;
pub mod observed_logs;
