//! A webhook: JSON, signed.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use http::Uri;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::http_client::HttpClient;
use crate::message::{Message, SIGNATURE_HEADER, signature};
use crate::notifier::NotifyError;
use crate::outcome::Failure;
use transport::Secret;

/// Where JSON is POSTed.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// `http://` or `https://`.
    pub url: String,
    /// The key of the signature; without one nothing is signed.
    pub secret: Option<Secret>,
    /// What is sent with every request.
    pub headers: Vec<(String, Secret)>,
    /// PEM: authorities that are trusted, in place of the operating system's.
    pub ca_file: Option<PathBuf>,
}

/// A webhook that can be called.
#[derive(Debug)]
pub(crate) struct WebhookClient {
    client: HttpClient,
    uri: Uri,
    secret: Option<Secret>,
    headers: HeaderMap,
}

impl WebhookClient {
    pub(crate) fn new(webhook: &Webhook) -> Result<Self, NotifyError> {
        Ok(Self {
            client: HttpClient::new(webhook.ca_file.clone()),
            uri: webhook.url.parse().map_err(|_| NotifyError::Url)?,
            secret: webhook.secret.clone(),
            headers: headers(&webhook.headers)?,
        })
    }

    pub(crate) async fn deliver(&self, message: &Message) -> Result<(), Failure> {
        let body = message.json();
        let mut headers = self.headers.clone();
        let text = |text: &str| HeaderValue::from_str(text).map_err(|error| Failure::permanent(error.to_string()));
        headers.insert("Idempotency-Key", text(&message.key)?);
        if let Some(secret) = &self.secret {
            let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            let signature = signature(secret.expose().as_bytes(), seconds, &body);
            let name = HeaderName::from_bytes(SIGNATURE_HEADER.as_bytes());
            headers.insert(name.map_err(|error| Failure::permanent(error.to_string()))?, text(&signature)?);
        }
        self.client.post(&self.uri, headers, body).await
    }
}

/// Headers as they are sent, marked so that nobody prints them.
pub(crate) fn headers(configured: &[(String, Secret)]) -> Result<HeaderMap, NotifyError> {
    let header = |(name, value): &(String, Secret)| {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| NotifyError::Header)?;
        let mut value = HeaderValue::from_str(value.expose()).map_err(|_| NotifyError::Header)?;
        value.set_sensitive(true);
        Ok((name, value))
    };
    configured.iter().map(header).collect()
}
