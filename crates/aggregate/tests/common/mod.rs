//! What the tests share.
#![allow(dead_code)]

pub mod corpus;
pub mod driver;
pub mod evaluations;
pub mod orders;
pub mod shapes;
pub mod spans;
