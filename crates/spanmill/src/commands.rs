//! The commands, one file each.

pub(crate) mod alerts;
pub(crate) mod check_config;
mod counting;
pub(crate) mod dashboards;
pub(crate) mod demo;
pub(crate) mod errors;
pub(crate) mod explain;
pub(crate) mod monitors;
pub(crate) mod prices;
mod printing;
pub(crate) mod repair;
pub(crate) mod replay;
pub(crate) mod serve;

use crate::failure::Failure;

/// Runs `command` on the runtime that serves requests.
fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::io("starting the async runtime"))?;
    let result = runtime.block_on(command);
    // A thread that is stuck on a disk must not keep a process alive that has given up on it.
    runtime.shutdown_background();
    result
}

/// Listens for Ctrl-C and SIGTERM from now on; what it returns resolves at the first of them.
fn told_to_stop() -> Result<impl Future<Output = ()>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::io("waiting for SIGTERM"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::io("waiting for Ctrl-C"))?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
