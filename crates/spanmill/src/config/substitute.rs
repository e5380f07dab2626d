//! `${env:NAME}` and `${file:PATH}` in the values of a tree; `$$` is a dollar sign.
//!
//! Only values are substituted, never keys, and only after YAML has been read: whatever a variable or a file holds, it
//! stays one scalar.

use std::path::Path;

use super::Environment;
use super::document::{KeyPath, Node, Value};
use super::report::Report;

/// Where substituted values come from.
pub(super) struct Sources<'a> {
    pub environment: Environment<'a>,
    /// The folder that relative paths start from.
    pub folder: &'a Path,
}

/// Substitutes in every value of the tree. A value that cannot be substituted is reported and stays as it is.
pub(super) fn substitute(document: &mut Node, sources: &Sources<'_>, report: &mut Report<'_>) {
    walk(document, &KeyPath::default(), sources, report);
}

fn walk(node: &mut Node, path: &KeyPath, sources: &Sources<'_>, report: &mut Report<'_>) {
    match &mut node.value {
        Value::Null => {}
        Value::Scalar(text) => match expand(text, sources) {
            Ok(expanded) => *text = expanded,
            Err(message) => report.refuse(path, format!("\"{path}\": {message}")),
        },
        Value::Sequence(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                walk(item, &path.join(&format!("[{index}]")), sources, report);
            }
        }
        Value::Mapping(entries) => {
            for (key, value) in entries {
                walk(value, &path.join(&key.name), sources, report);
            }
        }
    }
}

/// One value with everything substituted. A dollar sign before anything but `$` and `{` is itself.
fn expand(text: &str, sources: &Sources<'_>) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        if let Some(reference) = after.strip_prefix('{') {
            let (reference, behind) =
                reference.split_once('}').ok_or("\"${\" without \"}\" (write $$ for a dollar sign)")?;
            expanded.push_str(&resolve(reference, sources)?);
            rest = behind;
        } else {
            expanded.push('$');
            rest = after.strip_prefix('$').unwrap_or(after);
        }
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn resolve(reference: &str, sources: &Sources<'_>) -> Result<String, String> {
    match reference.split_once(':') {
        Some(("env", name)) if !name.is_empty() => {
            (sources.environment)(name).ok_or_else(|| format!("environment variable {name} is not set"))
        }
        Some(("file", path)) if !path.is_empty() => {
            let path = sources.folder.join(path);
            let mut content =
                std::fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            if content.ends_with('\n') {
                content.pop();
                if content.ends_with('\r') {
                    content.pop();
                }
            }
            Ok(content)
        }
        _ => Err(format!(
            "expected ${{env:NAME}} or ${{file:PATH}} (write $$ for a dollar sign), found \"${{{reference}}}\""
        )),
    }
}
