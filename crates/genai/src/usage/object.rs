//! A usage object as a provider or a library wrote it, told by the shape of its keys (reference/counting.md 2.1).

use std::fmt;

use otlp::value::key_values;
use otlp::{Text, Value};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::fields::{Field, Level, Next};
use super::number::Number;
use super::{Inconsistency, ReasoningSemantics, Usage};
use crate::coerce;
use crate::repr::Repr;

/// More than this is no usage object.
const MAX_SIZE: usize = 64 * 1024;

/// What stands in a usage object, before its shape is judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct UsageObject {
    found: [Option<u32>; Field::COUNT],
    /// Whether there is a `*_details` object: OpenAI's shape, and that of libraries which normalise.
    has_input_details: bool,
    has_invalid: bool,
}

/// Reads a usage object: JSON, a Python `repr`, or a structured value. `None` if it is none of them, or holds no count.
pub(crate) fn object(found: Value, body: &[u8]) -> Option<UsageObject> {
    parse(found, body, Level::Top)
}

/// Reads an object with the parts of input or output, e.g. `{'cache_read': 64}` (LangSmith).
pub(crate) fn details(found: Value, body: &[u8]) -> Option<UsageObject> {
    parse(found, body, Level::Details)
}

fn parse(found: Value, body: &[u8], level: Level) -> Option<UsageObject> {
    if let Value::KeyValues(list) = found {
        let mut object = UsageObject::default();
        object.read_pairs(list, body, level, 0);
        return object.says_something().then_some(object);
    }
    let bytes = coerce::text(found, body).bytes(body);
    if bytes.is_empty() || bytes.len() > MAX_SIZE {
        return None;
    }
    parse_json(bytes, level).or_else(|| parse_repr(bytes, level))
}

/// Reads the usage objects that stand under providers' names, e.g. `{"anthropic": {"usage": {...}}}` (AI SDK).
pub(crate) fn by_provider(text: Text, body: &[u8]) -> Option<UsageObject> {
    let bytes = text.bytes(body);
    if bytes.is_empty() || bytes.len() > MAX_SIZE { None } else { parse_json(bytes, Level::Providers) }
}

/// Reads a usage object inside of something larger.
pub(crate) fn seed<'de>(into: &mut UsageObject) -> impl DeserializeSeed<'de, Value = ()> {
    Object { into, level: Level::Top, is_input_details: false }
}

fn parse_json(bytes: &[u8], level: Level) -> Option<UsageObject> {
    let mut object = UsageObject::default();
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    Object { into: &mut object, level, is_input_details: false }.deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    object.says_something().then_some(object)
}

fn parse_repr(bytes: &[u8], level: Level) -> Option<UsageObject> {
    let mut object = UsageObject::default();
    let mut repr = Repr::new(std::str::from_utf8(bytes).ok()?);
    Object { into: &mut object, level, is_input_details: false }.deserialize(&mut repr).ok()?;
    (repr.is_at_end() && object.says_something()).then_some(object)
}

impl UsageObject {
    fn get(&self, field: Field) -> Option<u32> {
        self.found.get(field as usize).copied().flatten()
    }

    /// Whether a count is told, or at least tried to be.
    fn says_something(&self) -> bool {
        self.has_invalid || self.found.iter().take(Field::KEYED).any(Option::is_some)
    }

    fn keep(&mut self, field: Field, Number { tokens, is_invalid }: Number) {
        let slot = &mut self.found[field as usize];
        if field.is_bucket() {
            // In other shapes the same keys may hold anything.
            *slot = slot.map_or(tokens, |found| Some(found.saturating_add(tokens.unwrap_or(0))));
            return;
        }
        self.has_invalid |= is_invalid;
        *slot = slot.filter(|found| *found > 0).or(tokens).or(*slot);
    }

    /// Reads the counts of a structured value.
    fn read_pairs(&mut self, list: Text, body: &[u8], level: Level, depth: u8) {
        /// Usage in details in usage in what a provider says: no deeper.
        const DEEPEST: u8 = 3;
        for pair in key_values(body, list) {
            let Ok(key) = std::str::from_utf8(pair.key.bytes(body)) else { continue };
            match (level.next(key), pair.value) {
                (Next::Count(field), value) => self.keep(field, Number::from(coerce::count(value, body))),
                (Next::Object(level), Value::KeyValues(list)) if depth < DEEPEST => {
                    self.read_pairs(list, body, level, depth + 1);
                }
                (Next::InputDetails, Value::KeyValues(list)) if depth < DEEPEST => {
                    self.has_input_details = true;
                    self.read_pairs(list, body, Level::Details, depth + 1);
                }
                _ => {}
            }
        }
    }

    /// What is wrong with the counts by themselves.
    pub(crate) fn flaw(&self) -> Option<Inconsistency> {
        if self.has_invalid {
            return Some(Inconsistency::InvalidCount);
        }
        // The other shapes hold more kinds of tokens than are known here, and all are in their totals.
        let input = self.get(Field::InputInclusive).or(self.get(Field::InputEither));
        let (Some(input), Some(output), Some(total)) = (input, self.get(Field::Output), self.get(Field::Total)) else {
            return None;
        };
        let Usage { cache_read, cache_write, reasoning, .. } = self.usage(true);
        let raw =
            Usage { input: Some(input), output: Some(output), cache_read, cache_write, reasoning, ..Usage::default() };
        (!raw.can_add_up_to(total)).then_some(Inconsistency::TotalMismatch)
    }

    /// The canonical usage, by the shape of the object. `trust_inclusive` says that the writer normalises `input_tokens` to
    /// include cached tokens whatever stands beside it (MLflow).
    pub(crate) fn usage(&self, trust_inclusive: bool) -> Usage {
        let cache_read = self.get(Field::CacheRead).or(self.get(Field::CacheReadBucket));
        let by_age = [Field::CacheWrite5m, Field::CacheWrite1h]
            .into_iter()
            .filter_map(|field| self.get(field))
            .reduce(u32::saturating_add);
        let told = self.get(Field::CacheWrite).or(self.get(Field::CacheWriteInDetails));
        let cache_write = match told {
            Some(tokens) if tokens > 0 => Some(tokens),
            told => by_age.or(told),
        };
        let cached = cache_read.unwrap_or(0).saturating_add(cache_write.unwrap_or(0));

        let adds_up_with_cache = |input| {
            let (output, reasoning) = (self.get(Field::Output), self.get(Field::Reasoning));
            let raw = Usage { input: Some(input), cache_read, cache_write, output, reasoning, ..Usage::NONE };
            raw.adds_up_with_cache(self.get(Field::Total))
        };
        let input = if let Some(input) = self.get(Field::InputInclusive) {
            // LiteLLM 1.75 includes reads but not writes: the write then stands beside the input and in no details.
            let write_beside =
                self.get(Field::CacheWrite).unwrap_or(0) > 0 && self.get(Field::CacheWriteInDetails).is_none();
            Some(if adds_up_with_cache(input) {
                input.saturating_add(cached)
            } else if write_beside {
                input.saturating_add(self.get(Field::CacheWrite).unwrap_or(0))
            } else {
                input
            })
        } else if let Some(input) = self.get(Field::InputEither) {
            let anthropic_wire = self.get(Field::CacheRead).or(self.get(Field::CacheWrite)).is_some()
                && self.get(Field::Total).is_none()
                && !self.has_input_details;
            let left_out = (anthropic_wire && !trust_inclusive) || cached > input || adds_up_with_cache(input);
            Some(if left_out { input.saturating_add(cached) } else { input })
        } else {
            let parts = self.get(Field::InputBucket).unwrap_or(0).saturating_add(cached);
            self.get(Field::InputExclusive).map(|input| input.saturating_add(parts))
        };

        let reasoning_apart = self.get(Field::ReasoningExclusive);
        let output = match self.get(Field::Output) {
            Some(output) => Some(output),
            None => {
                let parts = self.get(Field::OutputBucket).unwrap_or(0).saturating_add(reasoning_apart.unwrap_or(0));
                self.get(Field::OutputExclusive).map(|output| output.saturating_add(parts))
            }
        };
        let mut usage = Usage {
            input,
            cache_read,
            cache_write,
            cache_write_1h: self.get(Field::CacheWrite1h),
            output,
            reasoning: self.get(Field::Reasoning).or(reasoning_apart),
        };
        if reasoning_apart.is_none() {
            usage.include_reasoning(ReasoningSemantics::Included, || self.get(Field::Total));
        }
        usage
    }
}

/// Reads an object's counts into `into`, without keeping anything else of it.
struct Object<'u> {
    into: &'u mut UsageObject,
    level: Level,
    /// Whether it is an object of details by its key; `null` is none.
    is_input_details: bool,
}

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a usage object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.into.has_input_details |= self.is_input_details;
        while let Some(next) = map.next_key_seed(self.level)? {
            match next {
                Next::Count(field) => {
                    let number = map.next_value()?;
                    self.into.keep(field, number);
                }
                Next::Object(level) => {
                    map.next_value_seed(Object { into: self.into, level, is_input_details: false })?;
                }
                Next::InputDetails => {
                    map.next_value_seed(Object { into: self.into, level: Level::Details, is_input_details: true })?;
                }
                Next::Nothing => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    // Where an object may stand, anything else may: it then holds no counts.
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Level {
    type Value = Next;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Next, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Level {
    type Value = Next;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Next, E> {
        Ok(self.next(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(json: &str) -> Usage {
        object(Value::String(Text::new(0, json.len() as u32)), json.as_bytes())
            .map(|object| object.usage(false))
            .unwrap_or_default()
    }

    fn expected(
        input: u32,
        cache_read: Option<u32>,
        cache_write: Option<u32>,
        output: u32,
        reasoning: Option<u32>,
    ) -> Usage {
        Usage { input: Some(input), cache_read, cache_write, cache_write_1h: None, output: Some(output), reasoning }
    }

    // Each known shape of a usage object gives the canonical counts (reference/counting.md 2.1, corpus span ids there).
    #[test]
    fn shapes() {
        // OpenAI chat: inclusive.
        let openai = r#"{"completion_tokens": 26, "prompt_tokens": 114, "total_tokens": 140,
            "completion_tokens_details": {"reasoning_tokens": 8}, "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": null}}"#;
        assert_eq!(usage(openai), expected(114, Some(64), None, 26, Some(8)));
        // OpenAI responses.
        let responses = r#"{"input_tokens": 114, "input_tokens_details": {"cached_tokens": 64}, "output_tokens": 26,
            "output_tokens_details": {"reasoning_tokens": 11}, "total_tokens": 140}"#;
        assert_eq!(usage(responses), expected(114, Some(64), None, 26, Some(11)));
        // Anthropic wire: exclusive.
        let anthropic = r#"{"input_tokens": 198, "cache_creation_input_tokens": 32, "cache_read_input_tokens": 64, "output_tokens": 62,
            "cache_creation": {"ephemeral_5m_input_tokens": 32, "ephemeral_1h_input_tokens": 0}}"#;
        let with_1h = |usage: Usage, tokens| Usage { cache_write_1h: Some(tokens), ..usage };
        assert_eq!(usage(anthropic), with_1h(expected(294, Some(64), Some(32), 62, None), 0));
        // So it is with its details of output.
        let thinking = anthropic.replace(
            r#""output_tokens": 62"#,
            r#""output_tokens": 62, "output_tokens_details": {"thinking_tokens": 9}"#,
        );
        assert_eq!(usage(&thinking), with_1h(expected(294, Some(64), Some(32), 62, Some(9)), 0));
        // Braintrust: inclusive, with writes by age in place of their sum.
        let braintrust = r#"{"prompt_tokens": 294.0, "prompt_cached_tokens": 64.0, "prompt_cache_creation_5m_tokens": 20.0,
            "prompt_cache_creation_1h_tokens": 12.0, "completion_tokens": 62.0, "tokens": 356.0}"#;
        assert_eq!(usage(braintrust), with_1h(expected(294, Some(64), Some(32), 62, None), 12));
        // LangChain usage_metadata with ephemeral counts only.
        let langchain = r#"{"input_tokens": 294, "output_tokens": 62, "total_tokens": 356,
            "input_token_details": {"cache_read": 64, "cache_creation": 0, "ephemeral_5m_input_tokens": 20,
            "ephemeral_1h_input_tokens": 12}}"#;
        assert_eq!(usage(langchain), with_1h(expected(294, Some(64), Some(32), 62, None), 12));
        // Langfuse buckets: exclusive.
        let langfuse = r#"{"input": 50, "input_cache_read": 64, "output": 20, "output_reasoning": 6, "total": 140}"#;
        assert_eq!(usage(langfuse), expected(114, Some(64), None, 26, Some(6)));
        // Gemini.
        let gemini = r#"{"prompt_token_count": 100, "candidates_token_count": 26, "thoughts_token_count": 11, "total_token_count": 137}"#;
        assert_eq!(usage(gemini), expected(100, None, None, 37, Some(11)));
        // Bedrock Converse: exclusive, which the total shows.
        let bedrock = r#"{"inputTokens": 10, "outputTokens": 5, "totalTokens": 79, "cacheReadInputTokens": 64, "cacheWriteInputTokens": 0}"#;
        assert_eq!(usage(bedrock), expected(74, Some(64), Some(0), 5, None));
        // As an object.
        let object = r#"CompletionUsage(completion_tokens=26, prompt_tokens=114, total_tokens=140, completion_tokens_details=
            CompletionTokensDetails(reasoning_tokens=7, text_tokens=None), prompt_tokens_details=PromptTokensDetails(cached_tokens=64))"#;
        assert_eq!(usage(object), expected(114, Some(64), None, 26, Some(7)));
        // LiteLLM 1.75: the write stands beside the input.
        let litellm = r#"{'completion_tokens': 62, 'prompt_tokens': 521, 'total_tokens': 583, 'completion_tokens_details': None,
            'prompt_tokens_details': {'cached_tokens': 64}, 'cache_creation_input_tokens': 32, 'cache_read_input_tokens': 64}"#;
        assert_eq!(usage(litellm), expected(553, Some(64), Some(32), 62, None));
    }

    // What no count can be, and a total of something else, is told as such.
    #[test]
    fn flaws() {
        let flaw = |json: &str| {
            object(Value::String(Text::new(0, json.len() as u32)), json.as_bytes()).and_then(|object| object.flaw())
        };
        assert_eq!(flaw(r#"{"prompt_tokens": -3}"#), Some(Inconsistency::InvalidCount));
        assert_eq!(flaw(r#"{"prompt_tokens": 3, "completion_tokens": 1e30}"#), Some(Inconsistency::InvalidCount));
        let total = |total| {
            flaw(&format!(
                r#"{{"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": {total},
            "prompt_tokens_details": {{"cached_tokens": 64}}, "completion_tokens_details": {{"reasoning_tokens": 7}}}}"#
            ))
        };
        assert_eq!([120, 184, 127, 0].map(total), [None; 4]);
        assert_eq!(total(121), Some(Inconsistency::TotalMismatch));
    }

    // What is not a usage object gives nothing, and never fails.
    #[test]
    fn junk_gives_nothing() {
        for junk in [
            "",
            "null",
            "[1]",
            "\"text\"",
            "{",
            "{\"a\": 1}",
            "{'a': \"it's\"}",
            "{\"prompt_tokens\": {\"x\": []}}",
            "{\"prompt_tokens\": -3}",
        ] {
            assert_eq!(usage(junk), Usage::default(), "{junk}");
        }
    }
}
