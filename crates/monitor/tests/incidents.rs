//! Incidents whose times are known: each alert fires and ends within one evaluation of the time that a look at all calls one by
//! one gives, and none fires while nothing happens.

use genai::{ErrorClass, Money, TokenClasses};
use spanmill_monitor::*;

/// A multiple of every step.
const START: u64 = 1_800_000_000 * SECOND;
/// What happens, happens from here on,
const BEGIN: u64 = START + 150 * MINUTE;
/// and is over here.
const END: u64 = BEGIN + HOUR;
/// The end of the run.
const STOP: u64 = END + 30 * MINUTE;
const MILLISECOND: u64 = SECOND / 1_000;
/// With fewer calls there is no drift.
const LEAST_DRIFT: usize = 300;

/// A call, as it was told.
#[derive(Debug, Clone, Copy)]
struct Told {
    at: u64,
    service: &'static str,
    version: &'static str,
    fails: bool,
    wait: u64,
    duration: u64,
    cost: i128,
    input_tokens: u64,
}

impl Told {
    fn call(&self) -> Call<'static> {
        Call {
            service: self.service,
            service_version: self.version,
            response_model: "gpt-4o",
            error: self.fails.then_some(ErrorClass::ServerError),
            time_to_first_token: Some(self.wait),
            duration: Some(self.duration),
            cost: Some(Money::from_pico(self.cost)),
            input_tokens: Some(self.input_tokens),
            tokens: Some(TokenClasses { input_uncached: 100, output_visible: 50, ..TokenClasses::default() }),
            ..Call::default()
        }
    }
}

/// Calls of seven services, a second apart, in the order of time; with what happens to each, or without.
fn calls(with_incidents: bool) -> Vec<Told> {
    let mut random = fastrand::Rng::with_seed(20_261_126);
    let mut sizes = fastrand::Rng::with_seed(20_261_127);
    let mut all = Vec::new();
    for second in 0..(STOP - START) / SECOND {
        let at = START + second * SECOND + random.u64(0..SECOND);
        let happens = with_incidents && (BEGIN..END).contains(&at);
        // Around 400 ms, rarely half or twice of it.
        let noise = 0.6 + (0..4).map(|_| random.f64()).sum::<f64>() / 5.0;
        let usual = Told {
            at,
            service: "",
            version: "1",
            fails: random.f64() < 0.01,
            wait: (400.0 * MILLISECOND as f64 * noise) as u64,
            duration: (2_000.0 * MILLISECOND as f64 * noise) as u64,
            cost: (1e9 * noise) as i128,
            // Histograms hold them exactly.
            input_tokens: sizes.u64(10..30),
        };
        // For three minutes prompts are longer: later they are themselves a small part of what is usual.
        let is_longer = happens && at < BEGIN + 3 * MINUTE;
        let input_tokens = if is_longer { 40 + 2 * (usual.input_tokens % 10) } else { usual.input_tokens };
        all.push(Told { service: "drift", input_tokens, ..usual });
        all.push(Told { service: "errors", fails: usual.fails || happens && random.bool(), ..usual });
        all.push(Told { service: "cost", cost: if happens { 2 * usual.cost } else { usual.cost }, ..usual });
        // A slow version is rolled out over an hour, and rolled back at once.
        let share = (at.saturating_sub(BEGIN)) as f64 / (END - BEGIN) as f64;
        let wait = if happens && random.f64() < share { 3 * usual.wait } else { usual.wait };
        all.push(Told { service: "rollout", wait, ..usual });
        if !happens {
            all.push(Told { service: "silence", ..usual });
        }
        // A tenth goes to the new version, until it is rolled back.
        let version = if (BEGIN..END).contains(&at) && second % 4 == 0 { "2" } else { "1" };
        let slower = if with_incidents && version == "2" { usual.duration * 12 / 10 } else { usual.duration };
        all.push(Told { service: "canary", version, duration: slower, ..usual });
        // Twenty calls every ten minutes, of which the first wait for the model to be loaded.
        if second % 600 < 20 {
            let is_cold = happens && second % 600 == 0;
            all.push(Told { service: "cold", wait: if is_cold { 10 * usual.wait } else { usual.wait }, ..usual });
        }
    }
    all.sort_by_key(|told| told.at);
    all
}

fn above(field: Field, threshold: AlertThreshold) -> Condition {
    Condition::Field { field, side: Side::Above, threshold }
}

fn config() -> Config {
    let services = ["errors", "cost", "rollout", "silence", "canary", "cold", "drift"];
    let monitors = services.map(|service| MonitorDefinition {
        window: if service == "cold" { Window::FifteenMinutes } else { Window::FiveMinutes },
        ..MonitorDefinition::new(service, Selector { service: Some(service.into()), ..Selector::default() })
    });
    let baseline = |factor| AlertThreshold::Baseline { factor, length: 6 * HOUR };
    let outside = Condition::OutOfControl { chart: "cost".into(), rules: vec![ChartRule::Outside] };
    let alerts = [
        ("errors", 2 * MINUTE, above(Field::ErrorRate, AlertThreshold::Fixed(0.2))),
        ("cost", 2 * MINUTE, above(Field::CostPerRequest, baseline(1.5))),
        ("cost", 0, outside),
        ("rollout", 2 * MINUTE, above(Field::TimeToFirstTokenP50, baseline(2.0))),
        ("silence", MINUTE, Condition::NoData),
        ("canary", 0, Condition::Canary { canary: "canary".into(), verdict: Verdict::Fail }),
        ("cold", 0, above(Field::ColdStartRate, AlertThreshold::Fixed(0.5))),
        ("drift", 0, Condition::Drift { tokens: Tokens::Input, above: 0.25 }),
    ];
    let alerts = alerts.into_iter().enumerate().map(|(number, (monitor, lasts, condition))| AlertRule {
        lasts,
        minimum_requests: if monitor == "cold" { 1 } else { 20 },
        ..AlertRule::new(&format!("{monitor} {number}"), monitor, condition)
    });
    let canary = CanaryDefinition { window: 15 * MINUTE, ..CanaryDefinition::new("canary", "canary", "1", "2") };
    let chart = ChartDefinition { learning: 24, ..ChartDefinition::new("cost", "cost", Field::CostPerRequest) };
    let drift = DriftDefinition {
        window: 15 * MINUTE,
        reference: 2 * HOUR,
        minimum_requests: LEAST_DRIFT as u64,
        ..DriftDefinition::new("drift")
    };
    let fast = BurnAlert { factor: 14.4, window: HOUR, severity: Severity::Critical };
    let slo =
        SloDefinition { burn_alerts: vec![fast], ..SloDefinition::new("slo", "errors", Objective::Availability, 0.98) };
    Config {
        monitors: monitors.into(),
        alerts: alerts.collect(),
        slos: vec![slo],
        charts: vec![chart],
        canaries: vec![canary],
        drifts: vec![drift],
        ..Config::default()
    }
}

/// Tells the calls that come before a time.
fn tell(monitoring: &mut Monitoring, calls: &[Told], until: u64) {
    for told in calls.iter().take_while(|told| told.at < until) {
        monitoring.record(told.at, &told.call());
    }
    monitoring.advance(until);
}

/// The calls of a service in a range.
fn within<'a>(calls: &'a [Told], service: &str, range: Range) -> Vec<&'a Told> {
    let first = calls.partition_point(|told| told.at < range.from);
    let behind = calls.partition_point(|told| told.at < range.to);
    calls[first..behind].iter().filter(|told| told.service == service).collect()
}

fn window<'a>(calls: &'a [Told], service: &str, at: u64, length: u64) -> Vec<&'a Told> {
    within(calls, service, Range::before(at, length))
}

/// When an alert fires, and when it ends.
type Times = Vec<(u64, Option<u64>)>;

/// When an alert fires and ends whose condition must hold for a time, by asking the condition every ten seconds.
fn fires(lasts: u64, mut holds: impl FnMut(u64) -> bool) -> Times {
    let (mut since, mut fires) = (None, Times::new());
    for at in (START + 10 * SECOND..=STOP).step_by(10 * SECOND as usize) {
        if !holds(at) {
            let lasted = since.take().map(|since| at - since);
            if let Some((_, end)) = fires.last_mut().filter(|_| lasted.is_some_and(|lasted| lasted > lasts)) {
                *end = Some(at);
            }
        } else if at - *since.get_or_insert(at) == lasts {
            fires.push((at, None));
        }
    }
    fires
}

fn share(calls: &[&Told], is_one: impl Fn(&Told) -> bool) -> f64 {
    calls.iter().filter(|told| is_one(told)).count() as f64 / calls.len() as f64
}

fn median(calls: &[&Told]) -> f64 {
    let mut waits: Vec<u64> = calls.iter().map(|told| told.wait).collect();
    waits.sort_unstable();
    waits[waits.len().div_ceil(2) - 1] as f64
}

fn mean_cost(calls: &[&Told]) -> f64 {
    calls.iter().map(|told| told.cost).sum::<i128>() as f64 / calls.len() as f64
}

/// Whether a figure of a service is above a factor of what it was in the six hours before, in whole quarters of an hour; once
/// it is, in the six hours before that.
struct Leap<'a> {
    calls: &'a [Told],
    service: &'static str,
    figure: fn(&[&Told]) -> f64,
    factor: f64,
    is_above: bool,
    /// The end of those six hours, and the figure in them.
    usual: (u64, f64),
}

impl<'a> Leap<'a> {
    fn new(calls: &'a [Told], service: &'static str, figure: fn(&[&Told]) -> f64, factor: f64) -> Self {
        Self { calls, service, figure, factor, is_above: false, usual: (0, 0.0) }
    }

    fn is_above(&mut self, at: u64) -> bool {
        let until = (at - 5 * MINUTE) / (15 * MINUTE) * (15 * MINUTE);
        if until < START + 5 * MINUTE {
            return false;
        }
        if !self.is_above && self.usual.0 != until {
            self.usual = (until, (self.figure)(&window(self.calls, self.service, until, 6 * HOUR)));
        }
        self.is_above = (self.figure)(&window(self.calls, self.service, at, 5 * MINUTE)) > self.factor * self.usual.1;
        self.is_above
    }
}

/// The population stability index of the input tokens of a quarter of an hour against those of the two hours before it, which are kept in whole
/// minutes; `None` with too few calls.
fn drift(calls: &[Told], at: u64) -> Option<f64> {
    let whole = |time: u64| time.next_multiple_of(MINUTE);
    let from = at - 15 * MINUTE;
    let before = Range { from: whole(from.saturating_sub(2 * HOUR)), to: whole(from) };
    let tokens = |range| {
        let mut tokens: Vec<u64> = within(calls, "drift", range).iter().map(|told| told.input_tokens).collect();
        tokens.sort_unstable();
        Some(tokens).filter(|tokens| tokens.len() >= LEAST_DRIFT)
    };
    let (reference, current) = (tokens(before)?, tokens(Range { from, to: at })?);
    // Tenths of the reference, what is below all of it, and what is above.
    let bin = |tokens: u64| match tokens {
        _ if tokens < reference[0] => 0,
        _ if tokens > reference[reference.len() - 1] => 11,
        _ => 1 + reference.partition_point(|other| *other < tokens) * 10 / reference.len(),
    };
    let shares = |tokens: &[u64]| {
        let mut counts = [0.0; 12];
        tokens.iter().for_each(|tokens| counts[bin(*tokens)] += 1.0);
        counts.map(|count: f64| (count / tokens.len() as f64).max(1e-4))
    };
    let (expected, actual) = (shares(&reference), shares(&current));
    Some(expected.iter().zip(actual).map(|(expected, actual)| (actual - expected) * (actual / expected).ln()).sum())
}

/// When each alert fires and ends, by the calls themselves.
fn expected(calls: &[Told]) -> Vec<(&'static str, Times)> {
    let errors = fires(2 * MINUTE, |at| share(&window(calls, "errors", at, 5 * MINUTE), |told| told.fails) > 0.2);
    let mut leap = Leap::new(calls, "cost", mean_cost, 1.5);
    let cost = fires(2 * MINUTE, |at| leap.is_above(at));
    let mut leap = Leap::new(calls, "rollout", median, 2.0);
    let rollout = fires(2 * MINUTE, |at| leap.is_above(at));
    let silence = fires(MINUTE, |at| at > START + 5 * MINUTE && window(calls, "silence", at, 5 * MINUTE).is_empty());
    let canary = fires(0, |at| {
        let calls = window(calls, "canary", at, 15 * MINUTE);
        ["1", "2"].iter().all(|version| calls.iter().filter(|told| told.version == *version).count() >= 100)
    });
    // The chart's points are five minutes long and twice as dear from the first to the last.
    let chart = vec![(BEGIN + 5 * MINUTE, Some(END + 5 * MINUTE))];
    let cold = fires(0, |at| {
        let calls = window(calls, "cold", at, 15 * MINUTE);
        let first = |told: &Told| (told.at - START) % (600 * SECOND) < SECOND;
        let first: Vec<&Told> = calls.into_iter().filter(|told| first(told)).collect();
        share(&first, |told| told.wait > SECOND) > 0.5
    });
    let drift = fires(0, |at| at > START + 15 * MINUTE && drift(calls, at).is_some_and(|index| index > 0.25));
    let burn = fires(0, |at| {
        let burns = |length| share(&window(calls, "errors", at, length), |told| told.fails) / 0.02 > 14.4;
        burns(HOUR) && burns(5 * MINUTE)
    });
    vec![
        ("errors 0", errors),
        ("cost 1", cost),
        ("cost 2", chart),
        ("rollout 3", rollout),
        ("silence 4", silence),
        ("canary 5", canary),
        ("cold 6", cold),
        ("drift 7", drift),
        ("slo burns 14.4x", burn),
    ]
}

// Error burst, cost leap, slow rollout, silence, a canary 20 % slower, cold starts, longer prompts, a budget that burns: each alert fires and ends when
// it should, once, and both are told.
#[test]
fn alerts_fire_and_end_in_time() {
    let calls = calls(true);
    let mut monitoring = Monitoring::new(&config()).unwrap();
    tell(&mut monitoring, &calls, STOP);
    for (alert, times) in expected(&calls) {
        let mut incidents: Vec<&Incident> = monitoring.incidents().filter(|incident| incident.alert == alert).collect();
        incidents.sort_by_key(|incident| incident.fired);
        let told: Times =
            incidents.iter().map(|incident| (incident.fired, incident.resolved.map(|(at, _)| at))).collect();
        assert_eq!(told.len(), times.len(), "{alert}: {told:?} for {times:?}");
        assert!(!times.is_empty(), "{alert} does not fire");
        for ((fired, ended), (should_fire, should_end)) in told.iter().zip(&times) {
            let (ended, should_end) = (ended.unwrap(), should_end.unwrap());
            assert!(fired.abs_diff(*should_fire) <= EVALUATION_STEP, "{alert} fires {fired} for {should_fire}");
            assert!(ended.abs_diff(should_end) <= EVALUATION_STEP, "{alert} ends {ended} for {should_end}");
            assert!(*fired >= BEGIN);
        }
    }
    let fired = monitoring.incidents().count();
    let of_kind = |kind| monitoring.notifications().filter(|told| told.kind == kind).count();
    assert_eq!((of_kind(NotificationKind::Firing), of_kind(NotificationKind::Resolved)), (fired, fired));
    let mut ids: Vec<&str> = monitoring.notifications().map(|told| &*told.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 2 * fired);
}

// Nothing fires on the same calls without incidents, the new version among them.
#[test]
fn nothing_fires_while_nothing_happens() {
    let calls = calls(false);
    let mut monitoring = Monitoring::new(&config()).unwrap();
    tell(&mut monitoring, &calls, END);
    let report = monitoring.canaries()[0].report(END);
    assert_eq!((report.verdict, report.comparisons[1].verdict), (Verdict::Pass, Verdict::Pass));
    tell(&mut monitoring, &calls[calls.partition_point(|told| told.at < END)..], STOP);
    let incidents: Vec<&Incident> = monitoring.incidents().collect();
    assert!(incidents.is_empty(), "{incidents:?}");
    assert!(monitoring.notifications().next().is_none());
    assert!(monitoring.monitors().iter().all(|monitor| monitor.snapshot().is_some()));
}

// Over many restarts the same is told as without, and nothing twice.
#[test]
fn restarts_tell_nothing_twice() {
    let calls = calls(true);
    let (mut one, mut other) = (Monitoring::new(&config()).unwrap(), Monitoring::new(&config()).unwrap());
    tell(&mut one, &calls, STOP);
    for part in calls.chunks(calls.len() / 23) {
        part.iter().for_each(|told| other.record(told.at, &told.call()));
        other = Monitoring::restore(&config(), &other.checkpoint()).unwrap();
    }
    other.advance(STOP);
    assert!(one.notifications().eq(other.notifications()));
    assert!(one.incidents().eq(other.incidents()));
    assert!(one.notifications().count() > 10);
}
