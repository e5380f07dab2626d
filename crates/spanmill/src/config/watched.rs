//! `monitors`, `alerts` and `slos`: what is watched. What these mean stands in the crate `monitor`; here is how it is written.

mod alerts;
mod monitors;
mod names;
mod slos;

pub use alerts::Alert;
pub use monitors::Monitor;
pub use slos::{Good, Slo};
