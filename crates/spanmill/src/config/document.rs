//! A YAML file as a tree whose every key and value knows its line and column, and whose scalars are still text.
//!
//! The tree stands between YAML and the typed configuration so that substitution cannot change the structure, values
//! are typed by the key that takes them (`semconv: 1.41` is a text), and all problems can be reported, not only the first.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned, UserMessageFormatter};
use transport::Secret;

use super::error::Problem;

/// A place in a file: line and column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub line: u64,
    pub column: u64,
}

impl Position {
    fn of(location: Location) -> Self {
        Self { line: location.line(), column: location.column() }
    }
}

/// A value of the file.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub position: Position,
    pub value: Value,
}

/// What a [`Node`] holds.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Null,
    Scalar(String),
    Sequence(Vec<Node>),
    Mapping(Vec<(Key, Node)>),
}

/// A key of a mapping.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub name: String,
    pub position: Position,
}

/// The keys that lead to a value; an element of a list is `[index]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct KeyPath(pub Vec<String>);

impl KeyPath {
    /// The path of given keys.
    pub fn of(keys: &[&str]) -> Self {
        Self(keys.iter().map(|key| (*key).to_owned()).collect())
    }

    /// This path and one more key.
    pub fn join(&self, key: &str) -> Self {
        let mut keys = self.0.clone();
        keys.push(key.to_owned());
        Self(keys)
    }

    /// Whether the other path is this one or lies beneath it.
    pub fn contains(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, key) in self.0.iter().enumerate() {
            if index > 0 && !key.starts_with('[') {
                f.write_str(".")?;
            }
            f.write_str(key)?;
        }
        Ok(())
    }
}

impl Node {
    /// Reads one YAML document; an empty one is null.
    pub fn parse(source: &str) -> Result<Self, Problem> {
        let options = serde_saphyr::options! { with_snippet: false, strict_booleans: true };
        match serde_saphyr::from_str_with_options::<Option<Spanned<RawValue>>>(source, options) {
            Ok(Some(raw)) => Ok(Self::from_raw(raw, source)),
            Ok(None) => Ok(Self { position: Position { line: 1, column: 1 }, value: Value::Null }),
            Err(error) => Err(syntax_problem(&error)),
        }
    }

    fn from_raw(raw: Spanned<RawValue>, source: &str) -> Self {
        let value = match raw.value {
            RawValue::Null => Value::Null,
            RawValue::Text(text) => Value::Scalar(text),
            RawValue::Typed(fallback) => {
                Value::Scalar(source_text(source, raw.defined).unwrap_or(&fallback).to_owned())
            }
            RawValue::Sequence(items) => {
                Value::Sequence(items.into_iter().map(|item| Self::from_raw(item, source)).collect())
            }
            RawValue::Mapping(entries) => Value::Mapping(
                entries
                    .into_iter()
                    .map(|(key, value)| {
                        let position = Position::of(key.referenced);
                        (Key { name: key.value, position }, Self::from_raw(value, source))
                    })
                    .collect(),
            ),
        };
        Self { position: Position::of(raw.referenced), value }
    }

    /// The child under a key (`[index]` in a list), with the position of the key.
    fn child(&self, key: &str) -> Option<(Position, &Self)> {
        match &self.value {
            Value::Mapping(entries) => {
                entries.iter().find(|(found, _)| found.name == key).map(|(found, value)| (found.position, value))
            }
            Value::Sequence(items) => {
                let item = items.get(list_index(key)?)?;
                Some((item.position, item))
            }
            Value::Null | Value::Scalar(_) => None,
        }
    }

    /// The value at a path, if the file has it.
    pub fn get(&self, path: &KeyPath) -> Option<&Self> {
        path.0.iter().try_fold(self, |node, key| node.child(key).map(|(_, child)| child))
    }

    /// Where the last key of a path stands, or as much of the path as the file has.
    pub fn key_position(&self, path: &KeyPath) -> Position {
        let mut position = self.position;
        let mut node = self;
        for key in &path.0 {
            let Some((key_position, child)) = node.child(key) else {
                break;
            };
            position = key_position;
            node = child;
        }
        position
    }

    /// Takes the value at a path out of the tree. Returns whether there was one.
    pub fn remove(&mut self, path: &KeyPath) -> bool {
        let Some((last, parents)) = path.0.split_last() else {
            return false;
        };
        let mut node = self;
        for key in parents {
            let child = match &mut node.value {
                Value::Mapping(entries) => {
                    entries.iter_mut().find(|(found, _)| found.name == *key).map(|(_, value)| value)
                }
                Value::Sequence(items) => list_index(key).and_then(|index| items.get_mut(index)),
                Value::Null | Value::Scalar(_) => None,
            };
            let Some(child) = child else { return false };
            node = child;
        }
        match &mut node.value {
            Value::Mapping(entries) => {
                let before = entries.len();
                entries.retain(|(found, _)| found.name != *last);
                entries.len() < before
            }
            Value::Sequence(items) => match list_index(last) {
                Some(index) if index < items.len() => {
                    items.remove(index);
                    true
                }
                _ => false,
            },
            Value::Null | Value::Scalar(_) => false,
        }
    }

    /// What an error message says was found.
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Null => "null".to_owned(),
            // A key, say, where its file belongs.
            Value::Scalar(text) if text.contains('\n') => "a text of several lines".to_owned(),
            Value::Scalar(text) => format!("{:?}", without_credentials(text)),
            Value::Sequence(_) => "a list".to_owned(),
            Value::Mapping(_) => "a mapping".to_owned(),
        }
    }
}

/// A text without user and password, if it may be a URL that has them. They may hold anything, if they are not encoded.
fn without_credentials(text: &str) -> Cow<'_, str> {
    match text.rsplit_once('@') {
        Some((before, behind)) if before.contains(':') => {
            let scheme = before.find("://").map_or("", |at| &before[..at + 3]);
            format!("{scheme}{}@{behind}", Secret::MASK).into()
        }
        _ => text.into(),
    }
}

fn list_index(key: &str) -> Option<usize> {
    key.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

/// The text of a plain scalar that YAML took for a number or a boolean.
fn source_text(source: &str, location: Location) -> Option<&str> {
    let start = usize::try_from(location.span().byte_offset()?).ok()?;
    let length = usize::try_from(location.span().byte_len()?).ok()?;
    let text = source.get(start..start.checked_add(length)?)?.trim();
    (!text.is_empty()).then_some(text)
}

fn syntax_problem(error: &serde_saphyr::Error) -> Problem {
    let position = error.location().map_or(Position { line: 1, column: 1 }, Position::of);
    let rendered = error.without_snippet().render_with_formatter(&UserMessageFormatter);
    // The position already stands before the message.
    let message = rendered.split(" at line ").next().unwrap_or(&rendered);
    Problem::at(position, format!("not valid YAML: {message}"))
}

/// A value as the YAML reader hands it over.
enum RawValue {
    Null,
    Text(String),
    /// A plain scalar that YAML typed; its own spelling is taken from the source, else this one.
    Typed(String),
    Sequence(Vec<Spanned<RawValue>>),
    Mapping(Vec<(Spanned<String>, Spanned<RawValue>)>),
}

impl<'de> Deserialize<'de> for RawValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = RawValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<RawValue, E> {
        Ok(RawValue::Null)
    }

    fn visit_none<E>(self) -> Result<RawValue, E> {
        Ok(RawValue::Null)
    }

    fn visit_str<E>(self, text: &str) -> Result<RawValue, E> {
        Ok(RawValue::Text(text.to_owned()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<RawValue, E> {
        Ok(RawValue::Typed(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<RawValue, E> {
        Ok(RawValue::Typed(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<RawValue, E> {
        Ok(RawValue::Typed(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<RawValue, E> {
        Ok(RawValue::Typed(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<RawValue, E> {
        Ok(RawValue::Typed(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<RawValue, E> {
        Ok(RawValue::Typed(value.to_string()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<RawValue, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(RawValue::Sequence(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<RawValue, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(RawValue::Mapping(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(node: &Node, into: &mut Vec<String>) {
        match &node.value {
            Value::Null => into.push(format!("{}:{} null", node.position.line, node.position.column)),
            Value::Scalar(text) => {
                into.push(format!("{}:{} {text}", node.position.line, node.position.column));
            }
            Value::Sequence(items) => items.iter().for_each(|item| texts(item, into)),
            Value::Mapping(entries) => {
                for (key, value) in entries {
                    into.push(format!("{}:{} {}:", key.position.line, key.position.column, key.name));
                    texts(value, into);
                }
            }
        }
    }

    // Guarantees positions, and that scalars keep their spelling whatever YAML would make of them.
    #[test]
    fn keeps_spelling_and_position() {
        let source = "é: 1.10\nb: { c: 0755, d: [yes, True, !!int 7, \"2\", ~] }\ne: &x 1_0  # note\nf: *x\n";
        let mut found = Vec::new();
        texts(&Node::parse(source).unwrap(), &mut found);
        assert_eq!(
            found,
            [
                "1:1 é:",
                "1:4 1.10",
                "2:1 b:",
                "2:6 c:",
                "2:9 0755",
                "2:15 d:",
                "2:19 yes",
                "2:24 True",
                "2:36 7",
                "2:39 2",
                "2:44 null",
                "3:1 e:",
                "3:7 1_0",
                "4:1 f:",
                "4:4 1_0",
            ]
        );
    }

    // Guarantees that what is not one YAML document is refused with its place.
    #[test]
    fn syntax_errors_name_the_place() {
        for (source, expected) in
            [("a: [1\nb: 2\n", "2:"), ("a: 1\na: 2\n", "2:1: "), ("a: *nowhere\n", "1:4: "), ("a: 1\n---\nb: 2\n", "")]
        {
            let problem = Node::parse(source).unwrap_err().to_string();
            assert!(problem.starts_with(expected), "{source:?}: {problem}");
            assert!(problem.contains("not valid YAML"), "{problem}");
            assert!(!problem.contains(" at line "), "{problem}");
        }
    }
}
