//! What is watched, as it is written.

use monitor::{
    AlertThreshold, Condition, Field, HealthRules, MINUTE, Objective, Period, SECOND, Severity, Side, Tokens, Verdict,
    Versions, Window,
};

use super::*;

const EVERYTHING: &str = r#"
derive: { dimensions: [service.version, server.address] }
monitors:
  - name: chat
    select: { service: shop, model: gpt-4o, service_version: "2" }
    window: 1h
    health: llm
    minimum_requests: 7
    cold_starts: { idle: 10m, factor: 4 }
    charts: [{ name: failures, field: error_rate, step: 1m, learning: 60 }]
    drift: { window: 2h }
    canaries: [{ name: v2, versions: response_model, baseline: gpt-4o, canary: gpt-4o-mini }]
  - { name: all, thresholds: { error_rate: { warning: 0.01, critical: 0.02 }, cost: { warning: 5, critical: 9 } } }
  - { name: some, thresholds: { error_rate: null } }
alerts:
  - { name: slow, monitor: chat, when: { field: latency_p99, above: 60 }, for: 5m, severity: critical, repeat: 4h }
  - { name: slower, monitor: chat, when: { field: time_to_first_token_p95, above: 2, baseline: 1d } }
  - { name: silent, monitor: all, when: { no_data: true } }
  - { name: odd, monitor: chat, when: { chart: failures, rules: [outside, trend] } }
  - { name: drifting, monitor: chat, when: { drift: input } }
  - { name: worse, monitor: chat, when: { canary: v2, verdict: marginal } }
slos:
  - { name: works, monitor: chat, target: 0.99, period: 28d }
  - { name: fast, monitor: chat, objective: latency, within: 20s, target: 0.9, burn_alerts: [] }
"#;

// Guarantees that everything which can be watched can be written, and what it means.
#[test]
fn everything_can_be_written() {
    let config = load(EVERYTHING).unwrap().config;
    let watched = config.watched();
    watched.check().unwrap();
    let [chat, all, some] = &watched.monitors[..] else { panic!("{:?}", watched.monitors) };
    assert_eq!((chat.window, chat.cold_starts.idle, chat.cold_starts.factor), (Window::Hour, 10 * MINUTE, 4.0));
    assert_eq!((chat.selector.service.as_deref(), chat.selector.service_version.as_deref()), (Some("shop"), Some("2")));
    assert_eq!(chat.health, HealthRules { minimum_requests: 7, ..HealthRules::llm() });
    assert_eq!(all.window, Window::FiveMinutes);
    let judged = |monitor: &monitor::MonitorDefinition| {
        let thresholds = monitor.health.thresholds.iter();
        thresholds.map(|threshold| (threshold.field, threshold.critical)).collect::<Vec<_>>()
    };
    assert_eq!(
        judged(all),
        [(Field::ErrorRate, 0.02), (Field::LatencyP99, 1.0), (Field::Cost, 9.0)],
        "the preset's stay"
    );
    assert_eq!(judged(some), [(Field::LatencyP99, 1.0)]);
    let charts = [("failures", Field::ErrorRate, MINUTE, 60)];
    assert!(watched.charts.iter().map(|chart| (&*chart.name, chart.field, chart.step, chart.learning)).eq(charts));
    assert_eq!((watched.drifts[0].window, watched.drifts[0].minimum_requests), (120 * MINUTE, 200));
    assert_eq!((watched.canaries[0].versions, &*watched.canaries[0].canary), (Versions::ResponseModel, "gpt-4o-mini"));

    let conditions: Vec<_> = watched.alerts.iter().map(|alert| alert.condition.clone()).collect();
    let day = 24 * 60 * MINUTE;
    let field = |field, threshold| Condition::Field { field, side: Side::Above, threshold };
    let expected = [
        field(Field::LatencyP99, AlertThreshold::Fixed(60.0)),
        field(Field::TimeToFirstTokenP95, AlertThreshold::Baseline { factor: 2.0, length: day }),
        Condition::NoData,
        Condition::OutOfControl {
            chart: "failures".to_owned(),
            rules: vec![monitor::ChartRule::Outside, monitor::ChartRule::Trend],
        },
        Condition::Drift { tokens: Tokens::Input, above: 0.25 },
        Condition::Canary { canary: "v2".to_owned(), verdict: Verdict::Marginal },
    ];
    assert_eq!(conditions, expected);
    let slow = &watched.alerts[0];
    assert_eq!((slow.lasts, slow.severity, slow.repeat), (5 * MINUTE, Severity::Critical, Some(240 * MINUTE)));
    assert_eq!((watched.slos[0].period, watched.slos[0].burn_alerts.len()), (Period::FourWeeks, 3));
    assert_eq!((watched.slos[1].objective, watched.slos[1].burn_alerts.len()), (Objective::Latency(20 * SECOND), 0));

    let written = effective_yaml(&config).unwrap();
    assert_eq!(load(&written).unwrap().config, config, "{written}");
}

// Guarantees that what contradicts itself is refused by name and line.
#[test]
fn contradictions_are_named() {
    for (source, expected) in [
        (
            "monitors: [{ name: a, window: 2m }]",
            r#"1:23: "monitors[0].window": expected one of 5m, 15m, 1h, 6h, 1d, found "2m""#,
        ),
        (
            "monitors: [{ name: a, select: { service_version: \"2\" } }]",
            r#"1:12: "monitors[0]": service.version must stand in derive.dimensions or metrics.resource_attributes for that"#,
        ),
        ("monitors: [{ name: a }, { name: a }]", r#"1:25: monitors: "a": the name stands twice"#),
        (
            "monitors: [{ name: a }]\nalerts: [{ name: b, monitor: c, when: { no_data: true } }]",
            r#"2:10: alerts: "b": there is no such monitor"#,
        ),
        (
            "monitors: [{ name: a }]\nalerts: [{ name: b, monitor: a, when: { field: cost, above: 1, below: 2 } }]",
            r#"2:33: "alerts[0].when": a field wants either "above" or "below", found a mapping"#,
        ),
        (
            "monitors: [{ name: a, thresholds: { cost: { warning: 2, critical: 1 } } }]",
            r#"1:12: monitors: "a": a warning begins above what is critical, or is no number"#,
        ),
        (
            "monitors:\n- name: a\n- { name: b, thresholds: { error_rate: { warning: 5, critical: 10 } } }",
            r#"3:3: monitors: "b": a share is between 0 and 1: 5 % are 0.05"#,
        ),
        (
            "monitors: [{ name: a }]\nalerts:\n- { name: b, monitor: a, when: { field: cache_share, below: 20 } }",
            r#"3:3: alerts: "b": a share is between 0 and 1: 5 % are 0.05"#,
        ),
        (
            "monitors: [{ name: a }]\nslos: [{ name: b, monitor: a, objective: latency, target: 0.9 }]",
            r#"2:8: "slos[0]": "within" is missing"#,
        ),
    ] {
        assert_eq!(load(source).unwrap_err(), format!("spanmill.yaml:{expected}"), "{source}");
    }
}

// Guarantees that the examples in the annotated file work.
#[test]
fn the_annotated_examples_are_supported() {
    let annotated = include_str!("../../../../../config/spanmill.yaml");
    let watched = annotated.lines().skip_while(|line| !line.starts_with("monitors:"));
    let uncommented = watched.map(|line| {
        let line = line.strip_suffix(" []").unwrap_or(line);
        line.strip_prefix('#').unwrap_or(line)
    });
    let source: Vec<&str> = std::iter::once("derive: { dimensions: [service.version] }").chain(uncommented).collect();
    let config = load(&source.join("\n")).unwrap().config;
    assert_eq!((config.monitors.len(), config.alerts.len(), config.slos.len()), (1, 6, 2));
}
