//! A Parquet file on its way to be published: hidden until it is complete and on disk.

use std::fs::{self, DirEntry, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aggregate::{Applied, Lsn};
use parquet::basic::ZstdLevel;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::TypePtr;

use crate::column::Press;
use crate::error::ArchiveError;
use crate::path;
use crate::room::{PatientFile, Room};
use crate::row_hash::RowHash;
use crate::rows::RowGroups;
use crate::schema::{self, COLUMNS, SORTED_BY};

/// Rows of a row group: what a reader skips or reads as one. A quarter of it is a tenth larger and no faster to write. Lean
/// spans (1.2 KB with their facts) reach [`ROW_GROUP_BYTES`] a little earlier.
pub(crate) const ROW_GROUP_ROWS: usize = 65_536;
/// Memory of the requests that wait for a row group, and of the encoded columns of one that is being written.
pub(crate) const ROW_GROUP_BYTES: usize = 64 << 20;

/// How files are written, the same for each.
#[derive(Debug, Clone)]
pub(crate) struct FileOptions {
    level: ZstdLevel,
    schema: TypePtr,
    properties: WriterPropertiesPtr,
}

impl FileOptions {
    /// # Errors
    /// The level is none of zstd's.
    pub(crate) fn new(zstd_level: i32) -> Result<Self, ArchiveError> {
        let level =
            ZstdLevel::try_new(zstd_level).map_err(|source| ArchiveError::Compression { level: zstd_level, source })?;
        let properties = WriterProperties::builder()
            .set_created_by(concat!("spanmill version ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_sorting_columns(Some(sorting_columns()))
            .build();
        Ok(Self { level, schema: schema::leaves()?.root_schema_ptr(), properties: Arc::new(properties) })
    }

    /// What compresses the pages.
    ///
    /// # Errors
    /// There is no memory for it.
    pub(crate) fn press(&self) -> Result<Press, ArchiveError> {
        Press::new(self.level).map_err(|source| ArchiveError::Compression {
            level: self.level.compression_level(),
            source: source.into(),
        })
    }
}

fn sorting_columns() -> Vec<SortingColumn> {
    // Leaves are numbered in order, and none of the columns before these is nested.
    let leaf = |name| COLUMNS.iter().position(|column| column.name == name);
    let ascending = |leaf| SortingColumn { column_idx: leaf as i32, descending: false, nulls_first: false };
    SORTED_BY.into_iter().filter_map(leaf).map(ascending).collect()
}

/// What the footer of a file tells, beside its schema.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Footer<'a> {
    pub(crate) instance: &'a str,
    pub(crate) lsn_from: Lsn,
    pub(crate) lsn_to: Lsn,
    pub(crate) rows: usize,
    pub(crate) hash: RowHash,
}

/// A file that is being written. Dropped without being published, it is removed.
#[derive(Debug)]
pub(crate) struct HiddenFile {
    path: PathBuf,
    writer: Option<SerializedFileWriter<PatientFile>>,
    room: Room,
}

impl HiddenFile {
    /// Begins a file in `directory`, which is made if it is missing. While the disk is full, it waits for room, as all that is done with
    /// the file.
    pub(crate) fn create(
        directory: &Path,
        instance: &str,
        lsn_from: Lsn,
        options: &FileOptions,
        room: &Room,
    ) -> Result<Self, ArchiveError> {
        let path = directory.join(path::hidden(instance, lsn_from));
        let file = room.wait_for(|| {
            durable::create_directory(directory).map_err(ArchiveError::io("create directory", directory))?;
            // What a dead server left under this name is nobody's: who holds the data directory's lock owns the names.
            File::create(&path).map_err(ArchiveError::io("create file", &path))
        })?;
        let mut hidden = Self { path, writer: None, room: room.clone() };
        // Tells a file that a running server writes from a leftover. Where there are no locks, leftovers stay.
        let _ = file.try_lock();
        let file = PatientFile { file, room: room.clone() };
        let writer = SerializedFileWriter::new(file, options.schema.clone(), options.properties.clone())
            .map_err(ArchiveError::parquet(&hidden.path))?;
        hidden.writer = Some(writer);
        Ok(hidden)
    }

    /// Writes `rows` spans as one row group, in the order in which they are given: each a request and a position in it.
    pub(crate) fn write_row_group<'a>(
        &mut self,
        spans: impl Iterator<Item = (&'a Applied, usize)>,
        rows: usize,
        groups: &mut RowGroups,
    ) -> Result<(), ArchiveError> {
        let Some(writer) = &mut self.writer else {
            return Ok(());
        };
        let write = || {
            let chunks = groups.next(spans, rows, writer.schema_descr())?;
            let mut group = writer.next_row_group()?;
            for chunk in chunks {
                group.append_column(&chunk.bytes, chunk.close)?;
            }
            group.close().map(drop)
        };
        write().map_err(ArchiveError::parquet(&self.path))
    }

    /// Completes the file, gives it its name, and gives its size. When this returns, a power failure can't undo it.
    pub(crate) fn publish(mut self, footer: Footer<'_>) -> Result<u64, ArchiveError> {
        let Some(mut writer) = self.writer.take() else {
            return Ok(0);
        };
        for (key, value) in [
            ("instance", footer.instance.to_owned()),
            ("lsn_from", footer.lsn_from.to_string()),
            ("lsn_to", footer.lsn_to.to_string()),
            ("rows", footer.rows.to_string()),
            ("rows_xxh3", footer.hash.to_string()),
            ("schema_version", schema::SCHEMA_VERSION.to_string()),
        ] {
            writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
        }
        writer.finish().map_err(ArchiveError::parquet(&self.path))?;
        writer.inner().file.sync_all().map_err(ArchiveError::io("sync file", &self.path))?;
        let size = writer.bytes_written() as u64;
        let published = self.path.with_file_name(path::published(footer.instance, footer.lsn_from, footer.lsn_to));
        self.room
            .wait_for(|| fs::rename(&self.path, &published).map_err(ArchiveError::io("rename file to", &published)))?;
        sync_parent(&published)?;
        Ok(size)
    }
}

impl Drop for HiddenFile {
    fn drop(&mut self) {
        // After it was published there is no such file; if it can't be removed now, the next start will do it.
        let _ = fs::remove_file(&self.path);
    }
}

fn sync_parent(path: &Path) -> Result<(), ArchiveError> {
    durable::sync_parent(path).map_err(ArchiveError::io("sync the directory of", path))
}

/// What earlier runs left in a table.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Files that were being written when a server died. They are removed by now. Files of servers that run, and files with other
    /// names, are left alone.
    pub(crate) removed: usize,
    /// The newest place in the log whose request the instance has archived, as the names of its files tell: files are published in the
    /// order of the log, each as a whole, so everything before is archived, too. Zero if there is none.
    pub(crate) newest: Lsn,
}

/// Looks through all files of a table, and removes leftovers.
pub(crate) fn look_through(table: &Path, instance: &str) -> Result<Found, ArchiveError> {
    let mut found = Found::default();
    let mut newest = None;
    for date in directories(table)? {
        for hour in directories(&date)? {
            for entry in entries(&hour)? {
                let name = entry.file_name();
                let Some(name) = name.to_str() else { continue };
                if path::is_hidden(name) && is_abandoned(&entry.path()) {
                    fs::remove_file(entry.path()).map_err(ArchiveError::io("remove leftover", &entry.path()))?;
                    found.removed += 1;
                }
                let end = path::end_of_published(name, instance).unwrap_or(0);
                if end > found.newest {
                    found.newest = end;
                    newest = Some(entry.path());
                }
            }
        }
    }
    // A server that died between giving a name and syncing its directory has left a name that a power failure takes away.
    newest.as_deref().map_or(Ok(()), sync_parent)?;
    Ok(found)
}

fn entries(directory: &Path) -> Result<Vec<DirEntry>, ArchiveError> {
    let entries = fs::read_dir(directory).and_then(Iterator::collect);
    entries.map_err(ArchiveError::io("read directory", directory))
}

fn directories(parent: &Path) -> Result<Vec<PathBuf>, ArchiveError> {
    let is_directory = |entry: &DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    Ok(entries(parent)?.into_iter().filter(is_directory).map(|entry| entry.path()).collect())
}

fn is_abandoned(path: &Path) -> bool {
    // To be written, though nothing is: over NFS only such a file can be locked.
    File::options().write(true).open(path).is_ok_and(|file| file.try_lock().is_ok())
}
