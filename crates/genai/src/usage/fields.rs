//! The keys of usage objects.

/// What a key of a usage object counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    /// Input that includes cached tokens.
    InputInclusive,
    /// Input of either shape: it depends on what stands beside it.
    InputEither,
    /// Input that never includes cached tokens.
    InputExclusive,
    Output,
    /// Output that leaves reasoning out.
    OutputExclusive,
    CacheRead,
    CacheWrite,
    CacheWriteInDetails,
    /// Parts of cache writes by time to live.
    CacheWrite5m,
    CacheWrite1h,
    Reasoning,
    ReasoningExclusive,
    Total,
    /// Parts that stand beside [`Self::InputExclusive`] and [`Self::OutputExclusive`], under a key each.
    InputBucket,
    OutputBucket,
    /// Parts of [`Self::CacheRead`], told again.
    CacheReadBucket,
}

impl Field {
    pub(super) const COUNT: usize = Self::CacheReadBucket as usize + 1;
    /// How many of them have keys of their own: the first ones.
    pub(super) const KEYED: usize = Self::Total as usize + 1;

    /// Whether several keys tell a part of it each.
    pub(super) const fn is_bucket(self) -> bool {
        self as usize >= Self::KEYED
    }
}

/// Keys at the top of a usage object.
const TOP: &[(&str, Field)] = &[
    ("prompt_tokens", Field::InputInclusive),
    ("promptTokens", Field::InputInclusive),
    ("inputTokens", Field::InputInclusive),
    ("prompt_token_count", Field::InputInclusive),
    ("promptTokenCount", Field::InputInclusive),
    ("input_tokens", Field::InputEither),
    ("input", Field::InputExclusive),
    ("completion_tokens", Field::Output),
    ("completionTokens", Field::Output),
    ("outputTokens", Field::Output),
    ("output_tokens", Field::Output),
    ("output", Field::OutputExclusive),
    ("candidates_token_count", Field::OutputExclusive),
    ("candidatesTokenCount", Field::OutputExclusive),
    ("thoughts_token_count", Field::ReasoningExclusive),
    ("thoughtsTokenCount", Field::ReasoningExclusive),
    ("output_reasoning", Field::ReasoningExclusive),
    ("output_reasoning_tokens", Field::ReasoningExclusive),
    ("reasoning_tokens", Field::Reasoning),
    ("reasoningTokens", Field::Reasoning),
    ("thoughtsTokens", Field::Reasoning),
    ("completion_reasoning_tokens", Field::Reasoning),
    ("prompt_cached_tokens", Field::CacheRead),
    ("prompt_cache_creation_tokens", Field::CacheWriteInDetails),
    ("prompt_cache_creation_5m_tokens", Field::CacheWrite5m),
    ("prompt_cache_creation_1h_tokens", Field::CacheWrite1h),
    ("cachedContentTokens", Field::CacheRead),
    ("cache_read_input_tokens", Field::CacheRead),
    ("cacheReadInputTokens", Field::CacheRead),
    ("cachedInputTokens", Field::CacheRead),
    ("cachedPromptTokens", Field::CacheRead),
    ("cached_content_token_count", Field::CacheRead),
    ("cachedContentTokenCount", Field::CacheRead),
    ("input_cache_read", Field::CacheRead),
    ("input_cached_tokens", Field::CacheRead),
    ("cache_creation_input_tokens", Field::CacheWrite),
    ("cacheCreationInputTokens", Field::CacheWrite),
    ("cacheWriteInputTokens", Field::CacheWrite),
    ("input_cache_creation", Field::CacheWrite),
    ("input_ephemeral_5m_input_tokens", Field::CacheWrite5m),
    ("input_ephemeral_1h_input_tokens", Field::CacheWrite1h),
    ("total_tokens", Field::Total),
    ("totalTokens", Field::Total),
    ("total", Field::Total),
    ("tokens", Field::Total),
];

/// How keys begin that hold one more part of input or output each, disjoint from all others: `input_audio`, `output_modality_TEXT`,
/// `output_accepted_prediction_tokens` (Langfuse). They do so beside `input` and `output` only.
const BUCKETS: &[(&str, Field)] =
    &[("input_", Field::InputBucket), ("output_", Field::OutputBucket), ("cached_modality_", Field::CacheReadBucket)];

/// Keys inside `*_details` and `*TokenDetails` objects, and inside Anthropic's `cache_creation`.
const DETAILS: &[(&str, Field)] = &[
    ("cached_tokens", Field::CacheRead),
    ("cache_read", Field::CacheRead),
    ("cacheReadTokens", Field::CacheRead),
    ("cache_creation", Field::CacheWriteInDetails),
    ("cache_write_tokens", Field::CacheWriteInDetails),
    ("cache_creation_tokens", Field::CacheWriteInDetails),
    ("cacheWriteTokens", Field::CacheWriteInDetails),
    ("ephemeral_5m_input_tokens", Field::CacheWrite5m),
    ("ephemeral_1h_input_tokens", Field::CacheWrite1h),
    ("reasoning_tokens", Field::Reasoning),
    ("reasoning", Field::Reasoning),
    ("reasoningTokens", Field::Reasoning),
    ("thinking_tokens", Field::Reasoning),
];

/// Objects inside a usage object that hold parts of its input.
const INPUT_DETAILS: &[&str] =
    &["prompt_tokens_details", "input_tokens_details", "input_token_details", "inputTokenDetails"];

/// Those that hold parts of its output. Anthropic's own object has one as well, so they tell nothing of its shape.
const OUTPUT_DETAILS: &[&str] =
    &["completion_tokens_details", "output_tokens_details", "output_token_details", "outputTokenDetails"];

/// Where in a usage object the reading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// Around usage objects: every value may be one.
    Providers,
    /// In a usage object.
    Top,
    /// In one of its details objects.
    Details,
}

/// What to do with the value of a key.
pub(super) enum Next {
    Count(Field),
    Object(Level),
    InputDetails,
    Nothing,
}

impl Level {
    /// What stands under a key.
    pub(super) fn next(self, key: &str) -> Next {
        let counts = match self {
            Self::Providers => return Next::Object(Self::Top),
            Self::Top => TOP,
            Self::Details => DETAILS,
        };
        if let Some((_, field)) = counts.iter().find(|(name, _)| *name == key) {
            return Next::Count(*field);
        }
        match (self, key) {
            // Anthropic's own objects split their cache writes by age; that makes them no details object.
            (Self::Top, "cache_creation") => Next::Object(Self::Details),
            (Self::Top, "usage") => Next::Object(Self::Top),
            (Self::Top, _) if OUTPUT_DETAILS.contains(&key) => Next::Object(Self::Details),
            (Self::Top, _) if INPUT_DETAILS.contains(&key) => Next::InputDetails,
            (Self::Top, _) => {
                let bucket = BUCKETS.iter().find(|(beginning, _)| key.starts_with(beginning));
                bucket.map_or(Next::Nothing, |(_, field)| Next::Count(*field))
            }
            _ => Next::Nothing,
        }
    }
}
