//! A counted call, as it is told.

use aggregate::CountedCall;
use genai::{ErrorClass, Money, TokenClasses};

/// The model of a call that names none.
pub const UNKNOWN_MODEL: &str = "unknown";

/// One counted call. Texts are borrowed, and empty if they were not told. Times are nanoseconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Call<'a> {
    /// `service.name`.
    pub service: &'a str,
    /// `deployment.environment.name`.
    pub environment: &'a str,
    /// Canonical provider.
    pub provider: &'a str,
    /// The model that was asked for.
    pub request_model: &'a str,
    /// The model that answered.
    pub response_model: &'a str,
    /// `gen_ai.operation.name`.
    pub operation: &'a str,
    /// `service.version`.
    pub service_version: &'a str,
    /// `server.address`.
    pub server_address: &'a str,
    /// The trace that shows it.
    pub trace_id: [u8; 16],
    /// The span under which it is counted.
    pub span_id: [u8; 8],
    /// Whether it was counted before and tells only now what it used: then it adds tokens and cost, and no request.
    pub is_late: bool,
    /// Its failure, if it failed.
    pub error: Option<ErrorClass>,
    /// How long it took, if its spans tell that.
    pub duration: Option<u64>,
    /// Until the first chunk came, of streams that tell it.
    pub time_to_first_token: Option<u64>,
    /// Per output token after the first, of streams that tell it.
    pub time_per_output_token: Option<u64>,
    /// Input tokens, cached ones included, if they were told.
    pub input_tokens: Option<u64>,
    /// Output tokens, reasoning included, if they were told.
    pub output_tokens: Option<u64>,
    /// Tokens by class; `None` without a usage report.
    pub tokens: Option<TokenClasses>,
    /// What it costs, if that is known.
    pub cost: Option<Money>,
}

/// What of a counted call's texts is told, in the order in which they are asked for.
const TEXTS: [&str; 8] = [
    "service.name",
    "deployment.environment.name",
    "gen_ai.provider.name",
    "gen_ai.request.model",
    "gen_ai.response.model",
    "gen_ai.operation.name",
    "service.version",
    "server.address",
];

impl<'a> Call<'a> {
    /// A call as it was counted. What its series does not keep is as if it was not told: see [`CountedCall::attributes`].
    pub fn counted(counted: &CountedCall<'a>) -> Self {
        let [service, environment, provider, request_model, response_model, operation, service_version, server_address] =
            counted.attributes(&TEXTS);
        Self {
            service,
            environment,
            provider,
            request_model,
            response_model,
            operation,
            service_version,
            server_address,
            ..Self::without_texts(counted)
        }
    }

    /// The same without what its series says of it.
    pub(crate) fn without_texts(counted: &CountedCall<'a>) -> Self {
        let (trace_id, span_id) = counted.ids();
        let usage = counted.usage();
        Self {
            trace_id,
            span_id,
            is_late: counted.is_late(),
            error: counted.error(),
            duration: counted.duration(),
            time_to_first_token: counted.time_to_first_chunk(),
            // a call lasts for less than 585 years
            time_per_output_token: counted.time_per_output_token().map(|seconds| (seconds * 1e9) as u64),
            input_tokens: usage.and_then(|usage| usage.input).map(u64::from),
            output_tokens: usage.and_then(|usage| usage.output).map(u64::from),
            tokens: usage.map(|usage| usage.classes()),
            cost: counted.cost(),
            ..Self::default()
        }
    }

    /// The model key: the response model, else the request model, else [`UNKNOWN_MODEL`].
    pub fn model(&self) -> &'a str {
        [self.response_model, self.request_model].into_iter().find(|model| !model.is_empty()).unwrap_or(UNKNOWN_MODEL)
    }
}
