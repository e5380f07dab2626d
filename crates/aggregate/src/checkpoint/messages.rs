//! The messages of a checkpoint. A checkpoint is one protobuf message, [`tag`] being the numbers of its fields, so that any
//! protobuf tool can look into it; it is written and read element by element, so that it is never in memory twice.
//!
//! What a later version must still be able to read: numbers of fields are never used for anything else, and neither are the
//! numbers of what has a name (`codes`).

use prost::Message;

/// The fields of a checkpoint, in the order in which they are written. All but the last hold messages, all but the first
/// and the last any number of them.
pub(super) mod tag {
    pub(in crate::checkpoint) const HEAD: u32 = 1;
    pub(in crate::checkpoint) const NAMES: u32 = 2;
    pub(in crate::checkpoint) const SERIES: u32 = 3;
    pub(in crate::checkpoint) const REQUEST: u32 = 4;
    pub(in crate::checkpoint) const HELD: u32 = 5;
    pub(in crate::checkpoint) const NODE: u32 = 6;
    pub(in crate::checkpoint) const ERROR_GROUP: u32 = 7;
    pub(in crate::checkpoint) const ERROR: u32 = 8;
    pub(in crate::checkpoint) const TOLD: u32 = 9;
    pub(in crate::checkpoint) const COUNT: u32 = 10;
    pub(in crate::checkpoint) const RECEIVED: u32 = 11;
    /// `fixed64`: the hash of all that stands before it. It ends the checkpoint.
    pub(in crate::checkpoint) const HASH: u32 = 15;

    /// What errors call a field.
    pub(in crate::checkpoint) const fn name(tag: u32) -> &'static str {
        match tag {
            HEAD => "head",
            NAMES => "names",
            SERIES => "series",
            REQUEST => "request",
            HELD => "held",
            NODE => "node",
            ERROR_GROUP => "error_group",
            ERROR => "error",
            TOLD => "told",
            COUNT => "count",
            RECEIVED => "received",
            HASH => "hash",
            _ => "unknown field",
        }
    }
}

/// What there is one of.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Head {
    #[prost(uint32, tag = "1")]
    pub(super) format: u32,
    #[prost(fixed64, tag = "2")]
    pub(super) fingerprint: u64,
    #[prost(fixed64, tag = "3")]
    pub(super) start: u64,
    #[prost(fixed64, tag = "4")]
    pub(super) now: u64,
    #[prost(fixed64, tag = "5")]
    pub(super) interval_start: u64,
    /// When the newest call ended that the settle window forgot.
    #[prost(fixed64, tag = "6")]
    pub(super) forgotten: u64,
    /// How many of the newest error records were not exported yet.
    #[prost(uint64, tag = "7")]
    pub(super) new_errors: u64,
    /// What the values in keys of series are.
    #[prost(string, repeated, tag = "8")]
    pub(super) resource_attributes: Vec<String>,
    #[prost(string, repeated, tag = "9")]
    pub(super) dimensions: Vec<String>,
}

/// Provider and models that a price was looked for.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Names {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) provider: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) request_model: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) response_model: Vec<u8>,
}

/// A series. Held spans name it by its place among the series of the checkpoint.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Series {
    /// Empty for the series that takes what is over the limit, of which only `kind` tells what it is.
    #[prost(bytes = "vec", tag = "1")]
    pub(super) key: Vec<u8>,
    #[prost(uint32, tag = "2")]
    pub(super) kind: u32,
    #[prost(fixed64, tag = "3")]
    pub(super) start: u64,
    #[prost(message, optional, tag = "4")]
    pub(super) total: Option<Instruments>,
    #[prost(message, optional, tag = "5")]
    pub(super) open: Option<Instruments>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Instruments {
    #[prost(uint64, tag = "1")]
    pub(super) succeeded: u64,
    #[prost(uint64, tag = "2")]
    pub(super) failed: u64,
    #[prost(bool, tag = "3")]
    pub(super) usage_reported: bool,
    /// In the order of `TokenClasses`.
    #[prost(uint64, repeated, tag = "4")]
    pub(super) tokens: Vec<u64>,
    /// In the order of `Cost::by_class`; empty if all are nothing.
    #[prost(message, repeated, tag = "5")]
    pub(super) catalogue: Vec<Money>,
    #[prost(uint64, tag = "6")]
    pub(super) unpriced_tokens: u64,
    #[prost(message, optional, tag = "7")]
    pub(super) supplied: Option<Money>,
    /// Calls by coverage.
    #[prost(uint64, repeated, tag = "8")]
    pub(super) calls: Vec<u64>,
    #[prost(message, optional, tag = "9")]
    pub(super) input_tokens: Option<Histogram>,
    #[prost(message, optional, tag = "10")]
    pub(super) output_tokens: Option<Histogram>,
    #[prost(message, repeated, tag = "11")]
    pub(super) durations: Vec<Duration>,
    #[prost(message, optional, tag = "12")]
    pub(super) time_to_first_chunk: Option<Histogram>,
    #[prost(message, optional, tag = "13")]
    pub(super) time_per_output_token: Option<Histogram>,
    #[prost(uint64, tag = "14")]
    pub(super) evaluations: u64,
    #[prost(message, optional, tag = "15")]
    pub(super) scores: Option<Histogram>,
}

/// Durations of calls that failed in one way, or of those that did not.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Duration {
    /// Zero for those that did not.
    #[prost(uint32, tag = "1")]
    pub(super) error_class: u32,
    #[prost(message, optional, tag = "2")]
    pub(super) histogram: Option<Histogram>,
}

/// A histogram in which anything was measured.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Histogram {
    #[prost(uint64, repeated, tag = "1")]
    pub(super) counts: Vec<u64>,
    #[prost(double, tag = "2")]
    pub(super) sum: f64,
    #[prost(double, tag = "3")]
    pub(super) min: f64,
    #[prost(double, tag = "4")]
    pub(super) max: f64,
    #[prost(message, repeated, tag = "5")]
    pub(super) exemplars: Vec<Exemplar>,
    #[prost(message, optional, tag = "6")]
    pub(super) exponential: Option<Exponential>,
}

/// The same measurements in exponential buckets.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Exponential {
    #[prost(sint32, tag = "1")]
    pub(super) scale: i32,
    #[prost(uint64, tag = "2")]
    pub(super) zeros: u64,
    #[prost(sint32, tag = "3")]
    pub(super) offset: i32,
    #[prost(uint64, repeated, tag = "4")]
    pub(super) counts: Vec<u64>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Exemplar {
    #[prost(uint32, tag = "1")]
    pub(super) bucket: u32,
    #[prost(fixed64, tag = "2")]
    pub(super) trace_high: u64,
    #[prost(fixed64, tag = "3")]
    pub(super) trace_low: u64,
    #[prost(fixed64, tag = "4")]
    pub(super) span: u64,
    #[prost(fixed64, tag = "5")]
    pub(super) time: u64,
    #[prost(double, tag = "6")]
    pub(super) value: f64,
}

/// Pico-dollars: `high * 2^64 + low`.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(super) struct Money {
    #[prost(sint64, tag = "1")]
    pub(super) high: i64,
    #[prost(uint64, tag = "2")]
    pub(super) low: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(super) struct Usage {
    #[prost(uint32, optional, tag = "1")]
    pub(super) input: Option<u32>,
    #[prost(uint32, optional, tag = "2")]
    pub(super) cache_read: Option<u32>,
    #[prost(uint32, optional, tag = "3")]
    pub(super) cache_write: Option<u32>,
    #[prost(uint32, optional, tag = "4")]
    pub(super) cache_write_1h: Option<u32>,
    #[prost(uint32, optional, tag = "5")]
    pub(super) output: Option<u32>,
    #[prost(uint32, optional, tag = "6")]
    pub(super) reasoning: Option<u32>,
}

/// A request whose spans wait for outcomes. Its body stays in the log.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Request {
    #[prost(uint64, tag = "1")]
    pub(super) lsn: u64,
    #[prost(fixed64, tag = "2")]
    pub(super) receive_time: u64,
    /// Of the spans that wait no longer.
    #[prost(message, repeated, tag = "3")]
    pub(super) decided: Vec<Decided>,
}

/// What became of the spans of a request, kept beside the log until whoever writes it on them is done.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Outcomes {
    /// Of spans that have something to do with GenAI.
    #[prost(message, repeated, tag = "1")]
    pub(super) decided: Vec<Decided>,
    #[prost(string, tag = "2")]
    pub(super) price_version: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Decided {
    #[prost(uint32, tag = "1")]
    pub(super) position: u32,
    #[prost(uint32, tag = "2")]
    pub(super) outcome: u32,
    #[prost(uint32, tag = "3")]
    pub(super) reason: u32,
    #[prost(fixed64, tag = "4")]
    pub(super) counted_span: u64,
    #[prost(message, optional, tag = "5")]
    pub(super) cost: Option<SpanCost>,
    #[prost(message, optional, tag = "6")]
    pub(super) merged: Option<Merged>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SpanCost {
    #[prost(message, optional, tag = "1")]
    pub(super) amount: Option<Money>,
    #[prost(uint32, tag = "2")]
    pub(super) source: u32,
    #[prost(uint32, tag = "3")]
    pub(super) coverage: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Merged {
    #[prost(message, optional, tag = "1")]
    pub(super) usage: Option<Usage>,
    #[prost(uint32, tag = "2")]
    pub(super) error_class: u32,
    #[prost(bytes = "vec", optional, tag = "3")]
    pub(super) provider: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "4")]
    pub(super) request_model: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "5")]
    pub(super) response_model: Option<Vec<u8>>,
}

/// Where an outcome is written: a request by its place among the requests of the checkpoint, and a span of it.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(super) struct Place {
    #[prost(uint64, tag = "1")]
    pub(super) request: u64,
    #[prost(uint32, tag = "2")]
    pub(super) position: u32,
}

/// A call span in the settle window, or an agent that may stand for a call.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Held {
    #[prost(fixed64, tag = "1")]
    pub(super) trace_high: u64,
    #[prost(fixed64, tag = "2")]
    pub(super) trace_low: u64,
    #[prost(fixed64, tag = "3")]
    pub(super) span: u64,
    #[prost(fixed64, tag = "4")]
    pub(super) parent: u64,
    #[prost(fixed64, tag = "5")]
    pub(super) start: u64,
    #[prost(fixed64, tag = "6")]
    pub(super) end: u64,
    #[prost(fixed64, tag = "7")]
    pub(super) receive_time: u64,
    /// Place of its series.
    #[prost(uint32, tag = "8")]
    pub(super) series: u32,
    #[prost(fixed32, tag = "9")]
    pub(super) service: u32,
    #[prost(fixed32, tag = "10")]
    pub(super) scope: u32,
    #[prost(fixed32, tag = "11")]
    pub(super) name: u32,
    #[prost(fixed64, tag = "12")]
    pub(super) response: u64,
    #[prost(fixed32, tag = "13")]
    pub(super) request_family: u32,
    #[prost(fixed32, tag = "14")]
    pub(super) response_family: u32,
    #[prost(message, optional, tag = "15")]
    pub(super) usage: Option<Usage>,
    #[prost(uint64, optional, tag = "16")]
    pub(super) time_to_first_chunk: Option<u64>,
    #[prost(uint32, tag = "17")]
    pub(super) error_class: u32,
    /// The bits of `held::flag`.
    #[prost(uint32, tag = "18")]
    pub(super) flags: u32,
    #[prost(fixed64, tag = "19")]
    pub(super) counted_span: u64,
    /// How many spans its trace had when it came.
    #[prost(uint32, tag = "20")]
    pub(super) trace_size: u32,
    /// Where it waits, if anybody wants its outcome.
    #[prost(message, optional, tag = "21")]
    pub(super) place: Option<Place>,
    #[prost(message, optional, boxed, tag = "22")]
    pub(super) rare: Option<Box<Rare>>,
}

/// What few held spans have.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Rare {
    /// Memory that was counted for it.
    #[prost(uint32, tag = "1")]
    pub(super) heap: u32,
    #[prost(message, optional, tag = "2")]
    pub(super) error: Option<ErrorRecord>,
    #[prost(message, optional, tag = "3")]
    pub(super) split: Option<Split>,
    #[prost(message, optional, tag = "4")]
    pub(super) supplied_cost: Option<Money>,
    #[prost(string, tag = "5")]
    pub(super) service_tier: String,
    /// Place of the names that its price was found by, if its series does not tell.
    #[prost(uint32, optional, tag = "6")]
    pub(super) price: Option<u32>,
    #[prost(message, repeated, tag = "7")]
    pub(super) repetitions: Vec<Place>,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(super) struct Split {
    #[prost(uint32, tag = "1")]
    pub(super) part: u32,
    #[prost(fixed64, tag = "2")]
    pub(super) request: u64,
    #[prost(uint64, optional, tag = "3")]
    pub(super) stream_duration: Option<u64>,
}

/// A span that is no call and may stand between an agent and its calls.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Node {
    #[prost(fixed64, tag = "1")]
    pub(super) trace_high: u64,
    #[prost(fixed64, tag = "2")]
    pub(super) trace_low: u64,
    #[prost(fixed64, tag = "3")]
    pub(super) span: u64,
    #[prost(fixed64, tag = "4")]
    pub(super) parent: u64,
    #[prost(fixed64, tag = "5")]
    pub(super) start: u64,
    /// What was decided of an agent: see `codes`.
    #[prost(uint32, tag = "6")]
    pub(super) decided: u32,
    /// An agent that waits.
    #[prost(message, optional, boxed, tag = "7")]
    pub(super) waiting: Option<Box<Held>>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ErrorRecord {
    #[prost(fixed64, tag = "1")]
    pub(super) time: u64,
    #[prost(fixed64, tag = "2")]
    pub(super) receive_time: u64,
    #[prost(fixed64, tag = "3")]
    pub(super) trace_high: u64,
    #[prost(fixed64, tag = "4")]
    pub(super) trace_low: u64,
    #[prost(fixed64, tag = "5")]
    pub(super) span: u64,
    #[prost(string, tag = "6")]
    pub(super) service: String,
    #[prost(string, tag = "7")]
    pub(super) span_name: String,
    #[prost(string, tag = "8")]
    pub(super) operation: String,
    #[prost(string, tag = "9")]
    pub(super) provider: String,
    #[prost(string, tag = "10")]
    pub(super) request_model: String,
    #[prost(string, tag = "11")]
    pub(super) response_model: String,
    #[prost(uint32, tag = "12")]
    pub(super) class: u32,
    #[prost(string, tag = "13")]
    pub(super) kind: String,
    #[prost(string, tag = "14")]
    pub(super) message: String,
    #[prost(uint64, optional, tag = "15")]
    pub(super) duration: Option<u64>,
    #[prost(fixed64, tag = "16")]
    pub(super) fingerprint: u64,
    /// Until it is exported.
    #[prost(message, optional, tag = "17")]
    pub(super) details: Option<ErrorDetails>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ErrorDetails {
    /// OTLP's `Resource`.
    #[prost(bytes = "vec", tag = "1")]
    pub(super) resource: Vec<u8>,
    #[prost(message, repeated, tag = "2")]
    pub(super) attributes: Vec<opentelemetry_proto::tonic::common::v1::KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ErrorGroup {
    #[prost(fixed64, tag = "1")]
    pub(super) fingerprint: u64,
    #[prost(uint32, tag = "2")]
    pub(super) class: u32,
    #[prost(string, tag = "3")]
    pub(super) kind: String,
    #[prost(string, tag = "4")]
    pub(super) message: String,
    #[prost(uint64, tag = "5")]
    pub(super) count: u64,
    #[prost(fixed64, tag = "6")]
    pub(super) first_seen: u64,
    #[prost(fixed64, tag = "7")]
    pub(super) last_seen: u64,
    /// Two numbers a trace, high and low.
    #[prost(fixed64, repeated, tag = "8")]
    pub(super) traces: Vec<u64>,
}

/// How often a result of an evaluation was told, or that it was told at all.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Told {
    #[prost(fixed64, tag = "1")]
    pub(super) hash: u64,
    /// In each of the ways to tell it; empty if in none.
    #[prost(uint32, repeated, tag = "2")]
    pub(super) times: Vec<u32>,
    /// Whether it is among those that are forgotten next.
    #[prost(bool, tag = "3")]
    pub(super) is_older: bool,
}

/// How often something was counted of the work itself. A call that was counted early is told by none of the fields that say what.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(super) struct Count {
    #[prost(uint32, tag = "1")]
    pub(super) outcome: u32,
    #[prost(uint32, tag = "2")]
    pub(super) reason: u32,
    #[prost(uint32, tag = "3")]
    pub(super) inconsistency: u32,
    #[prost(uint64, tag = "4")]
    pub(super) count: u64,
    /// Whether it was counted in the open interval.
    #[prost(bool, tag = "5")]
    pub(super) is_open: bool,
    #[prost(bool, tag = "6")]
    pub(super) is_id_conflict: bool,
}

/// What was received at one time: requests and spans, by hashes of their content.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Received {
    /// Nanoseconds since the Unix epoch.
    #[prost(fixed64, tag = "1")]
    pub(super) time: u64,
    /// 16 bytes each, little-endian.
    #[prost(bytes = "vec", tag = "2")]
    pub(super) hashes: Vec<u8>,
    /// Whether older ones were forgotten before their time.
    #[prost(bool, tag = "3")]
    pub(super) is_cut: bool,
}
