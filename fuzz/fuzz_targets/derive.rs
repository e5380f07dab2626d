//! Any bytes as a trace request: the facts are those of its spans, and hold together.

#![no_main]

use libfuzzer_sys::fuzz_target;
use spanmill_genai::{Derived, Deriver, Evaluation, SpanFacts};
use spanmill_otlp::trace::{self, Event, Scope, Span, SpanVisitor, Visitor};
use spanmill_otlp::{Text, Value};

fuzz_target!(|body: &[u8]| {
    let deriver = Deriver::default();
    // The same bytes as logs, too: nothing breaks.
    for evaluation in deriver.derive_logs(body).into_iter().flatten() {
        check_evaluation(&evaluation, body);
    }
    let derived = deriver.derive_traces(body);
    assert!(derived == deriver.derive_traces(body), "deriving has no memory");

    let mut spans = Spans(0);
    let walked = trace::walk(body, &mut spans);
    assert_eq!(derived.is_err(), walked.is_err());
    let Ok(Derived { spans: facts, evaluations }) = derived else { return };
    evaluations.iter().for_each(|evaluation| check_evaluation(evaluation, body));
    assert_eq!(facts.len(), spans.0);
    facts.iter().for_each(|span| check(span, body));
});

fn check_evaluation(evaluation: &Evaluation, body: &[u8]) {
    assert!(evaluation.name.end() as usize <= body.len());
    assert!(evaluation.message.end() as usize <= body.len());
    assert!(evaluation.label.bytes(body).len() <= 64);
    assert!(evaluation.score.is_none_or(f64::is_finite));
}

fn check(span: &SpanFacts, body: &[u8]) {
    let inside = |text: Text| assert!(text.end() as usize <= body.len());
    inside(span.span);
    inside(span.resource);
    inside(span.request_model);
    inside(span.response_model);
    inside(span.response_id);
    inside(span.prompt_name);
    inside(span.prompt_version);
    assert!(!span.model(body).is_empty());

    let usage = span.usage();
    assert!(usage.cache_write_1h <= usage.cache_write.or(Some(0)));
    let classes = usage.classes();
    let input = classes.input_uncached + classes.cache_read + classes.cache_write;
    let output = classes.output_visible + classes.reasoning;
    assert_eq!(input, u64::from(usage.input.unwrap_or_default()));
    assert_eq!(output, u64::from(usage.output.unwrap_or_default()));
}

/// Counts spans.
struct Spans(usize);

impl Visitor for Spans {
    fn again(&mut self) {
        self.0 = 0;
    }

    fn resource(&mut self, _: Text) {}
    fn resource_attribute(&mut self, _: &[u8], _: Value) {}
    fn scope(&mut self, _: Scope) {}
}

impl SpanVisitor for Spans {
    fn attribute(&mut self, _: &[u8], _: Value) {}
    fn event(&mut self, _: Event) {}
    fn span(&mut self, _: &Span) {
        self.0 += 1;
    }
}
