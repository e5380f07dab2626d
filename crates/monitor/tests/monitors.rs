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

/// Tells nothing but the time, as the log does.
fn pass(monitoring: &mut Monitoring, until: u64) {
    while monitoring.now() < until {
        monitoring.advance(until.min(monitoring.now() + EVALUATION_STEP));
    }
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
    let monitor = monitoring.monitor("checkout").unwrap();
    assert_eq!(monitoring.over_time(monitor, Range { from: START, to: u64::MAX }, HOUR).total().requests, 120);
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

// Whoever was told that an alert fires is told that it does no more, though it was muted meanwhile.
#[test]
fn muted_alerts_end() {
    let mut monitoring = Monitoring::new(&config()).unwrap();
    tell(&mut monitoring, START, START + 5 * MINUTE, Some(ErrorClass::Timeout));
    monitoring.apply(START + 5 * MINUTE, Command::Mute("checkout".into(), START + HOUR)).unwrap();
    tell(&mut monitoring, START + 5 * MINUTE, START + 20 * MINUTE, None);
    assert_eq!(kinds(&monitoring), [("errors", NotificationKind::Firing), ("errors", NotificationKind::Resolved)]);
    tell(&mut monitoring, START + 20 * MINUTE, START + 40 * MINUTE, Some(ErrorClass::Timeout));
    assert_eq!(kinds(&monitoring).len(), 2);
    // The same of what somebody ends.
    let mut monitoring = Monitoring::new(&config()).unwrap();
    tell(&mut monitoring, START, START + 5 * MINUTE, Some(ErrorClass::Timeout));
    for command in [Command::Mute("checkout".into(), START + HOUR), Command::Archive("checkout".into())] {
        monitoring.apply(START + 5 * MINUTE, command).unwrap();
    }
    assert_eq!(kinds(&monitoring), [("errors", NotificationKind::Firing), ("errors", NotificationKind::Resolved)]);
}

// Silence is no alert before there was ever a call, and it is one when a window is empty, to the step.
#[test]
fn silence_is_told_of_those_who_spoke() {
    let mut monitoring = Monitoring::new(&config()).unwrap();
    tell(&mut monitoring, START, START, None);
    pass(&mut monitoring, START + HOUR);
    assert_eq!((monitoring.incidents().count(), monitoring.monitor("checkout").unwrap().health()), (0, Health::NoData));
    tell(&mut monitoring, START + HOUR, START + HOUR + SECOND, None);
    pass(&mut monitoring, START + 2 * HOUR);
    let incident = monitoring.incidents().next().unwrap();
    assert_eq!((&*incident.alert, incident.fired), ("silence", START + HOUR + 5 * MINUTE + 10 * SECOND));
}

/// Alerts on errors, on silence and on few calls.
fn watchful() -> Config {
    let few = Condition::Field { field: Field::RequestRate, side: Side::Below, threshold: AlertThreshold::Fixed(0.9) };
    let mut config = config();
    config.alerts.push(AlertRule::new("few", "checkout", few));
    config
}

// While nobody told the time, nobody knows what happened: after a stop of six minutes neither silence nor few calls are told until a
// whole window is known again, and a condition that held before is not one that held meanwhile. Another restart changes none of it.
#[test]
fn a_stop_is_no_silence() {
    let mut monitoring = Monitoring::new(&watchful()).unwrap();
    tell(&mut monitoring, START, START + 10 * MINUTE, None);
    tell(&mut monitoring, START + 10 * MINUTE, START + 10 * MINUTE + 160 * SECOND, Some(ErrorClass::Timeout));
    let since = START + 10 * MINUTE + 160 * SECOND;
    // The first calls were few.
    let told = kinds(&monitoring).len();
    assert_eq!(*monitoring.alerts()[0].phase(), Phase::Pending { since });
    let begin = since + 6 * MINUTE;
    let mut monitoring = Monitoring::restore(&watchful(), &monitoring.checkpoint()).unwrap();
    monitoring.advance(begin);
    assert_eq!(*monitoring.alerts()[0].phase(), Phase::Pending { since: begin });
    let mut monitoring = Monitoring::restore(&watchful(), &monitoring.checkpoint()).unwrap();
    tell(&mut monitoring, begin, begin + MINUTE, Some(ErrorClass::Timeout));
    assert_eq!(kinds(&monitoring)[told..], [("errors", NotificationKind::Firing)]);
    assert_eq!(monitoring.incidents().next().map(|incident| incident.fired), Some(begin + MINUTE));
    // Silence of which all of the window is known is told again.
    let mut silent = Monitoring::restore(&watchful(), &monitoring.checkpoint()).unwrap();
    pass(&mut silent, begin + 7 * MINUTE);
    let fired =
        |alert: &str| silent.incidents().find(|incident| incident.alert == alert).map(|incident| incident.fired);
    assert_eq!([fired("few"), fired("silence")], [Some(begin + 5 * MINUTE), Some(begin + 6 * MINUTE)]);
}

// A stop that is shorter than a minute is none: silence is told to the step, and the time of what is pending goes on.
#[test]
fn a_short_stop_is_not_to_be_seen() {
    let mut monitoring = Monitoring::new(&config()).unwrap();
    tell(&mut monitoring, START, START + 30 * SECOND, Some(ErrorClass::Timeout));
    let mut monitoring = Monitoring::restore(&config(), &monitoring.checkpoint()).unwrap();
    tell(&mut monitoring, START + 80 * SECOND, START + 81 * SECOND, Some(ErrorClass::Timeout));
    let [errors] = &*monitoring.incidents().collect::<Vec<_>>() else { panic!("{:?}", kinds(&monitoring)) };
    assert_eq!((&*errors.alert, errors.since, errors.fired), ("errors", START + 10 * SECOND, START + 70 * SECOND));
    pass(&mut monitoring, START + 6 * MINUTE);
    let mut monitoring = Monitoring::restore(&config(), &monitoring.checkpoint()).unwrap();
    monitoring.advance(START + 7 * MINUTE);
    let silence = monitoring.incidents().find(|incident| incident.alert == "silence").unwrap();
    assert_eq!(silence.fired, START + 390 * SECOND);
}

// Silence that is told already stays so over a stop, and ends when somebody speaks.
#[test]
fn silence_goes_on_over_a_stop() {
    let mut monitoring = Monitoring::new(&config()).unwrap();
    tell(&mut monitoring, START, START + MINUTE, None);
    pass(&mut monitoring, START + 10 * MINUTE);
    monitoring.advance(START + 30 * MINUTE);
    pass(&mut monitoring, START + 40 * MINUTE);
    assert_eq!(kinds(&monitoring), [("silence", NotificationKind::Firing)]);
    tell(&mut monitoring, START + 40 * MINUTE, START + 41 * MINUTE, None);
    assert_eq!(kinds(&monitoring)[1..], [("silence", NotificationKind::Resolved)]);
}

// A chart has no point of a time of which not all is known.
#[test]
fn a_stop_makes_no_point() {
    let latency =
        ChartDefinition { step: MINUTE, learning: 2, ..ChartDefinition::new("latency", "checkout", Field::LatencyP50) };
    let mut monitoring = Monitoring::new(&Config { charts: vec![latency], ..config() }).unwrap();
    tell(&mut monitoring, START, START + 5 * MINUTE, None);
    tell(&mut monitoring, START + 390 * SECOND, START + 10 * MINUTE, None);
    let points = monitoring.charts()[0].points().map(|point| (point.at - START) / MINUTE);
    assert_eq!(points.collect::<Vec<_>>(), [3, 4, 5, 8, 9, 10]);
}

// However many monitors and canaries there are, what they keep has a bound: the oldest goes first, and the window of the newest snapshot is
// whole.
#[test]
fn what_monitors_keep_has_a_bound() {
    let monitors = (0..20).map(|number| MonitorDefinition::new(&number.to_string(), of_service("checkout")));
    let canary = |number: u32| CanaryDefinition {
        window: 3 * HOUR,
        ..CanaryDefinition::new(&number.to_string(), &number.to_string(), "", "2")
    };
    // They keep 360 steps of ten seconds each, and 180 of a minute.
    let history = HistoryConfig { memory: 40 * 400 * 50, ..HistoryConfig::default() };
    let (monitors, canaries) = (monitors.collect(), (0..20).map(canary).collect());
    let config = Config { history, monitors, canaries, ..Config::default() };
    let mut monitoring = Monitoring::new(&config).unwrap();
    tell(&mut monitoring, START, START + 3 * HOUR, None);
    let monitor = monitoring.monitor("7").unwrap();
    assert_eq!(monitor.snapshot().unwrap().requests, 300);
    let requests = |range: Range, step| monitoring.over_time(monitor, range, step).total().requests;
    assert_eq!(requests(Range::before(START + 3 * HOUR, 20 * MINUTE), 10 * SECOND), 1_200);
    assert!(requests(Range { from: START, to: u64::MAX }, MINUTE) < 3_600);
    assert!(monitoring.canaries()[7].report(monitoring.now()).baseline_requests < 3_600);
    // What is not known any more is told, also after a restart, and all that is told to be known is.
    let restored = Monitoring::restore(&config, &monitoring.checkpoint()).unwrap();
    assert_eq!(restored.own_reaches(), monitoring.own_reaches());
    assert!(monitoring.own_reaches()[1].is_cut && !monitoring.history().reaches()[2].is_cut);
    let answer = monitoring.over_time(monitor, Range { from: START, to: u64::MAX }, MINUTE);
    let total = answer.total().requests;
    assert!(answer.known_from > START && total < 10_800, "{answer:?}");
    let known = (START + 3 * HOUR - answer.known_from) / SECOND;
    assert!(total >= known, "{total} of {known}");
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
    // A time of which nothing is known is no time without calls.
    tell(&mut monitoring, START + 2 * HOUR, START + 2 * HOUR + 30 * MINUTE, None);
    assert_eq!(monitoring.alerts()[0].reading(), Some((300.0, 300.0)));
}

/// An alert on more calls than there usually are, on a monitor of checkout that the API makes.
fn more_than_usual(window: Window) -> (Box<MonitorDefinition>, Command) {
    let threshold = AlertThreshold::Baseline { factor: 2.0, length: HOUR };
    let more = Condition::Field { field: Field::TotalRequests, side: Side::Above, threshold };
    let definition = MonitorDefinition { window, ..MonitorDefinition::new("own", of_service("checkout")) };
    (Box::new(definition), Command::CreateAlert(Box::new(AlertRule::new("more", "own", more))))
}

/// The newest value and threshold of an alert.
fn reading_of(monitoring: &Monitoring, name: &str) -> Option<(f64, f64)> {
    monitoring.alerts().iter().find(|alert| alert.rule().name == name)?.reading()
}

// What is usual is told of the calls and of the window that a monitor has, also right after it was given others.
#[test]
fn baselines_are_of_the_monitor_as_it_is() {
    let mut monitoring = Monitoring::new(&config()).unwrap();
    let (definition, alert) = more_than_usual(Window::FiveMinutes);
    for command in [Command::Create(definition.clone()), alert] {
        monitoring.apply(START, command).unwrap();
    }
    tell(&mut monitoring, START, START + HOUR, None);
    assert_eq!(reading_of(&monitoring, "more"), Some((300.0, 600.0)));
    // Three times as many calls: it fires, and what is usual stands still.
    for at in (START + HOUR..START + HOUR + 8 * MINUTE).step_by(SECOND as usize) {
        (0..3).for_each(|_| monitoring.record(at, &Call { service: "checkout", ..Call::default() }));
    }
    let firing = |monitoring: &Monitoring| monitoring.incidents().filter(|incident| incident.alert == "more").count();
    assert_eq!(firing(&monitoring), 1);
    let now = START + HOUR + 8 * MINUTE;
    let longer = MonitorDefinition { window: Window::FifteenMinutes, ..*definition.clone() };
    monitoring.apply(now, Command::Replace(Box::new(longer.clone()))).unwrap();
    monitoring.advance(now + EVALUATION_STEP);
    let (_, threshold) = reading_of(&monitoring, "more").unwrap();
    assert!((threshold - 1_800.0).abs() < 1.0, "twice 15 minutes of a call a second: {threshold}");
    // Other calls: what was usual of the old ones says nothing.
    let other = MonitorDefinition { selector: of_service("check*"), ..longer };
    monitoring.apply(now + EVALUATION_STEP, Command::Replace(Box::new(other))).unwrap();
    tell(&mut monitoring, now + EVALUATION_STEP, now + 2 * EVALUATION_STEP, None);
    assert_eq!(reading_of(&monitoring, "more"), None);
}

// A baseline is of the time that is still kept: what was forgotten for lack of memory is no time without calls.
#[test]
fn baselines_are_of_what_is_kept() {
    let mut config = config();
    let names: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    config.monitors = names.iter().map(|name| MonitorDefinition::new(name, of_service("checkout"))).collect();
    let more = |length| {
        let threshold = AlertThreshold::Baseline { factor: 1.0, length };
        let condition = Condition::Field { field: Field::TotalRequests, side: Side::Above, threshold };
        AlertRule::new(&(length / MINUTE).to_string(), "7", condition)
    };
    config.alerts = [30 * MINUTE, HOUR, 6 * HOUR, DAY].map(more).into();
    // As above: ten-second steps fit, and few of the others.
    config.history = HistoryConfig { memory: 20 * 400 * 50, ..HistoryConfig::default() };
    let mut monitoring = Monitoring::new(&config).unwrap();
    tell(&mut monitoring, START, START + 3 * HOUR, None);
    assert!(monitoring.own_reaches()[1].is_cut && monitoring.own_reaches()[2].is_cut);
    for alert in monitoring.alerts() {
        let (value, threshold) = alert.reading().unwrap_or_else(|| panic!("{}", alert.rule().name));
        assert!(value == 300.0 && (threshold - 300.0).abs() < 1.0, "{}: {threshold}", alert.rule().name);
    }
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
        (made("made"), CommandError::Exists(Subject::Monitor, "made".into())),
        (made(""), CommandError::BadName(Subject::Monitor)),
        (Command::Pause("x".into()), CommandError::Unknown(Subject::Monitor, "x".into())),
        (Command::Remove("checkout".into()), CommandError::Configured(Subject::Monitor, "checkout".into())),
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
    assert_eq!(
        monitoring.apply(START + HOUR, made("one more")),
        Err(CommandError::TooMany(Subject::Monitor, MOST_MONITORS))
    );
}

/// An alert on errors above a share.
fn errors_above(share: f64) -> Box<AlertRule> {
    let threshold = AlertThreshold::Fixed(share);
    let condition = Condition::Field { field: Field::ErrorRate, side: Side::Above, threshold };
    Box::new(AlertRule::new("own", "checkout", condition))
}

// An alert that the API made fires, keeps on firing when it is only told otherwise how bad it is, and is withdrawn when it means
// something else or is forgotten; its monitor takes it along.
#[test]
fn alerts_are_made_and_removed() {
    let mut monitoring = Monitoring::new(&config()).unwrap();
    monitoring.apply(START, Command::CreateAlert(errors_above(0.1))).unwrap();
    tell(&mut monitoring, START, START + MINUTE, Some(ErrorClass::Timeout));
    let own = |monitoring: &Monitoring| {
        let told = kinds(monitoring).into_iter();
        told.filter(|(alert, _)| *alert == "own").map(|(_, kind)| kind).collect::<Vec<_>>()
    };
    assert_eq!(own(&monitoring), [NotificationKind::Firing]);
    let severe = AlertRule { severity: Severity::Critical, ..*errors_above(0.1) };
    monitoring.apply(START + MINUTE, Command::ReplaceAlert(Box::new(severe))).unwrap();
    assert_eq!(own(&monitoring), [NotificationKind::Firing]);
    monitoring.apply(START + MINUTE, Command::ReplaceAlert(errors_above(0.2))).unwrap();
    assert_eq!(own(&monitoring), [NotificationKind::Firing, NotificationKind::Resolved]);
    tell(&mut monitoring, START + MINUTE, START + 2 * MINUTE, Some(ErrorClass::Timeout));
    monitoring.apply(START + 2 * MINUTE, Command::RemoveAlert("own".into())).unwrap();
    assert_eq!(own(&monitoring).len(), 4);
    assert_eq!(monitoring.alerts().len(), 2);

    let made = MonitorDefinition::new("made", Selector::default());
    let slo = SloDefinition::new("own", "made", Objective::Availability, 0.9);
    let of_made = AlertRule { monitor: "made".into(), ..*errors_above(0.3) };
    for command in
        [Command::Create(Box::new(made)), Command::CreateAlert(Box::new(of_made)), Command::CreateSlo(Box::new(slo))]
    {
        monitoring.apply(START + 2 * MINUTE, command).unwrap();
    }
    assert_eq!((monitoring.alerts().len(), monitoring.slos().len()), (2 + 1 + BURN_ALERTS.len(), 1));
    monitoring.apply(START + 2 * MINUTE, Command::Remove("made".into())).unwrap();
    assert_eq!((monitoring.alerts().len(), monitoring.slos().len()), (2, 0));

    let wrong = |rule: AlertRule| Command::CreateAlert(Box::new(rule));
    let field = |command, monitoring: &mut Monitoring| match monitoring.apply(START + HOUR, command) {
        Err(CommandError::Invalid(error)) => error.field,
        other => panic!("{other:?}"),
    };
    let burn = Condition::BurnRate { slo: "own".into(), alert: BURN_ALERTS[0] };
    for (rule, expected) in [
        (AlertRule { monitor: "x".into(), ..*errors_above(0.1) }, "monitor"),
        (*errors_above(f64::NAN), "when.threshold"),
        (AlertRule { condition: burn, ..*errors_above(0.1) }, "when.kind"),
    ] {
        assert_eq!(field(wrong(rule), &mut monitoring), expected);
    }
    let configured = AlertRule { name: "errors".into(), ..*errors_above(0.1) };
    let refused = monitoring.apply(START + HOUR, Command::ReplaceAlert(Box::new(configured)));
    assert_eq!(refused, Err(CommandError::Configured(Subject::Alert, "errors".into())));
}

// An objective that the API made keeps what was counted while the same calls count, and begins anew when others do.
#[test]
fn objectives_are_made_anew() {
    let mut monitoring = Monitoring::new(&config()).unwrap();
    let slo = |objective, target| Box::new(SloDefinition::new("own", "checkout", objective, target));
    monitoring.apply(START, Command::CreateSlo(slo(Objective::Availability, 0.9))).unwrap();
    tell(&mut monitoring, START, START + MINUTE, None);
    monitoring.apply(START + MINUTE, Command::ReplaceSlo(slo(Objective::Availability, 0.5))).unwrap();
    tell(&mut monitoring, START + MINUTE, START + 2 * MINUTE, Some(ErrorClass::Timeout));
    let status = monitoring.slos()[0].status(START + 2 * MINUTE);
    assert_eq!((status.budget, status.left), (Budget { total: 120, bad: 60 }, Some(0.0)));
    monitoring.apply(START + 2 * MINUTE, Command::ReplaceSlo(slo(Objective::Latency(1), 0.5))).unwrap();
    tell(&mut monitoring, START + 2 * MINUTE, START + 3 * MINUTE, None);
    let status = monitoring.slos()[0].status(START + 3 * MINUTE);
    assert_eq!(status.budget, Budget { total: 60, bad: 60 });
}

// A monitor that the API made keeps what was counted while it means the same calls, and begins anew, with its objectives, when it means others:
// its alerts end then. One of the configuration is not changed.
#[test]
fn monitors_are_made_anew() {
    let mut monitoring = Monitoring::new(&config()).unwrap();
    let made = |selector, window| Box::new(MonitorDefinition { window, ..MonitorDefinition::new("own", selector) });
    let slo = SloDefinition { burn_alerts: vec![], ..SloDefinition::new("good", "own", Objective::Availability, 0.9) };
    let fails = Condition::Field { field: Field::ErrorRate, side: Side::Above, threshold: AlertThreshold::Fixed(0.5) };
    for command in [
        Command::Create(made(of_service("checkout"), Window::FiveMinutes)),
        Command::CreateSlo(Box::new(slo)),
        Command::CreateAlert(Box::new(AlertRule::new("fails", "own", fails))),
    ] {
        monitoring.apply(START, command).unwrap();
    }
    tell(&mut monitoring, START, START + MINUTE, Some(ErrorClass::Timeout));
    let counted = |monitoring: &Monitoring| {
        let requests =
            monitoring.monitor("own").unwrap().snapshot().map(|snapshot| (snapshot.length, snapshot.requests));
        let slo = monitoring.slos().iter().find(|slo| slo.definition().name == "good").unwrap();
        (requests, slo.status(monitoring.now()).budget.total)
    };
    let phase = |monitoring: &Monitoring| {
        let alert = monitoring.alerts().iter().find(|alert| alert.rule().name == "fails").unwrap();
        matches!(alert.phase(), Phase::Firing(_))
    };
    assert_eq!((counted(&monitoring), phase(&monitoring)), ((Some((5 * MINUTE, 60)), 60), true));

    let same = Command::Replace(made(of_service("checkout"), Window::Hour));
    monitoring.apply(START + MINUTE, same).unwrap();
    assert_eq!((counted(&monitoring), phase(&monitoring)), ((Some((HOUR, 60)), 60), true));

    monitoring.apply(START + 2 * MINUTE, Command::Pause("own".to_owned())).unwrap();
    let other = Command::Replace(made(of_service("check*"), Window::Hour));
    monitoring.apply(START + 2 * MINUTE, other).unwrap();
    assert_eq!((counted(&monitoring), phase(&monitoring)), ((None, 0), false));
    assert_eq!(monitoring.monitor("own").unwrap().state(), MonitorState::Paused);
    let over = monitoring.incidents().find(|incident| incident.alert == "fails").unwrap();
    assert_eq!(over.resolved, Some((START + 2 * MINUTE, Resolution::Withdrawn)));
    monitoring.apply(START + 2 * MINUTE, Command::Activate("own".to_owned())).unwrap();
    tell(&mut monitoring, START + 2 * MINUTE, START + 3 * MINUTE, None);
    assert_eq!((counted(&monitoring), phase(&monitoring)), ((Some((HOUR, 60)), 60), false));

    let named = |name: &str| Command::Replace(Box::new(MonitorDefinition::new(name, Selector::default())));
    let configured = CommandError::Configured(Subject::Monitor, "checkout".to_owned());
    assert_eq!(monitoring.apply(START + 3 * MINUTE, named("checkout")), Err(configured));
    let unknown = CommandError::Unknown(Subject::Monitor, "nothing".to_owned());
    assert_eq!(monitoring.apply(START + 3 * MINUTE, named("nothing")), Err(unknown));
}

// A monitor knows its calls from when on they are counted: since it was made, means other calls, or is archived no more; while it is, of none.
#[test]
fn a_monitor_knows_what_it_counted() {
    let mut monitoring = Monitoring::new(&config()).unwrap();
    tell(&mut monitoring, START, START + MINUTE, None);
    let made = |selector| Box::new(MonitorDefinition::new("own", selector));
    let of = |monitoring: &Monitoring, name: &str| {
        let answer =
            monitoring.over_time(monitoring.monitor(name).unwrap(), Range { from: START, to: u64::MAX }, MINUTE);
        (answer.known_from, answer.total().requests)
    };
    let mut at = START + MINUTE;
    for (command, is_anew, counted) in [
        (Command::Create(made(of_service("checkout"))), true, 60),
        (Command::Pause("own".into()), false, 120),
        (Command::Activate("own".into()), false, 180),
        (Command::Replace(made(of_service("check*"))), true, 60),
        (Command::Archive("own".into()), false, 60),
        (Command::Activate("own".into()), true, 120),
    ] {
        monitoring.apply(at, command.clone()).unwrap();
        let is_archived = matches!(command, Command::Archive(_));
        let (before, expected) = (of(&monitoring, "own").0, at);
        tell(&mut monitoring, at, at + MINUTE, None);
        at += MINUTE;
        let (known_from, requests) = of(&monitoring, "own");
        assert_eq!(requests, counted, "{command:?}");
        match is_archived {
            true => assert!(known_from >= at, "{command:?}"),
            false => assert_eq!(known_from, if is_anew { expected } else { before }, "{command:?}"),
        }
    }
    assert_eq!(of(&monitoring, "checkout"), (START, 7 * 60));
    // The same after a restart, at which the configuration has one more.
    let mut more = config();
    more.monitors.push(MonitorDefinition::new("new", Selector::default()));
    let restored = Monitoring::restore(&more, &monitoring.checkpoint()).unwrap();
    assert_eq!(
        ["own", "checkout"].map(|name| of(&restored, name)),
        ["own", "checkout"].map(|name| of(&monitoring, name))
    );
    assert_eq!(of(&restored, "new"), (restored.now(), 0));
}

// Another definition judges the newest snapshot at once, also that of a paused monitor, which stays: of the same window. Of another one a
// watched monitor has its snapshot at once, and a paused one none.
#[test]
fn snapshots_are_judged_by_what_is_defined() {
    let mut monitoring = Monitoring::new(&config()).unwrap();
    let made = |window, critical| {
        let threshold = Threshold { field: Field::TotalRequests, warning: critical, critical };
        let health = HealthRules { minimum_requests: 1, thresholds: vec![threshold] };
        Box::new(MonitorDefinition { window, health, ..MonitorDefinition::new("own", of_service("checkout")) })
    };
    let state = |monitoring: &Monitoring| {
        let monitor = monitoring.monitor("own").unwrap();
        (monitor.snapshot().map(|snapshot| (snapshot.at, snapshot.length, snapshot.requests)), monitor.health())
    };
    monitoring.apply(START, Command::Create(made(Window::FiveMinutes, 1e6))).unwrap();
    tell(&mut monitoring, START, START + 10 * MINUTE, Some(ErrorClass::Timeout));
    let now = START + 10 * MINUTE + 7 * SECOND;
    let of_five = Some((START + 10 * MINUTE, 5 * MINUTE, 300));
    for (command, expected) in [
        (Command::Replace(made(Window::FiveMinutes, 0.5)), (of_five, Health::Critical)),
        (Command::Replace(made(Window::Hour, 1e6)), (Some((START + 10 * MINUTE, HOUR, 600)), Health::Healthy)),
        (Command::Replace(made(Window::FiveMinutes, 1e6)), (of_five, Health::Healthy)),
        (Command::Pause("own".into()), (of_five, Health::Healthy)),
        (Command::Replace(made(Window::FiveMinutes, 0.5)), (of_five, Health::Critical)),
        (Command::Replace(made(Window::Hour, 0.5)), (None, Health::NoData)),
    ] {
        monitoring.apply(now, command.clone()).unwrap();
        assert_eq!(state(&monitoring), expected, "{command:?}");
    }
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

// What comes late adds its usage to what was counted, and is no call: no sample, nothing that counts for an objective, no end of silence.
#[test]
fn what_comes_late_is_no_call() {
    let slo = SloDefinition::new("good", "checkout", Objective::Availability, 0.9);
    let mut monitoring = Monitoring::new(&Config { slos: vec![slo], ..config() }).unwrap();
    monitoring.record(START, &Call { service: "checkout", is_late: true, duration: Some(SECOND), ..Call::default() });
    let monitor = monitoring.monitor("checkout").unwrap();
    assert_eq!((monitor.last_call(), monitor.samples().len()), (None, 0));
    assert_eq!(monitoring.slos()[0].status(START + SECOND).budget, Budget::default());
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
