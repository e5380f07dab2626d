//! Requests stored in files: protobuf (`*.binpb`, one request a file) and the OTLP JSON lines that the Collector's file
//! exporter writes (`*.json`, `*.jsonl`, one request a line). Standard input is either.
#[cfg(test)]
mod tests;

use crate::{Request, Signal, json};
use bytes::Bytes;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use walkdir::WalkDir;

/// The largest stored request, as protobuf or as JSON: what OTLP recommends as the limit of a request.
const MAX_REQUEST_SIZE: usize = 64 << 20;

/// How much of a file is looked at to see whether it is OTLP JSON.
const SNIFF_LEN: u64 = 256;

/// Where in which file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: Arc<Path>,
    /// The line, from 1, in a file of JSON lines.
    pub line: Option<u64>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.path.display()),
            None => write!(f, "{}", self.path.display()),
        }
    }
}

/// One stored request.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where it stands.
    pub place: Place,
    /// The request. A protobuf body is not yet validated.
    pub request: Request,
}

/// Why a path or a stored request cannot be used. The ones after it still can.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The file or directory cannot be read.
    #[error("{place}: {source}")]
    Read {
        /// Where.
        place: Place,
        /// Why.
        source: io::Error,
    },
    /// A file was named whose content its name does not tell.
    #[error("{place}: file name ends in none of .binpb, .json, .jsonl")]
    UnknownKind {
        /// Where.
        place: Place,
    },
    /// More bytes than any receiver would take.
    #[error("{place}: request is larger than {MAX_REQUEST_SIZE} bytes")]
    TooLarge {
        /// Where.
        place: Place,
    },
    /// The line is not an OTLP request in JSON.
    #[error("{place}: {reason}")]
    Malformed {
        /// Where.
        place: Place,
        /// Why.
        reason: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Protobuf(Signal),
    JsonLines,
}

#[derive(Debug)]
struct StoredFile {
    path: Arc<Path>,
    /// `None` for standard input: its first byte tells.
    kind: Option<Kind>,
    size: u64,
}

/// What stands for standard input, and how it is called where something is wrong with it.
const STDIN: &str = "-";
const STDIN_NAME: &str = "standard input";

struct Lines {
    reader: Box<dyn BufRead + Send>,
    place: Place,
    number: u64,
}

/// Reads stored requests one after the other; never more than one is in memory.
#[derive(Debug)]
pub struct Replay {
    files: std::vec::IntoIter<StoredFile>,
    lines: Option<Lines>,
    skipped: Vec<PathBuf>,
    total_bytes: u64,
    position: u64,
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("place", &self.place).field("number", &self.number).finish_non_exhaustive()
    }
}

impl Replay {
    /// Finds the files: a file is taken as its name says, a directory is walked recursively in sorted order. In a directory,
    /// what is not OTLP by its name or its first bytes is passed over (see [`Self::skipped`]). `-` is standard input.
    ///
    /// # Errors
    /// A path that cannot be read, or a named file of unknown kind.
    pub fn open(paths: impl IntoIterator<Item = impl AsRef<Path>>) -> Result<Self, ReplayError> {
        let mut files = Vec::new();
        let mut skipped = Vec::new();
        for path in paths {
            let path = path.as_ref();
            if path == Path::new(STDIN) {
                files.push(StoredFile { path: Path::new(STDIN_NAME).into(), kind: None, size: 0 });
                continue;
            }
            let metadata = std::fs::metadata(path).map_err(|source| read_error(path, source))?;
            if metadata.is_dir() {
                walk(path, &mut files, &mut skipped)?;
                continue;
            }
            let kind = kind_of(path).ok_or_else(|| ReplayError::UnknownKind { place: whole_file(path) })?;
            files.push(StoredFile { path: path.into(), kind: Some(kind), size: metadata.len() });
        }
        let total_bytes = files.iter().map(|file| file.size).sum();
        Ok(Replay { files: files.into_iter(), lines: None, skipped, total_bytes, position: 0 })
    }

    /// The size of all files, for a progress bar.
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// How much of [`Self::total_bytes`] has been read.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Files `*.json` and `*.jsonl` found in directories that do not begin as OTLP JSON does.
    pub fn skipped(&self) -> &[PathBuf] {
        &self.skipped
    }

    /// Begins to read a file: its request, if it is only one.
    fn begin(&mut self, file: StoredFile) -> Result<Option<Entry>, ReplayError> {
        let StoredFile { path, kind, size } = file;
        let opened = match kind {
            Some(kind) => {
                File::open(&path).map(|file| (kind, Box::new(BufReader::new(file)) as Box<dyn BufRead + Send>))
            }
            None => told_by_first_byte(BufReader::new(io::stdin())),
        };
        match opened {
            Ok((Kind::JsonLines, reader)) => {
                self.lines = Some(Lines { reader, place: Place { path, line: None }, number: 0 });
                Ok(None)
            }
            Ok((Kind::Protobuf(signal), reader)) => {
                self.position += size;
                read_protobuf(reader, &path, signal).map(Some)
            }
            Err(source) => {
                self.position += size;
                Err(read_error(&path, source))
            }
        }
    }

    /// The next entry of the open file; `None` at its end.
    fn next_line(&mut self) -> Option<Result<Entry, ReplayError>> {
        let lines = self.lines.as_mut()?;
        loop {
            let mut line = Vec::new();
            let cap = MAX_REQUEST_SIZE as u64 + 1;
            let result = lines.reader.by_ref().take(cap).read_until(b'\n', &mut line);
            lines.number += 1;
            let place = Place { line: Some(lines.number), ..lines.place.clone() };
            match result {
                Ok(0) => {
                    self.lines = None;
                    return None;
                }
                Ok(count) => self.position += count as u64,
                Err(source) => {
                    self.lines = None;
                    return Some(Err(ReplayError::Read { place, source }));
                }
            }
            if line.len() > MAX_REQUEST_SIZE {
                return Some(match lines.reader.skip_until(b'\n') {
                    Ok(count) => {
                        self.position += count as u64;
                        Err(ReplayError::TooLarge { place })
                    }
                    Err(source) => {
                        self.lines = None;
                        Err(ReplayError::Read { place, source })
                    }
                });
            }
            if !line.trim_ascii().is_empty() {
                return Some(parse_line(place, &line));
            }
        }
    }
}

impl Iterator for Replay {
    type Item = Result<Entry, ReplayError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.next_line() {
                return Some(item);
            }
            let file = self.files.next()?;
            if let Some(item) = self.begin(file).transpose() {
                return Some(item);
            }
        }
    }
}

fn read_protobuf(reader: impl Read, path: &Path, signal: Signal) -> Result<Entry, ReplayError> {
    let place = whole_file(path);
    let mut body = Vec::new();
    let cap = MAX_REQUEST_SIZE as u64 + 1;
    reader.take(cap).read_to_end(&mut body).map_err(|source| read_error(path, source))?;
    if body.len() > MAX_REQUEST_SIZE {
        return Err(ReplayError::TooLarge { place });
    }
    Ok(Entry { place, request: Request { signal, body: Bytes::from(body) } })
}

/// Tells JSON lines from protobuf, which never begins with a brace.
fn told_by_first_byte(mut reader: impl BufRead + Send + 'static) -> io::Result<(Kind, Box<dyn BufRead + Send>)> {
    let is_json = reader.fill_buf()?.first() == Some(&b'{');
    let kind = if is_json { Kind::JsonLines } else { Kind::Protobuf(Signal::Traces) };
    Ok((kind, Box::new(reader)))
}

fn walk(directory: &Path, files: &mut Vec<StoredFile>, skipped: &mut Vec<PathBuf>) -> Result<(), ReplayError> {
    let failed = |error: walkdir::Error| {
        let path = error.path().unwrap_or(directory).to_owned();
        read_error(&path, error.into())
    };
    for entry in WalkDir::new(directory).sort_by_file_name() {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        let Some(kind) = kind_of(path).filter(|_| path.is_file()) else {
            continue;
        };
        if kind == Kind::JsonLines && !looks_like_otlp(path).map_err(|source| read_error(path, source))? {
            skipped.push(path.to_owned());
            continue;
        }
        // not the entry's own metadata: a symbolic link has another size
        let size = std::fs::metadata(path).map_err(|source| read_error(path, source))?.len();
        files.push(StoredFile { path: path.into(), kind: Some(kind), size });
    }
    Ok(())
}

fn kind_of(path: &Path) -> Option<Kind> {
    let name = path.file_name()?.to_string_lossy();
    let (stem, extension) = name.rsplit_once('.')?;
    match extension {
        "json" | "jsonl" => Some(Kind::JsonLines),
        "binpb" => {
            let told = Signal::ALL.into_iter().find(|signal| stem.split('.').any(|part| part == signal.name()));
            Some(Kind::Protobuf(told.unwrap_or(Signal::Traces)))
        }
        _ => None,
    }
}

/// Whether a file begins as the Collector writes it: an object whose first key is one of the three.
fn looks_like_otlp(path: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    File::open(path)?.take(SNIFF_LEN).read_to_end(&mut start)?;
    let is_otlp = |start: &[u8]| {
        let key = start.trim_ascii_start().strip_prefix(b"{")?.trim_ascii_start().strip_prefix(b"\"resource")?;
        let names = [&b"Spans\""[..], b"Metrics\"", b"Logs\""];
        Some(names.iter().any(|name| key.starts_with(name)))
    };
    Ok(is_otlp(&start).unwrap_or(false))
}

fn parse_line(place: Place, line: &[u8]) -> Result<Entry, ReplayError> {
    let told = json::signal_of(line);
    // without a known key only the error is wanted, if there is one
    match (json::to_protobuf(told.unwrap_or(Signal::Traces), line), told) {
        (Ok(body), Some(signal)) => Ok(Entry { place, request: Request { signal, body: Bytes::from(body) } }),
        (Ok(_), None) => {
            let reason = "none of resourceSpans, resourceMetrics, resourceLogs".to_owned();
            Err(ReplayError::Malformed { place, reason })
        }
        (Err(error), _) => {
            // JSON that somebody has printed pretty begins so.
            let is_cut = !line.trim_ascii_end().ends_with(b"}");
            let hint =
                if is_cut { ": the line does not end the request that it begins, and each takes one line" } else { "" };
            Err(ReplayError::Malformed { place, reason: format!("{error}{hint}") })
        }
    }
}

fn whole_file(path: &Path) -> Place {
    Place { path: path.into(), line: None }
}

fn read_error(path: &Path, source: io::Error) -> ReplayError {
    ReplayError::Read { place: whole_file(path), source }
}
