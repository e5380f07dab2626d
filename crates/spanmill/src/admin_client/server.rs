//! Which server is asked, how it is known, and what it is shown.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::Args;
use http::header::HeaderValue;
use hyper_util::client::legacy::connect::HttpConnector;
use transport::{Connector, Identity, Secret, Tls};

use super::AdminClient;
use crate::config::address::HttpUrl;
use crate::config::sections::Admin;
use crate::config::{self, Config, Environment};
use crate::failure::Failure;

/// What every command takes that asks a running server. Credentials are never arguments, as those are seen by everybody on the machine.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Which server is asked")]
pub(crate) struct Server {
    /// Its admin address, e.g. `https://spanmill.example:13133`; without it, that of the configuration. It is shown SPANMILL_ADMIN_TOKEN, or
    /// SPANMILL_ADMIN_USER and SPANMILL_ADMIN_PASSWORD, if they are set, and else, if it is that of the configuration, a token from there.
    #[arg(long, value_name = "URL", global = true)]
    server: Option<HttpUrl>,
    /// Authorities that are trusted in place of the operating system's (PEM).
    #[arg(long, value_name = "FILE", global = true)]
    ca_file: Option<PathBuf>,
    /// A certificate to show, if it asks for one (PEM).
    #[arg(long, value_name = "FILE", global = true, requires = "key_file")]
    cert_file: Option<PathBuf>,
    /// The private key of that certificate (PEM).
    #[arg(long, value_name = "FILE", global = true, requires = "cert_file")]
    key_file: Option<PathBuf>,
}

impl Server {
    /// Prepares to ask it.
    pub(crate) fn client(&self, config: Option<&Path>) -> Result<AdminClient, Failure> {
        let admin = Config::load(config, &config::process_environment)?.config.admin;
        self.client_of(&admin, &config::process_environment)
    }

    fn client_of(&self, admin: &Admin, environment: Environment<'_>) -> Result<AdminClient, Failure> {
        let (address, base) = match &self.server {
            Some(url) => (url.to_string(), url.to_string().trim_end_matches('/').to_owned()),
            None => {
                let scheme = if admin.tls.is_some() { "https" } else { "http" };
                (admin.endpoint.to_string(), format!("{scheme}://{}", admin.endpoint))
            }
        };
        let failure = |reason: String| Failure::Admin { address: address.clone(), reason };
        let authorization = self.authorization(admin, environment).map_err(failure)?;
        let connector = Connector::new(HttpConnector::new(), self.tls(admin), b"http/1.1");
        Ok(AdminClient { address, base, connector, authorization })
    }

    fn tls(&self, admin: &Admin) -> Tls {
        let identity = self.cert_file.clone().zip(self.key_file.clone());
        let is_known = self.server.is_none() && self.ca_file.is_none();
        Tls {
            ca_file: self.ca_file.clone(),
            server_cert_file: admin.tls.as_ref().filter(|_| is_known).map(|tls| tls.cert_file.clone()),
            identity: identity.map(|(cert_file, key_file)| Identity { cert_file, key_file }),
        }
    }

    /// What is shown: credentials of the environment, or of the configuration of that very server.
    fn authorization(&self, admin: &Admin, environment: Environment<'_>) -> Result<Option<HeaderValue>, String> {
        let set = |name| environment(name).filter(|value| !value.is_empty());
        let bearer = |token: &str| format!("Bearer {token}");
        let shown = match (set("SPANMILL_ADMIN_TOKEN"), set("SPANMILL_ADMIN_USER"), set("SPANMILL_ADMIN_PASSWORD")) {
            (Some(token), None, None) => Some(bearer(&token)),
            (None, Some(user), Some(password)) => {
                Some(format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))))
            }
            (None, None, None) if self.server.is_none() => {
                let token = admin.auth.first_token().map_err(|error| format!("admin.auth: {error}"))?;
                token.as_ref().map(Secret::expose).map(bearer)
            }
            (None, None, None) => None,
            (Some(_), ..) => return Err("SPANMILL_ADMIN_TOKEN and a user are set: one of them can be shown".to_owned()),
            (None, ..) => return Err("of SPANMILL_ADMIN_USER and SPANMILL_ADMIN_PASSWORD only one is set".to_owned()),
        };
        let unusable = |_| "credentials cannot be sent: they have line breaks or other control characters".to_owned();
        let header = |text: String| HeaderValue::try_from(text).map_err(unusable);
        let mut shown = shown.map(header).transpose()?;
        shown.iter_mut().for_each(|value| value.set_sensitive(true));
        Ok(shown)
    }
}
