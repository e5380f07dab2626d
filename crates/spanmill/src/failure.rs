//! Why the command failed, and the exit code that says so.

use std::io;

use crate::config::error::ConfigError;

/// Everything that ends the command. Exit codes are those of sysexits.h.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The configuration is wrong.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// What is to be watched contradicts itself.
    #[error("{0}")]
    Watched(#[from] monitor::ConfigError),
    /// A file that says who may call cannot be used.
    #[error("{0}")]
    Access(#[from] receive::FileError),
    /// The effective configuration cannot be written as YAML.
    #[error("cannot print the configuration: {0}")]
    Print(#[from] serde_saphyr::SerializeError),
    /// A listener cannot be bound.
    #[error("cannot listen on {address} for {what}: {source}")]
    Listen {
        /// What would have listened.
        what: &'static str,
        /// Where.
        address: String,
        /// Why not.
        source: io::Error,
    },
    /// A destination is configured wrongly.
    #[error("{0}")]
    Export(#[from] export::ExportError),
    /// A notifier is configured wrongly.
    #[error("notifiers.{notifier}: {source}")]
    Notifier {
        /// Its name.
        notifier: String,
        /// What is wrong.
        source: notify::NotifyError,
    },
    /// The archive failed.
    #[error("archive: {0}")]
    Archive(#[from] archive::ArchiveError),
    /// The log ends before what is archived: new requests would be taken for those.
    #[error(
        "the archive has requests up to record {archived} of this instance, but the log ends with record {last}: part of it is lost, or \
         the data directory is an older copy; remove {} to go on as a new instance",
        instance_id.display()
    )]
    ArchiveAhead {
        /// The newest record that is archived.
        archived: wal::Lsn,
        /// The newest record of the log.
        last: wal::Lsn,
        /// The file with the id of the instance.
        instance_id: std::path::PathBuf,
    },
    /// What is stored cannot be used.
    #[error("{0}")]
    Storage(#[from] wal::OpenError),
    /// The newest checkpoint cannot be restored.
    #[error("checkpoint of record {lsn}: {reason}")]
    Checkpoint {
        /// The last record that it covers.
        lsn: wal::Lsn,
        /// Why not.
        reason: String,
    },
    /// A file to replay is wrong.
    #[error("{0}")]
    Replay(#[from] receive::ReplayError),
    /// A stored request is malformed.
    #[error("{place}: {source}")]
    Malformed {
        /// Where it stands.
        place: receive::Place,
        /// What is wrong.
        source: genai::DeriveError,
    },
    /// A running server could not be asked.
    #[error("asking the server at {address}: {reason}")]
    Admin {
        /// Its admin endpoint.
        address: String,
        /// Why not.
        reason: String,
    },
    /// A dashboard could not be written.
    #[error("dashboards: {0}")]
    Dashboards(#[from] dashboards::Error),
    /// The command line says what does not go together.
    #[error("{0}")]
    Usage(&'static str),
    /// The demonstration could not send.
    #[error("demo: {0}")]
    Demo(String),
    /// Something that never ends has ended.
    #[error("{0}")]
    Broken(String),
    /// Something could not be finished in time.
    #[error("{0}")]
    Deadline(String),
    /// The operating system refused.
    #[error("{action}: {source}")]
    Io {
        /// What was tried.
        action: String,
        /// Why it failed.
        source: io::Error,
    },
}

impl Failure {
    /// What was tried when the operating system refused.
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }

    /// The exit code: 64 for a bad command line or configuration, 65 for bad data, 66 for unreadable input, 70 for a fault of our
    /// own, 71 and 74 for the system.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_)
            | Self::Config(_)
            | Self::Watched(_)
            | Self::Access(_)
            | Self::Export(_)
            | Self::Notifier { .. } => 64,
            Self::Replay(receive::ReplayError::Read { .. }) => 66,
            Self::Replay(_) | Self::Malformed { .. } | Self::ArchiveAhead { .. } => 65,
            Self::Broken(_) | Self::Dashboards(_) => 70,
            Self::Listen { .. } | Self::Admin { .. } | Self::Demo(_) | Self::Deadline(_) => 71,
            Self::Print(_) | Self::Archive(_) | Self::Io { .. } | Self::Storage(_) | Self::Checkpoint { .. } => 74,
        }
    }
}
