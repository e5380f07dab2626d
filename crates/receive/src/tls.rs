//! TLS, 1.2 or 1.3, by rustls: certificate and key from files that are followed, and clients' certificates if asked for.
use crate::reload::{FileError, Reloaded};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::{Accept, TlsAcceptor};

/// What both kinds of servers speak.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The files of one server, all PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and behind it those that lead to its authority.
    pub cert_file: PathBuf,
    /// The private key of the certificate.
    pub key_file: PathBuf,
    /// Authorities of clients. If there are any, a client must show a certificate of one of them.
    pub client_ca_file: Option<PathBuf>,
}

/// How connections are encrypted. A change of the files holds for connections that come; those that are open stay.
#[derive(Clone, Debug)]
pub struct Tls(Reloaded<ServerConfig>);

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// A file cannot be read, or they are not PEM, or the key is not that of the certificate.
    pub fn from_files(files: TlsFiles) -> Result<Self, FileError> {
        let TlsFiles { cert_file, key_file, client_ca_file } = files;
        let paths = [cert_file, key_file].into_iter().chain(client_ca_file).collect();
        Reloaded::from_files(paths, server_config).map(Tls)
    }

    pub(crate) fn accept(&self, stream: TcpStream) -> Accept<TcpStream> {
        TlsAcceptor::from(self.0.current()).accept(stream)
    }
}

/// From the contents of the files, in the order of [`TlsFiles`].
fn server_config(contents: &[Vec<u8>]) -> Result<ServerConfig, String> {
    let (cert, key, client_ca) = match contents {
        [cert, key] => (cert, key, None),
        [cert, key, client_ca] => (cert, key, Some(client_ca)),
        _ => return Err("expected a certificate and a key".to_owned()),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let mut authorities = RootCertStore::empty();
            for authority in certificates(pem, "client_ca_file")? {
                authorities.add(authority).map_err(|error| format!("client_ca_file: {error}"))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| format!("client_ca_file: {error}"))?)
        }
    };
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| format!("key_file: {error}"))?;
    let mut config =
        builder.with_single_cert(certificates(cert, "cert_file")?, key).map_err(|error| error.to_string())?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(config)
}

fn certificates(pem: &[u8], file: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = read.map_err(|error| format!("{file}: {error}"))?;
    if certificates.is_empty() { Err(format!("{file}: there is no certificate in it")) } else { Ok(certificates) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem() -> [Vec<u8>; 2] {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        [made.cert.pem().into_bytes(), made.signing_key.serialize_pem().into_bytes()]
    }

    // What cannot serve is refused and says which file is wrong; a key of another certificate is one of them.
    #[test]
    fn files_that_are_refused() {
        let ([cert, key], [other_cert, other_key]) = (pem(), pem());
        server_config(&[cert.clone(), key.clone()]).unwrap();
        server_config(&[cert.clone(), key.clone(), other_cert]).unwrap();
        let refused = |contents: &[&Vec<u8>]| {
            let contents: Vec<_> = contents.iter().map(|content| content.to_vec()).collect();
            server_config(&contents).err().unwrap()
        };
        let nothing = Vec::new();
        assert!(refused(&[&nothing, &key]).starts_with("cert_file: "));
        assert!(refused(&[&cert, &nothing]).starts_with("key_file: "));
        assert!(refused(&[&cert, &key, &nothing]).starts_with("client_ca_file: "));
        assert!(refused(&[&cert, &other_key]).contains("key"), "{}", refused(&[&cert, &other_key]));
        assert!(refused(&[&key, &key]).starts_with("cert_file: "));
    }
}
