//! Providers: canonical names, their aliases, frameworks that pose as one, and what a model id tells.
//!
//! Source: semconv 1.41 `gen_ai.provider.name`; aliases as seen in the wild (reference/dialects.json `_meta`).

use std::sync::LazyLock;

use otlp::Text;

use crate::bedrock;
use crate::facts::Label;
use crate::lookup::Lookup;

/// Alias in lower case, canonical name. An empty canonical name marks a framework that poses as a provider.
const PROVIDERS: &[(&str, &str)] = &[
    ("openai", "openai"),
    ("openai.chat", "openai"),
    ("openai.responses", "openai"),
    ("openai.completion", "openai"),
    ("openai.embedding", "openai"),
    ("anthropic", "anthropic"),
    ("anthropic.messages", "anthropic"),
    ("azure-openai.chat", "azure.ai.openai"),
    ("azure-openai.responses", "azure.ai.openai"),
    ("google.generative-ai.chat", "gcp.gemini"),
    ("google.vertex.chat", "gcp.vertex_ai"),
    ("vertex.anthropic.messages", "gcp.vertex_ai"),
    ("mistral.chat", "mistral_ai"),
    ("groq.chat", "groq"),
    ("xai.chat", "x_ai"),
    ("xai.responses", "x_ai"),
    ("deepseek.chat", "deepseek"),
    ("cohere.chat", "cohere"),
    ("perplexity.chat", "perplexity"),
    ("aws.bedrock", "aws.bedrock"),
    ("amazon-bedrock", "aws.bedrock"),
    ("bedrock", "aws.bedrock"),
    ("bedrock_converse", "aws.bedrock"),
    ("aws", "aws.bedrock"),
    ("amazon", "aws.bedrock"),
    ("azure.ai.openai", "azure.ai.openai"),
    ("az.ai.openai", "azure.ai.openai"),
    ("azure", "azure.ai.openai"),
    ("azure-openai", "azure.ai.openai"),
    ("azure_openai", "azure.ai.openai"),
    ("azure.openai", "azure.ai.openai"),
    ("azure.ai.inference", "azure.ai.inference"),
    ("az.ai.inference", "azure.ai.inference"),
    ("cohere", "cohere"),
    ("deepseek", "deepseek"),
    ("gcp.gen_ai", "gcp.gen_ai"),
    ("google_genai", "gcp.gen_ai"),
    ("google", "gcp.gen_ai"),
    ("gcp.gemini", "gcp.gemini"),
    ("gemini", "gcp.gemini"),
    ("google.generative-ai", "gcp.gemini"),
    ("gcp.vertex_ai", "gcp.vertex_ai"),
    ("vertex_ai", "gcp.vertex_ai"),
    ("vertexai", "gcp.vertex_ai"),
    ("google.vertex", "gcp.vertex_ai"),
    ("google-vertex", "gcp.vertex_ai"),
    ("googleai", "gcp.gemini"), // Genkit
    ("groq", "groq"),
    ("ibm.watsonx.ai", "ibm.watsonx.ai"),
    ("ibm.watson.ai", "ibm.watsonx.ai"),
    ("watsonx", "ibm.watsonx.ai"),
    ("mistral_ai", "mistral_ai"),
    ("mistral", "mistral_ai"),
    ("mistralai", "mistral_ai"),
    ("mistral ai", "mistral_ai"),
    ("moonshot_ai", "moonshot_ai"),
    ("moonshot", "moonshot_ai"),
    ("perplexity", "perplexity"),
    ("openrouter", "openrouter"),
    ("openrouter.chat", "openrouter"),
    ("openrouter.completion", "openrouter"),
    ("x_ai", "x_ai"),
    ("xai", "x_ai"),
    ("strands-agents", ""),
    ("gcp.vertex.agent", ""),
    ("langchain", ""),
    ("langgraph", ""),
    ("crewai", ""),
    ("spring_ai", ""),
    ("agno", ""),
    ("llama_index", ""),
    ("haystack", ""),
    ("az.ai.agents", ""),
    ("litellm", ""),
    ("pydantic_ai", ""),
    ("smolagents", ""),
    ("vercel", ""),
    ("autogen", ""),
    ("microsoft.agent_framework", ""),
    ("microsoft.foundry", ""),
    ("unknown", ""),
    ("none", ""),
    ("null", ""),
];

/// How a model id begins, and who serves models that are called so.
const MODEL_PREFIXES: &[(&str, &str)] = &[
    ("gpt-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("chatgpt-", "openai"),
    ("text-embedding-", "openai"),
    ("claude", "anthropic"),
    ("gemini", "gcp.gen_ai"),
    ("mistral", "mistral_ai"),
    ("deepseek", "deepseek"),
    ("grok", "x_ai"),
    ("command-", "cohere"),
    ("anthropic.", "aws.bedrock"),
    ("amazon.", "aws.bedrock"),
    ("meta.", "aws.bedrock"),
    ("cohere.", "aws.bedrock"),
    ("ai21.", "aws.bedrock"),
    ("kimi-", "moonshot_ai"),
    ("moonshot-", "moonshot_ai"),
    ("sonar", "perplexity"),
    ("codestral", "mistral_ai"),
    ("ministral", "mistral_ai"),
];

/// What addresses of providers' servers have in them.
const SERVERS: &[(&str, &str)] = &[
    ("openai.azure.com", "azure.ai.openai"),
    ("services.ai.azure.com", "azure.ai.inference"),
    ("models.ai.azure.com", "azure.ai.inference"),
    ("api.openai.com", "openai"),
    ("api.anthropic.com", "anthropic"),
    ("bedrock-runtime", "aws.bedrock"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    ("api.mistral.ai", "mistral_ai"),
    ("api.groq.com", "groq"),
    ("api.deepseek.com", "deepseek"),
    ("api.cohere.", "cohere"),
    ("api.x.ai", "x_ai"),
    ("api.perplexity.ai", "perplexity"),
    ("api.moonshot.", "moonshot_ai"),
    ("ml.cloud.ibm.com", "ibm.watsonx.ai"),
];

/// The provider whose server stands at an address.
#[cold]
pub(crate) fn of_server(address: &[u8]) -> Label {
    SERVERS
        .iter()
        .find(|(part, _)| memchr::memmem::find(address, part.as_bytes()).is_some())
        .map_or(Label::None, |(_, provider)| Label::Known(provider))
}

/// The canonical name of a provider; a framework's name gives [`Label::None`], an unknown one stays as it is.
pub(crate) fn canonical(text: Text, body: &[u8]) -> Label {
    let raw = text.bytes(body);
    if raw.is_empty() {
        return Label::None;
    }
    match ALIASES.find_ignoring_case(raw) {
        Some(&"") => Label::None,
        Some(name) => Label::Known(name),
        None => Label::Raw(text),
    }
}

/// The canonical name of a provider as text; empty for a framework's name, `None` for an unknown one.
pub(crate) fn canonical_name(name: &str) -> Option<&'static str> {
    ALIASES.find_ignoring_case(name.as_bytes()).copied()
}

static ALIASES: LazyLock<Lookup<&str>> = LazyLock::new(|| Lookup::new(PROVIDERS.iter().copied()));

/// The provider that a model id speaks of, for spans that name none: the one before a slash (LiteLLM, OpenRouter), else whoever serves
/// models that are called so.
pub(crate) fn of_model(model: Text, body: &[u8]) -> Label {
    let mut bytes = model.bytes(body);
    while let Some(slash) = memchr::memchr(b'/', bytes) {
        let before = bytes.get(..slash).unwrap_or_default();
        match ALIASES.find_ignoring_case(before) {
            // Who resells models stands outermost, and bills them.
            Some(name) if !name.is_empty() => return Label::Known(name),
            _ => bytes = bytes.get(slash + 1..).unwrap_or_default(),
        }
    }
    // Inference profiles of Bedrock begin with where they run.
    let bytes = bedrock::REGIONS.iter().find_map(|region| bytes.strip_prefix(region.as_bytes())).unwrap_or(bytes);
    MODEL_PREFIXES
        .iter()
        .find(|(prefix, _)| bytes.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix.as_bytes())))
        .map_or(Label::None, |(_, provider)| Label::Known(provider))
}
