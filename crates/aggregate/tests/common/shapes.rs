//! What single libraries write, and what it comes to: spans made after the libraries' sources.

use bytes::Bytes;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use serde::Deserialize;

use super::corpus::Sums;
use super::spans::{Made, call, request};

/// One shape of data, of a line of `tests/data/shapes.jsonl`.
#[derive(Deserialize)]
pub struct Shape {
    pub name: String,
    pub expected: Sums,
    /// The model that its calls are counted under, where that is in question.
    pub model: Option<String>,
    spans: Vec<Told>,
}

#[derive(Deserialize)]
struct Told {
    scope: String,
    name: String,
    id: u8,
    parent: Option<u8>,
    /// Start and end.
    ms: Option<[u64; 2]>,
    #[serde(default)]
    failed: bool,
    attributes: serde_json::Map<String, serde_json::Value>,
}

/// All of them.
pub fn shapes() -> Vec<Shape> {
    let lines = include_str!("../data/shapes.jsonl").lines();
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
}

impl Shape {
    /// The request that its spans are sent in.
    pub fn request(&self) -> Bytes {
        request(&self.spans.iter().map(Told::made).collect::<Vec<_>>())
    }
}

impl Told {
    fn made(&self) -> Made {
        let mut made = call(self.id, self.scope.clone().leak()).named(&self.name);
        made.span.attributes.clear();
        for (key, value) in &self.attributes {
            made.set(key, attribute_value(value));
        }
        if let Some(parent) = self.parent {
            made = made.under(parent);
        }
        if let Some([from, to]) = self.ms {
            made = made.during(from, to);
        }
        if self.failed { made.failed() } else { made }
    }
}

fn attribute_value(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Bool(flag) => Value::BoolValue(*flag),
        serde_json::Value::Number(number) => {
            number.as_i64().map_or_else(|| Value::DoubleValue(number.as_f64().unwrap()), Value::IntValue)
        }
        serde_json::Value::String(text) => Value::StringValue(text.clone()),
        other => panic!("{other} is no value of an attribute here"),
    }
}
