//! The files of dashboards/ are what the binary writes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::path::Path;

use spanmill_dashboards::{Semconv, Target};

// dashboards/ holds what `spanmill dashboards` writes; with UPDATE_DOCS=1 the files are written anew.
#[test]
fn files_are_current() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dashboards");
    for target in Target::ALL {
        let path = directory.join(target.file_name());
        let written = target.render(Semconv::V1_41).unwrap();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, &written).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        let name = target.file_name();
        assert!(kept == written, "dashboards/{name} is stale: UPDATE_DOCS=1 cargo test -p spanmill-dashboards");
    }
}
