//! Collects what is wrong with a file, each thing once.

use super::document::{KeyPath, Node};
use super::error::Problem;

/// The problems of one file so far, and the paths they have already been found at.
pub(super) struct Report<'a> {
    document: &'a Node,
    problems: Vec<Problem>,
    refused: Vec<KeyPath>,
}

impl<'a> Report<'a> {
    /// Nothing is wrong yet. The document is the file as it was read: every path has its position there, and messages
    /// show what the file says, never what was substituted, which may be a secret.
    pub fn new(document: &'a Node) -> Self {
        Self { document, problems: Vec::new(), refused: Vec::new() }
    }

    /// Whether a value, or one it lies in, has already been refused: what it would have been is unknown.
    pub fn is_refused(&self, path: &KeyPath) -> bool {
        self.refused.iter().any(|refused| refused.contains(path))
    }

    /// Whether a part of a value has already been refused.
    pub fn is_refused_within(&self, path: &KeyPath) -> bool {
        self.refused.iter().any(|refused| path.contains(refused))
    }

    /// Whether the file has a value at a path.
    pub fn is_in_file(&self, path: &KeyPath) -> bool {
        self.document.get(path).is_some()
    }

    /// Refuses what stands at a path, unless it has been refused already.
    pub fn refuse(&mut self, path: &KeyPath, message: impl Into<String>) {
        if self.is_refused(path) {
            return;
        }
        self.problems.push(Problem::at(self.document.key_position(path), message));
        self.refused.push(path.clone());
    }

    /// Refuses a value: what is wanted, and what was found.
    pub fn refuse_value(&mut self, path: &KeyPath, wanted: &str) {
        let found = match self.document.get(path) {
            _ if may_be_secret(path) => String::new(),
            Some(node) => format!(", found {}", node.describe()),
            None => String::new(),
        };
        let name = if path.0.is_empty() { String::new() } else { format!("\"{path}\": ") };
        self.refuse(path, format!("{name}{wanted}{found}"));
    }

    /// Refuses a key that does not exist and says which do.
    pub fn refuse_key(&mut self, path: &KeyPath, known: &[&str]) {
        let key = path.0.last().map_or("", String::as_str);
        let hint = nearest(key, known).map_or_else(String::new, |near| format!(" (did you mean \"{near}\"?)"));
        let known = known.join(", ");
        self.refuse(path, format!("unknown key \"{path}\"{hint}, expected one of {known}"));
    }

    /// The problems in the order of the file.
    pub fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(Problem::position);
        self.problems
    }
}

/// Whether what stands there is not for everybody to read, even if it is written in the wrong place.
fn may_be_secret(path: &KeyPath) -> bool {
    let is_secret = |key: &String| matches!(&**key, "auth" | "headers" | "content_hash_key" | "secret" | "password");
    // Behind the host, the URL of a webhook often tells who calls.
    let is_webhook =
        path.0.iter().any(|key| key.starts_with("webhook/")) && path.0.last().is_some_and(|key| key == "url");
    path.0.iter().any(is_secret) || is_webhook
}

/// The known key that a misspelt one most likely means.
fn nearest<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    let distance = |candidate: &str| strsim::damerau_levenshtein(key, candidate);
    let nearest = known.iter().copied().min_by_key(|candidate| distance(candidate))?;
    let tolerated = (nearest.chars().count() / 3).max(1);
    (distance(nearest) <= tolerated).then_some(nearest)
}
