//! The servers that take requests. They end first.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::metrics::Meter;
use receive::{Budget, GrpcServer, Health, HttpServer, Intake, Limits};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::admin::Readiness;
use crate::config::access::Tls;
use crate::config::receivers::OtlpReceiver;
use crate::failure::Failure;
use crate::files;
use crate::ingest::Ingestion;
use crate::server::told;

/// How often `grpc.health.v1` is told whether the server is ready.
const TOLD_EVERY: Duration = Duration::from_secs(1);
/// How long requests in flight may take to finish when the server stops.
const GRACE: Duration = Duration::from_secs(10);

/// Those that run. Dropped, they are cut off.
#[derive(Debug)]
pub(crate) struct Receiving {
    stop: watch::Sender<bool>,
    servers: JoinSet<Result<(), receive::ServeError>>,
}

impl Receiving {
    /// Begins to take requests.
    pub(crate) async fn start(
        config: &OtlpReceiver,
        grpc: TcpListener,
        http: TcpListener,
        ingestion: Ingestion,
        readiness: Readiness,
        meter: &Meter,
    ) -> Result<Self, Failure> {
        let budget = Budget::new(config.memory_budget.as_usize());
        let intake = Intake::new(Arc::new(ingestion), budget, meter).with_credentials(config.auth.credentials()?);
        let max_connections = files::connections(Limits::default().max_connections);
        let limits = |max_request_size| Limits { max_request_size, max_connections, ..Limits::default() };
        let grpc_limits = limits(config.protocols.grpc.max_recv_msg_size.as_usize());
        let http_limits = limits(config.protocols.http.max_request_body_size.as_usize());
        let tls = config.tls.as_ref().map(Tls::load).transpose()?;
        let (stop, stopped) = watch::channel(false);
        let mut servers = JoinSet::new();
        let grpc = GrpcServer::new(grpc, intake.clone(), grpc_limits).await.with_tls(tls.clone());
        let http = HttpServer::new(http, intake, http_limits).with_tls(tls);
        let health = grpc.health();
        servers.spawn(grpc.serve(told(stopped.clone()), GRACE));
        let stops = told(stopped.clone());
        servers.spawn(async move {
            tokio::select! {
                () = stops => Ok(()),
                never = tell_health(health, readiness) => match never {},
            }
        });
        servers.spawn(http.serve(told(stopped), GRACE));
        Ok(Self { stop, servers })
    }

    /// Accepts nothing more, and finishes the requests in flight.
    ///
    /// # Errors
    /// Some did not finish in time.
    pub(crate) async fn end(mut self) -> Result<(), Failure> {
        self.stop.send_replace(true);
        let mut result = Ok(());
        while let Some(ended) = self.servers.join_next().await {
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => result = Err(Failure::Deadline(error.to_string())),
                Err(error) => result = Err(Failure::Deadline(error.to_string())),
            }
        }
        result
    }
}

/// Has `grpc.health.v1` say what `/readyz` says: who balances load asks the one or the other.
async fn tell_health(health: Health, readiness: Readiness) -> Infallible {
    let mut told = true;
    loop {
        tokio::time::sleep(TOLD_EVERY).await;
        let is_ready = readiness.reason().is_none();
        if is_ready != told {
            health.set_serving(is_ready).await;
            told = is_ready;
        }
    }
}
