//! A history against a list of all calls.

use genai::{ErrorClass, Money, TokenClasses};
use proptest::prelude::*;

use super::*;
use crate::call::Call;
use crate::time::{DAY, HOUR, MINUTE, Range, SECOND, floor};

/// A call that was told: how long after the one before, and what of it.
#[derive(Debug, Clone)]
struct Told {
    after: u64,
    service: usize,
    model: usize,
    duration: u64,
    error: Option<ErrorClass>,
    cost: Option<i64>,
}

const SERVICES: [&str; 3] = ["checkout", "search", ""];
const MODELS: [&str; 3] = ["gpt-4o", "claude", ""];
const START: u64 = 1_790_000_000 * SECOND;

fn told() -> impl Strategy<Value = Told> {
    let after = prop_oneof![0..SECOND, 0..2 * MINUTE, 0..3 * HOUR, Just(0)];
    let error = proptest::option::weighted(0.2, proptest::sample::select(&ErrorClass::ALL[..]));
    let cost = proptest::option::of(-5i64..1_000_000_000_000);
    (after, 0..3usize, 0..3usize, 0..100 * SECOND, error, cost).prop_map(
        |(after, service, model, duration, error, cost)| Told { after, service, model, duration, error, cost },
    )
}

impl Told {
    fn call(&self) -> Call<'static> {
        let tokens = TokenClasses { input_uncached: self.duration % 1_000, reasoning: 3, ..TokenClasses::default() };
        Call {
            service: SERVICES[self.service],
            response_model: MODELS[self.model],
            duration: Some(self.duration),
            error: self.error,
            cost: self.cost.map(|cost| Money::from_pico(cost.into())),
            tokens: self.duration.is_multiple_of(2).then_some(tokens),
            input_tokens: self.duration.is_multiple_of(2).then_some(tokens.input_uncached),
            ..Call::default()
        }
    }
}

/// All of them, and when.
fn timed(all: &[Told]) -> Vec<(u64, &Told)> {
    let mut at = START;
    all.iter()
        .map(|told| {
            at += told.after;
            (at, told)
        })
        .collect()
}

fn requests_by(dimensions: &[Dimension], limit: usize) -> GroupBy {
    GroupBy { dimensions: dimensions.to_vec(), measure: Measure::Requests, limit }
}

fn history(all: &[(u64, &Told)], config: HistoryConfig) -> History {
    let mut history = History::new(config);
    for (at, told) in all {
        history.record(*at, &told.call());
        if at % 3 == 0 {
            history.advance(*at);
        }
    }
    history.advance(history.now);
    history
}

/// What all calls that `accept` accepts add up to.
fn naive(all: &[(u64, &Told)], accept: impl Fn(u64, &Call<'_>) -> bool) -> Stats {
    let mut stats = Stats::default();
    for (at, told) in all {
        let call = told.call();
        if accept(*at, &call) {
            stats.record(&call);
        }
    }
    stats
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    // Every step of every series holds exactly the calls of its time, whatever the range and the length of steps.
    #[test]
    fn a_series_holds_the_calls_of_its_steps(
        all in proptest::collection::vec(told(), 1..120),
        back in prop_oneof![0..HOUR, 0..DAY, 0..30 * DAY],
        step in prop_oneof![Just(1), Just(MINUTE), Just(HOUR)],
        ahead in prop_oneof![Just(0), (0..360u64).prop_map(|steps| steps * 10 * SECOND)],
        by_model in any::<bool>(),
    ) {
        let all = timed(&all);
        let history = history(&all, HistoryConfig::default());
        let range = Range::before(history.now + 1 - ahead, back);
        let by = if by_model { vec![Dimension::Model] } else { vec![] };
        let query = Query { range, step, filter: Filter::default(), group_by: requests_by(&by, 10) };
        let answer = history.query(&query);
        prop_assert!(answer.step >= step && answer.range.from <= range.from && range.from - answer.range.from < answer.step);
        let belongs = |names: &[String], call: &Call<'_>| !by_model || names == [call.model()];
        for series in &answer.series {
            for point in &series.points {
                let expected = naive(&all, |at, call| floor(at, answer.step) == point.begin && belongs(&series.names, call));
                prop_assert_eq!(&point.stats, &expected);
            }
            let expected = naive(&all, |at, call| answer.range.contains(at) && belongs(&series.names, call));
            prop_assert_eq!(&series.total, &expected);
        }
        let told: u64 = answer.series.iter().map(|series| series.total.requests).sum();
        prop_assert_eq!(told, naive(&all, |at, _| answer.range.contains(at)).requests);
    }

    // What is asked in parts is answered as what is asked at once, for all ways of asking together.
    #[test]
    fn parts_make_the_whole(all in proptest::collection::vec(told(), 1..80), steps in 1..5usize, limit in 1..5usize) {
        let all = timed(&all);
        let history = history(&all, HistoryConfig::default());
        let range = Range { from: START, to: START + 40 * DAY };
        let ways: [&[Dimension]; 3] = [&[], &[Dimension::Service], &[Dimension::Model, Dimension::Service]];
        let ways = ways.map(|way| requests_by(way, limit));
        let mut scan = Scan::new(range, HOUR, Filter::default(), ways.clone());
        while !scan.advance(&history, steps) {}
        for (answer, group_by) in scan.answers().into_iter().zip(ways) {
            let query = Query { range, step: HOUR, filter: Filter::default(), group_by };
            let whole = history.query(&query);
            prop_assert_eq!(answer.together().series, history.query(&Query { group_by: GroupBy::EVERYTHING, ..query }).series);
            prop_assert_eq!(answer, whole);
        }
    }

    // The series that have the most are the same with a limit and without, to the last step, and all others are one: their sum.
    #[test]
    fn a_limit_adds_up_the_others(
        all in proptest::collection::vec(told(), 1..80),
        limit in 1..9usize,
        measure in proptest::sample::select(vec![Measure::Requests, Measure::Errors, Measure::Tokens, Measure::Cost]),
    ) {
        let all = timed(&all);
        let history = history(&all, HistoryConfig::default());
        let by = vec![Dimension::Model, Dimension::Service];
        let ask = |limit| {
            let group_by = GroupBy { dimensions: by.clone(), measure, limit };
            history.query(&Query { range: Range { from: 0, to: u64::MAX }, step: MINUTE, filter: Filter::default(), group_by })
        };
        let (limited, mut whole) = (ask(limit), ask(100));
        prop_assert!(whole.series.is_sorted_by_key(|series| std::cmp::Reverse(measure.of(&series.total))));
        prop_assert_eq!(whole.total(), naive(&all, |at, _| whole.range.contains(at)));
        let others = whole.series.split_off(limit.min(whole.series.len()));
        prop_assert_eq!(&limited.series[..whole.series.len()], &whole.series);
        let sum = Answer { series: others, ..whole }.together().series.pop();
        let rest = limited.series.get(limit).cloned();
        prop_assert!(rest.iter().all(|rest| rest.names == [REST, REST]));
        prop_assert_eq!(rest.map(|rest| Series { names: Vec::new(), ..rest }), sum);
    }

    // A filter and the order of the top groups are those of the calls themselves.
    #[test]
    fn filters_and_top_groups_are_exact(all in proptest::collection::vec(told(), 1..80)) {
        let all = timed(&all);
        let history = history(&all, HistoryConfig::default());
        let range = Range { from: 0, to: u64::MAX };
        let filter = Filter { accepted: vec![(Dimension::Service, "search".into()), (Dimension::Service, String::new())] };
        let accepted = naive(&all, |at, call| call.service != "checkout" && at >= floor(history.now, 15 * MINUTE) - 30 * DAY);
        prop_assert_eq!(&history.totals(range, &filter), &accepted);
        let top = history.top(range, &filter, &[Dimension::Service, Dimension::Model], Measure::Cost, usize::MAX);
        prop_assert!(top.is_sorted_by_key(|series| std::cmp::Reverse(series.total.cost)));
    }

    // What is over the limits of groups and memory is counted all the same: in the group for the rest, and in longer steps.
    #[test]
    fn limits_lose_no_call(all in proptest::collection::vec(told(), 1..120)) {
        let all = timed(&all);
        let small = history(&all, HistoryConfig { groups: 2, memory: 6_000 });
        prop_assert!(small.group_count() <= 2 && small.memory() <= 6_000);
        let reached = small.reaches_back_to(15 * MINUTE).next_multiple_of(15 * MINUTE);
        for back in [0, 30 * MINUTE, 5 * HOUR, 30 * DAY] {
            let from = reached.max(floor(small.now - back, 15 * MINUTE));
            let kept = naive(&all, |at, _| at >= from);
            prop_assert_eq!(small.totals(Range { from, to: u64::MAX }, &Filter::default()), kept);
        }
    }
}

// How far back each length of steps reaches is told as it is: all of its time while there is memory, less and cut when there is not, and an
// answer about more says from when on it knows all.
#[test]
fn what_is_cut_is_told() {
    let told = |memory| {
        let mut history = History::new(HistoryConfig { memory, ..HistoryConfig::default() });
        for minute in 0..26 * 60 {
            for service in SERVICES {
                history.record(START + minute * MINUTE, &Call { service, ..Call::default() });
            }
            history.advance(START + minute * MINUTE);
        }
        history
    };
    let ask = |history: &History, back| {
        let range = Range::before(history.now + 1, back);
        history.query(&Query { range, step: MINUTE, filter: Filter::default(), group_by: GroupBy::EVERYTHING })
    };
    let whole = told(HistoryConfig::default().memory);
    let now = whole.now;
    let expected = [(10 * SECOND, HOUR), (MINUTE, DAY), (15 * MINUTE, 30 * DAY)].map(|(step, kept)| Reach {
        step,
        kept,
        since: floor(now, step) - kept,
        is_cut: false,
    });
    assert_eq!(whole.reaches(), expected);
    for back in [HOUR, 20 * HOUR, 30 * DAY] {
        let Answer { range, known_from, .. } = ask(&whole, back);
        assert_eq!(known_from, range.from);
    }
    assert_eq!(ask(&whole, 31 * DAY).known_from, expected[2].since);

    let small = told(20_000);
    for (reach, whole) in small.reaches().into_iter().zip(expected) {
        assert!(reach.is_cut == (reach.since > whole.since) && reach.step == whole.step, "{reach:?}");
        // All that is known there was told, and nothing before is.
        let exact = |from| small.totals(Range { from, to: u64::MAX }, &Filter::default()).requests;
        let from = reach.since.next_multiple_of(15 * MINUTE).max(small.reaches_back_to(15 * MINUTE));
        let minutes = (0..26 * 60).filter(|minute| START + minute * MINUTE >= from).count() as u64;
        assert_eq!(exact(from), 3 * minutes);
    }
    assert!(small.reaches()[1].is_cut && small.reaches()[2].is_cut);
    let Answer { range, known_from, series, .. } = ask(&small, 26 * HOUR);
    assert!(known_from > range.from && known_from == small.reaches()[2].since);
    assert!(series[0].points.iter().all(|point| point.begin >= known_from));
}

// Steps are forgotten when they are too old, and a group of which nothing is left with them.
#[test]
fn what_is_too_old_is_forgotten() {
    let call = Call { service: "a", ..Call::default() };
    let mut history = History::new(HistoryConfig::default());
    history.record(START, &call);
    history.advance(START + 30 * DAY);
    assert_eq!(history.totals(Range { from: 0, to: u64::MAX }, &Filter::default()).requests, 1);
    history.advance(START + 30 * DAY + 15 * MINUTE);
    assert_eq!((history.group_count(), history.memory()), (0, 0));
    history.record(START + 31 * DAY, &call);
    assert_eq!((history.group_count(), history.values(Dimension::Service)), (1, vec!["a"]));
}

// A late report of usage adds tokens and cost, and no request.
#[test]
fn late_usage_is_no_request() {
    let tokens = TokenClasses { output_visible: 5, ..TokenClasses::default() };
    let mut stats = Stats::default();
    stats.record(&Call::default());
    stats.record(&Call { is_late: true, tokens: Some(tokens), cost: Some(Money::from_pico(7)), ..Call::default() });
    assert_eq!((stats.requests, stats.total_tokens(), stats.cost.pico()), (1, 5, 7));
}

proptest! {
    // A packed step is read back as it was, whatever was counted.
    #[test]
    fn steps_come_back(all in proptest::collection::vec(told(), 0..40), cost in any::<i128>()) {
        let mut stats = naive(&timed(&all), |_, _| true);
        stats.cost = Money::from_pico(cost >> 18);
        let mut packer = Packer::default();
        stats.pack(&mut packer);
        let packed = packer.take();
        let mut back = Stats::default();
        let mut unpacker = Unpacker::new(&packed);
        prop_assert!(back.add_packed(&mut unpacker).is_some() && unpacker.is_at_end());
        prop_assert_eq!(back, stats);
    }
}
