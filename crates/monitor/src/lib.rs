//! History, health, alerts, SLOs and change detection: what counted calls tell over time.
//!
//! - [`Monitoring`] is all of it: [`Monitoring::record`] takes each counted [`Call`], [`Monitoring::advance`] the time. Every
//!   10 s of it everything is evaluated.
//! - [`History`] keeps what was counted for 30 days, by service, environment, provider, model and operation; a [`Query`] is
//!   answered with [`Series`] of [`Stats`] (a [`Scan`] in parts), whose [`Histogram`]s tell any percentile.
//! - [`Monitor`]: calls that a [`Selector`] selects, over a rolling [`Window`]: a [`Snapshot`] of [`Field`]s, its [`Health`],
//!   and some of its requests as [`Sample`]s. [`Command`]s create, pause, archive and mute monitors, and define alerts and objectives.
//! - [`Alert`] goes from pending to firing by an [`AlertRule`]; [`Incident`]s are kept, and [`Notification`]s are to be
//!   delivered by the caller.
//! - [`Slo`]: budget left, burn-down, and burn rates.
//! - [`Chart`], [`DriftReport`] and [`Canary`] tell that something changed.
//! - [`SeenCounts`]: how many services, models, prompt versions and agents there were in the last hour.
//! - [`Monitoring::checkpoint`] and [`Monitoring::restore`]: the state as bytes, and on from there.
//! - [`Config`] is everything that is configured.
//!
//! Pure: no I/O, no async, no clock, no logging. Time comes in as the log's receive time, in nanoseconds since the Unix
//! epoch, so everything is a function of what was told.

mod alert;
mod call;
mod canary;
mod chart;
mod checkpoint;
mod command;
mod definition;
mod delivery;
mod drift;
mod health;
mod history;
mod incident;
mod monitor;
mod monitoring;
mod reading;
mod sample;
mod seen;
mod selector;
mod slo;
mod snapshot;
mod statistics;
mod streams;
mod time;

pub use alert::{Alert, AlertRule, AlertThreshold, Condition, Phase, Severity, Side};
pub use call::{Call, UNKNOWN_MODEL};
pub use canary::{Canary, CanaryDefinition, CanaryLimits, CanaryReport, Comparison, Verdict, Versions};
pub use chart::{Chart, ChartDefinition, ChartPoint, ChartRule, Limits};
pub use checkpoint::RestoreError;
pub use command::{Command, CommandError, MOST_ALERTS, MOST_MONITORS, MOST_SLOS, Subject};
pub use definition::{ColdStartRule, Config, ConfigError, MonitorDefinition, Window};
pub use delivery::{Delivery, DeliveryOutcome};
pub use drift::{DriftDefinition, DriftReport, Tokens};
pub use health::{Health, HealthRules, Threshold};
pub use history::{
    Answer, Dimension, Dimensions, Filter, GroupBy, Histogram, History, HistoryConfig, Measure, Point, Query,
    RELATIVE_ERROR, REST, Reach, Scan, Series, Stats,
};
pub use incident::{Incident, Notification, NotificationKind, Resolution};
pub use monitor::{Monitor, MonitorState};
pub use monitoring::{EVALUATION_STEP, Monitoring};
pub use sample::{Sample, SampleKind};
pub use seen::{MOST_SEEN, SeenCounts, SeenKind};
pub use selector::{Attribute, Selector};
pub use slo::{BURN_ALERTS, Budget, BurnAlert, Objective, Period, Slo, SloDefinition, SloStatus};
pub use snapshot::{Field, Snapshot};
pub use statistics::{RankTest, Test};
pub use time::{DAY, HOUR, MINUTE, Range, SECOND};
