//! What Bedrock's model ids are made of: `us.anthropic.claude-sonnet-4-5-20250929-v1:0` is a region, a vendor and a name.

/// What the ids of cross-region inference profiles begin with.
pub const REGIONS: &[&str] = &["us.", "eu.", "apac.", "global.", "us-gov.", "jp.", "au.", "ca.", "sa.", "me.", "af."];

/// The vendors.
pub const VENDORS: &[&str] = &[
    "ai21.",
    "amazon.",
    "anthropic.",
    "cohere.",
    "deepseek.",
    "google.",
    "meta.",
    "minimax.",
    "mistral.",
    "moonshot.",
    "moonshotai.",
    "nvidia.",
    "openai.",
    "qwen.",
    "stability.",
    "twelvelabs.",
    "writer.",
    "zai.",
];
