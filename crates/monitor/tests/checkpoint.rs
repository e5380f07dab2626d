//! A restart is not to be seen.

use genai::{ErrorClass, Money, TokenClasses};
use proptest::prelude::*;
use spanmill_monitor::*;

const START: u64 = 1_790_000_000 * SECOND;
const MILLISECOND: u64 = SECOND / 1_000;

/// Something of everything that can be configured.
fn config() -> Config {
    let checkout = Selector { service: Some("checkout".into()), ..Selector::default() };
    let day = MonitorDefinition { window: Window::Day, ..MonitorDefinition::new("all", Selector::default()) };
    let chart = ChartDefinition {
        learning: 4,
        minimum_requests: 1,
        step: MINUTE,
        ..ChartDefinition::new("latency", "checkout", Field::LatencyP50)
    };
    let errors = Condition::Field { field: Field::ErrorRate, side: Side::Above, threshold: AlertThreshold::Fixed(0.3) };
    let slow = Condition::Field {
        field: Field::LatencyP50,
        side: Side::Above,
        threshold: AlertThreshold::Baseline { factor: 1.5, length: HOUR },
    };
    let chart_rule = Condition::OutOfControl { chart: "latency".into(), rules: ChartRule::ALL.into() };
    let canary = Condition::Canary { canary: "v2".into(), verdict: Verdict::Marginal };
    let drift = Condition::Drift { tokens: Tokens::Input, above: 0.2 };
    let rules = [errors, slow, chart_rule, canary, drift, Condition::NoData];
    let alerts = (0..).zip(rules).map(|(number, condition)| AlertRule {
        lasts: MINUTE,
        repeat: Some(10 * MINUTE),
        ..AlertRule::new(&format!("rule {number}"), if number == 0 { "all" } else { "checkout" }, condition)
    });
    Config {
        monitors: vec![MonitorDefinition::new("checkout", checkout), day],
        alerts: alerts.collect(),
        slos: vec![SloDefinition::new("good", "checkout", Objective::Availability, 0.9)],
        charts: vec![chart],
        drifts: vec![DriftDefinition {
            minimum_requests: 5,
            reference: HOUR,
            window: 5 * MINUTE,
            ..DriftDefinition::new("checkout")
        }],
        canaries: vec![CanaryDefinition {
            limits: CanaryLimits { minimum_requests: 5, ..CanaryLimits::default() },
            ..CanaryDefinition::new("v2", "checkout", "1", "2")
        }],
        ..Config::default()
    }
}

/// What is told: calls, time, or a command.
#[derive(Debug, Clone)]
enum Word {
    Call { after: u64, service: &'static str, version: &'static str, duration: u64, fails: bool, tokens: u64 },
    Time { after: u64 },
    Command(Command),
}

/// An alert, as the API makes it.
fn alert(monitor: &str, tenth: u32) -> Box<AlertRule> {
    let threshold = AlertThreshold::Fixed(f64::from(tenth) / 10.0);
    let condition = Condition::Field { field: Field::ErrorRate, side: Side::Above, threshold };
    Box::new(AlertRule::new("own", monitor, condition))
}

/// An objective, as the API makes it.
fn objective(monitor: &str, tenth: u32) -> Box<SloDefinition> {
    let latency = Objective::Latency(u64::from(tenth % 2 + 1) * SECOND);
    Box::new(SloDefinition::new("own", monitor, latency, f64::from(tenth) / 10.0))
}

fn word() -> impl Strategy<Value = Word> {
    let after = || prop_oneof![20 => 0..20 * SECOND, 6 => 0..5 * MINUTE, 1 => 0..3 * HOUR];
    let call = (
        after(),
        prop_oneof![Just("checkout"), Just("search")],
        prop_oneof![Just("1"), Just("2")],
        1..4_000u64,
        any::<bool>(),
        1..500u64,
    )
        .prop_map(|(after, service, version, duration, fails, tokens)| Word::Call {
            after,
            service,
            version,
            duration,
            fails,
            tokens,
        });
    let name = || prop_oneof![Just("checkout".to_owned()), Just("made".to_owned())];
    let made = Selector { service_version: Some("2".into()), ..Selector::default() };
    let command = prop_oneof![
        Just(Command::Create(Box::new(MonitorDefinition::new("made", made.clone())))),
        Just(Command::Replace(Box::new(MonitorDefinition {
            window: Window::Hour,
            ..MonitorDefinition::new("made", made)
        }))),
        Just(Command::Replace(Box::new(MonitorDefinition::new("made", Selector::default())))),
        name().prop_map(Command::Pause),
        name().prop_map(Command::Activate),
        name().prop_map(Command::Archive),
        name().prop_map(Command::Remove),
        (name(), 0..HOUR).prop_map(|(name, length)| Command::Mute(name, START + length)),
        (name(), 1..9u32).prop_map(|(name, tenth)| Command::CreateAlert(alert(&name, tenth))),
        (name(), 1..9u32).prop_map(|(name, tenth)| Command::ReplaceAlert(alert(&name, tenth))),
        Just(Command::RemoveAlert("own".to_owned())),
        (name(), 1..9u32).prop_map(|(name, tenth)| Command::CreateSlo(objective(&name, tenth))),
        (name(), 1..9u32).prop_map(|(name, tenth)| Command::ReplaceSlo(objective(&name, tenth))),
        Just(Command::RemoveSlo("own".to_owned())),
    ];
    prop_oneof![60 => call, 10 => after().prop_map(|after| Word::Time { after }), 1 => command.prop_map(Word::Command)]
}

/// Tells all of it, from a time on; gives the time after it.
fn tell(monitoring: &mut Monitoring, mut now: u64, words: &[Word]) -> u64 {
    for word in words {
        match word {
            Word::Call { after, service, version, duration, fails, tokens } => {
                now += after;
                let tokens = TokenClasses { input_uncached: *tokens, output_visible: 7, ..TokenClasses::default() };
                let call = Call {
                    service,
                    service_version: version,
                    response_model: "gpt-4o",
                    duration: Some(duration * MILLISECOND),
                    time_to_first_token: Some(duration * MILLISECOND / 4),
                    error: fails.then_some(ErrorClass::Timeout),
                    tokens: Some(tokens),
                    input_tokens: Some(tokens.input_uncached),
                    output_tokens: Some(tokens.output_visible),
                    cost: Some(Money::from_pico(1_000)),
                    trace_id: u128::from(now).to_be_bytes(),
                    span_id: [1; 8],
                    ..Call::default()
                };
                monitoring.record(now, &call);
            }
            Word::Time { after } => {
                now += after;
                monitoring.advance(now);
            }
            Word::Command(command) => drop(monitoring.apply(now, command.clone())),
        }
    }
    now
}

/// All that the history knows, step by step.
fn everything() -> Query {
    Query {
        range: Range { from: 0, to: u64::MAX },
        step: 1,
        filter: Filter::default(),
        group_by: GroupBy { dimensions: Dimension::ALL.into(), measure: Measure::Requests, limit: 100 },
    }
}

// Nor is it before anything was counted or evaluated.
#[test]
fn a_restart_is_not_to_be_seen_at_the_beginning() {
    let mut one = Monitoring::new(&config()).unwrap();
    tell(&mut one, START, &[Word::Time { after: 0 }]);
    let other = Monitoring::restore(&config(), &one.checkpoint()).unwrap();
    assert_eq!(one.history().query(&everything()), other.history().query(&everything()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    // Whatever is told and wherever it is cut: what was restored from a checkpoint knows and tells what the one knows and tells that
    // went on. Snapshots, health, incidents, notifications, charts and every step of the history are compared.
    #[test]
    fn a_restart_is_not_to_be_seen(words in proptest::collection::vec(word(), 1..200), cut in any::<prop::sample::Index>()) {
        let cut = cut.index(words.len());
        let mut one = Monitoring::new(&config()).unwrap();
        let now = tell(&mut one, START, &words[..cut]);
        let mut other = Monitoring::restore(&config(), &one.checkpoint()).unwrap();
        prop_assert_eq!(other.checkpoint(), one.checkpoint());
        tell(&mut one, now, &words[cut..]);
        tell(&mut other, now, &words[cut..]);
        prop_assert_eq!(one.checkpoint(), other.checkpoint());
        prop_assert_eq!(one.history().query(&everything()), other.history().query(&everything()));
    }

    // Damage is an error, wherever it is; nothing panics.
    #[test]
    fn damage_is_refused(words in proptest::collection::vec(word(), 1..50), at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let mut monitoring = Monitoring::new(&config()).unwrap();
        tell(&mut monitoring, START, &words);
        let mut checkpoint = monitoring.checkpoint();
        let at = at.index(checkpoint.len());
        checkpoint[at] ^= 1 << bit;
        prop_assert!(Monitoring::restore(&config(), &checkpoint).is_err());
        prop_assert!(Monitoring::restore(&config(), &checkpoint[..at]).is_err());
    }
}

/// Tells of failing calls of the checkout, for five minutes.
fn fail(monitoring: &mut Monitoring) {
    let call = Word::Call { after: SECOND, service: "checkout", version: "1", duration: 100, fails: true, tokens: 9 };
    tell(monitoring, START, &vec![call; 300]);
}

// What the configuration no longer has is forgotten and its incident withdrawn, once; what it defines anew begins anew.
#[test]
fn a_changed_configuration_goes_on() {
    let mut before = Monitoring::new(&config()).unwrap();
    fail(&mut before);
    let firing: Vec<&str> = before.incidents().map(|incident| &*incident.alert).collect();
    assert!(firing.contains(&"rule 0") && firing.contains(&"good burns 1x"), "{firing:?}");
    let mut changed = config();
    changed.alerts.retain(|alert| alert.name != "rule 0");
    changed.slos[0].objective = Objective::Latency(SECOND);
    changed.monitors[0].window = Window::Hour;
    let after = Monitoring::restore(&changed, &before.checkpoint()).unwrap();
    let withdrawn = |monitoring: &Monitoring| {
        let told = monitoring.notifications().filter(|told| told.kind == NotificationKind::Resolved);
        told.filter(|told| told.incident.alert == "rule 0").count()
    };
    assert_eq!(withdrawn(&after), 1);
    let over = after.incidents().find(|incident| incident.alert == "rule 0").and_then(|incident| incident.resolved);
    assert_eq!(over, Some((after.now(), Resolution::Withdrawn)));
    assert_eq!(withdrawn(&Monitoring::restore(&changed, &after.checkpoint()).unwrap()), 1);
    assert_eq!(after.slos()[0].status(after.now()).budget.total, 0);
    assert_eq!(after.monitor("checkout").unwrap().window_stats(), before.monitor("checkout").unwrap().window_stats());
    let mut changed = config();
    changed.monitors[0].selector.service = Some("search".into());
    let after = Monitoring::restore(&changed, &before.checkpoint()).unwrap();
    assert_eq!(after.monitor("checkout").unwrap().last_call(), None);
    // So do its alerts.
    let silence = |kind: NotificationKind| {
        let told = after.notifications().filter(move |told| told.kind == kind && told.incident.monitor == "checkout");
        told.count()
    };
    assert_eq!(silence(NotificationKind::Firing), silence(NotificationKind::Resolved));
    let of_it = |alert: &&Alert| alert.rule().monitor == "checkout";
    assert!(after.alerts().iter().filter(of_it).all(|alert| *alert.phase() == Phase::Inactive));
    assert_eq!(after.slos()[0].status(after.now()).budget.total, 0);
    assert_eq!(after.forgotten_budgets(), [after.slos()[0].definition().name.clone()]);
    assert_eq!(after.history().totals(Range { from: 0, to: u64::MAX }, &Filter::default()).requests, 300);
}

// What the API made outlives a restart with more monitors in the configuration than the API could have made; what is about something that is
// gone, or has the name of something new, is left out, and that is told.
#[test]
fn what_the_api_made_outlives_new_monitors() {
    let made = |name: &str| Box::new(MonitorDefinition::new(name, Selector::default()));
    let of = |name: &str, monitor: &str| Box::new(AlertRule { name: name.into(), ..*alert(monitor, 1) });
    let mut before = Monitoring::new(&config()).unwrap();
    for command in [
        Command::Create(made("made")),
        Command::CreateAlert(of("on made", "made")),
        Command::CreateSlo(objective("made", 5)),
        Command::CreateAlert(of("on all", "all")),
        Command::CreateAlert(of("taken", "made")),
    ] {
        before.apply(START, command).unwrap();
    }
    let mut changed = config();
    changed.alerts.retain(|rule| rule.monitor != "all");
    changed.monitors.retain(|monitor| monitor.name != "all");
    changed.monitors.extend((2..MOST_MONITORS + 1).map(|number| *made(&number.to_string())));
    changed.alerts.push(*of("taken", "checkout"));
    let mut after = Monitoring::restore(&changed, &before.checkpoint()).unwrap();
    assert_eq!(after.monitors().len(), MOST_MONITORS + 1);
    let own = after.alerts().iter().filter(|alert| !alert.is_configured() && alert.objective().is_none());
    assert_eq!(own.map(|alert| &*alert.rule().name).collect::<Vec<_>>(), ["on made"]);
    assert!(after.slos().iter().any(|slo| slo.definition().name == "own"));
    assert!(after.forgotten_budgets().is_empty());
    let told: Vec<String> = after.left_out().iter().map(ToString::to_string).collect();
    assert_eq!(told, ["alerts: \"on all\": there is no such monitor", "alert \"taken\" is there already"]);
    after.apply(after.now(), Command::CreateAlert(of("one more", "made"))).unwrap();
}

// Whom a notification was delivered to outlives a restart, and what all have is delivered to nobody again: also where the records of
// the log are applied once more to an older checkpoint.
#[test]
fn deliveries_outlive_a_restart() {
    let mut one = Monitoring::new(&config()).unwrap();
    fail(&mut one);
    let older = one.checkpoint();
    let ids: Vec<String> = one.notifications().map(|told| told.id.clone()).collect();
    let [first, second, ..] = &*ids else { panic!("{ids:?}") };
    let delivered = |notification: &String| Command::Delivered {
        notification: notification.clone(),
        delivery: Delivery {
            notifier: "webhook/one".to_owned(),
            outcome: DeliveryOutcome::GivenUp,
            at: 12,
            attempts: 3,
            error: Some("http 503".to_owned()),
        },
    };
    let commands = [delivered(first), delivered(first), delivered(second), Command::Acknowledge(second.clone())];
    let deliver = |monitoring: &mut Monitoring| {
        for command in &commands {
            monitoring.apply(monitoring.now(), command.clone()).unwrap();
        }
    };
    let deliveries = |monitoring: &Monitoring| -> Vec<(String, Vec<Delivery>)> {
        let settled = monitoring.settled().map(|(id, through)| (id.to_owned(), through.to_vec()));
        monitoring.deliveries().map(|(told, through)| (told.id.clone(), through.to_vec())).chain(settled).collect()
    };
    deliver(&mut one);
    let Command::Delivered { delivery, .. } = delivered(first) else { panic!("another command") };
    let mut expected: Vec<(String, Vec<Delivery>)> = ids.iter().map(|id| (id.clone(), Vec::new())).collect();
    expected[0].1 = vec![delivery.clone()];
    expected.remove(1);
    // What became of the one that waits no more is kept.
    expected.push((second.clone(), vec![delivery]));
    assert_eq!(deliveries(&one), expected);
    assert_eq!(deliveries(&Monitoring::restore(&config(), &one.checkpoint()).unwrap()), expected);
    let mut again = Monitoring::restore(&config(), &older).unwrap();
    deliver(&mut again);
    assert_eq!(deliveries(&again), expected);
    deliver(&mut again);
    assert_eq!(deliveries(&again), expected);
}
