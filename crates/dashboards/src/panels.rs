//! The panels: the one description that all dashboards are written from.

use crate::metric::{
    AGENT_DURATION, ARCHIVE_ROWS, CONSERVATION, COST, DURATION, EXPORTED, EXPORTER_QUEUE, EXPORTER_RETRIES,
    INCONSISTENT, MODEL, PRICED_CALLS, RECEIVED, RECEIVER_MEMORY, REQUESTS, SERVICE, SETTLED_EARLY, SPANS,
    TIME_PER_OUTPUT_TOKEN, TIME_TO_FIRST_CHUNK, TOKENS, TOOL_DURATION, WAL_LIMIT, WAL_SIZE,
};
use crate::panel::{Filter, Measure, On, Panel, Query, Section, Unit, View};

/// Name of the dashboard.
pub(crate) const TITLE: &str = "GenAI: model calls";
/// What it says of itself.
pub(crate) const DESCRIPTION: &str =
    "Calls to models as Spanmill counts them: one call is one count, whatever libraries reported it.";

/// Calls to models.
pub(crate) const ALL_REQUESTS: Measure = Measure::of(REQUESTS, &[]);
/// Failed ones.
pub(crate) const FAILED_REQUESTS: Measure = Measure::of(REQUESTS, &[Filter::Is("outcome", "error")]);
/// Tokens of prompts and answers.
pub(crate) const ALL_TOKENS: Measure = Measure::of(TOKENS, &[]);
const INPUT_TOKENS: Measure =
    Measure::of(TOKENS, &[Filter::OneOf("class", &["input_uncached", "cache_read", "cache_write"])]);
const OUTPUT_TOKENS: Measure = Measure::of(TOKENS, &[Filter::OneOf("class", &["output_visible", "reasoning"])]);
const CACHED_TOKENS: Measure = Measure::of(TOKENS, &[Filter::Is("class", "cache_read")]);
/// Dollars.
pub(crate) const ALL_COST: Measure = Measure::of(COST, &[]);
const FAILED: &[Filter] = &[Filter::Exists("error.type")];
const P95: &[u8] = &[95];
const P50_P95_P99: &[u8] = &[50, 95, 99];

/// What most panels have in common.
const PANEL: Panel = Panel {
    key: "",
    title: "",
    description: "",
    unit: Unit::Number,
    view: View::Lines,
    query: Query::ErrorRecords,
    by: &[],
    thresholds: None,
    on: On::All,
};

/// All panels.
pub(crate) const SECTIONS: &[Section] = &[
    Section {
        title: "Overview",
        panels: &[
            Panel {
                key: "input-tokens",
                title: "Input tokens",
                description: "Tokens of prompts, cached ones included.",
                view: View::Number,
                query: Query::Growth(INPUT_TOKENS),
                ..PANEL
            },
            Panel {
                key: "output-tokens",
                title: "Output tokens",
                description: "Tokens of answers, reasoning included.",
                view: View::Number,
                query: Query::Growth(OUTPUT_TOKENS),
                ..PANEL
            },
            Panel {
                key: "requests",
                title: "Requests",
                description: "Calls to models, failed ones included.",
                view: View::Number,
                query: Query::Growth(ALL_REQUESTS),
                ..PANEL
            },
            Panel {
                key: "error-rate",
                title: "Error rate",
                description: "Failed calls as a share of all calls to models.",
                unit: Unit::Share,
                view: View::Number,
                query: Query::Share(FAILED_REQUESTS, ALL_REQUESTS),
                thresholds: Some([0.05, 0.1]),
                ..PANEL
            },
            Panel {
                key: "cost",
                title: "Cost",
                description: "What calls cost in US dollars, as far as prices are known: see price coverage.",
                unit: Unit::Dollars,
                view: View::Number,
                query: Query::Growth(ALL_COST),
                ..PANEL
            },
            Panel {
                key: "cache-hit-share",
                title: "Cache hit share",
                description: "Input tokens that were read from a cache, as a share of all input tokens.",
                unit: Unit::Share,
                view: View::Number,
                query: Query::Share(CACHED_TOKENS, INPUT_TOKENS),
                ..PANEL
            },
        ],
    },
    Section {
        title: "Usage",
        panels: &[
            Panel {
                key: "token-usage-over-time",
                title: "Token usage by service",
                description: "Input and output tokens of each step.",
                query: Query::Growth(ALL_TOKENS),
                by: &[SERVICE],
                ..PANEL
            },
            Panel {
                key: "requests-over-time",
                title: "Requests by service",
                description: "Calls to models in each step.",
                view: View::Bars,
                query: Query::Growth(ALL_REQUESTS),
                by: &[SERVICE],
                ..PANEL
            },
            Panel {
                key: "model-distribution",
                title: "Requests by model",
                description: "Calls by the model that was asked for.",
                view: View::Pie,
                query: Query::Growth(ALL_REQUESTS),
                by: &[MODEL],
                ..PANEL
            },
            Panel {
                key: "token-distribution",
                title: "Tokens by model",
                description: "Input and output tokens by the model that was asked for.",
                view: View::Pie,
                query: Query::Growth(ALL_TOKENS),
                by: &[MODEL],
                ..PANEL
            },
            Panel {
                key: "token-classes",
                title: "Tokens by class",
                description: "Five classes that add up to all tokens: input not from a cache, read from a cache, written to a \
                              cache, visible output, reasoning.",
                view: View::Bars,
                query: Query::Growth(ALL_TOKENS),
                by: &["class"],
                ..PANEL
            },
            Panel {
                key: "cache-hit-share-over-time",
                title: "Cache hit share by model",
                description: "Input tokens that were read from a cache, as a share of all input tokens.",
                unit: Unit::Share,
                query: Query::Share(CACHED_TOKENS, INPUT_TOKENS),
                by: &[MODEL],
                ..PANEL
            },
        ],
    },
    Section {
        title: "Cost",
        panels: &[
            Panel {
                key: "cost-by-model",
                title: "Cost by model",
                description: "US dollars in each step.",
                unit: Unit::Dollars,
                view: View::Bars,
                query: Query::Growth(ALL_COST),
                by: &[MODEL],
                ..PANEL
            },
            Panel {
                key: "cost-by-service",
                title: "Cost by service",
                description: "US dollars in each step.",
                unit: Unit::Dollars,
                view: View::Bars,
                query: Query::Growth(ALL_COST),
                by: &[SERVICE],
                ..PANEL
            },
            Panel {
                key: "price-coverage",
                title: "Price coverage",
                description: "Calls by what is known of their cost: priced from the catalogue, supplied by the \
                              instrumentation, estimated (a part of the usage has no price or was not told), usage_missing, \
                              unpriced. The cost of the last two is not in any sum.",
                view: View::Pie,
                query: Query::Growth(Measure::of(PRICED_CALLS, &[])),
                by: &["coverage"],
                ..PANEL
            },
            Panel {
                key: "unpriced-models",
                title: "Calls without a price, by model",
                description: "Models that no price is known for: spanmill prices --unpriced lists them, \
                              derive.prices.overrides adds prices.",
                view: View::Bars,
                query: Query::Growth(Measure::of(PRICED_CALLS, &[Filter::Is("coverage", "unpriced")])),
                by: &[MODEL],
                ..PANEL
            },
        ],
    },
    Section {
        title: "Latency",
        panels: &[
            Panel {
                key: "duration-p95",
                title: "Request duration, p95 by service",
                description: "95 % of calls took no longer, failed ones included.",
                unit: Unit::Seconds,
                query: Query::Percentiles(DURATION, &[], P95),
                by: &[SERVICE],
                ..PANEL
            },
            Panel {
                key: "duration-p95-by-model",
                title: "Request duration, p95 by model",
                description: "95 % of calls took no longer, failed ones included.",
                unit: Unit::Seconds,
                query: Query::Percentiles(DURATION, &[], P95),
                by: &[MODEL],
                ..PANEL
            },
            Panel {
                key: "time-to-first-token",
                title: "Time to first token",
                description: "Time until a streamed answer began; of calls whose instrumentation tells it.",
                unit: Unit::Seconds,
                query: Query::Percentiles(TIME_TO_FIRST_CHUNK, &[], P50_P95_P99),
                ..PANEL
            },
            Panel {
                key: "time-per-output-token",
                title: "Time per output token",
                description: "Time per token after the first, of streamed answers.",
                unit: Unit::Seconds,
                query: Query::Percentiles(TIME_PER_OUTPUT_TOKEN, &[], P50_P95_P99),
                ..PANEL
            },
            Panel {
                key: "tokens-per-second",
                title: "Output tokens per second, by model",
                description: "Throughput of all calls together.",
                query: Query::Rate(OUTPUT_TOKENS),
                by: &[MODEL],
                ..PANEL
            },
        ],
    },
    Section {
        title: "Errors",
        panels: &[
            Panel {
                key: "errors-by-class",
                title: "Errors by class",
                description: "Failed calls by normalised class; what the provider said stands in the error records.",
                view: View::Bars,
                query: Query::Growth(Measure::count(DURATION, FAILED)),
                by: &["error.type"],
                ..PANEL
            },
            Panel {
                key: "error-rate-by-model",
                title: "Error rate by model",
                description: "Failed calls as a share of all calls.",
                unit: Unit::Share,
                query: Query::Share(FAILED_REQUESTS, ALL_REQUESTS),
                by: &[MODEL],
                ..PANEL
            },
            Panel {
                key: "error-records",
                title: "Error records",
                description: "One log record for each failed call. Open one and follow its trace id to the trace.",
                view: View::List,
                on: On::SigNoz,
                ..PANEL
            },
            Panel {
                key: "error-exemplars",
                title: "Failed calls: duration, with exemplars",
                description: "Prometheus has no error records. The points are exemplars: failed calls with their trace_id. They \
                              lead to the trace where the Prometheus data source names a tracing data source for trace_id, and \
                              Prometheus runs with --enable-feature=exemplar-storage. The records themselves: spanmill errors.",
                unit: Unit::Seconds,
                query: Query::Percentiles(DURATION, FAILED, P95),
                by: &["error.type"],
                on: On::Prometheus,
                ..PANEL
            },
        ],
    },
    Section {
        title: "Agents and tools",
        panels: &[
            Panel {
                key: "agents",
                title: "Agent invocations",
                description: "By agent. An agent's calls to models are counted above, not here.",
                view: View::Bars,
                query: Query::Growth(Measure::count(AGENT_DURATION, &[])),
                by: &["gen_ai.agent.name"],
                ..PANEL
            },
            Panel {
                key: "agent-duration",
                title: "Agent duration, p95",
                description: "Duration of invocations, everything that happens in them included.",
                unit: Unit::Seconds,
                query: Query::Percentiles(AGENT_DURATION, &[], P95),
                by: &["gen_ai.agent.name"],
                ..PANEL
            },
            Panel {
                key: "tools",
                title: "Tool executions",
                description: "By tool.",
                view: View::Bars,
                query: Query::Growth(Measure::count(TOOL_DURATION, &[])),
                by: &["gen_ai.tool.name"],
                ..PANEL
            },
            Panel {
                key: "tool-errors",
                title: "Failed tool executions",
                description: "By tool and class of error.",
                view: View::Bars,
                query: Query::Growth(Measure::count(TOOL_DURATION, FAILED)),
                by: &["gen_ai.tool.name", "error.type"],
                ..PANEL
            },
        ],
    },
    Section {
        title: "Spanmill",
        panels: &[
            Panel {
                key: "spans",
                title: "Spans by outcome",
                description: "What became of the spans received: each has one outcome, and only counted ones make up the numbers \
                              above.",
                view: View::Bars,
                query: Query::Growth(Measure::of(SPANS, &[])),
                by: &["outcome"],
                ..PANEL
            },
            Panel {
                key: "inconsistent-usage",
                title: "Usage that contradicts itself",
                description: "Calls whose instrumentation told usage that cannot be, by what is wrong with it.",
                view: View::Bars,
                query: Query::Growth(Measure::of(INCONSISTENT, &[])),
                by: &["reason"],
                ..PANEL
            },
            Panel {
                key: "settled-early",
                title: "Calls counted early",
                description: "Calls counted before all of their spans can have come, for want of memory: raise \
                              derive.settle_memory.",
                view: View::Bars,
                query: Query::Growth(Measure::of(SETTLED_EARLY, &[])),
                ..PANEL
            },
            Panel {
                key: "received",
                title: "Requests received, by outcome",
                description: "Export requests of applications: accepted, or why not.",
                view: View::Bars,
                query: Query::Growth(Measure::of(RECEIVED, &[])),
                by: &["signal", "outcome"],
                ..PANEL
            },
            Panel {
                key: "receiver-memory",
                title: "Request bytes held",
                description: "Bytes of requests on their way; receivers.otlp.memory_budget bounds them.",
                unit: Unit::Bytes,
                query: Query::Latest(RECEIVER_MEMORY),
                ..PANEL
            },
            Panel {
                key: "exported",
                title: "Exported items, by outcome",
                description: "Data points and log records at each destination. Superseded points lose nothing.",
                view: View::Bars,
                query: Query::Growth(Measure::of(EXPORTED, &[])),
                by: &["destination", "outcome"],
                ..PANEL
            },
            Panel {
                key: "exporter-queue",
                title: "Waiting for destinations",
                description: "Bytes of requests that wait for each destination.",
                unit: Unit::Bytes,
                query: Query::Latest(EXPORTER_QUEUE),
                by: &["destination"],
                ..PANEL
            },
            Panel {
                key: "archived",
                title: "Archived rows",
                description: "Rows in Parquet files that were published.",
                view: View::Bars,
                query: Query::Growth(Measure::of(ARCHIVE_ROWS, &[])),
                ..PANEL
            },
            Panel {
                key: "retries",
                title: "Attempts that failed and are repeated",
                description: "Attempts to send to each destination that failed, and are made again: nothing is lost by them.",
                view: View::Bars,
                query: Query::Growth(Measure::of(EXPORTER_RETRIES, &[])),
                by: &["destination", "signal"],
                ..PANEL
            },
            Panel {
                key: "log-fill",
                title: "How full the log is",
                description: "Bytes of the write-ahead log as a share of its limit, in memory and on disk; before it is \
                              full, requests wait and clients are told to come again.",
                unit: Unit::Share,
                query: Query::Fill(WAL_SIZE, WAL_LIMIT),
                by: &["in"],
                ..PANEL
            },
            Panel {
                key: "conservation",
                title: "Spans that are not accounted for",
                description: "Spans received beyond those that have an outcome or wait for one: anything but 0 is a fault.",
                query: Query::Latest(CONSERVATION),
                ..PANEL
            },
        ],
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    // Every panel has a key of its own, a title and a description.
    #[test]
    fn panels_are_complete() {
        let mut keys = BTreeSet::new();
        for panel in SECTIONS.iter().flat_map(|section| section.panels) {
            assert!(!panel.key.is_empty() && keys.insert(panel.key), "{panel:?}");
            assert!(!panel.title.is_empty() && panel.description.ends_with('.'), "{panel:?}");
            assert_eq!(panel.view == View::List, matches!(panel.query, Query::ErrorRecords), "{panel:?}");
        }
    }
}
