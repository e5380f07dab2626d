//! What was counted, over time: per service, environment, provider, model and operation, for 30 days.
//!
//! Steps of 10 s are kept for an hour, of a minute for a day, of a quarter of an hour for 30 days ([`rings`]). Memory is
//! bounded twice: there are at most [`HistoryConfig::groups`] groups, and what comes beyond goes into one for the rest; and
//! closed steps take at most [`HistoryConfig::memory`] bytes. Beyond that the oldest steps of a length are forgotten
//! before their time, each length having a share of its own ([`History::reaches`] tells what is left).

mod groups;
mod histogram;
mod pack;
mod query;
mod reach;
mod rings;
mod stats;
#[cfg(test)]
mod tests;

pub(crate) use groups::dimensions;
pub use groups::{Dimension, Dimensions, History, HistoryConfig, REST};
pub use histogram::{Histogram, RELATIVE_ERROR};
pub(crate) use pack::{Packer, Unpacker};
pub(crate) use query::over_time;
pub use query::{Answer, Filter, GroupBy, Measure, Point, Query, Scan, Series};
pub use reach::Reach;
pub(crate) use reach::reaches;
pub(crate) use rings::{Cell, Forgotten, LEVELS, Packed, Rings, level_for, make_room, since, window};
pub use stats::Stats;
pub(crate) use stats::ratio;
