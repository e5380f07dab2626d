//! Families of models: what is left of a model's id without its path, its provider's prefixes, its date and its version.

use genai::bedrock;
use rapidhash::v3::rapidhash_v3;

/// Hashes of the families of the models that a span names; zero for none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Families {
    request: u32,
    response: u32,
}

impl Families {
    /// Of a span that names no model.
    pub(crate) const NONE: Self = Self { request: 0, response: 0 };

    pub(crate) fn new(request_model: &[u8], response_model: &[u8]) -> Self {
        let hash = |model: &[u8]| match family(model) {
            [] => 0,
            name => (rapidhash_v3(&name.to_ascii_lowercase()) as u32).max(1),
        };
        Self { request: hash(request_model), response: hash(response_model) }
    }

    /// Its hashes, of the request and of the response model.
    pub(crate) const fn hashes(self) -> [u32; 2] {
        [self.request, self.response]
    }

    /// From these hashes.
    pub(crate) const fn of_hashes([request, response]: [u32; 2]) -> Self {
        Self { request, response }
    }

    /// Whether a span that names a model names the one that answered.
    pub(crate) fn tell_response(self) -> bool {
        self.response != 0
    }

    /// Whether two spans may speak of the same model: they name one family, or one of them names none.
    pub(crate) fn agree(self, other: Self) -> bool {
        let is_unknown = |families: Self| families == Self::NONE;
        let is_shared = |model: u32| model != 0 && (model == other.request || model == other.response);
        is_unknown(self) || is_unknown(other) || is_shared(self.request) || is_shared(self.response)
    }
}

/// Resources in ARNs of Bedrock that are called as their models are. The names of others are their owner's, and tell none.
const NAMED_AS_MODELS: &[&[u8]] = &[b":inference-profile/", b":foundation-model/"];

fn family(model: &[u8]) -> &[u8] {
    let has = |part: &[u8]| model.windows(part.len()).any(|window| window == part);
    if has(b":bedrock:") && !NAMED_AS_MODELS.iter().any(|resource| has(resource)) {
        return &[];
    }
    let mut name = model.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let prefixes = || bedrock::REGIONS.iter().chain(bedrock::VENDORS);
    while let Some(rest) = prefixes().find_map(|prefix| name.strip_prefix(prefix.as_bytes())) {
        name = rest;
    }
    while let Some(rest) = without_version(name) {
        name = rest;
    }
    name
}

/// The name without a date or a version at its end, if it has one: `-2024-08-06`, `-20240806`, `@20240806`, `-001`, `-v1`, `:0`, `-latest`.
fn without_version(name: &[u8]) -> Option<&[u8]> {
    if let Some(rest) = name.strip_suffix(b"-latest") {
        return Some(rest);
    }
    let digits = name.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let rest = name.get(..name.len() - digits)?;
    match rest.split_last()? {
        (b':' | b'@', rest) if digits > 0 => Some(rest),
        (b'v', rest) if digits > 0 => rest.strip_suffix(b"-").or_else(|| rest.strip_suffix(b"@")),
        (b'-', rest) if matches!(digits, 3 | 4 | 8) => Some(rest),
        (b'-', rest) if digits == 2 => without_year_and_month(rest),
        _ => None,
    }
}

/// The name before `-YYYY-MM`, where `-DD` was cut already.
fn without_year_and_month(rest: &[u8]) -> Option<&[u8]> {
    let (name, date) = rest.split_at_checked(rest.len().checked_sub(8)?)?;
    let is_date = date.iter().enumerate().all(|(i, byte)| match i {
        0 | 5 => *byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    is_date.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    // What is left is the family, whatever path, prefix, date and version a library wrote around it.
    #[test]
    fn families_of_real_names() {
        for (model, expected) in [
            ("gpt-4o", "gpt-4o"),
            ("gpt-4o-2024-08-06", "gpt-4o"),
            ("openai/gpt-4o-2024-08-06", "gpt-4o"),
            ("gpt-4.1", "gpt-4.1"),
            ("gpt-4-0613", "gpt-4"),
            ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
            ("jp.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
            ("us-gov.anthropic.claude-3-haiku-20240307-v1:0", "claude-3-haiku"),
            ("arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova-lite-v1:0", "nova-lite"),
            ("arn:aws:bedrock:us-east-1:1:application-inference-profile/abc123", ""),
            ("bedrock/arn:aws:bedrock:us-east-1:1:provisioned-model/abc123", ""),
            ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
            ("models/gemini-2.5-flash", "gemini-2.5-flash"),
            ("gemini-1.5-pro-002", "gemini-1.5-pro"),
            ("claude-3-5-haiku-latest", "claude-3-5-haiku"),
            ("text-embedding-3-small", "text-embedding-3-small"),
            ("", ""),
            ("-", "-"),
        ] {
            assert_eq!(String::from_utf8_lossy(family(model.as_bytes())), expected);
        }
    }

    // Two spans agree if any of their models is of one family, or if one names none; else they do not.
    #[test]
    fn spans_agree_on_their_models() {
        let of = |request: &str, response: &str| Families::new(request.as_bytes(), response.as_bytes());
        assert!(of("gpt-4o", "gpt-4o-2024-08-06").agree(of("openai/GPT-4o", "")));
        assert!(of("my-deployment", "gpt-4o-2024-08-06").agree(of("", "gpt-4o")));
        assert!(of("", "").agree(of("gpt-4o", "")));
        assert!(!of("gpt-4o", "").agree(of("gpt-4o-mini", "")));
    }
}
