//! An OTLP metrics request as text for a scraper: OpenMetrics 1.0, or the older Prometheus text format 0.0.4. Pure.
//!
//! Names are translated as Prometheus does for OTLP (`names`); resource attributes are plain labels of every sample, as they
//! are those of applications: `target_info` tells of Spanmill alone. Samples carry no timestamps, so that a scraper notices when a series ends, and
//! there is no `_created`: without a feature flag Prometheus stores it as one more series per series.

use std::{fmt, io};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, HistogramDataPoint, NumberDataPoint, exemplar, number_data_point,
};

use crate::families::{self, Escaped, Family, Point, Series};
use crate::names::Kind;

/// The text formats a scraper may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0: with exemplars and units.
    OpenMetrics,
    /// Prometheus text format 0.0.4.
    PrometheusText,
}

impl Format {
    /// The format an `Accept` header likes best; on a tie OpenMetrics. [`Format::PrometheusText`] if it names neither:
    /// every scraper reads that, and a person with a browser sees the numbers.
    pub fn negotiate(accept: &str) -> Format {
        let offers = accept.split(',').filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let media_type = parts.next()?.to_ascii_lowercase();
            let parameter = |name: &str| {
                parts.clone().filter_map(|part| part.split_once('=')).find(|(key, _)| key.eq_ignore_ascii_case(name))
            };
            let version = parameter("version").map_or("", |(_, version)| version.trim_matches('"'));
            let quality = parameter("q").map_or(Some(1.0), |(_, quality)| quality.parse::<f32>().ok())?;
            let format = match media_type.as_str() {
                "application/openmetrics-text" if version.is_empty() || version == "1.0.0" => Format::OpenMetrics,
                "text/plain" | "text/*" | "*/*" => Format::PrometheusText,
                _ => return None,
            };
            (quality > 0.0).then_some((quality, format))
        });
        let best = offers.reduce(|best, offer| match offer.0.total_cmp(&best.0) {
            std::cmp::Ordering::Greater => offer,
            std::cmp::Ordering::Equal if offer.1 == Format::OpenMetrics => offer,
            _ => best,
        });
        best.map_or(Format::PrometheusText, |(_, format)| format)
    }

    /// The `Content-Type` of the answer.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Format::PrometheusText => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Writes cumulative sums, explicit histograms and gauges, behind what says which `target` is scraped. The same request in another order gives
/// the same text, some 20 KB for each series of calls.
///
/// # Errors
/// Those of `out`.
pub fn write(
    out: &mut impl io::Write,
    target: &[KeyValue],
    request: &ExportMetricsServiceRequest,
    format: Format,
) -> io::Result<()> {
    out.write_all(target_info(target, format).as_bytes())?;
    let mut page = Page { out, format };
    for (name, family) in families::collect(request) {
        page.family(&name, &family)?;
    }
    if format == Format::OpenMetrics {
        page.out.write_all(b"# EOF\n")?;
    }
    Ok(())
}

/// The text of a request.
#[cfg(test)]
pub(crate) fn render(request: &ExportMetricsServiceRequest, format: Format) -> String {
    let mut page = Vec::new();
    write(&mut page, &[], request, format).expect("memory takes all");
    String::from_utf8(page).expect("text")
}

/// The family that says what was scraped.
fn target_info(attributes: &[KeyValue], format: Format) -> String {
    if attributes.is_empty() {
        return String::new();
    }
    let (family, kind) = match format {
        Format::OpenMetrics => ("target", "info"),
        Format::PrometheusText => ("target_info", "gauge"),
    };
    let labels = families::labels(attributes, &[]);
    format!("# HELP {family} What is scraped here\n# TYPE {family} {kind}\ntarget_info{{{labels}}} 1\n")
}

/// Where the text goes.
struct Page<'a, W> {
    out: &'a mut W,
    format: Format,
}

impl<W: io::Write> Page<'_, W> {
    fn family(&mut self, name: &str, family: &Family<'_>) -> io::Result<()> {
        let sample_name = match family.kind {
            Kind::Counter => format!("{name}_total"),
            Kind::Gauge | Kind::Histogram => name.to_owned(),
        };
        self.head(name, &sample_name, family)?;
        for Series { labels, point } in &family.series {
            match point {
                Point::Number(point) => self.number(&sample_name, labels, family.kind, point)?,
                Point::Histogram(point) => self.histogram(name, labels, point)?,
            }
        }
        Ok(())
    }

    /// OpenMetrics names the family; the older format names a counter as its samples are named, and knows no units.
    fn head(&mut self, family_name: &str, sample_name: &str, family: &Family<'_>) -> io::Result<()> {
        let name = match self.format {
            Format::OpenMetrics => family_name,
            Format::PrometheusText => sample_name,
        };
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        if !family.help.is_empty() {
            match self.format {
                Format::OpenMetrics => writeln!(self.out, "# HELP {name} {}", Escaped(family.help))?,
                // The older format leaves quotes as they are in a help text.
                Format::PrometheusText => {
                    let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
                    writeln!(self.out, "# HELP {name} {help}")?;
                }
            }
        }
        writeln!(self.out, "# TYPE {name} {kind}")?;
        if let (Format::OpenMetrics, Some(unit)) = (self.format, &family.unit) {
            writeln!(self.out, "# UNIT {name} {unit}")?;
        }
        Ok(())
    }

    fn number(&mut self, name: &str, labels: &str, kind: Kind, point: &NumberDataPoint) -> io::Result<()> {
        let value = match point.value {
            Some(number_data_point::Value::AsInt(value)) => value.to_string(),
            Some(number_data_point::Value::AsDouble(value)) => Number(value).to_string(),
            None => return Ok(()),
        };
        // OpenMetrics knows no exemplar of a gauge.
        let exemplar = if kind == Kind::Counter { latest(point.exemplars.iter()) } else { None };
        self.sample(name, labels, &value, exemplar)
    }

    /// Buckets count what is at or below their bound; the last one, `+Inf`, is the count, so a point whose buckets do not
    /// fit its bounds still gives a valid histogram, of that one bucket.
    fn histogram(&mut self, name: &str, labels: &str, point: &HistogramDataPoint) -> io::Result<()> {
        let bucket_name = format!("{name}_bucket");
        let separator = if labels.is_empty() { "" } else { "," };
        let buckets_fit = point.bucket_counts.len() == point.explicit_bounds.len() + 1;
        let bounds = if buckets_fit { &point.explicit_bounds[..] } else { &[] };
        let mut below = f64::NEG_INFINITY;
        let mut count = 0u64;
        for (bound, bucket_count) in bounds.iter().zip(&point.bucket_counts) {
            count = count.saturating_add(*bucket_count);
            let bucket_labels = format!("{labels}{separator}le=\"{}\"", Number(*bound));
            self.sample(&bucket_name, &bucket_labels, &count.to_string(), latest_within(point, below, *bound))?;
            below = *bound;
        }
        let all_labels = format!("{labels}{separator}le=\"+Inf\"");
        let all = point.count.to_string();
        self.sample(&bucket_name, &all_labels, &all, latest_within(point, below, f64::INFINITY))?;
        if let Some(sum) = point.sum {
            self.sample(&format!("{name}_sum"), labels, &Number(sum).to_string(), None)?;
        }
        // OpenMetrics has both or none.
        if point.sum.is_some() || self.format == Format::PrometheusText {
            self.sample(&format!("{name}_count"), labels, &all, None)?;
        }
        Ok(())
    }

    fn sample(&mut self, name: &str, labels: &str, value: &str, exemplar: Option<&Exemplar>) -> io::Result<()> {
        self.out.write_all(name.as_bytes())?;
        if !labels.is_empty() {
            write!(self.out, "{{{labels}}}")?;
        }
        write!(self.out, " {value}")?;
        if let (Format::OpenMetrics, Some(exemplar)) = (self.format, exemplar) {
            self.exemplar(exemplar)?;
        }
        self.out.write_all(b"\n")
    }

    /// The two ids make 63 of the 128 characters that OpenMetrics allows, so other attributes are left out.
    fn exemplar(&mut self, exemplar: &Exemplar) -> io::Result<()> {
        let Some(value) = exemplar_value(exemplar) else {
            return Ok(());
        };
        let trace_id = families::hex(&exemplar.trace_id);
        let span_id = families::hex(&exemplar.span_id);
        let value = Number(value);
        write!(self.out, " # {{trace_id=\"{trace_id}\",span_id=\"{span_id}\"}} {value}")?;
        if exemplar.time_unix_nano > 0 {
            let milliseconds = exemplar.time_unix_nano / 1_000_000;
            write!(self.out, " {}.{:03}", milliseconds / 1000, milliseconds % 1000)?;
        }
        Ok(())
    }
}

fn exemplar_value(exemplar: &Exemplar) -> Option<f64> {
    match exemplar.value? {
        exemplar::Value::AsDouble(value) => Some(value),
        exemplar::Value::AsInt(value) => Some(value as f64),
    }
}

/// The newest exemplar that leads to a trace.
fn latest<'a>(exemplars: impl Iterator<Item = &'a Exemplar>) -> Option<&'a Exemplar> {
    exemplars
        .filter(|exemplar| exemplar.trace_id.len() == 16 && exemplar.span_id.len() == 8)
        .max_by_key(|exemplar| exemplar.time_unix_nano)
}

fn latest_within(point: &HistogramDataPoint, below: f64, bound: f64) -> Option<&Exemplar> {
    latest(
        point
            .exemplars
            .iter()
            .filter(|exemplar| exemplar_value(exemplar).is_some_and(|value| value > below && value <= bound)),
    )
}

/// A number as Go's `strconv` writes it, the form OpenMetrics calls canonical: `le="1.0"`, `le="1e+06"`. Other forms make
/// other series of the same bucket in older Prometheus versions.
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0;
        if value.is_nan() {
            return formatter.write_str("NaN");
        }
        if value.is_infinite() {
            return formatter.write_str(if value > 0.0 { "+Inf" } else { "-Inf" });
        }
        let scientific = format!("{value:e}");
        let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        match exponent.parse::<i32>().unwrap_or(0) {
            -4..6 => write!(formatter, "{value:?}"),
            exponent @ 6.. => write!(formatter, "{mantissa}e+{exponent:02}"),
            exponent => write!(formatter, "{mantissa}e-{:02}", exponent.unsigned_abs()),
        }
    }
}

#[cfg(test)]
#[path = "openmetrics_tests.rs"]
mod tests;
