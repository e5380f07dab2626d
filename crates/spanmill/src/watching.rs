//! What was counted, told to those who watch it, and what became of what they want done.

use std::collections::VecDeque;

use aggregate::{CountedCall, Pipeline};
use monitor::{Call, CommandError, Config, ConfigError, Monitoring, RestoreError};
use wal::Lsn;

/// Tells of the calls that the last record made count, at its receive time.
pub(crate) fn watch(receive_time: u64, pipeline: &Pipeline, monitoring: &mut Monitoring) {
    monitoring.advance(receive_time);
    for counted in pipeline.counted() {
        monitoring.record(receive_time, &call(&counted));
    }
}

fn call<'a>(counted: &CountedCall<'a>) -> Call<'a> {
    let (trace_id, span_id) = counted.ids();
    let usage = counted.usage();
    Call {
        service: counted.attribute("service.name"),
        environment: counted.attribute("deployment.environment.name"),
        provider: counted.attribute("gen_ai.provider.name"),
        request_model: counted.attribute("gen_ai.request.model"),
        response_model: counted.attribute("gen_ai.response.model"),
        operation: counted.attribute("gen_ai.operation.name"),
        service_version: counted.attribute("service.version"),
        server_address: counted.attribute("server.address"),
        trace_id,
        span_id,
        is_late: counted.is_late(),
        error: counted.error(),
        duration: counted.duration(),
        time_to_first_token: counted.time_to_first_chunk(),
        // a call lasts for less than 585 years
        time_per_output_token: counted.time_per_output_token().map(|seconds| (seconds * 1e9) as u64),
        input_tokens: usage.and_then(|usage| usage.input).map(u64::from),
        output_tokens: usage.and_then(|usage| usage.output).map(u64::from),
        tokens: usage.map(|usage| usage.classes()),
        cost: counted.cost(),
    }
}

/// What watched before, to go on. What another version kept cannot be read: then it begins anew, as nothing that is counted depends on it.
///
/// # Errors
/// The configuration contradicts itself.
pub(crate) fn restore(config: &Config, checkpoint: &[u8]) -> Result<Monitoring, ConfigError> {
    match Monitoring::restore(config, checkpoint) {
        Ok(monitoring) => Ok(monitoring),
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
