//! Columns on their way into a Parquet file: values are gathered for a page, encoded and compressed page by page.
//!
//! The parquet crate's writers take any Arrow array: each value is copied into one, looked at again for its levels, hashed for its
//! dictionary and copied into a page, which costs three times what is done here. What is known here and not there: which texts follow
//! each other, which repeat as a whole, and that most levels are the same. Page headers, indexes and the footer are left to the crate.

mod chunk;
mod delta;
mod dictionary;
mod fill;
mod hybrid;
mod leaf;
mod levels;
mod texts;
mod values;

#[cfg(test)]
mod tests;

pub(crate) use chunk::{Finished, Press};
pub(crate) use fill::Fill;
pub(crate) use leaf::{Column, Completion, Leaf};
pub(crate) use levels::Levels;
pub(crate) use texts::{Mark, Style, Texts};
pub(crate) use values::{Amounts, Flags, Integers, Values};

/// Memory of a page or a dictionary that is kept for the next one, in bytes. What is larger is an exception.
const KEPT: usize = 4 << 20;

/// Appends a number in groups of seven bits, the lowest first.
fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
