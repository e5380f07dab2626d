//! The messages of a checkpoint, as `proto/counting.proto` describes them. A checkpoint is one message, [`tag`] being the numbers of its
//! fields, so that any protobuf tool can look into it; it is written and read element by element, so that it is never in memory twice.
#![allow(dead_code, unused_qualifications, clippy::all, reason = "most of it is generated")]

include!(concat!(env!("OUT_DIR"), "/spanmill.counting.rs"));

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
