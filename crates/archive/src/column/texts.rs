//! Texts of a page.

use std::borrow::Cow;
use std::ops::Range as Places;

use parquet::basic::Encoding;

use super::KEPT;
use super::dictionary::Dictionary;
use super::values::{Bound, Encoded, Range, Values};
use super::{delta, hybrid};

/// How texts are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// As places in a dictionary. However large: it is no larger than the requests that its texts are from, where texts that many rows
    /// share (those of resources and scopes) could be larger than all memory if each row had its own.
    Dictionary,
    /// One after the other, their lengths apart.
    Lengths,
    /// One after the other, each behind its length.
    Plain,
}

/// Longer bounds are cut.
const MAX_BOUND: usize = 64;

/// Texts that wait for their page. They may not be UTF-8: they are checked together, where that costs a tenth, and if need be each gets its
/// own replacement characters.
#[derive(Debug)]
pub(crate) struct Texts {
    style: Style,
    dictionary: Dictionary,
    /// The name that was added last, and its number in the dictionary: most rows have the same.
    last_name: Option<(&'static str, u32)>,
    numbers: Vec<u32>,
    bytes: Vec<u8>,
    lengths: Vec<u32>,
}

/// A place between two texts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    text: usize,
    byte: usize,
}

impl Mark {
    /// How many texts stand between two marks.
    pub(crate) fn texts_since(&self, start: &Self) -> usize {
        self.text - start.text
    }
}

impl Texts {
    pub(crate) fn new(style: Style) -> Self {
        let (numbers, bytes, lengths) = (Vec::new(), Vec::new(), Vec::new());
        Self { style, dictionary: Dictionary::default(), last_name: None, numbers, bytes, lengths }
    }

    /// Adds a text.
    #[inline]
    pub(crate) fn push(&mut self, text: &[u8]) {
        match self.style {
            Style::Dictionary => self.numbers.push(self.dictionary.number(text)),
            Style::Lengths | Style::Plain => {
                self.bytes.extend_from_slice(text);
                self.lengths.push(text.len() as u32);
            }
        }
    }

    /// Adds a name of this program: where the same one stands, nothing of it is read.
    #[inline]
    pub(crate) fn push_name(&mut self, name: &'static str) {
        if self.style != Style::Dictionary {
            return self.push(name.as_bytes());
        }
        let number = match self.last_name {
            Some((last, number)) if std::ptr::eq(last, name) => number,
            _ => {
                let number = self.dictionary.number(name.as_bytes());
                self.last_name = Some((name, number));
                number
            }
        };
        self.numbers.push(number);
    }

    /// Adds the text that `write` writes.
    pub(crate) fn push_written(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        match self.style {
            Style::Dictionary => {
                self.numbers.push(self.dictionary.number(&self.bytes[start..]));
                self.bytes.truncate(start);
            }
            Style::Lengths | Style::Plain => self.lengths.push((self.bytes.len() - start) as u32),
        }
    }

    /// The number of a text in the dictionary, if texts are stored so.
    #[inline]
    pub(crate) fn number(&mut self, text: &[u8]) -> Option<u32> {
        (self.style == Style::Dictionary).then(|| self.dictionary.number(text))
    }

    /// Adds the text with a number that [`Texts::number`] gave.
    #[inline]
    pub(crate) fn push_number(&mut self, number: u32) {
        self.numbers.push(number);
    }

    /// Where the next text will stand.
    pub(crate) fn mark(&self) -> Mark {
        Mark { text: self.numbers.len() + self.lengths.len(), byte: self.bytes.len() }
    }

    /// Adds the texts between two marks of this page once more.
    pub(crate) fn repeat(&mut self, marks: &Places<Mark>) {
        let texts = marks.start.text..marks.end.text;
        match self.style {
            Style::Dictionary => self.numbers.extend_from_within(texts),
            Style::Lengths | Style::Plain => {
                self.lengths.extend_from_within(texts);
                self.bytes.extend_from_within(marks.start.byte..marks.end.byte);
            }
        }
    }

    fn encode_numbers(&mut self, page: &mut Vec<u8>, wants_range: bool) -> Encoded {
        let width = hybrid::width_of(self.dictionary.len().saturating_sub(1) as u32);
        page.push(width as u8);
        hybrid::encode(&self.numbers, width, page);
        let range = if wants_range { self.range_of_numbers() } else { None };
        self.numbers.clear();
        Encoded { encoding: Encoding::RLE_DICTIONARY, range }
    }

    fn range_of_numbers(&self) -> Option<Range> {
        let mut is_used = vec![false; self.dictionary.len()];
        self.numbers.iter().for_each(|number| is_used[*number as usize] = true);
        let used = (0..).zip(&is_used).filter(|(_, is_used)| **is_used);
        bounds(used.map(|(number, _)| self.dictionary.text(number)))
    }

    fn encode_bytes(&mut self, page: &mut Vec<u8>, wants_range: bool) -> Encoded {
        if !is_text(&self.bytes, &self.lengths) {
            self.replace_what_is_no_text();
        }
        let range = if wants_range { bounds(texts(&self.bytes, &self.lengths)) } else { None };
        let encoding = if self.style == Style::Lengths {
            let lengths: Vec<i64> = self.lengths.iter().map(|length| i64::from(*length)).collect();
            delta::encode(&lengths, page);
            page.extend_from_slice(&self.bytes);
            Encoding::DELTA_LENGTH_BYTE_ARRAY
        } else {
            page.reserve(self.bytes.len() + 4 * self.lengths.len());
            for text in texts(&self.bytes, &self.lengths) {
                page.extend_from_slice(&(text.len() as u32).to_le_bytes());
                page.extend_from_slice(text);
            }
            Encoding::PLAIN
        };
        self.bytes.clear();
        self.lengths.clear();
        Encoded { encoding, range }
    }

    #[cold]
    fn replace_what_is_no_text(&mut self) {
        let mut replaced = Vec::with_capacity(self.bytes.len() * 2);
        let mut lengths = Vec::with_capacity(self.lengths.len());
        for text in texts(&self.bytes, &self.lengths) {
            let text: Cow<'_, str> = String::from_utf8_lossy(text);
            replaced.extend_from_slice(text.as_bytes());
            lengths.push(text.len() as u32);
        }
        (self.bytes, self.lengths) = (replaced, lengths);
    }
}

impl Values for Texts {
    fn size(&self) -> usize {
        self.bytes.len() + size_of_val(self.lengths.as_slice()) + size_of_val(self.numbers.as_slice())
    }

    fn encode(&mut self, page: &mut Vec<u8>, wants_range: bool) -> Encoded {
        match self.style {
            Style::Dictionary => self.encode_numbers(page, wants_range),
            Style::Lengths | Style::Plain => self.encode_bytes(page, wants_range),
        }
    }

    fn dictionary(&self) -> Option<(&[u8], usize)> {
        Some(self.dictionary.page())
    }

    fn end_chunk(&mut self) {
        self.dictionary.clear();
        self.last_name = None;
        self.bytes.shrink_to(KEPT);
    }
}

/// Whether each text is UTF-8: all of it, and no character stands in two of them.
fn is_text(bytes: &[u8], lengths: &[u32]) -> bool {
    if bytes.is_ascii() {
        return true;
    }
    let mut end = 0;
    std::str::from_utf8(bytes).is_ok_and(|all| {
        lengths.iter().all(|length| {
            end += *length as usize;
            all.is_char_boundary(end)
        })
    })
}

fn texts<'a>(mut bytes: &'a [u8], lengths: &'a [u32]) -> impl Iterator<Item = &'a [u8]> {
    lengths.iter().map(move |length| {
        let (text, rest) = bytes.split_at_checked(*length as usize).unwrap_or_default();
        bytes = rest;
        text
    })
}

/// The range of texts, its ends cut: the lower one down, the upper one up.
fn bounds<'a>(texts: impl Iterator<Item = &'a [u8]>) -> Option<Range> {
    let mut ends: Option<(&[u8], &[u8])> = None;
    for text in texts {
        ends = Some(ends.map_or((text, text), |(min, max)| (min.min(text), max.max(text))));
    }
    let (min, max) = ends?;
    let low = start_of(min);
    Some(Range {
        min: Bound::Text(low.to_vec(), low.len() == min.len()),
        max: Bound::Text(above(max)?, max.len() <= MAX_BOUND),
    })
}

/// The longest start of a text that is no longer than a bound may be.
fn start_of(text: &[u8]) -> &[u8] {
    if text.len() <= MAX_BOUND {
        return text;
    }
    let is_boundary = |place: usize| text.get(place).is_none_or(|byte| byte & 0xc0 != 0x80);
    let end = (0..=MAX_BOUND).rev().find(|place| is_boundary(*place)).unwrap_or(0);
    &text[..end]
}

/// A text that is at least `text`, no longer than a bound may be; `None` if there is none.
fn above(text: &[u8]) -> Option<Vec<u8>> {
    let start = start_of(text);
    if start.len() == text.len() {
        return Some(text.to_vec());
    }
    let mut start = String::from_utf8_lossy(start).into_owned();
    while let Some(last) = start.pop() {
        if let Some(next) = char::from_u32(last as u32 + 1) {
            start.push(next);
            return Some(start.into_bytes());
        }
    }
    None
}
