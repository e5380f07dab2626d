//! What an attempt came to: taken, try again, or refused for good.

use std::time::{Duration, SystemTime};

use http::header::{HeaderMap, RETRY_AFTER};
use http::status::StatusCode;

/// An attempt failed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) verdict: Verdict,
    /// What the other side or the system says, without secrets.
    pub(crate) message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The same may succeed later, and not before the other side said, if it said so.
    Transient { retry_after: Option<Duration> },
    /// It never will.
    Permanent,
}

impl Failure {
    pub(crate) fn transient(message: impl Into<String>) -> Self {
        Self { verdict: Verdict::Transient { retry_after: None }, message: message.into() }
    }

    pub(crate) fn permanent(message: impl Into<String>) -> Self {
        Self { verdict: Verdict::Permanent, message: message.into() }
    }

    /// There was no answer: what the innermost cause says.
    pub(crate) fn no_answer(error: &(dyn std::error::Error + 'static)) -> Self {
        let innermost = std::iter::successors(Some(error), |error| error.source()).last().unwrap_or(error);
        Self::transient(innermost.to_string())
    }

    /// An answer that is no success, and the beginning of its body.
    pub(crate) fn http(status: StatusCode, headers: &HeaderMap, body: &str, now: SystemTime) -> Self {
        let is_transient = status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429);
        let verdict = match is_transient {
            true => Verdict::Transient { retry_after: retry_after(headers, now) },
            false => Verdict::Permanent,
        };
        let explanation = body.trim();
        let separator = if explanation.is_empty() { "" } else { ": " };
        Self { verdict, message: format!("http {}{separator}{explanation}", status.as_u16()) }
    }
}

/// Seconds, or a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(now).ok(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    // Which answers are worth another attempt, and when.
    #[test]
    fn answers() {
        for (status, is_transient) in
            [(301, false), (400, false), (401, false), (404, false), (408, true), (429, true), (500, true), (503, true)]
        {
            let status = StatusCode::from_u16(status).unwrap();
            let failure = Failure::http(status, &HeaderMap::new(), "", UNIX_EPOCH);
            assert_eq!(failure.verdict != Verdict::Permanent, is_transient, "{status}");
        }
        let asked_for = |text: &'static str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, http::HeaderValue::from_static(text))]);
            let failure = Failure::http(StatusCode::SERVICE_UNAVAILABLE, &headers, " later\n", UNIX_EPOCH);
            assert_eq!(failure.message, "http 503: later");
            failure.verdict
        };
        let after = |seconds| Verdict::Transient { retry_after: Some(Duration::from_secs(seconds)) };
        assert_eq!(asked_for("7"), after(7));
        assert_eq!(asked_for("Thu, 01 Jan 1970 00:01:00 GMT"), after(60));
        assert_eq!(asked_for("soon"), Verdict::Transient { retry_after: None });
    }
}
