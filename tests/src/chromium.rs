//! Chromium, driven by the scripts of tests/console through packages from npm.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::target_directory;

const PACKAGES: [&str; 2] = ["playwright-core@1.55.0", "axe-core@4.10.3"];

/// A browser, and the packages in cargo's target directory, installed once.
#[derive(Debug)]
pub struct Chromium {
    program: PathBuf,
    packages: PathBuf,
}

impl Chromium {
    /// The first Chromium on the path, or the one that `CHROMIUM` names; `None`, with the reason printed, where there is none, or no npm.
    pub fn get() -> Option<&'static Self> {
        static CHROMIUM: OnceLock<Option<Chromium>> = OnceLock::new();
        let found =
            CHROMIUM.get_or_init(|| match find().and_then(|program| Ok(Self { program, packages: packages()? })) {
                Ok(chromium) => Some(chromium),
                Err(reason) => {
                    // Not eprintln: the harness keeps that to itself when the test passes.
                    let _ = writeln!(std::io::stderr(), "SKIPPED: no browser: {reason}");
                    None
                }
            });
        found.as_ref()
    }

    /// Runs a script of tests/console against a page. What it asks for, on a line that begins with a question mark, is answered with a line.
    ///
    /// # Panics
    /// If the script fails.
    pub async fn run(&self, script: &str, address: &str, mut answer: impl AsyncFnMut(&str) -> String) {
        let pictures = target_directory().join("pictures");
        std::fs::create_dir_all(&pictures).expect("a writable target directory");
        let mut node = Command::new("node");
        node.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("console").join(script)).arg(address).arg(&pictures);
        node.env("NODE_PACKAGES", &self.packages).env("CHROMIUM", &self.program);
        let mut node = node.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("node runs");
        let mut answers = node.stdin.take().expect("a pipe");
        let mut said = BufReader::new(node.stdout.take().expect("a pipe")).lines();
        while let Some(line) = tokio::task::block_in_place(|| said.next()) {
            let line = line.expect("what it says");
            match line.strip_prefix("? ") {
                Some(what) => writeln!(answers, "{}", answer(what).await).expect("a running script"),
                None => drop(writeln!(std::io::stdout(), "{line}")),
            }
        }
        let status = tokio::task::block_in_place(|| node.wait()).expect("a child");
        assert!(status.success(), "see what node says, and failed-*.png in {}", pictures.display());
    }
}

fn find() -> Result<PathBuf, String> {
    let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let on_path = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .flat_map(|directory| ["chromium", "chromium-browser", "google-chrome"].map(|name| directory.join(name)))
        .find(|candidate| candidate.is_file());
    named.or(on_path).ok_or_else(|| "no Chromium on the path".to_owned())
}

/// The marker is written last and names what is there.
fn packages() -> Result<PathBuf, String> {
    let directory = target_directory().join("node");
    let (marker, wanted) = (directory.join("packages"), PACKAGES.join("\n"));
    if std::fs::read_to_string(&marker).is_ok_and(|found| found == wanted) {
        return Ok(directory);
    }
    std::fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
    std::fs::write(directory.join("package.json"), "{}").map_err(|error| error.to_string())?;
    let options = ["install", "--no-audit", "--no-fund", "--silent"];
    let installed =
        Command::new("npm").args(options).args(PACKAGES).current_dir(&directory).stdin(Stdio::null()).output();
    match installed {
        Ok(output) if output.status.success() => {}
        Ok(output) => return Err(format!("npm: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => return Err(format!("npm: {error}")),
    }
    std::fs::write(&marker, wanted).map_err(|error| error.to_string())?;
    Ok(directory)
}
