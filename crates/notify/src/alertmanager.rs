//! Prometheus' Alertmanager, API v2.
//!
//! An alert that Alertmanager is not told again counts as resolved there when the `endsAt` is past that it was told with. So what fires is
//! told every [`Alertmanager::resend`], each time to end after four times that: if Spanmill goes away, so does the alert.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Uri;
use http::header::HeaderMap;
use monitor::Incident;
use serde::Serialize;

use crate::http_client::HttpClient;
use crate::message::{Message, time};
use crate::notifier::NotifyError;
use crate::outcome::Failure;
use crate::webhook::headers;
use transport::Secret;

/// After how many times `resend` without a word an alert ends.
const ENDS_AFTER: u32 = 4;

/// An Alertmanager.
#[derive(Debug, Clone)]
pub struct Alertmanager {
    /// Its address, without `/api/v2/alerts`.
    pub url: String,
    /// Labels of every alert, beside `alertname`, `monitor` and `severity`.
    pub labels: BTreeMap<String, String>,
    /// How often it is told what still fires.
    pub resend: Duration,
    /// What is sent with every request.
    pub headers: Vec<(String, Secret)>,
    /// PEM: authorities that are trusted, in place of the operating system's.
    pub ca_file: Option<PathBuf>,
}

/// An Alertmanager that can be told.
#[derive(Debug)]
pub(crate) struct AlertmanagerClient {
    client: HttpClient,
    uri: Uri,
    headers: HeaderMap,
    labels: BTreeMap<String, String>,
    pub(crate) resend: Duration,
}

/// `postableAlert` of the API.
#[derive(Serialize)]
struct PostableAlert<'a> {
    labels: BTreeMap<&'a str, &'a str>,
    annotations: BTreeMap<&'static str, String>,
    #[serde(rename = "startsAt")]
    starts_at: String,
    #[serde(rename = "endsAt")]
    ends_at: String,
}

impl AlertmanagerClient {
    pub(crate) fn new(alertmanager: &Alertmanager) -> Result<Self, NotifyError> {
        let uri = format!("{}/api/v2/alerts", alertmanager.url.trim_end_matches('/'));
        Ok(Self {
            client: HttpClient::new(alertmanager.ca_file.clone()),
            uri: uri.parse().map_err(|_| NotifyError::Url)?,
            headers: headers(&alertmanager.headers)?,
            labels: alertmanager.labels.clone(),
            resend: alertmanager.resend,
        })
    }

    pub(crate) async fn deliver(&self, message: &Message) -> Result<(), Failure> {
        self.post(std::slice::from_ref(&message.notification.incident)).await
    }

    /// Tells of incidents as they are.
    pub(crate) async fn post(&self, incidents: &[Incident]) -> Result<(), Failure> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let lasts_until = u64::try_from((now + self.resend * ENDS_AFTER).as_nanos()).unwrap_or(u64::MAX);
        let alerts: Vec<_> = incidents.iter().map(|incident| self.alert(incident, lasts_until)).collect();
        let body = serde_json::to_vec(&alerts).map_err(|error| Failure::permanent(error.to_string()))?;
        self.client.post(&self.uri, self.headers.clone(), body.into()).await
    }

    fn alert<'a>(&'a self, incident: &'a Incident, lasts_until: u64) -> PostableAlert<'a> {
        let configured = self.labels.iter().map(|(name, value)| (&**name, &**value));
        let own =
            [("alertname", &*incident.alert), ("monitor", &*incident.monitor), ("severity", incident.severity.name())];
        let summary = format!("{} on {}", incident.alert, incident.monitor);
        PostableAlert {
            labels: configured.chain(own).filter(|(_, value)| !value.is_empty()).collect(),
            annotations: BTreeMap::from([
                ("summary", summary),
                ("value", incident.value.to_string()),
                ("threshold", incident.threshold.to_string()),
            ]),
            starts_at: time(incident.fired),
            ends_at: time(incident.resolved.map_or(lasts_until, |(at, _)| at)),
        }
    }
}
