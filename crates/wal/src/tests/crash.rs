//! Kills at every call that changes something on disk.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use super::harness::{Harness, settings};
use super::sim::Crash;
use crate::directory::UNFINISHED;
use crate::segment::number_of;

/// Opens, appends through all segments, writes checkpoints, ends and begins again. `None` when the machine goes down.
fn workload(harness: &mut Harness) -> Option<()> {
    harness.open()?;
    harness.append(&[100])?;
    harness.append(&[0, 900, 500])?;
    harness.append(&[40, 40, 40, 40])?;
    // Longer than what is left of the segment, and then longer than a segment.
    harness.append(&[3_000, 10])?;
    harness.checkpoint()?;
    harness.append(&[6_000, 20])?;
    harness.append(&[9_000])?;
    harness.checkpoint()?;
    // The clock is set back.
    harness.clock.store(500, Ordering::Relaxed);
    harness.append(&[200, 200])?;
    harness.checkpoint()?;
    harness.close();
    harness.open()?;
    for _ in 0..6 {
        harness.append(&[1_500, 1_500, 700])?;
        harness.checkpoint()?;
    }
    harness.append(&[64, 64])?;
    harness.append(&[64, 64])?;
    // One frame a sector: of a group any can be lost alone, ...
    harness.append(&[500, 500, 500, 500])?;
    harness.checkpoint()?;
    // ... and of groups that are written before the one before is safe, over the end of segments.
    harness.write_ahead(&[500, 500])?;
    for late in [false, true, false, true] {
        harness.sync_beside(&[500, 1_500, 500], late)?;
        harness.write_ahead(&[500, 500])?;
    }
    harness.checkpoint()?;
    harness.append(&[500, 500])
}

/// What comes after a crash: all is checked, and again after more was appended and after a clean end.
fn life_goes_on(harness: &mut Harness) {
    // The clock was set back, and tells no old frame from a new one; what is written fits before frames that were left.
    harness.clock.store(0, Ordering::Relaxed);
    harness.open().unwrap();
    harness.append(&[500]).unwrap();
    harness.crash(Crash::LoseAll);
    harness.open().unwrap();
    harness.append(&[64, 64]).unwrap();
    harness.append(&[800, 300]).unwrap();
    harness.checkpoint().unwrap();
    harness.append(&[2_000]).unwrap();
    // Power fails: all of it was acknowledged.
    harness.crash(Crash::LoseAll);
    harness.open().unwrap();
    harness.append(&[5]).unwrap();
    harness.close();
    harness.open().unwrap();
}

fn calls_of_workload() -> usize {
    let mut harness = Harness::new(settings());
    workload(&mut harness).unwrap();
    harness.fs.calls()
}

/// Runs the workload to its death at each call, and each way of going down.
fn enumerate(crashes: &[Crash]) {
    let calls = calls_of_workload();
    println!("{calls} calls, {} ways to go down", crashes.len());
    for call in 0..calls {
        for crash in crashes {
            let mut harness = Harness::new(settings());
            harness.fs.die_at(call);
            assert_eq!(workload(&mut harness), None);
            harness.crash(*crash);
            life_goes_on(&mut harness);
        }
    }
}

// Whatever call is the last one, and whatever of the unsynced is there afterwards: every acknowledged record is there once, with
// its place, time and content, nothing is invented, and the newest checkpoint is the acknowledged one or the one under way.
#[test]
fn dies_at_every_call() {
    enumerate(&[Crash::Kill, Crash::LoseAll, Crash::KeepAll]);
}

// The same with unsynced writes torn and reordered.
#[test]
fn dies_at_every_call_with_torn_writes() {
    let random = |seed| [512, 4096].map(|grain| Crash::Random { seed, grain });
    enumerate(&(0..4).flat_map(random).collect::<Vec<_>>());
}

// The same with a second death during the start that follows.
#[test]
fn dies_again_during_recovery() {
    let calls = calls_of_workload();
    for call in (0..calls).step_by(5) {
        for again in (1..16).step_by(2) {
            let mut harness = Harness::new(settings());
            harness.fs.die_at(call);
            assert_eq!(workload(&mut harness), None);
            let seed = (call * 100 + again) as u64;
            harness.crash(Crash::Random { seed, grain: 512 });
            harness.fs.die_at(harness.fs.calls() + again);
            let _ = harness.open().and_then(|()| harness.append(&[64, 64])).and_then(|()| harness.append(&[300]));
            harness.crash(Crash::Random { seed: !seed, grain: 512 });
            life_goes_on(&mut harness);
        }
    }
}

// A segment's first page is durable before any frame follows it: so a page that cannot be read, with frames behind it, is damage.
#[test]
fn first_pages_are_durable_before_frames() {
    let mut harness = Harness::new(settings());
    let calls = Arc::new(Mutex::new(Vec::new()));
    harness.open().unwrap();
    let noted = Arc::clone(&calls);
    harness.fs.set_fault(move |what, path| {
        // A file keeps the name that it was made with.
        let name = path.file_name()?.to_str()?.trim_end_matches(UNFINISHED);
        if number_of(name).is_some() && ["write", "sync"].contains(&what) {
            noted.lock().unwrap().push((what, name.to_owned()));
        }
        None
    });
    for _ in 0..20 {
        harness.append(&[1_500, 700]).unwrap();
        harness.checkpoint().unwrap();
    }
    let calls = calls.lock().unwrap();
    let begun: Vec<_> = calls.windows(3).filter(|calls| calls[0].1 != calls[1].1).collect();
    assert!(begun.len() > 5, "{calls:?}");
    for calls in begun {
        let [(before, _), (first, _), (then, name)] = calls else { unreachable!() };
        assert_eq!((*before, *first, *then), ("sync", "write", "sync"), "{name}");
    }
}
