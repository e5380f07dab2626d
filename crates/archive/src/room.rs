//! A disk that is full: the archive waits for room and goes on where it stopped, so that what it was about to write is written once.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::error::ArchiveError;

/// How often room is looked for.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// The room on the disk, and whether it is waited for. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Room(Arc<State>);

#[derive(Debug, Default)]
struct State {
    is_awaited: AtomicBool,
    is_given_up: AtomicBool,
}

impl Room {
    /// Whether there is none, and the archive waits for it.
    pub(crate) fn is_awaited(&self) -> bool {
        self.0.is_awaited.load(Ordering::Acquire)
    }

    /// From now on a full disk is a failure like any other.
    pub(crate) fn give_up(&self) {
        self.0.is_given_up.store(true, Ordering::Release);
    }

    /// Tries something again and again while the disk is full. It must do nothing, or as if it was not tried, when it fails for that.
    pub(crate) fn wait_for<T, E: Cause>(&self, mut attempt: impl FnMut() -> Result<T, E>) -> Result<T, E> {
        loop {
            let result = attempt();
            let is_full = result.as_ref().is_err_and(|error| error.cause().is_some_and(is_full));
            let waits = is_full && !self.0.is_given_up.load(Ordering::Acquire);
            if self.0.is_awaited.swap(waits, Ordering::AcqRel) != waits {
                match waits {
                    true => tracing::error!(
                        "the archive's disk is full: the archive waits, and all that is applied behind it"
                    ),
                    false if result.is_ok() => tracing::info!("the archive's disk has room again: the archive goes on"),
                    false => {}
                }
            }
            if !waits {
                return result;
            }
            thread::sleep(LOOK_AGAIN);
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// An error that the file system may have caused.
pub(crate) trait Cause {
    /// What the file system said.
    fn cause(&self) -> Option<&io::Error>;
}

impl Cause for io::Error {
    fn cause(&self) -> Option<&io::Error> {
        Some(self)
    }
}

impl Cause for ArchiveError {
    fn cause(&self) -> Option<&io::Error> {
        if let Self::Io { source, .. } = self { Some(source) } else { None }
    }
}

/// A file that is written to when its disk has room.
#[derive(Debug)]
pub(crate) struct PatientFile {
    pub(crate) file: File,
    pub(crate) room: Room,
}

impl Write for PatientFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Self { file, room } = self;
        room.wait_for(|| file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> io::Error {
        ErrorKind::StorageFull.into()
    }

    // A full disk is waited for until it has room, and that is told meanwhile; any other failure is one at once.
    #[test]
    fn room_is_waited_for() {
        let room = Room::default();
        let mut attempts = 0;
        let result = room.wait_for(|| {
            assert_eq!(room.is_awaited(), attempts > 0);
            attempts += 1;
            if attempts < 3 { Err(full()) } else { Ok(attempts) }
        });
        assert_eq!((result.unwrap(), room.is_awaited()), (3, false));
        let denied = room.wait_for(|| Err::<(), _>(io::Error::from(ErrorKind::PermissionDenied)));
        assert_eq!(denied.unwrap_err().kind(), ErrorKind::PermissionDenied);
    }

    // Once the wait is given up, a full disk is a failure.
    #[test]
    fn the_wait_ends() {
        let room = Room::default();
        let waiting = thread::spawn({
            let room = room.clone();
            move || room.wait_for(|| Err::<(), _>(full()))
        });
        while !room.is_awaited() {
            assert!(!waiting.is_finished(), "it does not wait");
            thread::yield_now();
        }
        room.give_up();
        assert_eq!(waiting.join().unwrap().unwrap_err().kind(), ErrorKind::StorageFull);
        assert!(!room.is_awaited());
    }
}
