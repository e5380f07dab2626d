//! A running `spanmill`, as a user starts it: with a configuration file, in a directory of its own.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{Backend, PATIENCE, Totals, binary, get, prometheus};

/// What is configured beside what every test wants: all ports free ones, everything in one directory.
#[derive(Debug, Clone)]
pub struct Setup {
    /// OTLP destinations.
    pub destinations: Vec<Destination>,
    /// `metrics.interval`.
    pub interval: &'static str,
    /// `max_recv_msg_size` and `max_request_body_size`.
    pub max_request_size: &'static str,
    /// `storage.wal`, as in a flow mapping.
    pub wal: &'static str,
    /// `derive.settle_wait`.
    pub settle_wait: &'static str,
    /// `archive.max_age`.
    pub archive_age: &'static str,
    /// More of `receivers.otlp`, a key a line.
    pub receiver: &'static str,
    /// More of `derive`, as in a flow mapping.
    pub derive: &'static str,
    /// More of `admin`, as in a flow mapping.
    pub admin: &'static str,
    /// `RUST_LOG`.
    pub log: &'static str,
    /// More of the environment.
    pub environment: &'static [(&'static str, &'static str)],
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            destinations: Vec::new(),
            interval: "1h",
            max_request_size: "64MiB",
            receiver: "",
            derive: "",
            admin: "",
            log: "info",
            environment: &[],
            wal: "enabled: false",
            settle_wait: "2s",
            archive_age: "5m",
        }
    }
}

/// An OTLP destination.
#[derive(Debug, Clone)]
pub struct Destination {
    /// Where it is.
    pub address: SocketAddr,
    /// `grpc` or `http/protobuf`.
    pub protocol: &'static str,
    /// `cumulative` or `delta`, or nothing: what the profile says.
    pub temporality: &'static str,
    /// `none`, `gzip` or `zstd`.
    pub compression: &'static str,
    /// More keys, as in a flow mapping. With `tls`, it is spoken to over TLS, under the name `localhost`.
    pub more: &'static str,
}

impl Destination {
    /// A gRPC backend, with the defaults.
    pub fn grpc(backend: &Backend) -> Self {
        Self { address: backend.address, protocol: "grpc", temporality: "cumulative", compression: "gzip", more: "" }
    }
}

impl Setup {
    /// With one destination.
    pub fn with(destination: Destination) -> Self {
        Self { destinations: vec![destination], ..Self::default() }
    }

    fn yaml(&self, directory: &Path) -> String {
        let directory = directory.display();
        let Self { interval, max_request_size: limit, derive, admin, wal, settle_wait, archive_age, .. } = self;
        let receiver = self.receiver.lines().fold(String::new(), |keys, key| format!("{keys}    {}\n", key.trim()));
        let mut yaml = format!(
            "receivers:
  otlp:
    protocols:
      grpc: {{ endpoint: 127.0.0.1:0, max_recv_msg_size: {limit} }}
      http: {{ endpoint: 127.0.0.1:0, max_request_body_size: {limit} }}
{receiver}storage: {{ directory: {directory}/data, wal: {{ {wal} }} }}
archive: {{ directory: {directory}/archive, max_age: {archive_age} }}
admin: {{ endpoint: 127.0.0.1:0, {admin} }}
metrics: {{ interval: {interval} }}
derive: {{ settle_wait: {settle_wait}, {derive} }}
exporters:
  prometheus: {{ endpoint: 127.0.0.1:0 }}
"
        );
        for (number, destination) in self.destinations.iter().enumerate() {
            let Destination { address, protocol, temporality, compression, more } = destination;
            let endpoint = match more.contains("tls: ") {
                true => format!("https://localhost:{}", address.port()),
                false => format!("http://{address}"),
            };
            let temporality = match *temporality {
                "" => String::new(),
                temporality => format!("temporality: {temporality},"),
            };
            let _ = writeln!(
                yaml,
                "  otlp/backend{number}: {{ endpoint: \"{endpoint}\", protocol: {protocol}, \
                 {temporality} compression: {compression}, {more} }}",
            );
        }
        yaml
    }
}

/// Where a server listens.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// OTLP/gRPC.
    pub grpc: SocketAddr,
    /// OTLP/HTTP.
    pub http: SocketAddr,
    /// `/metrics`.
    pub prometheus: SocketAddr,
    /// Health and API.
    pub admin: SocketAddr,
}

/// A running server. Dropped, it is killed.
#[derive(Debug)]
pub struct Spanmill {
    /// Where it listens.
    pub addresses: Addresses,
    process: Process,
    stderr: Option<JoinHandle<String>>,
    directory: TempDir,
}

/// A server that has ended well.
#[derive(Debug)]
pub struct Stopped {
    /// What it logged.
    pub log: String,
    /// Its directory, which is removed with this.
    pub directory: TempDir,
}

impl Stopped {
    /// The directory of the archive.
    pub fn archive(&self) -> PathBuf {
        archive(&self.directory)
    }
}

impl Spanmill {
    /// Starts it and waits until it says where it listens.
    pub fn start(setup: &Setup) -> Self {
        Self::start_in(tempfile::tempdir().expect("a temporary directory"), setup)
    }

    /// Starts it in a directory that may hold what an earlier one left.
    pub fn start_in(directory: TempDir, setup: &Setup) -> Self {
        let config = directory.path().join("spanmill.yaml");
        std::fs::write(&config, setup.yaml(directory.path())).expect("a writable directory");
        let mut command = command();
        command.arg("--config").arg(&config).current_dir(directory.path()).env("RUST_LOG", setup.log);
        command.envs(setup.environment.iter().copied());
        let mut process = Process(command.spawn().expect("spanmill starts"));

        let stderr = process.0.stderr.take().expect("a pipe");
        let stderr = std::thread::spawn(move || read_all(stderr));
        let stdout = BufReader::new(process.0.stdout.take().expect("a pipe"));
        let (announce, announced) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = announce.send(line);
            }
        });
        let Ok(line) = announced.recv_timeout(PATIENCE) else {
            drop(process);
            panic!("spanmill did not start:\n{}", stderr.join().expect("its log"));
        };
        let addresses = Addresses::parse(&line).unwrap_or_else(|| panic!("no addresses in {line:?}"));
        Self { addresses, process, stderr: Some(stderr), directory }
    }

    /// Its directory: where it was started, and where relative paths of its configuration begin.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        kill_process(self.process.pid(), Signal::TERM).expect("a running process");
    }

    /// Sends what Ctrl-C sends.
    pub fn interrupt(&self) {
        kill_process(self.process.pid(), Signal::INT).expect("a running process");
    }

    /// Sends SIGTERM and waits for the end, which must come in time and be a success.
    pub fn stop(self) -> Stopped {
        self.terminate();
        self.ended()
    }

    /// Waits for the end, which must come in time and be a success.
    pub fn ended(mut self) -> Stopped {
        let status = self.process.wait(PATIENCE);
        let log = self.stderr.take().map(|thread| thread.join().expect("its log")).unwrap_or_default();
        assert!(status.success(), "{status}:\n{log}");
        Stopped { log, directory: self.directory }
    }

    /// Kills it, as the kernel would. Gives back what it left.
    pub fn kill(mut self) -> TempDir {
        self.process.0.kill().expect("a running process");
        self.process.wait(PATIENCE);
        self.directory
    }

    /// The directory of the archive.
    pub fn archive(&self) -> PathBuf {
        archive(&self.directory)
    }

    /// The page of `/metrics`.
    pub async fn metrics(&self) -> String {
        let answer = get(self.addresses.prometheus, "/metrics").await;
        assert_eq!(answer.status, 200);
        answer.text()
    }

    /// What `/metrics` comes to.
    pub async fn totals(&self) -> Totals {
        prometheus(&self.metrics().await)
    }

    /// Waits until as many requests are counted.
    pub async fn counted(&self, requests: u64) -> Totals {
        crate::eventually(&format!("{requests} requests counted"), async || {
            Some(self.totals().await).filter(|totals| totals.requests >= requests)
        })
        .await
    }

    /// The value of a sample of `/metrics`, given by the beginning of its name and some of its labels; 0 if absent.
    pub async fn sample(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        crate::totals::sample(&self.metrics().await, name, labels)
    }

    /// A line of `/proc/PID/status` in bytes: `VmRSS` is its memory, `VmHWM` the most it ever had.
    pub fn memory(&self, line: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.0.id())).expect("a process");
        let found = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
        let kilobytes = found.and_then(|text| text.trim().strip_suffix("kB")).expect("a line in kB");
        kilobytes.trim().parse::<u64>().expect("a number") * 1024
    }
}

impl Addresses {
    fn parse(line: &str) -> Option<Self> {
        let rest = line.strip_prefix("listening ")?;
        let address = |name: &str| {
            let mut pairs = rest.split(' ').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == name)?.1.parse().ok()
        };
        Some(Self {
            grpc: address("grpc")?,
            http: address("http")?,
            prometheus: address("prometheus")?,
            admin: address("admin")?,
        })
    }
}

/// Runs a command that ends by itself.
pub fn run(arguments: &[&str]) -> Output {
    command().args(arguments).output().expect("spanmill runs")
}

/// The binary, with an environment in which nothing speaks to it.
fn command() -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("OTEL_") || name == "RUST_LOG") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn archive(directory: &TempDir) -> PathBuf {
    directory.path().join("archive")
}

fn read_all(mut source: impl Read) -> String {
    let mut bytes = Vec::new();
    // What was read before an error is what there is.
    let _ = source.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A process that does not outlive its test.
#[derive(Debug)]
struct Process(Child);

impl Process {
    fn pid(&self) -> Pid {
        Pid::from_child(&self.0)
    }

    fn wait(&mut self, deadline: Duration) -> ExitStatus {
        const PAUSE: Duration = Duration::from_millis(10);
        let start = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().expect("a child") {
                return status;
            }
            assert!(start.elapsed() < deadline, "still running after {} s", deadline.as_secs());
            std::thread::sleep(PAUSE);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It fails only for a process that has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
