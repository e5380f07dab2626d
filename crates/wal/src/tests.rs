//! Tests of the whole: on a simulated file system that loses, tears and reorders, and on the real one.

mod checkpoint;
mod crash;
mod damage;
mod harness;
mod in_memory;
mod lag;
mod model;
mod real;
mod refusal;
mod sim;
mod writeback;
