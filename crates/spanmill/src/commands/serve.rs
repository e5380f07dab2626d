//! `spanmill`: serve until told to stop.

use std::path::Path;
use std::pin::pin;

use super::{block_on, printing, told_to_stop};
use crate::config::{self, Config};
use crate::failure::Failure;
use crate::listeners::{IfTaken, Listeners};
use crate::server::Server;
use crate::telemetry;

/// Serves as `config` says, or with the defaults.
pub(crate) fn run(config: Option<&Path>) -> Result<(), Failure> {
    let loaded = Config::load(config, &config::process_environment)?;
    loaded.check_named_files()?;
    telemetry::init_logging();
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    if !loaded.config.storage.wal.enabled {
        tracing::warn!(
            "storage.wal.enabled is false: what is acknowledged but not yet exported is lost if the process dies"
        );
    }
    block_on(async {
        let mut told_to_stop = pin!(told_to_stop()?);
        let listeners = Listeners::bind(&loaded.config, IfTaken::Fail).await?;
        tracing::info!(admin = %listeners.addresses()?.admin, "starting");
        let server = tokio::select! {
            server = Server::start(&loaded.config, listeners) => server?,
            () = &mut told_to_stop => {
                tracing::info!("stopping before all of the log was applied: the next start does it");
                return Ok(());
            }
        };
        if let Err(failure) = printing::print(&format!("listening {}\n", server.addresses())) {
            tracing::warn!(%failure, "standard output does not take where the server listens");
        }
        tokio::select! {
            () = told_to_stop => {}
            failure = server.broken() => {
                server.give_up().await;
                return Err(failure);
            }
        }
        tracing::info!("stopping");
        server.shutdown().await
    })
}
