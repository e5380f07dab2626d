//! Names of files and directories.

use arrow_array::temporal_conversions::timestamp_s_to_datetime;

use aggregate::Lsn;

/// Directory of the table below the archive's directory.
pub(crate) const TABLE: &str = "spans";

const HIDDEN: &str = ".tmp-";
const EXTENSION: &str = ".parquet";
const LSN_DIGITS: usize = 16;
const SECONDS_AN_HOUR: u64 = 3_600;
const NANOS_A_SECOND: u64 = 1_000_000_000;

/// A UTC hour, counted from the Unix epoch: files are partitioned by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hour(u64);

impl Hour {
    /// The hour of a time in nanoseconds since the Unix epoch.
    pub(crate) fn of(unix_nano: u64) -> Self {
        Self(unix_nano / NANOS_A_SECOND / SECONDS_AN_HOUR)
    }

    /// `date=YYYY-MM-DD/hour=HH`, as Hive partitions are named.
    pub(crate) fn partition(self) -> String {
        let seconds = (self.0 * SECONDS_AN_HOUR).cast_signed();
        let start = timestamp_s_to_datetime(seconds).unwrap_or_default();
        start.format("date=%Y-%m-%d/hour=%H").to_string()
    }
}

/// Whether an instance id may be part of a file name.
pub(crate) fn is_valid_instance(instance: &str) -> bool {
    (1..=128).contains(&instance.len()) && instance.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// The name of a published file: the range of LSNs is inclusive.
pub(crate) fn published(instance: &str, from: Lsn, to: Lsn) -> String {
    format!("{instance}-{from:016x}-{to:016x}{EXTENSION}")
}

/// The last LSN of a published file of an instance, of its name.
pub(crate) fn end_of_published(name: &str, instance: &str) -> Option<Lsn> {
    let range = name.strip_prefix(instance)?.strip_prefix('-')?.strip_suffix(EXTENSION)?;
    let (from, to) = range.split_once('-')?;
    let lsn = |digits: &str| {
        let is_lsn = digits.len() == LSN_DIGITS && digits.bytes().all(|b| b.is_ascii_hexdigit());
        Lsn::from_str_radix(digits, 16).ok().filter(|_| is_lsn)
    };
    lsn(from).and_then(|_| lsn(to))
}

/// The name of a file that is being written, whose last LSN is not known yet.
pub(crate) fn hidden(instance: &str, from: Lsn) -> String {
    format!("{HIDDEN}{instance}-{from:016x}{EXTENSION}")
}

/// Whether [`hidden`] gives such names.
pub(crate) fn is_hidden(name: &str) -> bool {
    let Some(stem) = name.strip_prefix(HIDDEN).and_then(|rest| rest.strip_suffix(EXTENSION)) else {
        return false;
    };
    let Some((instance, lsn)) = stem.rsplit_once('-') else {
        return false;
    };
    is_valid_instance(instance) && lsn.len() == LSN_DIGITS && lsn.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    // Partitions are UTC hours with leading zeros, whatever the year; the last nanosecond of an hour is in it.
    #[test]
    fn partitions_are_utc_hours() {
        let cases = [
            (0, "date=1970-01-01/hour=00"),
            (1_767_225_600_000_000_000, "date=2026-01-01/hour=00"),
            (1_767_225_599_999_999_999, "date=2025-12-31/hour=23"),
            (1_709_168_400_000_000_000, "date=2024-02-29/hour=01"),
            (u64::MAX, "date=2554-07-21/hour=23"),
        ];
        for (unix_nano, partition) in cases {
            assert_eq!(Hour::of(unix_nano).partition(), partition);
        }
    }

    // Only names that this crate gives are taken for leftovers.
    #[test]
    fn hidden_names_are_recognised() {
        assert!(is_hidden(&hidden("7f3a-b_1", 42)));
        for foreign in [
            published("7f3a", 1, 2).as_str(),
            ".tmp-7f3a.parquet",
            ".tmp-7f3a-42.parquet",
            ".tmp-7f3a-000000000000002a.parquet.bak",
            ".tmp--000000000000002a.parquet",
            ".tmp-7f3a-00000000000000zz.parquet",
            ".hidden",
        ] {
            assert!(!is_hidden(foreign), "{foreign}");
        }
    }

    // The end of a file's range is read back from its name; names of others, and of other instances, tell nothing.
    #[test]
    fn ends_are_read_back() {
        assert_eq!(end_of_published(&published("7f3a-1", 42, 0xabc), "7f3a-1"), Some(0xabc));
        for foreign in
            [published("7f3a", 1, 2), published("7f3a-1-2", 1, 2), hidden("7f3a-1", 1), "7f3a-1-x.parquet".to_owned()]
        {
            assert_eq!(end_of_published(&foreign, "7f3a-1"), None, "{foreign}");
        }
    }

    // What would leave the directory, or hide the file, is no instance id.
    #[test]
    fn instances_are_plain_words() {
        assert!(is_valid_instance("spanmill-0_A"));
        for bad in ["", "../x", "a/b", "a.b", "ä", &"x".repeat(129)] {
            assert!(!is_valid_instance(bad), "{bad}");
        }
    }
}
