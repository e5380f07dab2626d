//! Who bills a call: from the provider's name to the catalogue's.

/// OpenTelemetry's provider names (and what instrumentation writes instead), and ids of the catalogue. An empty id marks software
/// that serves models at home: nobody bills its calls by a price list, so only an override gives them a price. A name that is not
/// here may be one of the catalogue's own.
const PROVIDERS: &[(&str, &str)] = &[
    ("anthropic", "anthropic"),
    ("aws.bedrock", "aws"),
    ("aws.sagemaker", "aws"),
    ("azure.ai.inference", "azure"),
    ("azure.ai.openai", "azure"),
    ("cohere", "cohere"),
    ("deepseek", "deepseek"),
    ("fireworks_ai", "fireworks"),
    ("gcp.gemini", "google"),
    ("gcp.gen_ai", "google"),
    ("gcp.vertex_ai", "google"),
    ("groq", "groq"),
    ("mistral_ai", "mistral"),
    ("moonshot_ai", "moonshotai"),
    ("openai", "openai"),
    ("perplexity", "perplexity"),
    ("together", "together"),
    ("together_ai", "together"),
    ("voyage_ai", "voyageai"),
    ("x_ai", "x-ai"),
    ("z_ai", "zai"),
    ("hosted_vllm", ""),
    ("llama.cpp", ""),
    ("llama_cpp", ""),
    ("llamafile", ""),
    ("lm_studio", ""),
    ("lmstudio", ""),
    ("ollama", ""),
    ("ollama_chat", ""),
    ("sglang", ""),
    ("tgi", ""),
    ("vllm", ""),
];

/// The catalogue's id of a provider's name in lower case, where it differs or is not plain to see.
pub(super) fn catalogue_id(name: &str) -> Option<&'static str> {
    PROVIDERS.iter().find(|(known, _)| *known == name).map(|(_, id)| *id)
}
