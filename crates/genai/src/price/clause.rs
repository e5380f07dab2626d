//! The match logic of the catalogue.

use std::fmt;

use fancy_regex::{Regex, RegexBuilder};
use serde::Deserialize;

use super::error::Fault;

/// When a text matches. Texts are compared without regard to case, as genai-prices does; a regular expression searches the
/// lower-case text.
#[derive(Debug)]
pub(super) enum Clause {
    Equals(String),
    StartsWith(String),
    EndsWith(String),
    Contains(String),
    Regex(Box<Regex>),
    Or(Vec<Self>),
    And(Vec<Self>),
}

/// A clause as the format writes it.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawClause {
    #[serde(alias = "is")]
    Equals(String),
    StartsWith(String),
    EndsWith(String),
    Contains(String),
    Regex(String),
    Or(Vec<Self>),
    And(Vec<Self>),
}

impl Clause {
    /// Reads a clause.
    pub fn parse(json: &str) -> Result<Self, Fault> {
        Self::compile(serde_json::from_str(json)?)
    }

    fn compile(raw: RawClause) -> Result<Self, Fault> {
        let all = |clauses: Vec<RawClause>| clauses.into_iter().map(Self::compile).collect::<Result<Vec<_>, _>>();
        Ok(match raw {
            RawClause::Equals(text) => Self::Equals(text.to_lowercase()),
            RawClause::StartsWith(text) => Self::StartsWith(text.to_lowercase()),
            RawClause::EndsWith(text) => Self::EndsWith(text.to_lowercase()),
            RawClause::Contains(text) => Self::Contains(text.to_lowercase()),
            RawClause::Regex(pattern) => Self::Regex(Box::new(regex(&pattern)?)),
            RawClause::Or(clauses) => Self::Or(all(clauses)?),
            RawClause::And(clauses) => Self::And(all(clauses)?),
        })
    }

    /// Whether a text in lower case matches.
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Self::Equals(whole) => text == whole,
            Self::StartsWith(start) => text.starts_with(start.as_str()),
            Self::EndsWith(end) => text.ends_with(end.as_str()),
            Self::Contains(part) => text.contains(part.as_str()),
            // An expression that gives up on a text has not found it.
            Self::Regex(regex) => regex.is_match(text).unwrap_or(false),
            Self::Or(clauses) => clauses.iter().any(|clause| clause.matches(text)),
            Self::And(clauses) => clauses.iter().all(|clause| clause.matches(text)),
        }
    }

    /// The part of the clause that a text matches: of alternatives, the first that does.
    pub fn matching(&self, text: &str) -> &Self {
        match self {
            Self::Or(clauses) => {
                clauses.iter().find(|clause| clause.matches(text)).map_or(self, |clause| clause.matching(text))
            }
            _ => self,
        }
    }
}

/// Compiles an expression: newer catalogues look ahead, which the regex crate alone does not. Backtracking is bounded, as texts
/// come from peers.
pub(super) fn regex(pattern: &str) -> Result<Regex, Fault> {
    RegexBuilder::new(pattern)
        .backtrack_limit(10_000)
        .build()
        .map_err(|error| Fault::Regex { pattern: pattern.to_owned(), reason: error.to_string() })
}

/// As a person would write it: `starts_with "gpt-4o"`.
impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, clauses: &[Self], word: &str| {
            f.write_str("(")?;
            for (index, clause) in clauses.iter().enumerate() {
                let before = if index > 0 { word } else { "" };
                write!(f, "{before}{clause}")?;
            }
            f.write_str(")")
        };
        match self {
            Self::Equals(text) => write!(f, "equals {text:?}"),
            Self::StartsWith(text) => write!(f, "starts_with {text:?}"),
            Self::EndsWith(text) => write!(f, "ends_with {text:?}"),
            Self::Contains(text) => write!(f, "contains {text:?}"),
            Self::Regex(regex) => write!(f, "regex {:?}", regex.as_str()),
            Self::Or(clauses) => list(f, clauses, " or "),
            Self::And(clauses) => list(f, clauses, " and "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Every kind of clause matches what genai-prices' does, whatever the case of the pattern.
    #[test]
    fn clauses_match() {
        for (json, yes, no) in [
            (r#"{"equals": "GPT-4o"}"#, "gpt-4o", "gpt-4o-mini"),
            (r#"{"is": "gpt-4o"}"#, "gpt-4o", "x"),
            (r#"{"starts_with": "MiniMax-M"}"#, "minimax-m2", "m2"),
            (r#"{"ends_with": "-Flash"}"#, "gemini-2.0-flash", "gemini-2.0-flash-lite"),
            (r#"{"contains": "sonnet"}"#, "claude-3-sonnet", "claude-3-opus"),
            (r#"{"regex": "^grok-4\\.3-\\d{8}$"}"#, "grok-4.3-20260101", "grok-4.3-2026"),
            (r#"{"regex": "^(?!.*-tts(?:$|-))"}"#, "voxtral-mini", "voxtral-mini-tts"),
            (r#"{"and": [{"contains": "a"}, {"contains": "b"}]}"#, "a-b", "a-c"),
            (r#"{"or": [{"equals": "a"}, {"and": [{"equals": "b"}]}]}"#, "b", "c"),
        ] {
            let clause = Clause::parse(json).unwrap();
            assert!(clause.matches(yes), "{clause} must match {yes}");
            assert!(!clause.matches(no), "{clause} must not match {no}");
        }
    }

    // A clause that cannot mean anything is refused, and what stands nested is bounded.
    #[test]
    fn unknown_clauses_are_refused() {
        let deep = format!("{}{{\"equals\":\"a\"}}{}", "{\"or\":[".repeat(1_000), "]}".repeat(1_000));
        for json in [r#"{"sounds_like": "gpt"}"#, "{}", r#"{"equals": 1}"#, r#"{"regex": "("}"#, deep.as_str()] {
            assert!(Clause::parse(json).is_err());
        }
    }

    // Of alternatives, the one that matched is shown.
    #[test]
    fn the_matching_alternative_is_named() {
        let clause = Clause::parse(r#"{"or": [{"equals": "a"}, {"starts_with": "b"}]}"#).unwrap();
        assert_eq!(clause.matching("bc").to_string(), "starts_with \"b\"");
        assert_eq!(clause.to_string(), "(equals \"a\" or starts_with \"b\")");
    }
}
