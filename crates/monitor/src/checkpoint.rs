//! All that is known as bytes, and back: restoring it and going on gives what going on without it would have given.

mod alerts;
mod commands;
mod definitions;
mod messages;
mod monitors;
mod rings;
mod subjects;

use std::collections::HashMap;

use prost::Message;
use prost::encoding::{self, WireType};
use rapidhash::v3::rapidhash_v3;

use crate::alert::{Alert, AlertRule};
use crate::command::{CommandError, Subject};
use crate::definition::{Config, MonitorDefinition};
use crate::incident::Told;
use crate::monitoring::Monitoring;
use crate::seen::SeenKind;
use crate::slo::{Slo, SloDefinition};
use crate::time::Range;
use messages::tag;

/// The version of the messages.
const FORMAT: u32 = 1;

/// Why a checkpoint is not restored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// It says what no checkpoint can say: it is damaged.
    #[error("checkpoint of monitors: {field}: {problem}")]
    Invalid {
        /// What says so.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Another version wrote it.
    #[error("checkpoint of monitors: format {found}, and this version reads format {FORMAT} only")]
    Format {
        /// The format that it has.
        found: u32,
    },
    /// The configuration contradicts itself.
    #[error(transparent)]
    Config(#[from] crate::definition::ConfigError),
}

impl RestoreError {
    fn invalid(field: &str, problem: &str) -> Self {
        Self::Invalid { field: field.to_owned(), problem: problem.to_owned() }
    }
}

/// An error, unless what a field says is right.
fn check(is_right: bool, field: &str, problem: &str) -> Result<(), RestoreError> {
    if is_right { Ok(()) } else { Err(RestoreError::invalid(field, problem)) }
}

/// The number of a value: its place in the list of its kind, counted from one.
fn code<T: PartialEq>(all: &[T], value: T) -> u32 {
    all.iter().position(|known| *known == value).map_or(0, |place| place as u32 + 1)
}

/// What a number means in a field, if it means anything.
fn named<T: Copy>(all: &[T], code: u32, field: &str) -> Result<Option<T>, RestoreError> {
    let Some(place) = code.checked_sub(1) else { return Ok(None) };
    let known = all.get(place as usize).copied();
    known.map(Some).ok_or_else(|| RestoreError::invalid(field, "a number that means nothing"))
}

/// What a number means in a field that must not be empty.
fn required<T: Copy>(all: &[T], code: u32, field: &str) -> Result<T, RestoreError> {
    named(all, code, field)?.ok_or_else(|| RestoreError::invalid(field, "missing"))
}

impl Monitoring {
    /// The whole state as bytes, for [`Monitoring::restore`].
    pub fn checkpoint(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let head = messages::Head {
            format: FORMAT,
            now: self.now,
            next: self.next,
            dropped: self.dropped,
            forgotten: self.history.forgotten().to_vec(),
            own_forgotten: self.own_forgotten.to_vec(),
            unseen_from: self.unseen.from,
            unseen_to: self.unseen.to,
        };
        element(tag::HEAD, &head, &mut bytes);
        for (names, group) in self.history.groups() {
            let names = names.map(str::to_owned).to_vec();
            element(tag::GROUP, &messages::Group { names, rings: Some(rings::message(group)) }, &mut bytes);
        }
        for monitor in &self.monitors {
            element(tag::MONITOR, &monitors::message(monitor), &mut bytes);
        }
        for slo in &self.slos {
            element(tag::SLO, &subjects::slo_message(slo), &mut bytes);
        }
        for chart in &self.charts {
            element(tag::CHART, &subjects::chart_message(chart), &mut bytes);
        }
        for canary in &self.canaries {
            element(tag::CANARY, &subjects::canary_message(canary), &mut bytes);
        }
        for alert in &self.alerts {
            element(tag::ALERT, &alerts::alert_message(alert), &mut bytes);
        }
        for incident in &self.incidents {
            element(tag::INCIDENT, &alerts::incident_message(incident), &mut bytes);
        }
        for waiting in &self.outbox {
            element(tag::NOTIFICATION, &alerts::waiting_message(waiting), &mut bytes);
        }
        for kind in SeenKind::ALL {
            let (hashes, times) = self.seen.all(kind).into_iter().unzip();
            element(tag::SEEN, &messages::Seen { kind: code(&SeenKind::ALL, kind), hashes, times }, &mut bytes);
        }
        for settled in &self.settled {
            element(tag::SETTLED, &alerts::settled_message(settled), &mut bytes);
        }
        let hash = rapidhash_v3(&bytes);
        encoding::fixed64::encode(tag::HASH, &hash, &mut bytes);
        bytes
    }

    /// What wrote a checkpoint, to go on with what comes next. The configuration may have changed: what is defined as it was
    /// goes on, what is new begins, what is gone is forgotten, and what was told of it is withdrawn. What the API made stays, unless the
    /// configuration has something of the same name, or no longer has what it is about: see [`Monitoring::left_out`].
    ///
    /// # Errors
    /// The checkpoint is damaged, or of another version, or the configuration contradicts itself.
    pub fn restore(config: &Config, checkpoint: &[u8]) -> Result<Self, RestoreError> {
        let mut restoring = Restoring {
            monitoring: Self::new(config)?,
            configured: config.monitors.iter().map(|monitor| (&*monitor.name, monitor)).collect(),
            anew: Vec::new(),
            withdrawn: Told::default(),
        };
        let mut rest = body(checkpoint)?;
        let mut is_head = true;
        while !rest.is_empty() {
            let (tag, element) = next(&mut rest)?;
            check(is_head == (tag == tag::HEAD), "head", "not the first element")?;
            is_head = false;
            restoring.element(tag, element)?;
        }
        check(!is_head, "head", "missing")?;
        let Restoring { mut monitoring, withdrawn, .. } = restoring;
        monitoring.keep(withdrawn);
        Ok(monitoring)
    }
}

fn element(tag: u32, message: &impl Message, bytes: &mut Vec<u8>) {
    encoding::message::encode(tag, message, bytes);
}

/// The elements of a checkpoint, if the hash that ends it is theirs.
fn body(checkpoint: &[u8]) -> Result<&[u8], RestoreError> {
    let split = checkpoint.split_last_chunk::<9>();
    let (body, [key, hash @ ..]) = split.ok_or_else(|| RestoreError::invalid("hash", "missing"))?;
    let is_hash = u32::from(*key) == tag::HASH << 3 | WireType::SixtyFourBit as u32;
    let is_sound = is_hash && u64::from_le_bytes(*hash) == rapidhash_v3(body);
    check(is_sound, "hash", "not that of the checkpoint: it is damaged")?;
    Ok(body)
}

/// The next element and its field.
fn next<'a>(rest: &mut &'a [u8]) -> Result<(u32, &'a [u8]), RestoreError> {
    let malformed = |error: &prost::DecodeError| RestoreError::invalid("element", &error.to_string());
    let (tag, wire_type) = encoding::decode_key(rest).map_err(|error| malformed(&error))?;
    check(wire_type == WireType::LengthDelimited, tag::name(tag), "not a message")?;
    let length = encoding::decode_varint(rest).map_err(|error| malformed(&error))?;
    let split = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length));
    let (element, behind) = split.ok_or_else(|| RestoreError::invalid(tag::name(tag), "longer than the checkpoint"))?;
    *rest = behind;
    Ok((tag, element))
}

/// A message of an element.
fn message<M: Message + Default>(tag: u32, bytes: &[u8]) -> Result<M, RestoreError> {
    M::decode(bytes).map_err(|error| RestoreError::invalid(tag::name(tag), &error.to_string()))
}

/// What is being restored.
struct Restoring<'a> {
    monitoring: Monitoring,
    configured: HashMap<&'a str, &'a MonitorDefinition>,
    /// Monitors whose calls are others than they were: what is about them begins anew as well.
    anew: Vec<String>,
    withdrawn: Told,
}

impl Restoring<'_> {
    fn element(&mut self, tag: u32, bytes: &[u8]) -> Result<(), RestoreError> {
        let now = self.monitoring.now;
        match tag {
            tag::HEAD => return self.head(&message(tag, bytes)?),
            tag::GROUP => return self.group(message(tag, bytes)?),
            tag::MONITOR => return self.monitor(message(tag, bytes)?),
            tag::SLO => {
                let mut told: messages::Slo = message(tag, bytes)?;
                if let Some(made) = told.made.take() {
                    self.slo(definitions::slo(made)?);
                }
                let goes_on = self.goes_on(told.subject.as_ref())
                    && subjects::restore_slo(&mut self.monitoring.slos, &told, now)?;
                if !goes_on {
                    self.monitoring.forgotten_budgets.extend(told.subject.map(|subject| subject.name));
                }
            }
            tag::CHART => {
                let told: messages::Chart = message(tag, bytes)?;
                if self.goes_on(told.subject.as_ref()) {
                    subjects::restore_chart(&mut self.monitoring.charts, told, now)?;
                }
            }
            tag::CANARY => {
                let told: messages::Canary = message(tag, bytes)?;
                if self.goes_on(told.subject.as_ref()) {
                    subjects::restore_canary(&mut self.monitoring.canaries, &told, now)?;
                }
            }
            tag::ALERT => {
                let mut told: messages::Alert = message(tag, bytes)?;
                if let Some(made) = told.made.take() {
                    self.alert(definitions::alert(made)?);
                }
                let goes_on = self.goes_on(told.subject.as_ref());
                alerts::restore_alert(&mut self.monitoring.alerts, told, goes_on, now, &mut self.withdrawn)?;
            }
            tag::INCIDENT => self.monitoring.incidents.push_back(alerts::incident(message(tag, bytes)?, now)?),
            tag::NOTIFICATION => self.monitoring.outbox.push_back(alerts::waiting(message(tag, bytes)?, now)?),
            tag::SEEN => self.seen(&message(tag, bytes)?)?,
            tag::SETTLED => self.monitoring.settled.push_back(alerts::settled(message(tag, bytes)?)?),
            _ => check(false, tag::name(tag), "not an element of this version")?,
        }
        Ok(())
    }

    /// Takes an objective that the API made, unless it does not fit the configuration any more.
    fn slo(&mut self, definition: SloDefinition) {
        let monitoring = &mut self.monitoring;
        let is_taken = monitoring.slos.iter().any(|slo| slo.definition().name == definition.name);
        match monitoring.check_slo(&definition) {
            _ if is_taken => monitoring.left_out.push(CommandError::Exists(Subject::Slo, definition.name)),
            Err(error) => monitoring.left_out.push(error.into()),
            Ok(()) => {
                monitoring.alerts.extend(definition.rules().map(|rule| Alert::new(rule, false)));
                monitoring.slos.push(Slo::new(definition, false));
            }
        }
    }

    /// The same of an alert.
    fn alert(&mut self, rule: AlertRule) {
        let monitoring = &mut self.monitoring;
        let is_taken = monitoring.alerts.iter().any(|alert| alert.rule().name == rule.name);
        match monitoring.check_alert(&rule) {
            _ if is_taken => monitoring.left_out.push(CommandError::Exists(Subject::Alert, rule.name)),
            Err(error) => monitoring.left_out.push(error.into()),
            Ok(()) => monitoring.alerts.push(Alert::new(rule, false)),
        }
    }

    fn goes_on(&self, subject: Option<&messages::Subject>) -> bool {
        subject.is_some_and(|subject| !self.anew.contains(&subject.monitor))
    }

    fn head(&mut self, head: &messages::Head) -> Result<(), RestoreError> {
        if head.format != FORMAT {
            return Err(RestoreError::Format { found: head.format });
        }
        check(self.monitoring.history.restore_times(head.now, &head.forgotten), "forgotten", "not of three lengths")?;
        // Older versions did not tell.
        self.monitoring.own_forgotten = head.own_forgotten.as_slice().try_into().unwrap_or_default();
        // Nothing is evaluated between the newest time told and the next.
        check((head.now == 0 && head.next == 0) || head.now < head.next, "next", "before all that was told")?;
        let unseen = Range { from: head.unseen_from, to: head.unseen_to };
        check(unseen.from <= unseen.to && unseen.to <= head.now, "unseen", "no time before the newest")?;
        self.monitoring.unseen = unseen;
        self.monitoring.now = head.now;
        // Those that the checkpoint does not know are new.
        self.monitoring.monitors.iter_mut().for_each(|monitor| monitor.since = head.now);
        self.monitoring.next = head.next;
        self.monitoring.dropped = head.dropped;
        Ok(())
    }

    fn group(&mut self, told: messages::Group) -> Result<(), RestoreError> {
        let rings = rings::restored(told.rings.as_ref(), self.monitoring.now)?;
        let names: Vec<&str> = told.names.iter().map(|name| &**name).collect();
        let names = names.try_into().map_err(|_| RestoreError::invalid("names", "not one for each dimension"))?;
        check(self.monitoring.history.restore_group(names, rings), "group", "told twice")
    }

    fn seen(&mut self, told: &messages::Seen) -> Result<(), RestoreError> {
        let kind = required(&SeenKind::ALL, told.kind, "kind")?;
        check(told.hashes.len() == told.times.len(), "times", "not one for each hash")?;
        check(told.times.iter().all(|at| *at <= self.monitoring.now), "times", "later than all that was told")?;
        for (hash, at) in told.hashes.iter().zip(&told.times) {
            self.monitoring.seen.note(kind, *hash, *at);
        }
        Ok(())
    }

    fn monitor(&mut self, told: messages::Monitor) -> Result<(), RestoreError> {
        let name = told.definition.as_ref().map(|definition| definition.name.clone()).unwrap_or_default();
        let configured = self.configured.get(&*name).copied();
        if configured.is_none() && told.is_configured {
            self.anew.push(name);
            return Ok(());
        }
        let (restored, goes_on) = monitors::restored(told, configured, self.monitoring.now)?;
        if !goes_on {
            self.anew.push(name.clone());
        }
        match self.monitoring.monitors.iter_mut().find(|monitor| monitor.name() == name) {
            Some(monitor) => *monitor = restored,
            None => self.monitoring.monitors.push(restored),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::alert::Condition;
    use crate::call::Call;
    use crate::slo::Objective;
    use crate::time::{HOUR, SECOND};

    fn config() -> Config {
        Config {
            monitors: vec![MonitorDefinition::new("all", crate::Selector::default())],
            alerts: vec![AlertRule::new("silence", "all", Condition::NoData)],
            slos: vec![SloDefinition::new("slo", "all", Objective::Availability, 0.9)],
            ..Config::default()
        }
    }

    // A checkpoint is the message that proto/monitoring.proto describes: whoever has that reads all of it, and writes the same bytes.
    #[test]
    fn it_is_the_message_that_is_described() {
        let mut monitoring = Monitoring::new(&config()).unwrap();
        for number in 0..200 {
            let call = Call { service: "a", duration: Some(number), ..Call::default() };
            monitoring.record((1_000_000 + number * 7) * SECOND, &call);
        }
        monitoring.advance(1_000_000 * SECOND + 2 * HOUR);
        let checkpoint = monitoring.checkpoint();
        let message = messages::Checkpoint::decode(&*checkpoint).unwrap();
        let parts =
            [message.group.len(), message.monitor.len(), message.slo.len(), message.alert.len(), message.seen.len()];
        assert!(parts.iter().all(|part| *part > 0) && message.hash != 0, "{message:?}");
        assert!(message.encode_to_vec() == checkpoint);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        // Whatever a checkpoint says whose hash is right: it is refused, or what is restored goes on. Nothing panics.
        #[test]
        fn wrong_checkpoints_do_no_harm(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4)) {
            let mut monitoring = Monitoring::new(&config()).unwrap();
            for number in 0..200 {
                let call = Call { service: "a", duration: Some(number), ..Call::default() };
                monitoring.record((1_000_000 + number * 7) * SECOND, &call);
            }
            monitoring.advance(1_000_000 * SECOND + HOUR);
            let mut changed = monitoring.checkpoint();
            let length = changed.len() - 9;
            for (place, byte) in &changes {
                changed[place.index(length)] = *byte;
            }
            let hash = rapidhash_v3(&changed[..length]);
            changed[length + 1..].copy_from_slice(&hash.to_le_bytes());
            match Monitoring::restore(&config(), &changed) {
                Err(_) => prop_assert!(!changes.is_empty()),
                Ok(mut restored) => {
                    restored.advance(restored.now().saturating_add(HOUR));
                    restored.checkpoint();
                }
            }
        }
    }
}
