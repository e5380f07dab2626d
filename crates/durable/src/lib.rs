//! Files and directories that outlive a power failure: when a function of these returns, what it did cannot be undone by one.
//!
//! A file's content is durable after an fsync of the file, its name after one of the directory that it stands in, and that directory's own
//! name after one of the directory above. A process that was killed may have come to some of these only: what is found at a start is not durable
//! for being there.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What [`write()`] appends to a file's name until the file is whole.
pub const UNFINISHED: &str = ".unfinished";

/// Makes a directory and what is missing above it. What is there already is made durable as well, up to where something else is mounted.
///
/// # Errors
/// As the operating system says.
pub fn create_directory(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let mut device = fs::metadata(directory)?.dev();
    for directory in directory.ancestors().filter(|directory| !directory.as_os_str().is_empty()) {
        let parent = parent(directory);
        // Where the names of directories cannot be synced, they are somebody else's.
        if fs::metadata(parent).is_ok_and(|parent| std::mem::replace(&mut device, parent.dev()) != parent.dev()) {
            break;
        }
        match sync_names(parent) {
            Err(error) if is_foreign(&error) => break,
            synced => synced.map_err(|error| named("syncing", parent, &error))?,
        }
    }
    Ok(())
}

/// Whether a directory is one that others have made: of a file system without syncs, or not to be read or changed.
fn is_foreign(error: &io::Error) -> bool {
    use ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported};
    matches!(error.kind(), InvalidInput | PermissionDenied | ReadOnlyFilesystem | Unsupported)
}

fn named(action: &str, path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{action} {}: {error}", path.display()))
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
    let fill = || {
        let mut file = File::create(&unfinished)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&unfinished, path)
    };
    // What was written so far takes room that others may need.
    fill().inspect_err(|_| drop(fs::remove_file(&unfinished)))?;
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
    sync_names(parent(path))
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
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

    // What cannot be replaced is told, and nothing is left of the attempt.
    #[test]
    fn an_unfinished_file_is_removed() {
        let temporary = tempfile::tempdir().unwrap();
        fs::create_dir_all(temporary.path().join("place/full")).unwrap();
        write(&temporary.path().join("place"), b"one").unwrap_err();
        assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 1);
    }

    // A directory of a file system that has no syncs is somebody else's, and nobody's fault.
    #[test]
    fn what_cannot_be_synced_is_left_alone() {
        let process = Path::new("/proc/self");
        if process.exists() {
            create_directory(process).unwrap();
        }
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
