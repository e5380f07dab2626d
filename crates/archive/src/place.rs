//! How far an instance has come, noted beside its log: its files may have been moved away.

use std::fs;
use std::io;
use std::path::PathBuf;

use aggregate::Lsn;

use crate::error::ArchiveError;

/// How far an instance has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Note {
    /// Everything up to here is archived.
    pub(crate) archived: Lsn,
    /// What becomes the next file, once that is decided.
    pub(crate) cut: Option<Cut>,
}

/// The part of the log that one file holds, noted before the file is complete: whatever happens then, it is the same file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    /// The first request in it.
    pub(crate) lsn_from: Lsn,
    /// The last one.
    pub(crate) lsn_to: Lsn,
}

impl Cut {
    pub(crate) fn holds(self, lsn: Lsn) -> bool {
        (self.lsn_from..=self.lsn_to).contains(&lsn)
    }
}

impl Note {
    /// An instance and a note of it: its name, and one or three numbers.
    fn parse(text: &str) -> Option<(&str, Self)> {
        let (instance, numbers) = text.trim().split_once(' ')?;
        let numbers: Vec<Lsn> = numbers.split(' ').map(str::parse).collect::<Result<_, _>>().ok()?;
        let note = match numbers[..] {
            [archived] => Self { archived, cut: None },
            [archived, lsn_from, lsn_to] if archived < lsn_from && lsn_from <= lsn_to => {
                Self { archived, cut: Some(Cut { lsn_from, lsn_to }) }
            }
            _ => return None,
        };
        Some((instance, note))
    }

    fn text(self, instance: &str) -> String {
        let Self { archived, cut } = self;
        match cut {
            None => format!("{instance} {archived}\n"),
            Some(Cut { lsn_from, lsn_to }) => format!("{instance} {archived} {lsn_from} {lsn_to}\n"),
        }
    }
}

/// Where it is noted.
#[derive(Debug)]
pub(crate) struct Place {
    /// `None` where nothing outlives the process.
    path: Option<PathBuf>,
    instance: String,
}

impl Place {
    pub(crate) fn new(path: Option<PathBuf>, instance: String) -> Self {
        Self { path, instance }
    }

    /// What is noted of the instance; zero if nothing is.
    pub(crate) fn read(&self) -> Result<Note, ArchiveError> {
        let Some(path) = &self.path else { return Ok(Note::default()) };
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Note::default()),
            text => text.map_err(ArchiveError::io("read", path))?,
        };
        let Some((instance, note)) = Note::parse(&text) else {
            let malformed = io::Error::other("not an instance and how far it has come in the log");
            return Err(ArchiveError::io("read", path)(malformed));
        };
        Ok(if instance == self.instance { note } else { Note::default() })
    }

    /// When this returns, a power failure can't undo it.
    pub(crate) fn write(&self, note: Note) -> Result<(), ArchiveError> {
        let Some(path) = &self.path else { return Ok(()) };
        durable::write(path, note.text(&self.instance).as_bytes()).map_err(ArchiveError::io("write file", path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // What was noted is read back, and so is what a version noted that knew no cuts; anything else is refused.
    #[test]
    fn notes_are_read_back() {
        let cut = Some(Cut { lsn_from: 8, lsn_to: 8 });
        for note in [Note::default(), Note { archived: 7, cut: None }, Note { archived: 7, cut }] {
            assert_eq!(Note::parse(&note.text("7f3a-1")), Some(("7f3a-1", note)));
        }
        assert_eq!(Note::parse("7f3a 7\n"), Some(("7f3a", Note { archived: 7, cut: None })));
        for malformed in ["", "7f3a", "7f3a ", "7f3a 7 8", "7f3a 7 8 9 10", "7f3a 7 7 8", "7f3a 7 9 8", "7f3a 7 8 x"] {
            assert_eq!(Note::parse(malformed), None, "{malformed:?}");
        }
    }
}
