//! OTLP/JSON becomes protobuf here, at the edge, so that there is one form behind it.
use crate::{Refusal, Signal};
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Smaller bodies are converted in place; larger ones would keep other tasks waiting.
const INLINE_MAX: usize = 32 << 10;

/// Converts one body.
pub(crate) fn to_protobuf(signal: Signal, json: &[u8]) -> Result<Vec<u8>, otlp::json::JsonError> {
    match signal {
        Signal::Traces => otlp::json::traces_to_protobuf(json),
        Signal::Metrics => otlp::json::metrics_to_protobuf(json),
        Signal::Logs => otlp::json::logs_to_protobuf(json),
    }
}

/// The signal that the keys of a request tell.
pub(crate) fn signal_of(json: &[u8]) -> Option<Signal> {
    Some(match otlp::json::signal_of(json)? {
        otlp::json::Signal::Traces => Signal::Traces,
        otlp::json::Signal::Metrics => Signal::Metrics,
        otlp::json::Signal::Logs => Signal::Logs,
    })
}

/// Converts bodies for the servers: large ones on blocking threads, no more at once than there are cores, because what a
/// hostile text becomes may be several times its size and is in the budget only when it is done.
#[derive(Clone, Debug)]
pub(crate) struct Converter(Arc<Semaphore>);

impl Converter {
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Converter(Arc::new(Semaphore::new(cores)))
    }

    pub(crate) async fn convert(&self, signal: Signal, json: Bytes) -> Result<Vec<u8>, Refusal> {
        let is_small = json.len() <= INLINE_MAX;
        let convert = move || to_protobuf(signal, &json).map_err(|error| Refusal::Malformed(error.to_string()));
        if is_small {
            return convert();
        }
        let stopping = || Refusal::Unavailable("server is shutting down".to_owned());
        let slot = Arc::clone(&self.0).acquire_owned().await.map_err(|_| stopping())?;
        let conversion = tokio::task::spawn_blocking(move || {
            let _slot = slot;
            convert()
        });
        conversion.await.map_err(|_| stopping())?
    }
}
