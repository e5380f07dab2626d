//! The corpus: what real clients sent, and the truth about it.
#![allow(missing_docs, dead_code)]

use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus")
}

/// Names of all clients, sorted.
pub(crate) fn clients() -> Vec<String> {
    let mut clients: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    clients.sort();
    clients
}

/// The trace requests of a client, in the order in which it sent them.
pub(crate) fn bodies(client: &str) -> Vec<Vec<u8>> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder().join(client)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.to_string_lossy().ends_with(".traces.binpb"));
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// The `truth.json` of a client.
pub(crate) fn truth(client: &str) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(folder().join(client).join("truth.json")).unwrap()).unwrap()
}
