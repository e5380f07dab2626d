//! The table as a page for people.

use std::fmt::Write;

use super::{Dialect, EvaluationPart, EventSays, Fact, Key, Plain, Says, Unit, all};
use crate::usage::{CacheSemantics, ReasoningSemantics};

/// The page `docs/dialects.md`: what is known of every dialect, in order of precedence.
pub fn documentation() -> String {
    let mut page = String::from(
        "# Dialects\n\n\
         What Spanmill reads of each attribute dialect, in order of precedence. This page is written from the table in\n\
         `crates/genai/src/dialects`; a test keeps it fresh and says how to write it anew.\n\n\
         A key *signals* its dialect if its presence alone says that the span speaks it. An *own* key means this in its dialect\n\
         only. A *general* key stands on other spans, too, and does not make them GenAI. `*` stands for any name without a dot.\n",
    );
    for dialect in all() {
        page.push_str(&section(dialect));
    }
    page
}

fn section(dialect: &Dialect) -> String {
    let mut section = format!("\n## {}\n\n`{}`", dialect.title, dialect.name);
    if !dialect.scopes.is_empty() {
        section += &format!(", scopes {}", list(dialect.scopes));
    }
    if !dialect.poses_as_provider.is_empty() {
        section += &format!(", poses as provider {}", list(dialect.poses_as_provider));
    }
    section += ". ";
    section += match dialect.cache {
        CacheSemantics::Included => "Input includes cached tokens",
        CacheSemantics::Excluded => "Input leaves cached tokens out",
        CacheSemantics::ExcludedByAnthropic => {
            "Input leaves cached tokens out for Anthropic and Bedrock, includes them for others"
        }
        CacheSemantics::IncludedByTotal => {
            "Input leaves cached tokens out if the total is not input and output, else includes them"
        }
        CacheSemantics::ByTotal => {
            "Input includes cached tokens if the total is input and output, else leaves them out"
        }
    };
    section += match dialect.reasoning {
        ReasoningSemantics::Included => "; output includes reasoning.",
        ReasoningSemantics::Excluded => "; output leaves reasoning out.",
    };
    for (holds, text) in [
        (dialect.is_server, "Its spans are those of a model server: the client counts the calls."),
        (dialect.call_needs_model, "A span without a request model is what went over the wire below a call."),
        (dialect.completion_is_chat, "The request type `completion` is a chat."),
        (dialect.fails_by_finish_reason, "A call of it whose finish reason is `error` failed."),
        (dialect.calls_have_any_role, "A span whose operation is a call's is one, whatever its role."),
        (dialect.agents_only_named, "Spans that name an agent and no operation are agents."),
        (dialect.is_named_by_call, "Span names say `{operation} {model}` where attributes do not."),
        (dialect.has_running_totals, "Usage on its agents goes on from earlier runs and never stands for calls."),
        (dialect.first_chunk_unit == Unit::Milliseconds, "Times to the first token are milliseconds."),
    ] {
        if holds {
            section += &format!(" {text}");
        }
    }
    if !dialect.raw_spans.is_empty() {
        section += &format!(" Spans called {} are no calls.", list(dialect.raw_spans));
    }
    if !dialect.helpers.is_empty() {
        section += &format!(" Spans whose names end in {} are no calls.", list(dialect.helpers));
    }
    section.push_str("\n\n");
    if !(dialect.keys.is_empty() && dialect.events.is_empty()) {
        section.push_str("| key | tells | |\n|---|---|---|\n");
    }
    for key in dialect.keys {
        // Writing to a string can't fail.
        let _ = writeln!(section, "| `{}` | {} | {} |", key.name, tells(key.fact), kind(key));
    }
    for event in dialect.events {
        let any = if event.name.ends_with('.') { "*" } else { "" };
        let says = match event.says {
            EventSays::Exception => "a failure".to_owned(),
            EventSays::FirstChunk => "that the answer has begun".to_owned(),
            EventSays::Chunk(key) => format!("a part of the answer in `{key}`"),
            EventSays::FinishReason => "the finish reason".to_owned(),
            EventSays::Attributes => "what attributes of the span do".to_owned(),
            EventSays::Evaluation => "the result of an evaluation, also as log event".to_owned(),
        };
        let _ = writeln!(section, "| `{}{any}` | {says} | event |", event.name);
    }
    if !(dialect.keys.is_empty() && dialect.events.is_empty()) {
        section.push('\n');
    }
    let _ = writeln!(section, "Source: {}", dialect.source);
    section
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn tells(fact: Fact) -> String {
    match fact {
        Fact::Presence => "that the dialect is spoken".to_owned(),
        Fact::Plain(plain) | Fact::Own(plain) => words(plain),
        Fact::Evaluation(EvaluationPart::Name) => "the name of an evaluation".to_owned(),
        Fact::Evaluation(EvaluationPart::Score) => "the score of an evaluation".to_owned(),
        Fact::Evaluation(EvaluationPart::Label) => "the label of an evaluation".to_owned(),
        Fact::Evaluation(EvaluationPart::Scores) => "the scores of evaluations, by name".to_owned(),
        Fact::Role { values, otherwise } => {
            let mut roles: Vec<String> =
                values.iter().map(|(value, says)| format!("`{value}` {}", role(*says))).collect();
            roles.extend(otherwise.map(|role| format!("else {}", role.name())));
            format!("the role: {}", roles.join(", "))
        }
    }
}

fn role(says: Says) -> String {
    match says {
        Says::Is(role) => role.name().to_owned(),
        Says::Operation(operation, role) | Says::Shared(operation, role) => format!("{} ({operation})", role.name()),
        Says::CallIfModel => "llm if a model is named, else chain".to_owned(),
    }
}

fn kind(key: &Key) -> &'static str {
    match key {
        Key { fact: Fact::Own(_), .. } => "own",
        Key { is_signal: true, .. } => "signals",
        Key { is_genai: false, .. } => "general",
        Key { .. } => "",
    }
}

/// A fact's name in words: `InputTokens` is `input tokens`.
fn words(plain: Plain) -> String {
    let mut words = String::new();
    for letter in format!("{plain:?}").chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}
