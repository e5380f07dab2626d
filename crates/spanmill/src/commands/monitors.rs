//! `spanmill monitors`: what is monitored and how it does, as the running server says, and what is done to it.

use std::collections::BTreeMap;
use std::path::Path;

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::alerts::{self, Alert};
use super::printing::{self, number, print, rows, shown, time_of_millis};
use crate::admin_client::{AdminClient, Server, encoded};
use crate::failure::Failure;
use crate::table::Format;

/// What is asked or done.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    /// How to print what is listed or shown.
    #[arg(long, value_enum, global = true, default_value_t = Format::Table)]
    format: Format,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List all monitors (this is done without a command, too).
    List,
    /// Show one monitor: its newest snapshot, its alerts, and some of its requests with their trace ids.
    Show {
        /// Its name.
        #[arg(value_name = "MONITOR")]
        name: String,
    },
    /// Create a monitor of the calls that all given patterns accept, in which * stands for any text.
    Create(Box<New>),
    /// Let a monitor stand still: no snapshots, no alerts.
    Pause {
        /// Its name.
        #[arg(value_name = "MONITOR")]
        name: String,
    },
    /// Watch a monitor again that was paused or archived.
    Resume {
        /// Its name.
        #[arg(value_name = "MONITOR")]
        name: String,
    },
    /// Keep a monitor for its history only, and end its alerts.
    Archive {
        /// Its name.
        #[arg(value_name = "MONITOR")]
        name: String,
    },
    /// Forget a monitor that the configuration does not define, and all that is about it.
    Remove {
        /// Its name.
        #[arg(value_name = "MONITOR")]
        name: String,
    },
}

/// A monitor that is to be, as the API wants it.
#[derive(Debug, Args, Serialize)]
struct New {
    /// What it is called.
    #[arg(value_name = "MONITOR")]
    name: String,
    #[command(flatten)]
    selector: Selector,
    /// How far back it looks: 5m, 15m, 1h, 6h or 1d.
    #[arg(long, value_name = "TIME", default_value = "5m")]
    window: String,
    /// By what it is judged: service for models that answer at once, llm for those that answer in seconds.
    #[arg(long, default_value = "service")]
    preset: String,
    /// With fewer calls in the window it is not judged.
    #[arg(long, value_name = "CALLS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    minimum_requests: Option<u64>,
}

#[derive(Debug, Args, Serialize)]
struct Selector {
    /// service.name.
    #[arg(long, value_name = "PATTERN")]
    service: Option<String>,
    /// deployment.environment.name.
    #[arg(long, value_name = "PATTERN")]
    environment: Option<String>,
    /// The provider.
    #[arg(long, value_name = "PATTERN")]
    provider: Option<String>,
    /// The model that was asked for, or the one that answers: either will do.
    #[arg(long, value_name = "PATTERN")]
    model: Option<String>,
    /// The model that answers: a version of what was asked for.
    #[arg(long, value_name = "PATTERN")]
    response_model: Option<String>,
    /// gen_ai.operation.name.
    #[arg(long, value_name = "PATTERN")]
    operation: Option<String>,
    /// service.version, if it is kept.
    #[arg(long, value_name = "PATTERN")]
    service_version: Option<String>,
    /// server.address, if it is kept.
    #[arg(long, value_name = "PATTERN")]
    server_address: Option<String>,
}

/// Asks the running server, and prints what it says; or has it do something.
pub(crate) fn run(arguments: &Arguments, config: Option<&Path>) -> Result<(), Failure> {
    let admin = arguments.server.client(config)?;
    let what_is_done = |name: &str, what: &str, done: &str| {
        admin.post(&format!("{}/{what}", path(name)), &json!({}))?;
        print(&format!("{} is {done}\n", shown(name)))
    };
    match arguments.action.as_ref().unwrap_or(&Action::List) {
        Action::List => list(&admin, arguments.format),
        Action::Show { name } => show(&admin, name, arguments.format),
        Action::Create(new) => {
            admin.post("/api/v1/monitors", new.as_ref())?;
            print(&format!("{} is created\n", shown(&new.name)))
        }
        Action::Pause { name } => what_is_done(name, "pause", "paused"),
        Action::Resume { name } => what_is_done(name, "activate", "active"),
        Action::Archive { name } => what_is_done(name, "archive", "archived"),
        Action::Remove { name } => what_is_done(name, "remove", "removed"),
    }
}

/// The path of a monitor in the API.
pub(super) fn path(name: &str) -> String {
    format!("/api/v1/monitors/{}", encoded(name))
}

/// A monitor, as the API tells it.
#[derive(Debug, Deserialize)]
struct Monitor {
    name: String,
    state: String,
    health: String,
    window: String,
    configured: bool,
    muted_until: Option<u64>,
    selector: BTreeMap<String, Option<String>>,
    last_call: Option<u64>,
    snapshot: Option<Snapshot>,
}

#[derive(Debug, Deserialize)]
struct Snapshot {
    at: u64,
    requests: u64,
    figures: BTreeMap<String, Option<f64>>,
}

impl Monitor {
    fn figure(&self, name: &str) -> String {
        number(self.snapshot.as_ref().and_then(|snapshot| *snapshot.figures.get(name)?))
    }

    fn selects(&self) -> String {
        let given = self.selector.iter().filter_map(|(what, pattern)| Some(format!("{what}={}", pattern.as_ref()?)));
        let given: Vec<String> = given.collect();
        if given.is_empty() { "all calls".to_owned() } else { given.join(" ") }
    }
}

fn list(admin: &AdminClient, format: Format) -> Result<(), Failure> {
    let path = "/api/v1/monitors";
    if format == Format::Json {
        return print(&printing::json(&admin.get::<Value>(path)?)?);
    }
    let monitors: Vec<Monitor> = admin.get(path)?;
    if monitors.is_empty() {
        return print("nothing is monitored\n");
    }
    let header =
        ["monitor", "health", "state", "window", "requests", "error rate", "p50 s", "p99 s", "cost $", "last call"];
    print(&rows(
        header,
        monitors.iter().map(|monitor| {
            [
                shown(&monitor.name),
                monitor.health.clone(),
                monitor.state.clone(),
                monitor.window.clone(),
                monitor.snapshot.as_ref().map_or_else(|| "-".to_owned(), |snapshot| snapshot.requests.to_string()),
                monitor.figure("error_rate"),
                monitor.figure("latency_p50"),
                monitor.figure("latency_p99"),
                monitor.figure("cost"),
                monitor.last_call.map_or_else(|| "-".to_owned(), time_of_millis),
            ]
        }),
    ))
}

/// A monitor and what is about it, as the API tells it.
#[derive(Debug, Deserialize)]
struct Detail {
    monitor: Monitor,
    alerts: Vec<Alert>,
    samples: Vec<Sample>,
}

#[derive(Debug, Deserialize)]
struct Sample {
    kind: String,
    at: u64,
    trace_id: String,
    span_id: String,
    error: Option<String>,
    duration_seconds: Option<f64>,
}

fn show(admin: &AdminClient, name: &str, format: Format) -> Result<(), Failure> {
    if format == Format::Json {
        return print(&printing::json(&admin.get::<Value>(&path(name))?)?);
    }
    let Detail { monitor, alerts, samples } = admin.get(&path(name))?;
    let mut text = format!(
        "{}: {}, {}{}, window {}, {}\n",
        shown(&monitor.name),
        monitor.health,
        monitor.state,
        if monitor.configured { ", configured" } else { "" },
        monitor.window,
        shown(&monitor.selects()),
    );
    if let Some(until) = monitor.muted_until {
        text.push_str(&format!("muted until {}\n", time_of_millis(until)));
    }
    match &monitor.snapshot {
        None => text.push_str("no snapshot was taken yet\n"),
        Some(Snapshot { at, figures, .. }) => {
            let at = format!("at {}", time_of_millis(*at));
            text.push_str(&rows(
                ["field", at.as_str()],
                figures.iter().map(|(field, figure)| [field.clone(), number(*figure)]),
            ));
        }
    }
    if !alerts.is_empty() {
        text.push_str(&alerts::table(&alerts));
    }
    if !samples.is_empty() {
        text.push_str(&rows(
            ["sample", "time", "trace id", "span id", "error", "seconds"],
            samples.iter().map(|sample| {
                let Sample { kind, at, trace_id, span_id, error, duration_seconds } = sample;
                let error = error.clone().unwrap_or_else(|| "-".to_owned());
                let [trace_id, span_id] = [trace_id, span_id].map(Clone::clone);
                [kind.clone(), time_of_millis(*at), trace_id, span_id, error, number(*duration_seconds)]
            }),
        ));
    }
    print(&text)
}
