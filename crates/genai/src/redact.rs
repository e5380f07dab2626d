//! Redaction: prompts and completions are taken out of a request before anybody sees it.
//!
//! Keys stay, and so does everything else, byte for byte. What comes after sees the redacted request only, so what is told in
//! captured content alone - the usage in a captured answer, the model in a captured request - is not counted.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use otlp::WireError;
use otlp::rewrite::{self, Attribute};
use sha2::Sha256;

use crate::content::is_content;

/// What becomes of prompts, completions, and what tools are given and give.
#[derive(Clone, Default)]
pub enum Redactor {
    /// They stay: no request is looked at or copied.
    #[default]
    Keep,
    /// An empty text stands in their place.
    Drop,
    /// Their HMAC-SHA256 stands in their place, 64 hexadecimal digits: of a text its bytes, of a list or map its encoding. Who has
    /// the key can tell whether two are the same.
    Hash(Box<Hmac<Sha256>>),
}

impl Redactor {
    /// Hashes with this key.
    pub fn hash(key: &[u8]) -> Self {
        // HMAC takes keys of any length
        Hmac::new_from_slice(key).map_or(Self::Drop, |mac| Self::Hash(Box::new(mac)))
    }

    /// An `ExportTraceServiceRequest` without content; `None` if there is none in it.
    ///
    /// # Errors
    /// The first field that cannot be read.
    pub fn traces(&self, body: &[u8]) -> Result<Option<Vec<u8>>, WireError> {
        if matches!(self, Self::Keep) { Ok(None) } else { rewrite::traces(body, |attribute| self.value(attribute)) }
    }

    /// An `ExportLogsServiceRequest` without content; `None` if there is none in it.
    ///
    /// # Errors
    /// The first field that cannot be read.
    pub fn logs(&self, body: &[u8]) -> Result<Option<Vec<u8>>, WireError> {
        if matches!(self, Self::Keep) { Ok(None) } else { rewrite::logs(body, |attribute| self.value(attribute)) }
    }

    fn value(&self, Attribute { event, key, content }: Attribute<'_>) -> Option<String> {
        if content.is_empty() || !is_content(event, key) {
            return None;
        }
        match self {
            Self::Keep => None,
            Self::Drop => Some(String::new()),
            Self::Hash(keyed) => {
                let digest = keyed.as_ref().clone().chain_update(content).finalize().into_bytes();
                Some(digest.iter().map(|byte| format!("{byte:02x}")).collect())
            }
        }
    }
}

/// Shows no key.
impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keep => "Keep",
            Self::Drop => "Drop",
            Self::Hash(_) => "Hash",
        })
    }
}
