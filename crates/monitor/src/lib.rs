//! History, health, alerts, SLOs and change detection: what counted calls tell over time.
//!
//! - [`Call`] is a counted call, as `aggregate` tells it.
//! - [`History`] keeps what was counted for 30 days, by service, environment, provider, model and operation; a [`Query`] is
//!   answered with [`Series`] of [`Stats`], whose [`Histogram`]s tell any percentile.
//!
//! Pure: no I/O, no async, no clock, no logging. Time comes in as the log's receive time, in nanoseconds since the Unix
//! epoch, so everything is a function of what was told.

mod call;
mod history;
mod time;

pub use call::{Call, UNKNOWN_MODEL};
pub use history::{
    Answer, Dimension, Dimensions, Filter, Histogram, History, HistoryConfig, Measure, Point, Query, RELATIVE_ERROR,
    REST, Series, Stats,
};
pub use time::{DAY, HOUR, MINUTE, Range, SECOND};
