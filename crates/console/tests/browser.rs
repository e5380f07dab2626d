//! The page in a browser: tests/console/page.mjs drives Chromium, and skips with a printed reason where there is none.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod source;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use monitor::{EVALUATION_STEP, HOUR};
use source::{Fed, Lots, config, told, traffic};
use spanmill_console::{Console, Settings};

const PACKAGES: [&str; 2] = ["playwright-core@1.55.0", "axe-core@4.10.3"];

/// The packages, installed once into cargo's target directory; the marker is written last and names what is in it.
fn packages() -> Result<PathBuf, String> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("node");
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

/// The first Chromium on the path, or the one that `CHROMIUM` names.
fn chromium() -> Result<PathBuf, String> {
    let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let on_path = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .flat_map(|directory| ["chromium", "chromium-browser", "google-chrome"].map(|name| directory.join(name)))
        .find(|candidate| candidate.is_file());
    named.or(on_path).ok_or_else(|| "no Chromium on the path".to_owned())
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64
}

// Theme, phone width, crosshair, zoom, keyboard, legend, filter, range, live update, error to trace, and work with monitors: all of
// it works in a browser, whose console stays empty, which asks nothing of anybody else, and in which axe finds nothing serious.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_works_in_a_browser() {
    let (packages, chromium) = match packages().and_then(|packages| Ok((packages, chromium()?))) {
        Ok(both) => both,
        Err(reason) => {
            // Not eprintln: the harness keeps that to itself when the test passes.
            let _ = writeln!(std::io::stderr(), "SKIPPED: no browser: {reason}");
            return;
        }
    };
    let (fed, begin) = (Fed::new(&config()), now());
    traffic(begin, 3 * HOUR, 40).into_iter().map(source::presentable).for_each(|call| fed.feed(&call));
    fed.advance(begin);
    let feeder = fed.clone();
    tokio::spawn(async move {
        // Calls come just before a step is evaluated, so that between steps all answers are the same.
        let (mut lots, mut number, mut next) =
            (Lots::new(3), 1_000_000, (begin / EVALUATION_STEP + 1) * EVALUATION_STEP);
        loop {
            tokio::time::sleep(Duration::from_nanos(next.saturating_sub(now()))).await;
            for _ in 0..8 {
                number += 1;
                feeder.feed(&source::presentable(told(&mut lots, number, next - 1, begin)));
            }
            feeder.advance(next);
            next += EVALUATION_STEP;
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let settings = Settings { trace_link: Some("/trace/{trace_id}".to_owned()) };
    let traces = axum::routing::get(|| async { "a trace" });
    let router = Console::new(fed, settings).router().route("/trace/{id}", traces);
    tokio::spawn(axum::serve(listener, router).into_future());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/console/page.mjs");
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let mut node = Command::new("node");
    node.arg(script).arg(address).arg(pictures).env("NODE_PACKAGES", packages).env("CHROMIUM", chromium);
    let status = tokio::task::spawn_blocking(move || node.status()).await.unwrap();
    assert!(status.unwrap().success(), "see what node says, and {}/failed.png", pictures.display());
}
