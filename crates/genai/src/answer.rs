//! What stands in a captured answer: usage, the model that answered, the provider's id (reference/counting.md 2.3).
//!
//! An answer is JSON as a provider or LangChain wrote it, whole or in chunks. It is read by known paths, so that what a model or
//! an application put into it is never taken for its own; each text is a range of the body. Work is bounded, and what is no
//! such answer, or is cut off, gives what could be read of it.

use std::fmt;

use memchr::memmem;
use otlp::Text;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::json;
use crate::model;
use crate::repr::{self, Repr};
use crate::usage::{self, Inconsistency, Usage, UsageObject};

/// How much of the answers of one span is read.
const BUDGET: usize = 1024 * 1024;
/// How much of the end of a longer one is searched for its usage.
const TAIL: usize = 64 * 1024;

/// What the answers of one span say.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    body: &'a [u8],
    budget: usize,
    /// What is being read.
    text: Text,
    reads_reprs: bool,
    /// Canonical.
    pub(crate) usage: Usage,
    pub(crate) flaw: Option<Inconsistency>,
    names: [Text; Name::COUNT],
}

/// Texts of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    Id,
    Model,
    ServiceTier,
    FinishReason,
}

impl Name {
    const COUNT: usize = Self::FinishReason as usize + 1;
}

impl<'a> Answer<'a> {
    /// Of an answer in `body`. Texts of Python objects are read if `reads_reprs`: they may be a model's own words, so they do
    /// not make a usage where none is told.
    pub(crate) fn new(body: &'a [u8], reads_reprs: bool) -> Self {
        let (usage, names) = (Usage::default(), [Text::default(); Name::COUNT]);
        Self { body, budget: BUDGET, text: Text::default(), reads_reprs, usage, flaw: None, names }
    }

    /// A text of it; empty if it is not told.
    pub(crate) fn name(&self, name: Name) -> Text {
        self.names[name as usize]
    }

    /// Whether nothing more is to be expected of further chunks.
    pub(crate) fn is_complete(&self) -> bool {
        let is_counted = |count: Option<u32>| count.is_some_and(|count| count > 0);
        is_counted(self.usage.input)
            && is_counted(self.usage.output)
            && !self.name(Name::Model).is_empty()
            && !self.name(Name::Id).is_empty()
    }

    /// The id of the answer, if it is one: an application's own value may have an `id`, too, but then no model or usage.
    pub(crate) fn response_id(&self) -> Text {
        /// Shorter ones, and ones without a digit, are no provider's, and would link what is not the same.
        const SHORTEST: u32 = 8;
        let id = self.name(Name::Id);
        let has_digit = id.bytes(self.body).iter().any(u8::is_ascii_digit);
        let is_answer = !self.name(Name::Model).is_empty() || self.usage.is_reported();
        if is_answer && has_digit && id.len() >= SHORTEST { id } else { Text::default() }
    }

    /// Reads one more text, and keeps what was not told before.
    pub(crate) fn read(&mut self, text: Text) {
        let bytes = text.bytes(self.body);
        let is_repr = repr::is_begun(bytes);
        if !is_repr && !matches!(bytes.iter().find(|byte| !byte.is_ascii_whitespace()), Some(b'{' | b'[')) {
            return;
        }
        self.text = text;
        if is_repr {
            if bytes.len() <= self.budget
                && let Ok(text) = std::str::from_utf8(bytes)
            {
                self.budget -= bytes.len();
                self.read_repr(text);
            }
            return;
        }
        if bytes.len() > self.budget {
            self.read_ends(text);
            return;
        }
        self.budget -= bytes.len();
        // What was read before an error stays: the text may have been cut off.
        let _ = Node { answer: self }.deserialize(&mut serde_json::Deserializer::from_slice(bytes));
    }

    /// Reads what a library could not make JSON of.
    fn read_repr(&mut self, text: &str) {
        if self.reads_reprs && repr::is_begun(text.as_bytes()) {
            let _ = Node { answer: self }.deserialize(&mut Repr::new(text));
        }
    }

    /// Of a text that is too long: names in front, usage at the end.
    fn read_ends(&mut self, text: Text) {
        self.keep_name(Name::Model, json::string(text, self.body, b"\"model\""));
        self.keep_name(Name::Id, json::string(text, self.body, b"\"id\""));
        let tail = text.part(text.len().saturating_sub(TAIL as u32), text.len()).bytes(self.body);
        let last = USAGE
            .iter()
            .filter_map(|key| Some(memmem::rfind(tail, format!("\"{key}\"").as_bytes())? + key.len() + 2))
            .max();
        let Some(after) = last.and_then(|at| tail.get(at..)) else { return };
        if let Some(object) = after.iter().position(|byte| *byte == b'{').and_then(|at| after.get(at..)) {
            let mut found = UsageObject::default();
            let _ = usage::seed(&mut found).deserialize(&mut serde_json::Deserializer::from_slice(object));
            self.keep_usage(&found);
        }
    }

    fn keep_name(&mut self, name: Name, told: Text) {
        let told = if name == Name::Id { model::response_id(told, self.body) } else { told };
        let slot = &mut self.names[name as usize];
        if slot.is_empty() {
            *slot = told;
        }
    }

    fn keep_usage(&mut self, object: &UsageObject) {
        self.flaw = self.flaw.or(object.flaw());
        let told = object.usage(false);
        // Providers and LangChain tell input and output of a stream in different chunks, and zero in the other one.
        let some = |count: Option<u32>| count.filter(|count| *count > 0);
        self.usage.input = some(self.usage.input).or(self.usage.input.and(told.input)).or(self.usage.input);
        self.usage.output = some(self.usage.output).or(self.usage.output.and(told.output)).or(self.usage.output);
        self.usage.complete(&told);
    }

    /// The range of the body that `text`, read from it, stands at.
    fn range(&self, text: &str) -> Text {
        let start = (text.as_ptr() as usize).wrapping_sub(self.body.as_ptr() as usize);
        let is_inside = start.checked_add(text.len()).is_some_and(|end| end <= self.body.len());
        if is_inside {
            return Text::new(start as u32, text.len() as u32);
        }
        // Of a text inside of a text: wherever the same stands.
        let same = memmem::find(self.text.bytes(self.body), text.as_bytes());
        same.map_or(Text::default(), |at| self.text.part(at as u32, (at + text.len()) as u32))
    }
}

/// Keys of usage objects.
const USAGE: [&str; 5] = ["usage", "usage_metadata", "usageMetadata", "token_usage", "tokenUsage"];
/// Keys of texts.
const NAMES: [(&str, Name); 11] = [
    ("id", Name::Id),
    ("response_id", Name::Id),
    ("responseId", Name::Id),
    ("model", Name::Model),
    ("model_name", Name::Model),
    ("modelVersion", Name::Model),
    ("model_version", Name::Model),
    ("service_tier", Name::ServiceTier),
    ("finish_reason", Name::FinishReason),
    ("finishReason", Name::FinishReason),
    ("stop_reason", Name::FinishReason),
];
/// Keys of objects, or of lists of them, that are a part of the answer.
const PARTS: [&str; 12] = [
    "response",
    "message",
    "kwargs",
    "response_metadata",
    "llm_output",
    "generation_info",
    "generations",
    "choices",
    "candidates",
    "raw",     // LlamaIndex, smolagents
    "replies", // Haystack
    "meta",
];

/// An object of the answer, or a list of them.
struct Node<'n, 'a> {
    answer: &'n mut Answer<'a>,
}

impl<'de> DeserializeSeed<'de> for Node<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an answer")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(next) = map.next_key_seed(KeySeed)? {
            match next {
                Next::Name(name) => {
                    let told = map.next_value_seed(Borrowed)?.map(|text| self.answer.range(text));
                    self.answer.keep_name(name, told.unwrap_or_default());
                }
                Next::Usage => {
                    let mut object = UsageObject::default();
                    map.next_value_seed(usage::seed(&mut object))?;
                    self.answer.keep_usage(&object);
                }
                Next::Part => map.next_value_seed(Node { answer: self.answer })?,
                Next::Nothing => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Node { answer: self.answer })?.is_some() {}
        Ok(())
    }

    // Where an object may stand, anything else may: it then tells nothing.
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
    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.answer.read_repr(text);
        Ok(())
    }
}

/// What to do with the value of a key.
enum Next {
    Name(Name),
    Usage,
    Part,
    Nothing,
}

/// Reads a key without keeping it.
struct KeySeed;

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Next;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Next, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed {
    type Value = Next;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Next, E> {
        let key = key.trim_start_matches('_'); // Haystack
        if let Some((_, name)) = NAMES.iter().find(|(known, _)| *known == key) {
            return Ok(Next::Name(*name));
        }
        Ok(match key {
            key if USAGE.contains(&key) => Next::Usage,
            key if PARTS.contains(&key) => Next::Part,
            _ => Next::Nothing,
        })
    }
}

/// A text that stands in the body as it is; nothing for one with escapes, and for what is no text.
struct Borrowed;

impl<'de> DeserializeSeed<'de> for Borrowed {
    type Value = Option<&'de str>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Borrowed {
    type Value = Option<&'de str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(text))
    }
    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(texts: &[&str]) -> (Usage, String, String) {
        let body = texts.concat();
        let mut answer = Answer::new(body.as_bytes(), true);
        let mut start = 0;
        for text in texts {
            answer.read(Text::new(start, text.len() as u32));
            start += text.len() as u32;
        }
        let text = |text: Text| text.str(body.as_bytes()).into_owned();
        (answer.usage, text(answer.name(Name::Model)), text(answer.response_id()))
    }

    fn usage(input: u32, cache_read: Option<u32>, cache_write: Option<u32>, output: u32) -> Usage {
        Usage { input: Some(input), cache_read, cache_write, output: Some(output), ..Usage::default() }
    }

    // Answers of providers and of LangChain, whole and in chunks read from the end, tell usage, model and id.
    #[test]
    fn answers() {
        let openai = r#"{"id": "chatcmpl-1", "choices": [{"message": {"content": "a \"b\""}, "finish_reason": "stop"}],
            "model": "gpt-4o-2024-08-06", "usage": {"prompt_tokens": 114, "completion_tokens": 26, "prompt_tokens_details": {"cached_tokens": 64}}}"#;
        assert_eq!(read(&[openai]), (usage(114, Some(64), None, 26), "gpt-4o-2024-08-06".into(), "chatcmpl-1".into()));
        let langchain = r#"{"generations": [[{"message": {"id": ["langchain"], "kwargs": {"id": "lc_run--0", "response_metadata":
            {"id": "msg_00001", "model_name": "claude-sonnet-4-5", "usage": {"input_tokens": 198, "output_tokens": 62,
            "cache_read_input_tokens": 64, "cache_creation_input_tokens": 32, "output_tokens_details": null}},
            "usage_metadata": {"input_tokens": 294, "output_tokens": 62, "total_tokens": 356}}}}]], "llm_output": null}"#;
        let expected = (usage(294, Some(64), Some(32), 62), "claude-sonnet-4-5".into(), "msg_00001".into());
        assert_eq!(read(&[langchain]), expected);
        let anthropic = [
            r#"{"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 62}}"#,
            r#"{"type": "message_start", "message": {"id": "msg_00001", "model": "claude-sonnet-4-5", "usage":
                {"input_tokens": 198, "cache_read_input_tokens": 64, "cache_creation_input_tokens": 32, "output_tokens": 1}}}"#,
        ];
        assert_eq!(read(&anthropic), expected);
        let responses = r#"{"type": "response.completed", "response": {"id": "resp_0001", "model": "gpt-4.1",
            "output": [{"id": "msg_x", "model": "no"}], "usage": {"input_tokens": 5, "output_tokens": 3, "total_tokens": 8}}}"#;
        assert_eq!(read(&[responses]), (usage(5, None, None, 3), "gpt-4.1".into(), "resp_0001".into()));
        let gemini = r#"{"candidates": [{"finish_reason": "STOP"}], "response_id": "abc-1234", "model_version": "gemini-2.5-pro",
            "usage_metadata": {"prompt_token_count": 114, "cached_content_token_count": 64, "candidates_token_count": 26}}"#;
        assert_eq!(read(&[gemini]), (usage(114, Some(64), None, 26), "gemini-2.5-pro".into(), "abc-1234".into()));
    }

    // Objects of Python that were written as texts into JSON tell the same, but what a model says is not read without need.
    #[test]
    fn reprs() {
        let smolagents = concat!(
            r#"{"role": "assistant", "content": "a", "raw": "ChatCompletion(id='chatcmpl-1', choices=[Choice(message=Message("#,
            r#"content=\"usage={'prompt_tokens': 1}\", role=<Role.A: 'a'>))], model='gpt-4o-2024-08-06', usage=CompletionUsage("#,
            r#"completion_tokens=26, prompt_tokens=114, prompt_tokens_details=PromptTokensDetails(cached_tokens=64)))", "#,
            r#""token_usage": {"input_tokens": 114, "output_tokens": 26}}"#
        );
        let expected = (usage(114, Some(64), None, 26), "gpt-4o-2024-08-06".into(), "chatcmpl-1".into());
        assert_eq!(read(&[smolagents]), expected);
        let haystack = concat!(
            r#"{"replies": ["ChatMessage(_role=<ChatRole.A: 'a'>, _content=[TextContent(text=\"it's\")], _name=None, _meta={'model': "#,
            r#"'gpt-4o', 'usage': {'completion_tokens': 26, 'prompt_tokens': 114, 'prompt_tokens_details': {'cached_tokens': 64}}})"]}"#
        );
        assert_eq!(read(&[haystack]), (usage(114, Some(64), None, 26), "gpt-4o".into(), String::new()));
        let mut said = Answer::new(haystack.as_bytes(), false);
        said.read(Text::new(0, haystack.len() as u32));
        assert_eq!(said.usage, Usage::default());
    }

    // What was cut off gives what stands before the cut; what is no answer gives nothing, and never fails.
    #[test]
    fn junk() {
        let cut = r#"{"model": "gpt-4o", "id": "chatcmpl-1", "usage": {"prompt_tokens": 5, "completion_"#;
        assert_eq!(read(&[cut]).1, "gpt-4o");
        let deep = "[".repeat(100_000);
        for junk in [
            "",
            "null",
            "<APIResponse [200 OK]>",
            "{",
            "[[[]]]",
            r#"{"id": "customer-17", "total": 5}"#,
            r#"{"usage": [1], "model": {"a": 1}}"#,
            &deep,
        ] {
            assert_eq!(read(&[junk]), Default::default(), "{}", junk.get(..20).unwrap_or(junk));
        }
    }

    // Of an answer beyond the budget the ends are read.
    #[test]
    fn long_answers_are_read_at_their_ends() {
        let long = format!(
            r#"{{"id": "chatcmpl-1", "model": "gpt-4o", "choices": "{} "usage": {{"prompt_tokens": 1}}", "usage": {{"prompt_tokens": 5, "completion_tokens": 3}}, "x": 1}}"#,
            "x".repeat(2 * BUDGET)
        );
        assert_eq!(read(&[&long]), (usage(5, None, None, 3), "gpt-4o".into(), "chatcmpl-1".into()));
    }
}
