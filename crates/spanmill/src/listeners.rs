//! The sockets, bound before anything else is started: a port that is taken must not leave half a server.

use std::fmt;
use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::config::Config;
use crate::failure::Failure;

/// All listening sockets.
#[derive(Debug)]
pub(crate) struct Listeners {
    pub(crate) grpc: TcpListener,
    pub(crate) http: TcpListener,
    pub(crate) prometheus: Option<TcpListener>,
    pub(crate) admin: TcpListener,
}

/// Where a server listens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addresses {
    pub(crate) grpc: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) prometheus: Option<SocketAddr>,
    pub(crate) admin: SocketAddr,
}

/// What a taken port leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IfTaken {
    /// An error: clients know the port.
    Fail,
    /// Any free port: `demo` must run beside whatever else is running.
    UseAnother,
}

impl Listeners {
    pub(crate) async fn bind(config: &Config, if_taken: IfTaken) -> Result<Self, Failure> {
        let protocols = &config.receivers.otlp.protocols;
        let prometheus = match &config.exporters.prometheus {
            Some(exporter) => Some(bind("/metrics", &exporter.endpoint.to_string(), if_taken).await?),
            None => None,
        };
        Ok(Self {
            grpc: bind("OTLP/gRPC", &protocols.grpc.endpoint.to_string(), if_taken).await?,
            http: bind("OTLP/HTTP", &protocols.http.endpoint.to_string(), if_taken).await?,
            prometheus,
            admin: bind("the admin server", &config.admin.endpoint.to_string(), if_taken).await?,
        })
    }

    pub(crate) fn addresses(&self) -> Result<Addresses, Failure> {
        let local =
            |listener: &TcpListener| listener.local_addr().map_err(Failure::io("asking for a listener's address"));
        Ok(Addresses {
            grpc: local(&self.grpc)?,
            http: local(&self.http)?,
            prometheus: self.prometheus.as_ref().map(local).transpose()?,
            admin: local(&self.admin)?,
        })
    }
}

async fn bind(what: &'static str, address: &str, if_taken: IfTaken) -> Result<TcpListener, Failure> {
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(listener),
        Err(error) if if_taken == IfTaken::UseAnother && error.kind() == std::io::ErrorKind::AddrInUse => {
            let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
            TcpListener::bind(format!("{host}:0")).await.map_err(|source| listen(what, address, source))
        }
        Err(source) => Err(listen(what, address, source)),
    }
}

fn listen(what: &'static str, address: &str, source: std::io::Error) -> Failure {
    Failure::Listen { what, address: address.to_owned(), source }
}

/// One line that scripts can read: `grpc=127.0.0.1:4317 http=...`.
impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "grpc={} http={}", self.grpc, self.http)?;
        if let Some(prometheus) = self.prometheus {
            write!(f, " prometheus={prometheus}")?;
        }
        write!(f, " admin={}", self.admin)
    }
}
