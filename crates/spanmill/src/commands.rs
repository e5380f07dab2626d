//! The commands, one file each.

pub(crate) mod check_config;
pub(crate) mod demo;
pub(crate) mod replay;
pub(crate) mod serve;

use crate::failure::Failure;

/// Runs `command` on the runtime that serves requests.
fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::io("starting the async runtime"))?;
    runtime.block_on(command)
}

/// Resolves at Ctrl-C or SIGTERM.
async fn told_to_stop() -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::io("waiting for SIGTERM"))?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(Failure::io("waiting for Ctrl-C")),
        _ = terminate.recv() => Ok(()),
    }
}
