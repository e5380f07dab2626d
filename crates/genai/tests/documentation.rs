//! The page of the dialects is what the table says.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;

// `docs/dialects.md` is fresh: whoever changes a dialect changes the page.
#[test]
fn dialects_are_documented() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/dialects.md");
    let fresh = spanmill_genai::dialects::documentation();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(page.parent().unwrap()).unwrap();
        std::fs::write(&page, &fresh).unwrap();
    }
    let written = std::fs::read_to_string(&page).unwrap_or_default();
    assert!(
        written == fresh,
        "docs/dialects.md is stale; write it anew with UPDATE_DOCS=1 cargo test -p spanmill-genai --test documentation"
    );
}
