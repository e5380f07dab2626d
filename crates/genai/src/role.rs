//! What kind of thing a span describes.

/// The role of a span. Only [`Role::Llm`] and [`Role::Embeddings`] are calls: everything else never adds requests, errors or
/// tokens, whatever usage it repeats (corpus/README.md, rules 1 and 2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// No sign of GenAI.
    #[default]
    None,
    /// A request to a model: chat, responses, messages, generate content, completion.
    Llm,
    /// A request for embeddings.
    Embeddings,
    /// An agent, or a step of one.
    Agent,
    /// The execution of a tool.
    Tool,
    /// A chain, workflow, task, prompt template, retriever, guardrail: structure around calls.
    Chain,
    /// What went over the wire below a call that has a span of its own.
    RawResponse,
    /// What a model server did to answer: the other side of a call, which the client counts.
    Server,
    /// GenAI attributes, but nothing that says what the span is.
    Unrecognised,
}

impl Role {
    /// Whether a span of this role is a call to a model.
    pub const fn is_call(self) -> bool {
        matches!(self, Self::Llm | Self::Embeddings)
    }

    /// Its name, as it stands in `spanmill.spans` and in the archive.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Llm => "llm",
            Self::Embeddings => "embeddings",
            Self::Agent => "agent",
            Self::Tool => "tool",
            Self::Chain => "chain",
            Self::RawResponse => "raw_response",
            Self::Server => "server",
            Self::Unrecognised => "unrecognised",
        }
    }
}
