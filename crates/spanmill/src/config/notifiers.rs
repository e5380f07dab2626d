//! `notifiers`: who is told of alerts, and how.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use transport::Secret;

use super::address::{Address, HttpUrl};
use super::exporters::is_name;
use super::units::duration;

/// `notifiers`, by the NAME of their key.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Notifiers {
    /// `webhook/NAME`.
    pub webhook: BTreeMap<String, Webhook>,
    /// `alertmanager/NAME`.
    pub alertmanager: BTreeMap<String, Alertmanager>,
    /// `email/NAME`.
    pub email: BTreeMap<String, Email>,
}

/// `notifiers.webhook/NAME`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Where JSON is POSTed.
    #[serde(serialize_with = "without_path")]
    pub url: HttpUrl,
    /// The key of the signature.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// What is sent with every request.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// Authorities that are trusted, in place of the operating system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// How long one attempt may take.
    #[serde(default = "default_timeout", with = "duration")]
    pub timeout: Duration,
    /// When it is tried again.
    #[serde(default)]
    pub retry_on_failure: Retry,
}

/// What is behind the host tells many services who calls: it is a secret.
fn without_path<S: Serializer>(url: &HttpUrl, serializer: S) -> Result<S::Ok, S::Error> {
    let text = url.to_string();
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    match rest.split_once('/') {
        Some((authority, path)) if !path.is_empty() => {
            serializer.serialize_str(&format!("{scheme}://{authority}/{}", Secret::MASK))
        }
        _ => serializer.serialize_str(&text),
    }
}

/// `notifiers.alertmanager/NAME`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alertmanager {
    /// Its address, without `/api/v2/alerts`.
    pub url: HttpUrl,
    /// Labels of every alert.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// How often it is told what still fires.
    #[serde(default = "default_resend_interval", with = "duration")]
    pub resend_interval: Duration,
    /// What is sent with every request.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// Authorities that are trusted, in place of the operating system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// How long one attempt may take.
    #[serde(default = "default_timeout", with = "duration")]
    pub timeout: Duration,
    /// When it is tried again.
    #[serde(default)]
    pub retry_on_failure: Retry,
}

/// `notifiers.email/NAME`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Email {
    /// The mail server.
    pub server: Address,
    /// How the connection is encrypted.
    #[serde(default)]
    pub tls: MailTls,
    /// Authorities that are trusted, in place of the operating system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The user, if the server asks for one.
    #[serde(default)]
    pub username: Option<String>,
    /// Its password.
    #[serde(default)]
    pub password: Option<Secret>,
    /// Who mail is from.
    pub from: String,
    /// Who gets it.
    pub to: Vec<String>,
    /// How long one attempt may take.
    #[serde(default = "default_timeout", with = "duration")]
    pub timeout: Duration,
    /// When it is tried again.
    #[serde(default)]
    pub retry_on_failure: Retry,
}

/// `notifiers.email/NAME.tls`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailTls {
    /// The connection becomes TLS before anything is told.
    #[default]
    Starttls,
    /// It is TLS from the beginning.
    Implicit,
    /// It is not encrypted: on this machine only.
    None,
}

/// `notifiers.*.retry_on_failure`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// The pause after the first failure; it doubles with each further one.
    #[serde(with = "duration")]
    pub initial_interval: Duration,
    /// The longest pause.
    #[serde(with = "duration")]
    pub max_interval: Duration,
    /// A notification older than this is given up when an attempt fails; 0 is never.
    #[serde(with = "duration")]
    pub max_age: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        let notify::Retry { initial_interval, max_interval, max_age } = notify::Retry::default();
        Self { initial_interval, max_interval, max_age: max_age.unwrap_or_default() }
    }
}

impl Retry {
    fn meant(self) -> notify::Retry {
        let Self { initial_interval, max_interval, max_age } = self;
        notify::Retry { initial_interval, max_interval, max_age: (!max_age.is_zero()).then_some(max_age) }
    }
}

fn default_timeout() -> Duration {
    Duration::from_secs(10)
}

fn default_resend_interval() -> Duration {
    Duration::from_secs(60)
}

impl Notifiers {
    /// The same for those who run them.
    pub fn meant(&self) -> Vec<notify::Notifier> {
        let webhook = |(name, it): (&String, &Webhook)| notify::Notifier {
            name: format!("webhook/{name}"),
            channel: notify::Channel::Webhook(notify::Webhook {
                url: it.url.to_string(),
                secret: it.secret.clone(),
                headers: headers(&it.headers),
                ca_file: it.ca_file.clone(),
            }),
            timeout: it.timeout,
            retry: it.retry_on_failure.meant(),
        };
        let alertmanager = |(name, it): (&String, &Alertmanager)| notify::Notifier {
            name: format!("alertmanager/{name}"),
            channel: notify::Channel::Alertmanager(notify::Alertmanager {
                url: it.url.to_string(),
                labels: it.labels.clone(),
                resend: it.resend_interval,
                headers: headers(&it.headers),
                ca_file: it.ca_file.clone(),
            }),
            timeout: it.timeout,
            retry: it.retry_on_failure.meant(),
        };
        let email = |(name, it): (&String, &Email)| notify::Notifier {
            name: format!("email/{name}"),
            channel: notify::Channel::Email(notify::Email {
                host: it.server.host().to_owned(),
                port: it.server.port(),
                encryption: match it.tls {
                    MailTls::Starttls => notify::Encryption::Starttls,
                    MailTls::Implicit => notify::Encryption::Implicit,
                    MailTls::None => notify::Encryption::None,
                },
                ca_file: it.ca_file.clone(),
                credentials: it.username.clone().zip(it.password.clone()),
                from: it.from.clone(),
                to: it.to.clone(),
            }),
            timeout: it.timeout,
            retry: it.retry_on_failure.meant(),
        };
        let notifiers = self.webhook.iter().map(webhook).chain(self.alertmanager.iter().map(alertmanager));
        notifiers.chain(self.email.iter().map(email)).collect()
    }
}

fn headers(headers: &BTreeMap<String, Secret>) -> Vec<(String, Secret)> {
    headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// A key of `notifiers`.
enum NotifierKey {
    Webhook(String),
    Alertmanager(String),
    Email(String),
}

impl<'de> Deserialize<'de> for NotifierKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let key = String::deserialize(deserializer)?;
        match key.split_once('/').filter(|(_, name)| is_name(name)) {
            Some(("webhook", name)) => Ok(Self::Webhook(name.to_owned())),
            Some(("alertmanager", name)) => Ok(Self::Alertmanager(name.to_owned())),
            Some(("email", name)) => Ok(Self::Email(name.to_owned())),
            _ => Err(de::Error::unknown_field(&key, &["webhook/NAME", "alertmanager/NAME", "email/NAME"])),
        }
    }
}

impl<'de> Deserialize<'de> for Notifiers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NotifiersVisitor;

        impl<'de> Visitor<'de> for NotifiersVisitor {
            type Value = Notifiers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Notifiers, A::Error> {
                let mut notifiers = Notifiers::default();
                while let Some(key) = access.next_key()? {
                    match key {
                        NotifierKey::Webhook(name) => drop(notifiers.webhook.insert(name, access.next_value()?)),
                        NotifierKey::Alertmanager(name) => {
                            drop(notifiers.alertmanager.insert(name, access.next_value()?));
                        }
                        NotifierKey::Email(name) => drop(notifiers.email.insert(name, access.next_value()?)),
                    }
                }
                Ok(notifiers)
            }
        }

        deserializer.deserialize_map(NotifiersVisitor)
    }
}

impl Serialize for Notifiers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, webhook) in &self.webhook {
            map.serialize_entry(&format!("webhook/{name}"), webhook)?;
        }
        for (name, alertmanager) in &self.alertmanager {
            map.serialize_entry(&format!("alertmanager/{name}"), alertmanager)?;
        }
        for (name, email) in &self.email {
            map.serialize_entry(&format!("email/{name}"), email)?;
        }
        map.end()
    }
}
