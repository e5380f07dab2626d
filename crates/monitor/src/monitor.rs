//! A monitor: its calls over time, and what they say.

use crate::call::Call;
use crate::definition::MonitorDefinition;
use crate::health::Health;
use crate::history::{Packer, Rings, Stats};
use crate::monitoring::EVALUATION_STEP;
use crate::sample::{Sample, SampleKind, Samples};
use crate::snapshot::Snapshot;
use crate::time::{DAY, HOUR, MINUTE, Range, floor};

/// What is done with a monitor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum MonitorState {
    /// It is watched.
    #[default]
    Active,
    /// Its calls are counted, but there are no new snapshots, and its alerts stand still.
    Paused,
    /// It has its history, and nothing is added to it.
    Archived,
}

impl MonitorState {
    /// All of them. Checkpoints hold places in this list: what is new goes to its end.
    pub const ALL: [Self; 3] = [Self::Active, Self::Paused, Self::Archived];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Archived => "archived",
        }
    }
}

/// Times to the first token that are enough to know what is usual.
const ENOUGH: u64 = 20;

/// Calls that are watched together.
#[derive(Debug)]
pub struct Monitor {
    pub(crate) definition: MonitorDefinition,
    /// Whether it stands in the configuration, which then defines it.
    pub(crate) is_configured: bool,
    pub(crate) state: MonitorState,
    pub(crate) muted_until: u64,
    /// From when on its calls are counted; zero if that was always so.
    pub(crate) since: u64,
    pub(crate) rings: Rings<Stats>,
    pub(crate) samples: Samples,
    /// When its first call was counted; zero if none ever was.
    pub(crate) first_call: u64,
    /// When its newest call was counted; zero if none ever was.
    pub(crate) last_call: u64,
    /// The median time to the first token of the last day, in nanoseconds.
    pub(crate) usual_wait: Option<f64>,
    pub(crate) snapshot: Option<Snapshot>,
    pub(crate) health: Health,
}

impl Monitor {
    /// One whose calls are counted from a time on.
    pub(crate) fn new(definition: MonitorDefinition, is_configured: bool, since: u64) -> Self {
        Self {
            definition,
            is_configured,
            state: MonitorState::Active,
            muted_until: 0,
            since,
            rings: Rings::default(),
            samples: Samples::default(),
            first_call: 0,
            last_call: 0,
            usual_wait: None,
            snapshot: None,
            health: Health::NoData,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.definition.name
    }

    /// What it is.
    pub fn definition(&self) -> &MonitorDefinition {
        &self.definition
    }

    /// Whether it stands in the configuration; else it was created through the API.
    pub fn is_configured(&self) -> bool {
        self.is_configured
    }

    /// What is done with it.
    pub fn state(&self) -> MonitorState {
        self.state
    }

    /// Until when nobody is told that its alerts fire; in the past if they are.
    pub fn muted_until(&self) -> u64 {
        self.muted_until
    }

    /// The newest snapshot; `None` if there was none yet.
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref()
    }

    /// How it was when the newest snapshot was taken.
    pub fn health(&self) -> Health {
        self.health
    }

    /// From when on its calls are counted; zero if that was always so.
    pub fn since(&self) -> u64 {
        self.since
    }

    /// When its newest call was counted.
    pub fn last_call(&self) -> Option<u64> {
        (self.last_call > 0).then_some(self.last_call)
    }

    /// Some of its requests of the last hour, by kind.
    pub fn samples(&self) -> Vec<(SampleKind, Sample)> {
        self.samples.all()
    }

    /// What was counted in the window of the newest snapshot, whose distributions can be drawn; `None` without one.
    pub fn window_stats(&self) -> Option<Stats> {
        self.snapshot.as_ref().map(|snapshot| self.rings.window(snapshot.at, snapshot.length))
    }

    /// Takes another definition; tells whether the same calls are meant. Then what was counted stays, else it begins anew.
    pub(crate) fn redefine(&mut self, definition: MonitorDefinition, now: u64) -> bool {
        if definition.selector != self.definition.selector {
            let Self { is_configured, state, muted_until, .. } = *self;
            *self = Self { state, muted_until, ..Self::new(definition, is_configured, now) };
            return false;
        }
        let is_of_window = definition.window == self.definition.window;
        self.definition = definition;
        match &self.snapshot {
            Some(snapshot) if is_of_window => self.health = self.definition.health.judge(snapshot),
            // As it would have been taken at the newest evaluation.
            Some(_) if self.is_active() => self.take_snapshot(floor(now, EVALUATION_STEP)),
            _ => (self.snapshot, self.health) = (None, Health::NoData),
        }
        true
    }

    /// Lets its calls be counted again, and be watched.
    pub(crate) fn activate(&mut self, now: u64) {
        if self.state == MonitorState::Archived {
            self.since = now;
        }
        self.state = MonitorState::Active;
    }

    pub(crate) fn is_active(&self) -> bool {
        self.state == MonitorState::Active
    }

    /// Adds a call.
    pub(crate) fn record(&mut self, at: u64, call: &Call<'_>, packer: &mut Packer) {
        if self.state == MonitorState::Archived {
            return;
        }
        let cell = self.rings.at(at, packer);
        cell.record(call);
        if call.is_late {
            return;
        }
        let was_idle = self.last_call > 0 && at.saturating_sub(self.last_call) >= self.definition.cold_starts.idle;
        self.last_call = at;
        if self.first_call == 0 {
            self.first_call = at;
        }
        if was_idle && let (Some(wait), Some(usual)) = (call.time_to_first_token, self.usual_wait) {
            cell.after_idle += 1;
            cell.cold_starts += u64::from(wait as f64 >= self.definition.cold_starts.factor * usual);
        }
        self.samples.offer(at, call);
    }

    /// Closes what is over, and takes a snapshot if it is time for one; tells whether it did.
    pub(crate) fn evaluate(&mut self, now: u64, packer: &mut Packer) -> bool {
        self.rings.advance(now, packer);
        self.samples.advance(now);
        if now.is_multiple_of(MINUTE) {
            self.learn_usual_wait(now);
        }
        let length = self.definition.window.length();
        // Longer windows are kept in steps of a minute.
        let is_due = length <= HOUR || now.is_multiple_of(MINUTE) || self.snapshot.is_none();
        if !self.is_active() || !is_due {
            return false;
        }
        self.take_snapshot(now);
        true
    }

    fn take_snapshot(&mut self, now: u64) {
        let length = self.definition.window.length();
        let snapshot = Snapshot::of(&self.rings.window(now, length), now, length);
        self.health = self.definition.health.judge(&snapshot);
        self.snapshot = Some(snapshot);
    }

    fn learn_usual_wait(&mut self, now: u64) {
        let mut day = Stats::default();
        self.rings.sum(2, Range::before(now, DAY), &mut day);
        let waits = &day.time_to_first_token;
        self.usual_wait = if waits.count() >= ENOUGH { waits.quantile(0.5) } else { None };
    }
}
