//! What stands in files, read again when they change: tokens, users, certificates.
//!
//! A file that is replaced by a bad one changes nothing but the log: whoever was let in before still is.
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::sync::watch;

/// How often files are read. They are small, and mounted secrets change by links that nothing announces.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Files cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{files}: {reason}")]
pub struct FileError {
    files: String,
    reason: String,
}

/// A value that is made from files and follows them.
pub(crate) struct Reloaded<T>(watch::Receiver<Arc<T>>);

type Parse<T> = fn(&[Vec<u8>]) -> Result<T, String>;

impl<T: Send + Sync + 'static> Reloaded<T> {
    /// A value that comes from elsewhere and stays.
    pub(crate) fn fixed(value: T) -> Self {
        Reloaded(watch::channel(Arc::new(value)).1)
    }

    /// Reads the files now, and again in a thread for as long as anybody holds the value.
    pub(crate) fn from_files(paths: Vec<PathBuf>, parse: Parse<T>) -> Result<Self, FileError> {
        let mut files = Files { paths, seen: Vec::new() };
        let value = files.changed().and_then(|contents| parse(contents.unwrap_or_default()));
        let value = value.map_err(|reason| files.error(reason))?;
        let (sender, receiver) = watch::channel(Arc::new(value));
        thread::Builder::new()
            .name("reload".to_owned())
            .spawn(move || follow(files, parse, &sender))
            .map_err(|error| FileError { files: "starting a thread".to_owned(), reason: error.to_string() })?;
        Ok(Reloaded(receiver))
    }

    /// The value of this moment.
    pub(crate) fn current(&self) -> Arc<T> {
        Arc::clone(&self.0.borrow())
    }
}

// not derived: T need not be Clone
impl<T> Clone for Reloaded<T> {
    fn clone(&self) -> Self {
        Reloaded(self.0.clone())
    }
}

/// What is read may be secret.
impl<T> fmt::Debug for Reloaded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

fn follow<T>(mut files: Files, parse: Parse<T>, value: &watch::Sender<Arc<T>>) {
    let mut is_readable = true;
    loop {
        thread::sleep(LOOK_AGAIN);
        if value.is_closed() {
            return;
        }
        let read = files.changed();
        let was_readable = std::mem::replace(&mut is_readable, read.is_ok());
        match read.and_then(|changed| changed.map(parse).transpose()) {
            Ok(None) => {}
            Ok(Some(changed)) => {
                value.send_replace(Arc::new(changed));
                tracing::info!(files = files.names(), "files have changed and are in use");
            }
            // said once, not every second
            Err(reason) if is_readable || was_readable => {
                tracing::warn!(files = files.names(), reason, "files cannot be used: what they said before holds");
            }
            Err(_) => {}
        }
    }
}

struct Files {
    paths: Vec<PathBuf>,
    seen: Vec<Vec<u8>>,
}

impl Files {
    /// What the files hold, if it is not what they held before.
    fn changed(&mut self) -> Result<Option<&[Vec<u8>]>, String> {
        let contents = self.paths.iter().map(std::fs::read).collect::<Result<Vec<_>, _>>();
        let contents = contents.map_err(|error| error.to_string())?;
        let is_new = contents != self.seen;
        self.seen = contents;
        Ok(is_new.then_some(&self.seen))
    }

    fn names(&self) -> String {
        let names: Vec<_> = self.paths.iter().map(|path| path.display().to_string()).collect();
        names.join(", ")
    }

    fn error(&self, reason: String) -> FileError {
        FileError { files: self.names(), reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::time::Instant;

    fn parse(contents: &[Vec<u8>]) -> Result<String, String> {
        let text = contents.concat();
        if text.starts_with(b"bad") { Err("it is bad".to_owned()) } else { Ok(String::from_utf8(text).unwrap()) }
    }

    fn until(value: &Reloaded<String>, expected: &str) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while *value.current() != expected {
            assert!(Instant::now() < deadline, "not reached: {expected}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    // A change of any file is followed; a bad or missing file changes nothing, and the next good one is taken again.
    #[test]
    fn files_are_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (a, b) = (directory.path().join("a"), directory.path().join("b"));
        std::fs::write(&a, "1").unwrap();
        std::fs::write(&b, "2").unwrap();
        let mut files = Files { paths: vec![a.clone(), b.clone()], seen: Vec::new() };
        assert!(files.changed().unwrap().is_some());
        assert!(files.changed().unwrap().is_none(), "nothing has changed");
        let value = Reloaded::from_files(vec![a.clone(), b.clone()], parse).unwrap();
        until(&value, "12");
        std::fs::write(&b, "3").unwrap();
        until(&value, "13");
        std::fs::write(&a, "bad").unwrap();
        std::fs::remove_file(&b).unwrap();
        assert_eq!(*value.current(), "13");
        std::fs::write(&a, "4").unwrap();
        std::fs::write(&b, "5").unwrap();
        until(&value, "45");
    }

    // At the start a bad or missing file is an error that names it.
    #[test]
    fn the_first_value_must_be_good() {
        let missing = Reloaded::from_files(vec![Path::new("/does/not/exist").into()], parse).unwrap_err();
        assert!(missing.to_string().starts_with("/does/not/exist: "), "{missing}");
    }
}
