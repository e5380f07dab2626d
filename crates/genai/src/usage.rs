//! Tokens in canonical form.
//!
//! Canonical: `input` includes what was read from and written to a cache, `output` includes reasoning; cache and reasoning
//! are subsets, never addends (corpus/README.md, reference/dialects.md 4.3-4.5).

mod compact;
mod fields;
mod number;
mod object;

pub use compact::CompactUsage;
pub(crate) use object::{UsageObject, by_provider, details, object, seed};

/// Canonical token counts of one call. `None` is "not told", which is not zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// All prompt tokens.
    pub input: Option<u32>,
    /// Prompt tokens read from a cache: part of `input`.
    pub cache_read: Option<u32>,
    /// Prompt tokens written to a cache: part of `input`.
    pub cache_write: Option<u32>,
    /// Those of them that are kept for an hour, which costs more: part of `cache_write`.
    pub cache_write_1h: Option<u32>,
    /// All generated tokens.
    pub output: Option<u32>,
    /// Generated tokens of reasoning: part of `output`.
    pub reasoning: Option<u32>,
}

/// What can be wrong with a usage that was reported. It is counted, never guessed away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Inconsistency {
    /// More tokens were read from and written to a cache than there were.
    CacheExceedsInput,
    /// More tokens of reasoning than tokens of output.
    ReasoningExceedsOutput,
    /// The total is neither input and output nor these and what is cached.
    TotalMismatch,
    /// A count that none can be: negative, not finite, or beyond a billion.
    InvalidCount,
}

impl Inconsistency {
    /// Its name, the `reason` of `spanmill.tokens.inconsistent`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CacheExceedsInput => "cache_exceeds_input",
            Self::ReasoningExceedsOutput => "reasoning_exceeds_output",
            Self::TotalMismatch => "total_mismatch",
            Self::InvalidCount => "invalid_count",
        }
    }
}

/// The five disjoint classes of tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenClasses {
    /// Prompt tokens at the full price.
    pub input_uncached: u64,
    /// Prompt tokens read from a cache.
    pub cache_read: u64,
    /// Prompt tokens written to a cache.
    pub cache_write: u64,
    /// Generated tokens that the caller sees.
    pub output_visible: u64,
    /// Generated tokens of reasoning.
    pub reasoning: u64,
}

impl std::ops::AddAssign for TokenClasses {
    fn add_assign(&mut self, more: Self) {
        // Calls that tell the most that a call can tell need hours at full load to come to the end of the range.
        self.input_uncached = self.input_uncached.saturating_add(more.input_uncached);
        self.cache_read = self.cache_read.saturating_add(more.cache_read);
        self.cache_write = self.cache_write.saturating_add(more.cache_write);
        self.output_visible = self.output_visible.saturating_add(more.output_visible);
        self.reasoning = self.reasoning.saturating_add(more.reasoning);
    }
}

/// How a dialect writes input tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheSemantics {
    /// Input includes cached tokens.
    Included,
    /// Input leaves cached tokens out.
    Excluded,
    /// As the provider has it: left out by Anthropic and Bedrock, included by others.
    ExcludedByAnthropic,
    /// Included if the total is input + output, left out otherwise.
    ByTotal,
    /// Left out if a total is told that is not input + output, included otherwise.
    IncludedByTotal,
}

/// How the provider of a model itself reports input tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Native {
    /// With cached tokens.
    Included,
    /// Without them.
    Excluded,
    /// Who knows.
    Unknown,
}

/// How a dialect writes output tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReasoningSemantics {
    /// Output includes reasoning.
    Included,
    /// Output leaves reasoning out.
    Excluded,
}

impl Usage {
    /// Nothing is told.
    pub const NONE: Self =
        Self { input: None, cache_read: None, cache_write: None, cache_write_1h: None, output: None, reasoning: None };

    /// The greatest count of tokens. What parts add up to is cut to it, so that one number is left for a count that is not told.
    pub const MOST: u32 = u32::MAX - 1;

    /// Whether anything was used: a report of neither input nor output is no report (LiteLLM writes 0/0 for a stream
    /// without usage).
    pub fn is_reported(&self) -> bool {
        self.input.unwrap_or(0) > 0 || self.output.unwrap_or(0) > 0
    }

    /// The five disjoint classes. A subset larger than its whole is cut to the whole, so that the classes always add up
    /// to input and output.
    pub fn classes(&self) -> TokenClasses {
        let input = u64::from(self.input.unwrap_or(0));
        let output = u64::from(self.output.unwrap_or(0));
        let cache_read = u64::from(self.cache_read.unwrap_or(0)).min(input);
        let cache_write = u64::from(self.cache_write.unwrap_or(0)).min(input - cache_read);
        let reasoning = u64::from(self.reasoning.unwrap_or(0)).min(output);
        TokenClasses {
            input_uncached: input - cache_read - cache_write,
            cache_read,
            cache_write,
            output_visible: output - reasoning,
            reasoning,
        }
    }

    /// Counts are cut to [`Self::MOST`], a subset larger than its whole to the whole, and one of an unknown whole is not told: so what a row of the
    /// archive says adds up to what is counted. Where the whole is known, that is an inconsistency.
    #[inline]
    pub(crate) fn keep_within_whole(&mut self, inconsistency: &mut Option<Inconsistency>) {
        let Self { input, cache_read, cache_write, cache_write_1h, output, reasoning } = self;
        for count in [input, cache_read, cache_write, cache_write_1h, output, reasoning].into_iter().flatten() {
            *count = (*count).min(Self::MOST);
        }
        let cached = u64::from(self.cache_read.unwrap_or(0)) + u64::from(self.cache_write.unwrap_or(0));
        if cached > u64::from(self.input.unwrap_or(0)) || self.reasoning.unwrap_or(0) > self.output.unwrap_or(0) {
            *inconsistency = inconsistency.or(self.excess(cached));
            self.cut_to_whole();
        }
        if let Some(kept) = &mut self.cache_write_1h {
            *kept = (*kept).min(self.cache_write.unwrap_or(0));
        }
    }

    #[cold]
    fn excess(&self, cached: u64) -> Option<Inconsistency> {
        if self.input.is_some_and(|input| cached > u64::from(input)) {
            return Some(Inconsistency::CacheExceedsInput);
        }
        let is_exceeded = self.output.is_some_and(|output| self.reasoning.unwrap_or(0) > output);
        is_exceeded.then_some(Inconsistency::ReasoningExceedsOutput)
    }

    #[cold]
    fn cut_to_whole(&mut self) {
        let part = |subset: Option<u32>, whole: Option<u32>| Some(subset?.min(whole?));
        self.cache_read = part(self.cache_read, self.input);
        let not_read = self.input.map(|input| input - self.cache_read.unwrap_or(0));
        self.cache_write = part(self.cache_write, not_read);
        self.reasoning = part(self.reasoning, self.output);
    }

    /// Takes what is not told, or told as zero, from `other`: cache and reasoning may stand in a second place only.
    /// Input and output are taken only where they are absent.
    pub(crate) fn fill(&mut self, other: &Self) {
        fn subset(mine: &mut Option<u32>, theirs: Option<u32>) {
            if mine.unwrap_or(0) == 0 && theirs.is_some() {
                *mine = theirs;
            }
        }
        if self.is_reported() {
            self.input = self.input.or(other.input);
            self.output = self.output.or(other.output);
        } else {
            self.input = other.input.or(self.input);
            self.output = other.output.or(self.output);
        }
        subset(&mut self.cache_read, other.cache_read);
        subset(&mut self.cache_write, other.cache_write);
        subset(&mut self.cache_write_1h, other.cache_write_1h);
        subset(&mut self.reasoning, other.reasoning);
    }

    /// As [`Self::fill`], from another report of the same answer; where that is the wire object with more cache in it than a
    /// library put into its counts, its input is right, and so is its output if only the reasoning in it was left out.
    pub(crate) fn complete(&mut self, other: &Self) {
        if other.output_without_reasoning() == self.output {
            self.output = other.output;
        }
        if other.output == self.output && other.input > self.input && other.cached() > self.cached() {
            self.input = other.input;
        }
        self.fill(other);
    }

    /// Only the parts of input and output.
    pub(crate) fn parts(self) -> Self {
        Self { input: None, output: None, ..self }
    }

    /// Output as those tell it who leave reasoning out; `None` if there is none.
    pub(crate) fn output_without_reasoning(&self) -> Option<u32> {
        self.output?.checked_sub(self.reasoning.filter(|tokens| *tokens > 0)?)
    }

    /// Whether a total is that of input and output as they are.
    fn is_sum(&self, total: u32) -> bool {
        total == self.input.unwrap_or(0).saturating_add(self.output.unwrap_or(0))
    }

    fn cached(&self) -> u32 {
        self.cache_read.unwrap_or(0).saturating_add(self.cache_write.unwrap_or(0))
    }

    /// Whether `total` is the sum of a raw report, in any reading: with and without what is cached and reasoned.
    pub(crate) fn can_add_up_to(&self, total: u32) -> bool {
        let (Some(input), Some(output)) = (self.input, self.output) else { return true };
        let count = |told: Option<u32>| u64::from(told.unwrap_or(0));
        let (read, write, reasoning) = (count(self.cache_read), count(self.cache_write), count(self.reasoning));
        let base = u64::from(input) + u64::from(output);
        total == 0
            || [0, read, write, read + write]
                .iter()
                .any(|cached| [base + cached, base + cached + reasoning].contains(&u64::from(total)))
    }

    /// Whether `total` shows that input leaves out what is cached: it is the sum of them all, with reasoning or without. That it is not
    /// shows nothing: who leaves it out of input may leave it out of the total.
    pub(crate) fn adds_up_with_cache(&self, total: Option<u32>) -> bool {
        let (Some(input), Some(output), Some(total)) = (self.input, self.output, total) else { return false };
        let cached = self.cached();
        let sum = u64::from(input) + u64::from(output) + u64::from(cached);
        let reasoning = u64::from(self.reasoning.unwrap_or(0));
        cached > 0 && [sum, sum + reasoning].contains(&u64::from(total))
    }

    /// Makes a raw report canonical: adds to input what the dialect left out of it. `total` goes before `semantics` where it tells.
    /// More cached tokens than input show that they were left out, unless the provider is known to include them.
    pub(crate) fn include_cache(
        &mut self,
        semantics: CacheSemantics,
        native: impl FnOnce() -> Native,
        total: impl FnOnce() -> Option<u32>,
    ) {
        let cached = self.cached();
        let Some(input) = self.input else { return };
        if cached == 0 {
            return;
        }
        let total = total();
        let left_out = match semantics {
            _ if self.adds_up_with_cache(total) => true,
            CacheSemantics::Included => cached > input && native() != Native::Included,
            CacheSemantics::Excluded => true,
            CacheSemantics::ExcludedByAnthropic => match native() {
                Native::Excluded => true,
                Native::Included => false,
                Native::Unknown => cached > input,
            },
            CacheSemantics::ByTotal => total.is_none_or(|total| !self.is_sum(total)) || cached > input,
            CacheSemantics::IncludedByTotal => total.is_some_and(|total| !self.is_sum(total)) || cached > input,
        };
        if left_out {
            self.input = Some(input.saturating_add(cached));
        }
    }

    /// Adds reasoning to output where the dialect left it out, or where the total says so (Gemini counts thoughts apart).
    #[inline]
    pub(crate) fn include_reasoning(&mut self, semantics: ReasoningSemantics, total: impl FnOnce() -> Option<u32>) {
        let (Some(output), Some(reasoning @ 1..)) = (self.output, self.reasoning) else { return };
        let whole = output.saturating_add(reasoning);
        if semantics == ReasoningSemantics::Excluded || total() == self.input.map(|input| input.saturating_add(whole)) {
            self.output = Some(whole);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // What parts add up to beyond the greatest count is told as that one, and the number above it is left for what is not told.
    #[test]
    fn sums_leave_a_number() {
        let mut usage = Usage { input: Some(u32::MAX), cache_read: Some(7), output: Some(u32::MAX), ..Usage::NONE };
        usage.keep_within_whole(&mut None);
        let cut = Some(Usage::MOST);
        assert_eq!(usage, Usage { input: cut, cache_read: Some(7), output: cut, ..Usage::NONE });
    }

    fn counts() -> impl Strategy<Value = Option<u32>> {
        proptest::option::of(0..=1_000_000_000_u32)
    }

    proptest! {
        // Whatever is reported, the five classes are disjoint and add up to input and output.
        #[test]
        fn classes_add_up(input in counts(), cache_read in counts(), cache_write in counts(), output in counts(), reasoning in counts()) {
            let usage = Usage { input, cache_read, cache_write, cache_write_1h: None, output, reasoning };
            let classes = usage.classes();
            prop_assert_eq!(classes.input_uncached + classes.cache_read + classes.cache_write, u64::from(input.unwrap_or(0)));
            prop_assert_eq!(classes.output_visible + classes.reasoning, u64::from(output.unwrap_or(0)));
        }
    }

    // What a dialect leaves out of input is added once, by its own rule.
    #[test]
    fn input_includes_cache_after_normalising() {
        let raw = Usage { input: Some(100), cache_read: Some(64), output: Some(10), ..Usage::default() };
        let input = |usage: Usage, semantics, native, total| {
            let mut usage = usage;
            usage.include_cache(semantics, || native, || total);
            usage.input
        };
        use CacheSemantics::*;
        assert_eq!(input(raw, Included, Native::Excluded, None), Some(100));
        assert_eq!(input(raw, Excluded, Native::Included, None), Some(164));
        assert_eq!(input(raw, ExcludedByAnthropic, Native::Excluded, None), Some(164));
        assert_eq!(input(raw, ExcludedByAnthropic, Native::Included, None), Some(100));
        assert_eq!(input(raw, ByTotal, Native::Unknown, Some(110)), Some(100));
        assert_eq!(input(raw, ByTotal, Native::Unknown, Some(174)), Some(164));
        assert_eq!(input(raw, ByTotal, Native::Unknown, None), Some(164));
        // A total with it shows that it was left out, whatever is usual; one without it shows nothing.
        assert_eq!(input(raw, Included, Native::Included, Some(174)), Some(164));
        assert_eq!(input(Usage { reasoning: Some(3), ..raw }, Included, Native::Included, Some(177)), Some(164));
        assert_eq!(input(raw, Excluded, Native::Excluded, Some(110)), Some(164));
        // More cached than read: left out, unless it can't be.
        let odd = Usage { input: Some(10), ..raw };
        assert_eq!(input(odd, Included, Native::Unknown, None), Some(74));
        assert_eq!(input(odd, Included, Native::Included, None), Some(10));
        assert_eq!(input(odd, ExcludedByAnthropic, Native::Unknown, None), Some(74));
    }

    // A subset larger than its whole is cut and named; one of an unknown whole is only not told.
    #[test]
    fn subsets_stay_within_their_whole() {
        let kept = |usage: Usage| {
            let (mut usage, mut flaw) = (usage, None);
            usage.keep_within_whole(&mut flaw);
            (usage, flaw)
        };
        let whole = Usage { input: Some(10), output: Some(5), ..Usage::default() };
        let (usage, flaw) = kept(Usage { cache_read: Some(8), cache_write: Some(8), cache_write_1h: Some(4), ..whole });
        assert_eq!((usage.cache_read, usage.cache_write, usage.cache_write_1h), (Some(8), Some(2), Some(2)));
        assert_eq!(flaw, Some(Inconsistency::CacheExceedsInput));
        assert_eq!(kept(Usage { reasoning: Some(6), ..whole }).1, Some(Inconsistency::ReasoningExceedsOutput));
        assert_eq!(kept(Usage { reasoning: Some(6), ..Usage::default() }), (Usage::default(), None));
    }

    // A total fits if any reading of the parts gives it.
    #[test]
    fn totals_fit_a_reading() {
        let usage =
            Usage { input: Some(100), cache_read: Some(64), output: Some(10), reasoning: Some(3), ..Usage::default() };
        for total in [0, 110, 174, 113, 177] {
            assert!(usage.can_add_up_to(total), "{total}");
        }
        assert!(!usage.can_add_up_to(111) && !usage.can_add_up_to(100));
        assert!(Usage { output: None, ..usage }.can_add_up_to(111), "nothing to add");
    }
}
