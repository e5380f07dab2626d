//! The archive as a whole: requests in, files read back by the parquet crate.

mod columns;
mod cuts;
mod files;
mod properties;
mod support;
