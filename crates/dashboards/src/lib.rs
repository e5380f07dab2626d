//! Dashboards and rules for the backends that Spanmill's metrics go to.
//!
//! One description says what there is to see: `metric` names the metrics, `panel` says what a panel is, `panels` lists
//! them. Three writers turn it into what a backend imports: `signoz`, `grafana` and `rules` (Prometheus). The crate is
//! pure, and depends on no other of ours: the tests evaluate every query on what a running Spanmill tells.

mod grafana;
mod metric;
mod panel;
mod panels;
mod promql;
mod rules;
mod signoz;

pub use metric::Semconv;

/// A backend that dashboards or rules are written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A SigNoz dashboard, format v6 (SigNoz 0.135 or newer).
    SigNoz,
    /// A Grafana dashboard in the classic model, over Prometheus or what speaks PromQL.
    Grafana,
    /// Prometheus recording and alerting rules.
    PrometheusRules,
}

/// What is written could not be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// JSON.
    #[error("writing JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// YAML.
    #[error("writing YAML: {0}")]
    Yaml(#[from] serde_saphyr::SerializeError),
}

impl Target {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::SigNoz, Self::Grafana, Self::PrometheusRules];

    /// The name that its file has everywhere.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::SigNoz => "spanmill.signoz.json",
            Self::Grafana => "spanmill.grafana.json",
            Self::PrometheusRules => "spanmill.rules.yaml",
        }
    }

    /// The file for a Spanmill whose metrics have these names, with a line break at its end. The same version gives the same text.
    pub fn render(self, semconv: Semconv) -> Result<String, Error> {
        match self {
            Self::SigNoz => json(&signoz::dashboard(semconv)),
            Self::Grafana => json(&grafana::dashboard(semconv)),
            Self::PrometheusRules => Ok(rules::yaml(semconv)?),
        }
    }
}

fn json(value: &serde_json::Value) -> Result<String, Error> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}
