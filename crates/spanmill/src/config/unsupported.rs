//! Keys of the contract that have one value: any other is refused with the reason, never ignored.
//!
//! A key may be written with the value that changes nothing. Whoever builds what is not there yet takes its line out.

use super::document::{KeyPath, Node, Value};
use super::report::Report;
use super::units::{ByteSize, parse_duration};

/// Keys, the one value (YAML, the default) that each may have, and why. In the order of the contract; `otlp/NAME` stands for every OTLP exporter.
const ONLY: &[(&str, &str, &str)] = &[(
    "storage.when_full",
    "block",
    "cannot drop what is acknowledged and not counted yet (a destination can drop what it has not got: exporters.otlp/NAME.when_full)",
)];

/// Refuses what is not supported yet, and takes the keys that may only have their default out of the tree.
pub(super) fn refuse_unsupported(document: &mut Node, report: &mut Report<'_>) {
    for (pattern, default, why) in ONLY {
        for path in matching_paths(document, pattern) {
            // The table is parsed by a test: no line of it is ever skipped.
            let Ok(default) = Node::parse(default) else {
                continue;
            };
            if let Some(found) = document.get(&path) {
                refuse_other(found, &default, &path, why, report);
            }
            document.remove(&path);
        }
    }
}

/// Refuses every part of a value that differs from the default.
fn refuse_other(found: &Node, default: &Node, path: &KeyPath, why: &str, report: &mut Report<'_>) {
    match (&found.value, &default.value) {
        (Value::Mapping(entries), Value::Mapping(defaults)) => {
            for (key, value) in entries {
                let path = path.join(&key.name);
                match defaults.iter().find(|(known, _)| known.name == key.name) {
                    Some((_, default)) => refuse_other(value, default, &path, why, report),
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
            report.refuse(path, format!("\"{path}\" {why}, the only value is {default}"));
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
        for (path, default, _) in ONLY {
            assert!(Node::parse(default).is_ok(), "{path}");
        }
    }
}
