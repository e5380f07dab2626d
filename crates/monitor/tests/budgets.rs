//! A budget that is used up too fast over an hour, over six hours and over three days: each burn alert fires and ends when a look at all calls one
//! by one says so.

use genai::ErrorClass;
use spanmill_monitor::*;

/// A multiple of every step.
const START: u64 = 1_800_000_000 * SECOND;
const STOP: u64 = START + 100 * HOUR;
/// What share of calls may fail.
const ALLOWED: f64 = 0.01;

/// What share of calls fails at an hour since the start: a burst of an hour, a bad afternoon, and half a day that is worse than promised.
fn failing(hour: u64) -> f64 {
    match hour {
        12 => 0.4,
        30..36 => 0.12,
        78..92 => 0.05,
        _ => 0.002,
    }
}

/// A call about every 20 s, and whether it failed: failures are spread evenly.
fn calls() -> Vec<(u64, bool)> {
    let mut random = fastrand::Rng::with_seed(20_261_127);
    let mut owed = 0.0;
    let calls = (START..STOP).step_by(20 * SECOND as usize).map(|at| {
        owed += failing((at - START) / HOUR);
        let fails = owed >= 1.0;
        owed -= f64::from(u8::from(fails));
        (at + random.u64(0..20 * SECOND), fails)
    });
    calls.collect()
}

/// How many of the first calls failed, for each number of them.
fn sums(calls: &[(u64, bool)]) -> Vec<u64> {
    let mut failed = 0;
    let sums = calls.iter().map(|(_, fails)| {
        failed += u64::from(*fails);
        failed
    });
    std::iter::once(0).chain(sums).collect()
}

/// When an alert on a burn rate fires and ends. Windows up to an hour are kept in steps of 10 s, up to a day of a minute, longer ones of 15.
fn expected(calls: &[(u64, bool)], factor: f64, window: u64) -> Vec<(u64, u64)> {
    let sums = sums(calls);
    let rate = |at: u64, length: u64, least: usize| {
        let step = if length <= HOUR {
            10 * SECOND
        } else if length <= DAY {
            MINUTE
        } else {
            15 * MINUTE
        };
        let from = (at - length) / step * step;
        let [first, behind] = [from, at].map(|time| calls.partition_point(|(at, _)| *at < time));
        (behind - first >= least).then(|| (sums[behind] - sums[first]) as f64 / (behind - first) as f64 / ALLOWED)
    };
    let (mut fired, mut all) = (None, Vec::new());
    for at in (START + 10 * SECOND..=STOP).step_by(10 * SECOND as usize) {
        let is_too_fast = rate(at, window, 10).is_some_and(|long| long > factor)
            && rate(at, window / 12, 1).is_some_and(|short| short > factor);
        match fired {
            None if is_too_fast => fired = Some(at),
            Some(since) if !is_too_fast => {
                all.push((since, at));
                fired = None;
            }
            _ => {}
        }
    }
    assert_eq!(fired, None, "the run is long enough");
    all
}

// The three usual burn alerts fire and end within one evaluation of when the calls say so: the burst is told by the fast one, the bad afternoon by
// that of six hours and not by the fast one, and what is a little too much for half a day by that of three days alone.
#[test]
fn burn_alerts_fire_and_end_in_time() {
    let calls = calls();
    let slo = SloDefinition::new("good", "all", Objective::Availability, 1.0 - ALLOWED);
    let monitors = vec![MonitorDefinition::new("all", Selector::default())];
    let mut monitoring = Monitoring::new(&Config { monitors, slos: vec![slo], ..Config::default() }).unwrap();
    for (at, fails) in &calls {
        let error = fails.then_some(ErrorClass::ServerError);
        monitoring.record(*at, &Call { error, ..Call::default() });
    }
    monitoring.advance(STOP);
    let fired = |hours: std::ops::Range<u64>, all: &[(u64, u64)]| {
        all.iter().any(|(fired, _)| hours.contains(&((fired - START) / HOUR)))
    };
    for (alert, factor, window, [burst, afternoon, long]) in [
        ("good burns 14.4x", 14.4, HOUR, [true, false, false]),
        ("good burns 6x", 6.0, 6 * HOUR, [true, true, false]),
        ("good burns 1x", 1.0, 3 * DAY, [true, true, true]),
    ] {
        let expected = expected(&calls, factor, window);
        let mut told: Vec<(u64, u64)> = monitoring
            .incidents()
            .filter(|incident| incident.alert == alert)
            .map(|incident| (incident.fired, incident.resolved.unwrap().0))
            .collect();
        told.sort_unstable();
        assert_eq!(told.len(), expected.len(), "{alert}: {told:?} for {expected:?}");
        for ((fired, ended), (should_fire, should_end)) in told.iter().zip(&expected) {
            assert!(fired.abs_diff(*should_fire) <= EVALUATION_STEP, "{alert} fires {fired} for {should_fire}");
            assert!(ended.abs_diff(*should_end) <= EVALUATION_STEP, "{alert} ends {ended} for {should_end}");
        }
        let happened = [fired(12..14, &told), fired(30..37, &told), fired(78..95, &told)];
        assert_eq!(happened, [burst, afternoon, long], "{alert}: {told:?}");
    }
}
