//! What the contract has and this version has not: refused until it does something, never ignored.
//!
//! A key may be written with the value that changes nothing. Whoever builds one of these takes its line out.

use super::document::{KeyPath, Node, Value};
use super::report::Report;
use super::units::{ByteSize, parse_duration};

/// Keys, and the one value (YAML, the default) that each may have. In the order of the contract; `otlp/NAME` stands for every OTLP exporter.
const LATER: &[(&str, &str)] = &[("storage.when_full", "block")];

/// Refuses what is not supported yet, and takes the keys that may only have their default out of the tree.
pub(super) fn refuse_unsupported(document: &mut Node, report: &mut Report<'_>) {
    for (pattern, default) in LATER {
        for path in matching_paths(document, pattern) {
            // The table is parsed by a test: no line of it is ever skipped.
            let Ok(default) = Node::parse(default) else {
                continue;
            };
            if let Some(found) = document.get(&path) {
                refuse_other(found, &default, &path, report);
            }
            document.remove(&path);
        }
    }
}

/// Refuses every part of a value that differs from the default.
fn refuse_other(found: &Node, default: &Node, path: &KeyPath, report: &mut Report<'_>) {
    match (&found.value, &default.value) {
        (Value::Mapping(entries), Value::Mapping(defaults)) => {
            for (key, value) in entries {
                let path = path.join(&key.name);
                match defaults.iter().find(|(known, _)| known.name == key.name) {
                    Some((_, default)) => refuse_other(value, default, &path, report),
                    None => {
                        let known: Vec<&str> = defaults.iter().map(|(known, _)| known.name.as_str()).collect();
                        report.refuse_key(&path, &known);
                    }
                }
            }
        }
        (Value::Null, Value::Null) => {}
        (Value::Sequence(items), Value::Sequence(defaults)) if items.is_empty() && defaults.is_empty() => {}
        (Value::Scalar(text), Value::Scalar(default)) if means_the_same(text, default) => {}
        _ => {
            let default = flow(default);
            report.refuse(path, format!("\"{path}\" is not supported yet, the only value is {default}"));
        }
    }
}

/// `1000ms` is `1s`, and `65536KiB` is `64MiB`.
fn means_the_same(a: &str, b: &str) -> bool {
    let same_duration = || parse_duration(a).is_ok_and(|a| parse_duration(b) == Ok(a));
    let same_size = || a.parse::<ByteSize>().is_ok_and(|a| b.parse() == Ok(a));
    a == b || same_duration() || same_size()
}

/// The paths of the document that a line of the table means.
fn matching_paths(document: &Node, pattern: &str) -> Vec<KeyPath> {
    let mut paths = vec![KeyPath::default()];
    for segment in pattern.split('.') {
        paths = paths
            .iter()
            .flat_map(|path| match document.get(path).map(|node| &node.value) {
                Some(Value::Mapping(entries)) => entries
                    .iter()
                    .filter(|(key, _)| match segment {
                        "otlp/NAME" => key.name.starts_with("otlp/"),
                        _ => key.name == segment,
                    })
                    .map(|(key, _)| path.join(&key.name))
                    .collect(),
                _ => Vec::new(),
            })
            .collect();
    }
    paths
}

/// A value in one line of YAML.
fn flow(node: &Node) -> String {
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::Scalar(text) => text.clone(),
        Value::Sequence(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Mapping(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|(key, value)| format!("{}: {}", key.name, flow(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Guarantees that every line of the table takes effect.
    #[test]
    fn every_default_of_the_table_is_yaml() {
        for (path, default) in LATER {
            assert!(Node::parse(default).is_ok(), "{path}");
        }
    }
}
