//! Statistics against numpy and scipy: `statistics/expected.py` computed `statistics/expected.json`.

use genai::ErrorClass;
use serde::Deserialize;
use spanmill_monitor::*;

/// A multiple of every step.
const START: u64 = 1_800_000_000 * SECOND;

#[derive(Deserialize)]
struct Expected {
    canaries: Vec<ExpectedCanary>,
    drifts: Vec<ExpectedDrift>,
    chart: ExpectedChart,
    burn: ExpectedBurn,
}

#[derive(Deserialize)]
struct ExpectedCanary {
    baseline: Vec<u64>,
    canary: Vec<u64>,
    failed: [usize; 2],
    rank_p: f64,
    superiority: f64,
    error_z_squared: f64,
    error_p: f64,
}

#[derive(Deserialize)]
struct ExpectedDrift {
    reference: Vec<u64>,
    current: Vec<u64>,
    index: f64,
}

#[derive(Deserialize)]
struct ExpectedChart {
    learned: Vec<u64>,
    points: Vec<u64>,
    mean: f64,
    deviation: f64,
    outside: Vec<bool>,
    trend: Vec<bool>,
    one_side: Vec<bool>,
}

#[derive(Deserialize)]
struct ExpectedBurn {
    total: Vec<u64>,
    bad: Vec<u64>,
    times: Vec<usize>,
    rates: Vec<Vec<[f64; 2]>>,
    fires: Vec<Vec<bool>>,
    left: Vec<f64>,
}

fn expected() -> serde_json::Result<Expected> {
    serde_json::from_str(include_str!("statistics/expected.json"))
}

fn config() -> Config {
    Config { monitors: vec![MonitorDefinition::new("all", Selector::default())], ..Config::default() }
}

fn assert_close(told: f64, expected: f64) {
    assert!((told - expected).abs() <= 1e-9 * expected.abs().max(1e-9), "{told}, and {expected} is expected");
}

// The rank test equals scipy's Mann-Whitney test, ties included, and the test of error rates its chi-squared test.
#[test]
fn canaries_equal_scipy() {
    for case in expected().unwrap().canaries {
        let canary = CanaryDefinition::new("v2", "all", "1", "2");
        let mut monitoring = Monitoring::new(&Config { canaries: vec![canary], ..config() }).unwrap();
        for (version, durations, failed) in [("1", &case.baseline, case.failed[0]), ("2", &case.canary, case.failed[1])]
        {
            for (number, duration) in durations.iter().enumerate() {
                let error = (number < failed).then_some(ErrorClass::ServerError);
                let call = Call { service_version: version, duration: Some(*duration), error, ..Call::default() };
                monitoring.record(START, &call);
            }
        }
        let report = monitoring.canaries()[0].report(START + SECOND);
        let of = |figure| report.comparisons.iter().find(|comparison| comparison.figure == figure).unwrap();
        let (latency, errors) = (of("latency"), of("error_rate"));
        assert_close(latency.test.unwrap().p, case.rank_p);
        assert_close(latency.superiority.unwrap(), case.superiority);
        assert_close(errors.test.unwrap().z.powi(2), case.error_z_squared);
        assert_close(errors.test.unwrap().p, case.error_p);
    }
}

// The population stability index equals that of numpy over tenths of the reference.
#[test]
fn drift_equals_numpy() {
    for case in expected().unwrap().drifts {
        let drift =
            DriftDefinition { window: HOUR, reference: DAY, minimum_requests: 100, ..DriftDefinition::new("all") };
        let mut monitoring = Monitoring::new(&Config { drifts: vec![drift], ..config() }).unwrap();
        for (at, tokens) in [(START, &case.reference), (START + 2 * HOUR, &case.current)] {
            for tokens in tokens {
                monitoring.record(at, &Call { input_tokens: Some(*tokens), ..Call::default() });
            }
        }
        monitoring.advance(START + 2 * HOUR + MINUTE);
        let report = monitoring.drift("all").unwrap();
        assert_close(report.index[Tokens::Input as usize].unwrap(), case.index);
        assert_eq!(report.index[Tokens::Output as usize], None);
    }
}

// Limits and broken rules of a control chart equal those of numpy.
#[test]
fn charts_equal_numpy() {
    let case = expected().unwrap().chart;
    let chart = ChartDefinition {
        learning: case.learned.len(),
        step: MINUTE,
        minimum_requests: 1,
        ..ChartDefinition::new("calls", "all", Field::TotalRequests)
    };
    let mut monitoring = Monitoring::new(&Config { charts: vec![chart], ..config() }).unwrap();
    let mut at = START;
    for calls in case.learned.iter().chain(&case.points) {
        (0..*calls).for_each(|_| monitoring.record(at, &Call::default()));
        at += MINUTE;
    }
    monitoring.advance(at);
    let chart = &monitoring.charts()[0];
    let limits = chart.limits().unwrap();
    assert_close(limits.mean, case.mean);
    assert_close(limits.deviation, case.deviation);
    let points: Vec<&ChartPoint> = chart.points().collect();
    assert_eq!(points.len(), case.points.len());
    for (rule, expected) in ChartRule::ALL.into_iter().zip([case.outside, case.trend, case.one_side]) {
        let broken: Vec<bool> = points.iter().map(|point| point.broken.contains(&rule)).collect();
        assert_eq!(broken, expected, "{rule:?}");
    }
}

// Burn rates over all windows, the alerts that fire on them and the budget left equal those of numpy, whatever steps they are summed up from.
#[test]
fn burn_rates_equal_numpy() {
    let case = expected().unwrap().burn;
    let slo = SloDefinition::new("good", "all", Objective::Availability, 0.999);
    let mut monitoring = Monitoring::new(&Config { slos: vec![slo], ..config() }).unwrap();
    for (minute, (total, bad)) in (0usize..).zip(case.total.iter().zip(&case.bad)) {
        for number in 0..*total {
            let error = (number < *bad).then_some(ErrorClass::ServerError);
            monitoring.record(START + minute as u64 * MINUTE, &Call { error, ..Call::default() });
        }
        monitoring.advance(START + (minute as u64 + 1) * MINUTE);
        if let Some(place) = case.times.iter().position(|time| *time == minute + 1) {
            let status = monitoring.slos()[0].status(monitoring.now());
            assert_close(status.left.unwrap(), case.left[place]);
            for (told, expected) in status.burn_rates.iter().zip(&case.rates[place]) {
                assert_close(told[0].unwrap(), expected[0]);
                assert_close(told[1].unwrap_or_default(), expected[1]);
            }
            let is_firing = |alert: &Alert| matches!(alert.phase(), Phase::Firing(_));
            let fires: Vec<bool> = monitoring.alerts().iter().map(is_firing).collect();
            assert_eq!(fires, case.fires[place], "minute {}", minute + 1);
            let burn_down = monitoring.slos()[0].burn_down(monitoring.now());
            assert_close(burn_down.last().unwrap().1, case.left[place]);
        }
    }
}
