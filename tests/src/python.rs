//! Python with the packages that users have: the official OpenTelemetry SDK, pyarrow, genai-prices, Grafana's SDK and
//! what parses PromQL and JSON Schema, a mail server, schemathesis, numpy and scipy.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use crate::target_directory;

const PACKAGES: &[&str] = &[
    "opentelemetry-sdk==1.45.2",
    "opentelemetry-exporter-otlp-proto-grpc==1.45.2",
    "opentelemetry-exporter-otlp-proto-http==1.45.2",
    "pyarrow==26.0.1",
    "genai-prices==0.2.3",
    "jsonschema==4.26.0",
    "grafana-foundation-sdk==1769699379!11.6.0",
    "promql-parser==0.12.0",
    "aiosmtpd==1.4.6",
    "schemathesis==4.32.5",
    "numpy==2.4.6",
    "scipy==1.17.1",
];

/// A virtual environment in cargo's target directory, made once.
#[derive(Debug)]
pub struct Python {
    interpreter: PathBuf,
}

impl Python {
    /// The environment; `None`, with the reason printed, where it cannot be made (no Python, no network).
    pub fn get() -> Option<&'static Self> {
        static PYTHON: OnceLock<Option<Python>> = OnceLock::new();
        let python = PYTHON.get_or_init(|| match make() {
            Ok(interpreter) => Some(Python { interpreter }),
            Err(reason) => {
                // Not eprintln: the harness keeps that to itself when the test passes.
                let _ = writeln!(std::io::stderr(), "SKIPPED: no Python environment: {reason}");
                None
            }
        });
        python.as_ref()
    }

    /// Runs a script of tests/python, or of anywhere by its full path.
    pub fn run(&self, script: &str, arguments: &[&str]) -> Output {
        self.command(script).args(arguments).output().expect("Python runs")
    }

    /// A command that a package brings along.
    pub fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(self.interpreter.with_file_name(name));
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// The command that runs a script of tests/python.
    pub(crate) fn command(&self, script: &str) -> Command {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(script);
        let mut command = Command::new(&self.interpreter);
        command.arg(script).env("PYTHONDONTWRITEBYTECODE", "1");
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("OTEL_")) {
                command.env_remove(name);
            }
        }
        command
    }
}

/// Makes the environment, unless it is there already: the marker is written last and names what is in it.
fn make() -> Result<PathBuf, String> {
    let directory = target_directory().join("python");
    let interpreter = directory.join("bin/python");
    let marker = directory.join("packages");
    let wanted = PACKAGES.join("\n");
    if std::fs::read_to_string(&marker).is_ok_and(|found| found == wanted) {
        return Ok(interpreter);
    }
    check(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&directory))?;
    check(Command::new(&interpreter).args(["-m", "pip", "install", "--quiet"]).args(PACKAGES))?;
    std::fs::write(&marker, wanted).map_err(|error| error.to_string())?;
    Ok(interpreter)
}

fn check(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
