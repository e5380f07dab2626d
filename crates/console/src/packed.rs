//! An answer as it is, and compressed: the page of a slow line.

use std::io::Write as _;

use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, VARY};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

/// A text, as it is and compressed.
#[derive(Debug, Clone)]
pub(crate) struct Packed {
    plain: Bytes,
    gzip: Bytes,
}

impl Packed {
    pub(crate) fn new(text: String) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        // Writing to memory does not fail.
        let gzip = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()).unwrap_or_default();
        Self { plain: Bytes::from(text), gzip: Bytes::from(gzip) }
    }

    /// Bytes of memory.
    pub(crate) fn size(&self) -> usize {
        self.plain.len() + self.gzip.len()
    }

    /// The answer to somebody who says what is understood.
    pub(crate) fn answer(&self, headers: &HeaderMap, kind: HeaderValue) -> Response {
        let accepted = headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is_gzip = accepted.split(',').any(|coding| coding.trim() == "gzip");
        let common = [(CONTENT_TYPE, kind), (VARY, HeaderValue::from_static("accept-encoding"))];
        match is_gzip && !self.gzip.is_empty() {
            true => (common, [(CONTENT_ENCODING, "gzip")], self.gzip.clone()).into_response(),
            false => (common, self.plain.clone()).into_response(),
        }
    }
}
