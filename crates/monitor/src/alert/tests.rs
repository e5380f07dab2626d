//! Alerts against a list of what was read.

use proptest::prelude::*;

use super::*;
use crate::incident::Notification;
use crate::time::{MINUTE, SECOND};

const STEP: u64 = 10 * SECOND;
const START: u64 = 1_000_000 * SECOND;

fn rule() -> AlertRule {
    AlertRule { lasts: MINUTE, repeat: Some(2 * MINUTE), ..AlertRule::new("errors", "checkout", Condition::NoData) }
}

/// What a condition came to, and whether the monitor was muted.
type Read = (Option<bool>, bool);

/// An alert that read all of it, one after the other, and what it told.
fn read(all: &[Read]) -> (Alert, Told) {
    let (mut alert, mut told) = (Alert::new(rule(), true), Told::default());
    for (number, (holds, is_muted)) in (0..).zip(all) {
        let reading = match *holds {
            Some(holds) => Reading::Known { value: number as f64, threshold: 0.0, holds },
            None => Reading::Unknown,
        };
        alert.step(START + number * STEP, reading, *is_muted, &mut told);
    }
    (alert, told)
}

/// Runs of readings that hold for at least a minute: from, until (of the list), and where they fire.
fn incidents(all: &[Read]) -> Vec<(usize, usize, usize)> {
    let mut runs = Vec::new();
    let mut from = 0;
    for place in 0..=all.len() {
        if all.get(place).is_none_or(|(holds, _)| *holds != Some(true)) {
            if place - from > 6 {
                runs.push((from, place, from + 6));
            }
            from = place + 1;
        }
    }
    runs
}

/// What is told of an incident: kind, and when.
fn notifications(all: &[Read], (_, until, fires): (usize, usize, usize)) -> Vec<(NotificationKind, usize)> {
    let mut told: Vec<(NotificationKind, usize)> = Vec::new();
    for (place, (_, is_muted)) in all.iter().enumerate().take(until).skip(fires) {
        match told.last() {
            _ if *is_muted => {}
            None => told.push((NotificationKind::Firing, place)),
            Some((_, last)) if place - last >= 12 => told.push((NotificationKind::StillFiring, place)),
            Some(_) => {}
        }
    }
    if until < all.len() && !told.is_empty() {
        told.push((NotificationKind::Resolved, until));
    }
    told
}

fn at(place: usize) -> u64 {
    START + place as u64 * STEP
}

proptest! {
    // Pending, firing, repetition, mute and end are those of the list of readings, looked at as a whole; what is told has an
    // id of its own each.
    #[test]
    fn alerts_do_as_the_list_says(runs in proptest::collection::vec((proptest::option::weighted(0.9, prop::bool::weighted(0.7)), 1..30usize, prop::bool::weighted(0.2)), 0..12)) {
        let all: Vec<Read> = runs.iter().flat_map(|(holds, length, is_muted)| vec![(*holds, *is_muted); *length]).collect();
        let (alert, told) = read(&all);
        let expected = incidents(&all);
        let lasting = match alert.phase() {
            Phase::Firing(incident) => Some((**incident).clone()),
            _ => None,
        };
        let seen: Vec<Incident> = told.over.iter().cloned().chain(lasting).collect();
        let times: Vec<(u64, u64)> = seen.iter().map(|incident| (incident.since, incident.fired)).collect();
        prop_assert_eq!(times, expected.iter().map(|(from, _, fires)| (at(*from), at(*fires))).collect::<Vec<_>>());
        for (incident, (_, until, _)) in seen.iter().zip(&expected) {
            let end = all.get(*until).map(|(holds, _)| {
                (at(*until), if holds.is_some() { Resolution::Recovered } else { Resolution::Unknown })
            });
            prop_assert_eq!(incident.resolved, end);
        }
        let expected_told: Vec<(NotificationKind, u64)> = expected.iter()
            .flat_map(|incident| notifications(&all, *incident))
            .map(|(kind, place)| (kind, at(place)))
            .collect();
        let is_told: Vec<(NotificationKind, u64)> = told.notifications.iter().map(|told| (told.kind, told.at)).collect();
        prop_assert_eq!(is_told, expected_told);
        let mut ids: Vec<&str> = told.notifications.iter().map(|Notification { id, .. }| &**id).collect();
        ids.sort_unstable();
        ids.dedup();
        prop_assert_eq!(ids.len(), told.notifications.len());
        let recovered: Vec<u64> = told.over.iter()
            .filter(|incident| matches!(incident.resolved, Some((_, Resolution::Recovered))))
            .filter_map(Incident::time_to_recovery)
            .collect();
        let mean = (!recovered.is_empty()).then(|| recovered.iter().sum::<u64>() as f64 / recovered.len() as f64);
        prop_assert_eq!(alert.mean_time_to_recovery(), mean);
    }
}
