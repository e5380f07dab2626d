//! What is told, as every channel needs it: the key, the JSON body, the words.

use std::fmt::Write as _;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use monitor::{Incident, Notification, NotificationKind};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// The header with the [`signature`] of a webhook's body.
pub const SIGNATURE_HEADER: &str = "X-Spanmill-Signature";

/// The version of the JSON body. What is added leaves it as it is.
const VERSION: &str = "1";

/// A notification with what tells it from those of other instances.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// What tells it from all others of all instances: the same each time it is sent. Webhooks get it as `Idempotency-Key` and as `id`,
    /// mails as part of their Message-ID.
    pub key: String,
    /// What is told.
    pub notification: Notification,
}

impl Message {
    /// What an instance tells.
    pub fn new(instance: &str, notification: Notification) -> Self {
        let mut hash = Sha256::new();
        hash.update(instance.as_bytes());
        // No instance has a zero byte in its name.
        hash.update([0]);
        hash.update(notification.id.as_bytes());
        let mut key = hex(&hash.finalize());
        key.truncate(32);
        Self { key, notification }
    }

    /// The body that webhooks get.
    pub(crate) fn json(&self) -> Bytes {
        let Notification { kind, at, incident, value, .. } = &self.notification;
        let body = Body {
            version: VERSION,
            id: &self.key,
            kind: kind.name(),
            at: time(*at),
            value: *value,
            summary: self.summary(),
            incident: IncidentBody {
                id: incident.id(),
                alert: &incident.alert,
                monitor: &incident.monitor,
                severity: incident.severity.name(),
                since: time(incident.since),
                fired: time(incident.fired),
                resolved: incident.resolved.map(|(at, _)| time(at)),
                resolution: incident.resolved.map(|(_, resolution)| resolution.name()),
                value: incident.value,
                threshold: incident.threshold,
            },
        };
        // Nothing in it can fail to be JSON: what is no number is null.
        serde_json::to_vec(&body).unwrap_or_default().into()
    }

    /// One line for people.
    pub(crate) fn summary(&self) -> String {
        let Notification { kind, incident, .. } = &self.notification;
        let Incident { alert, monitor, severity, .. } = incident;
        let what = match kind {
            NotificationKind::Firing => format!("[{}] {alert} fires", severity.name()),
            NotificationKind::StillFiring => format!("[{}] {alert} still fires", severity.name()),
            NotificationKind::Resolved => match incident.resolved {
                Some((_, resolution)) => format!("[resolved] {alert} is over ({})", resolution.name()),
                None => format!("[resolved] {alert} is over"),
            },
        };
        one_line(&format!("{what} on {monitor}"))
    }

    /// All that is known, for people.
    pub(crate) fn text(&self) -> String {
        let Notification { kind, at, incident, value, .. } = &self.notification;
        let mut text = format!("{}\n\n", self.summary());
        let mut line = |name: &str, value: String| {
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{name:<12}{}", one_line(&value));
        };
        line("alert", incident.alert.clone());
        line("monitor", incident.monitor.clone());
        line("severity", incident.severity.name().to_owned());
        line("told", format!("{} at {}", kind.name(), time(*at)));
        line("since", time(incident.since));
        line("fired", time(incident.fired));
        if let Some((resolved, resolution)) = incident.resolved {
            line("resolved", format!("{} ({})", time(resolved), resolution.name()));
        }
        line("value", format!("{} when it fired", short(incident.value)));
        if let Some(value) = value {
            line("now", short(*value));
        }
        line("threshold", short(incident.threshold));
        line("id", self.key.clone());
        text
    }
}

/// The value of [`SIGNATURE_HEADER`]: `t=SECONDS,v1=HEX`, where `HEX` is HMAC-SHA256 over the seconds since the Unix epoch as text, a
/// full stop, and the body as it was sent. Receivers compute it again, and refuse old times.
pub fn signature(secret: &[u8], seconds: u64, body: &[u8]) -> String {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return String::new() };
    mac.update(format!("{seconds}.").as_bytes());
    mac.update(body);
    format!("t={seconds},v1={}", hex(&mac.finalize().into_bytes()))
}

/// A time as RFC 3339, in UTC.
pub(crate) fn time(nanoseconds: u64) -> String {
    let timestamp = Timestamp::from_nanosecond(i128::from(nanoseconds));
    timestamp.map_or_else(|_| nanoseconds.to_string(), |timestamp| timestamp.to_string())
}

/// A number with as many digits as people read: six.
fn short(value: f64) -> String {
    format!("{value:.5e}").parse().unwrap_or(value).to_string()
}

/// Names are free texts: they begin no new line, or header.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What docs/notifiers.md documents.
#[derive(Serialize)]
struct Body<'a> {
    version: &'static str,
    id: &'a str,
    kind: &'static str,
    at: String,
    summary: String,
    value: Option<f64>,
    incident: IncidentBody<'a>,
}

#[derive(Serialize)]
struct IncidentBody<'a> {
    id: String,
    alert: &'a str,
    monitor: &'a str,
    severity: &'static str,
    since: String,
    fired: String,
    resolved: Option<String>,
    resolution: Option<&'static str>,
    value: f64,
    threshold: f64,
}

#[cfg(test)]
mod tests {
    use monitor::Resolution;
    use serde_json::json;

    use super::*;
    use crate::testing::notification;

    // The body is what is documented, number for number.
    #[test]
    fn body_of_a_webhook() {
        let mut told = notification(NotificationKind::Resolved, 0);
        told.incident.resolved = Some((told.at, Resolution::Recovered));
        let message = Message::new("one", told);
        let body: serde_json::Value = serde_json::from_slice(&message.json()).unwrap();
        let expected = json!({
            "version": "1",
            "id": message.key,
            "kind": "resolved",
            "at": "2026-09-21T14:13:20Z",
            "summary": "[resolved] errors is over (recovered) on chat",
            "value": 0.25,
            "incident": {
                "id": "errors@1789999990000000000",
                "alert": "errors",
                "monitor": "chat",
                "severity": "critical",
                "since": "2026-09-21T14:13:00Z",
                "fired": "2026-09-21T14:13:10Z",
                "resolved": "2026-09-21T14:13:20Z",
                "resolution": "recovered",
                "value": 0.5,
                "threshold": 0.1,
            },
        });
        assert_eq!(body, expected);
    }

    // The key is the same for the same notification of the same instance, and for no other; and it can stand in a header.
    #[test]
    fn keys_tell_notifications_apart() {
        let key = |instance: &str, number| Message::new(instance, notification(NotificationKind::Firing, number)).key;
        assert_eq!(key("one", 0), key("one", 0));
        assert_ne!(key("one", 0), key("one", 1));
        assert_ne!(key("one", 0), key("two", 0));
        assert!(key("one", 0).len() == 32 && key("one", 0).bytes().all(|byte| byte.is_ascii_hexdigit()));
    }

    // Mails tell numbers as people write them.
    #[test]
    fn mails_tell_short_numbers() {
        let mut told = notification(NotificationKind::Firing, 0);
        (told.incident.value, told.value, told.incident.threshold) = (10.0 / 21.0, Some(1_234.0), 0.1 + 0.2);
        let text = Message::new("one", told).text();
        for line in ["value       0.47619 when it fired", "now         1234", "threshold   0.3"] {
            assert!(text.lines().any(|told| told == line), "{text}");
        }
    }

    // What a name says stays in its line, and so in its header.
    #[test]
    fn names_begin_no_line() {
        let mut told = notification(NotificationKind::Firing, 0);
        told.incident.alert = "errors\r\nBcc: all@example.com".to_owned();
        let message = Message::new("one", told);
        assert!(!message.summary().contains(['\r', '\n']));
        assert!(!message.text().contains("\nBcc"));
    }
}
