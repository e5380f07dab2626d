//! The two servers: settings, connections, shutdown.
use crate::accept::{Acceptor, Connection};
use crate::grpc::GrpcService;
use crate::grpc_health::GrpcHealth;
use crate::idle::{Answer, Requests};
use crate::windows::{Window, Windows};
use crate::{Ingest, Intake, Signal, Tls, http, names};
use ::http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::error::Error;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

/// HTTP/2 settings of both servers. Windows (the largest there are) and frames are for speed (16 KiB frames cost twice as much); the
/// others are limits.
pub(crate) mod http2 {
    use std::time::Duration;
    pub(crate) const STREAM_WINDOW: u32 = 4 << 20;
    pub(super) const MAX_FRAME_SIZE: u32 = 1 << 20;
    pub(super) const MAX_HEADER_LIST_SIZE: u32 = 16 << 10;
    pub(super) const MAX_CONCURRENT_STREAMS: u32 = 128;
    pub(super) const MAX_LOCAL_ERROR_RESET_STREAMS: usize = 1024;
    pub(super) const MAX_PENDING_ACCEPT_RESET_STREAMS: usize = 20;
    pub(super) const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
    pub(super) const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
}

/// What one HTTP/1 connection keeps at most outside of the budget, its head included. hyper would take six times as much.
const HTTP1_MAX_BUFFER: usize = 64 << 10;

/// What one server lets its clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one request: on the wire, inflated, and as protobuf. OTLP recommends 64 MiB.
    pub max_request_size: usize,
    /// How long a body may take to arrive.
    pub body_read_timeout: Duration,
    /// How long the head of an HTTP/1 request may take; also how long an idle HTTP/1 connection, and one on which nothing was asked
    /// yet, is kept.
    pub header_read_timeout: Duration,
    /// How long an HTTP/2 connection is kept on which nothing is asked any more. Pings are no requests. Exporters send every minute or
    /// more often, and open another connection where one was closed.
    pub idle_timeout: Duration,
    /// How long a connection may take nothing of what is to be written to it: as long its client keeps that in memory. Slow ones take
    /// something only now and then.
    pub write_timeout: Duration,
    /// Connections at once; more wait in the kernel's queue.
    pub max_connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_request_size: 64 << 20,
            body_read_timeout: Duration::from_secs(60),
            header_read_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(600),
            write_timeout: Duration::from_secs(300),
            max_connections: 4096,
        }
    }
}

/// Why a server ended other than by finishing what it had begun.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Connections were still busy when the time for shutdown was over.
    #[error("requests were still in flight {} s after shutdown began", .0.as_secs_f32())]
    Deadline(Duration),
}

/// The serving status told by `grpc.health.v1`, for the server as a whole and for each of the three services.
#[derive(Clone, Debug, Default)]
pub struct Health(HealthReporter);

impl Health {
    /// SERVING or NOT_SERVING. A server says SERVING from the start unless told otherwise.
    pub async fn set_serving(&self, serving: bool) {
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        for service in Self::services() {
            self.0.set_service_status(service, status).await;
        }
    }

    /// NOT_SERVING for good. Open watches are told and ended: they would hold up the shutdown.
    async fn stop(mut self) {
        self.set_serving(false).await;
        for service in Self::services() {
            self.0.clear_service_status(service).await;
        }
    }

    /// The empty name stands for the whole server.
    fn services() -> impl Iterator<Item = &'static str> {
        std::iter::once("").chain(Signal::ALL.into_iter().map(Signal::grpc_service))
    }
}

/// The OTLP/gRPC server on a bound listener.
#[derive(Debug)]
pub struct GrpcServer<I> {
    listener: TcpListener,
    intake: Intake<I>,
    limits: Limits,
    tls: Option<Tls>,
    health: Health,
}

impl<I: Ingest> GrpcServer<I> {
    /// A server that is bound but does not accept yet; it reports SERVING once it does.
    pub async fn new(listener: TcpListener, intake: Intake<I>, limits: Limits) -> Self {
        let health = Health::default();
        health.set_serving(true).await;
        GrpcServer { listener, intake, limits, tls: None, health }
    }

    /// The same over encrypted connections, if `tls` is given.
    pub fn with_tls(self, tls: Option<Tls>) -> Self {
        GrpcServer { tls, ..self }
    }

    /// The handle of its serving status.
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Serves until `shutdown` resolves; then accepts nothing more and finishes the requests in flight.
    ///
    /// # Errors
    /// [`ServeError::Deadline`] if that takes longer than `grace`; what is left ends with the runtime.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send, grace: Duration) -> Result<(), ServeError> {
        let GrpcServer { listener, intake, limits, tls, health } = self;
        let grpc_health = GrpcHealth::new(health.0.clone(), limits.body_read_timeout);
        let windows = intake.budget.windows();
        let service = GrpcService::new(intake, limits, grpc_health);
        let service = service_fn(move |request: Request<Incoming>| {
            tower::Service::call(&mut service.clone(), request.map(tonic::body::Body::new))
        });
        let stop = async {
            shutdown.await;
            health.stop().await;
        };
        let settings = http_settings(limits).http2_only();
        serve_connections(Acceptor::new(listener, tls, limits), limits, settings, windows, service, stop, grace).await
    }
}

/// The OTLP/HTTP server on a bound listener: HTTP/1.1 and, for clients with prior knowledge, HTTP/2.
#[derive(Debug)]
pub struct HttpServer<I> {
    listener: TcpListener,
    intake: Intake<I>,
    limits: Limits,
    tls: Option<Tls>,
}

impl<I: Ingest> HttpServer<I> {
    /// A server that is bound but does not accept yet.
    pub fn new(listener: TcpListener, intake: Intake<I>, limits: Limits) -> Self {
        HttpServer { listener, intake, limits, tls: None }
    }

    /// The same over encrypted connections, if `tls` is given.
    pub fn with_tls(self, tls: Option<Tls>) -> Self {
        HttpServer { tls, ..self }
    }

    /// Serves until `shutdown` resolves; then accepts nothing more and finishes the requests in flight.
    ///
    /// # Errors
    /// [`ServeError::Deadline`] if that takes longer than `grace`; what is left is cut off.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send, grace: Duration) -> Result<(), ServeError> {
        let HttpServer { listener, intake, limits, tls } = self;
        let windows = intake.budget.windows();
        let own_names_only = names::own_names_only(&listener, &intake.credentials);
        let intake = Arc::new(intake);
        let service = service_fn(move |request| {
            let intake = Arc::clone(&intake);
            async move { Ok::<_, Infallible>(http::answer(&intake, limits, own_names_only, request).await) }
        });
        serve_connections(
            Acceptor::new(listener, tls, limits),
            limits,
            http_settings(limits),
            windows,
            service,
            shutdown,
            grace,
        )
        .await
    }
}

/// Serves any HTTP service of small requests under the limits of a connection, until `shutdown` resolves; then accepts nothing more
/// and finishes the requests in flight.
///
/// # Errors
/// [`ServeError::Deadline`] if that takes longer than `grace`; what is left is cut off.
pub async fn serve_http<S, B>(
    listener: TcpListener,
    tls: Option<Tls>,
    limits: Limits,
    service: S,
    shutdown: impl Future<Output = ()> + Send,
    grace: Duration,
) -> Result<(), ServeError>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send> + Clone + Send + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let acceptor = Acceptor::new(listener, tls, limits);
    serve_connections(acceptor, limits, http_settings(limits), Windows::new(0), service, shutdown, grace).await
}

async fn serve_connections<S, B>(
    acceptor: Acceptor,
    limits: Limits,
    settings: auto::Builder<TokioExecutor>,
    windows: Windows,
    service: S,
    shutdown: impl Future<Output = ()> + Send,
    grace: Duration,
) -> Result<(), ServeError>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send> + Clone + Send + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let (stop, stopping) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            connection = acceptor.accept() => {
                let (settings, window) = (settings.clone(), windows.take());
                let (service, stopping) = (service.clone(), stopping.clone());
                connections.spawn(serve_connection(limits, settings, window, connection, service, stopping));
            }
            Some(_) = connections.join_next() => {}
            () = &mut shutdown => break,
        }
    }
    drop(acceptor);
    let _ = stop.send(());
    let all_closed = async { while connections.join_next().await.is_some() {} };
    // the connections left over are aborted as their set is dropped
    tokio::time::timeout(grace, all_closed).await.map_err(|_| ServeError::Deadline(grace))
}

async fn serve_connection<S, B>(
    limits: Limits,
    mut settings: auto::Builder<TokioExecutor>,
    window: Window,
    connection: Connection,
    service: S,
    mut stopping: watch::Receiver<()>,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send> + Send + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    settings
        .http2()
        .initial_stream_window_size(window.bytes().min(http2::STREAM_WINDOW))
        .initial_connection_window_size(window.bytes());
    let requests = Requests::none();
    let counted = {
        let requests = requests.clone();
        service_fn(move |request| {
            let (ongoing, answering) = (requests.begin(), service.call(request));
            async move { answering.await.map(|response| response.map(|body| Answer::new(body, ongoing))) }
        })
    };
    let Limits { header_read_timeout: first, idle_timeout, .. } = limits;
    let idle = async {
        requests.idle(first, idle_timeout).await;
    };
    let mut serving = pin!(settings.serve_connection(TokioIo::new(connection), counted));
    let ended = tokio::select! {
        result = serving.as_mut() => Some(result),
        _ = stopping.changed() => None,
        () = idle => None,
    };
    let result = match ended {
        Some(result) => result,
        None => {
            serving.as_mut().graceful_shutdown();
            // whoever does not go though nothing is asked is cut off
            let stays = async {
                tokio::time::sleep(first).await;
                requests.idle(first, first).await;
            };
            tokio::select! {
                result = serving => result,
                () = stays => return,
            }
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "connection ended");
    }
}

fn http_settings(limits: Limits) -> auto::Builder<TokioExecutor> {
    let mut settings = auto::Builder::new(TokioExecutor::new());
    settings
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_read_timeout)
        .max_buf_size(HTTP1_MAX_BUFFER);
    settings
        .http2()
        .timer(TokioTimer::new())
        .max_frame_size(http2::MAX_FRAME_SIZE)
        .max_header_list_size(http2::MAX_HEADER_LIST_SIZE)
        .max_concurrent_streams(http2::MAX_CONCURRENT_STREAMS)
        .max_local_error_reset_streams(http2::MAX_LOCAL_ERROR_RESET_STREAMS)
        .max_pending_accept_reset_streams(http2::MAX_PENDING_ACCEPT_RESET_STREAMS)
        .keep_alive_interval(http2::KEEPALIVE_INTERVAL)
        .keep_alive_timeout(http2::KEEPALIVE_TIMEOUT);
    settings
}
