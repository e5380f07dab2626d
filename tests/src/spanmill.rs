//! A running `spanmill`, as a user starts it: with a configuration file, in a directory of its own.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::raw::request;
use crate::{Backend, PATIENCE, Totals, binary, get, prometheus};

/// What is configured beside what every test wants: all ports free ones, everything in one directory.
#[derive(Debug, Clone)]
pub struct Setup {
    /// OTLP destinations.
    pub destinations: Vec<Destination>,
    /// More of `exporters`, a key a line.
    pub exporters: String,
    /// `metrics.interval`.
    pub interval: &'static str,
    /// `max_recv_msg_size` and `max_request_body_size`.
    pub max_request_size: &'static str,
    /// `storage.directory`; `None` for one of its own.
    pub data: Option<PathBuf>,
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
    /// More of `exporters.prometheus`, as in a flow mapping.
    pub prometheus: &'static str,
    /// `forward`, as in a flow mapping.
    pub forward: &'static str,
    /// More sections.
    pub sections: String,
    /// `RUST_LOG`.
    pub log: &'static str,
    /// More of the environment.
    pub environment: Vec<(&'static str, String)>,
    /// What a shell does before it becomes the server: `ulimit`, say.
    pub before: String,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            destinations: Vec::new(),
            exporters: String::new(),
            interval: "1h",
            max_request_size: "64MiB",
            receiver: "",
            derive: "",
            admin: "",
            prometheus: "",
            forward: "",
            sections: String::new(),
            log: "info",
            environment: Vec::new(),
            before: String::new(),
            data: None,
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
    /// Which signals it gets, as in a flow sequence.
    pub signals: &'static str,
    /// More keys, as in a flow mapping. With `tls`, it is spoken to over TLS, under the name `localhost`.
    pub more: &'static str,
}

impl Destination {
    /// A gRPC backend, with the defaults.
    pub fn grpc(backend: &Backend) -> Self {
        Self {
            address: backend.address,
            protocol: "grpc",
            temporality: "cumulative",
            compression: "gzip",
            signals: "metrics, logs",
            more: "",
        }
    }

    /// An HTTP backend that gets every signal, uncompressed.
    pub fn http_with_traces(backend: &Backend) -> Self {
        let signals = "traces, metrics, logs";
        Self { protocol: "http/protobuf", compression: "none", signals, ..Self::grpc(backend) }
    }
}

impl Setup {
    /// With one destination.
    pub fn with(destination: Destination) -> Self {
        Self { destinations: vec![destination], ..Self::default() }
    }

    fn yaml(&self, directory: &Path) -> String {
        let data = self.data.clone().unwrap_or_else(|| directory.join("data"));
        let (directory, data) = (directory.display(), data.display());
        let Self { interval, max_request_size: limit, derive, admin, forward, wal, settle_wait, archive_age, .. } =
            self;
        let prometheus = self.prometheus;
        let receiver = self.receiver.lines().fold(String::new(), |keys, key| format!("{keys}    {}\n", key.trim()));
        let mut yaml = format!(
            "receivers:
  otlp:
    protocols:
      grpc: {{ endpoint: 127.0.0.1:0, max_recv_msg_size: {limit} }}
      http: {{ endpoint: 127.0.0.1:0, max_request_body_size: {limit} }}
{receiver}storage: {{ directory: {data}, wal: {{ {wal} }} }}
archive: {{ directory: {directory}/archive, max_age: {archive_age} }}
admin: {{ endpoint: 127.0.0.1:0, {admin} }}
metrics: {{ interval: {interval} }}
forward: {{ {forward} }}
derive: {{ settle_wait: {settle_wait}, {derive} }}
exporters:
  prometheus: {{ endpoint: 127.0.0.1:0, {prometheus} }}
"
        );
        for (number, destination) in self.destinations.iter().enumerate() {
            let Destination { address, protocol, temporality, compression, signals, more } = destination;
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
                 {temporality} compression: {compression}, signals: [{signals}], {more} }}",
            );
        }
        self.exporters.lines().for_each(|key| yaml.push_str(&format!("  {}\n", key.trim())));
        yaml.push_str(&self.sections);
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
    launched: Launched,
}

/// A process that was started as a server; whether it becomes one remains to be seen. Dropped, it is killed.
#[derive(Debug)]
pub struct Launched {
    process: Process,
    stdout: mpsc::Receiver<String>,
    stderr: Stderr,
    directory: TempDir,
}

/// A server that has ended.
#[derive(Debug)]
pub struct Stopped {
    /// How.
    pub status: ExitStatus,
    /// What it logged.
    pub log: String,
    /// Its directory, which is removed with this.
    pub directory: TempDir,
}

impl Stopped {
    /// # Panics
    /// If it was no success.
    pub fn succeeded(self) -> Self {
        assert!(self.status.success(), "{}:\n{}", self.status, self.log);
        self
    }

    /// # Panics
    /// If it was a success, or the end of a process that was killed.
    pub fn failed(self) -> Self {
        assert!(self.status.code().is_some_and(|code| code > 0), "{}:\n{}", self.status, self.log);
        self
    }

    /// # Panics
    /// If it ended in any other way than as the kernel kills.
    pub fn killed(self) -> Self {
        assert_eq!(self.status.signal(), Some(9), "{}:\n{}", self.status, self.log);
        self
    }

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
        Launched::new(directory, setup).listening()
    }

    /// Its directory: where it was started, and where relative paths of its configuration begin.
    pub fn directory(&self) -> &Path {
        self.launched.directory.path()
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.launched.signal(Signal::TERM);
    }

    /// Sends what Ctrl-C sends.
    pub fn interrupt(&self) {
        self.launched.signal(Signal::INT);
    }

    /// Sends SIGTERM and waits for the end, which must come in time and be a success.
    pub fn stop(self) -> Stopped {
        self.terminate();
        self.ended()
    }

    /// Sends SIGTERM and waits for the end, which must come in time, whatever it is.
    pub fn stopped(self) -> Stopped {
        self.terminate();
        self.launched.ended()
    }

    /// Waits for the end, which must come in time and be a success.
    pub fn ended(self) -> Stopped {
        self.launched.ended().succeeded()
    }

    /// Waits for the end, which must come in time and be a failure.
    pub fn failed(self) -> Stopped {
        self.launched.ended().failed()
    }

    /// Waits for the end, which must come in time and be that of a process that is killed. Gives back what it left.
    pub fn killed(self) -> TempDir {
        self.launched.ended().killed().directory
    }

    /// Kills it, as the kernel would. Gives back what it left.
    pub fn kill(self) -> TempDir {
        self.launched.kill()
    }

    /// Its process.
    pub fn process(&self) -> u32 {
        self.launched.process.0.id()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.launched.stderr.text()
    }

    /// The directory of the archive.
    pub fn archive(&self) -> PathBuf {
        archive(&self.launched.directory)
    }

    /// The page of `/metrics`, on which every span is accounted for.
    pub async fn metrics(&self) -> String {
        let answer = get(self.addresses.prometheus, "/metrics").await;
        assert_eq!(answer.status, 200);
        let page = answer.text();
        let difference = page.lines().find(|line| line.starts_with("spanmill_conservation_difference{"));
        assert!(difference.is_some_and(|line| line.ends_with(" 0")), "{difference:?}");
        page
    }

    /// What `/metrics` comes to.
    pub async fn totals(&self) -> Totals {
        prometheus(&self.metrics().await)
    }

    /// Waits until as many requests are counted, as long as their number rises.
    pub async fn counted(&self, requests: u64) -> Totals {
        let mut totals = self.totals().await;
        while totals.requests < requests {
            let so_far = totals.requests;
            let awaited = format!("more than {so_far} of {requests} requests counted");
            totals = crate::eventually(&awaited, async || {
                Some(self.totals().await).filter(|totals| totals.requests > so_far)
            })
            .await;
        }
        totals
    }

    /// Waits until as many requests are counted, or it has ended.
    pub async fn counted_or_ended(&self, requests: u64) {
        let page = || request(self.addresses.prometheus, Method::GET, "/metrics", &[], Bytes::new(), false);
        crate::eventually("its requests counted, or its end", async || match page().await {
            Ok(page) => (prometheus(&page.text()).requests >= requests).then_some(()),
            Err(_) => Some(()),
        })
        .await;
    }

    /// The value of a sample of `/metrics`, given by the beginning of its name and some of its labels; 0 if absent.
    pub async fn sample(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        crate::totals::sample(&self.metrics().await, name, labels)
    }

    /// The processor time that it has taken: in user and kernel mode, of all its threads.
    pub fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process())).expect("a process");
        let behind_name = stat.rsplit_once(')').expect("a name").1;
        let ticks: u64 =
            behind_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        // USER_HZ, which is 100 on every Linux.
        Duration::from_millis(ticks * 10)
    }

    /// A line of `/proc/PID/status` in bytes: `VmRSS` is its memory, `VmHWM` the most it ever had.
    pub fn memory(&self, line: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process())).expect("a process");
        let found = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
        let kilobytes = found.and_then(|text| text.trim().strip_suffix("kB")).expect("a line in kB");
        kilobytes.trim().parse::<u64>().expect("a number") * 1024
    }
}

impl Launched {
    /// Starts it in a directory that may hold what an earlier one left.
    pub fn new(directory: TempDir, setup: &Setup) -> Self {
        let config = directory.path().join("spanmill.yaml");
        std::fs::write(&config, setup.yaml(directory.path())).expect("a writable directory");
        let mut command = match &*setup.before {
            "" => command(binary()),
            before => {
                let mut command = command(Path::new("sh"));
                command.args(["-c", &format!("{before} && exec \"$0\" \"$@\"")]).arg(binary());
                command
            }
        };
        command.arg("--config").arg(&config).current_dir(directory.path()).env("RUST_LOG", setup.log);
        command.envs(setup.environment.iter().map(|(name, value)| (name, value)));
        let mut process = Process(command.spawn().expect("spanmill starts"));
        let stderr = Stderr::of(process.0.stderr.take().expect("a pipe"));
        let stdout = BufReader::new(process.0.stdout.take().expect("a pipe"));
        let (said, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = said.send(line);
            }
        });
        Self { process, stdout: lines, stderr, directory }
    }

    /// Waits until it says where it listens.
    pub fn listening(self) -> Spanmill {
        let Ok(line) = self.stdout.recv_timeout(PATIENCE) else {
            let log = self.stderr.text();
            drop(self);
            panic!("spanmill did not start:\n{log}");
        };
        self.said(&line)
    }

    /// Waits until it says where it listens, or ends before that.
    ///
    /// # Errors
    /// It has ended.
    pub fn listening_or_ended(self) -> Result<Spanmill, Stopped> {
        match self.stdout.recv_timeout(PATIENCE) {
            Ok(line) => Ok(self.said(&line)),
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(self.ended()),
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("spanmill did not start:\n{}", self.stderr.text()),
        }
    }

    fn said(self, line: &str) -> Spanmill {
        let addresses = Addresses::parse(line).unwrap_or_else(|| panic!("no addresses in {line:?}"));
        Spanmill { addresses, launched: self }
    }

    /// Whether it has said where it listens, since it was asked for the last time.
    pub fn has_spoken(&self) -> bool {
        self.stdout.try_recv().is_ok()
    }

    /// Where health is answered, which it logs before it listens to anything else.
    pub async fn admin(&self) -> SocketAddr {
        crate::eventually("the address of the admin server", async || {
            let log = self.stderr.text();
            log.split_once("admin=")?.1.split_once('\n')?.0.parse().ok()
        })
        .await
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.process.pid(), signal).expect("a running process");
    }

    /// Waits for the end, which must come in time.
    pub fn ended(mut self) -> Stopped {
        let status = self.process.wait(PATIENCE);
        Stopped { status, log: self.stderr.all(), directory: self.directory }
    }

    /// Kills it, as the kernel would. Gives back what it left.
    pub fn kill(mut self) -> TempDir {
        self.process.0.kill().expect("a running process");
        self.process.wait(PATIENCE);
        self.directory
    }
}

/// What a process logs, read as it comes.
#[derive(Debug)]
struct Stderr {
    text: Arc<Mutex<String>>,
    thread: JoinHandle<()>,
}

impl Stderr {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let read = Arc::clone(&text);
        let thread = std::thread::spawn(move || {
            let mut lines = BufReader::new(pipe);
            let mut line = Vec::new();
            // What was read before an error is what there is.
            while lines.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                read.lock().expect("no panics in here").push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
        Self { text, thread }
    }

    fn text(&self) -> String {
        self.text.lock().expect("no panics in here").clone()
    }

    /// All of it, when the process has ended.
    fn all(self) -> String {
        self.thread.join().expect("its log");
        std::mem::take(&mut self.text.lock().expect("no panics in here"))
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
    command(binary()).args(arguments).output().expect("spanmill runs")
}

/// The same, with more of the environment.
pub fn run_with(environment: &[(&str, &str)], arguments: &[&str]) -> Output {
    command(binary()).envs(environment.iter().copied()).args(arguments).output().expect("spanmill runs")
}

/// A program, with an environment in which nothing speaks to Spanmill.
fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("OTEL_") || name.starts_with("SPANMILL_") || name == "RUST_LOG")
        {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn archive(directory: &TempDir) -> PathBuf {
    directory.path().join("archive")
}

/// A process that does not outlive its test.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn of(child: Child) -> Self {
        Self(child)
    }

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
