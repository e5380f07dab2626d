//! Turns what was measured into OTLP messages: the metrics of ARCHITECTURE.md, and error records as logs.

use std::collections::BTreeMap;
use std::sync::Arc;

use genai::Money;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use otlp::exponential::Exponential;
use otlp::logs::Log;
use otlp::metrics::{
    AggregationTemporality, Description, Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, Metric,
    NumberDataPoint, boolean, double, exemplar, number_data_point, text,
};
use prost::Message as _;

use crate::descriptions::{
    COST, CallMetrics, EVALUATION_SCORE, EVALUATIONS, EXECUTE_TOOL_DURATION, ID_CONFLICTS, INCONSISTENT,
    INVOKE_AGENT_DURATION, PRICED_CALLS, REQUESTS, SETTLED_EARLY, SPANS, Semconv, TIME_PER_OUTPUT_TOKEN, TOKEN_CLASSES,
};
use crate::errors::{Details, ErrorRecord, ErrorText};
use crate::histogram::{Histogram, SCORES, SECONDS, TOKEN_SECONDS, TOKENS};
use crate::instruments::{Instruments, duration_bounds};
use crate::key::{Key, Kind, Layout, common_dimensions};
use crate::pricing::{Costs, Coverage};
use crate::series::Series;
use crate::tally::{Counted, Tally};

/// A closed metrics interval, ready to be sent.
#[derive(Debug, Clone, Default)]
pub struct Interval {
    /// What was measured in it, if any destination wants delta and there is anything.
    pub delta: Forms<Option<Arc<ExportMetricsServiceRequest>>>,
    /// All that was ever measured, if any destination wants cumulative.
    pub cumulative: Forms<Option<Arc<ExportMetricsServiceRequest>>>,
    /// The failures of the interval, if there were any and any destination wants them.
    pub errors: Option<Arc<ExportLogsServiceRequest>>,
}

/// How distributions are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Histograms {
    /// With fixed bounds.
    Explicit,
    /// Exponential, but for scores, which always have fixed bounds.
    Exponential,
}

/// Something for each way of telling distributions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Forms<T> {
    /// With fixed bounds.
    pub explicit: T,
    /// Exponential.
    pub exponential: T,
}

impl<T> Forms<T> {
    /// Something else made of what there is for each way.
    pub fn map<U>(self, mut make: impl FnMut(Histograms, T) -> U) -> Forms<U> {
        let Self { explicit, exponential } = self;
        Forms {
            explicit: make(Histograms::Explicit, explicit),
            exponential: make(Histograms::Exponential, exponential),
        }
    }

    /// What there is for one way.
    pub fn of(&self, histograms: Histograms) -> &T {
        match histograms {
            Histograms::Explicit => &self.explicit,
            Histograms::Exponential => &self.exponential,
        }
    }
}

/// The time that a collection of points covers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) temporality: AggregationTemporality,
    pub(crate) histograms: Histograms,
    /// Start of delta points; cumulative points start when their series did.
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// Gathers points into one request.
pub(crate) struct Collector<'a> {
    layout: &'a Layout,
    metrics: &'static CallMetrics,
    window: Window,
    /// Points by the values of the kept resource attributes.
    resources: BTreeMap<Vec<Option<&'a [u8]>>, Points>,
}

/// The points of one resource, by the name of the metric.
#[derive(Default)]
struct Points {
    histograms: BTreeMap<&'static str, (Description, Distributions)>,
    sums: BTreeMap<&'static str, (Description, Vec<NumberDataPoint>)>,
}

/// The points of one histogram, each in the form in which it is told.
#[derive(Default)]
struct Distributions {
    explicit: Vec<HistogramDataPoint>,
    exponential: Vec<ExponentialHistogramDataPoint>,
}

impl<'a> Collector<'a> {
    pub(crate) fn new(layout: &'a Layout, semconv: Semconv, window: Window) -> Self {
        Self { layout, metrics: semconv.call_metrics(), window, resources: BTreeMap::new() }
    }

    /// Adds the points of a series.
    pub(crate) fn series(&mut self, series: &'a Series, measured: &Instruments) {
        let key = Key::new(&series.key);
        let kept = self.layout.resource_attributes.len();
        let resource: Vec<Option<&[u8]>> = key.values().take(kept).collect();
        let kind = series.kind.unwrap_or(Kind::Call);
        let attributes = point_attributes(self.layout, key, kind);
        let start = match self.window.temporality {
            AggregationTemporality::Delta => self.window.start,
            _ => series.start,
        };
        let shape = PointShape { start, end: self.window.end, histograms: self.window.histograms, attributes };
        let points = self.resources.entry(resource).or_default();
        match kind {
            Kind::Call => {
                let operation = key.common(self.layout, "gen_ai.operation.name");
                points.add_calls(&shape, measured, self.metrics, operation == Some(b"embeddings"));
            }
            Kind::Agent => points.add_durations(INVOKE_AGENT_DURATION, kind, &shape, measured),
            Kind::Tool => points.add_durations(EXECUTE_TOOL_DURATION, kind, &shape, measured),
            Kind::Evaluation => points.add_evaluations(&shape, measured),
        }
    }

    /// Adds what was counted of the work itself, which belongs to no application.
    pub(crate) fn tally(&mut self, tally: &Tally, start: u64) {
        if tally.is_empty() {
            return;
        }
        let resource = vec![None; self.layout.resource_attributes.len()];
        let points = self.resources.entry(resource).or_default();
        let Window { end, histograms, .. } = self.window;
        let shape = |attributes| PointShape { start, end, histograms, attributes };
        for (what, count) in tally.sorted() {
            match what {
                Counted::Span(outcome, reason) => {
                    let shape = shape(vec![text("outcome", outcome.name()), text("reason", reason)]);
                    points.sum(SPANS, shape.number(count, None));
                }
                Counted::Inconsistent(reason) => {
                    let shape = shape(vec![text("reason", reason.name())]);
                    points.sum(INCONSISTENT, shape.number(count, None));
                }
                Counted::SettledEarly => points.sum(SETTLED_EARLY, shape(Vec::new()).number(count, None)),
                Counted::IdConflict => points.sum(ID_CONFLICTS, shape(Vec::new()).number(count, None)),
            }
        }
    }

    /// The request; `None` if there is nothing to tell.
    pub(crate) fn finish(self, instance_id: &str) -> Option<ExportMetricsServiceRequest> {
        if self.resources.is_empty() {
            return None;
        }
        let resource_metrics = self
            .resources
            .into_iter()
            .map(|(values, points)| ResourceMetrics {
                resource: Some(resource(self.layout, &values, instance_id)),
                scope_metrics: vec![ScopeMetrics {
                    scope: Some(scope()),
                    metrics: points.metrics(self.window.temporality),
                    schema_url: String::new(),
                }],
                schema_url: String::new(),
            })
            .collect();
        Some(ExportMetricsServiceRequest { resource_metrics })
    }
}

fn resource(layout: &Layout, values: &[Option<&[u8]>], instance_id: &str) -> Resource {
    let mut attributes = present(layout.resource_attributes.iter().map(String::as_str), values.iter().copied());
    attributes.push(text("collector.instance.id", instance_id));
    Resource { attributes, ..Resource::default() }
}

/// The attributes among `names` that have a value.
fn present<'a>(names: impl Iterator<Item = &'a str>, values: impl Iterator<Item = Option<&'a [u8]>>) -> Vec<KeyValue> {
    names.zip(values).filter_map(|(name, value)| Some(text(name, String::from_utf8_lossy(value?)))).collect()
}

/// Name and version of what writes the messages. Backends store them as labels, so they are constant.
fn scope() -> InstrumentationScope {
    InstrumentationScope { name: "spanmill".to_owned(), ..InstrumentationScope::default() }
}

fn point_attributes(layout: &Layout, key: Key<'_>, kind: Kind) -> Vec<KeyValue> {
    let mut values = key.values().skip(layout.resource_attributes.len()).peekable();
    if values.peek().is_none() {
        return vec![boolean("otel.metric.overflow", true)];
    }
    let common = common_dimensions(kind);
    let mut attributes = present(common.iter().copied(), values.by_ref().take(common.len()));
    // A dimension that this kind of series has anyway stands there once.
    let is_new = |attribute: &KeyValue| !common.contains(&attribute.key.as_str());
    attributes.extend(present(layout.dimensions.iter().map(String::as_str), values).into_iter().filter(is_new));
    attributes
}

impl Points {
    fn histogram(&mut self, metric: Description) -> &mut Distributions {
        &mut self.histograms.entry(metric.name).or_insert_with(|| (metric, Distributions::default())).1
    }

    fn sum(&mut self, metric: Description, point: NumberDataPoint) {
        self.sums.entry(metric.name).or_insert_with(|| (metric, Vec::new())).1.push(point);
    }

    fn add_calls(&mut self, shape: &PointShape, measured: &Instruments, metrics: &CallMetrics, is_embeddings: bool) {
        let duration = if is_embeddings { metrics.embeddings_duration } else { metrics.inference_duration };
        self.add_durations(duration, Kind::Call, shape, measured);
        for (metric, token_type, histogram) in [
            (metrics.input_tokens, "input", &measured.input_tokens),
            (metrics.output_tokens, "output", &measured.output_tokens),
        ] {
            let token_type = metrics.tells_token_type.then(|| text("gen_ai.token.type", token_type));
            self.histogram(metric).add(shape, histogram, TOKENS, token_type);
        }
        self.histogram(metrics.time_to_first_chunk).add(shape, &measured.time_to_first_chunk, SECONDS, None);
        self.histogram(TIME_PER_OUTPUT_TOKEN).add(shape, &measured.time_per_output_token, TOKEN_SECONDS, None);
        // Both outcomes are always there, so that an error rate of nothing shows as 0 and not as absent.
        for (outcome, count) in [("success", measured.succeeded), ("error", measured.failed)] {
            self.sum(REQUESTS, shape.number(count, Some(text("outcome", outcome))));
        }
        if measured.usage_reported {
            let classes = &measured.tokens;
            for (class, count) in [
                ("input_uncached", classes.input_uncached),
                ("cache_read", classes.cache_read),
                ("cache_write", classes.cache_write),
                ("output_visible", classes.output_visible),
                ("reasoning", classes.reasoning),
            ] {
                self.sum(TOKEN_CLASSES, shape.number(count, Some(text("class", class))));
            }
            for (metric, tokens) in metrics.usage {
                self.sum(*metric, shape.number(tokens(classes), Some(text("gen_ai.token.modality", "unknown"))));
            }
        }
        self.add_costs(shape, &measured.costs);
    }

    fn add_durations(&mut self, metric: Description, kind: Kind, shape: &PointShape, measured: &Instruments) {
        for (class, histogram) in &measured.durations {
            let failure = class.map(|class| text("error.type", class.metric_value()));
            self.histogram(metric).add(shape, histogram, duration_bounds(kind), failure);
        }
    }

    fn add_evaluations(&mut self, shape: &PointShape, measured: &Instruments) {
        self.sum(EVALUATIONS, shape.number(measured.evaluations, None));
        self.histogram(EVALUATION_SCORE).explicit.extend(shape.scores(&measured.scores));
    }

    fn add_costs(&mut self, shape: &PointShape, costs: &Costs) {
        for coverage in Coverage::ALL.into_iter().filter(|coverage| costs.of(*coverage) > 0) {
            self.sum(PRICED_CALLS, shape.number(costs.of(coverage), Some(text("coverage", coverage.name()))));
        }
        let mut point = |class: &str, source: &str, amount: Money| {
            let mut attributes = shape.attributes(Some(text("class", class)));
            attributes.push(text("source", source));
            self.sum(COST, shape.amount(amount, attributes));
        };
        if costs.of(Coverage::Priced) + costs.of(Coverage::Estimated) > 0 || costs.catalogue.total() > Money::ZERO {
            for (class, amount) in costs.catalogue.by_class() {
                // Few providers bill requests.
                if class != "request" || amount > Money::ZERO {
                    point(class, "catalogue", amount);
                }
            }
        }
        if costs.of(Coverage::Supplied) > 0 || costs.supplied > Money::ZERO {
            point("total", "supplied", costs.supplied);
        }
    }

    fn metrics(self, temporality: AggregationTemporality) -> Vec<Metric> {
        let histograms = self.histograms.into_values();
        let histograms = histograms.flat_map(|(description, points)| points.metrics(description, temporality));
        let sums = self.sums.into_values().map(|(description, points)| description.sum(temporality, points));
        histograms.chain(sums).collect()
    }
}

impl Distributions {
    /// Adds a point, if anything was measured.
    fn add(&mut self, shape: &PointShape, histogram: &Histogram, bounds: &[f64], more: Option<KeyValue>) {
        match &histogram.exponential {
            Some(exponential) if shape.histograms == Histograms::Exponential => {
                self.exponential.push(shape.exponential(histogram, exponential, more));
            }
            _ => self.explicit.extend(shape.histogram(histogram, bounds, more)),
        }
    }

    fn metrics(self, description: Description, temporality: AggregationTemporality) -> impl Iterator<Item = Metric> {
        let explicit = (!self.explicit.is_empty()).then(|| description.histogram(temporality, self.explicit));
        let exponential =
            (!self.exponential.is_empty()).then(|| description.exponential_histogram(temporality, self.exponential));
        explicit.into_iter().chain(exponential)
    }
}

/// What all points of a series share.
struct PointShape {
    start: u64,
    end: u64,
    histograms: Histograms,
    attributes: Vec<KeyValue>,
}

impl PointShape {
    fn attributes(&self, more: Option<KeyValue>) -> Vec<KeyValue> {
        self.attributes.iter().cloned().chain(more).collect()
    }

    fn number(&self, count: u64, more: Option<KeyValue>) -> NumberDataPoint {
        let count = number_data_point::Value::AsInt(i64::try_from(count).unwrap_or(i64::MAX));
        self.point(count, self.attributes(more))
    }

    /// An amount in dollars: the one place where money becomes a double.
    fn amount(&self, amount: Money, attributes: Vec<KeyValue>) -> NumberDataPoint {
        self.point(number_data_point::Value::AsDouble(amount.dollars()), attributes)
    }

    fn point(&self, value: number_data_point::Value, attributes: Vec<KeyValue>) -> NumberDataPoint {
        NumberDataPoint {
            attributes,
            start_time_unix_nano: self.start,
            time_unix_nano: self.end,
            value: Some(value),
            ..NumberDataPoint::default()
        }
    }

    /// Scores. Bounds below zero are told where a score lies there, and then no sum: OTLP has none of measurements that can be
    /// negative, and OpenMetrics none beside bounds that are.
    fn scores(&self, scores: &Histogram) -> Option<HistogramDataPoint> {
        let mut point = self.histogram(scores, SCORES, None)?;
        if scores.min < 0.0 {
            point.sum = None;
            return Some(point);
        }
        let negative = SCORES.partition_point(|bound| *bound < 0.0);
        point.explicit_bounds.drain(..negative);
        point.bucket_counts.drain(..negative);
        Some(point)
    }

    fn histogram(&self, histogram: &Histogram, bounds: &[f64], more: Option<KeyValue>) -> Option<HistogramDataPoint> {
        if histogram.is_empty() {
            return None;
        }
        Some(HistogramDataPoint {
            attributes: self.attributes(more),
            start_time_unix_nano: self.start,
            time_unix_nano: self.end,
            count: histogram.count,
            sum: Some(histogram.sum),
            bucket_counts: histogram.counts.to_vec(),
            explicit_bounds: bounds.to_vec(),
            exemplars: exemplars(histogram),
            min: Some(histogram.min),
            max: Some(histogram.max),
            ..HistogramDataPoint::default()
        })
    }

    fn exponential(
        &self,
        histogram: &Histogram,
        exponential: &Exponential,
        more: Option<KeyValue>,
    ) -> ExponentialHistogramDataPoint {
        let mut point = ExponentialHistogramDataPoint {
            attributes: self.attributes(more),
            start_time_unix_nano: self.start,
            time_unix_nano: self.end,
            sum: Some(histogram.sum),
            exemplars: exemplars(histogram),
            min: Some(histogram.min),
            max: Some(histogram.max),
            ..ExponentialHistogramDataPoint::default()
        };
        exponential.write(&mut point);
        point
    }
}

fn exemplars(histogram: &Histogram) -> Vec<Exemplar> {
    let exemplar = |(_, measured): &(u8, crate::histogram::Exemplar)| Exemplar {
        filtered_attributes: Vec::new(),
        time_unix_nano: measured.time,
        span_id: measured.span_id.to_vec(),
        trace_id: measured.trace_id.to_vec(),
        value: Some(exemplar::Value::AsDouble(measured.value)),
    };
    histogram.exemplars.iter().map(exemplar).collect()
}

/// Error records as OTLP logs that lead to their traces, each with the resource of its span.
pub(crate) fn error_logs(
    records: &[(&ErrorRecord, Option<Box<Details>>)],
    instance_id: &str,
) -> Option<ExportLogsServiceRequest> {
    let mut origins: BTreeMap<(&[u8], &str), Vec<LogRecord>> = BTreeMap::new();
    for (record, details) in records {
        let resource = details.as_ref().map_or(&[][..], |details| &details.resource);
        let more = details.as_ref().map(|details| details.attributes()).unwrap_or_default();
        origins.entry((resource, record.text(ErrorText::Service))).or_default().push(error_log(record, more));
    }
    if origins.is_empty() {
        return None;
    }
    let resource_logs = origins
        .into_iter()
        .map(|((resource, service), log_records)| ResourceLogs {
            resource: Some(origin(resource, service, instance_id)),
            scope_logs: vec![ScopeLogs { scope: Some(scope()), log_records, schema_url: String::new() }],
            schema_url: String::new(),
        })
        .collect();
    Some(ExportLogsServiceRequest { resource_logs })
}

/// The resource as it was received; if it is not known, the service.
fn origin(message: &[u8], service: &str, instance_id: &str) -> Resource {
    const INSTANCE: &str = "collector.instance.id";
    let mut resource = Resource::decode(message).unwrap_or_default();
    if resource.attributes.is_empty() && !service.is_empty() {
        resource.attributes.push(text("service.name", service));
    }
    resource.attributes.retain(|attribute| attribute.key != INSTANCE);
    resource.attributes.push(text(INSTANCE, instance_id));
    resource
}

fn error_log(record: &ErrorRecord, more: Vec<KeyValue>) -> LogRecord {
    let told = [
        ("gen_ai.operation.name", ErrorText::Operation),
        ("gen_ai.provider.name", ErrorText::Provider),
        ("gen_ai.request.model", ErrorText::RequestModel),
        ("gen_ai.response.model", ErrorText::ResponseModel),
        ("error.type", ErrorText::Kind),
        ("span.name", ErrorText::SpanName),
    ];
    let mut attributes: Vec<KeyValue> = told
        .into_iter()
        .map(|(name, which)| (name, record.text(which)))
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| text(name, value))
        .collect();
    attributes.push(text("spanmill.error.class", record.class.name()));
    attributes.push(text("spanmill.error.group", format!("{:016x}", record.fingerprint)));
    if let Some(nanos) = record.duration {
        attributes.push(double("gen_ai.client.operation.duration", crate::call::seconds(nanos)));
    }
    attributes.extend(more);
    let message = record.text(ErrorText::Message);
    let body = if message.is_empty() { record.class.name() } else { message }.to_owned();
    Log {
        time: record.time,
        observed: record.receive_time,
        body,
        event_name: "spanmill.error",
        trace_id: record.trace_id,
        span_id: record.span_id,
        attributes,
    }
    .error()
}
