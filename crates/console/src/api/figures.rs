//! What calls add up to, as JSON.

use std::collections::BTreeMap;

use genai::ErrorClass;
use monitor::{Answer, Field, Point, Snapshot, Stats};
use serde::Serialize;
use utoipa::ToSchema;

use crate::view::millis;

/// Fields by name, each in its unit: seconds, tokens, dollars, or a share of 0 to 1. Null where no call tells it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(value_type = BTreeMap<String, Option<f64>>)]
pub(super) struct Figures(BTreeMap<&'static str, Option<f64>>);

impl Figures {
    /// Those of calls in a time of so many nanoseconds.
    pub(super) fn of(stats: &Stats, length: u64) -> Self {
        Self(Field::ALL.into_iter().map(|field| (field.name(), field.of(stats, length))).collect())
    }

    pub(super) fn of_snapshot(snapshot: &Snapshot) -> Self {
        Self(Field::ALL.into_iter().map(|field| (field.name(), snapshot.get(field))).collect())
    }
}

/// What calls add up to.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct Totals {
    requests: u64,
    failed: u64,
    /// Failed calls by class; classes without any are left out.
    #[schema(value_type = BTreeMap<String, u64>)]
    failed_by_class: BTreeMap<&'static str, u64>,
    /// Calls that did not tell what they used.
    usage_missing: u64,
    /// Calls whose cost is not known.
    unpriced: u64,
    figures: Figures,
}

/// Failed calls by class; classes without any are left out.
pub(super) fn failed_by_class(stats: &Stats) -> BTreeMap<&'static str, u64> {
    let classes = ErrorClass::ALL.into_iter().map(|class| (class.name(), stats.failed_with(class)));
    classes.filter(|(_, count)| *count > 0).collect()
}

/// What was counted in a step.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StepBody {
    /// When it begins.
    at: u64,
    failed: u64,
    /// Failed calls by class; classes without any are left out.
    #[schema(value_type = BTreeMap<String, u64>)]
    failed_by_class: BTreeMap<&'static str, u64>,
    figures: Figures,
}

impl StepBody {
    /// Those of all series together, which are one or none.
    pub(super) fn of(together: &Answer) -> Vec<Self> {
        let points = together.series.iter().flat_map(|series| &series.points);
        let step = |Point { begin, stats }: &Point| Self {
            at: millis(*begin),
            failed: stats.failed(),
            failed_by_class: failed_by_class(stats),
            figures: Figures::of(stats, together.step),
        };
        points.map(step).collect()
    }
}

impl Totals {
    pub(super) fn of(stats: &Stats, length: u64) -> Self {
        Self {
            requests: stats.requests,
            failed: stats.failed(),
            failed_by_class: failed_by_class(stats),
            usage_missing: stats.usage_missing,
            unpriced: stats.unpriced,
            figures: Figures::of(stats, length),
        }
    }
}

/// What a window of a monitor knew.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct SnapshotBody {
    /// The end of the window.
    at: u64,
    window_seconds: u64,
    requests: u64,
    figures: Figures,
}

impl From<&Snapshot> for SnapshotBody {
    fn from(snapshot: &Snapshot) -> Self {
        Self {
            at: millis(snapshot.at),
            window_seconds: snapshot.length / monitor::SECOND,
            requests: snapshot.requests,
            figures: Figures::of_snapshot(snapshot),
        }
    }
}
