//! TLS to other sides, 1.2 or 1.3, by rustls with ring: whom we trust, and who we are.
//!
//! Everything is read again for every new connection, so a server with a new certificate or a renewed certificate of
//! our own needs no restart. Connections are few and live long. Files that cannot be used then are a failed attempt like any other:
//! it is said, and tried again.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::uri::{Scheme, Uri};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::client::WantsClientCert;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use tokio::net::TcpStream;
use tower::Service;

use crate::known::Known;

/// How the other side of an `https://` endpoint is known, and how it knows us. All files are PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Authorities that are trusted, in place of those that the operating system trusts.
    pub ca_file: Option<PathBuf>,
    /// The server's own certificate, where that can be read: then it must show this one, and neither names nor authorities matter.
    pub server_cert_file: Option<PathBuf>,
    /// What is shown to a server that asks for a certificate.
    pub identity: Option<Identity>,
}

/// A certificate of our own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, and behind it those that lead to its authority.
    pub cert_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
}

impl Tls {
    /// Reads the files. `protocol` is offered to the other side as the one that is spoken (ALPN).
    ///
    /// # Errors
    /// A file cannot be used, or nobody would be trusted.
    pub fn client_config(&self, protocol: &[u8]) -> Result<ClientConfig, String> {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = match &self.server_cert_file {
            None => builder.with_root_certificates(self.authorities()?),
            Some(file) => {
                let known = Known::new(certificates(file)?.swap_remove(0));
                builder.dangerous().with_custom_certificate_verifier(Arc::new(known))
            }
        };
        self.with_identity(builder, protocol)
    }

    fn with_identity(
        &self,
        builder: ConfigBuilder<ClientConfig, WantsClientCert>,
        protocol: &[u8],
    ) -> Result<ClientConfig, String> {
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(Identity { cert_file, key_file }) => {
                let key = PrivateKeyDer::from_pem_slice(&read(key_file)?);
                let key = key.map_err(|error| unusable(key_file, &error))?;
                let identity = builder.with_client_auth_cert(certificates(cert_file)?, key);
                identity.map_err(|error| unusable(key_file, &error))?
            }
        };
        config.alpn_protocols = vec![protocol.to_vec()];
        Ok(config)
    }

    fn authorities(&self) -> Result<RootCertStore, String> {
        let mut authorities = RootCertStore::empty();
        match &self.ca_file {
            Some(ca_file) => {
                for authority in certificates(ca_file)? {
                    authorities.add(authority).map_err(|error| unusable(ca_file, &error))?;
                }
            }
            // A system may have some that are no good; the others count.
            None => {
                authorities.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                if authorities.is_empty() {
                    return Err("the operating system names no authority to trust: a ca_file is needed".to_owned());
                }
            }
        }
        Ok(authorities)
    }
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(file).map_err(|error| unusable(file, &error))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(file)?).collect();
    let certificates = read.map_err(|error| unusable(file, &error))?;
    if certificates.is_empty() { Err(format!("{}: no certificate in it", file.display())) } else { Ok(certificates) }
}

fn unusable(file: &Path, error: &dyn std::error::Error) -> String {
    format!("{}: {error}", file.display())
}

/// Connects, encrypted where the address is `https://`.
#[derive(Clone, Debug)]
pub struct Connector {
    tcp: HttpConnector,
    tls: Tls,
    protocol: &'static [u8],
}

impl Connector {
    /// By `tcp`, which may have limits of its own; `protocol` is the one that is spoken (ALPN).
    pub fn new(mut tcp: HttpConnector, tls: Tls, protocol: &'static [u8]) -> Self {
        tcp.enforce_http(false);
        Self { tcp, tls, protocol }
    }
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
        let Self { mut tcp, tls, protocol } = self.clone();
        Box::pin(async move {
            if uri.scheme() != Some(&Scheme::HTTPS) {
                return Ok(MaybeHttpsStream::Http(tcp.call(uri).await?));
            }
            let config = tokio::task::spawn_blocking(move || tls.client_config(protocol)).await??;
            HttpsConnector::from((tcp, config)).call(uri).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // What cannot be used is refused with the name of the file: one that is missing, holds no certificate, or a key that
    // belongs to another certificate.
    #[test]
    fn files_that_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let pair = |name: &str| {
            let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            let cert_file = file(&format!("{name}.pem"), &made.cert.pem());
            Identity { cert_file, key_file: file(&format!("{name}.key"), &made.signing_key.serialize_pem()) }
        };
        let (ours, other) = (pair("ours"), pair("other"));
        let empty = file("empty.pem", "");
        let missing = directory.path().join("missing.pem");
        let config = |ca_file: &Path, identity: Option<Identity>| {
            Tls { ca_file: Some(ca_file.to_owned()), identity, ..Tls::default() }
                .client_config(b"h2")
                .map_err(|refused| refused.strip_prefix(directory.path().to_str().unwrap()).unwrap().to_owned())
        };
        assert_eq!(config(&other.cert_file, Some(ours.clone())).unwrap().alpn_protocols, [b"h2"]);
        let refused = |ca_file: &Path, identity| config(ca_file, identity).unwrap_err();
        assert!(refused(&missing, None).starts_with("/missing.pem: No such file"));
        assert_eq!(refused(&empty, None), "/empty.pem: no certificate in it");
        assert_eq!(refused(&ours.key_file, None), "/ours.key: no certificate in it");
        let mixed = Identity { key_file: other.key_file.clone(), ..ours.clone() };
        assert!(refused(&other.cert_file, Some(mixed)).starts_with("/other.key: "));
        let no_key = Identity { key_file: empty.clone(), ..ours.clone() };
        assert!(refused(&other.cert_file, Some(no_key)).starts_with("/empty.pem: "));
    }
}
