//! Failures: whether a span shows one, and its bounded class.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use otlp::Text;

/// The normalised class of a failure: a metric dimension, so there are few.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorClass {
    /// Too many requests, or a quota is used up.
    RateLimited,
    /// Nothing came in time.
    Timeout,
    /// Who are you.
    Authentication,
    /// You may not.
    Permission,
    /// No such model or path.
    NotFound,
    /// The prompt is longer than the model can read.
    ContextLength,
    /// Refused for its content.
    ContentFilter,
    /// The request is wrong otherwise.
    InvalidRequest,
    /// The provider has no capacity.
    Overloaded,
    /// The provider failed.
    ServerError,
    /// The caller gave up.
    Cancelled,
    /// The network failed.
    Connection,
    /// None of these.
    Other,
}

impl ErrorClass {
    /// Every class, in the order of their numbers.
    pub const ALL: [Self; 13] = [
        Self::RateLimited,
        Self::Timeout,
        Self::Authentication,
        Self::Permission,
        Self::NotFound,
        Self::ContextLength,
        Self::ContentFilter,
        Self::InvalidRequest,
        Self::Overloaded,
        Self::ServerError,
        Self::Cancelled,
        Self::Connection,
        Self::Other,
    ];

    /// Its name, as it stands on error records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RateLimited => "rate_limited",
            Self::Timeout => "timeout",
            Self::Authentication => "authentication",
            Self::Permission => "permission",
            Self::NotFound => "not_found",
            Self::ContextLength => "context_length",
            Self::ContentFilter => "content_filter",
            Self::InvalidRequest => "invalid_request",
            Self::Overloaded => "overloaded",
            Self::ServerError => "server_error",
            Self::Cancelled => "cancelled",
            Self::Connection => "connection",
            Self::Other => "other",
        }
    }

    /// Its value of `error.type` on metrics, where semconv's name for "other" is `_OTHER`.
    pub const fn metric_value(self) -> &'static str {
        match self {
            Self::Other => "_OTHER",
            class => class.name(),
        }
    }
}

/// Whether a dialect's word for how it went says that it failed.
pub(crate) fn is_failed(word: &[u8]) -> bool {
    [&b"error"[..], b"failed", b"failure", b"expired"].iter().any(|failed| word.eq_ignore_ascii_case(failed))
}

/// The failure that a span shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorFacts {
    /// Its class.
    pub class: ErrorClass,
    /// The raw type: `error.type`, else the type of the exception; empty if neither was told.
    pub kind: Text,
    /// What it says: the status message, else the exception's message, else `error.message`.
    pub message: Text,
}

/// What is found in a raw type or a message, in lower case, and what it means. The first hit wins, so the particular stands
/// before the general.
const SIGNS: &[(&str, ErrorClass)] = &[
    ("ratelimit", ErrorClass::RateLimited),
    ("rate_limit", ErrorClass::RateLimited),
    ("rate limit", ErrorClass::RateLimited),
    ("too many requests", ErrorClass::RateLimited),
    ("toomanyrequests", ErrorClass::RateLimited),
    ("insufficient_quota", ErrorClass::RateLimited),
    ("quota", ErrorClass::RateLimited),
    ("throttl", ErrorClass::RateLimited),
    ("resource_exhausted", ErrorClass::RateLimited),
    ("resourceexhausted", ErrorClass::RateLimited),
    ("context_length", ErrorClass::ContextLength),
    ("contextlength", ErrorClass::ContextLength),
    ("contextwindow", ErrorClass::ContextLength),
    ("context window", ErrorClass::ContextLength),
    ("maximum context", ErrorClass::ContextLength),
    ("prompt is too long", ErrorClass::ContextLength),
    ("input is too long", ErrorClass::ContextLength),
    ("maximum prompt length", ErrorClass::ContextLength),
    ("exceeds the maximum number of tokens", ErrorClass::ContextLength),
    ("context limit", ErrorClass::ContextLength),
    ("content_filter", ErrorClass::ContentFilter),
    ("contentfilter", ErrorClass::ContentFilter),
    ("content_policy", ErrorClass::ContentFilter),
    ("contentpolicy", ErrorClass::ContentFilter),
    ("content management policy", ErrorClass::ContentFilter),
    ("content filtering", ErrorClass::ContentFilter),
    ("safety system", ErrorClass::ContentFilter),
    ("responsibleai", ErrorClass::ContentFilter),
    ("timeout", ErrorClass::Timeout),
    ("timed out", ErrorClass::Timeout),
    ("timedout", ErrorClass::Timeout),
    ("deadline", ErrorClass::Timeout),
    ("authentication", ErrorClass::Authentication),
    ("unauthorized", ErrorClass::Authentication),
    ("unauthenticated", ErrorClass::Authentication),
    ("invalid_api_key", ErrorClass::Authentication),
    ("api key", ErrorClass::Authentication),
    ("permission", ErrorClass::Permission),
    ("forbidden", ErrorClass::Permission),
    ("accessdenied", ErrorClass::Permission),
    ("not_found", ErrorClass::NotFound),
    ("notfound", ErrorClass::NotFound),
    ("overloaded", ErrorClass::Overloaded),
    ("unavailable", ErrorClass::Overloaded),
    ("cancel", ErrorClass::Cancelled),
    ("generatorexit", ErrorClass::Cancelled),
    ("abort", ErrorClass::Cancelled),
    ("connection", ErrorClass::Connection),
    ("connecterror", ErrorClass::Connection),
    ("remoteprotocol", ErrorClass::Connection),
    ("incomplete chunked read", ErrorClass::Connection),
    ("readerror", ErrorClass::Connection),
    ("econnre", ErrorClass::Connection),
    ("fetch failed", ErrorClass::Connection),
    ("socket", ErrorClass::Connection),
    ("badrequest", ErrorClass::InvalidRequest),
    ("invalid_argument", ErrorClass::InvalidRequest),
    ("bad request", ErrorClass::InvalidRequest),
    ("invalid_request", ErrorClass::InvalidRequest),
    ("invalidrequest", ErrorClass::InvalidRequest),
    ("unprocessable", ErrorClass::InvalidRequest),
    ("validation", ErrorClass::InvalidRequest),
    ("internalserver", ErrorClass::ServerError),
    ("internal server", ErrorClass::ServerError),
    ("server_error", ErrorClass::ServerError),
    ("servererror", ErrorClass::ServerError),
    ("server had an error", ErrorClass::ServerError),
    ("api_error", ErrorClass::ServerError),
];

/// HTTP statuses with a class of their own; the others go by their hundred.
const STATUSES: &[(u16, ErrorClass)] = &[
    (401, ErrorClass::Authentication),
    (403, ErrorClass::Permission),
    (404, ErrorClass::NotFound),
    (408, ErrorClass::Timeout),
    (413, ErrorClass::ContextLength),
    (429, ErrorClass::RateLimited),
    (499, ErrorClass::Cancelled),
    (503, ErrorClass::Overloaded),
    (504, ErrorClass::Timeout),
    (529, ErrorClass::Overloaded),
];

/// The class of a failure: by its raw type, else by its HTTP status, else by its message. Types of bad requests and failed
/// servers say no more than a hundred of statuses: there the message and the status are asked for something more particular.
pub(crate) fn classify(kind: &[u8], http_status: Option<u16>, message: &[u8]) -> ErrorClass {
    use ErrorClass::{
        Authentication, Connection, ContentFilter, ContextLength, InvalidRequest, Overloaded, ServerError, Timeout,
    };
    let by_kind = status_in(kind).and_then(by_status).or_else(|| by_signs(kind));
    if let Some(class) = by_kind
        && !matches!(class, InvalidRequest | ServerError)
    {
        return class;
    }
    let by_message = by_signs(message);
    let by_status = status_in_message(message).or(http_status).and_then(by_status);
    let general = by_kind.or(by_status).or(by_message).unwrap_or(ErrorClass::Other);
    match (general, by_message) {
        (InvalidRequest, Some(class @ (ContextLength | ContentFilter | Authentication))) => class,
        (ServerError, Some(class @ (Overloaded | Connection | Timeout))) => class,
        (ServerError, _) if by_status == Some(Overloaded) => Overloaded,
        (general, _) => general,
    }
}

fn by_status(status: u16) -> Option<ErrorClass> {
    if let Some((_, class)) = STATUSES.iter().find(|(code, _)| *code == status) {
        return Some(*class);
    }
    match status {
        400..=499 => Some(ErrorClass::InvalidRequest),
        500..=599 => Some(ErrorClass::ServerError),
        _ => None,
    }
}

/// An HTTP status that is the whole text: `error.type` may be just that.
fn status_in(text: &[u8]) -> Option<u16> {
    let [a @ b'4'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9'] = *text else { return None };
    Some(u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0'))
}

/// The status of a message such as `Error code: 429 - {...}` (OpenAI, Anthropic), `status_code: 429, ...` (Pydantic AI),
/// `HTTP 429 - {...}` (Spring, .NET) or `400 INVALID_ARGUMENT. {...}` (Google).
fn status_in_message(message: &[u8]) -> Option<u16> {
    const BEFORE: [&[u8]; 5] = [b"Error code: ", b"status_code: ", b"status code: ", b"status code ", b"HTTP "];
    let message = message.get(..SEARCHED).unwrap_or(message);
    let status_at = |at: usize| status_in(message.get(at..at + 3)?);
    let leading = || match message.get(3) {
        None | Some(b' ' | b'.' | b':') => status_at(0),
        Some(_) => None,
    };
    BEFORE.iter().find_map(|before| status_at(memchr::memmem::find(message, before)? + before.len())).or_else(leading)
}

/// How much of a text is searched for signs: messages can be long, and what they are about stands in front.
const SEARCHED: usize = 512;

fn by_signs(text: &[u8]) -> Option<ErrorClass> {
    let text = text.get(..SEARCHED).unwrap_or(text);
    let first = FINDER.as_ref()?.find_overlapping_iter(text).map(|hit| hit.pattern().as_usize()).min()?;
    SIGNS.get(first).map(|(_, class)| *class)
}

/// Finds all signs in one pass. It is there unless the signs are beyond what an automaton can hold, which a test rules out.
static FINDER: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    AhoCorasick::builder().ascii_case_insensitive(true).build(SIGNS.iter().map(|(sign, _)| sign)).ok()
});

fn contains_ignoring_case(text: &[u8], sign: &[u8]) -> bool {
    text.windows(sign.len()).any(|window| window.eq_ignore_ascii_case(sign))
}

/// Whether an exception is only the consumer of a stream closing it: not a failure (reference/counting.md section 4).
pub(crate) fn is_stream_closed(kind: &[u8], message: &[u8]) -> bool {
    ["GeneratorExit", "CancelledError"].iter().any(|sign| {
        contains_ignoring_case(kind.get(..SEARCHED).unwrap_or(kind), sign.as_bytes())
            || contains_ignoring_case(message.get(..SEARCHED).unwrap_or(message), sign.as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // Types, statuses and messages of real SDKs get the class that a person would give them.
    #[test]
    fn classes_of_real_errors() {
        let cases: [(&str, Option<u16>, &str, ErrorClass); 34] = [
            ("RateLimitError", None, "Error code: 429 - {'error': {'message': 'slow down'}}", ErrorClass::RateLimited),
            ("429", None, "", ErrorClass::RateLimited),
            ("APITimeoutError", None, "Request timed out.", ErrorClass::Timeout),
            ("openai.AuthenticationError", None, "", ErrorClass::Authentication),
            ("BadRequestError", None, "maximum context length is 8192 tokens", ErrorClass::ContextLength),
            ("BadRequestError", None, "Error code: 400", ErrorClass::InvalidRequest),
            ("APIConnectionError", None, "Connection error.", ErrorClass::Connection),
            ("InternalServerError", None, "Error code: 500", ErrorClass::ServerError),
            ("Exception", None, "Error code: 529 - overloaded", ErrorClass::Overloaded),
            ("", Some(404), "", ErrorClass::NotFound),
            ("", None, "", ErrorClass::Other),
            ("ValueError", None, "boom", ErrorClass::Other),
            ("overloaded_error", None, "Overloaded", ErrorClass::Overloaded),
            ("_OTHER", Some(418), "", ErrorClass::InvalidRequest),
            (
                "InternalServerError",
                None,
                "Error code: 503 - The engine is currently overloaded",
                ErrorClass::Overloaded,
            ),
            ("InternalServerError", None, "Error code: 503 - try again", ErrorClass::Overloaded),
            ("InternalServerError", Some(529), "try again", ErrorClass::Overloaded),
            ("InternalServerError", Some(500), "OpenAIException - Connection error.", ErrorClass::Connection),
            ("google.genai.errors.ClientError", None, "400 INVALID_ARGUMENT. {}", ErrorClass::InvalidRequest),
            ("google.genai.errors.ServerError", None, "503 UNAVAILABLE. {}", ErrorClass::Overloaded),
            (
                "AI_APICallError",
                None,
                "The server had an error while processing your request.",
                ErrorClass::ServerError,
            ),
            ("NonTransientAiException", None, "HTTP 401 - {}", ErrorClass::Authentication),
            ("System.ClientModel.ClientResultException", None, "HTTP 429 (: 429)", ErrorClass::RateLimited),
            ("", None, "404", ErrorClass::NotFound),
            ("ModelHTTPError", None, "status_code: 403, model_name: x", ErrorClass::Permission),
            (
                "BadRequestError",
                Some(400),
                "Error code: 400 - {'type': 'error', 'error': {'type': 'invalid_request_error', 'message': 'Output blocked by content filtering policy'}}",
                ErrorClass::ContentFilter,
            ),
            (
                "google.genai.errors.ClientError",
                Some(400),
                "400 INVALID_ARGUMENT. {'error': {'code': 400, 'message': 'The input token count (1088576) exceeds the maximum number of tokens allowed (1048576).'}}",
                ErrorClass::ContextLength,
            ),
            ("ValidationException", None, "Input is too long for requested model.", ErrorClass::ContextLength),
            (
                "BadRequestError",
                None,
                "This model's maximum prompt length is 131072 but the request contains 199999 tokens.",
                ErrorClass::ContextLength,
            ),
            (
                "invalid_request_error",
                None,
                "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000",
                ErrorClass::ContextLength,
            ),
            (
                "google.genai.errors.ClientError",
                Some(400),
                "400 INVALID_ARGUMENT. {'error': {'code': 400, 'message': 'API key not valid. Please pass a valid API key.'}}",
                ErrorClass::Authentication,
            ),
            ("content_policy_violation", Some(400), "", ErrorClass::ContentFilter),
            ("asyncio.exceptions.CancelledError", None, "", ErrorClass::Cancelled),
            ("AbortError", None, "This operation was aborted", ErrorClass::Cancelled),
        ];
        for (kind, status, message, expected) in cases {
            assert_eq!(
                classify(kind.as_bytes(), status, message.as_bytes()),
                expected,
                "{kind:?} {status:?} {message:?}"
            );
        }
    }
}
