//! Columns of text, built from bytes.

use std::ops::Range;

use arrow_array::StringArray;
use arrow_buffer::{Buffer, NullBufferBuilder, OffsetBuffer};

/// Builds a column of text from bytes that may not be UTF-8.
///
/// A column is checked as a whole when it is complete: that costs a tenth of checking each short text for itself. Only if it
/// fails, each text gets its own replacement characters.
#[derive(Debug)]
pub(crate) struct TextBuilder {
    bytes: Vec<u8>,
    /// Where the texts end in `bytes`, after a leading zero.
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

/// A column larger than this is an exception, and no measure for the next one.
const MAX_ROOM: usize = 1 << 20;

impl TextBuilder {
    /// Room for `texts` texts of `bytes` bytes in all.
    pub(crate) fn with_capacity(texts: usize, bytes: usize) -> Self {
        let bytes = Vec::with_capacity(bytes);
        Self { bytes, offsets: new_offsets(texts), nulls: NullBufferBuilder::new(texts) }
    }

    /// Number of texts.
    pub(crate) fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Adds a text.
    #[inline]
    pub(crate) fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.finish_text();
    }

    /// Adds the text that `write` writes.
    #[inline]
    pub(crate) fn push_written(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.finish_text();
    }

    /// Adds a null.
    #[inline]
    pub(crate) fn push_null(&mut self) {
        self.nulls.append_null();
        self.push_offset();
    }

    /// Adds the texts of a range of positions once more.
    pub(crate) fn repeat(&mut self, texts: Range<usize>) {
        let Some(&[start, ..]) = self.offsets.get(texts.start..) else { return };
        let shift = self.bytes.len() as i32 - start;
        for text in texts.clone() {
            let end = self.offsets[text + 1];
            self.offsets.push(end + shift);
            self.nulls.append(self.nulls.is_valid(text));
        }
        let end = self.offsets[texts.end];
        self.bytes.extend_from_within(start as usize..end as usize);
    }

    #[inline]
    fn finish_text(&mut self) {
        self.nulls.append_non_null();
        self.push_offset();
    }

    #[inline]
    fn push_offset(&mut self) {
        // No overflow: the bytes of a batch are bounded far below 2^31 (rows.rs).
        self.offsets.push(self.bytes.len() as i32);
    }

    /// The column. The builder is empty again, with room for as much.
    pub(crate) fn finish(&mut self) -> StringArray {
        let room = Vec::with_capacity(room_for(self.bytes.len()));
        let bytes = Buffer::from_vec(std::mem::replace(&mut self.bytes, room));
        let offsets = finish_offsets(&mut self.offsets);
        let nulls = self.nulls.finish();
        if let Ok(column) = StringArray::try_new(offsets.clone(), bytes.clone(), nulls.clone()) {
            return column;
        }
        let texts = offsets.windows(2).enumerate().map(|(text, ends)| {
            let is_null = nulls.as_ref().is_some_and(|nulls| nulls.is_null(text));
            (!is_null).then(|| String::from_utf8_lossy(&bytes[ends[0] as usize..ends[1] as usize]))
        });
        texts.collect()
    }
}

/// Offsets with room for `count` more than the leading zero.
pub(crate) fn new_offsets(count: usize) -> Vec<i32> {
    let mut offsets = Vec::with_capacity(count + 1);
    offsets.push(0);
    offsets
}

/// What to reserve after a column of this length: the next one is seldom much longer.
fn room_for(length: usize) -> usize {
    length.min(MAX_ROOM) / 4 * 5
}

/// Takes the offsets, and leaves the leading zero, with room for as many.
pub(crate) fn finish_offsets(offsets: &mut Vec<i32>) -> OffsetBuffer<i32> {
    let room = new_offsets(room_for(offsets.len()));
    OffsetBuffer::new(std::mem::replace(offsets, room).into())
}

#[cfg(test)]
mod tests {
    use arrow_array::Array;

    use super::*;

    // Two halves of a character that stand together in the buffer are no character: each text is judged for itself.
    #[test]
    fn texts_are_judged_one_by_one() {
        let mut column = TextBuilder::with_capacity(0, 0);
        column.push(b"a\xc3");
        column.push(b"\xa9b");
        column.push_null();
        column.push("ü".as_bytes());
        column.push(b"");
        let column = column.finish();
        let texts: Vec<_> = column.iter().collect();
        assert_eq!(texts, [Some("a\u{fffd}"), Some("\u{fffd}b"), None, Some("ü"), Some("")]);
    }

    // What is repeated comes out as it stood, nulls included, and what follows is in its place.
    #[test]
    fn ranges_are_repeated() {
        let mut column = TextBuilder::with_capacity(0, 0);
        column.push(b"first");
        column.push(b"a");
        column.push_null();
        column.push_written(|out| out.extend_from_slice(b"bc"));
        column.repeat(1..4);
        column.repeat(0..0);
        column.push(b"last");
        assert_eq!(column.len(), 8);
        let column = column.finish();
        assert_eq!(column.null_count(), 2);
        let texts: Vec<_> = column.iter().map(|text| text.unwrap_or("-")).collect();
        assert_eq!(texts, ["first", "a", "-", "bc", "a", "-", "bc", "last"]);
    }
}
