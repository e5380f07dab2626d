//! A text that is never shown.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// A key, password, token or header value: `Debug`, `Display` and `Serialize` show `***`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// What is shown instead of the text.
    pub const MASK: &str = "***";

    /// Keeps a text from being shown.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself: only for the wire, never for a log, an error or a page.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::MASK)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(Self::MASK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // No way of printing shows the text.
    #[test]
    fn is_never_shown() {
        let secret = Secret::new("hunter2");
        let json = serde_json::to_string(&[&secret]).unwrap();
        let shown = format!("{secret} {secret:?} {secret:#?} {json}");
        assert!(!shown.contains("hunter2"), "{shown}");
        assert_eq!(secret.expose(), "hunter2");
    }
}
