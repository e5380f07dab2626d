//! What was counted, told to those who watch it, and what became of what they want done.

use std::collections::VecDeque;

use aggregate::{Named, Pipeline};
use monitor::{CommandError, Config, ConfigError, Monitoring, RestoreError, SeenKind};
use wal::Lsn;

/// Tells of the calls that the last record made count, at its receive time.
pub(crate) fn watch(receive_time: u64, pipeline: &Pipeline, monitoring: &mut Monitoring) {
    monitoring.advance(receive_time);
    for counted in pipeline.counted() {
        monitoring.record_counted(receive_time, &counted);
    }
}

/// Tells of the agents and the versions of prompts that spans name.
pub(crate) fn see(receive_time: u64, named: &[Named], monitoring: &mut Monitoring) {
    monitoring.advance(receive_time);
    for named in named {
        match *named {
            Named::Agent(hash) => monitoring.note_seen(SeenKind::Agent, hash),
            Named::PromptVersion(hash) => monitoring.note_seen(SeenKind::PromptVersion, hash),
        }
    }
}

/// What watched before, to go on. What another version kept cannot be read: then it begins anew, as nothing that is counted depends on it.
///
/// # Errors
/// The configuration contradicts itself.
pub(crate) fn restore(config: &Config, checkpoint: &[u8]) -> Result<Monitoring, ConfigError> {
    match Monitoring::restore(config, checkpoint) {
        Ok(monitoring) => {
            for reason in monitoring.left_out() {
                tracing::warn!(%reason, "an alert or objective that the API had made is no more, also if the configuration is changed back");
            }
            for objective in monitoring.forgotten_budgets() {
                tracing::warn!(objective, "its budget is forgotten: it, or its monitor, is not defined as it was");
            }
            Ok(monitoring)
        }
        Err(RestoreError::Config(error)) => Err(error),
        Err(error) => {
            tracing::warn!(%error, "history and alerts begin anew");
            Monitoring::new(config)
        }
    }
}

/// What became of the newest commands, for those who wait for that.
#[derive(Debug, Default)]
pub(crate) struct Outcomes(VecDeque<(Lsn, Result<(), CommandError>)>);

impl Outcomes {
    /// Far more than ever wait.
    const KEPT: usize = 1_000;

    pub(crate) fn note(&mut self, lsn: Lsn, outcome: Result<(), CommandError>) {
        self.0.push_back((lsn, outcome));
        self.0.drain(..self.0.len().saturating_sub(Self::KEPT));
    }

    /// What became of the command at a place of the log, if it was applied and is not too long ago.
    pub(crate) fn take(&mut self, lsn: Lsn) -> Option<Result<(), CommandError>> {
        let place = self.0.iter().position(|(of, _)| *of == lsn)?;
        self.0.remove(place).map(|(_, outcome)| outcome)
    }
}
