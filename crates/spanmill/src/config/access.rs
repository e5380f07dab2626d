//! `tls` and `auth`: who may call a server, and whether the line is encrypted.

use std::path::PathBuf;

use receive::{Credentials, FileError, TlsFiles};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use transport::Secret;

/// `tls`: PEM files. Paths start at the working directory; changes of files are followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate, and behind it those that lead to its authority.
    pub cert_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
    /// Authorities whose certificates clients must show; without it they need none.
    #[serde(default)]
    pub client_ca_file: Option<PathBuf>,
}

impl Tls {
    /// How connections are encrypted from now on.
    ///
    /// # Errors
    /// A file cannot be used.
    pub fn load(&self) -> Result<receive::Tls, FileError> {
        receive::Tls::from_files(TlsFiles {
            cert_file: self.cert_file.clone(),
            key_file: self.key_file.clone(),
            client_ca_file: self.client_ca_file.clone(),
        })
    }
}

/// Whether a caller has to show who it is, by `auth` or by a certificate.
pub fn asks_who_calls(tls: Option<&Tls>, auth: &Auth) -> bool {
    *auth != Auth::None || tls.is_some_and(|tls| tls.client_ca_file.is_some())
}

/// `auth`: what a caller must show. Paths start at the working directory; changes of files are followed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// Nothing.
    #[default]
    None,
    /// One of these.
    BearerTokens(Vec<Secret>),
    /// One of those in a file, one a line.
    BearerTokensFile(PathBuf),
    /// A user and the password, as a file in the format of `htpasswd` has them.
    BasicFile(PathBuf),
}

impl Auth {
    /// A token that a command of ours may show, if there is one. Of users only they themselves know the passwords.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn first_token(&self) -> std::io::Result<Option<Secret>> {
        match self {
            Self::None | Self::BasicFile(_) => Ok(None),
            Self::BearerTokens(tokens) => Ok(tokens.first().cloned()),
            Self::BearerTokensFile(path) => {
                let content = std::fs::read_to_string(path)?;
                let tokens = content.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
                Ok(tokens.map(Secret::new).next())
            }
        }
    }

    /// What callers are held to from now on.
    ///
    /// # Errors
    /// A file cannot be used.
    pub fn credentials(&self) -> Result<Credentials, FileError> {
        match self {
            Self::None => Ok(Credentials::default()),
            Self::BearerTokens(tokens) => Ok(Credentials::bearer(tokens.iter().map(Secret::expose))),
            Self::BearerTokensFile(path) => Credentials::bearer_file(path.clone()),
            Self::BasicFile(path) => Credentials::basic_file(path.clone()),
        }
    }
}

/// The mapping form has one of these keys.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Methods {
    bearer_tokens: Option<Vec<Secret>>,
    bearer_tokens_file: Option<PathBuf>,
    basic_file: Option<PathBuf>,
}

const EXPECTED: &str = "expected none, or one of bearer_tokens, bearer_tokens_file, basic_file";

impl<'de> Deserialize<'de> for Auth {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AuthVisitor)
    }
}

/// Nothing but the word `none` is no authentication: an empty value may be a mistake.
struct AuthVisitor;

impl<'de> Visitor<'de> for AuthVisitor {
    type Value = Auth;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(EXPECTED.trim_start_matches("expected "))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Auth, E> {
        if text == "none" { Ok(Auth::None) } else { Err(E::custom(EXPECTED)) }
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<Auth, A::Error> {
        let methods = Methods::deserialize(MapAccessDeserializer::new(access))?;
        match (methods.bearer_tokens, methods.bearer_tokens_file, methods.basic_file) {
            (Some(tokens), None, None) => Ok(Auth::BearerTokens(tokens)),
            (None, Some(path), None) => Ok(Auth::BearerTokensFile(path)),
            (None, None, Some(path)) => Ok(Auth::BasicFile(path)),
            _ => Err(A::Error::custom(EXPECTED)),
        }
    }
}
