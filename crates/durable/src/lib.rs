//! Files and directories that outlive a power failure: when a function of these returns, what it did cannot be undone by one.
//!
//! A file's content is durable after an fsync of the file, its name after one of the directory that it stands in, and that directory's own
//! name after one of the directory above. A process that was killed may have come to some of these only: what is found at a start is not durable
//! for being there.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// What [`write`] appends to a file's name until the file is whole.
pub const UNFINISHED: &str = ".unfinished";

/// Makes a directory and what is missing above it. What is there already is made durable as well, as far up as it may be read.
///
/// # Errors
/// As the operating system says.
pub fn create_directory(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    for directory in directory.ancestors().filter(|directory| !directory.as_os_str().is_empty()) {
        match sync_parent(directory) {
            // Somebody else's, who has made it before.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => break,
            synced => synced?,
        }
    }
    Ok(())
}

/// Writes a file as a whole: it is there with all of its content, or as it was before. What a killed process left of one has [`UNFINISHED`] at
/// the end of its name.
///
/// # Errors
/// As the operating system says.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(UNFINISHED);
    let unfinished = PathBuf::from(unfinished);
    let mut file = File::create(&unfinished)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    sync_parent(path)
}

/// Makes the names durable that stand in a directory, and that others no longer do.
///
/// # Errors
/// As the operating system says.
pub fn sync_names(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// As [`sync_names`], of the directory that a path stands in.
///
/// # Errors
/// As the operating system says.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    sync_names(parent.unwrap_or(Path::new(".")))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Any depth, twice, and relative as well: `.` has no directory above that is ours.
    #[test]
    fn directories_are_made() {
        let temporary = tempfile::tempdir().unwrap();
        let deep = temporary.path().join("a/b/c");
        create_directory(&deep).unwrap();
        create_directory(&deep).unwrap();
        assert!(deep.is_dir());
        create_directory(Path::new("src")).unwrap();
    }

    // What is in the way is told, and nothing else changes.
    #[test]
    fn a_file_in_the_way_is_told() {
        let temporary = tempfile::tempdir().unwrap();
        let file = temporary.path().join("a");
        write(&file, b"one").unwrap();
        create_directory(&file.join("b")).unwrap_err();
        assert_eq!(fs::read(file).unwrap(), b"one");
    }

    // A file is replaced as a whole; what an earlier process left unfinished is in nobody's way.
    #[test]
    fn a_file_is_written_as_a_whole() {
        let temporary = tempfile::tempdir().unwrap();
        let file = temporary.path().join("place");
        fs::write(temporary.path().join("place.unfinished"), "half of a longer one").unwrap();
        for content in ["one", "another"] {
            write(&file, content.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), content);
        }
        assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 1);
    }
}
