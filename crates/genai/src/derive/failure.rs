//! The failure that a span shows (reference/counting.md section 4).

use otlp::Text;
use otlp::trace::Span;

use super::Derivation;
use super::found::FAILURE;
use crate::coerce;
use crate::dialects::Plain;
use crate::error::{self, ErrorClass, ErrorFacts};
use crate::facts::{Label, SpanFacts, Status};

impl Derivation<'_> {
    pub(super) fn failure(&self, span: &Span, facts: &SpanFacts) -> Option<ErrorFacts> {
        let is_error = Status::from(span.status_code) == Status::Error || ended_in_error(facts);
        if !is_error && self.found.exception.is_none() && !self.found.has_any(FAILURE) {
            return None;
        }
        let body = self.body;
        let kind = self.name(Plain::ErrorType);
        let http_status = self.http_status();
        let is_flagged = is_error
            || !kind.is_empty()
            || error::is_failed(self.text(Plain::Outcome).bytes(body))
            || self.flag(Plain::Success) == Some(false)
            || self.flag(Plain::Failed) == Some(true);
        let exception = self.found.exception.unwrap_or_default();
        if !is_flagged {
            let is_told = self.found.exception.is_some() || http_status.is_some_and(|status| status >= 400);
            let is_harmless = facts.usage().is_reported()
                || error::is_stream_closed(exception.kind.bytes(body), exception.message.bytes(body));
            if !is_told || is_harmless {
                return None;
            }
        }
        let kind = [kind, exception.kind, self.text(Plain::ErrorCategory)].into_iter().find(|kind| !kind.is_empty());
        let kind = kind.unwrap_or_default();
        let messages = [span.status_message, exception.message, self.text(Plain::ErrorMessage)];
        let message = messages.into_iter().find(|message| !message.is_empty()).unwrap_or_default();
        let mut class = self.class(kind, http_status, message);
        if class == ErrorClass::Other {
            // What stands first may say less than the next one.
            let mut others = messages.into_iter().map(|message| self.class(kind, http_status, message));
            class = others.find(|class| *class != ErrorClass::Other).unwrap_or(class);
        }
        Some(ErrorFacts { class, kind, message })
    }

    fn class(&self, kind: Text, http_status: Option<u16>, message: Text) -> ErrorClass {
        let body = self.body;
        // A category is a class already, in other words.
        let category = self.text(Plain::ErrorCategory);
        let class = error::classify(kind.bytes(body), http_status, message.bytes(body));
        if class == ErrorClass::Other && !category.is_empty() {
            return error::classify(category.bytes(body), None, &[]);
        }
        class
    }

    /// The HTTP status, from a key of its own or from a numeric type of the failure.
    fn http_status(&self) -> Option<u16> {
        [Plain::HttpStatus, Plain::ErrorType].into_iter().filter(|plain| self.found.has(*plain)).find_map(|plain| {
            let status = coerce::number(self.found.get(plain), self.body)?;
            (100.0..600.0).contains(&status).then_some(status as u16)
        })
    }

    fn flag(&self, plain: Plain) -> Option<bool> {
        if self.found.has(plain) { coerce::flag(self.found.get(plain), self.body) } else { None }
    }
}

/// Whether a call says of its answer that an error ended it, and nothing was used.
fn ended_in_error(facts: &SpanFacts) -> bool {
    facts.dialect.dialect().fails_by_finish_reason
        && facts.role.is_call()
        && facts.finish_reason == Label::Known(&"error")
        && !facts.usage().is_reported()
}
