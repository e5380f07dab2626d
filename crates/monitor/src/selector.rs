//! Which calls a monitor is about.

use serde::{Deserialize, Serialize};

use crate::call::Call;

/// Which calls: those that agree with every pattern that is given. A pattern is a text in which `*` stands for any text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Selector {
    /// `service.name`.
    pub service: Option<String>,
    /// `deployment.environment.name`.
    pub environment: Option<String>,
    /// Canonical provider.
    pub provider: Option<String>,
    /// The model that was asked for, or that answered.
    pub model: Option<String>,
    /// The version of the model: the one that answered.
    pub response_model: Option<String>,
    /// `gen_ai.operation.name`.
    pub operation: Option<String>,
    /// The version of the service: `service.version`, if it is kept.
    pub service_version: Option<String>,
    /// The endpoint: `server.address`, if it is kept.
    pub server_address: Option<String>,
}

/// What calls say of themselves only if the configuration keeps it: else no call has it, and whoever asks for it waits for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Attribute {
    /// `service.name`.
    Service,
    /// `deployment.environment.name`.
    Environment,
    /// `service.version`.
    ServiceVersion,
    /// `server.address`.
    ServerAddress,
}

impl Attribute {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Service, Self::Environment, Self::ServiceVersion, Self::ServerAddress];

    /// Its key on spans or their resource.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Service => "service.name",
            Self::Environment => "deployment.environment.name",
            Self::ServiceVersion => "service.version",
            Self::ServerAddress => "server.address",
        }
    }

    /// What keeps it, told to whoever asks for it where it is not kept.
    pub fn wanted(self) -> String {
        format!("{} must stand in derive.dimensions or metrics.resource_attributes for that", self.key())
    }
}

impl Selector {
    /// The attribute that each pattern reads which may not be kept, if it is given.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute> {
        let patterns = [&self.service, &self.environment, &self.service_version, &self.server_address];
        Attribute::ALL.into_iter().zip(patterns).filter_map(|(attribute, pattern)| pattern.as_ref().map(|_| attribute))
    }

    /// Whether a call is among them.
    pub fn selects(&self, call: &Call<'_>) -> bool {
        let agrees = |pattern: &Option<String>, text| pattern.as_deref().is_none_or(|pattern| matches(pattern, text));
        agrees(&self.service, call.service)
            && agrees(&self.environment, call.environment)
            && agrees(&self.provider, call.provider)
            && (agrees(&self.model, call.request_model) || agrees(&self.model, call.response_model))
            && agrees(&self.response_model, call.response_model)
            && agrees(&self.operation, call.operation)
            && agrees(&self.service_version, call.service_version)
            && agrees(&self.server_address, call.server_address)
    }
}

/// Whether a text agrees with a pattern in which `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*') {
        match text.find(part) {
            Some(place) => text = text.get(place + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whether a text agrees with a pattern, by trying all that a `*` could be.
    fn naive(pattern: &[u8], text: &[u8]) -> bool {
        match pattern {
            [] => text.is_empty(),
            [b'*', rest @ ..] => (0..=text.len()).any(|length| naive(rest, &text[length..])),
            [byte, rest @ ..] => text.first() == Some(byte) && naive(rest, &text[1..]),
        }
    }

    proptest! {
        // A `*` stands for any text, however many there are.
        #[test]
        fn patterns_match_as_if_tried(pattern in "[ab*]{0,7}", text in "[ab]{0,7}") {
            prop_assert_eq!(matches(&pattern, &text), naive(pattern.as_bytes(), text.as_bytes()));
        }
    }

    // The model is that which was asked for or that answered; the version is that which answered; all patterns must agree.
    #[test]
    fn every_pattern_must_agree() {
        let call =
            Call { service: "checkout", request_model: "gpt-4o", response_model: "gpt-4o-2024", ..Call::default() };
        let model = |model: &str| Selector { model: Some(model.to_owned()), ..Selector::default() };
        assert!(
            model("gpt-4o").selects(&call) && model("gpt-4o-2024").selects(&call) && !model("gpt-4").selects(&call)
        );
        let version = Selector { response_model: Some("gpt-4o".into()), ..model("gpt-4o") };
        assert!(!version.selects(&call));
        assert!(!Selector { service: Some("search".into()), ..model("*") }.selects(&call));
    }
}
