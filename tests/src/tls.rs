//! Certificates that are made for one test, and clients that trust them.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::Answer;
use crate::raw::read_answer;

/// Both versions of TLS that are spoken.
pub const TLS_VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// Who issues certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate for `localhost`, and its key.
pub struct Certificate {
    /// The certificate, PEM.
    pub cert: String,
    /// Its private key, PEM.
    pub key: String,
}

impl Certificate {
    /// Writes both to `cert.pem` and `key.pem`.
    pub fn write(&self, directory: &Path) {
        std::fs::write(directory.join("cert.pem"), &self.cert).expect("a writable directory");
        std::fs::write(directory.join("key.pem"), &self.key).expect("a writable directory");
    }

    fn der(&self) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let cert = CertificateDer::from_pem_slice(self.cert.as_bytes()).expect("PEM");
        (cert, PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("PEM"))
    }
}

impl Authority {
    /// A new one.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Its own certificate.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    fn roots(&self) -> RootCertStore {
        let mut authorities = RootCertStore::empty();
        let der = CertificateDer::from_pem_slice(self.pem.as_bytes()).expect("PEM");
        authorities.add(der).expect("an authority");
        authorities
    }

    /// A certificate of it.
    pub fn issue(&self) -> Certificate {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(["localhost".to_owned()]).expect("parameters");
        let cert = params.signed_by(&key, &self.issuer).expect("a certificate").pem();
        Certificate { cert, key: key.serialize_pem() }
    }
}

/// What stands before a server that speaks no TLS: it ends the encryption and hands the bytes on.
pub struct TlsFront {
    /// Where it listens.
    pub address: SocketAddr,
    config: watch::Sender<Arc<ServerConfig>>,
}

impl TlsFront {
    /// Shows this certificate, and wants one of this authority from its clients, if any.
    pub async fn start(server: SocketAddr, certificate: &Certificate, clients: Option<&Authority>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (config, current) = watch::channel(server_config(certificate, clients));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut current = current.clone();
                let config = Arc::clone(&current.borrow_and_update());
                tokio::spawn(async move {
                    let handed_on = async {
                        let mut client = TlsAcceptor::from(config).accept(client).await?;
                        let mut server = TcpStream::connect(server).await?;
                        tokio::io::copy_bidirectional(&mut client, &mut server).await
                    };
                    tokio::select! {
                        _ = handed_on => {}
                        _ = current.changed() => {}
                    }
                });
            }
        });
        Self { address, config }
    }

    /// Shows another certificate from now on; open connections are cut.
    pub fn replace(&self, certificate: &Certificate, clients: Option<&Authority>) {
        self.config.send_replace(server_config(certificate, clients));
    }
}

fn server_config(certificate: &Certificate, clients: Option<&Authority>) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions");
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(clients.roots()), provider).build();
            builder.with_client_cert_verifier(verifier.expect("a verifier"))
        }
    };
    let (cert, key) = certificate.der();
    let mut config = builder.with_single_cert(vec![cert], key).expect("a certificate");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

/// A client that trusts one authority.
pub struct TlsClient(ClientConfig);

impl TlsClient {
    /// With these versions of TLS, and a certificate of its own if it has one.
    pub fn new(trusted: &Authority, own: Option<&Certificate>, versions: &[&'static SupportedProtocolVersion]) -> Self {
        let authorities = trusted.roots();
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(versions)
            .expect("versions")
            .with_root_certificates(authorities);
        Self(match own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let (cert, key) = own.der();
                builder.with_client_auth_cert(vec![cert], key).expect("a certificate")
            }
        })
    }

    /// Connects, and agrees upon `h2` or `http/1.1`.
    ///
    /// # Errors
    /// The handshake failed.
    pub async fn connect(&self, address: SocketAddr, is_http2: bool) -> io::Result<TlsConnection> {
        let mut config = self.0.clone();
        let protocol: &[u8] = if is_http2 { b"h2" } else { b"http/1.1" };
        config.alpn_protocols = vec![protocol.to_vec()];
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from("localhost").expect("a name");
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol));
        let io = TokioIo::new(stream);
        let sender = if is_http2 {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.map_err(io::Error::other)?;
            tokio::spawn(connection);
            Sender::Http2(sender)
        } else {
            let (sender, connection) = http1::handshake(io).await.map_err(io::Error::other)?;
            tokio::spawn(connection);
            Sender::Http1(sender)
        };
        Ok(TlsConnection { address, sender })
    }
}

/// An open connection.
pub struct TlsConnection {
    address: SocketAddr,
    sender: Sender,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl TlsConnection {
    /// One request.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn request(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer, hyper::Error> {
        let mut request = Request::builder().method(method).header("host", "localhost");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = Full::new(body.into());
        let response = match &mut self.sender {
            Sender::Http1(sender) => sender.send_request(request.uri(path).body(body).expect("a request")).await?,
            Sender::Http2(sender) => {
                let uri = format!("https://{}{path}", self.address);
                sender.send_request(request.uri(uri).body(body).expect("a request")).await?
            }
        };
        read_answer(response).await
    }
}
