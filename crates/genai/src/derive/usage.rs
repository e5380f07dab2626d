//! Canonical tokens and supplied cost of a span: what stands in the place that the dialect means first, completed by the others.

use std::num::NonZeroU64;

use super::Derivation;
use super::found::{COST, USAGE_ELSEWHERE};
use crate::coerce::{self, Count};
use crate::cost;
use crate::dialects::Plain;
use crate::facts::{Label, SpanFacts};
use crate::money::Money;
use crate::usage::{self, CacheSemantics, Inconsistency, Native, ReasoningSemantics, Usage, UsageObject};

impl Derivation<'_> {
    /// The tokens that the span tells; what else it says of them is written to `facts`.
    #[inline]
    pub(super) fn usage(&self, facts: &mut SpanFacts) -> Usage {
        let mut flaw = None;
        let mut counts = Usage {
            input: self.count(Plain::InputTokens, &mut flaw),
            cache_read: self.count(Plain::CacheReadTokens, &mut flaw),
            cache_write: self.count(Plain::CacheWriteTokens, &mut flaw),
            output: self.count(Plain::OutputTokens, &mut flaw),
            cache_write_1h: None,
            reasoning: self.count(Plain::ReasoningTokens, &mut flaw),
        };
        if self.found.has(Plain::TotalTokens) {
            let total = self.count(Plain::TotalTokens, &mut flaw);
            if flaw.is_none() && !total.is_none_or(|total| counts.can_add_up_to(total)) {
                flaw = Some(Inconsistency::TotalMismatch);
            }
        }
        if self.found.has_any(USAGE_ELSEWHERE) {
            self.usage_elsewhere(&mut counts, &mut flaw, facts);
        } else {
            self.make_canonical(&mut counts, facts, None);
        }
        facts.inconsistency = flaw;
        facts.usage_is_running_total =
            self.meaning(facts).has_running_totals && !facts.role.is_call() && counts.is_reported();
        if self.found.has_any(COST) {
            facts.supplied_pico_dollars =
                self.cost().and_then(|cost| NonZeroU64::new(u64::try_from(cost.pico()).ok()?));
        }
        counts
    }

    /// Adds to `counts` what else the span tells of usage.
    #[inline(never)]
    fn usage_elsewhere(&self, counts: &mut Usage, flaw: &mut Option<Inconsistency>, facts: &SpanFacts) {
        let body = self.body;
        let mut usage_of = |object: UsageObject, trust_inclusive: bool| {
            *flaw = flaw.or(object.flaw());
            object.usage(trust_inclusive)
        };
        for (plain, is_input) in [(Plain::InputDetails, true), (Plain::OutputDetails, false)] {
            if let Some(parts) = usage::details(self.found.get(plain), body).map(|parts| usage_of(parts, true)) {
                let reasoning = parts.reasoning.filter(|_| !is_input);
                let parts = if is_input { parts.parts() } else { Usage::default() };
                counts.fill(&Usage { reasoning, ..parts });
            }
        }
        if let Some(apart) = self.count(Plain::ReasoningTokensApart, &mut None)
            && counts.reasoning.is_none()
        {
            counts.reasoning = Some(apart);
            counts.include_reasoning(ReasoningSemantics::Excluded, || None);
        }
        self.cache_writes_by_age(counts);
        if counts.input.is_none() && counts.output.is_none() {
            counts.input = self.count(Plain::ProviderInputTokens, &mut None);
            counts.output = self.count(Plain::ProviderOutputTokens, &mut None);
            if counts.input.is_some() {
                counts.include_cache(CacheSemantics::ExcludedByAnthropic, || self.native(facts), || None);
            }
        }
        let wire = usage::by_provider(self.text(Plain::ProviderMetadata), body).map(|object| usage_of(object, false));
        if let Some(wire) = wire {
            counts.fill(&wire.parts());
        }
        self.make_canonical(counts, facts, wire.and_then(|wire| wire.input));
        if let Some(object) = usage::object(self.found.get(Plain::UsageDetails), body) {
            counts.complete(&usage_of(object, false));
        }
        for (plain, trust_inclusive) in [(Plain::UsageObject, false), (Plain::InclusiveUsageObject, true)] {
            if let Some(object) = usage::object(self.found.get(plain), body) {
                let mut stated = usage_of(object, trust_inclusive);
                stated.fill(counts);
                *counts = stated;
            }
        }
    }

    /// What was written to a cache, by how long it is kept; their sum where no other tells it.
    fn cache_writes_by_age(&self, counts: &mut Usage) {
        let [short, long] =
            [Plain::CacheWrite5mTokens, Plain::CacheWrite1hTokens].map(|plain| self.count(plain, &mut None));
        counts.cache_write_1h = long;
        if counts.cache_write.unwrap_or(0) == 0 && (short.is_some() || long.is_some()) {
            counts.cache_write = Some(short.unwrap_or(0).saturating_add(long.unwrap_or(0)));
        }
    }

    /// `whole_input` is what the provider's own object beside the counts adds up to, cached tokens included.
    fn make_canonical(&self, counts: &mut Usage, facts: &SpanFacts, whole_input: Option<u32>) {
        let dialect = self.meaning(facts);
        let semantics = match self.count(Plain::UncachedInputTokens, &mut None) {
            // AI SDK 6 writes the same keys as 5 on the spans of objects, and means all of the input.
            _ if whole_input.is_some() && whole_input == counts.input => CacheSemantics::Included,
            // All of it is uncached: what is cached was left out. (AI SDK 6 and later, of Bedrock.)
            Some(uncached) if Some(uncached) == counts.input => CacheSemantics::Excluded,
            Some(_) => CacheSemantics::Included,
            None => dialect.cache,
        };
        let total = || self.count(Plain::TotalTokens, &mut None);
        counts.include_cache(semantics, || self.native(facts), total);
        counts.include_reasoning(dialect.reasoning, total);
    }

    /// How the provider of the model itself reports input. Who serves others' models behind an interface of its own reports as that
    /// one does, whatever the model is called.
    fn native(&self, facts: &SpanFacts) -> Native {
        let is_claude = || {
            [facts.request_model, facts.response_model]
                .iter()
                .any(|model| memchr::memmem::find(model.bytes(self.body), b"claude").is_some())
        };
        match facts.provider {
            Label::Known(&("anthropic" | "aws.bedrock")) => Native::Excluded,
            // It serves Claude behind Anthropic's interface.
            Label::Known(&"gcp.vertex_ai") if is_claude() => Native::Excluded,
            Label::Known(_) => Native::Included,
            Label::None | Label::Raw(_) if is_claude() => Native::Excluded,
            Label::None | Label::Raw(_) => Native::Unknown,
        }
    }

    /// What the call cost, as the span says: the total, else what input and output add up to.
    fn cost(&self) -> Option<Money> {
        let dollars = |plain| cost::dollars(self.found.get(plain), self.body);
        dollars(Plain::Cost)
            .or_else(|| cost::of_object(self.text(Plain::CostObject), self.body))
            .or_else(|| Some(dollars(Plain::InputCost)? + dollars(Plain::OutputCost)?))
    }

    #[inline]
    fn count(&self, plain: Plain, flaw: &mut Option<Inconsistency>) -> Option<u32> {
        match coerce::count(self.found.get(plain), self.body) {
            Count::Tokens(tokens) => Some(tokens),
            Count::Absent => None,
            Count::Invalid => {
                *flaw = Some(Inconsistency::InvalidCount);
                None
            }
        }
    }
}
