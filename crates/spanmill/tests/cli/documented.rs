//! What the documents tell users to write.

use std::path::{Path, PathBuf};
use std::process::Command;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Whether a configuration is taken, with every variable set that documents mention.
#[track_caller]
fn assert_is_taken(file: &Path) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spanmill"));
    for name in ["SPANMILL_TOKEN", "SIGNOZ_KEY", "BACKEND_KEY", "MAIL_PASSWORD"] {
        command.env(name, "0123456789abcdef");
    }
    let output = command.arg("check-config").arg(file).output().unwrap();
    assert!(output.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&output.stderr));
}

// Every configuration in docs/ (a block of yaml) and deploy/ is one that the binary takes.
#[test]
fn configurations_in_documents_are_taken() {
    let directory = tempfile::tempdir().unwrap();
    let mut checked = 0;
    for page in ["docs/backends.md", "docs/clients.md", "docs/deploy.md", "docs/notifiers.md"] {
        let page = std::fs::read_to_string(repository().join(page)).unwrap();
        for block in page.split("```yaml\n").skip(1) {
            let file = directory.path().join(format!("{checked}.yaml"));
            std::fs::write(&file, block.split("```").next().unwrap()).unwrap();
            assert_is_taken(&file);
            checked += 1;
        }
    }
    assert!(checked > 5, "{checked} blocks");
    for way in ["gateway", "sidecar"] {
        assert_is_taken(&repository().join("deploy/kubernetes").join(way).join("spanmill.yaml"));
    }
}
