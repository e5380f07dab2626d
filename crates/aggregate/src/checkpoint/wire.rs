//! The checkpoint as a run of elements, and the hash that ends it.

use prost::encoding::{self, WireType};
use prost::{DecodeError, Message};
use rapidhash::v3::rapidhash_v3;

use super::messages::tag;
use super::{RestoreError, check};

/// Writes elements behind what stands in `bytes` already.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    bytes: &'a mut Vec<u8>,
    begin: usize,
}

impl<'a> Writer<'a> {
    pub(super) fn new(bytes: &'a mut Vec<u8>) -> Self {
        let begin = bytes.len();
        Self { bytes, begin }
    }

    pub(super) fn element(&mut self, tag: u32, message: &impl Message) {
        encoding::message::encode(tag, message, self.bytes);
    }

    pub(super) fn finish(self) {
        let hash = rapidhash_v3(self.bytes.get(self.begin..).unwrap_or_default());
        encoding::fixed64::encode(tag::HASH, &hash, self.bytes);
    }
}

/// Reads elements, in place: what one is to be, and what it may take, is for its reader to say.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    all: &'a [u8],
    rest: &'a [u8],
    last: u32,
}

impl<'a> Reader<'a> {
    pub(super) fn new(all: &'a [u8]) -> Self {
        Self { all, rest: all, last: 0 }
    }

    /// The next element and its field; `None` behind the last, if the hash is right.
    pub(super) fn next(&mut self) -> Result<Option<(u32, &'a [u8])>, RestoreError> {
        check(!self.rest.is_empty(), "hash", "missing: the checkpoint is cut off")?;
        let begin = self.all.len() - self.rest.len();
        let (tag, wire_type) =
            encoding::decode_key(&mut self.rest).map_err(|error| malformed("field number", &error))?;
        if tag == tag::HASH {
            return self.end(wire_type, begin).map(|()| None);
        }
        let name = tag::name(tag);
        check(wire_type == WireType::LengthDelimited, name, "not a message")?;
        check(tag >= self.last, name, "out of order")?;
        self.last = tag;
        let length = encoding::decode_varint(&mut self.rest).map_err(|error| malformed(name, &error))?;
        let split = usize::try_from(length).ok().and_then(|length| self.rest.split_at_checked(length));
        let Some((element, rest)) = split else {
            return Err(RestoreError::invalid(name, "longer than the checkpoint"));
        };
        self.rest = rest;
        Ok(Some((tag, element)))
    }

    fn end(&self, wire_type: WireType, begin: usize) -> Result<(), RestoreError> {
        let told = <[u8; 8]>::try_from(self.rest).ok().filter(|_| wire_type == WireType::SixtyFourBit);
        let Some(told) = told else { return Err(RestoreError::invalid("hash", "not the end of the checkpoint")) };
        let hashed = self.all.get(..begin).unwrap_or_default();
        check(u64::from_le_bytes(told) == rapidhash_v3(hashed), "hash", "not that of the checkpoint: it is damaged")
    }
}

/// A message of an element.
pub(super) fn message<M: Message + Default>(bytes: &[u8], name: &str) -> Result<M, RestoreError> {
    M::decode(bytes).map_err(|error| malformed(name, &error))
}

fn malformed(field: &str, error: &DecodeError) -> RestoreError {
    RestoreError::invalid(field, &error.to_string())
}
