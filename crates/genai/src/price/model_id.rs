//! The names that one model goes by: what may stand before and behind its id, as data.

use crate::bedrock;

/// Prefixes up to a slash that say who serves a model, and that provider's id in the catalogue (see [`super::vendor`]); the last
/// matching row is the longest one. An empty id marks software that serves models at home, where no price list holds.
pub(super) const ROUTES: &[(&str, &str)] = &[
    ("amazon/", "aws"),
    ("anthropic/", "anthropic"),
    ("azure/", "azure"),
    ("azure/global-standard/", "azure"),
    ("azure/global/", "azure"),
    ("azure_ai/", "azure"),
    ("bedrock/", "aws"),
    ("bedrock/converse/", "aws"),
    ("bedrock/invoke/", "aws"),
    ("bedrock_converse/", "aws"),
    ("cerebras/", "cerebras"),
    ("cohere/", "cohere"),
    ("cohere_chat/", "cohere"),
    ("deepseek/", "deepseek"),
    ("fireworks_ai/", "fireworks"),
    ("gemini/", "google"),
    // Deployments of Azure that cost what the vendor takes; those of a data zone cost more.
    ("global-standard/", "azure"),
    ("global/", "azure"),
    ("google/", "google"),
    ("google_genai/", "google"),
    ("googleai/", "google"),
    ("groq/", "groq"),
    ("hosted_vllm/", ""),
    ("lm_studio/", ""),
    ("minimax/", "minimax"),
    ("mistral/", "mistral"),
    ("mistralai/", "mistral"),
    ("moonshot/", "moonshotai"),
    ("moonshotai/", "moonshotai"),
    ("novita/", "novita"),
    ("ollama/", ""),
    ("ollama_chat/", ""),
    ("openai/", "openai"),
    ("openrouter/", "openrouter"),
    ("perplexity/", "perplexity"),
    ("text-completion-openai/", "openai"),
    ("together_ai/", "together"),
    ("vertex_ai/", "google"),
    ("vertex_ai_beta/", "google"),
    ("vertexai/", "google"),
    ("vllm/", ""),
    ("voyage/", "voyageai"),
    ("x-ai/", "x-ai"),
    ("xai/", "x-ai"),
    ("z-ai/", "zai"),
];

/// Path segments of resource names: the model id begins behind the last one of them.
const PATHS: &[&str] = &["inference-profile/", "foundation-model/", "provisioned-model/", "models/"];

/// Bedrock, as the catalogue calls it.
const BEDROCK: &str = "aws";

/// A name that a model goes by, and what was done to the given one to get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    /// In lower case.
    pub id: String,
    /// How it differs from the name before: empty for the one that was given.
    pub step: String,
}

/// The names of a model id, in the order in which they are tried:
///
/// 1. as given (in lower case, blanks around it cut);
/// 2. prefixes cut, from the outside in, each cut being a name of its own: resource paths (`arn:aws:bedrock:...:inference-profile/`,
///    `projects/.../publishers/google/models/`, `models/`), routes ([`ROUTES`]: `openrouter/`, `azure/`, `openai/`), Bedrock's region
///    (`us.`) and vendor (`anthropic.`), the owner of a fine-tuned model (`ft:gpt-4o:org::id` is `ft:gpt-4o`, which is never `gpt-4o`);
/// 3. of each of these, longest first, suffixes cut from the end, each cut being a name of its own: `:0`, `-v1`, `-latest`,
///    `@20240806`, a compact date first written out (`-20240806` is `-2024-08-06`, as genai-prices does) and then cut, `-001`.
///
/// What a catalogue names by itself is always found by the more exact name: cutting only widens the search.
pub(super) fn names(given: &str) -> Vec<Name> {
    let given = given.trim().to_lowercase();
    let mut names: Vec<Name> = Vec::new();
    if given.is_empty() || given.len() > MAX_LENGTH {
        return names;
    }
    names.push(Name { id: given, step: String::new() });
    cut_repeatedly(&mut names, 0, cut_prefix);
    for prefix_cut in 0..names.len() {
        cut_repeatedly(&mut names, prefix_cut, cut_suffix);
    }
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.id.clone()));
    names
}

/// Longer texts name no model.
const MAX_LENGTH: usize = 512;
/// More cuts than any id has: bounds what a text made of prefixes costs.
const MAX_CUTS: usize = 5;

type Cut = fn(&str) -> Option<(String, String)>;

/// Adds what cutting makes of a name, and of the outcome, and so on.
fn cut_repeatedly(names: &mut Vec<Name>, from: usize, cut: Cut) {
    let Some(mut id) = names.get(from).map(|name| name.id.clone()) else { return };
    for _ in 0..MAX_CUTS {
        let Some((shorter, step)) = cut(&id) else { return };
        if shorter.is_empty() {
            return;
        }
        names.push(Name { id: shorter.clone(), step });
        id = shorter;
    }
}

/// The route that an id begins with: its prefix and its provider.
pub(super) fn route(id: &str) -> Option<(&'static str, &'static str)> {
    ROUTES.iter().rev().find(|(prefix, _)| id.starts_with(prefix)).copied()
}

/// The vendor that a Bedrock id begins with, its region cut.
fn bedrock_vendor(id: &str) -> Option<&'static str> {
    bedrock::VENDORS.iter().copied().find(|vendor| id.starts_with(vendor))
}

/// The region of a Bedrock id: only what a vendor follows is one.
fn bedrock_region(id: &str) -> Option<&'static str> {
    bedrock::REGIONS
        .iter()
        .copied()
        .find(|region| id.strip_prefix(region).is_some_and(|rest| bedrock_vendor(rest).is_some()))
}

/// Whether an id is one of Bedrock's, which tells the inference profile, and so the price.
pub(super) fn is_bedrock(names: &[Name]) -> bool {
    names.iter().any(|name| bedrock_region(&name.id).is_some() || bedrock_vendor(&name.id).is_some())
}

/// The providers that the names of a model speak of, in order; an empty id is software at home.
pub(super) fn spoken_of(names: &[Name]) -> impl Iterator<Item = &'static str> + '_ {
    names.iter().filter_map(|name| {
        let bedrock = || bedrock_vendor(&name.id).map(|_| BEDROCK);
        route(&name.id).map(|(_, provider)| provider).or_else(bedrock)
    })
}

fn cut_prefix(id: &str) -> Option<(String, String)> {
    let cut = |prefix: &str, rest: &str| Some((rest.to_owned(), format!("{prefix:?} cut")));
    if id.starts_with("arn:")
        || id.starts_with("projects/")
        || id.starts_with("publishers/")
        || id.starts_with("models/")
    {
        let begin = PATHS.iter().filter_map(|path| Some(id.rfind(path)? + path.len())).max()?;
        return cut(id.get(..begin)?, id.get(begin..)?);
    }
    if let Some((prefix, _)) = route(id) {
        return cut(prefix, id.get(prefix.len()..)?);
    }
    if let Some(prefix) = bedrock_region(id).or_else(|| bedrock_vendor(id)) {
        return cut(prefix, id.get(prefix.len()..)?);
    }
    let (base, owner) = id.strip_prefix(TUNED)?.split_once(':')?;
    Some((format!("{TUNED}{base}"), format!("owner {owner:?} of a fine-tuned model cut")))
}

/// What makes an id another product than the one with the name that it begins with: that it is fine-tuned, a tag that is no
/// version (`:free`, or `:8b` of Ollama), that it was distilled. A price holds for it only if the price list says as much.
pub(super) fn peculiarities(id: &str) -> impl Iterator<Item = &str> {
    let is_tuned = id.starts_with(TUNED);
    let last = id.rsplit('/').next().unwrap_or_default();
    let tag = last.find(':').and_then(|at| last.get(at..));
    let tag = tag.filter(|tag| !is_tuned && !tag.split(':').skip(1).all(is_version));
    let distilled = id.contains(DISTILLED).then_some(DISTILLED);
    is_tuned.then_some(TUNED).into_iter().chain(tag).chain(distilled)
}

/// How ids of fine-tuned models begin: `ft:gpt-4o-2024-08-06:owner::id`.
const TUNED: &str = "ft:";
/// What stands in the ids of smaller models that learnt from a large one.
const DISTILLED: &str = "-distill-";

/// Whether what follows a colon is a version, as in Bedrock's ids: `:0`, `:200k`.
fn is_version(tag: &str) -> bool {
    is_digits(tag.strip_suffix('k').unwrap_or(tag))
}

fn cut_suffix(id: &str) -> Option<(String, String)> {
    let cut = |length: usize| {
        let at = id.len().checked_sub(length)?;
        Some((id.get(..at)?.to_owned(), format!("{:?} cut", id.get(at..)?)))
    };
    if let Some(written_out) = write_out_date(id) {
        return Some((written_out, "date written out".to_owned()));
    }
    if let Some((rest, version)) = id.rsplit_once('@')
        && (version == "latest" || version == "default" || is_digits(version))
    {
        return cut(id.len() - rest.len());
    }
    if let Some((_, number)) = id.rsplit_once(':')
        && is_version(number)
    {
        return cut(number.len() + 1);
    }
    if let Some((_, version)) = id.rsplit_once('-') {
        let is_version = version.strip_prefix('v').is_some_and(is_digits);
        let is_revision = version.len() == 3 && version.starts_with("00") && is_digits(version);
        if version == "latest" || is_version || is_revision {
            return cut(version.len() + 1);
        }
    }
    dashed_date(id).and_then(|_| cut("-2024-08-06".len()))
}

/// An id that ends with a compact date, the date written out.
fn write_out_date(id: &str) -> Option<String> {
    let (rest, date) = id.rsplit_once('-')?;
    let is_compact = date.len() == 8 && date.starts_with("20") && is_digits(date);
    let dashed = format!("{rest}-{}-{}-{}", date.get(..4)?, date.get(4..6)?, date.get(6..)?);
    (is_compact && dashed_date(&dashed).is_some()).then_some(dashed)
}

/// The date that an id ends with.
fn dashed_date(id: &str) -> Option<jiff::civil::Date> {
    let date = id.get(id.len().checked_sub("-2024-08-06".len())?..)?;
    date.strip_prefix("-20")?;
    date.get(1..)?.parse().ok()
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(given: &str) -> Vec<String> {
        names(given).into_iter().map(|name| name.id).collect()
    }

    // Prefixes and suffixes are cut in the stated order.
    #[test]
    fn names_in_the_stated_order() {
        assert_eq!(ids(" GPT-4o "), ["gpt-4o"]);
        assert_eq!(
            ids("openrouter/openai/gpt-4o-20240806"),
            [
                "openrouter/openai/gpt-4o-20240806",
                "openai/gpt-4o-20240806",
                "gpt-4o-20240806",
                "openrouter/openai/gpt-4o-2024-08-06",
                "openrouter/openai/gpt-4o",
                "openai/gpt-4o-2024-08-06",
                "openai/gpt-4o",
                "gpt-4o-2024-08-06",
                "gpt-4o",
            ]
        );
    }

    // The bare name behind everything that providers put around it.
    #[test]
    fn the_last_name_is_bare() {
        for (given, bare) in [
            ("openai/gpt-4o", "gpt-4o"),
            ("azure/gpt-4o-2024-08-06", "gpt-4o"),
            ("bedrock/converse/us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
            ("us.anthropic.claude-3-haiku-20240307-v1:0:200k", "claude-3-haiku"),
            ("anthropic.claude-v2:1", "claude"),
            ("arn:aws:bedrock:us-east-1:123456789012:inference-profile/eu.amazon.nova-lite-v1:0", "nova-lite"),
            ("arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0", "claude-3-haiku"),
            ("projects/p/locations/us/publishers/google/models/gemini-2.5-flash-001", "gemini-2.5-flash"),
            ("publishers/google/models/gemini-2.5-flash", "gemini-2.5-flash"),
            ("models/gemini-2.5-pro-latest", "gemini-2.5-pro"),
            ("vertex_ai/claude-sonnet-4@20250514", "claude-sonnet-4"),
            ("ft:gpt-4o-2024-08-06:org::id", "ft:gpt-4o"),
            ("ft:gpt-4o", "ft:gpt-4o"),
            ("us.gpt-4o", "us.gpt-4o"),
            ("my-models/gpt-4o", "my-models/gpt-4o"),
            ("model-20241399", "model-20241399"),
        ] {
            assert_eq!(ids(given).last().map(String::as_str), Some(bare), "{given}");
        }
    }

    // A text that nobody would call a model costs little.
    #[test]
    fn hostile_texts_are_bounded() {
        assert!(names(&"openai/".repeat(1_000)).is_empty());
        assert!(names(&"openai/".repeat(70)).len() <= MAX_CUTS + 1);
        assert!(names("").is_empty() && names("  ").is_empty());
        for given in ["/", ":", "-", "@", "ft:", "ft::", "us.", "models/", "é-20240806", "arn:", "-2024-08-06"] {
            assert!(names(given).iter().all(|name| !name.id.is_empty()), "{given}");
        }
    }

    // Who serves a model stands in its prefixes.
    #[test]
    fn providers_that_names_speak_of() {
        let spoken = |given: &str| spoken_of(&names(given)).collect::<Vec<_>>();
        assert_eq!(spoken("openrouter/anthropic/claude-sonnet-4"), ["openrouter", "anthropic"]);
        assert_eq!(spoken("us.anthropic.claude-3-haiku-20240307-v1:0")[0], "aws");
        assert_eq!(spoken("ollama/llama3"), [""]);
        assert!(spoken("gpt-4o").is_empty());
    }
}
