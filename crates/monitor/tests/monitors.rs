//! What is done to monitors, and what they tell.

use genai::ErrorClass;
use spanmill_monitor::*;

const START: u64 = 1_800_000_000 * SECOND;

fn of_service(service: &str) -> Selector {
    Selector { service: Some(service.into()), ..Selector::default() }
}

fn config() -> Config {
    let errors = Condition::Field { field: Field::ErrorRate, side: Side::Above, threshold: AlertThreshold::Fixed(0.5) };
    Config {
        monitors: vec![MonitorDefinition::new("checkout", of_service("checkout"))],
        alerts: vec![
            AlertRule { lasts: MINUTE, ..AlertRule::new("errors", "checkout", errors) },
            AlertRule::new("silence", "checkout", Condition::NoData),
        ],
        ..Config::default()
    }
}

/// Tells of a call each second.
fn tell(monitoring: &mut Monitoring, from: u64, until: u64, error: Option<ErrorClass>) {
    for at in (from..until).step_by(SECOND as usize) {
        monitoring.record(at, &Call { service: "checkout", error, duration: Some(SECOND), ..Call::default() });
    }
    monitoring.advance(until);
}

fn kinds(monitoring: &Monitoring) -> Vec<(&str, NotificationKind)> {
    monitoring.notifications().map(|told| (&*told.incident.alert, told.kind)).collect()
}

// A paused monitor stands still: its snapshot stays, its alerts neither fire nor end, and the time of the pause is none for which
// a condition held; its calls are counted all the same.
#[test]
fn a_paused_monitor_stands_still() {
    let mut monitoring = Monitoring::new(&config()).unwrap();
    tell(&mut monitoring, START, START + 50 * SECOND, Some(ErrorClass::Timeout));
    monitoring.apply(START + 50 * SECOND, Command::Pause("checkout".into())).unwrap();
    tell(&mut monitoring, START + 50 * SECOND, START + 5 * MINUTE, Some(ErrorClass::Timeout));
    let monitor = monitoring.monitor("checkout").unwrap();
    assert_eq!((monitor.snapshot().unwrap().at, monitoring.incidents().count()), (START + 50 * SECOND, 0));
    monitoring.apply(START + 5 * MINUTE, Command::Activate("checkout".into())).unwrap();
    tell(&mut monitoring, START + 5 * MINUTE, START + 7 * MINUTE, Some(ErrorClass::Timeout));
    let incident = monitoring.incidents().next().unwrap();
    assert_eq!((incident.since, incident.fired), (START + 310 * SECOND, START + 370 * SECOND));
    assert_eq!(monitoring.monitor("checkout").unwrap().snapshot().unwrap().requests, 300);
}

// Archiving ends what fires and tells so; nothing is added any more, and the history stays.
#[test]
fn an_archived_monitor_has_its_history() {
    let mut monitoring = Monitoring::new(&config()).unwrap();
    tell(&mut monitoring, START, START + 2 * MINUTE, Some(ErrorClass::Timeout));
    monitoring.apply(START + 2 * MINUTE, Command::Archive("checkout".into())).unwrap();
    assert_eq!(kinds(&monitoring), [("errors", NotificationKind::Firing), ("errors", NotificationKind::Resolved)]);
    assert_eq!(monitoring.incidents().next().unwrap().resolved, Some((START + 2 * MINUTE, Resolution::Withdrawn)));
    tell(&mut monitoring, START + 2 * MINUTE, START + 20 * MINUTE, Some(ErrorClass::Timeout));
    let points =
        monitoring.monitor("checkout").unwrap().points(monitoring.now(), Range { from: START, to: u64::MAX }, HOUR);
    assert_eq!(points.iter().map(|point| point.stats.requests).sum::<u64>(), 120);
    assert_eq!(kinds(&monitoring).len(), 2);
}

// Whoever is muted is told when the mute ends, if it still fires then; of an incident that came and went, nothing is told.
#[test]
fn mute_is_not_forgetting() {
    let mut monitoring = Monitoring::new(&config()).unwrap();
    monitoring.apply(START, Command::Mute("checkout".into(), START + 30 * MINUTE)).unwrap();
    tell(&mut monitoring, START, START + 5 * MINUTE, Some(ErrorClass::Timeout));
    tell(&mut monitoring, START + 5 * MINUTE, START + 20 * MINUTE, None);
    assert_eq!((monitoring.incidents().count(), kinds(&monitoring).len()), (1, 0));
    tell(&mut monitoring, START + 20 * MINUTE, START + 40 * MINUTE, Some(ErrorClass::Timeout));
    assert_eq!(kinds(&monitoring), [("errors", NotificationKind::Firing)]);
    assert_eq!(monitoring.notifications().next().unwrap().at, START + 30 * MINUTE);
    let id = monitoring.notifications().next().unwrap().id.clone();
    monitoring.apply(monitoring.now(), Command::Acknowledge(id)).unwrap();
    assert!(kinds(&monitoring).is_empty());
}

// Silence is no alert before there was ever a call, and it is one when a window is empty, to the step.
#[test]
fn silence_is_told_of_those_who_spoke() {
    let mut monitoring = Monitoring::new(&config()).unwrap();
    tell(&mut monitoring, START, START, None);
    monitoring.advance(START + HOUR);
    assert_eq!((monitoring.incidents().count(), monitoring.monitor("checkout").unwrap().health()), (0, Health::NoData));
    tell(&mut monitoring, START + HOUR, START + HOUR + SECOND, None);
    monitoring.advance(START + 2 * HOUR);
    let incident = monitoring.incidents().next().unwrap();
    assert_eq!((&*incident.alert, incident.fired), ("silence", START + HOUR + 5 * MINUTE + 10 * SECOND));
}

// A baseline is known when it covers a window, and what grows with the window is compared as if it were of one.
#[test]
fn baselines_are_of_the_length_of_a_window() {
    let mut config = config();
    let threshold = AlertThreshold::Baseline { factor: 1.0, length: 6 * HOUR };
    config.alerts[0].condition = Condition::Field { field: Field::TotalRequests, side: Side::Above, threshold };
    let mut monitoring = Monitoring::new(&config).unwrap();
    tell(&mut monitoring, START + 14 * MINUTE, START + 30 * MINUTE, None);
    assert_eq!(monitoring.alerts()[0].reading(), None);
    tell(&mut monitoring, START + 30 * MINUTE, START + 35 * MINUTE, None);
    assert_eq!(monitoring.alerts()[0].reading(), Some((300.0, 300.0)));
}

// Monitors are made, found by what they select, and removed; what cannot be is refused.
#[test]
fn monitors_are_made_and_removed() {
    let mut monitoring = Monitoring::new(&config()).unwrap();
    tell(&mut monitoring, START, START + MINUTE, None);
    let made = |name: &str| Command::Create(Box::new(MonitorDefinition::new(name, of_service("check*"))));
    monitoring.apply(START + MINUTE, made("made")).unwrap();
    tell(&mut monitoring, START + MINUTE, START + 2 * MINUTE, None);
    assert_eq!(monitoring.monitor("made").unwrap().snapshot().unwrap().requests, 60);
    for (command, error) in [
        (made("made"), CommandError::Exists("made".into())),
        (made(""), CommandError::BadName),
        (Command::Pause("x".into()), CommandError::Unknown("x".into())),
        (Command::Remove("checkout".into()), CommandError::Configured("checkout".into())),
    ] {
        assert_eq!(monitoring.apply(START + 2 * MINUTE, command), Err(error));
    }
    monitoring.apply(START + 2 * MINUTE, Command::Remove("made".into())).unwrap();
    tell(&mut monitoring, START + 2 * MINUTE, START + 3 * MINUTE, None);
    assert_eq!(
        (monitoring.monitors().len(), monitoring.monitor("checkout").unwrap().snapshot().unwrap().requests),
        (1, 180)
    );
    (2..=MOST_MONITORS).for_each(|number| monitoring.apply(START + HOUR, made(&number.to_string())).unwrap());
    assert_eq!(monitoring.apply(START + HOUR, made("one more")), Err(CommandError::TooMany));
}

// A latency objective counts the calls that did not fail and tell how long they took, to the nanosecond.
#[test]
fn latency_objectives_are_exact() {
    let slo = SloDefinition::new("fast", "checkout", Objective::Latency(SECOND), 0.9);
    let mut monitoring = Monitoring::new(&Config { slos: vec![slo], ..config() }).unwrap();
    for (duration, error) in [
        (Some(SECOND), None),
        (Some(SECOND + 1), None),
        (None, None),
        (Some(SECOND + 1), Some(ErrorClass::Timeout)),
        (Some(1), None),
    ] {
        monitoring.record(START, &Call { service: "checkout", duration, error, ..Call::default() });
    }
    let status = monitoring.slos()[0].status(START + SECOND);
    assert_eq!(status.budget, Budget { total: 3, bad: 1 });
    assert!((status.left.unwrap() - (1.0 - 1.0 / 0.3)).abs() < 1e-9);
}

type Change = Box<dyn FnOnce(&mut Config)>;

/// A configuration that was changed.
fn changed(change: impl FnOnce(&mut Config)) -> Result<(), ConfigError> {
    let mut config = Config {
        slos: vec![SloDefinition::new("slo", "checkout", Objective::Availability, 0.99)],
        charts: vec![ChartDefinition::new("chart", "checkout", Field::Cost)],
        drifts: vec![DriftDefinition::new("checkout")],
        canaries: vec![CanaryDefinition::new("canary", "checkout", "1", "2")],
        ..config()
    };
    change(&mut config);
    config.check()
}

// A configuration that contradicts itself is refused, and the error says where.
#[test]
fn contradictions_are_refused() {
    assert_eq!(changed(|_| {}), Ok(()));
    let chart = || Condition::OutOfControl { chart: "x".into(), rules: ChartRule::ALL.into() };
    let wrong: [(&str, Change); 11] = [
        ("monitors", Box::new(|config| config.monitors.push(config.monitors[0].clone()))),
        ("monitors", Box::new(|config| config.monitors[0].name.clear())),
        ("alerts", Box::new(|config| config.alerts[0].monitor = "x".into())),
        ("alerts", Box::new(|config| config.alerts[1].name = "slo burns 6x".into())),
        ("alerts", Box::new(move |config| config.alerts[0].condition = chart())),
        (
            "alerts",
            Box::new(|config| config.alerts[0].condition = Condition::Drift { tokens: Tokens::Input, above: f64::NAN }),
        ),
        ("slos", Box::new(|config| config.slos[0].target = 1.0)),
        ("slos", Box::new(|config| config.slos[0].burn_alerts[0].window = MINUTE)),
        ("charts", Box::new(|config| config.charts[0].step = 15 * SECOND)),
        ("drifts", Box::new(|config| config.drifts[0].reference = 31 * DAY)),
        ("canaries", Box::new(|config| config.canaries[0].canary = "1".into())),
    ];
    for (number, (section, change)) in wrong.into_iter().enumerate() {
        assert_eq!(changed(change).map_err(|error| error.section), Err(section), "{number}");
    }
}
