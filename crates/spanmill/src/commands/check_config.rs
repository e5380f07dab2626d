//! `spanmill check-config FILE`.

use std::path::Path;

use super::printing;
use crate::config::access::Tls;
use crate::config::{self, Config};
use crate::failure::Failure;

/// Says what is wrong, or prints the effective configuration.
pub(crate) fn run(file: &Path) -> Result<(), Failure> {
    let loaded = Config::load(Some(file), &config::process_environment)?;
    loaded.check_named_files()?;
    for warning in &loaded.warnings {
        printing::note(&format!("warning: {warning}"));
    }
    // Wrong prices are a wrong configuration.
    loaded.config.derive.prices.load()?;
    // So are files that say who may call.
    let (otlp, admin) = (&loaded.config.receivers.otlp, &loaded.config.admin);
    for (tls, auth) in [(&otlp.tls, &otlp.auth), (&admin.tls, &admin.auth)] {
        tls.as_ref().map(Tls::load).transpose()?;
        auth.credentials()?;
    }
    printing::print(&config::effective_yaml(&loaded.config)?)
}
