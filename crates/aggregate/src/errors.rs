//! The index of error records: the newest failures, and what they have in common.

mod details;
mod texts;

use std::collections::{HashMap, VecDeque};

use genai::{ErrorClass, ErrorFacts, SpanFacts};
use otlp::Text;
use otlp::trace::{RESOURCE_ATTRIBUTES, attributes};
use otlp::value::Value;

use crate::fingerprint::fingerprint;
pub(crate) use details::Details;
use details::Resources;
pub use texts::ErrorText;
pub(crate) use texts::Texts;

/// Records for which there is room before there are any, at most.
const MOST_PREPARED: usize = 1 << 17;

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
    /// Normalised class.
    pub class: ErrorClass,
    /// Duration in nanoseconds, if the span tells one.
    pub duration: Option<u64>,
    /// The same for failures that differ in ids, numbers and addresses only.
    pub fingerprint: u64,
    pub(crate) texts: Texts,
    /// The rest of what is exported, if anybody wants it, until it is.
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
            class,
            duration: None,
            fingerprint: 0,
            texts: Texts::default(),
            details: None,
        }
    }

    /// The same with another text.
    pub fn with(self, which: ErrorText, text: &str) -> Self {
        let texts = Texts::of(|each| if each == which { text } else { self.text(each) }.into());
        Self { texts, ..self }
    }

    /// One of its texts; empty if it has none.
    pub fn text(&self, which: ErrorText) -> &str {
        self.texts.get(which)
    }

    /// The record of a failed call, which says so much. What is exported beside it comes with it if anybody wants that.
    pub(crate) fn new(facts: &SpanFacts, failure: Failure, receive_time: u64, details: Option<Box<Details>>) -> Self {
        let Failure { class, fingerprint, texts } = failure;
        Self {
            time: facts.time(receive_time),
            receive_time,
            trace_id: facts.trace_id,
            span_id: facts.span_id,
            class,
            duration: facts.duration(),
            fingerprint,
            texts,
            details,
        }
    }

    /// Memory that it takes, in bytes.
    fn bytes(&self) -> usize {
        self.charge() + self.details.as_ref().map_or(0, |details| size_of::<Details>() + details.bytes())
    }

    /// Memory that it takes without its details, in bytes.
    pub(crate) fn charge(&self) -> usize {
        size_of::<Self>() + self.texts.bytes()
    }
}

/// What a failed span says of its failure.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Failure {
    class: ErrorClass,
    fingerprint: u64,
    texts: Texts,
}

impl Failure {
    /// `None` of a span that did not fail.
    fn of(body: &[u8], facts: &SpanFacts, environment: Text) -> Option<Self> {
        let ErrorFacts { class, kind, message } = facts.error?;
        let texts = Texts::of(|which| {
            let told = match which {
                ErrorText::Service => facts.service.bytes(body),
                ErrorText::Environment => environment.bytes(body),
                ErrorText::SpanName => facts.name.bytes(body),
                ErrorText::Operation => facts.operation.bytes(body),
                ErrorText::Provider => facts.provider.bytes(body),
                ErrorText::RequestModel => facts.request_model.bytes(body),
                ErrorText::ResponseModel => facts.response_model.bytes(body),
                ErrorText::Kind => kind.bytes(body),
                ErrorText::Message => message.bytes(body),
            };
            texts::short(told, which.max())
        });
        let fingerprint = fingerprint(class, texts.get(ErrorText::Kind), texts.get(ErrorText::Message));
        Some(Self { class, fingerprint, texts })
    }

    /// Memory behind it, in bytes.
    pub(crate) fn heap(&self) -> usize {
        self.texts.bytes()
    }
}

/// Reads failures of one request.
#[derive(Debug, Clone, Default)]
pub(crate) struct FailureReader {
    /// The last resource, and where it is deployed: the next span mostly has the same, and looking for that is to read all that it says.
    last: Option<(Text, Text)>,
}

impl FailureReader {
    /// What a span says of its failure; `None` if it did not fail.
    pub(crate) fn read(&mut self, body: &[u8], facts: &SpanFacts) -> Option<Failure> {
        facts.error?;
        let resource = facts.resource;
        let (_, environment) = match self.last {
            Some(last) if last.0 == resource => last,
            _ => *self.last.insert((resource, environment(body, resource))),
        };
        Failure::of(body, facts, environment)
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
    resources: Resources,
}

impl ErrorIndex {
    /// An empty index that keeps at most so many records, and at least one.
    pub fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            // Room for as many as there can be, before the oldest goes: growing would take three times the memory for a moment. It is no memory until
            // the queue comes to it, which is 12 MB for 100,000.
            records: VecDeque::with_capacity(limit.clamp(1, MOST_PREPARED) + 1),
            groups: HashMap::new(),
            bytes: 0,
            new: 0,
            resources: Resources::default(),
        }
    }

    /// Adds a record; the oldest go if there are too many, or too large ones.
    pub fn add(&mut self, mut record: ErrorRecord) {
        if let Some(details) = &mut record.details {
            self.resources.share(&mut details.resource);
        }
        self.bytes += record.bytes();
        let group = self.groups.entry(record.fingerprint).or_insert_with(|| {
            let group = ErrorGroup {
                fingerprint: record.fingerprint,
                class: record.class,
                kind: record.text(ErrorText::Kind).to_owned(),
                message: record.text(ErrorText::Message).to_owned(),
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
    pub(crate) fn restore(&mut self, mut record: ErrorRecord) -> bool {
        if let Some(details) = &mut record.details {
            self.resources.share(&mut details.resource);
        }
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
        let record = ErrorRecord {
            time: number,
            receive_time: number,
            trace_id: [number as u8; 16],
            span_id: [1; 8],
            fingerprint: fingerprint(ErrorClass::Other, "E", message),
            ..ErrorRecord::of(ErrorClass::Other)
        };
        record.with(ErrorText::Kind, "E").with(ErrorText::Message, message)
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
        let details = || Box::new(Details { resource: vec![7; 4096].into(), facts: Box::default() });
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
