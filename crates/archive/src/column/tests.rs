//! What is encoded here comes back from the parquet crate's own reader.

use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Encoding, ZstdLevel};
use parquet::column::reader::get_typed_column_reader;
use parquet::data_type::{AsBytes, ByteArrayType, DataType, Int64Type};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::serialized_reader::ReadOptionsBuilder;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::*;

/// Numbers that look random, the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 11 ^ self.0 << 40
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

fn press() -> Press {
    Press::new(ZstdLevel::try_new(1).unwrap()).unwrap()
}

/// A file with one row group of one leaf.
fn file<V: Values>(schema: &str, leaf: &mut Leaf<V>) -> Bytes {
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::default()).unwrap();
    let mut press = press();
    let mut completion = Completion { schema: writer.schema_descr(), press: &mut press, finished: Vec::new() };
    leaf.finish(&mut completion).unwrap();
    let chunk = completion.finished.pop().unwrap();
    let mut group = writer.next_row_group().unwrap();
    group.append_column(&chunk.bytes, chunk.close).unwrap();
    group.close().unwrap();
    writer.into_inner().unwrap().into()
}

fn reader(file: Bytes) -> SerializedFileReader<Bytes> {
    SerializedFileReader::new_with_options(file, ReadOptionsBuilder::new().with_page_index().build()).unwrap()
}

/// The values of the only leaf, and their definition and repetition levels.
fn read<T: DataType>(file: Bytes, rows: usize) -> (Vec<T::T>, Vec<i16>, Vec<i16>) {
    let column = reader(file).get_row_group(0).unwrap().get_column_reader(0).unwrap();
    let (mut values, mut definition, mut repetition) = (Vec::new(), Vec::new(), Vec::new());
    let mut column = get_typed_column_reader::<T>(column);
    let (read, _, _) = column.read_records(rows, Some(&mut definition), Some(&mut repetition), &mut values).unwrap();
    assert_eq!(read, rows);
    (values, definition, repetition)
}

fn chunk(file: &Bytes) -> ColumnChunkMetaData {
    reader(file.clone()).metadata().row_group(0).column(0).clone()
}

// Integers of any size come back, from pages of any length, nulls in between, and the extremes next to each other.
#[test]
fn integers_come_back() {
    let mut random = Random(1);
    let mut leaf = Leaf::new(0, 1, true, Integers::default());
    let mut press = press();
    let (mut wanted, mut levels) = (Vec::new(), Vec::new());
    for (page, length) in [0_usize, 1, 2, 31, 32, 33, 34, 127, 128, 129, 130, 257, 1000].into_iter().enumerate() {
        for place in 0..length {
            let value = match page % 4 {
                0 => random.next() as i64 >> random.below(64),
                1 => [i64::MIN, i64::MAX, 0, -1][place % 4],
                2 => 7,
                _ => place as i64 * 1_000_003,
            };
            leaf.values.push(value);
            wanted.push(value);
        }
        let nulls = random.below(20) as usize;
        leaf.definition.push_many(1, length);
        leaf.definition.push_many(0, nulls);
        levels.extend(std::iter::repeat_n(1, length).chain(std::iter::repeat_n(0, nulls)));
        leaf.end_page(length + nulls, &mut press).unwrap();
    }
    let file = file("message m { OPTIONAL INT64 a; }", &mut leaf);
    let (values, definition, _) = read::<Int64Type>(file.clone(), levels.len());
    assert_eq!((values, definition), (wanted, levels.clone()));
    let statistics = chunk(&file).statistics().cloned().unwrap();
    assert_eq!(statistics.min_bytes_opt(), Some(&i64::MIN.to_le_bytes()[..]));
    assert_eq!(statistics.max_bytes_opt(), Some(&i64::MAX.to_le_bytes()[..]));
    assert_eq!(statistics.null_count_opt(), Some(levels.iter().filter(|level| **level == 0).count() as u64));
}

// Levels come back however long their runs are.
#[test]
fn levels_come_back() {
    let mut random = Random(2);
    for longest in [1, 3, 8, 9, 20, 600] {
        let mut leaf = Leaf::new(1, 3, false, Integers::default());
        let mut repetition = Levels::default();
        let (mut wanted, mut rows, mut values) = (Vec::new(), 0, 0);
        while wanted.len() < 3000 {
            let (rep, def) = (if rows == 0 { 0 } else { random.below(2) as u32 }, random.below(4) as u32);
            for _ in 0..=random.below(longest) {
                // An absent list is a row of its own.
                let rep = if def == 0 { 0 } else { rep };
                repetition.push(rep);
                leaf.definition.push(def);
                wanted.push((def as i16, rep as i16));
                rows += usize::from(rep == 0);
                if def == 3 {
                    leaf.values.push(values);
                    values += 1;
                }
            }
        }
        leaf.end_page_of(rows, &repetition, &mut press()).unwrap();
        let schema = "message m { OPTIONAL group a (LIST) { REPEATED group list { OPTIONAL INT64 element; } } }";
        let (found, definition, repetition) = read::<Int64Type>(file(schema, &mut leaf), rows);
        assert_eq!(definition.into_iter().zip(repetition).collect::<Vec<_>>(), wanted, "runs up to {longest}");
        assert_eq!(found, (0..values).collect::<Vec<_>>());
    }
}

// Texts come back however they are stored, with replacement characters where they are none; one that is split between two is none.
#[test]
fn texts_come_back() {
    let texts: [&[u8]; 8] = [b"a", b"", "\u{fc}".as_bytes(), b"\xff\xc0", b"x\xc3", b"\xbcy", &[b'l'; 1000], b"a"];
    for (style, encoding) in [
        (Style::Dictionary, Encoding::RLE_DICTIONARY),
        (Style::Lengths, Encoding::DELTA_LENGTH_BYTE_ARRAY),
        (Style::Plain, Encoding::PLAIN),
    ] {
        let mut leaf = Leaf::new(0, 0, true, Texts::new(style));
        let start = leaf.values.mark();
        texts.iter().for_each(|text| leaf.values.push(text));
        let end = leaf.values.mark();
        leaf.values.repeat(&(start..end));
        leaf.values.push_written(|out| out.extend_from_slice(b"written"));
        leaf.end_page(17, &mut press()).unwrap();
        let file = file("message m { REQUIRED BYTE_ARRAY a (STRING); }", &mut leaf);
        let wanted = texts.iter().chain(&texts).map(|text| String::from_utf8_lossy(text).into_owned());
        let wanted: Vec<_> = wanted.chain(["written".to_owned()]).collect();
        let (found, _, _) = read::<ByteArrayType>(file.clone(), 17);
        let found: Vec<_> = found.iter().map(|text| String::from_utf8(text.as_bytes().to_vec()).unwrap()).collect();
        assert_eq!(found, wanted, "{style:?}");
        assert!(chunk(&file).encodings().any(|found| found == encoding), "{style:?}");
    }
}

// Places in dictionaries of any size come back.
#[test]
fn dictionaries_come_back() {
    for distinct in [1, 2, 3, 255, 256, 257, 40_000] {
        let mut random = Random(distinct);
        let mut leaf = Leaf::new(0, 0, false, Texts::new(Style::Dictionary));
        let (mut wanted, mut press) = (Vec::new(), press());
        for _page in 0..3 {
            for _ in 0..20_000 {
                let text = format!("{:040}", random.below(distinct));
                // Runs, patterns and noise.
                for _ in 0..[1, 1, 1, 17][random.below(4) as usize] {
                    leaf.values.push(text.as_bytes());
                    wanted.push(text.clone());
                }
            }
            let rows = leaf.values.mark().texts_since(&Texts::new(Style::Plain).mark());
            leaf.end_page(rows, &mut press).unwrap();
        }
        let file = file("message m { REQUIRED BYTE_ARRAY a (STRING); }", &mut leaf);
        let (found, _, _) = read::<ByteArrayType>(file.clone(), wanted.len());
        assert!(found.iter().map(AsBytes::as_bytes).eq(wanted.iter().map(String::as_bytes)), "{distinct}");
        assert!(
            chunk(&file).page_encoding_stats_mask().is_some_and(|mask| mask.is_only(Encoding::RLE_DICTIONARY)),
            "{distinct}"
        );
    }
}

// Names come back, chunk after chunk: the same text at another place is the same, and one of the chunk before is none of this one.
#[test]
fn names_come_back() {
    let (here, elsewhere): (&'static str, &'static str) = ("counted", String::from("counted").leak());
    // A chunk begins with the name with which the one before ended, and which has another number there.
    let chunks = [["late", here, here, elsewhere, here], [here, "", "late", elsewhere, here]];
    for style in [Style::Dictionary, Style::Lengths, Style::Plain] {
        let mut leaf = Leaf::new(0, 0, false, Texts::new(style));
        for names in chunks {
            names.into_iter().for_each(|name| leaf.values.push_name(name));
            leaf.end_page(names.len(), &mut press()).unwrap();
            let file = file("message m { REQUIRED BYTE_ARRAY a (STRING); }", &mut leaf);
            let (found, _, _) = read::<ByteArrayType>(file, names.len());
            assert!(found.iter().map(AsBytes::as_bytes).eq(names.map(str::as_bytes)), "{style:?}");
        }
    }
}

// Numbers of one bit are encoded as those of any width.
#[test]
fn bits_are_encoded_as_numbers() {
    let mut random = Random(3);
    for longest in [1, 2, 9, 70, 600] {
        let mut numbers: Vec<u32> = Vec::new();
        while numbers.len() < 2_000 {
            let (number, count) = (random.below(2) as u32, 1 + random.below(longest) as usize);
            numbers.extend(std::iter::repeat_n(number, count));
        }
        for numbers in [&numbers[..], &numbers[..1_992], &numbers[..7], &[]] {
            let bits: Vec<u8> =
                numbers.chunks(8).map(|group| group.iter().rev().fold(0, |byte, bit| byte << 1 | *bit as u8)).collect();
            let (mut found, mut wanted) = (Vec::new(), Vec::new());
            hybrid::encode_bits(&bits, numbers.len(), &mut found);
            hybrid::encode(numbers, 1, &mut wanted);
            assert_eq!(found, wanted, "runs up to {longest}");
        }
    }
}

// A text that many rows share is stored once, however long it is: a request whose resource is large does not become larger than memory.
#[test]
fn long_texts_are_stored_once() {
    let mut random = Random(1);
    let long = [0, 1].map(|_| (0..2 << 20).map(|_| b'a' + random.below(26) as u8).collect::<Vec<_>>());
    let mut leaf = Leaf::new(0, 0, false, Texts::new(Style::Dictionary));
    for _page in 0..3 {
        (0..100).for_each(|row| leaf.values.push(&long[row % 2]));
        assert!(leaf.size() < 1_000);
        leaf.end_page(100, &mut press()).unwrap();
    }
    let file = file("message m { REQUIRED BYTE_ARRAY a (STRING); }", &mut leaf);
    assert!(file.len() < 4 << 20, "{}", file.len());
    let (found, _, _) = read::<ByteArrayType>(file, 300);
    assert!((0..).zip(&found).all(|(row, text)| text.as_bytes() == long[row % 2]));
}

// A bound that was cut says so, where it was cut between characters too.
#[test]
fn bounds_that_were_cut_are_not_exact() {
    for (text, is_exact) in [("\u{3042}".repeat(21), true), ("\u{3042}".repeat(22), false), ("a".repeat(64), true)] {
        let mut leaf = Leaf::new(0, 0, true, Texts::new(Style::Dictionary));
        leaf.values.push(text.as_bytes());
        leaf.end_page(1, &mut press()).unwrap();
        let file = file("message m { REQUIRED BYTE_ARRAY a (STRING); }", &mut leaf);
        let statistics = chunk(&file).statistics().cloned().unwrap();
        assert_eq!((statistics.min_is_exact(), statistics.max_is_exact()), (is_exact, is_exact), "{text}");
    }
}

// Bounds of long texts are cut so that they hold all the same, and a page without an upper bound has the leaf go without an index.
#[test]
fn bounds_hold() {
    let ranges = |pages: &[&[&str]]| {
        let mut leaf = Leaf::new(0, 0, true, Texts::new(Style::Dictionary));
        for page in pages {
            page.iter().for_each(|text| leaf.values.push(text.as_bytes()));
            leaf.end_page(page.len(), &mut press()).unwrap();
        }
        let file = file("message m { REQUIRED BYTE_ARRAY a (STRING); }", &mut leaf);
        let index = reader(file).metadata().page_index_for_row_group(0).column_index(0).cloned();
        let ColumnIndexMetaData::BYTE_ARRAY(index) = index? else { panic!("no texts") };
        let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap().to_vec()).unwrap();
        Some(
            (0..pages.len()).map(|page| (text(index.min_value(page)), text(index.max_value(page)))).collect::<Vec<_>>(),
        )
    };
    let long = "z".repeat(63) + "\u{fc}\u{fc}";
    let pages: [&[&str]; 2] = [&["b", "a", "c"], &[&long, "zz"]];
    let found = ranges(&pages).unwrap();
    assert_eq!(found[0], ("a".to_owned(), "c".to_owned()));
    assert_eq!(found[1], ("zz".to_owned(), "z".repeat(62) + "{"));
    assert!(found[1].1.as_str() > long.as_str());
    let endless = "\u{10ffff}".repeat(100);
    assert_eq!(ranges(&[&[&endless]]), None);
}
