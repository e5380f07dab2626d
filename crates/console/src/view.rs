//! What a page or an answer looks at: a time and a filter. They stand in its address, so that it can be passed on.

use monitor::{DAY, Dimension, EVALUATION_STEP, Filter, HOUR, MINUTE, Range, SECOND};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::params::check_text;
use crate::problem::Problem;

/// What is kept in text of an address.
pub(crate) const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// Steps of charts; a chart has the shortest with which there are at most [`MOST_STEPS`].
const STEPS: [u64; 16] = [
    10 * SECOND,
    20 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
];
/// Steps that a chart of a page has at most.
const MOST_STEPS: u64 = 75;
/// Steps that an answer of the API has at most.
const MOST_STEPS_ASKED: u64 = 1_500;
/// The shortest and the longest time that is looked at.
const LENGTHS: std::ops::RangeInclusive<u64> = MINUTE..=31 * DAY;
const NANOS_PER_MILLI: u64 = 1_000_000;
/// The end of the year 2500: what is beyond cannot be told in nanoseconds.
const MOST_MILLIS: u64 = 16_725_225_599_999;

/// A time that ends now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) enum Last {
    #[serde(rename = "15m")]
    QuarterHour,
    #[default]
    #[serde(rename = "1h")]
    Hour,
    #[serde(rename = "6h")]
    SixHours,
    #[serde(rename = "24h")]
    Day,
    #[serde(rename = "7d")]
    Week,
    #[serde(rename = "30d")]
    Month,
}

impl Last {
    pub(crate) const ALL: [Self; 6] =
        [Self::QuarterHour, Self::Hour, Self::SixHours, Self::Day, Self::Week, Self::Month];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::QuarterHour => "15m",
            Self::Hour => "1h",
            Self::SixHours => "6h",
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Month => "30d",
        }
    }

    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::QuarterHour => "15 minutes",
            Self::Hour => "hour",
            Self::SixHours => "6 hours",
            Self::Day => "24 hours",
            Self::Week => "7 days",
            Self::Month => "30 days",
        }
    }

    const fn length(self) -> u64 {
        match self {
            Self::QuarterHour => 15 * MINUTE,
            Self::Hour => HOUR,
            Self::SixHours => 6 * HOUR,
            Self::Day => DAY,
            Self::Week => 7 * DAY,
            Self::Month => 30 * DAY,
        }
    }
}

/// Which time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Span {
    /// One that ends now.
    Last(Last),
    /// A certain one.
    Between(Range),
}

/// A time, and a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) span: Span,
    /// At most one value of each dimension.
    pub(crate) filter: Filter,
}

/// Query parameters that say which time, and others. Without `flatten`, which would let unknown ones pass.
macro_rules! time_params {
    ($(#[$about:meta])* $name:ident { $($(#[$field_about:meta])* $field:ident: $kind:ty,)* }) => {
        $(#[$about])*
        #[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
        #[serde(deny_unknown_fields)]
        #[into_params(parameter_in = Query)]
        pub(crate) struct $name {
            /// How long a time is: 15m, 1h (if it is not said), 6h, 24h, 7d or 30d. It ends now, unless `from` or `to` say otherwise.
            #[param(inline)]
            pub(crate) range: Option<$crate::view::Last>,
            /// The beginning of the time, milliseconds since the Unix epoch. With `to`, `range` is not read.
            #[param(maximum = 16_725_225_599_999_u64)]
            pub(crate) from: Option<u64>,
            /// Its end: what is further than 31 days before it is left out, and it is a minute behind the beginning at least.
            #[param(maximum = 16_725_225_599_999_u64)]
            pub(crate) to: Option<u64>,
            $($(#[$field_about])* pub(crate) $field: $kind,)*
        }

        impl $name {
            pub(crate) fn span(&self) -> Result<$crate::view::Span, $crate::problem::Problem> {
                $crate::view::Span::new(self.range, self.from, self.to)
            }
        }
    };
}
pub(crate) use time_params;

/// The same, which calls, and others.
macro_rules! view_params {
    ($(#[$about:meta])* $name:ident { $($(#[$field_about:meta])* $field:ident: $kind:ty,)* }) => {
        $crate::view::time_params! {
            $(#[$about])*
            $name {
                /// Only calls of this `service.name`.
                #[param(max_length = 256, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
                service: Option<String>,
                /// Only calls of this `deployment.environment.name`.
                #[param(max_length = 256, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
                environment: Option<String>,
                /// Only calls to this provider.
                #[param(max_length = 256, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
                provider: Option<String>,
                /// Only calls that this model answered.
                #[param(max_length = 256, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
                model: Option<String>,
                /// Only calls of this operation.
                #[param(max_length = 256, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
                operation: Option<String>,
                $($(#[$field_about])* $field: $kind,)*
            }
        }

        impl $name {
            pub(crate) fn view(&self) -> Result<$crate::view::View, $crate::problem::Problem> {
                let Self { service, environment, provider, model, operation, .. } = self;
                let values = [service, environment, provider, model, operation].map(Option::as_deref);
                $crate::view::View::new(self.span()?, values)
            }
        }
    };
}
pub(crate) use view_params;

impl Span {
    pub(crate) fn new(last: Option<Last>, from: Option<u64>, to: Option<u64>) -> Result<Self, Problem> {
        if [from, to].into_iter().flatten().any(|millis| millis > MOST_MILLIS) {
            return Err(Problem::bad_request(format!("from or to is above {MOST_MILLIS}")));
        }
        let last = last.unwrap_or_default();
        let length = last.length() / NANOS_PER_MILLI;
        Ok(match (from, to) {
            (None, None) => Self::Last(last),
            (Some(from), Some(to)) => between(from, to),
            (Some(from), None) => between(from, from + length),
            (None, Some(to)) => between(to.saturating_sub(length), to),
        })
    }

    /// The time, if it is `now`.
    pub(crate) fn range(self, now: u64) -> Range {
        match self {
            Self::Last(last) => Range { from: now.saturating_sub(last.length()), to: now.saturating_add(1) },
            Self::Between(range) => range,
        }
    }
}

impl View {
    /// `values` stand in the order of [`Dimension::ALL`].
    pub(crate) fn new(span: Span, values: [Option<&str>; Dimension::ALL.len()]) -> Result<Self, Problem> {
        let mut accepted = Vec::new();
        for (dimension, value) in Dimension::ALL.into_iter().zip(values) {
            let Some(value) = value else { continue };
            check_text(dimension.name(), value)?;
            accepted.push((dimension, value.to_owned()));
        }
        Ok(Self { span, filter: Filter { accepted } })
    }

    /// The time, if it is `now`.
    pub(crate) fn range(&self, now: u64) -> Range {
        self.span.range(now)
    }

    pub(crate) fn value(&self, dimension: Dimension) -> Option<&str> {
        self.filter.accepted.iter().find(|(of, _)| *of == dimension).map(|(_, value)| &**value)
    }

    pub(crate) fn with(&self, span: Span) -> Self {
        Self { span, filter: self.filter.clone() }
    }

    /// For how long an answer is as good as new, nanoseconds: what is a day long changes little in a minute.
    pub(crate) fn lasts(&self) -> u64 {
        match self.span {
            Span::Last(Last::Day | Last::Week | Last::Month) => MINUTE,
            Span::Last(_) | Span::Between(_) => EVALUATION_STEP,
        }
    }

    /// The query string, without `?`.
    pub(crate) fn query(&self) -> String {
        let mut query = match self.span {
            Span::Last(last) => format!("range={}", last.name()),
            Span::Between(Range { from, to }) => format!("from={}&to={}", millis(from), millis(to)),
        };
        for (dimension, value) in &self.filter.accepted {
            query.push_str(&format!("&{}={}", dimension.name(), encoded(value)));
        }
        query
    }
}

/// A time within the lengths that are looked at: of a longer one the end, a shorter one longer.
fn between(from: u64, to: u64) -> Span {
    let [from, to] = [from, to].map(|millis| millis * NANOS_PER_MILLI);
    let (least, most) = (*LENGTHS.start(), *LENGTHS.end());
    let to = to.max(from + least);
    Span::Between(Range { from: from.max(to.saturating_sub(most)), to })
}

/// The step of a chart of a time.
pub(crate) fn step(range: Range) -> u64 {
    let fits = |step: &u64| range.length().div_ceil(*step) <= MOST_STEPS;
    STEPS.into_iter().find(fits).unwrap_or(2 * DAY)
}

/// The step that is asked for in so many seconds.
pub(crate) fn step_asked(seconds: Option<u32>) -> Result<Option<u64>, Problem> {
    let asked = seconds.map(|seconds| u64::from(seconds) * SECOND);
    match asked.is_none_or(|asked| (10 * SECOND..=31 * DAY).contains(&asked)) {
        true => Ok(asked),
        false => Err(Problem::bad_request("step is not 10 seconds to 31 days")),
    }
}

/// The step of an answer about a time: the one asked for, or a longer one if that were too many, or that of a chart.
pub(crate) fn step_of(range: Range, asked: Option<u64>) -> u64 {
    let least = range.length().div_ceil(MOST_STEPS_ASKED).next_multiple_of(10 * SECOND);
    asked.map_or_else(|| step(range), |asked| asked.max(least))
}

/// Milliseconds of nanoseconds.
pub(crate) const fn millis(nanos: u64) -> u64 {
    nanos / NANOS_PER_MILLI
}

/// A text as it may stand in a query or a path.
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}
