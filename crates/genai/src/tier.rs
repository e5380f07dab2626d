//! Service tiers, on which prices depend.

use otlp::Text;

use crate::facts::Label;

/// Spelling in lower case, canonical tier. An empty one says that the provider was left to choose: nothing.
const TIERS: &[(&str, &str)] = &[
    ("default", "default"),
    ("standard", "default"),
    ("standard_only", "default"),
    ("on_demand", "default"),
    ("flex", "flex"),
    ("priority", "priority"),
    ("batch", "batch"),
    ("scale", "scale"),
    ("auto", ""),
];

/// The canonical tier; one that nobody knows stays as it is.
pub(crate) fn canonical(text: Text, body: &[u8]) -> Label {
    let raw = text.bytes(body);
    match TIERS.iter().find(|(name, _)| raw.eq_ignore_ascii_case(name.as_bytes())) {
        Some((_, "")) => Label::None,
        Some((_, tier)) => Label::Known(tier),
        None if raw.is_empty() => Label::None,
        None => Label::Raw(text),
    }
}
