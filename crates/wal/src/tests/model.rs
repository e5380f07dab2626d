//! Whatever is done in whatever order, the log behaves like a list.

use std::sync::atomic::Ordering;

use proptest::prelude::*;

use super::harness::{Harness, settings};
use super::sim::Crash;
use crate::Settings;

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<usize>),
    WriteAhead(Vec<usize>),
    /// Whether late.
    SyncBeside(Vec<usize>, bool),
    Checkpoint,
    Reopen,
    Crash(Crash),
    /// Goes down after so many calls, in the middle of whatever is done then.
    DieAfter(usize, Crash),
    SetClock(u64),
    ReadBack,
}

fn crash() -> impl Strategy<Value = Crash> {
    prop_oneof![
        Just(Crash::Kill),
        Just(Crash::LoseAll),
        Just(Crash::KeepAll),
        (any::<u64>(), prop_oneof![Just(512), Just(4096)]).prop_map(|(seed, grain)| Crash::Random { seed, grain }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    // Sizes that are equal again and again are those that old frames fit to.
    let size = prop_oneof![4 => Just(500_usize), 4 => 0_usize..1_500, 1 => 3_900_usize..9_000];
    let sizes = proptest::collection::vec(size, 1..5);
    prop_oneof![
        6 => sizes.clone().prop_map(Step::Append),
        3 => sizes.clone().prop_map(Step::WriteAhead),
        3 => (sizes, any::<bool>()).prop_map(|(sizes, late)| Step::SyncBeside(sizes, late)),
        3 => Just(Step::Checkpoint),
        1 => Just(Step::Reopen),
        1 => crash().prop_map(Step::Crash),
        2 => (0_usize..12, crash()).prop_map(|(calls, crash)| Step::DieAfter(calls, crash)),
        2 => (0_u64..100).prop_map(Step::SetClock),
        1 => Just(Step::ReadBack),
    ]
}

fn run(steps: Vec<Step>, settings: Settings) {
    let mut harness = Harness::new(settings);
    let mut then = Crash::Kill;
    harness.open().unwrap();
    for step in steps {
        let went = match step {
            Step::Append(sizes) => harness.append(&sizes),
            Step::WriteAhead(sizes) => harness.write_ahead(&sizes),
            Step::SyncBeside(sizes, late) => harness.sync_beside(&sizes, late),
            Step::Checkpoint => harness.checkpoint(),
            Step::Reopen => {
                harness.close();
                harness.open()
            }
            Step::Crash(crash) => {
                harness.crash(crash);
                harness.open()
            }
            Step::DieAfter(calls, crash) => {
                harness.fs.die_at(harness.fs.calls() + calls);
                then = crash;
                Some(())
            }
            Step::SetClock(time) => {
                harness.clock.store(time, Ordering::Relaxed);
                Some(())
            }
            Step::ReadBack => {
                harness.read_back();
                Some(())
            }
        };
        if went.is_none() {
            harness.crash(then);
            harness.open().unwrap();
        }
    }
    harness.crash(Crash::LoseAll);
    harness.open().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    // Every acknowledged record is there exactly once, in order, after reopening, crashing and recycling, for the reader and for a
    // second consumer; a log with room is not full, and its files never take more than they may.
    #[test]
    fn behaves_like_a_list(steps in proptest::collection::vec(step(), 1..60)) {
        run(steps, settings());
    }

    // The same with other sizes, and compressed.
    #[test]
    fn behaves_like_a_list_compressed(steps in proptest::collection::vec(step(), 1..60), pages in 2_u64..5) {
        let segment_size = Some(pages * 4096);
        run(steps, Settings { segment_size, max_size: 20 * 4096, compression: Some(1), ..settings() });
    }
}
