//! The match logic of the catalogue.

use std::fmt;

use fancy_regex::{Regex, RegexBuilder};
use serde::Deserialize;

use super::error::Fault;
use super::model_id::peculiarities;

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

    /// Whether the id of a model in lower case matches: unlike [`Self::matches`], what is another product than the one that
    /// is spoken of does not (see [`peculiarities`]), unless the clause says as much.
    pub fn matches_model(&self, id: &str) -> bool {
        let speaks_of_it = |pattern: &str| peculiarities(id).all(|peculiarity| pattern.contains(peculiarity));
        match self {
            Self::Or(clauses) => clauses.iter().any(|clause| clause.matches_model(id)),
            Self::And(clauses) => clauses.iter().all(|clause| clause.matches_model(id)),
            Self::Equals(_) => self.matches(id),
            Self::StartsWith(pattern) | Self::EndsWith(pattern) | Self::Contains(pattern) => {
                self.matches(id) && speaks_of_it(pattern)
            }
            Self::Regex(regex) => self.matches(id) && speaks_of_it(regex.as_str()),
        }
    }

    /// The part of the clause that a model's id matches: of alternatives, the first that does.
    pub fn matching(&self, id: &str) -> &Self {
        match self {
            Self::Or(clauses) => {
                clauses.iter().find(|clause| clause.matches_model(id)).map_or(self, |clause| clause.matching(id))
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

    // What is another product than the name in its id is found only by a clause that says so.
    #[test]
    fn other_products_are_no_match() {
        for (json, yes, no) in [
            (r#"{"starts_with": "deepseek-r1"}"#, "deepseek-r1-0528", "deepseek-r1:8b"),
            (r#"{"starts_with": "deepseek-r1"}"#, "deepseek-r1", "deepseek-r1-distill-qwen-32b"),
            (r#"{"contains": "r1-distill-qwen"}"#, "r1-distill-qwen:0", "r1-distill-qwen:free"),
            (r#"{"contains": "claude-v2"}"#, "arn:aws:a:b::foundation-model/anthropic.claude-v2:1", "claude-v2:free"),
            (r#"{"regex": "-r1"}"#, "deepseek-r1:200k", "deepseek-r1:latest"),
            (r#"{"contains": "o4-mini"}"#, "my-o4-mini", "ft:o4-mini:owner::7"),
            (r#"{"starts_with": "ft:gpt-4o-"}"#, "ft:gpt-4o-2024-08-06:owner::7", "gpt-4o-2024-08-06"),
            (r#"{"or": [{"contains": "r1"}, {"equals": "r1:free"}]}"#, "r1:free", "r1:online"),
        ] {
            let clause = Clause::parse(json).unwrap();
            assert!(clause.matches_model(yes), "{clause} must match {yes}");
            assert!(!clause.matches_model(no), "{clause} must not match {no}");
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
