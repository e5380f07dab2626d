//! The real payloads in `tests/corpus`.

use std::fs;
use std::path::{Path, PathBuf};

/// Name and bytes of every protobuf request of `signal`: `traces`, `metrics` or `logs`.
pub fn payloads(signal: &str) -> Vec<(String, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus");
    let mut files: Vec<PathBuf> = fs::read_dir(root)
        .unwrap()
        .map(|client| client.unwrap().path())
        .filter(|client| client.is_dir())
        .flat_map(|client| fs::read_dir(client).unwrap().map(|file| file.unwrap().path()))
        .filter(|file| file.to_str().unwrap().ends_with(&format!(".{signal}.binpb")))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no {signal} in the corpus");
    files.into_iter().map(|file| (file.display().to_string(), fs::read(&file).unwrap())).collect()
}
