//! The index of error records: the newest failures, and what they have in common.

mod details;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use genai::{ErrorClass, ErrorFacts, SpanFacts};
use otlp::Text;
use otlp::trace::{RESOURCE_ATTRIBUTES, attributes};
use otlp::value::Value;

use crate::fingerprint::fingerprint;
pub(crate) use details::Details;

/// Longest message of a record in bytes; what is longer is cut.
const MAX_MESSAGE: usize = 1024;
/// Longest other text of a record in bytes.
const MAX_NAME: usize = 256;
/// Memory of records and groups at most, in bytes: what they say is as long as their senders like.
const MAX_BYTES: usize = 64 << 20;
/// Traces that a group names.
pub(crate) const SAMPLES: usize = 5;

/// One failed call.
#[derive(Debug, Clone, PartialEq)]
pub struct ErrorRecord {
    /// End of the span, nanoseconds since the Unix epoch.
    pub time: u64,
    /// When it was received, nanoseconds since the Unix epoch.
    pub receive_time: u64,
    /// Its trace.
    pub trace_id: [u8; 16],
    /// Its span.
    pub span_id: [u8; 8],
    /// `service.name`.
    pub service: String,
    /// `deployment.environment.name`, or by its older name `deployment.environment`.
    pub environment: String,
    /// Span name.
    pub span_name: String,
    /// Canonical operation.
    pub operation: String,
    /// Canonical provider.
    pub provider: String,
    /// The model that was asked for.
    pub request_model: String,
    /// The model that answered.
    pub response_model: String,
    /// Normalised class.
    pub class: ErrorClass,
    /// Raw type.
    pub kind: String,
    /// What it says, cut at 1 KiB.
    pub message: String,
    /// Duration in nanoseconds, if the span tells one.
    pub duration: Option<u64>,
    /// The same for failures that differ in ids, numbers and addresses only.
    pub fingerprint: u64,
    /// The rest of what is exported, until it is.
    pub(crate) details: Option<Box<Details>>,
}

impl ErrorRecord {
    /// A record that says nothing but its class.
    pub fn of(class: ErrorClass) -> Self {
        Self {
            time: 0,
            receive_time: 0,
            trace_id: [0; 16],
            span_id: [0; 8],
            service: String::new(),
            environment: String::new(),
            span_name: String::new(),
            operation: String::new(),
            provider: String::new(),
            request_model: String::new(),
            response_model: String::new(),
            class,
            kind: String::new(),
            message: String::new(),
            duration: None,
            fingerprint: 0,
            details: None,
        }
    }

    pub(crate) fn new(body: &[u8], facts: &SpanFacts, error: ErrorFacts, receive_time: u64) -> Self {
        let name = |text: Text| cut(&text.str(body), MAX_NAME);
        let kind = name(error.kind);
        let message = cut(&error.message.str(body), MAX_MESSAGE);
        Self {
            time: facts.time(receive_time),
            receive_time,
            trace_id: facts.trace_id,
            span_id: facts.span_id,
            service: name(facts.service),
            environment: name(environment(body, facts.resource)),
            span_name: name(facts.name),
            operation: cut(&facts.operation.str(body), MAX_NAME),
            provider: cut(&facts.provider.str(body), MAX_NAME),
            request_model: name(facts.request_model),
            response_model: name(facts.response_model),
            class: error.class,
            fingerprint: fingerprint(error.class, &kind, &message),
            kind,
            message,
            duration: facts.duration(),
            details: Some(Box::new(Details::of(body, facts))),
        }
    }
}

impl ErrorRecord {
    /// Memory that it takes, in bytes.
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.text_bytes()
    }

    /// Memory of its texts and details, in bytes.
    pub(crate) fn text_bytes(&self) -> usize {
        let names = [&self.service, &self.environment, &self.span_name, &self.operation, &self.provider];
        let more = [&self.request_model, &self.response_model, &self.kind, &self.message];
        let details = self.details.as_ref().map_or(0, |details| size_of::<Details>() + details.bytes());
        names.into_iter().chain(more).map(String::len).sum::<usize>() + details
    }
}

/// Where a resource is deployed.
fn environment(body: &[u8], resource: Text) -> Text {
    let named = |name: &[u8]| {
        let mut attributes = attributes(body, resource, RESOURCE_ATTRIBUTES);
        attributes.find_map(|attribute| match attribute.value {
            Value::String(text) if attribute.key.bytes(body) == name => Some(text),
            _ => None,
        })
    };
    named(b"deployment.environment.name").or_else(|| named(b"deployment.environment")).unwrap_or_default()
}

/// A text, and of a long one so many bytes at most.
fn cut(text: &str, max: usize) -> String {
    text[..text.floor_char_boundary(max)].to_owned()
}

/// Failures with the same fingerprint.
#[derive(Debug, Clone, PartialEq)]
pub struct ErrorGroup {
    /// What they share.
    pub fingerprint: u64,
    /// Their class.
    pub class: ErrorClass,
    /// Raw type of the first one.
    pub kind: String,
    /// Message of the first one.
    pub message: String,
    /// How many there were, those whose records are gone included.
    pub count: u64,
    /// Receive time of the first one, nanoseconds since the Unix epoch.
    pub first_seen: u64,
    /// Receive time of the last one, nanoseconds since the Unix epoch.
    pub last_seen: u64,
    /// Traces of the newest ones.
    pub trace_ids: Vec<[u8; 16]>,
    /// How many of the kept records belong to it.
    pub(crate) kept: usize,
}

impl ErrorGroup {
    /// Memory that it takes, in bytes.
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.kind.len() + self.message.len() + SAMPLES * size_of::<[u8; 16]>()
    }
}

/// Error records, the oldest of which go first when there are too many or they take too much memory, and their groups. A group lives as long as one of
/// its records does.
#[derive(Debug)]
pub struct ErrorIndex {
    limit: usize,
    records: VecDeque<ErrorRecord>,
    groups: HashMap<u64, ErrorGroup>,
    /// Memory of both.
    bytes: usize,
    /// How many of the newest records were not yet taken by [`ErrorIndex::take_new`].
    new: usize,
}

impl ErrorIndex {
    /// An empty index that keeps at most so many records, and at least one.
    pub fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), records: VecDeque::new(), groups: HashMap::new(), bytes: 0, new: 0 }
    }

    /// Adds a record; the oldest go if there are too many, or too large ones.
    pub fn add(&mut self, mut record: ErrorRecord) {
        // Failures come in bursts, and a burst from few services.
        if let Some(details) = &mut record.details
            && let Some(before) = self.records.back().and_then(|before| before.details.as_ref())
            && before.resource == details.resource
        {
            details.resource = Arc::clone(&before.resource);
        }
        self.bytes += record.bytes();
        let group = self.groups.entry(record.fingerprint).or_insert_with(|| {
            let group = ErrorGroup {
                fingerprint: record.fingerprint,
                class: record.class,
                kind: record.kind.clone(),
                message: record.message.clone(),
                count: 0,
                first_seen: record.receive_time,
                last_seen: record.receive_time,
                trace_ids: Vec::new(),
                kept: 0,
            };
            self.bytes += group.bytes();
            group
        });
        group.count += 1;
        group.kept += 1;
        group.last_seen = record.receive_time;
        if group.trace_ids.len() == SAMPLES {
            group.trace_ids.remove(0);
        }
        group.trace_ids.push(record.trace_id);
        self.records.push_back(record);
        self.remove_surplus();
        self.new = (self.new + 1).min(self.records.len());
    }

    /// Removes the oldest as long as there is too much. The newest stays, whatever it takes.
    fn remove_surplus(&mut self) {
        while self.records.len() > self.limit || (self.bytes > MAX_BYTES && self.records.len() > 1) {
            let Some(oldest) = self.records.pop_front() else { return };
            self.bytes -= oldest.bytes();
            if let Some(group) = self.groups.get_mut(&oldest.fingerprint) {
                group.kept -= 1;
                if group.kept == 0 {
                    self.bytes -= group.bytes();
                    self.groups.remove(&oldest.fingerprint);
                }
            }
        }
    }

    /// Takes a group as it was, but for its records, which are to follow.
    pub(crate) fn restore_group(&mut self, group: ErrorGroup) {
        self.bytes += group.bytes();
        self.groups.insert(group.fingerprint, group);
    }

    /// Takes a record as it was; tells whether its group is known.
    pub(crate) fn restore(&mut self, record: ErrorRecord) -> bool {
        let Some(group) = self.groups.get_mut(&record.fingerprint) else { return false };
        group.kept += 1;
        self.bytes += record.bytes();
        self.records.push_back(record);
        true
    }

    /// Ends restoring, of which so many of the newest records were not taken; tells whether there are as many, and a record of each
    /// group.
    pub(crate) fn restored(&mut self, new: u64) -> bool {
        let is_whole = new <= self.records.len() as u64 && self.groups.values().all(|group| group.kept > 0);
        self.remove_surplus();
        self.new = usize::try_from(new).unwrap_or(usize::MAX).min(self.records.len());
        is_whole
    }

    /// The kept records, oldest first.
    pub(crate) fn oldest_first(&self) -> impl Iterator<Item = &ErrorRecord> {
        self.records.iter()
    }

    /// How many of the newest records were not yet taken.
    pub(crate) fn new_count(&self) -> usize {
        self.new
    }

    /// The records that were added since the last call and are still kept, oldest first, and their details, which go.
    pub(crate) fn take_new(&mut self) -> Vec<(&ErrorRecord, Option<Box<Details>>)> {
        let seen = self.records.len() - self.new;
        self.new = 0;
        let bytes = &mut self.bytes;
        let taken = self.records.range_mut(seen..).map(|record| {
            *bytes -= record.bytes();
            let details = record.details.take();
            *bytes += record.bytes();
            (&*record, details)
        });
        taken.collect()
    }

    /// The groups, those seen last first.
    pub fn groups(&self) -> Vec<&ErrorGroup> {
        let mut groups: Vec<&ErrorGroup> = self.groups.values().collect();
        groups.sort_by_key(|group| (std::cmp::Reverse(group.last_seen), group.fingerprint));
        groups
    }

    /// The group of a fingerprint.
    pub fn group(&self, fingerprint: u64) -> Option<&ErrorGroup> {
        self.groups.get(&fingerprint)
    }

    /// The kept records, newest first; of one group only, if it is given.
    pub fn records(&self, fingerprint: Option<u64>) -> impl Iterator<Item = &ErrorRecord> {
        self.records.iter().rev().filter(move |record| fingerprint.is_none_or(|wanted| record.fingerprint == wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u64, message: &str) -> ErrorRecord {
        let kind = "E".to_owned();
        ErrorRecord {
            time: number,
            receive_time: number,
            trace_id: [number as u8; 16],
            span_id: [1; 8],
            fingerprint: fingerprint(ErrorClass::Other, &kind, message),
            kind,
            message: message.to_owned(),
            ..ErrorRecord::of(ErrorClass::Other)
        }
    }

    // The index never holds more than its limit; the oldest go first, and a group goes with its last record.
    #[test]
    fn the_oldest_go_first() {
        let mut index = ErrorIndex::new(3);
        index.add(record(1, "old"));
        for number in 2..=4 {
            index.add(record(number, "new"));
        }
        assert_eq!(index.records(None).map(|r| r.time).collect::<Vec<_>>(), [4, 3, 2]);
        let groups = index.groups();
        assert_eq!((groups.len(), groups[0].message.as_str(), groups[0].count), (1, "new", 3));
        assert_eq!((groups[0].first_seen, groups[0].last_seen), (2, 4));
        assert_eq!(groups[0].trace_ids, [[2; 16], [3; 16], [4; 16]]);
    }

    // However long its failures' messages, the index takes no more memory than it may: the oldest go, and what is left is counted as what it
    // takes, also when details are taken.
    #[test]
    fn memory_is_bounded() {
        let mut index = ErrorIndex::new(usize::MAX);
        let details = || Box::new(Details::new(vec![7; 4096].into(), Vec::new()));
        for number in 0..12_000 {
            // Letters, as numbers make no difference.
            let letters: String =
                format!("{number:014b}").chars().map(|digit| if digit == '0' { 'a' } else { 'b' }).collect();
            let message = letters + &"x".repeat(1_000);
            index.add(ErrorRecord { details: Some(details()), ..record(number, &message) });
            assert!(index.bytes <= MAX_BYTES);
        }
        assert!(index.bytes > MAX_BYTES / 10 * 9 && index.records.len() < 12_000, "{}", index.records.len());
        assert_eq!(index.groups.len(), index.records.len());
        index.take_new();
        let taken = |index: &ErrorIndex| {
            let records: usize = index.records.iter().map(ErrorRecord::bytes).sum();
            records + index.groups.values().map(ErrorGroup::bytes).sum::<usize>()
        };
        assert_eq!(index.bytes, taken(&index));
        index.limit = 1;
        index.add(record(1, "last"));
        assert_eq!((index.records.len(), index.bytes), (1, taken(&index)));
    }

    // Every record is handed to the exporters once.
    #[test]
    fn new_records_are_taken_once() {
        let mut index = ErrorIndex::new(2);
        index.add(record(1, "a"));
        assert_eq!(index.take_new().len(), 1);
        assert_eq!(index.take_new().len(), 0);
        for number in 2..=5 {
            index.add(record(number, "b"));
        }
        let times: Vec<_> = index.take_new().into_iter().map(|(record, _)| record.time).collect();
        assert_eq!(times, [4, 5], "what is gone cannot be taken");
    }
}
