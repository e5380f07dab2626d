//! The messages of a checkpoint. It is one protobuf message, [`tag`] being the numbers of its fields, written and read element by
//! element, so that it is never in memory twice.
//!
//! What a later version must still be able to read: numbers of fields are never used for anything else, and neither are the
//! places of what has a name in the list of its kind.

use prost::{Message, Oneof};

/// The fields of a checkpoint, in the order in which they are written.
pub(super) mod tag {
    pub(in crate::checkpoint) const HEAD: u32 = 1;
    pub(in crate::checkpoint) const GROUP: u32 = 2;
    pub(in crate::checkpoint) const MONITOR: u32 = 3;
    pub(in crate::checkpoint) const SLO: u32 = 4;
    pub(in crate::checkpoint) const CHART: u32 = 5;
    pub(in crate::checkpoint) const CANARY: u32 = 6;
    pub(in crate::checkpoint) const ALERT: u32 = 7;
    pub(in crate::checkpoint) const INCIDENT: u32 = 8;
    pub(in crate::checkpoint) const NOTIFICATION: u32 = 9;
    pub(in crate::checkpoint) const SEEN: u32 = 10;
    /// `fixed64`: the hash of all that stands before it. It ends the checkpoint.
    pub(in crate::checkpoint) const HASH: u32 = 15;

    /// What errors call a field.
    pub(in crate::checkpoint) const fn name(tag: u32) -> &'static str {
        match tag {
            HEAD => "head",
            GROUP => "group",
            MONITOR => "monitor",
            SLO => "slo",
            CHART => "chart",
            CANARY => "canary",
            ALERT => "alert",
            INCIDENT => "incident",
            NOTIFICATION => "notification",
            SEEN => "seen",
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
    pub(super) now: u64,
    #[prost(fixed64, tag = "3")]
    pub(super) next: u64,
    #[prost(uint64, tag = "4")]
    pub(super) dropped: u64,
    /// Of the history, by length of steps.
    #[prost(fixed64, repeated, tag = "5")]
    pub(super) forgotten: Vec<u64>,
}

/// What was seen of a kind.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Seen {
    #[prost(uint32, tag = "1")]
    pub(super) kind: u32,
    /// In their order.
    #[prost(fixed64, repeated, tag = "2")]
    pub(super) hashes: Vec<u64>,
    /// When each was seen last.
    #[prost(fixed64, repeated, tag = "3")]
    pub(super) times: Vec<u64>,
}

/// Steps: of each length one run of bytes, in which each step has its number less that of the one before it, the number of its
/// bytes, and its bytes.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Rings {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub(super) closed: Vec<Vec<u8>>,
    /// Of each length at most one step, in the same form.
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub(super) open: Vec<Vec<u8>>,
}

/// A group of the history.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Group {
    /// In the order of `Dimension`.
    #[prost(string, repeated, tag = "1")]
    pub(super) names: Vec<String>,
    #[prost(message, required, tag = "2")]
    pub(super) rings: Rings,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Selector {
    #[prost(string, optional, tag = "1")]
    pub(super) service: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub(super) environment: Option<String>,
    #[prost(string, optional, tag = "3")]
    pub(super) provider: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub(super) model: Option<String>,
    #[prost(string, optional, tag = "5")]
    pub(super) response_model: Option<String>,
    #[prost(string, optional, tag = "6")]
    pub(super) operation: Option<String>,
    #[prost(string, optional, tag = "7")]
    pub(super) service_version: Option<String>,
    #[prost(string, optional, tag = "8")]
    pub(super) server_address: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Threshold {
    #[prost(uint32, tag = "1")]
    pub(super) field: u32,
    #[prost(double, tag = "2")]
    pub(super) warning: f64,
    #[prost(double, tag = "3")]
    pub(super) critical: f64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct MonitorDefinition {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, required, tag = "2")]
    pub(super) selector: Selector,
    #[prost(uint32, tag = "3")]
    pub(super) window: u32,
    #[prost(uint64, tag = "4")]
    pub(super) minimum_requests: u64,
    #[prost(message, repeated, tag = "5")]
    pub(super) thresholds: Vec<Threshold>,
    #[prost(uint64, tag = "6")]
    pub(super) idle: u64,
    #[prost(double, tag = "7")]
    pub(super) factor: f64,
}

/// An alert as the API defined it.
#[derive(Clone, PartialEq, Message)]
pub(super) struct AlertRule {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) monitor: String,
    #[prost(uint64, tag = "3")]
    pub(super) lasts: u64,
    #[prost(uint64, tag = "4")]
    pub(super) minimum_requests: u64,
    #[prost(uint32, tag = "5")]
    pub(super) severity: u32,
    #[prost(uint64, optional, tag = "6")]
    pub(super) repeat: Option<u64>,
    #[prost(oneof = "Condition", tags = "7, 8, 9, 10, 11")]
    pub(super) condition: Option<Condition>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Condition {
    #[prost(message, tag = "7")]
    Field(FieldCondition),
    #[prost(bool, tag = "8")]
    NoData(bool),
    #[prost(message, tag = "9")]
    Chart(ChartCondition),
    #[prost(message, tag = "10")]
    Drift(DriftCondition),
    #[prost(message, tag = "11")]
    Canary(CanaryCondition),
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct FieldCondition {
    #[prost(uint32, tag = "1")]
    pub(super) field: u32,
    #[prost(uint32, tag = "2")]
    pub(super) side: u32,
    /// The threshold, or, with a length, the factor of the baseline.
    #[prost(double, tag = "3")]
    pub(super) number: f64,
    /// The length of the baseline.
    #[prost(uint64, optional, tag = "4")]
    pub(super) length: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ChartCondition {
    #[prost(string, tag = "1")]
    pub(super) chart: String,
    #[prost(uint32, repeated, tag = "2")]
    pub(super) rules: Vec<u32>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct DriftCondition {
    #[prost(uint32, tag = "1")]
    pub(super) tokens: u32,
    #[prost(double, tag = "2")]
    pub(super) above: f64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct CanaryCondition {
    #[prost(string, tag = "1")]
    pub(super) canary: String,
    #[prost(uint32, tag = "2")]
    pub(super) verdict: u32,
}

/// An objective as the API defined it.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SloDefinition {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) monitor: String,
    #[prost(oneof = "Objective", tags = "3, 4, 5")]
    pub(super) objective: Option<Objective>,
    #[prost(double, tag = "6")]
    pub(super) target: f64,
    #[prost(uint32, tag = "7")]
    pub(super) period: u32,
    #[prost(message, repeated, tag = "8")]
    pub(super) burn_alerts: Vec<BurnAlert>,
    #[prost(uint64, tag = "9")]
    pub(super) minimum_requests: u64,
}

#[derive(Clone, Copy, PartialEq, Oneof)]
pub(super) enum Objective {
    #[prost(bool, tag = "3")]
    Availability(bool),
    #[prost(uint64, tag = "4")]
    Latency(u64),
    #[prost(uint64, tag = "5")]
    TimeToFirstToken(u64),
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct BurnAlert {
    #[prost(double, tag = "1")]
    pub(super) factor: f64,
    #[prost(uint64, tag = "2")]
    pub(super) window: u64,
    #[prost(uint32, tag = "3")]
    pub(super) severity: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Snapshot {
    #[prost(fixed64, tag = "1")]
    pub(super) at: u64,
    #[prost(uint64, tag = "2")]
    pub(super) length: u64,
    #[prost(uint64, tag = "3")]
    pub(super) requests: u64,
    /// Numbers of the fields that are known, and what they are.
    #[prost(uint32, repeated, tag = "4")]
    pub(super) fields: Vec<u32>,
    #[prost(double, repeated, tag = "5")]
    pub(super) values: Vec<f64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Sample {
    /// Its place among the periods.
    #[prost(uint32, tag = "1")]
    pub(super) period: u32,
    #[prost(uint32, tag = "2")]
    pub(super) kind: u32,
    #[prost(fixed64, tag = "3")]
    pub(super) at: u64,
    #[prost(bytes = "vec", tag = "4")]
    pub(super) trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    pub(super) span_id: Vec<u8>,
    #[prost(uint32, tag = "6")]
    pub(super) error: u32,
    #[prost(uint64, optional, tag = "7")]
    pub(super) duration: Option<u64>,
    #[prost(uint64, optional, tag = "8")]
    pub(super) time_to_first_token: Option<u64>,
    #[prost(uint64, optional, tag = "9")]
    pub(super) input_tokens: Option<u64>,
    #[prost(uint64, optional, tag = "10")]
    pub(super) output_tokens: Option<u64>,
    /// High and low half of what it cost.
    #[prost(message, optional, tag = "11")]
    pub(super) cost: Option<Money>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Money {
    #[prost(sfixed64, tag = "1")]
    pub(super) high: i64,
    #[prost(fixed64, tag = "2")]
    pub(super) low: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Monitor {
    #[prost(message, required, tag = "1")]
    pub(super) definition: MonitorDefinition,
    #[prost(bool, tag = "2")]
    pub(super) is_configured: bool,
    #[prost(uint32, tag = "3")]
    pub(super) state: u32,
    #[prost(fixed64, tag = "4")]
    pub(super) muted_until: u64,
    #[prost(fixed64, tag = "5")]
    pub(super) first_call: u64,
    #[prost(fixed64, tag = "6")]
    pub(super) last_call: u64,
    #[prost(double, optional, tag = "7")]
    pub(super) usual_wait: Option<f64>,
    #[prost(message, optional, tag = "8")]
    pub(super) snapshot: Option<Snapshot>,
    #[prost(uint32, tag = "9")]
    pub(super) health: u32,
    #[prost(uint64, tag = "10")]
    pub(super) newest_samples: u64,
    #[prost(message, repeated, tag = "11")]
    pub(super) samples: Vec<Sample>,
    #[prost(message, required, tag = "12")]
    pub(super) rings: Rings,
}

/// What is about a monitor and goes on while its definition does: an objective, a chart or a canary.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Subject {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) monitor: String,
    /// What decides whether it means the same.
    #[prost(string, tag = "3")]
    pub(super) definition: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Slo {
    #[prost(message, required, tag = "1")]
    pub(super) subject: Subject,
    #[prost(message, required, tag = "2")]
    pub(super) rings: Rings,
    /// If the API made it.
    #[prost(message, optional, tag = "3")]
    pub(super) made: Option<SloDefinition>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Canary {
    #[prost(message, required, tag = "1")]
    pub(super) subject: Subject,
    #[prost(message, required, tag = "2")]
    pub(super) baseline: Rings,
    #[prost(message, required, tag = "3")]
    pub(super) canary: Rings,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Chart {
    #[prost(message, required, tag = "1")]
    pub(super) subject: Subject,
    #[prost(double, repeated, tag = "2")]
    pub(super) learned: Vec<f64>,
    #[prost(double, optional, tag = "3")]
    pub(super) mean: Option<f64>,
    #[prost(double, tag = "4")]
    pub(super) deviation: f64,
    #[prost(message, repeated, tag = "5")]
    pub(super) points: Vec<ChartPoint>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ChartPoint {
    #[prost(fixed64, tag = "1")]
    pub(super) at: u64,
    #[prost(double, tag = "2")]
    pub(super) value: f64,
    #[prost(uint32, repeated, tag = "3")]
    pub(super) broken: Vec<u32>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Alert {
    /// Its monitor, and its condition as definition.
    #[prost(message, required, tag = "1")]
    pub(super) subject: Subject,
    #[prost(fixed64, optional, tag = "2")]
    pub(super) pending_since: Option<u64>,
    #[prost(message, optional, tag = "3")]
    pub(super) incident: Option<Incident>,
    #[prost(message, optional, tag = "4")]
    pub(super) reading: Option<Reading>,
    #[prost(message, optional, tag = "5")]
    pub(super) baseline: Option<Baseline>,
    #[prost(uint64, tag = "6")]
    pub(super) recovered: u64,
    #[prost(uint64, tag = "7")]
    pub(super) recovery_time: u64,
    /// If the API made it. Those of objectives stand with them.
    #[prost(message, optional, tag = "8")]
    pub(super) made: Option<AlertRule>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Reading {
    #[prost(double, tag = "1")]
    pub(super) value: f64,
    #[prost(double, tag = "2")]
    pub(super) threshold: f64,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Baseline {
    #[prost(fixed64, tag = "1")]
    pub(super) until: u64,
    #[prost(double, tag = "2")]
    pub(super) value: f64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Incident {
    #[prost(string, tag = "1")]
    pub(super) alert: String,
    #[prost(string, tag = "2")]
    pub(super) monitor: String,
    #[prost(uint32, tag = "3")]
    pub(super) severity: u32,
    #[prost(fixed64, tag = "4")]
    pub(super) since: u64,
    #[prost(fixed64, tag = "5")]
    pub(super) fired: u64,
    #[prost(fixed64, tag = "6")]
    pub(super) resolved: u64,
    /// Zero while it is not resolved.
    #[prost(uint32, tag = "7")]
    pub(super) resolution: u32,
    #[prost(double, tag = "8")]
    pub(super) value: f64,
    #[prost(double, tag = "9")]
    pub(super) threshold: f64,
    #[prost(fixed64, optional, tag = "10")]
    pub(super) told: Option<u64>,
    #[prost(uint32, tag = "11")]
    pub(super) notifications: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Notification {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    #[prost(uint32, tag = "2")]
    pub(super) kind: u32,
    #[prost(fixed64, tag = "3")]
    pub(super) at: u64,
    #[prost(message, required, tag = "4")]
    pub(super) incident: Incident,
    #[prost(double, optional, tag = "5")]
    pub(super) value: Option<f64>,
    #[prost(string, repeated, tag = "6")]
    pub(super) through: Vec<String>,
}
