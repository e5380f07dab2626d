//! The HTTP API of Prometheus, which others have as well.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::totals::Sample;
use crate::{Totals, raw, totals};

/// A backend that is asked in PromQL.
#[derive(Debug, Clone, Copy)]
pub struct PromQl {
    address: SocketAddr,
}

/// One element of an instant vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Element {
    /// Labels, the name included.
    pub labels: BTreeMap<String, String>,
    /// Value now.
    pub value: f64,
}

impl Element {
    /// A label's value; empty if it has none.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

impl PromQl {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// The data of an answer.
    ///
    /// # Panics
    /// If the backend says that there is an error.
    pub async fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let encode = |(name, value): &(&str, &str)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC));
        let parameters = parameters.iter().map(encode).collect::<Vec<_>>().join("&");
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let answer = match parameters.as_str() {
            "" => raw::get(self.address, path).await,
            _ => raw::post(self.address, path, &form, parameters.clone()).await,
        };
        assert!(answer.status.is_success(), "{path} {parameters}: {}", answer.text());
        answer.json()["data"].take()
    }

    /// An instant query, now.
    pub async fn query(&self, expression: &str) -> Vec<Element> {
        let data = self.ask("/api/v1/query", &[("query", expression)]).await;
        let vector = data["result"].as_array().unwrap_or_else(|| panic!("{expression}: {data}"));
        vector.iter().map(element).collect()
    }

    /// The one value of an expression; `None` if it has none.
    pub async fn value(&self, expression: &str) -> Option<f64> {
        let vector = self.query(expression).await;
        assert!(vector.len() < 2, "{expression}: {vector:?}");
        vector.first().map(|element| element.value)
    }

    /// What the counters come to that tests/src/totals.rs reads.
    pub async fn totals(&self) -> Totals {
        let counters = self.query("{__name__=~\"spanmill_(requests|tokens)_total\"}").await;
        totals::total(counters.into_iter().map(|Element { mut labels, value }| {
            let name = labels.remove("__name__").expect("a name").trim_end_matches("_total").to_owned();
            assert!(value >= 0.0 && value.fract() == 0.0, "{name} {labels:?}: {value}");
            Sample { name, labels, value: value as u64 }
        }))
    }

    /// The labels of all exemplars: they have the times of their spans, and those of the corpus are recorded.
    pub async fn exemplars(&self, selector: &str) -> Vec<BTreeMap<String, String>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock that was set").as_secs();
        let end = (now + 60).to_string();
        let data = self.ask("/api/v1/query_exemplars", &[("query", selector), ("start", "1"), ("end", &end)]).await;
        let series = data.as_array().expect("a list").iter();
        let exemplars = series.flat_map(|series| series["exemplars"].as_array().expect("a list"));
        exemplars.map(|exemplar| labels(&exemplar["labels"])).collect()
    }
}

fn element(value: &Value) -> Element {
    let number = value["value"][1].as_str().expect("a value");
    Element { labels: labels(&value["metric"]), value: number.parse().expect("a number") }
}

fn labels(value: &Value) -> BTreeMap<String, String> {
    let object = value.as_object().expect("labels").iter();
    object.map(|(name, value)| (name.clone(), value.as_str().expect("a text").to_owned())).collect()
}
