//! The configuration from the outside: files in, configurations or messages out.

mod environment;
mod mistakes;
mod notifiers;
mod prices;
mod round_trip;
mod substitution;
mod supported;
mod watched;

use std::time::Duration;

use super::access::{Auth, Tls};
use super::address::Address;
use super::exporters::{
    ClientTls, Compression, Histograms, OtlpExporter, Profile, PrometheusExporter, Protocol, RetryOnFailure, Signal,
    Temporality, WhenFull,
};
use super::prices::{CatalogueSource, PriceSources, SuppliedCost};
use super::sections::{Content, Include, Zstd};
use super::units::ByteSize;
use super::*;
use transport::Secret;

fn no_environment(_name: &str) -> Option<String> {
    None
}

/// Loads a file `spanmill.yaml` of this content; messages name it without its folder.
fn load_with(source: &str, environment: Environment<'_>) -> Result<Loaded, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spanmill.yaml");
    std::fs::write(&path, source).unwrap();
    std::fs::write(folder.path().join("token"), "from a file\n").unwrap();
    let prefix = format!("{}/", folder.path().display());
    Config::load(Some(&path), environment).map_err(|error| error.to_string().replace(&prefix, ""))
}

fn load(source: &str) -> Result<Loaded, String> {
    load_with(source, &no_environment)
}

/// An environment of these variables.
fn environment<'a>(variables: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
    |name| variables.iter().find(|(found, _)| *found == name).map(|(_, value)| (*value).to_owned())
}
