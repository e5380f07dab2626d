//! The metrics that panels and rules ask for, by both of their names.

/// What kind of numbers a metric tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A sum that grows.
    Counter,
    /// Explicit buckets.
    Histogram,
    /// A value now.
    Gauge,
}

/// What a metric describes, and so which variables of a dashboard select among its series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// Calls to models.
    Calls,
    /// Agents and tools: they have no provider and no model.
    Work,
    /// Spanmill itself.
    Spanmill,
}

/// Whose names the metrics of calls have: `metrics.semconv` of the Spanmill whose metrics are shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Semconv {
    /// OpenTelemetry's GenAI semantic conventions 1.41.
    #[default]
    V1_41,
    /// Their successor.
    Next,
}

/// What a metric is called.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Name {
    /// In OpenTelemetry, and in SigNoz, which keeps it.
    pub(crate) otel: &'static str,
    /// In Prometheus, without the suffixes of a counter or a histogram.
    pub(crate) prometheus: &'static str,
}

/// One metric.
#[derive(Debug)]
pub(crate) struct Metric {
    name: Name,
    /// Its name in the next conventions, if that is another.
    next: Option<Name>,
    /// What kind of numbers it tells.
    pub(crate) kind: Kind,
    /// What it describes.
    pub(crate) subject: Subject,
}

impl Metric {
    pub(crate) fn name(&self, semconv: Semconv) -> Name {
        match semconv {
            Semconv::V1_41 => self.name,
            Semconv::Next => self.next.unwrap_or(self.name),
        }
    }
}

macro_rules! metrics {
    ($($constant:ident: $kind:ident of $subject:ident =
        $name:literal, $prometheus:literal $(, next $next:literal, $next_prometheus:literal)?;)*) => {
        $(pub(crate) const $constant: &Metric = &Metric {
            name: Name { otel: $name, prometheus: $prometheus },
            next: metrics!(@next $($next, $next_prometheus)?),
            kind: Kind::$kind,
            subject: Subject::$subject,
        };)*
    };
    (@next) => { None };
    (@next $name:literal, $prometheus:literal) => { Some(Name { otel: $name, prometheus: $prometheus }) };
}

metrics! {
    REQUESTS: Counter of Calls = "spanmill.requests", "spanmill_requests";
    TOKENS: Counter of Calls = "spanmill.tokens", "spanmill_tokens";
    COST: Counter of Calls = "spanmill.cost", "spanmill_cost";
    PRICED_CALLS: Counter of Calls = "spanmill.price.calls", "spanmill_price_calls";
    DURATION: Histogram of Calls =
        "gen_ai.client.operation.duration", "gen_ai_client_operation_duration_seconds",
        next "gen_ai.client.inference.duration", "gen_ai_client_inference_duration_seconds";
    TIME_TO_FIRST_CHUNK: Histogram of Calls =
        "gen_ai.client.operation.time_to_first_chunk", "gen_ai_client_operation_time_to_first_chunk_seconds",
        next "gen_ai.client.inference.time_to_first_chunk", "gen_ai_client_inference_time_to_first_chunk_seconds";
    TIME_PER_OUTPUT_TOKEN: Histogram of Calls = "spanmill.time_per_output_token", "spanmill_time_per_output_token_seconds";
    AGENT_DURATION: Histogram of Work = "gen_ai.invoke_agent.duration", "gen_ai_invoke_agent_duration_seconds";
    TOOL_DURATION: Histogram of Work = "gen_ai.execute_tool.duration", "gen_ai_execute_tool_duration_seconds";
    SPANS: Counter of Spanmill = "spanmill.spans", "spanmill_spans";
    INCONSISTENT: Counter of Spanmill = "spanmill.tokens.inconsistent", "spanmill_tokens_inconsistent";
    SETTLED_EARLY: Counter of Spanmill = "spanmill.settle.early", "spanmill_settle_early";
    RECEIVED: Counter of Spanmill = "spanmill.receiver.requests", "spanmill_receiver_requests";
    RECEIVER_MEMORY: Gauge of Spanmill = "spanmill.receiver.memory", "spanmill_receiver_memory_bytes";
    EXPORTED: Counter of Spanmill = "spanmill.exporter.items", "spanmill_exporter_items";
    EXPORTER_QUEUE: Gauge of Spanmill = "spanmill.exporter.queue.size", "spanmill_exporter_queue_size_bytes";
    EXPORTER_RETRIES: Counter of Spanmill = "spanmill.exporter.retries", "spanmill_exporter_retries";
    WAL_SIZE: Gauge of Spanmill = "spanmill.wal.size", "spanmill_wal_size_bytes";
    WAL_LIMIT: Gauge of Spanmill = "spanmill.wal.limit", "spanmill_wal_limit_bytes";
    CONSERVATION: Gauge of Spanmill = "spanmill.conservation.difference", "spanmill_conservation_difference";
    ARCHIVE_ROWS: Counter of Spanmill = "spanmill.archive.rows", "spanmill_archive_rows";
    ARCHIVE_ERRORS: Counter of Spanmill = "spanmill.archive.errors", "spanmill_archive_errors";
}

/// An attribute that a dashboard lets its reader choose.
#[derive(Debug)]
pub(crate) struct Variable {
    /// Name of the variable.
    pub(crate) name: &'static str,
    /// OpenTelemetry's name of the attribute.
    pub(crate) attribute: &'static str,
    /// Whether it stands on the resource of metrics.
    pub(crate) is_of_resource: bool,
}

impl Variable {
    /// Whether series of this subject have the attribute.
    pub(crate) fn selects(&self, subject: Subject) -> bool {
        match subject {
            Subject::Calls => true,
            Subject::Work => self.is_of_resource,
            Subject::Spanmill => false,
        }
    }
}

/// The variables, in the order in which they stand above the panels.
pub(crate) const VARIABLES: &[Variable] = &[
    Variable { name: "service", attribute: SERVICE, is_of_resource: true },
    Variable { name: "environment", attribute: ENVIRONMENT, is_of_resource: true },
    Variable { name: "provider", attribute: PROVIDER, is_of_resource: false },
    Variable { name: "model", attribute: MODEL, is_of_resource: false },
];

pub(crate) const SERVICE: &str = "service.name";
pub(crate) const ENVIRONMENT: &str = "deployment.environment.name";
pub(crate) const PROVIDER: &str = "gen_ai.provider.name";
/// The model that was asked for: failed calls have no other.
pub(crate) const MODEL: &str = "gen_ai.request.model";
