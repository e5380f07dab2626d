//! Files that a configuration names: whether they are there. Else a server would find out, and could not say which key was meant.

use std::fs::{self, File};
use std::io;

use super::document::{KeyPath, Node, Value};
use super::report::Report;

/// Refuses every `*_file` that cannot be opened. What the file says is shown, never what was substituted, which may be a secret in the
/// wrong place.
pub(super) fn check(document: &Node, report: &mut Report<'_>) {
    visit(document, &KeyPath::default(), report);
}

fn visit(node: &Node, path: &KeyPath, report: &mut Report<'_>) {
    match &node.value {
        Value::Null => {}
        Value::Scalar(name) => {
            let is_file = path.0.last().is_some_and(|key| key.ends_with("_file"));
            if is_file && let Err(error) = open(name) {
                report.refuse_value(path, &format!("{error} (names start at the working directory)"));
            }
        }
        Value::Sequence(items) => {
            for (index, item) in items.iter().enumerate() {
                visit(item, &path.join(&format!("[{index}]")), report);
            }
        }
        Value::Mapping(entries) => {
            // Keys of these maps are the user's own.
            for (key, value) in entries.iter().filter(|(key, _)| !matches!(&*key.name, "headers" | "labels")) {
                visit(value, &path.join(&key.name), report);
            }
        }
    }
}

/// What is no plain file, a pipe for example, is not opened: whoever uses it does, once.
fn open(name: &str) -> io::Result<()> {
    if fs::metadata(name)?.is_file() { File::open(name).map(drop) } else { Ok(()) }
}
