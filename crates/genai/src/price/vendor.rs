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
    ("azure_ai", "azure"),
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
    ("togetherai", "together"),
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

/// Gateways and their clients, beside the frameworks that pose as providers: they pass a call on to whoever bills it. Every other
/// name that the catalogue does not know is taken for a reseller, whose prices are its own.
const GATEWAYS: &[&str] = &["bifrost", "gateway", "helicone", "litellm_proxy", "portkey", "vercel_ai_gateway"];

/// Whether a provider's name in lower case is that of a gateway.
pub(super) fn is_gateway(name: &str) -> bool {
    GATEWAYS.contains(&name)
}

/// Who bills nothing for certain: its API is spoken by many others, whose calls libraries tell as its own.
pub(super) const COMMON_API: &str = "openai";

/// What the catalogue's `fallback_model_providers` lack: Anthropic's models cost at Bedrock what Anthropic takes, but for those
/// that the catalogue lists there.
const SOLD_AT: &[(&str, &str)] = &[("aws", "anthropic")];

/// The provider whose models another one sells too, at their prices; both as the catalogue calls them.
pub(super) fn sold_at(provider: &str) -> Option<&'static str> {
    SOLD_AT.iter().find(|(seller, _)| *seller == provider).map(|(_, vendor)| *vendor)
}
