//! OTLP/gRPC: one unary service for the three signals, and `grpc.health.v1` beside it.
//!
//! It stands on tonic's transport but reads frames itself, because tonic's codec reserves memory from the declared length
//! and answers an oversized message with OUT_OF_RANGE, which OTLP clients retry for ever.
use crate::grpc_frame::{self, EMPTY_MESSAGE};
use crate::grpc_health::GrpcHealth;
use crate::headers::{self, Compression};
use crate::intake::{Format, Intake, Received};
use crate::metrics::Ongoing;
use crate::server::Limits;
use crate::{Ingest, Refusal, Signal};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tonic::body::Body;
use tower::Service;

const TRANSPORT: &str = "grpc";
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const GRPC_CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/grpc");

type Request = http::Request<Body>;
type Response = http::Response<Body>;

/// Everything that is served on the gRPC port.
pub(crate) struct GrpcService<I> {
    intake: Arc<Intake<I>>,
    limits: Limits,
    health: GrpcHealth,
}

// not derived: I need not be Clone
impl<I> Clone for GrpcService<I> {
    fn clone(&self) -> Self {
        GrpcService { intake: Arc::clone(&self.intake), limits: self.limits, health: self.health.clone() }
    }
}

impl<I: Ingest> GrpcService<I> {
    pub(crate) fn new(intake: Intake<I>, limits: Limits, health: GrpcHealth) -> Self {
        GrpcService { intake: Arc::new(intake), limits, health }
    }
}

impl<I: Ingest> Service<Request> for GrpcService<I> {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if GrpcHealth::serves(request.uri().path()) {
            let answer = self.health.answer(request);
            return Box::pin(async { Ok(answer.await) });
        }
        let intake = Arc::clone(&self.intake);
        let limits = self.limits;
        Box::pin(async move { Ok(answer(&intake, limits, request).await) })
    }
}

async fn answer<I: Ingest>(intake: &Intake<I>, limits: Limits, request: Request) -> Response {
    let signal = signal_of(request.uri().path());
    let mut ongoing = intake.metrics.begin(signal, TRANSPORT);
    let is_grpc = request.method() == Method::POST && is_grpc_content_type(request.headers());
    let place = intake.admit(request.headers()).await;
    let result = match (&place, is_grpc, signal) {
        (Err(refusal), ..) => Err(refusal.clone()),
        (Ok(_), false, _) => Err(not_grpc(&request)),
        (Ok(_), true, None) => {
            Err(Refusal::UnknownPath("the Export method of TraceService, MetricsService and LogsService"))
        }
        (Ok(_), true, Some(signal)) => export(intake, limits, signal, request, &mut ongoing).await,
    };
    ongoing.end(&result);
    match result {
        Ok(_) => success(),
        Err(refusal) => refused(&refusal, is_grpc),
    }
}

fn signal_of(path: &str) -> Option<Signal> {
    let service = path.strip_prefix('/')?.strip_suffix("/Export")?;
    Signal::ALL.into_iter().find(|signal| signal.grpc_service() == service)
}

fn is_grpc_content_type(headers: &HeaderMap) -> bool {
    let media_type = headers::media_type(headers);
    media_type.eq_ignore_ascii_case(b"application/grpc") || media_type.eq_ignore_ascii_case(b"application/grpc+proto")
}

fn not_grpc(request: &Request) -> Refusal {
    if request.method() != Method::POST {
        return Refusal::MethodNotAllowed;
    }
    Refusal::UnsupportedContentType {
        found: headers::echo(headers::media_type(request.headers())),
        expected: "application/grpc",
    }
}

async fn export<I: Ingest>(
    intake: &Intake<I>,
    limits: Limits,
    signal: Signal,
    request: Request,
    ongoing: &mut Ongoing<'_>,
) -> Result<u64, Refusal> {
    let declared = Compression::from_headers(request.headers(), GRPC_ENCODING)?;
    let mut hold = intake.budget.hold();
    let reading = grpc_frame::read(request.into_body(), limits.max_request_size, &mut hold);
    let message = tokio::time::timeout(limits.body_read_timeout, reading)
        .await
        .map_err(|_| Refusal::TooSlow(limits.body_read_timeout))??;
    ongoing.received(message.body.len());
    let compression = if message.compressed { declared } else { None };
    if message.compressed && declared.is_none() {
        return Err(Refusal::Framing("compressed flag is set but grpc-encoding names no compression".to_owned()));
    }
    let received = Received { signal, compression, format: Format::Protobuf, wire: message.body, hold };
    intake.accept(received, limits.max_request_size, ongoing).await
}

fn success() -> Response {
    let mut response = Response::new(Body::new(Acknowledgement::Message));
    response.headers_mut().insert(CONTENT_TYPE, GRPC_CONTENT_TYPE);
    response
}

/// A refused call is answered by headers alone; they carry what trailers would.
fn refused(refusal: &Refusal, is_grpc: bool) -> Response {
    let mut response: Response = refusal.grpc_status().into_http();
    if matches!(refusal, Refusal::UnsupportedEncoding(_)) {
        response.headers_mut().insert(GRPC_ACCEPT_ENCODING, HeaderValue::from_static(headers::ACCEPTED));
    }
    // who does not speak gRPC reads the HTTP status
    *response.status_mut() = if is_grpc { StatusCode::OK } else { refusal.http_status() };
    response
}

/// The body of a success: the empty message, then the trailers.
enum Acknowledgement {
    Message,
    Trailers,
    End,
}

impl HttpBody for Acknowledgement {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let (frame, next) = match *self {
            Acknowledgement::Message => (Frame::data(EMPTY_MESSAGE), Acknowledgement::Trailers),
            Acknowledgement::Trailers => {
                let mut trailers = HeaderMap::with_capacity(1);
                trailers.insert(tonic::Status::GRPC_STATUS, HeaderValue::from_static("0"));
                (Frame::trailers(trailers), Acknowledgement::End)
            }
            Acknowledgement::End => return Poll::Ready(None),
        };
        *self = next;
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Acknowledgement::End)
    }

    fn size_hint(&self) -> SizeHint {
        // trailers follow, so no length may be promised
        SizeHint::default()
    }
}
