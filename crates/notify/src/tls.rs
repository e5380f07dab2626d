//! TLS to other sides, 1.2 or 1.3, by rustls with ring. Files are read again for every connection.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::uri::{Scheme, Uri};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tower::Service;

/// Connects, encrypted where the address is `https://`. Authorities are those of a file, or those of the operating system.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    tcp: HttpConnector,
    ca_file: Option<PathBuf>,
}

impl Connector {
    pub(crate) fn new(ca_file: Option<PathBuf>) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        Self { tcp, ca_file }
    }
}

fn client_config(ca_file: Option<&Path>) -> Result<ClientConfig, String> {
    let mut authorities = RootCertStore::empty();
    match ca_file {
        Some(file) => {
            let unusable = |error: &dyn std::error::Error| format!("{}: {error}", file.display());
            for authority in CertificateDer::pem_file_iter(file).map_err(|error| unusable(&error))? {
                let authority = authority.map_err(|error| unusable(&error))?;
                authorities.add(authority).map_err(|error| unusable(&error))?;
            }
        }
        // A system may have some that are no good; the others count.
        None => drop(authorities.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
    }
    if authorities.is_empty() {
        return Err("there is no authority to trust".to_owned());
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(builder.with_root_certificates(authorities).with_no_client_auth())
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(context).map_err(BoxError::from)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let Self { mut tcp, ca_file } = self.clone();
        Box::pin(async move {
            if uri.scheme() != Some(&Scheme::HTTPS) {
                return Ok(MaybeHttpsStream::Http(tcp.call(uri).await?));
            }
            let config = tokio::task::spawn_blocking(move || client_config(ca_file.as_deref())).await??;
            HttpsConnector::from((tcp, config)).call(uri).await
        })
    }
}
