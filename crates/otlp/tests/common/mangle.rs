//! Other encodings of the same request, all legal: unknown fields of every wire type at every level, fields in another
//! order, scalars sent twice, messages sent in two parts, varints longer than needed.

use prost::bytes::Buf;
use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint};

/// A message type: which of its fields are messages or repeated. All others are single scalars.
struct Shape {
    fields: &'static [(u32, Field)],
    /// Of a oneof the last field counts, so its fields keep their order.
    oneof: bool,
}

#[derive(Clone, Copy)]
enum Field {
    /// At most one, which may come in parts.
    One(&'static Shape),
    /// Each by itself.
    Many(&'static Shape),
    /// Repeated, and left as it is.
    Opaque,
}

use Field::{Many, One, Opaque};

static LOGS_REQUEST: Shape = Shape { fields: &[(1, Many(&RESOURCE_LOGS))], oneof: false };
static RESOURCE_LOGS: Shape = Shape { fields: &[(1, One(&RESOURCE)), (2, Many(&SCOPE_LOGS))], oneof: false };
static SCOPE_LOGS: Shape = Shape { fields: &[(1, One(&SCOPE)), (2, Many(&LOG_RECORD))], oneof: false };
static LOG_RECORD: Shape = Shape { fields: &[(5, One(&VALUE)), (6, Many(&KEY_VALUE))], oneof: false };
static REQUEST: Shape = Shape { fields: &[(1, Many(&RESOURCE_SPANS))], oneof: false };
static RESOURCE_SPANS: Shape = Shape { fields: &[(1, One(&RESOURCE)), (2, Many(&SCOPE_SPANS))], oneof: false };
static RESOURCE: Shape = Shape { fields: &[(1, Many(&KEY_VALUE)), (3, Opaque)], oneof: false };
static SCOPE_SPANS: Shape = Shape { fields: &[(1, One(&SCOPE)), (2, Many(&SPAN))], oneof: false };
static SCOPE: Shape = Shape { fields: &[(3, Many(&KEY_VALUE))], oneof: false };
static SPAN: Shape =
    Shape { fields: &[(9, Many(&KEY_VALUE)), (11, Many(&EVENT)), (13, Many(&LINK)), (15, One(&STATUS))], oneof: false };
static EVENT: Shape = Shape { fields: &[(3, Many(&KEY_VALUE))], oneof: false };
static LINK: Shape = Shape { fields: &[(4, Many(&KEY_VALUE))], oneof: false };
static STATUS: Shape = Shape { fields: &[], oneof: false };
static KEY_VALUE: Shape = Shape { fields: &[(2, One(&VALUE))], oneof: false };
/// Of a list in two parts prost keeps both, this reader the last: it hands on one range. Nobody writes that, so it is not tried.
static VALUE: Shape = Shape { fields: &[(5, Many(&ARRAY)), (6, Many(&KEY_VALUES))], oneof: true };
const BOOL: u32 = 2;
static ARRAY: Shape = Shape { fields: &[(1, Many(&VALUE))], oneof: false };
static KEY_VALUES: Shape = Shape { fields: &[(1, Many(&KEY_VALUE))], oneof: false };

/// Another encoding of a trace request, chosen by `seed`.
pub fn mangle(request: &[u8], seed: u64) -> Vec<u8> {
    mangle_as(request, &REQUEST, seed)
}

/// Another encoding of a logs request, chosen by `seed`.
pub fn mangle_logs(request: &[u8], seed: u64) -> Vec<u8> {
    mangle_as(request, &LOGS_REQUEST, seed)
}

fn mangle_as(request: &[u8], shape: &Shape, seed: u64) -> Vec<u8> {
    let mut dice = Dice(seed);
    let parts = parse(request, shape);
    let mut out = Vec::new();
    write(&mangled(parts, shape, &mut dice), &mut dice, &mut out);
    out
}

/// Random numbers (splitmix64) that shrink to zero with their seed.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

#[derive(Clone)]
struct Part {
    number: u32,
    content: Content,
}

#[derive(Clone)]
enum Content {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(Vec<u8>),
    Message(Field, Vec<Part>),
    Group(Vec<Part>),
}

fn parse(mut body: &[u8], shape: &Shape) -> Vec<Part> {
    let mut parts = Vec::new();
    while body.has_remaining() {
        let (number, wire_type) = decode_key(&mut body).unwrap();
        let content = match wire_type {
            WireType::Varint => Content::Varint(decode_varint(&mut body).unwrap()),
            WireType::SixtyFourBit => Content::Fixed64(body.get_u64_le()),
            WireType::ThirtyTwoBit => Content::Fixed32(body.get_u32_le()),
            WireType::LengthDelimited => {
                let length = decode_varint(&mut body).unwrap() as usize;
                let (bytes, rest) = body.split_at(length);
                body = rest;
                match field(shape, number) {
                    Some(field @ (One(inner) | Many(inner))) => Content::Message(field, parse(bytes, inner)),
                    _ => Content::Bytes(bytes.to_vec()),
                }
            }
            WireType::StartGroup | WireType::EndGroup => unreachable!("prost writes no groups"),
        };
        parts.push(Part { number, content });
    }
    parts
}

fn field(shape: &Shape, number: u32) -> Option<Field> {
    shape.fields.iter().find(|(known, _)| *known == number).map(|(_, field)| *field)
}

fn mangled(parts: Vec<Part>, shape: &Shape, dice: &mut Dice) -> Vec<Part> {
    let mut sent = Vec::new();
    for part in parts {
        let number = part.number;
        match part.content {
            Content::Message(One(inner), fields) if dice.one_in(3) => {
                let (first, second) = in_two(mangled(fields, inner, dice), inner, dice);
                sent.push(Part { number, content: Content::Message(One(inner), first) });
                sent.push(Part { number, content: Content::Message(One(inner), second) });
            }
            Content::Message(field @ (One(inner) | Many(inner)), fields) => {
                let fields = mangled(fields, inner, dice);
                sent.push(Part { number, content: Content::Message(field, fields) });
            }
            // Any number but zero is true.
            Content::Varint(1) if shape.oneof && number == BOOL => {
                sent.push(Part { number, content: Content::Varint(dice.next() | 1) });
            }
            content => {
                if field(shape, number).is_none() && dice.one_in(4) {
                    sent.push(Part { number, content: another(&content, dice) });
                }
                sent.push(Part { number, content });
            }
        }
    }
    if shape.oneof && !sent.is_empty() && dice.one_in(4) {
        sent.insert(0, Part { number: 3, content: Content::Varint(dice.next()) });
    }
    if !shape.oneof {
        sent = in_another_order(sent, dice);
    }
    while dice.one_in(3) {
        let at = dice.below(sent.len() + 1);
        sent.insert(at, unknown(dice, 0));
    }
    sent
}

/// Two parts that merge to the whole. The attributes of a scope stay together: the reader keeps the range of one part.
fn in_two(mut fields: Vec<Part>, shape: &Shape, dice: &mut Dice) -> (Vec<Part>, Vec<Part>) {
    let mut second = fields.split_off(dice.below(fields.len() + 1));
    if std::ptr::eq(shape, &SCOPE) {
        let (attributes, first) = fields.into_iter().partition(|part| part.number == 3);
        fields = first;
        second.splice(0..0, Vec::<Part>::into_iter(attributes));
    }
    (fields, second)
}

/// A value of the same type, which the one behind it replaces.
fn another(content: &Content, dice: &mut Dice) -> Content {
    match content {
        Content::Varint(_) => Content::Varint(dice.next()),
        Content::Fixed64(_) => Content::Fixed64(dice.next()),
        Content::Fixed32(_) => Content::Fixed32(dice.next() as u32),
        Content::Bytes(_) => Content::Bytes(vec![b'x'; dice.below(20)]),
        Content::Message(..) | Content::Group(_) => unreachable!("only scalars are replaced"),
    }
}

/// Any order in which fields of the same number follow each other as before.
fn in_another_order(parts: Vec<Part>, dice: &mut Dice) -> Vec<Part> {
    let mut numbers: Vec<u32> = parts.iter().map(|part| part.number).collect();
    for i in (1..numbers.len()).rev() {
        numbers.swap(i, dice.below(i + 1));
    }
    let mut left: Vec<Option<Part>> = parts.into_iter().map(Some).collect();
    let mut take = |number| {
        let next = left.iter_mut().find(|part| part.as_ref().is_some_and(|part| part.number == number));
        next.and_then(Option::take).expect("one part for each number")
    };
    numbers.into_iter().map(&mut take).collect()
}

/// A field that no message of OTLP has.
fn unknown(dice: &mut Dice, depth: usize) -> Part {
    const NUMBERS: [u32; 5] = [100, 101, 2047, 2048, (1 << 29) - 1];
    let content = match dice.below(if depth < 3 { 5 } else { 4 }) {
        0 => Content::Varint(dice.next()),
        1 => Content::Fixed64(dice.next()),
        2 => Content::Fixed32(dice.next() as u32),
        3 => Content::Bytes((0..dice.below(200)).map(|_| dice.next() as u8).collect()),
        _ => Content::Group((0..dice.below(3)).map(|_| unknown(dice, depth + 1)).collect()),
    };
    Part { number: NUMBERS[dice.below(NUMBERS.len())], content }
}

fn write(parts: &[Part], dice: &mut Dice, out: &mut Vec<u8>) {
    for Part { number, content } in parts {
        match content {
            Content::Varint(value) => {
                write_key(*number, WireType::Varint, dice, out);
                write_varint(*value, dice, out);
            }
            Content::Fixed64(value) => {
                write_key(*number, WireType::SixtyFourBit, dice, out);
                out.extend(value.to_le_bytes());
            }
            Content::Fixed32(value) => {
                write_key(*number, WireType::ThirtyTwoBit, dice, out);
                out.extend(value.to_le_bytes());
            }
            Content::Bytes(bytes) => {
                write_key(*number, WireType::LengthDelimited, dice, out);
                write_varint(bytes.len() as u64, dice, out);
                out.extend(bytes);
            }
            Content::Message(_, fields) => {
                let mut message = Vec::new();
                write(fields, dice, &mut message);
                write_key(*number, WireType::LengthDelimited, dice, out);
                write_varint(message.len() as u64, dice, out);
                out.extend(message);
            }
            Content::Group(fields) => {
                write_key(*number, WireType::StartGroup, dice, out);
                write(fields, dice, out);
                write_key(*number, WireType::EndGroup, dice, out);
            }
        }
    }
}

fn write_key(number: u32, wire_type: WireType, dice: &mut Dice, out: &mut Vec<u8>) {
    let mut key = Vec::new();
    encode_key(number, wire_type, &mut key);
    lengthen(key, dice, out);
}

fn write_varint(value: u64, dice: &mut Dice, out: &mut Vec<u8>) {
    let mut varint = Vec::new();
    encode_varint(value, &mut varint);
    lengthen(varint, dice, out);
}

/// The same varint with leading zeros, sometimes.
fn lengthen(mut varint: Vec<u8>, dice: &mut Dice, out: &mut Vec<u8>) {
    while dice.one_in(20) && varint.len() < 9 {
        *varint.last_mut().expect("a varint has a byte") |= 0x80;
        varint.push(0);
    }
    out.extend(varint);
}
