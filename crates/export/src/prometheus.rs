//! What a Prometheus scrapes: `GET /metrics`, in the format and encoding it accepts.

use std::future::Future;
use std::io::{self, Write as _};
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, VARY};
use http::status::StatusCode;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::openmetrics::{self, Format};

/// Fast: a page is read once, mostly over a local network.
const GZIP_LEVEL: u32 = 1;

type Collect = dyn Fn() -> Pin<Box<dyn Future<Output = Arc<ExportMetricsServiceRequest>> + Send>> + Send + Sync;

struct Scraped {
    target: Vec<KeyValue>,
    collect: Box<Collect>,
    /// One page is rendered at a time, as it may be large, ...
    renderer: Semaphore,
    /// ... and so many there are until they are sent.
    pages: Arc<Semaphore>,
}

/// Pages at once: one that is sent, and one that is rendered meanwhile.
const PAGES: usize = 2;

/// A page, whose permit is given back when it is sent or its client is gone.
struct Page {
    bytes: Vec<u8>,
    _permit: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Page {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Answers scrapes. Each asks `source` for the current metrics, cumulative and with explicit histograms. The attributes of `target` are
/// what Spanmill says of itself.
pub fn router<Source, Metrics>(target: Vec<KeyValue>, source: Source) -> Router
where
    Source: Fn() -> Metrics + Send + Sync + 'static,
    Metrics: Future<Output = Arc<ExportMetricsServiceRequest>> + Send + 'static,
{
    let collect = Box::new(move || -> Pin<Box<dyn Future<Output = _> + Send>> { Box::pin(source()) });
    let pages = Arc::new(Semaphore::new(PAGES));
    let scraped = Scraped { target, collect, renderer: Semaphore::new(1), pages };
    Router::new().route("/metrics", get(metrics)).with_state(Arc::new(scraped))
}

async fn metrics(State(scraped): State<Arc<Scraped>>, headers: HeaderMap) -> Response {
    let format = Format::negotiate(&all_values(&headers, ACCEPT));
    let gzip = accepts_gzip(&all_values(&headers, ACCEPT_ENCODING));
    let (Ok(permit), Ok(_turn)) = (Arc::clone(&scraped.pages).acquire_owned().await, scraped.renderer.acquire().await)
    else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let request = (scraped.collect)().await;
    // Ten thousand series take a while: not on a thread that serves others.
    let target_info = openmetrics::target_info(&scraped.target, format);
    let rendered = tokio::task::spawn_blocking(move || page(target_info, &request, format, gzip)).await;
    let body = match rendered {
        Ok(Ok(bytes)) => Body::from(Bytes::from_owner(Page { bytes, _permit: permit })),
        Ok(Err(error)) => {
            return (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response();
        }
        Err(error) => {
            return (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response();
        }
    };
    let head = [(CONTENT_TYPE, format.content_type()), (VARY, "Accept, Accept-Encoding")];
    match gzip {
        true => (head, [(CONTENT_ENCODING, "gzip")], body).into_response(),
        false => (head, body).into_response(),
    }
}

fn page(target_info: String, request: &ExportMetricsServiceRequest, format: Format, gzip: bool) -> io::Result<Vec<u8>> {
    let text = openmetrics::render_behind(target_info, request, format);
    if !gzip {
        return Ok(text.into_bytes());
    }
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(GZIP_LEVEL));
    encoder.write_all(text.as_bytes())?;
    encoder.finish()
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
