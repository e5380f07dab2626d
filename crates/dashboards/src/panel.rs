//! What a panel is.

use crate::metric::{Kind, Metric};

/// A row of panels under one title.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) panels: &'static [Panel],
}

/// One panel: what it shows, and how.
#[derive(Debug)]
pub(crate) struct Panel {
    /// Names it within the dashboard: lower case and hyphens.
    pub(crate) key: &'static str,
    pub(crate) title: &'static str,
    /// What it shows, for the reader of the dashboard.
    pub(crate) description: &'static str,
    pub(crate) unit: Unit,
    pub(crate) view: View,
    pub(crate) query: Query,
    /// Attributes by which it shows one curve, bar, slice or line each.
    pub(crate) by: &'static [&'static str],
    /// From where on the value is a warning, and from where on worse.
    pub(crate) thresholds: Option<[f64; 2]>,
    pub(crate) on: On,
}

/// The backends that have what the panel shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    All,
    /// It needs error records, which are logs.
    SigNoz,
    /// It needs exemplars, which SigNoz does not keep.
    Prometheus,
}

/// The unit of what is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Number,
    Seconds,
    Dollars,
    /// A part of one.
    Share,
    Bytes,
}

/// How it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// One number over the whole time that is looked at.
    Number,
    /// Shares of the whole time.
    Pie,
    /// Curves over time.
    Lines,
    /// Stacked bars over time.
    Bars,
    /// Records, the newest first.
    List,
}

impl View {
    /// Whether it shows the course of time, in steps.
    pub(crate) const fn is_over_time(self) -> bool {
        matches!(self, Self::Lines | Self::Bars)
    }

    /// Width in twelfths of the page.
    pub(crate) const fn width(self) -> u32 {
        match self {
            Self::Number => 2,
            Self::Pie | Self::Lines | Self::Bars => 6,
            Self::List => 12,
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Query {
    /// By how much it has grown, in the whole time or in a step.
    Growth(Measure),
    /// The same a second.
    Rate(Measure),
    /// The growth of one as a part of the growth of another.
    Share(Measure, Measure),
    /// Percentiles of a histogram.
    Percentiles(&'static Metric, &'static [Filter], &'static [u8]),
    /// The value of a gauge.
    Latest(&'static Metric),
    /// The value of a gauge as a part of the value of another.
    Fill(&'static Metric, &'static Metric),
    /// Error records.
    ErrorRecords,
}

/// A number of a metric that grows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measure {
    pub(crate) metric: &'static Metric,
    pub(crate) part: Part,
    pub(crate) filters: &'static [Filter],
}

/// Which number of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Of a counter, its value.
    Value,
    /// Of a histogram, how much was measured.
    Count,
}

impl Measure {
    pub(crate) const fn of(metric: &'static Metric, filters: &'static [Filter]) -> Self {
        assert!(matches!(metric.kind, Kind::Counter));
        Self { metric, part: Part::Value, filters }
    }

    pub(crate) const fn count(metric: &'static Metric, filters: &'static [Filter]) -> Self {
        assert!(matches!(metric.kind, Kind::Histogram));
        Self { metric, part: Part::Count, filters }
    }
}

/// A condition on an attribute.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Filter {
    Is(&'static str, &'static str),
    IsNot(&'static str, &'static str),
    OneOf(&'static str, &'static [&'static str]),
    Exists(&'static str),
}
