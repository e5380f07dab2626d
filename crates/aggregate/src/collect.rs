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

use crate::errors::{Details, ErrorRecord};
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

const TOKEN_USAGE: Description = Description {
    name: "gen_ai.client.token.usage",
    unit: "{token}",
    description: "Tokens of a call, input including cached and output including reasoning",
};
const OPERATION_DURATION: Description =
    Description { name: "gen_ai.client.operation.duration", unit: "s", description: "Duration of calls to models" };
const TIME_TO_FIRST_CHUNK: Description = Description {
    name: "gen_ai.client.operation.time_to_first_chunk",
    unit: "s",
    description: "Time until a streamed answer began",
};
const TIME_PER_OUTPUT_TOKEN: Description = Description {
    name: "spanmill.time_per_output_token",
    unit: "s",
    description: "Time per output token after the first, of streamed answers",
};
const INVOKE_AGENT_DURATION: Description =
    Description { name: "gen_ai.invoke_agent.duration", unit: "s", description: "Duration of agent invocations" };
const EXECUTE_TOOL_DURATION: Description =
    Description { name: "gen_ai.execute_tool.duration", unit: "s", description: "Duration of tool executions" };
const REQUESTS: Description =
    Description { name: "spanmill.requests", unit: "{request}", description: "Calls to models, each counted once" };
const TOKEN_CLASSES: Description =
    Description { name: "spanmill.tokens", unit: "{token}", description: "Tokens in five disjoint classes" };
const COST: Description =
    Description { name: "spanmill.cost", unit: "{USD}", description: "What calls cost, in US dollars" };
const PRICED_CALLS: Description =
    Description { name: "spanmill.price.calls", unit: "{call}", description: "Calls by what is known of their cost" };
const EVALUATIONS: Description =
    Description { name: "spanmill.evaluations", unit: "{evaluation}", description: "Results of evaluations" };
const EVALUATION_SCORE: Description = Description {
    name: "spanmill.evaluation.score",
    unit: "1",
    description: "Scores of evaluations, on the evaluator's own scale",
};
const INCONSISTENT: Description = Description {
    name: "spanmill.tokens.inconsistent",
    unit: "{call}",
    description: "Call spans whose usage contradicts itself",
};
const SETTLED_EARLY: Description = Description {
    name: "spanmill.settle.early",
    unit: "{call}",
    description: "Calls and agents decided on before all of their spans can have come, for want of memory",
};
const ID_CONFLICTS: Description = Description {
    name: "spanmill.spans.id_conflict",
    unit: "{span}",
    description: "Call spans that have the ids of another one but not its content: both are kept",
};
const SPANS: Description =
    Description { name: "spanmill.spans", unit: "{span}", description: "What became of the spans received" };

/// The names of all metrics that a pipeline yields.
pub const METRIC_NAMES: [&str; 16] = [
    TOKEN_USAGE.name,
    OPERATION_DURATION.name,
    TIME_TO_FIRST_CHUNK.name,
    TIME_PER_OUTPUT_TOKEN.name,
    INVOKE_AGENT_DURATION.name,
    EXECUTE_TOOL_DURATION.name,
    REQUESTS.name,
    TOKEN_CLASSES.name,
    COST.name,
    PRICED_CALLS.name,
    EVALUATIONS.name,
    EVALUATION_SCORE.name,
    INCONSISTENT.name,
    SETTLED_EARLY.name,
    ID_CONFLICTS.name,
    SPANS.name,
];

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
    window: Window,
    /// Points by the values of the kept resource attributes.
    resources: BTreeMap<Vec<Option<&'a [u8]>>, Points>,
}

/// The points of one resource, by metric.
#[derive(Default)]
struct Points {
    token_usage: Distributions,
    operation_duration: Distributions,
    time_to_first_chunk: Distributions,
    time_per_output_token: Distributions,
    invoke_agent_duration: Distributions,
    execute_tool_duration: Distributions,
    evaluation_score: Distributions,
    evaluations: Vec<NumberDataPoint>,
    requests: Vec<NumberDataPoint>,
    tokens: Vec<NumberDataPoint>,
    cost: Vec<NumberDataPoint>,
    priced_calls: Vec<NumberDataPoint>,
    spans: Vec<NumberDataPoint>,
    inconsistent: Vec<NumberDataPoint>,
    settled_early: Vec<NumberDataPoint>,
    id_conflicts: Vec<NumberDataPoint>,
}

/// The points of one histogram, each in the form in which it is told.
#[derive(Default)]
struct Distributions {
    explicit: Vec<HistogramDataPoint>,
    exponential: Vec<ExponentialHistogramDataPoint>,
}

impl<'a> Collector<'a> {
    pub(crate) fn new(layout: &'a Layout, window: Window) -> Self {
        Self { layout, window, resources: BTreeMap::new() }
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
        self.resources.entry(resource).or_default().add(kind, &shape, measured);
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
                    points.spans.push(shape.number(count, None));
                }
                Counted::Inconsistent(reason) => {
                    points.inconsistent.push(shape(vec![text("reason", reason.name())]).number(count, None));
                }
                Counted::SettledEarly => points.settled_early.push(shape(Vec::new()).number(count, None)),
                Counted::IdConflict => points.id_conflicts.push(shape(Vec::new()).number(count, None)),
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
    fn add(&mut self, kind: Kind, shape: &PointShape, measured: &Instruments) {
        let durations = match kind {
            Kind::Call => &mut self.operation_duration,
            Kind::Agent => &mut self.invoke_agent_duration,
            Kind::Tool => &mut self.execute_tool_duration,
            Kind::Evaluation => {
                self.evaluations.push(shape.number(measured.evaluations, None));
                self.evaluation_score.explicit.extend(shape.scores(&measured.scores));
                return;
            }
        };
        for (class, histogram) in &measured.durations {
            let failure = class.map(|class| text("error.type", class.metric_value()));
            durations.add(shape, histogram, duration_bounds(kind), failure);
        }
        if kind != Kind::Call {
            return;
        }
        for (token_type, histogram) in [("input", &measured.input_tokens), ("output", &measured.output_tokens)] {
            self.token_usage.add(shape, histogram, TOKENS, Some(text("gen_ai.token.type", token_type)));
        }
        self.time_to_first_chunk.add(shape, &measured.time_to_first_chunk, SECONDS, None);
        self.time_per_output_token.add(shape, &measured.time_per_output_token, TOKEN_SECONDS, None);
        // Both outcomes are always there, so that an error rate of nothing shows as 0 and not as absent.
        for (outcome, count) in [("success", measured.succeeded), ("error", measured.failed)] {
            self.requests.push(shape.number(count, Some(text("outcome", outcome))));
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
                self.tokens.push(shape.number(count, Some(text("class", class))));
            }
        }
        self.add_costs(shape, &measured.costs);
    }

    fn add_costs(&mut self, shape: &PointShape, costs: &Costs) {
        for coverage in Coverage::ALL.into_iter().filter(|coverage| costs.of(*coverage) > 0) {
            self.priced_calls.push(shape.number(costs.of(coverage), Some(text("coverage", coverage.name()))));
        }
        let mut point = |class: &str, source: &str, amount: Money| {
            let mut attributes = shape.attributes(Some(text("class", class)));
            attributes.push(text("source", source));
            self.cost.push(shape.amount(amount, attributes));
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
        let histograms = [
            (TOKEN_USAGE, self.token_usage),
            (OPERATION_DURATION, self.operation_duration),
            (TIME_TO_FIRST_CHUNK, self.time_to_first_chunk),
            (TIME_PER_OUTPUT_TOKEN, self.time_per_output_token),
            (INVOKE_AGENT_DURATION, self.invoke_agent_duration),
            (EXECUTE_TOOL_DURATION, self.execute_tool_duration),
            (EVALUATION_SCORE, self.evaluation_score),
        ];
        let sums = [
            (REQUESTS, self.requests),
            (TOKEN_CLASSES, self.tokens),
            (COST, self.cost),
            (PRICED_CALLS, self.priced_calls),
            (EVALUATIONS, self.evaluations),
            (SPANS, self.spans),
            (INCONSISTENT, self.inconsistent),
            (SETTLED_EARLY, self.settled_early),
            (ID_CONFLICTS, self.id_conflicts),
        ];
        let histograms =
            histograms.into_iter().flat_map(|(description, points)| points.metrics(description, temporality));
        let sums = sums
            .into_iter()
            .filter(|(_, points)| !points.is_empty())
            .map(|(description, points)| description.sum(temporality, points));
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
        let attributes = details.as_ref().map_or(&[][..], |details| &details.attributes);
        origins.entry((resource, &record.service)).or_default().push(error_log(record, attributes));
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

fn error_log(record: &ErrorRecord, more: &[KeyValue]) -> LogRecord {
    let told = [
        ("gen_ai.operation.name", &record.operation),
        ("gen_ai.provider.name", &record.provider),
        ("gen_ai.request.model", &record.request_model),
        ("gen_ai.response.model", &record.response_model),
        ("error.type", &record.kind),
        ("span.name", &record.span_name),
    ];
    let mut attributes: Vec<KeyValue> = told
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| text(name, value.clone()))
        .collect();
    attributes.push(text("spanmill.error.class", record.class.name()));
    attributes.push(text("spanmill.error.group", format!("{:016x}", record.fingerprint)));
    if let Some(nanos) = record.duration {
        attributes.push(double("gen_ai.client.operation.duration", crate::call::seconds(nanos)));
    }
    attributes.extend_from_slice(more);
    let body = if record.message.is_empty() { record.class.name().to_owned() } else { record.message.clone() };
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
