//! Programs of others, as their users run them: Prometheus, Alertmanager, VictoriaMetrics, an OpenTelemetry Collector, Arize Phoenix. What is
//! not there is skipped, with the reason printed.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use http::Method;
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::spanmill::Process;
use crate::{PromQl, eventually, raw, target_directory};

/// `promtool`, which comes with Prometheus.
pub fn promtool() -> Option<PathBuf> {
    program("promtool", APT)
}

/// A program, where `PATH` or target/tools has it; else `None`, and the reason printed.
fn program(name: &str, how: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain([target_directory().join("tools")]);
    let found = directories.map(|directory| directory.join(name)).find(|file| file.is_file());
    if found.is_none() {
        skipped(&format!("{name} is not installed: {how}"));
    }
    found
}

fn skipped(reason: &str) {
    // Not eprintln: the harness keeps that to itself when the test passes.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
}

const APT: &str = "apt-get install prometheus prometheus-alertmanager";

/// A program that listens. Dropped, it is killed.
#[derive(Debug)]
struct Listening {
    address: SocketAddr,
    _process: Process,
    _directory: TempDir,
}

impl Listening {
    /// Starts it in a directory of its own, and waits until it answers on the path `ready`, or just listens.
    async fn start(command: Command, address: SocketAddr, directory: TempDir, ready: Option<&str>) -> Self {
        let mut command = command;
        let log = std::fs::File::create(directory.path().join("log")).expect("a writable directory");
        command.current_dir(directory.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let process = Process::of(command.spawn().expect("it starts"));
        eventually(&format!("{command:?} is ready"), async || {
            let Some(path) = ready else { return TcpStream::connect(address).await.is_ok().then_some(()) };
            let answer = raw::request(address, Method::GET, path, &[], Default::default(), false).await;
            answer.is_ok_and(|answer| answer.status.is_success()).then_some(())
        })
        .await;
        Self { address, _process: process, _directory: directory }
    }
}

/// A port that was free a moment ago, for programs that do not say which one they took.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}

/// A running Prometheus.
#[derive(Debug)]
pub struct Prometheus(Listening);

impl Prometheus {
    /// Scrapes a page, and evaluates rules, every few seconds: a debug build takes a while for a page. `None` where it is not installed.
    pub async fn start(page: SocketAddr, rules: &str, alertmanager: Option<&Alertmanager>) -> Option<Self> {
        let program = program("prometheus", APT)?;
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut config = format!(
            "global: {{ scrape_interval: 5s, scrape_timeout: 5s, evaluation_interval: 5s }}
rule_files: [rules.yaml]
scrape_configs: [{{ job_name: spanmill, static_configs: [{{ targets: [\"{page}\"] }}] }}]
"
        );
        if let Some(Alertmanager(alertmanager)) = alertmanager {
            let address = alertmanager.address;
            let _ = writeln!(
                config,
                "alerting: {{ alertmanagers: [{{ static_configs: [{{ targets: [\"{address}\"] }}] }}] }}"
            );
        }
        std::fs::write(directory.path().join("rules.yaml"), rules).expect("a writable directory");
        std::fs::write(directory.path().join("prometheus.yml"), config).expect("a writable directory");
        let address = free_address();
        let mut command = Command::new(program);
        command
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data", "--enable-feature=exemplar-storage"])
            .arg(format!("--web.listen-address={address}"));
        Some(Self(Listening::start(command, address, directory, Some("/-/ready")).await))
    }

    /// Its answers.
    pub fn promql(&self) -> PromQl {
        PromQl::new(self.0.address)
    }
}

/// A running Alertmanager.
#[derive(Debug)]
pub struct Alertmanager(Listening);

impl Alertmanager {
    /// It tells nobody. `None` where it is not installed.
    pub async fn start() -> Option<Self> {
        let program = program("prometheus-alertmanager", APT)?;
        let directory = tempfile::tempdir().expect("a temporary directory");
        let config = "route: { receiver: nobody }\nreceivers: [{ name: nobody }]\n";
        std::fs::write(directory.path().join("alertmanager.yml"), config).expect("a writable directory");
        let address = free_address();
        let mut command = Command::new(program);
        command
            .args(["--config.file=alertmanager.yml", "--storage.path=data", "--cluster.listen-address="])
            .arg(format!("--web.listen-address={address}"));
        Some(Self(Listening::start(command, address, directory, Some("/-/ready")).await))
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// The same as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.0.address)
    }

    /// How many alerts it was sent with a status: `firing` or `resolved`.
    pub async fn received(&self, status: &str) -> u64 {
        let page = raw::get(self.0.address, "/metrics").await.text();
        crate::totals::sample(&page, "alertmanager_alerts_received_total", &[("status", status)])
    }

    /// The names of the alerts that it has got.
    pub async fn alerts(&self) -> Vec<String> {
        let alerts = raw::get(self.0.address, "/api/v2/alerts").await.json();
        let name = |alert: &serde_json::Value| alert["labels"]["alertname"].as_str().expect("a name").to_owned();
        alerts.as_array().expect("a list").iter().map(name).collect()
    }
}

/// A running VictoriaMetrics that takes OTLP.
#[derive(Debug)]
pub struct VictoriaMetrics(Listening);

impl VictoriaMetrics {
    /// With Prometheus' names. `None` where there is none that takes OTLP under them.
    pub async fn start() -> Option<Self> {
        const HOW: &str = "tests/tools/victoria-metrics.sh builds one";
        let tools = target_directory().join("tools/victoria-metrics");
        let program = if tools.is_file() { tools } else { program("victoria-metrics", HOW)? };
        let help = Command::new(&program).arg("-help").output().expect("it starts");
        let flag = "-opentelemetry.usePrometheusNaming";
        if ![help.stdout, help.stderr].iter().any(|text| String::from_utf8_lossy(text).contains(flag)) {
            skipped(&format!("{} is too old for OTLP: {HOW}", program.display()));
            return None;
        }
        let directory = tempfile::tempdir().expect("a temporary directory");
        let address = free_address();
        let mut command = Command::new(program);
        // what has come is to be seen at once
        command
            .args(["-storageDataPath=data", "-search.latencyOffset=1ms", flag])
            .arg(format!("-httpListenAddr={address}"));
        Some(Self(Listening::start(command, address, directory, Some("/health")).await))
    }

    /// Where OTLP/HTTP goes.
    pub fn endpoint(&self) -> String {
        format!("http://{}/opentelemetry", self.0.address)
    }

    /// Its answers.
    pub fn promql(&self) -> PromQl {
        PromQl::new(self.0.address)
    }
}

/// A running OpenTelemetry Collector.
#[derive(Debug)]
pub struct Collector(Listening);

impl Collector {
    /// Takes all signals over gRPC, and sends them on, in batches. `None` where it was not built.
    pub async fn start(destination: SocketAddr) -> Option<Self> {
        let program = program("otelcol", "tests/tools/collector.sh builds one")?;
        let directory = tempfile::tempdir().expect("a temporary directory");
        let address = free_address();
        let pipeline = "{ receivers: [otlp], processors: [batch], exporters: [otlp] }";
        let config = format!(
            "receivers: {{ otlp: {{ protocols: {{ grpc: {{ endpoint: \"{address}\" }} }} }} }}
processors: {{ batch: {{}} }}
exporters: {{ otlp: {{ endpoint: \"{destination}\", tls: {{ insecure: true }} }} }}
service:
  telemetry: {{ metrics: {{ level: none }} }}
  pipelines: {{ traces: {pipeline}, metrics: {pipeline}, logs: {pipeline} }}
"
        );
        std::fs::write(directory.path().join("collector.yaml"), config).expect("a writable directory");
        let mut command = Command::new(program);
        command.arg("--config=collector.yaml");
        Some(Self(Listening::start(command, address, directory, None).await))
    }

    /// Where it takes OTLP/gRPC.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }
}

/// An Arize Phoenix that is running and has stored nothing.
#[derive(Debug, Clone, Copy)]
pub struct Phoenix {
    /// Where it takes OTLP/HTTP, and answers.
    pub address: SocketAddr,
}

/// Ids of a trace and a span, as hexadecimal digits.
pub type StoredSpan = (String, String);

impl Phoenix {
    /// The one that `SPANMILL_PHOENIX` names, as `tests/tools/phoenix.sh` sets it.
    pub fn running() -> Option<Self> {
        let Ok(address) = std::env::var("SPANMILL_PHOENIX") else {
            skipped("no Phoenix: tests/tools/phoenix.sh runs one");
            return None;
        };
        Some(Self { address: address.parse().expect("an address") })
    }

    /// Every span that it has stored, in whichever project.
    pub async fn spans(self) -> Vec<StoredSpan> {
        let mut spans = Vec::new();
        for project in self.all("/v1/projects?").await {
            let id = project["id"].as_str().expect("an id");
            for span in self.all(&format!("/v1/projects/{id}/spans?limit=1000&")).await {
                let id = |name: &str| span["context"][name].as_str().expect("an id").to_owned();
                spans.push((id("trace_id"), id("span_id")));
            }
        }
        spans
    }

    /// All pages of a list.
    async fn all(self, list: &str) -> Vec<serde_json::Value> {
        let (mut items, mut next) = (Vec::new(), String::new());
        loop {
            let page = raw::get(self.address, &format!("{list}{next}")).await.json();
            items.extend(page["data"].as_array().expect("a list").iter().cloned());
            match page["next_cursor"].as_str() {
                Some(cursor) => next = format!("cursor={cursor}"),
                None => return items,
            }
        }
    }
}
