//! Everything that is watched: calls and time go in, and what they tell comes out.

use std::collections::VecDeque;

use aggregate::CountedCall;

use crate::alert::{Alert, Phase};
use crate::call::Call;
use crate::canary::{Canary, Side};
use crate::chart::Chart;
use crate::command::CommandError;
use crate::definition::{Config, ConfigError};
use crate::delivery::Delivery;
use crate::drift::{self, DriftDefinition, DriftReport};
use crate::history::{
    Answer, Dimension, Forgotten, History, Packer, Reach, Rings, Stats, dimensions, make_room, over_time, reaches,
};
use crate::incident::{Incident, Notification, Told, Waiting};
use crate::monitor::{Monitor, MonitorState};
use crate::seen::{SEEN_FOR, Seen, SeenCounts, SeenKind};
use crate::selector::Attribute;
use crate::slo::Slo;
use crate::streams::{Place, Streams};
use crate::time::{HOUR, MINUTE, Range, SECOND, floor};

/// How often everything is evaluated: at every multiple of it.
pub const EVALUATION_STEP: u64 = 10 * SECOND;
/// After a longer time without any word, nothing is known of it: while the log is written, the time is told at every step.
const GAP: u64 = 6 * EVALUATION_STEP;
/// After a longer time without any word, only so much of it is evaluated.
const CATCH_UP: u64 = HOUR;
/// How many notifications wait to be delivered, and how many incidents that are over are kept.
const KEPT: usize = 1_000;

/// Everything that is watched.
#[derive(Debug)]
pub struct Monitoring {
    pub(crate) history: History,
    pub(crate) monitors: Vec<Monitor>,
    pub(crate) slos: Vec<Slo>,
    pub(crate) charts: Vec<Chart>,
    pub(crate) canaries: Vec<Canary>,
    pub(crate) drifts: Vec<DriftDefinition>,
    pub(crate) not_kept: Vec<Attribute>,
    pub(crate) alerts: Vec<Alert>,
    /// Incidents that are over, oldest first.
    pub(crate) incidents: VecDeque<Incident>,
    /// What is to be delivered, oldest first.
    pub(crate) outbox: VecDeque<Waiting>,
    /// What became of notifications that wait no more, by their id, oldest first.
    pub(crate) settled: VecDeque<(String, Vec<Delivery>)>,
    /// Notifications that were given up because too many waited.
    pub(crate) dropped: u64,
    pub(crate) seen: Seen,
    /// Why alerts and objectives of the API were not restored.
    pub(crate) left_out: Vec<CommandError>,
    /// Objectives whose budget was not restored.
    pub(crate) forgotten_budgets: Vec<String>,
    /// Of the steps that monitors and canaries keep.
    pub(crate) own_forgotten: Forgotten,
    /// The newest time told.
    pub(crate) now: u64,
    /// The newest time of which nothing is known; empty if there was none.
    pub(crate) unseen: Range,
    /// What is evaluated next.
    pub(crate) next: u64,
    pub(crate) streams: Streams,
    /// The generation of the history that `streams` refers to.
    generation: u64,
    packer: Packer,
}

impl Monitoring {
    /// Watches what is configured, from nothing on.
    ///
    /// # Errors
    /// The configuration contradicts itself.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self {
            history: History::new(config.history),
            monitors: config.monitors.iter().map(|definition| Monitor::new(definition.clone(), true, 0)).collect(),
            slos: config.slos.iter().map(|definition| Slo::new(definition.clone(), true)).collect(),
            charts: config.charts.iter().cloned().map(Chart::new).collect(),
            canaries: config.canaries.iter().cloned().map(Canary::new).collect(),
            drifts: config.drifts.clone(),
            not_kept: config.not_kept.clone(),
            alerts: config.rules().into_iter().map(|rule| Alert::new(rule, true)).collect(),
            incidents: VecDeque::new(),
            outbox: VecDeque::new(),
            settled: VecDeque::new(),
            dropped: 0,
            seen: Seen::default(),
            left_out: Vec::new(),
            forgotten_budgets: Vec::new(),
            own_forgotten: Forgotten::default(),
            now: 0,
            unseen: Range { from: 0, to: 0 },
            next: 0,
            streams: Streams::default(),
            generation: 0,
            packer: Packer::default(),
        })
    }

    /// Adds a call that was counted at a time. Times do not go back: an earlier one counts as the newest told.
    pub fn record(&mut self, at: u64, call: &Call<'_>) {
        self.advance(at);
        let place = self.place(call);
        self.add(place, call);
    }

    /// The same, of a call of which `aggregate` tells. What its series says of it is read once only.
    pub fn record_counted(&mut self, at: u64, counted: &CountedCall<'_>) {
        self.advance(at);
        if let Some(place) = self.streams.of_series(counted.series()) {
            return self.add(place, &Call::without_texts(counted));
        }
        let call = Call::counted(counted);
        let place = self.place(&call);
        self.streams.note_series(counted.series(), place);
        self.add(place, &call);
    }

    fn place(&mut self, call: &Call<'_>) -> usize {
        let Self { history, monitors, slos, canaries, streams, .. } = self;
        streams.place(call, || find(call, history, monitors, slos, canaries))
    }

    /// Adds a call to all that it belongs to; its texts are not looked at.
    fn add(&mut self, place: usize, call: &Call<'_>) {
        let at = self.now;
        let Self { history, monitors, slos, canaries, streams, packer, .. } = self;
        let place = streams.get(place);
        history.record_at(place.group, at, call);
        for monitor in &place.monitors {
            monitors[*monitor as usize].record(at, call, packer);
        }
        for slo in &place.slos {
            slos[*slo as usize].record(at, call, packer);
        }
        for (canary, side) in &place.canaries {
            canaries[*canary as usize].rings[*side as usize].at(at, packer).record(call);
        }
    }

    /// Notes that something was named at the newest time told, given by a hash of it that is the same everywhere and always.
    #[inline]
    pub fn note_seen(&mut self, kind: SeenKind, hash: u64) {
        self.seen.note(kind, hash, self.now);
    }

    /// How many different ones were seen in the last hour.
    pub fn seen(&self) -> SeenCounts {
        let since = self.now.saturating_sub(SEEN_FOR);
        SeenCounts {
            services: self.history.seen_since(Dimension::Service, since),
            models: self.history.seen_since(Dimension::Model, since),
            prompt_versions: self.seen.count(SeenKind::PromptVersion, self.now),
            agents: self.seen.count(SeenKind::Agent, self.now),
        }
    }

    /// Tells the time: everything is evaluated that was to be evaluated since the last time told. If that is too long ago, nobody knows what
    /// happened since: alerts stand still then.
    pub fn advance(&mut self, now: u64) {
        if self.now == 0 {
            self.next = floor(now, EVALUATION_STEP) + EVALUATION_STEP;
            // Else it would tell of all time, until something is evaluated.
            self.history.advance(now);
        }
        let since = Range { from: self.now, to: self.now.max(now) };
        self.now = since.to;
        if self.now < self.next {
            return;
        }
        if since.from > 0 && since.length() > GAP {
            self.unseen = since;
            self.alerts.iter_mut().for_each(|alert| alert.stand_still(since.length()));
        }
        self.next = self.next.max(floor(self.now.saturating_sub(CATCH_UP), EVALUATION_STEP));
        while self.next <= self.now {
            self.evaluate(self.next);
            self.next += EVALUATION_STEP;
        }
    }

    /// When something is evaluated next: then the time is to be told, if no call comes before. `None` before the first word.
    pub fn next_evaluation(&self) -> Option<u64> {
        (self.now > 0).then_some(self.next)
    }

    fn evaluate(&mut self, now: u64) {
        self.history.advance(now);
        let most = self.history.most_memory();
        if self.generation != self.history.generation() {
            self.generation = self.history.generation();
            self.streams.clear();
        }
        for monitor in &mut self.monitors {
            monitor.evaluate(now, &mut self.packer);
        }
        for slo in &mut self.slos {
            slo.rings.advance(now, &mut self.packer);
        }
        for rings in self.canaries.iter_mut().flat_map(|canary| &mut canary.rings) {
            rings.advance(now, &mut self.packer);
        }
        let mut forgotten = self.own_forgotten;
        make_room(&mut self.own_rings(), most, &mut forgotten);
        self.own_forgotten = forgotten;
        for chart in &mut self.charts {
            if let Some(monitor) = self.monitors.iter().find(|monitor| monitor.name() == chart.definition.monitor) {
                chart.evaluate(now, monitor, self.unseen);
            }
        }
        if now.is_multiple_of(MINUTE) {
            self.seen.advance(now);
        }
        if now > self.unseen.to {
            self.evaluate_alerts(now);
        }
    }

    /// The steps that monitors and canaries keep.
    fn own_rings(&mut self) -> Vec<&mut Rings<Stats>> {
        let monitors = self.monitors.iter_mut().map(|monitor| &mut monitor.rings);
        monitors.chain(self.canaries.iter_mut().flat_map(|canary| &mut canary.rings)).collect()
    }

    fn evaluate_alerts(&mut self, now: u64) {
        let mut alerts = std::mem::take(&mut self.alerts);
        let mut told = Told::default();
        for alert in &mut alerts {
            let monitor = self.monitors.iter().find(|monitor| monitor.name() == alert.rule().monitor);
            let Some(monitor) = monitor.filter(|monitor| monitor.state() == MonitorState::Active) else { continue };
            let reading = self.read(alert, monitor, now);
            alert.step(now, reading, monitor.muted_until() > now, &mut told);
        }
        self.alerts = alerts;
        self.keep(told);
    }

    pub(crate) fn keep(&mut self, told: Told) {
        self.incidents.extend(told.over);
        let waiting = |notification| Waiting { notification, through: Vec::new() };
        self.outbox.extend(told.notifications.into_iter().map(waiting));
        self.incidents.drain(..self.incidents.len().saturating_sub(KEPT));
        let too_many = self.outbox.len().saturating_sub(KEPT);
        self.outbox.drain(..too_many);
        self.dropped += too_many as u64;
    }

    /// The newest time told, nanoseconds since the Unix epoch.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// What was counted, by group and step.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// All monitors, the archived ones included: the configured ones first, then in the order of their creation.
    pub fn monitors(&self) -> &[Monitor] {
        &self.monitors
    }

    /// The monitor with a name.
    pub fn monitor(&self, name: &str) -> Option<&Monitor> {
        self.monitors.iter().find(|monitor| monitor.name() == name)
    }

    /// What was counted of a monitor in a time, in steps of this length, or of a longer one if so short ones are not kept for all of it: one
    /// series without names, or none if there were no calls.
    pub fn over_time(&self, monitor: &Monitor, range: Range, step: u64) -> Answer {
        let mut answer = over_time(&monitor.rings, self.now, &self.own_forgotten, range, step);
        // What is archived is not counted: a step without calls may be one that had some.
        let since = if monitor.state() == MonitorState::Archived { answer.range.to } else { monitor.since };
        answer.known_from = answer.known_from.max(since);
        answer
    }

    /// How far back steps of each length reach that monitors and canaries keep, the shortest first.
    pub fn own_reaches(&self) -> [Reach; 3] {
        reaches(self.now, &self.own_forgotten)
    }

    /// All alerts, those of objectives included: the configured ones first.
    pub fn alerts(&self) -> &[Alert] {
        &self.alerts
    }

    /// Incidents: those that last, then those that are over, the newest first.
    pub fn incidents(&self) -> impl Iterator<Item = &Incident> {
        let lasting = self.alerts.iter().filter_map(|alert| match alert.phase() {
            Phase::Firing(incident) => Some(&**incident),
            _ => None,
        });
        lasting.chain(self.incidents.iter().rev())
    }

    /// All objectives: the configured ones first.
    pub fn slos(&self) -> &[Slo] {
        &self.slos
    }

    /// All control charts.
    pub fn charts(&self) -> &[Chart] {
        &self.charts
    }

    /// All canaries.
    pub fn canaries(&self) -> &[Canary] {
        &self.canaries
    }

    /// What is not kept of calls: a selector that reads it selects none.
    pub fn not_kept(&self) -> &[Attribute] {
        &self.not_kept
    }

    /// How far the tokens of a monitor have drifted, if that is configured for it.
    pub fn drift(&self, monitor: &str) -> Option<DriftReport> {
        self.drift_at(monitor, self.now)
    }

    pub(crate) fn drift_at(&self, monitor: &str, now: u64) -> Option<DriftReport> {
        let definition = self.drifts.iter().find(|drift| drift.monitor == monitor)?;
        Some(drift::report(&self.monitor(monitor)?.rings, definition, now))
    }

    /// What is to be delivered, oldest first, until it is [acknowledged](crate::Command::Acknowledge).
    pub fn notifications(&self) -> impl Iterator<Item = &Notification> {
        self.outbox.iter().map(|waiting| &waiting.notification)
    }

    /// The same, and what became of each at the notifiers that are [through](crate::Command::Delivered) with it.
    pub fn deliveries(&self) -> impl Iterator<Item = (&Notification, &[Delivery])> {
        self.outbox.iter().map(|waiting| (&waiting.notification, &*waiting.through))
    }

    /// What became of the newest notifications that wait no more, by their id.
    pub fn settled(&self) -> impl Iterator<Item = (&str, &[Delivery])> {
        self.settled.iter().map(|(id, through)| (&**id, &**through))
    }

    /// All who are to be told are through with a notification.
    pub fn acknowledge(&mut self, id: &str) {
        let place = self.outbox.iter().position(|waiting| waiting.notification.id == id);
        let Some(Waiting { notification, through }) = place.and_then(|place| self.outbox.remove(place)) else { return };
        if through.is_empty() {
            return;
        }
        if self.settled.len() >= KEPT {
            self.settled.pop_front();
        }
        self.settled.push_back((notification.id, through));
    }

    /// Alerts and objectives that the API had made and that were not restored: why each.
    pub fn left_out(&self) -> &[CommandError] {
        &self.left_out
    }

    /// Objectives of the checkpoint whose budget begins anew, or is no more: they, or their monitors, are not defined as they were.
    pub fn forgotten_budgets(&self) -> &[String] {
        &self.forgotten_budgets
    }

    /// How many notifications were dropped because more than 1,000 waited.
    pub fn dropped_notifications(&self) -> u64 {
        self.dropped
    }
}

/// Where a call belongs.
fn find(call: &Call<'_>, history: &mut History, monitors: &[Monitor], slos: &[Slo], canaries: &[Canary]) -> Place {
    let is_selected =
        |monitor: &Monitor| monitor.state() != MonitorState::Archived && monitor.definition().selector.selects(call);
    let selected: Vec<(u32, &Monitor)> = (0..).zip(monitors).filter(|(_, monitor)| is_selected(monitor)).collect();
    let is_of = |name: &str| selected.iter().any(|(_, monitor)| monitor.name() == name);
    let slos = (0..).zip(slos).filter(|(_, slo)| is_of(&slo.definition().monitor));
    let canaries = (0..).zip(canaries).filter(|(_, canary)| is_of(&canary.definition().monitor));
    let sides = canaries.filter_map(|(place, canary)| Some((place, canary.definition().side(call)?)));
    let sides: Vec<(u32, Side)> = sides.collect();
    Place {
        group: history.place(dimensions(call)),
        slos: slos.map(|(place, _)| place).collect(),
        canaries: sides,
        monitors: selected.into_iter().map(|(place, _)| place).collect(),
    }
}
