//! What a Prometheus scrapes: `GET /metrics`, in the format and encoding it accepts.

use std::future::Future;
use std::io::{self, BufWriter, Write as _};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, VARY};
use http::status::StatusCode;
use http_body::{Body as HttpBody, Frame};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use crate::openmetrics::{self, Format};

/// Fast: a page is read once, mostly over a local network.
const GZIP_LEVEL: u32 = 1;

type Collect = dyn Fn() -> Pin<Box<dyn Future<Output = Arc<ExportMetricsServiceRequest>> + Send>> + Send + Sync;

struct Scraped {
    target: Vec<KeyValue>,
    collect: Box<Collect>,
    /// A permit for each page that is being written.
    pages: Arc<Semaphore>,
    read_within: Duration,
}

/// Pages that are written at once: each keeps a thread busy, and the metrics it tells of in memory, for as long as its client takes ...
const PAGES: usize = 2;
/// ... and no longer: others wait.
const READ_WITHIN: Duration = Duration::from_secs(60);
/// Bytes that are written at once, ...
const CHUNK: usize = 64 << 10;
/// ... and how often that a client may be behind.
const CHUNKS: usize = 2;

/// Answers scrapes. Each asks `source` for the current metrics, cumulative and with explicit histograms. The attributes of `target` are
/// what Spanmill says of itself.
pub fn router<Source, Metrics>(target: Vec<KeyValue>, source: Source) -> Router
where
    Source: Fn() -> Metrics + Send + Sync + 'static,
    Metrics: Future<Output = Arc<ExportMetricsServiceRequest>> + Send + 'static,
{
    limited(target, source, READ_WITHIN)
}

fn limited<Source, Metrics>(target: Vec<KeyValue>, source: Source, read_within: Duration) -> Router
where
    Source: Fn() -> Metrics + Send + Sync + 'static,
    Metrics: Future<Output = Arc<ExportMetricsServiceRequest>> + Send + 'static,
{
    let collect = Box::new(move || -> Pin<Box<dyn Future<Output = _> + Send>> { Box::pin(source()) });
    let scraped = Scraped { target, collect, pages: Arc::new(Semaphore::new(PAGES)), read_within };
    Router::new().route("/metrics", get(metrics)).with_state(Arc::new(scraped))
}

async fn metrics(State(scraped): State<Arc<Scraped>>, headers: HeaderMap) -> Response {
    let format = Format::negotiate(&all_values(&headers, ACCEPT));
    let gzip = accepts_gzip(&all_values(&headers, ACCEPT_ENCODING));
    let Ok(permit) = Arc::clone(&scraped.pages).acquire_owned().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let request = (scraped.collect)().await;
    let (sender, receiver) = mpsc::channel(CHUNKS);
    let chunks = Chunks { sender, until: Instant::now() + scraped.read_within, runtime: Handle::current() };
    // A page of ten thousand series has 200 MB: it is never there as a whole, and is not written on a thread that serves others.
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        if let Err(error) = send_page(&scraped.target, &request, format, gzip, chunks) {
            tracing::debug!(%error, "a scrape was not read to its end");
        }
    });
    let head = [(CONTENT_TYPE, format.content_type()), (VARY, "Accept, Accept-Encoding")];
    let body = Body::new(PageBody { chunks: receiver, is_whole: false });
    match gzip {
        true => (head, [(CONTENT_ENCODING, "gzip")], body).into_response(),
        false => (head, body).into_response(),
    }
}

fn send_page(
    target: &[KeyValue],
    request: &ExportMetricsServiceRequest,
    format: Format,
    gzip: bool,
    chunks: Chunks,
) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(CHUNK, chunks);
    if gzip {
        let mut encoder = GzEncoder::new(out, Compression::new(GZIP_LEVEL));
        let mut text = BufWriter::with_capacity(CHUNK, &mut encoder);
        openmetrics::write(&mut text, target, request, format)?;
        text.flush()?;
        drop(text);
        out = encoder.finish()?;
    } else {
        openmetrics::write(&mut out, target, request, format)?;
    }
    out.into_inner()?.send(Chunk::End)
}

/// Some of a page.
enum Chunk {
    Text(Bytes),
    /// Told apart from a thread that is gone.
    End,
}

/// Waits for whoever sends the page, on a thread that may.
struct Chunks {
    sender: mpsc::Sender<Chunk>,
    until: Instant,
    runtime: Handle,
}

impl Chunks {
    fn send(&self, chunk: Chunk) -> io::Result<()> {
        match self.runtime.block_on(tokio::time::timeout_at(self.until, self.sender.send(chunk))) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl io::Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send(Chunk::Text(Bytes::copy_from_slice(bytes)))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A page that is sent while it is written.
struct PageBody {
    chunks: mpsc::Receiver<Chunk>,
    is_whole: bool,
}

impl HttpBody for PageBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.is_whole {
            return Poll::Ready(None);
        }
        Poll::Ready(match ready!(self.chunks.poll_recv(cx)) {
            Some(Chunk::Text(bytes)) => Some(Ok(Frame::data(bytes))),
            Some(Chunk::End) => {
                self.is_whole = true;
                None
            }
            // What is missing must not look like the end.
            None => Some(Err(io::ErrorKind::UnexpectedEof.into())),
        })
    }
}

/// A header that may be given more than once, as the one list it means.
fn all_values(headers: &HeaderMap, name: HeaderName) -> String {
    let values: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    values.join(",")
}

fn accepts_gzip(accept_encoding: &str) -> bool {
    accept_encoding.split(',').any(|coding| {
        let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
        let refused = parameters.trim().strip_prefix("q=").is_some_and(|q| q.parse::<f32>().is_ok_and(|q| q == 0.0));
        name.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

#[cfg(test)]
#[path = "prometheus_tests.rs"]
mod tests;
