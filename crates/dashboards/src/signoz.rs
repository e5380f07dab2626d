//! The SigNoz dashboard, format v6: SigNoz decodes it with unknown fields disallowed.

use serde_json::{Map, Value, json};

use crate::metric::{MODEL, Metric, SERVICE, Semconv, Subject, VARIABLES};
use crate::panel::{Filter, Measure, On, Panel, Part, Query, Unit, View};
use crate::panels::{DESCRIPTION, SECTIONS, TITLE};

/// Columns of a page.
const COLUMNS: u32 = 12;
/// Records that a list shows at most.
const RECORDS: u32 = 100;

/// The dashboard as SigNoz imports it.
pub(crate) fn dashboard(semconv: Semconv) -> Value {
    json!({
        "schemaVersion": "v6",
        "generateName": true,
        "tags": [{ "key": "tag", "value": "genai" }],
        "spec": {
            "display": { "name": TITLE, "description": DESCRIPTION },
            "variables": variables(),
            "panels": panels(semconv),
            "layouts": layouts(),
            "duration": "6h",
            "refreshInterval": "1m",
            "links": [],
        },
    })
}

fn variables() -> Vec<Value> {
    let variable = |name: &str, attribute: &str| {
        json!({
            "kind": "ListVariable",
            "spec": {
                "name": name,
                "display": { "name": name, "description": attribute },
                "allowAllValue": true,
                "allowMultiple": true,
                "customAllValue": "",
                "capturingRegexp": "",
                "sort": "alphabetical-asc",
                "plugin": { "kind": "signoz/DynamicVariable", "spec": { "name": attribute, "signal": "metrics" } },
            },
        })
    };
    VARIABLES.iter().map(|known| variable(known.name, known.attribute)).collect()
}

/// The panels of a section that SigNoz has data for.
fn shown(panels: &'static [Panel]) -> impl Iterator<Item = &'static Panel> {
    panels.iter().filter(|panel| panel.on != On::Prometheus)
}

fn panels(semconv: Semconv) -> Map<String, Value> {
    let all = SECTIONS.iter().flat_map(|section| shown(section.panels));
    all.map(|panel| (panel.key.to_owned(), one(panel, semconv))).collect()
}

/// A grid a section, filled from left to right.
fn layouts() -> Vec<Value> {
    let layout = |title: &str, panels: &'static [Panel]| {
        let (mut x, mut y, mut row_height) = (0, 0, 0);
        let mut items = Vec::new();
        for panel in shown(panels) {
            let (width, height) = (panel.view.width(), height(panel.view));
            if x + width > COLUMNS {
                (x, y, row_height) = (0, y + row_height, 0);
            }
            let content = json!({ "$ref": format!("#/spec/panels/{}", panel.key) });
            items.push(json!({ "x": x, "y": y, "width": width, "height": height, "content": content }));
            x += width;
            row_height = row_height.max(height);
        }
        json!({ "kind": "Grid", "spec": { "display": { "title": title }, "items": items } })
    };
    SECTIONS.iter().map(|section| layout(section.title, section.panels)).collect()
}

fn height(view: View) -> u32 {
    match view {
        View::Number => 3,
        View::Pie | View::Lines | View::Bars | View::List => 6,
    }
}

fn one(panel: &Panel, semconv: Semconv) -> Value {
    json!({
        "kind": "Panel",
        "spec": {
            "display": { "name": panel.title, "description": panel.description },
            "plugin": plugin(panel),
            "queries": [query(panel, semconv)],
            "links": [],
        },
    })
}

fn plugin(panel: &Panel) -> Value {
    let formatting = json!({
        "unit": match panel.unit {
            Unit::Number => "short",
            Unit::Seconds => "s",
            Unit::Dollars => "currencyUSD",
            Unit::Share => "percentunit",
            Unit::Bytes => "bytes",
        },
        "decimalPrecision": "2",
    });
    let legend = json!({ "position": "bottom", "mode": "list" });
    match panel.view {
        View::Number => json!({
            "kind": "signoz/NumberPanel",
            "spec": {
                "visualization": { "timePreference": "global_time" },
                "formatting": formatting,
                "thresholds": thresholds(panel),
            },
        }),
        View::Pie => json!({
            "kind": "signoz/PieChartPanel",
            "spec": {
                "visualization": { "timePreference": "global_time" },
                "formatting": formatting,
                "legend": legend,
            },
        }),
        View::Lines => json!({
            "kind": "signoz/TimeSeriesPanel",
            "spec": {
                "visualization": { "timePreference": "global_time", "fillSpans": false },
                "formatting": formatting,
                "legend": legend,
            },
        }),
        View::Bars => json!({
            "kind": "signoz/BarChartPanel",
            "spec": {
                "visualization": { "timePreference": "global_time", "fillSpans": false, "stackedBarChart": true },
                "formatting": formatting,
                "legend": legend,
            },
        }),
        View::List => {
            let field = |name: &str, context: &str, kind: &str| json!({ "name": name, "signal": "logs", "fieldContext": context, "fieldDataType": kind });
            let attribute = |name: &str| field(name, "attribute", "string");
            json!({
                "kind": "signoz/ListPanel",
                "spec": {
                    "selectFields": [
                        field("timestamp", "log", ""),
                        field(SERVICE, "resource", "string"),
                        attribute(MODEL),
                        attribute("spanmill.error.class"),
                        attribute("error.type"),
                        field("body", "log", ""),
                        field("trace_id", "log", ""),
                    ],
                },
            })
        }
    }
}

fn thresholds(panel: &Panel) -> Vec<Value> {
    let threshold = |(value, color): (f64, &str)| json!({ "value": value, "operator": "above", "unit": "percentunit", "color": color, "format": "text" });
    panel
        .thresholds
        .into_iter()
        .flat_map(|values| values.into_iter().zip(["#F5B225", "#F56C87"]))
        .map(threshold)
        .collect()
}

/// How a query is asked in a panel: for one number a group, or for its course.
#[derive(Clone, Copy)]
struct Shape<'a> {
    semconv: Semconv,
    is_scalar: bool,
    by: &'a [&'a str],
    legend: &'a str,
}

fn query(panel: &Panel, semconv: Semconv) -> Value {
    let is_scalar = !panel.view.is_over_time();
    let legend = panel.by.iter().map(|attribute| format!("{{{{{attribute}}}}}")).collect::<Vec<_>>().join(" ");
    let shape = Shape { semconv, is_scalar, by: panel.by, legend: &legend };
    let (kind, plugin) = match panel.query {
        Query::ErrorRecords => ("raw", builder(error_records())),
        Query::Growth(measure) => (kind(is_scalar), builder(shape.grown("A", measure, "increase", false))),
        Query::Rate(measure) => (kind(is_scalar), builder(shape.grown("A", measure, "rate", false))),
        Query::Latest(metric) => (kind(is_scalar), builder(shape.latest("A", metric, false))),
        Query::Fill(part, whole) => {
            (kind(is_scalar), shape.quotient(shape.latest("A", part, true), shape.latest("B", whole, true)))
        }
        Query::Share(part, whole) => {
            let (part, whole) = (shape.grown("A", part, "increase", true), shape.grown("B", whole, "increase", true));
            (kind(is_scalar), shape.quotient(part, whole))
        }
        Query::Percentiles(metric, filters, &[percent]) => {
            (kind(is_scalar), builder(shape.percentile("A", metric, filters, percent)))
        }
        Query::Percentiles(metric, filters, percentiles) => {
            let names = ('A'..='Z').map(String::from);
            let queries = percentiles.iter().zip(names).map(|(percent, name)| {
                let legend = format!("p{percent} {legend}");
                let shape = Shape { legend: legend.trim_end(), ..shape };
                ("builder_query", shape.percentile(&name, metric, filters, *percent))
            });
            (kind(is_scalar), composite(queries))
        }
    };
    json!({ "kind": kind, "spec": { "name": "A", "plugin": plugin } })
}

fn kind(is_scalar: bool) -> &'static str {
    if is_scalar { "scalar" } else { "time_series" }
}

fn builder(spec: Value) -> Value {
    json!({ "kind": "signoz/BuilderQuery", "spec": spec })
}

fn composite(queries: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let queries: Vec<Value> = queries.into_iter().map(|(kind, spec)| json!({ "type": kind, "spec": spec })).collect();
    json!({ "kind": "signoz/CompositeQuery", "spec": { "queries": queries } })
}

impl Shape<'_> {
    fn grown(self, name: &str, measure: Measure, over_time: &str, is_disabled: bool) -> Value {
        let Measure { metric, part, filters } = measure;
        let suffix = match part {
            Part::Value => "",
            Part::Count => ".count",
        };
        self.asked(name, (metric, suffix), filters, (over_time, "sum"), is_disabled)
    }

    fn latest(self, name: &str, metric: &Metric, is_disabled: bool) -> Value {
        self.asked(name, (metric, ""), &[], ("latest", "sum"), is_disabled)
    }

    /// The query A as a part of the query B.
    fn quotient(self, part: Value, whole: Value) -> Value {
        let formula = json!({ "name": "F1", "expression": "A / B", "disabled": false, "legend": self.legend });
        composite([("builder_query", part), ("builder_query", whole), ("builder_formula", formula)])
    }

    fn percentile(self, name: &str, metric: &Metric, filters: &[Filter], percent: u8) -> Value {
        self.asked(name, (metric, ".bucket"), filters, ("", &format!("p{percent}")), false)
    }

    fn asked(
        self,
        name: &str,
        (metric, suffix): (&Metric, &str),
        filters: &[Filter],
        (over_time, over_series): (&str, &str),
        is_disabled: bool,
    ) -> Value {
        let mut aggregation = json!({
            "metricName": format!("{}{suffix}", metric.name(self.semconv).otel),
            // whichever it was stored with
            "temporality": "",
            "timeAggregation": over_time,
            "spaceAggregation": over_series,
        });
        if self.is_scalar {
            aggregation["reduceTo"] = json!("sum");
        }
        let group_by: Vec<Value> = self.by.iter().map(|attribute| group_key(attribute)).collect();
        json!({
            "name": name,
            "signal": "metrics",
            "source": "",
            "aggregations": [aggregation],
            "disabled": is_disabled,
            "filter": { "expression": filter(metric.subject, filters) },
            "groupBy": group_by,
            "order": [],
            "having": { "expression": "" },
            "functions": [],
            "legend": self.legend,
        })
    }
}

fn group_key(attribute: &str) -> Value {
    let is_of_resource = VARIABLES.iter().any(|known| known.attribute == attribute && known.is_of_resource);
    let context = if is_of_resource { "resource" } else { "attribute" };
    json!({ "name": attribute, "signal": "metrics", "fieldContext": context, "fieldDataType": "string" })
}

/// Conditions and the choice of the variables. SigNoz leaves out the condition of a variable that is set to all.
fn filter(subject: Subject, filters: &[Filter]) -> String {
    let own = filters.iter().map(|filter| match filter {
        Filter::Is(attribute, value) => format!("{attribute} = '{value}'"),
        Filter::IsNot(attribute, value) => format!("{attribute} != '{value}'"),
        Filter::OneOf(attribute, values) => format!("{attribute} IN ('{}')", values.join("', '")),
        Filter::Exists(attribute) => format!("{attribute} EXISTS"),
    });
    let variables = VARIABLES.iter().filter(|variable| variable.selects(subject));
    let chosen = variables.map(|variable| format!("{} IN ${}", variable.attribute, variable.name));
    own.chain(chosen).collect::<Vec<_>>().join(" AND ")
}

/// The newest error records. They tell all that their call tells, its resource included.
fn error_records() -> Value {
    // Other log records carry no such group.
    let expression = filter(Subject::Calls, &[Filter::Exists("spanmill.error.group")]);
    let newest = json!({ "name": "timestamp", "signal": "logs", "fieldContext": "log", "fieldDataType": "" });
    json!({
        "name": "A",
        "signal": "logs",
        "source": "",
        "disabled": false,
        "filter": { "expression": expression },
        "order": [{ "key": newest, "direction": "desc" }],
        "limit": RECORDS,
        "legend": "",
    })
}
