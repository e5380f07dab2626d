//! What the metrics are called: name, unit and meaning of each, and which of them tell of calls by which conventions.

use genai::TokenClasses;
use otlp::metrics::Description;

/// Whose names the metrics of calls have. Spanmill's own (`spanmill.*`) are the same in each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Semconv {
    /// OpenTelemetry's GenAI semantic conventions 1.41.
    #[default]
    V1_41,
    /// Their successor, which is not released: the names of reference/dialects.md section 1.3
    /// (open-telemetry/semantic-conventions-genai, `docs/gen-ai/client-inference.md` and `gen-ai-token-metrics.md`).
    Next,
}

impl Semconv {
    /// The names of all metrics that a pipeline yields.
    pub fn metric_names(self) -> Vec<&'static str> {
        let CallMetrics {
            inference_duration,
            embeddings_duration,
            time_to_first_chunk,
            input_tokens,
            output_tokens,
            tells_token_type: _,
            usage,
        } = *self.call_metrics();
        let of_calls = [inference_duration, embeddings_duration, time_to_first_chunk, input_tokens, output_tokens];
        let usage = usage.iter().map(|(metric, _)| *metric);
        let mut names: Vec<_> = of_calls.into_iter().chain(usage).chain(OF_ALL).map(|metric| metric.name).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    pub(crate) const fn call_metrics(self) -> &'static CallMetrics {
        match self {
            Self::V1_41 => &V1_41,
            Self::Next => &NEXT,
        }
    }
}

/// A counter of tokens, and what it counts of those of a call.
pub(crate) type UsageCounter = (Description, fn(&TokenClasses) -> u64);

/// The metrics of calls whose names depend on the conventions.
#[derive(Debug)]
pub(crate) struct CallMetrics {
    /// How long calls take that make a model answer. Calls that did not get a series of their own are among them.
    pub(crate) inference_duration: Description,
    /// How long the others take.
    pub(crate) embeddings_duration: Description,
    pub(crate) time_to_first_chunk: Description,
    /// Tokens of a call.
    pub(crate) input_tokens: Description,
    pub(crate) output_tokens: Description,
    /// Whether `gen_ai.token.type` tells input from output, as the name does not.
    pub(crate) tells_token_type: bool,
    /// Counters of tokens, and what each counts. Which modality the tokens are of is not known.
    pub(crate) usage: &'static [UsageCounter],
}

static V1_41: CallMetrics = CallMetrics {
    inference_duration: OPERATION_DURATION,
    embeddings_duration: OPERATION_DURATION,
    time_to_first_chunk: TIME_TO_FIRST_CHUNK,
    input_tokens: TOKEN_USAGE,
    output_tokens: TOKEN_USAGE,
    tells_token_type: true,
    usage: &[],
};

static NEXT: CallMetrics = CallMetrics {
    inference_duration: Description { name: "gen_ai.client.inference.duration", ..OPERATION_DURATION },
    embeddings_duration: OPERATION_DURATION,
    time_to_first_chunk: Description { name: "gen_ai.client.inference.time_to_first_chunk", ..TIME_TO_FIRST_CHUNK },
    input_tokens: tokens("gen_ai.client.inference.operation.input_tokens", "Input tokens of a call, including cached"),
    output_tokens: tokens(
        "gen_ai.client.inference.operation.output_tokens",
        "Output tokens of a call, including reasoning",
    ),
    tells_token_type: false,
    usage: &[
        (tokens("gen_ai.client.inference.usage.input_tokens", "Input tokens, including cached"), |classes| {
            classes.input_uncached + classes.cache_read + classes.cache_write
        }),
        (tokens("gen_ai.client.inference.usage.output_tokens", "Output tokens, including reasoning"), |classes| {
            classes.output_visible + classes.reasoning
        }),
        (
            tokens("gen_ai.client.inference.usage.cache_read.input_tokens", "Input tokens read from a cache"),
            |classes| classes.cache_read,
        ),
        (
            tokens("gen_ai.client.inference.usage.cache_write.input_tokens", "Input tokens written to a cache"),
            |classes| classes.cache_write,
        ),
        (tokens("gen_ai.client.inference.usage.reasoning.output_tokens", "Output tokens of reasoning"), |classes| {
            classes.reasoning
        }),
    ],
};

const fn tokens(name: &'static str, description: &'static str) -> Description {
    Description { name, unit: "{token}", description }
}

/// The metrics whose names no convention changes.
const OF_ALL: [Description; 13] = [
    TIME_PER_OUTPUT_TOKEN,
    INVOKE_AGENT_DURATION,
    EXECUTE_TOOL_DURATION,
    REQUESTS,
    TOKEN_CLASSES,
    COST,
    PRICED_CALLS,
    EVALUATIONS,
    EVALUATION_SCORE,
    INCONSISTENT,
    SETTLED_EARLY,
    ID_CONFLICTS,
    SPANS,
];

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
pub(crate) const TIME_PER_OUTPUT_TOKEN: Description = Description {
    name: "spanmill.time_per_output_token",
    unit: "s",
    description: "Time per output token after the first, of streamed answers",
};
pub(crate) const INVOKE_AGENT_DURATION: Description =
    Description { name: "gen_ai.invoke_agent.duration", unit: "s", description: "Duration of agent invocations" };
pub(crate) const EXECUTE_TOOL_DURATION: Description =
    Description { name: "gen_ai.execute_tool.duration", unit: "s", description: "Duration of tool executions" };
pub(crate) const REQUESTS: Description =
    Description { name: "spanmill.requests", unit: "{request}", description: "Calls to models, each counted once" };
pub(crate) const TOKEN_CLASSES: Description =
    Description { name: "spanmill.tokens", unit: "{token}", description: "Tokens in five disjoint classes" };
pub(crate) const COST: Description =
    Description { name: "spanmill.cost", unit: "{USD}", description: "What calls cost, in US dollars" };
pub(crate) const PRICED_CALLS: Description =
    Description { name: "spanmill.price.calls", unit: "{call}", description: "Calls by what is known of their cost" };
pub(crate) const EVALUATIONS: Description =
    Description { name: "spanmill.evaluations", unit: "{evaluation}", description: "Results of evaluations" };
pub(crate) const EVALUATION_SCORE: Description = Description {
    name: "spanmill.evaluation.score",
    unit: "1",
    description: "Scores of evaluations, on the evaluator's own scale",
};
pub(crate) const INCONSISTENT: Description = Description {
    name: "spanmill.tokens.inconsistent",
    unit: "{call}",
    description: "Call spans whose usage contradicts itself",
};
pub(crate) const SETTLED_EARLY: Description = Description {
    name: "spanmill.settle.early",
    unit: "{call}",
    description: "Calls and agents decided on before all of their spans can have come, for want of memory",
};
pub(crate) const ID_CONFLICTS: Description = Description {
    name: "spanmill.spans.id_conflict",
    unit: "{span}",
    description: "Call spans that have the ids of another one but not its content: both are kept",
};
pub(crate) const SPANS: Description =
    Description { name: "spanmill.spans", unit: "{span}", description: "What became of the spans received" };
