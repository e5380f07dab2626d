//! A request in parts: items byte for byte as they came, under copies of what stands above them.
//!
//! Nothing is decoded, so it takes no more memory than the request, one part, and what stands above, and texts that are not UTF-8 or values
//! nested too deep for others stay what they are. A message that cannot be read is a part of its own.

use bytes::Bytes;

use crate::rewrite::put_varint;
use crate::wire::{BYTES, Cursor, Text, WireError, key};

/// The items of a request, by the fields that lead to them from its outside: at each level the keys of those that hold the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Items(&'static [&'static [u32]]);

/// Spans or log records: in a resource, in a scope.
pub const RECORDS: Items = Items(&[&[key(1, BYTES)], &[key(2, BYTES)], &[key(2, BYTES)]]);

/// Data points: in a resource, in a scope, in a metric, in its gauge, sum, histogram, exponential histogram or summary.
pub const POINTS: Items = Items(&[
    &[key(1, BYTES)],
    &[key(2, BYTES)],
    &[key(2, BYTES)],
    &[key(5, BYTES), key(7, BYTES), key(9, BYTES), key(10, BYTES), key(11, BYTES)],
    &[key(1, BYTES)],
]);

impl Items {
    /// How many a request has.
    ///
    /// # Errors
    /// The first field that cannot be read on the way to the items.
    pub fn count(self, body: &[u8]) -> Result<u64, WireError> {
        count(Cursor::new(body)?, self.0)
    }
}

fn count(mut message: Cursor<'_>, levels: &[&[u32]]) -> Result<u64, WireError> {
    let Some((children, below)) = levels.split_first() else { return Ok(1) };
    let mut items = 0;
    while !message.is_empty() {
        match message.key()? {
            child if children.contains(&child) => items += count(message.message()?, below)?,
            other => message.skip(other)?,
        }
    }
    Ok(items)
}

/// A part of a request, itself a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Encoded.
    pub body: Bytes,
    /// How many items it has; 1 if that cannot be read.
    pub items: u64,
    /// It is as large as it is because it cannot be divided: what stands above its items takes too much of each part, or cannot be read.
    pub is_undivided: bool,
}

/// The parts of a request, in order, made one at a time.
#[derive(Debug)]
pub struct Divider {
    body: Bytes,
    levels: &'static [&'static [u32]],
    max_bytes: usize,
    max_heads: usize,
    /// The messages around what comes next, outermost first; none when all was read.
    open: Vec<Open>,
    /// A request that is not to be divided at all.
    whole: Option<Bytes>,
    /// Whether the current part has anything yet, and how many items.
    is_filled: bool,
    items: u64,
}

/// A message that is being divided.
#[derive(Debug)]
struct Open {
    /// The field that it stands in.
    key: u32,
    /// Its fields that hold no items: they go with each part.
    heads: Vec<u8>,
    /// What of it is in the current part, without these.
    part: Vec<u8>,
    /// What of it is in no part yet.
    rest: Text,
}

/// A field that holds items.
struct Child {
    key: u32,
    field: Text,
    content: Text,
    /// What stands behind it in its message.
    rest: Text,
}

impl Divider {
    /// Parts of at most `max_bytes`, unless one item alone, with what stands above it, is larger. What would have more than `max_heads` bytes
    /// above its items is not divided.
    pub fn new(body: Bytes, items: Items, max_bytes: usize, max_heads: usize) -> Self {
        let (open, whole) = (Vec::new(), None);
        let levels = items.0;
        let mut divider = Self { body, levels, max_bytes, max_heads, open, whole, is_filled: false, items: 0 };
        let all = u32::try_from(divider.body.len()).ok().map(|len| Text::new(0, len));
        match all.and_then(|all| divider.opened(0, all)) {
            Some(request) => divider.open.push(request),
            None => divider.whole = Some(divider.body.clone()),
        }
        divider
    }

    /// Leaves out the first items of all.
    pub fn skip_items(mut self, mut items: u64) -> Self {
        while items > 0 && !self.open.is_empty() {
            let Some(child) = self.next_child() else {
                self.close();
                continue;
            };
            let held = self.items_in(&child);
            if held <= items {
                items -= held;
                self.pass(&child);
                continue;
            }
            let Some(open) = self.opened(child.key, child.content) else { break };
            self.pass(&child);
            self.open.push(open);
        }
        self
    }

    /// Bytes that are in no part yet, without what goes with each.
    pub fn rest(&self) -> usize {
        let open: usize = self.open.iter().map(|open| open.rest.len() as usize).sum();
        open + self.whole.as_ref().map_or(0, Bytes::len)
    }

    /// The message divided, with what goes with each of its parts; `None` if it is not to be.
    fn opened(&self, key: u32, content: Text) -> Option<Open> {
        let children = self.levels.get(self.open.len())?;
        let mut room = self.max_heads.checked_sub(self.open.iter().map(|open| open.heads.len()).sum())?;
        let (mut heads, mut has_children) = (Vec::new(), false);
        let mut fields = Cursor::over(&self.body, content);
        while !fields.is_empty() {
            let start = fields.range().start();
            let key = fields.key().ok()?;
            fields.skip(key).ok()?;
            if children.contains(&key) {
                has_children = true;
                continue;
            }
            let field = Text::new(start, fields.range().start() - start);
            room = room.checked_sub(field.len() as usize)?;
            heads.extend_from_slice(field.bytes(&self.body));
        }
        has_children.then_some(Open { key, heads, part: Vec::new(), rest: content })
    }

    fn next_child(&self) -> Option<Child> {
        let (open, children) = (self.open.last()?, self.levels.get(self.open.len() - 1)?);
        let mut fields = Cursor::over(&self.body, open.rest);
        while !fields.is_empty() {
            let start = fields.range().start();
            let key = fields.key().ok()?;
            if children.contains(&key) {
                let content = fields.text().ok()?;
                let rest = fields.range();
                return Some(Child { key, field: Text::new(start, rest.start() - start), content, rest });
            }
            fields.skip(key).ok()?;
        }
        None
    }

    fn items_in(&self, child: &Child) -> u64 {
        let below = self.levels.get(self.open.len()..).unwrap_or_default();
        count(Cursor::over(&self.body, child.content), below).unwrap_or(1)
    }

    /// What comes next is what stands behind the child.
    fn pass(&mut self, child: &Child) {
        if let Some(open) = self.open.last_mut() {
            open.rest = child.rest;
        }
    }

    /// The child goes into the current part as it is.
    fn take(&mut self, child: &Child) {
        self.items += self.items_in(child);
        self.is_filled = true;
        if let Some(open) = self.open.last_mut() {
            open.part.extend_from_slice(child.field.bytes(&self.body));
        }
        self.pass(child);
    }

    /// Of the innermost message all was read.
    fn close(&mut self) {
        let Some(closed) = self.open.pop().filter(|closed| !closed.part.is_empty()) else { return };
        if let Some(around) = self.open.last_mut() {
            put_head(&mut around.part, closed.key, closed.heads.len() + closed.part.len());
            around.part.extend_from_slice(&closed.heads);
            around.part.extend_from_slice(&closed.part);
        }
    }

    /// How large the current part is at most.
    fn size(&self) -> usize {
        let around = 1 + varint_len(self.max_bytes);
        self.open.iter().map(|open| around + open.heads.len() + open.part.len()).sum::<usize>() - around
    }

    /// Ends the current part.
    fn part(&mut self, is_undivided: bool) -> Option<Part> {
        if !std::mem::take(&mut self.is_filled) {
            return None;
        }
        // How long each is with what is open in it, innermost first.
        let mut lengths: Vec<usize> = Vec::with_capacity(self.open.len());
        for open in self.open.iter().rev() {
            let inside = lengths.last().map_or(0, |length| 1 + varint_len(*length) + length);
            lengths.push(open.heads.len() + open.part.len() + inside);
        }
        let mut body = Vec::with_capacity(lengths.last().copied().unwrap_or_default());
        for (depth, (open, length)) in self.open.iter_mut().zip(lengths.into_iter().rev()).enumerate() {
            if depth > 0 {
                put_head(&mut body, open.key, length);
            }
            body.extend_from_slice(&open.heads);
            body.append(&mut open.part);
        }
        Some(Part { body: body.into(), items: std::mem::take(&mut self.items), is_undivided })
    }
}

impl Iterator for Divider {
    type Item = Part;

    fn next(&mut self) -> Option<Part> {
        if let Some(body) = self.whole.take() {
            let items = Items(self.levels).count(&body).unwrap_or(1);
            return Some(Part { body, items, is_undivided: true });
        }
        while !self.open.is_empty() {
            let Some(child) = self.next_child() else {
                if self.open.len() > 1 {
                    self.close();
                    continue;
                }
                let last = self.part(false);
                self.open.clear();
                return last;
            };
            if self.size() + child.field.len() as usize <= self.max_bytes {
                self.take(&child);
            } else if self.is_filled {
                return self.part(false);
            } else if let Some(open) = self.opened(child.key, child.content) {
                self.pass(&child);
                self.open.push(open);
            } else {
                let is_undivided = self.open.len() < self.levels.len();
                self.take(&child);
                return self.part(is_undivided);
            }
        }
        None
    }
}

fn put_head(out: &mut Vec<u8>, key: u32, length: usize) {
    put_varint(out, u64::from(key));
    put_varint(out, length as u64);
}

/// How many bytes a number takes as a varint.
fn varint_len(value: usize) -> usize {
    (usize::BITS - (value | 1).leading_zeros()).div_ceil(7) as usize
}
