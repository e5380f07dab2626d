//! `spanmill alerts`: which alerts there are and what came of them, as the running server says, and whom they are told.

use std::path::Path;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::{Value, json};

use super::monitors::path;
use super::printing::{self, number, print, rows, shown, time_of_millis};
use crate::admin_client::{AdminClient, Server, encoded};
use crate::config::units::parse_duration;
use crate::failure::Failure;
use crate::table::Format;

/// What is asked or done.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    /// How to print what is listed.
    #[arg(long, value_enum, global = true, default_value_t = Format::Table)]
    format: Format,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List all alerts, and the newest incidents (this is done without a command, too).
    List {
        /// Only those of one monitor.
        #[arg(long, value_name = "MONITOR")]
        monitor: Option<String>,
    },
    /// Tell nobody of a monitor's alerts for a time.
    Mute {
        /// The monitor.
        #[arg(value_name = "MONITOR")]
        monitor: String,
        /// For how long, in whole minutes: 30m, 2h, 1d.
        #[arg(long = "for", value_name = "TIME", value_parser = minutes)]
        minutes: u64,
    },
    /// Tell of a monitor's alerts again.
    Unmute {
        /// The monitor.
        #[arg(value_name = "MONITOR")]
        monitor: String,
    },
}

/// Asks the running server, and prints what it says; or has it do something.
pub(crate) fn run(arguments: &Arguments, config: Option<&Path>) -> Result<(), Failure> {
    let admin = arguments.server.client(config)?;
    let mute =
        |monitor: &str, minutes: u64| admin.post(&format!("{}/mute", path(monitor)), &json!({ "minutes": minutes }));
    match &arguments.action {
        None => list(&admin, None, arguments.format),
        Some(Action::List { monitor }) => list(&admin, monitor.as_deref(), arguments.format),
        Some(Action::Mute { monitor, minutes }) => {
            mute(monitor, *minutes)?;
            print(&format!("{} is muted for {minutes} minutes\n", shown(monitor)))
        }
        Some(Action::Unmute { monitor }) => {
            mute(monitor, 0)?;
            print(&format!("{} is muted no more\n", shown(monitor)))
        }
    }
}

/// Whole minutes of a time.
fn minutes(text: &str) -> Result<u64, String> {
    const MINUTE: u64 = 60;
    let duration = parse_duration(text).map_err(|error| error.to_string())?;
    let is_whole = duration == Duration::from_secs(duration.as_secs()) && duration.as_secs().is_multiple_of(MINUTE);
    match duration.as_secs() / MINUTE {
        minutes @ 1.. if is_whole => Ok(minutes),
        _ => Err("expected whole minutes, one at least".to_owned()),
    }
}

/// An alert, as the API tells it.
#[derive(Debug, Deserialize)]
pub(super) struct Alert {
    name: String,
    monitor: String,
    severity: String,
    condition: String,
    phase: String,
    since: Option<u64>,
    value: Option<f64>,
    threshold: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Answer {
    alerts: Vec<Alert>,
    incidents: Vec<Incident>,
}

#[derive(Debug, Deserialize)]
struct Incident {
    alert: String,
    monitor: String,
    severity: String,
    fired: u64,
    resolved: Option<u64>,
    resolution: Option<String>,
    notifications: u32,
}

fn list(admin: &AdminClient, monitor: Option<&str>, format: Format) -> Result<(), Failure> {
    let filter = monitor.map_or_else(String::new, |name| format!("?monitor={}", encoded(name)));
    let path = format!("/api/v1/alerts{filter}");
    if format == Format::Json {
        return print(&printing::json(&admin.get::<Value>(&path)?)?);
    }
    let Answer { alerts, incidents } = admin.get(&path)?;
    if alerts.is_empty() && incidents.is_empty() {
        return print("there are no alerts\n");
    }
    let mut text = table(&alerts);
    if !incidents.is_empty() {
        text.push_str(&rows(
            ["incident", "monitor", "severity", "fired", "over", "notifications"],
            incidents.iter().map(|incident| {
                let over = incident.resolved.map(time_of_millis).zip(incident.resolution.as_ref());
                [
                    shown(&incident.alert),
                    shown(&incident.monitor),
                    incident.severity.clone(),
                    time_of_millis(incident.fired),
                    over.map_or_else(|| "lasts".to_owned(), |(at, resolution)| format!("{at} ({resolution})")),
                    incident.notifications.to_string(),
                ]
            }),
        ));
    }
    print(&text)
}

/// Alerts, one a line.
pub(super) fn table(alerts: &[Alert]) -> String {
    rows(
        ["alert", "monitor", "severity", "phase", "since", "value", "threshold", "when"],
        alerts.iter().map(|alert| {
            [
                shown(&alert.name),
                shown(&alert.monitor),
                alert.severity.clone(),
                alert.phase.clone(),
                alert.since.map_or_else(|| "-".to_owned(), time_of_millis),
                number(alert.value),
                number(alert.threshold),
                shown(&alert.condition),
            ]
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    // A time is muted in whole minutes; what cannot be told in them is refused.
    #[test]
    fn times_are_whole_minutes() {
        assert_eq!((minutes("90m"), minutes("2h"), minutes("1d")), (Ok(90), Ok(120), Ok(1_440)));
        for wrong in ["0s", "30s", "90s", "500ms", "x", "-5m"] {
            assert!(minutes(wrong).is_err(), "{wrong}");
        }
    }
}
