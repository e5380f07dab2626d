//! The messages of a checkpoint and of the log, as `proto/monitoring.proto` describes them. A checkpoint is one message, [`tag`] being
//! the numbers of its fields, written and read element by element, so that it is never in memory twice.
#![allow(dead_code, unused_qualifications, clippy::all, reason = "most of it is generated")]

include!(concat!(env!("OUT_DIR"), "/spanmill.monitoring.rs"));

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
    pub(in crate::checkpoint) const SETTLED: u32 = 11;
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
            SETTLED => "settled",
            HASH => "hash",
            _ => "unknown field",
        }
    }
}
