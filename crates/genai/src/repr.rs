//! Python's `repr` as data: dicts, lists, numbers, texts, and objects such as `Usage(input_tokens=3, details=None)`, whose
//! arguments are the keys. Libraries that cannot make JSON of an answer write one of these into it.
//!
//! It borrows from the text and never fails but with an error; what is no data, as `<Role.USER: 'user'>`, reads as nothing.

use serde::de::value::{BorrowedStrDeserializer, Error};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

/// Nothing is nested deeper.
const DEEPEST: u8 = 64;

/// Reads a `repr`, with serde.
#[derive(Debug)]
pub(crate) struct Repr<'de> {
    rest: &'de str,
    levels_left: u8,
}

/// Whether a text begins as an object or a dict does.
pub(crate) fn is_begun(text: &[u8]) -> bool {
    let after_name = text.iter().position(|byte| !is_name(char::from(*byte)));
    let is_object = after_name.is_some_and(|at| at > 0 && text.get(at) == Some(&b'('));
    is_object || text.starts_with(b"{'") || text.starts_with(b"[{'")
}

fn is_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '.')
}

impl<'de> Repr<'de> {
    /// A `repr` that begins where `text` does.
    pub(crate) fn new(text: &'de str) -> Self {
        Self { rest: text, levels_left: DEEPEST }
    }

    /// Whether nothing follows.
    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.trim_start().is_empty()
    }

    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start();
        self.rest.chars().next()
    }

    /// Goes on behind `expected`, if it stands next.
    fn takes(&mut self, expected: char) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(expected) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Goes on at `end` of what is left, and gives what stands before it.
    fn take(&mut self, end: usize) -> &'de str {
        let (taken, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    fn take_while(&mut self, belongs: fn(char) -> bool) -> &'de str {
        self.take(self.rest.find(|character| !belongs(character)).unwrap_or(self.rest.len()))
    }

    /// A text in quotes, without them, and whether it stands as it is: nothing in it is escaped.
    fn quoted(&mut self, quote: char) -> Result<(&'de str, bool), Error> {
        let inside = self.rest.strip_prefix(quote).ok_or_else(cut_off)?;
        let mut is_plain = true;
        let mut is_escaped = false;
        for (at, character) in inside.char_indices() {
            if is_escaped {
                is_escaped = false;
            } else if character == '\\' {
                (is_escaped, is_plain) = (true, false);
            } else if character == quote {
                self.rest = inside;
                let text = self.take(at);
                self.takes(quote);
                return Ok((text, is_plain));
            }
        }
        Err(cut_off())
    }

    /// Passes over what stands between angle brackets.
    fn skip_opaque(&mut self) -> Result<(), Error> {
        self.takes('<');
        loop {
            match self.peek().ok_or_else(cut_off)? {
                '>' => break,
                '<' => {
                    self.levels_left = self.levels_left.checked_sub(1).ok_or_else(too_deep)?;
                    self.skip_opaque()?;
                    self.levels_left += 1;
                    continue;
                }
                quote @ ('\'' | '"') => drop(self.quoted(quote)?),
                other => drop(self.take(other.len_utf8())),
            }
        }
        self.takes('>');
        Ok(())
    }

    /// Reads what stands between two brackets.
    fn nested<T>(&mut self, close: char, read: impl FnOnce(Members<'_, 'de>) -> Result<T, Error>) -> Result<T, Error> {
        self.levels_left = self.levels_left.checked_sub(1).ok_or_else(too_deep)?;
        let told = read(Members { repr: &mut *self, close })?;
        self.levels_left += 1;
        Ok(told)
    }
}

#[cold]
fn cut_off() -> Error {
    Error::custom("cut off")
}

#[cold]
fn too_deep() -> Error {
    Error::custom("nested too deep")
}

impl<'de> Deserializer<'de> for &mut Repr<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.peek().ok_or_else(cut_off)? {
            quote @ ('\'' | '"') => match self.quoted(quote)? {
                (text, true) => visitor.visit_borrowed_str(text),
                (text, false) => visitor.visit_str(text),
            },
            '{' => {
                self.takes('{');
                self.nested('}', |members| visitor.visit_map(members))
            }
            '[' => {
                self.takes('[');
                self.nested(']', |members| visitor.visit_seq(members))
            }
            '(' => {
                self.takes('(');
                self.nested(')', |members| visitor.visit_seq(members))
            }
            '<' => {
                self.skip_opaque()?;
                visitor.visit_unit()
            }
            '-' | '+' | '0'..='9' => {
                let number = self.take_while(|character| is_name(character) || matches!(character, '-' | '+'));
                match (number.parse::<i64>(), number.parse::<f64>()) {
                    (Ok(number), _) => visitor.visit_i64(number),
                    (Err(_), Ok(number)) => visitor.visit_f64(number),
                    (Err(_), Err(_)) => visitor.visit_unit(),
                }
            }
            first if is_name(first) => {
                let name = self.take_while(is_name);
                if self.takes('(') {
                    return self.nested(')', |members| visitor.visit_map(members));
                }
                match name {
                    "True" => visitor.visit_bool(true),
                    "False" => visitor.visit_bool(false),
                    _ => visitor.visit_unit(),
                }
            }
            _ => Err(Error::custom("no value")),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// What stands between two brackets, with commas in between.
struct Members<'r, 'de> {
    repr: &'r mut Repr<'de>,
    close: char,
}

impl Members<'_, '_> {
    /// Whether there is one more.
    fn has_next(&mut self) -> bool {
        self.repr.takes(',');
        !self.repr.takes(self.close)
    }
}

impl<'de> SeqAccess<'de> for Members<'_, 'de> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        if self.has_next() { seed.deserialize(&mut *self.repr).map(Some) } else { Ok(None) }
    }
}

impl<'de> MapAccess<'de> for Members<'_, 'de> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        if !self.has_next() {
            return Ok(None);
        }
        if self.close == '}' {
            let key = seed.deserialize(&mut *self.repr)?;
            return if self.repr.takes(':') { Ok(Some(key)) } else { Err(Error::custom("a set")) };
        }
        // An argument: a positional one has no name.
        self.repr.peek();
        let name = self.repr.rest.find(|character| !is_name(character)).unwrap_or(0);
        let is_named = name > 0 && self.repr.rest.get(name..).is_some_and(|rest| rest.starts_with('='));
        let key = if is_named { self.repr.take(name) } else { "" };
        if is_named {
            self.repr.takes('=');
        }
        seed.deserialize(BorrowedStrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(&mut *self.repr)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;

    fn read(text: &str) -> Result<Value, Error> {
        let mut repr = Repr::new(text);
        let value = Value::deserialize(&mut repr)?;
        if repr.is_at_end() { Ok(value) } else { Err(Error::custom("more follows")) }
    }

    // Whatever stands in a repr is read as what it is in JSON, and what is no data as nothing.
    #[test]
    fn data_is_read() {
        let cases = [
            (
                "{'a': None, 'b': [True, -2, 1.5, (3,)], 'c': {}}",
                json!({"a": null, "b": [true, -2, 1.5, [3]], "c": {}}),
            ),
            (
                "Usage(input=3, details=Details(cached=2), tier='x')",
                json!({"input": 3, "details": {"cached": 2}, "tier": "x"}),
            ),
            (
                "M(role=<Role.USER: 'a>b'>, at=datetime.datetime(2026, 1), e=Kind.X)",
                json!({"role": null, "at": {"": 1}, "e": null}),
            ),
            (r#"{'a': "it's", 'b': '), "x": 1'}"#, json!({"a": "it's", "b": "), \"x\": 1"})),
        ];
        for (text, value) in cases {
            assert_eq!(read(text), Ok(value), "{text}");
        }
    }

    // What is cut off, no repr, or nested without end is an error, and never more.
    #[test]
    fn junk_is_refused() {
        let deep = "[".repeat(10_000);
        let opaque = "<".repeat(10_000);
        for text in ["", "{'a'", "{'a': 'b", "A(b=", "{1, 2}", "]", "<Role", "[1", &deep, &opaque] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read(&"é(".repeat(99)).is_err());
    }

    // Only what begins as an object or a dict is tried.
    #[test]
    fn beginnings_are_told_apart() {
        for text in ["ChatMessage(_meta={})", "{'a': 1}", "[{'a': 1}]", "a.b.C()"] {
            assert!(is_begun(text.as_bytes()), "{text}");
        }
        for text in ["", "(1)", "a sentence (with brackets)", "{\"a\": 1}", "[1]", "plain"] {
            assert!(!is_begun(text.as_bytes()), "{text}");
        }
    }
}
