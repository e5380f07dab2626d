//! The binary under test, built once per test process.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The `spanmill` binary: the one whose absolute path is in `SPANMILL_BINARY`, else one built with the profile of the running test.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| std::env::var_os("SPANMILL_BINARY").map_or_else(build, PathBuf::from))
}

/// Where cargo builds: two above the folder of the test binary, `target/debug/deps`.
pub fn target_directory() -> PathBuf {
    profile_directory().parent().expect("cargo's target directory").to_owned()
}

fn profile_directory() -> PathBuf {
    let test_binary = std::env::current_exe().expect("path of the test binary");
    test_binary.ancestors().nth(2).expect("cargo's target directory").to_owned()
}

/// Built by way of an integration test of the package `spanmill`, for that gives cargo the same features as
/// `cargo test --workspace`: nothing is compiled a second time.
fn build() -> PathBuf {
    let profile_directory = profile_directory();
    let profile = match profile_directory.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What cargo tells a test about its package would make the build scripts of dependencies run again.
    for (name, _) in std::env::vars_os() {
        let is_of_package = name.to_str().is_some_and(|name| {
            ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
        });
        if is_of_package {
            cargo.env_remove(name);
        }
    }
    let status = cargo
        .args(["build", "--quiet", "--workspace", "--test", "cli", "--profile", profile])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace"))
        .env("CARGO_TARGET_DIR", target_directory())
        .status()
        .expect("cargo runs");
    assert!(status.success(), "cargo could not build spanmill");
    profile_directory.join("spanmill")
}
