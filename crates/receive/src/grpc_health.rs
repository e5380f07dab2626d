//! `grpc.health.v1`, which anybody may ask: so no question is long, slow, or one of very many that stay open.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;
use tonic::body::Body;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};
use tower::Service;

/// What the paths of its methods begin with.
const PREFIX: &str = "/grpc.health.v1.Health/";
const WATCH: &str = "Watch";
/// A question is the name of a service.
const MAX_QUESTION: usize = 4 << 10;
/// Watches stay open, and each keeps a connection from being idle.
const MAX_WATCHES: usize = 128;

/// The service.
#[derive(Debug, Clone)]
pub(crate) struct GrpcHealth {
    server: HealthServer<HealthService>,
    watches: Arc<Semaphore>,
    read_timeout: Duration,
}

impl GrpcHealth {
    /// Tells what `reporter` is told. A question must be there within `read_timeout`.
    pub(crate) fn new(reporter: HealthReporter, read_timeout: Duration) -> Self {
        let service = HealthService::from_health_reporter(reporter);
        let server = HealthServer::new(service).max_decoding_message_size(MAX_QUESTION);
        Self { server, watches: Arc::new(Semaphore::new(MAX_WATCHES)), read_timeout }
    }

    /// Whether a path is one of its own.
    pub(crate) fn serves(path: &str) -> bool {
        path.starts_with(PREFIX)
    }

    /// Answers a question.
    pub(crate) fn answer(
        &mut self,
        request: http::Request<Body>,
    ) -> impl Future<Output = http::Response<Body>> + use<> {
        let is_watch = request.uri().path().strip_prefix(PREFIX) == Some(WATCH);
        let turn = is_watch.then(|| Arc::clone(&self.watches).try_acquire_owned());
        let answer = self.server.call(request);
        let read_timeout = self.read_timeout;
        async move {
            let turn = match turn.transpose() {
                Ok(turn) => turn,
                Err(_) => return Status::resource_exhausted("too many watches are open").into_http(),
            };
            match tokio::time::timeout(read_timeout, answer).await {
                Ok(Ok(response)) => response.map(|body| Body::new(Watched { body, _turn: turn })),
                Err(_) => Status::deadline_exceeded("the question did not come in time").into_http(),
                Ok(Err(never)) => match never {},
            }
        }
    }
}

/// An answer, and its turn among those that stay open.
struct Watched {
    body: Body,
    _turn: Option<OwnedSemaphorePermit>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
