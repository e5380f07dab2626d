//! The Grafana dashboard, in the classic model: it is imported and provisioned by every Grafana from 9 to 13.

use serde_json::{Value, json};

use crate::metric::{REQUESTS, Semconv, VARIABLES};
use crate::panel::{On, Panel, Query, Unit, View};
use crate::panels::{DESCRIPTION, SECTIONS, TITLE};
use crate::promql::{self, Context, label};

/// Grafana moves older ones forward itself.
const SCHEMA_VERSION: u32 = 39;
/// Columns of a page.
const COLUMNS: u32 = 24;
/// The shortest step: two samples of a scrape interval of up to a minute.
const SHORTEST_STEP: &str = "2m";

/// The whole time that is looked at.
const fn whole(semconv: Semconv) -> Context<'static> {
    Context { semconv, window: "$__range", window_seconds: "($__range_ms / 1000)", has_variables: true }
}

/// One step of it.
const fn step(semconv: Semconv) -> Context<'static> {
    Context { semconv, window: "$__interval", window_seconds: "($__interval_ms / 1000)", has_variables: true }
}

/// The dashboard as Grafana imports it.
pub(crate) fn dashboard(semconv: Semconv) -> Value {
    json!({
        "uid": "spanmill-genai",
        "title": TITLE,
        "description": DESCRIPTION,
        "tags": ["genai", "spanmill"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": true,
        "graphTooltip": 1,
        "refresh": "1m",
        "time": { "from": "now-6h", "to": "now" },
        "templating": { "list": variables(semconv) },
        "annotations": { "list": [] },
        "panels": panels(semconv),
    })
}

fn datasource() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

fn variables(semconv: Semconv) -> Vec<Value> {
    let datasource_variable = json!({
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "refresh": 1,
    });
    let others = VARIABLES.iter().map(|variable| {
        let values =
            format!("label_values({}_total, {})", REQUESTS.name(semconv).prometheus, label(variable.attribute));
        json!({
            "name": variable.name,
            "type": "query",
            "datasource": datasource(),
            "query": { "query": values, "refId": variable.name },
            "multi": true,
            "includeAll": true,
            // also series without the label
            "allValue": ".*",
            "current": { "text": ["All"], "value": ["$__all"] },
            // whenever the time that is looked at changes
            "refresh": 2,
            "sort": 1,
        })
    });
    [datasource_variable].into_iter().chain(others).collect()
}

/// Rows with their panels below them, filled from left to right.
fn panels(semconv: Semconv) -> Vec<Value> {
    let mut listed = Vec::new();
    let mut y = 0;
    for section in SECTIONS {
        let row = listed.len() + 1;
        listed.push(json!({
            "id": row,
            "type": "row",
            "title": section.title,
            "collapsed": false,
            "panels": [],
            "gridPos": { "x": 0, "y": y, "w": COLUMNS, "h": 1 },
        }));
        y += 1;
        let (mut x, mut row_height) = (0, 0);
        for panel in section.panels.iter().filter(|panel| panel.on != On::SigNoz) {
            let (width, height) = (panel.view.width() * 2, height(panel.view));
            if x + width > COLUMNS {
                (x, y, row_height) = (0, y + row_height, 0);
            }
            let id = listed.len() + 1;
            listed.push(one(panel, semconv, id, json!({ "x": x, "y": y, "w": width, "h": height })));
            x += width;
            row_height = row_height.max(height);
        }
        y += row_height;
    }
    listed
}

fn height(view: View) -> u32 {
    match view {
        View::Number => 4,
        View::Pie | View::Lines | View::Bars | View::List => 8,
    }
}

fn one(panel: &Panel, semconv: Semconv, id: usize, position: Value) -> Value {
    let mut written = json!({
        "id": id,
        "type": match panel.view {
            View::Number => "stat",
            View::Pie => "piechart",
            View::Lines | View::Bars => "timeseries",
            View::List => "table",
        },
        "title": panel.title,
        "description": panel.description,
        "datasource": datasource(),
        "gridPos": position,
        "targets": targets(panel, semconv),
        "fieldConfig": { "defaults": defaults(panel), "overrides": [] },
        "options": options(panel),
    });
    if panel.view.is_over_time() {
        written["interval"] = json!(SHORTEST_STEP);
    }
    written
}

fn targets(panel: &Panel, semconv: Semconv) -> Vec<Value> {
    let is_over_time = panel.view.is_over_time();
    let context = if is_over_time { step(semconv) } else { whole(semconv) };
    let labels: Vec<String> = panel.by.iter().map(|attribute| format!("{{{{{}}}}}", label(attribute))).collect();
    let targets = promql::expressions(panel.query, panel.by, context).into_iter().zip('A'..);
    let target = |((name, expression), reference): ((Option<String>, String), char)| {
        let legend = name.into_iter().chain(labels.iter().cloned()).collect::<Vec<_>>().join(" ");
        json!({
            "refId": reference.to_string(),
            "datasource": datasource(),
            "expr": expression,
            "legendFormat": if legend.is_empty() { panel.title } else { &legend },
            "range": is_over_time,
            "instant": !is_over_time,
            "exemplar": is_over_time && matches!(panel.query, Query::Percentiles(..)),
        })
    };
    targets.map(target).collect()
}

fn defaults(panel: &Panel) -> Value {
    let mut defaults = json!({
        "unit": match panel.unit {
            Unit::Number => "short",
            Unit::Seconds => "s",
            Unit::Dollars => "currencyUSD",
            Unit::Share => "percentunit",
            Unit::Bytes => "bytes",
        },
    });
    if panel.view.is_over_time() {
        let is_bars = panel.view == View::Bars;
        defaults["custom"] = json!({
            "drawStyle": if is_bars { "bars" } else { "line" },
            "fillOpacity": if is_bars { 80 } else { 10 },
            "lineWidth": 1,
            // and not a hard minimum, below which a number that should not be is not seen
            "axisSoftMin": 0,
            "showPoints": "auto",
            "stacking": { "mode": if is_bars { "normal" } else { "none" }, "group": "A" },
        });
    }
    if let Some([warning, critical]) = panel.thresholds {
        defaults["thresholds"] = json!({
            "mode": "absolute",
            "steps": [
                { "color": "green", "value": null },
                { "color": "orange", "value": warning },
                { "color": "red", "value": critical },
            ],
        });
    }
    defaults
}

fn options(panel: &Panel) -> Value {
    let last = json!({ "calcs": ["lastNotNull"], "fields": "", "values": false });
    match panel.view {
        View::Number => json!({
            "reduceOptions": last,
            "colorMode": if panel.thresholds.is_some() { "value" } else { "none" },
            "graphMode": "none",
            "textMode": "value",
        }),
        View::Pie => json!({
            "reduceOptions": last,
            "pieType": "donut",
            "legend": { "displayMode": "table", "placement": "right", "showLegend": true, "values": ["value", "percent"] },
        }),
        View::Lines | View::Bars => json!({
            "legend": { "displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": [] },
            "tooltip": { "mode": "multi", "sort": "desc" },
        }),
        View::List => json!({}),
    }
}
