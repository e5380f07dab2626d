//! A checkpoint as it is stored: what the pipeline and what watches it say of themselves, and how far requests were handed on.

use wal::Lsn;

use crate::failure::Failure;

/// As a place in the log it would be far beyond any: what was written without it is told from what was written with it.
const MAGIC: [u8; 8] = *b"spanmill";
/// The version of the layout here. What the parts hold has versions of its own.
const LAYOUT: u32 = 1;

/// A checkpoint that was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stored<'a> {
    /// The last record that it covers.
    pub(crate) lsn: Lsn,
    /// All requests up to here had their outcomes and were handed on.
    pub(crate) handed_on: Lsn,
    pub(crate) pipeline: &'a [u8],
    pub(crate) monitoring: &'a [u8],
}

impl<'a> Stored<'a> {
    pub(crate) fn decode(lsn: Lsn, bytes: &'a [u8]) -> Result<Self, Failure> {
        Self::parts(lsn, bytes).map_err(|reason| Failure::Checkpoint { lsn, reason })
    }

    fn parts(lsn: Lsn, bytes: &'a [u8]) -> Result<Self, String> {
        let rest = bytes.strip_prefix(&MAGIC).ok_or("it has no layout that this version knows")?;
        let (layout, rest) = rest.split_first_chunk().ok_or("it is too short")?;
        let layout = u32::from_le_bytes(*layout);
        if layout != LAYOUT {
            return Err(format!(
                "its layout is {layout}, and this version reads {LAYOUT} only: start the version of Spanmill that wrote it, or a \
                 newer one; nothing was changed"
            ));
        }
        let parts = || {
            let (handed_on, rest) = rest.split_first_chunk()?;
            let (length, rest) = rest.split_first_chunk()?;
            let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
            let (pipeline, monitoring) = rest.split_at_checked(length)?;
            Some(Self { lsn, handed_on: Lsn::from_le_bytes(*handed_on), pipeline, monitoring })
        };
        parts().ok_or_else(|| "it is too short".to_owned())
    }

    /// Adds a checkpoint to `bytes`, which is empty and may have room.
    pub(crate) fn encode(
        mut bytes: Vec<u8>,
        handed_on: Lsn,
        pipeline: impl FnOnce(&mut Vec<u8>),
        monitoring: &[u8],
    ) -> Vec<u8> {
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&LAYOUT.to_le_bytes());
        bytes.extend_from_slice(&handed_on.to_le_bytes());
        // Written in place, for it is long: how long, is known behind it.
        let length_at = bytes.len();
        bytes.extend_from_slice(&[0; 8]);
        let begin = bytes.len();
        pipeline(&mut bytes);
        let length = (bytes.len() - begin) as u64;
        if let Some(place) = bytes.get_mut(length_at..begin) {
            place.copy_from_slice(&length.to_le_bytes());
        }
        bytes.extend_from_slice(monitoring);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded() -> Vec<u8> {
        Stored::encode(Vec::new(), 5, |bytes| bytes.extend_from_slice(b"pipeline"), b"watched")
    }

    fn reason(bytes: &[u8]) -> String {
        Stored::decode(7, bytes).unwrap_err().to_string()
    }

    // What was stored comes back, and cut off within its head or its first part it is refused.
    #[test]
    fn comes_back() {
        let bytes = encoded();
        let stored = Stored { lsn: 7, handed_on: 5, pipeline: b"pipeline", monitoring: b"watched" };
        assert_eq!(Stored::decode(7, &bytes).unwrap(), stored);
        for length in 0..bytes.len() - b"watched".len() {
            assert!(Stored::decode(7, &bytes[..length]).is_err(), "{length} bytes");
        }
    }

    // A layout that is not known is refused, and the error says which it is and what to do; so is one from before there were versions.
    #[test]
    fn another_layout_is_refused() {
        let mut bytes = encoded();
        bytes[MAGIC.len()] += 1;
        let told = reason(&bytes);
        assert!(told.contains("record 7: its layout is 2") && told.contains("start the version"), "{told}");
        assert!(reason(&bytes[MAGIC.len() + 4..]).contains("no layout"));
    }
}
