//! One OTLP destination: what its configuration says, and what of it is refused before anything is sent.

use std::time::Duration;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::{Scheme, Uri};
use transport::{Secret, Tls};

use crate::profile::Profile;
use crate::retry::Retry;

/// One `otlp/NAME` of the configuration.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The name in the configuration; the `destination` of log lines and metrics.
    pub name: String,
    /// `http://host:port` or `https://host:port`; over HTTP a path may follow.
    pub endpoint: String,
    /// Whether `/v1/traces`, `/v1/metrics` and `/v1/logs` are appended to it, over HTTP; otherwise all signals go to it as it is.
    pub appends_path: bool,
    /// The transport.
    pub protocol: Protocol,
    /// Sent with every request, over gRPC as metadata.
    pub headers: Vec<(String, Secret)>,
    /// How an `https://` endpoint is trusted, and what it is shown.
    pub tls: Tls,
    /// How request bodies are compressed.
    pub compression: Compression,
    /// For one attempt, from connecting to the answer; over HTTP to its status line, and as long again for the rest of it.
    pub timeout: Duration,
    /// When a request that failed is tried again.
    pub retry: Retry,
    /// Which of the two metric requests this destination is to be offered, and what may be left out: of cumulative
    /// requests only the newest matters.
    pub temporality: Temporality,
    /// Which of them, again: those with fixed bounds, or the exponential ones.
    pub histograms: Histograms,
    /// What kind of backend it is.
    pub profile: Profile,
    /// Bytes of one request, encoded, before compression; larger ones are split. OTLP receivers take 4 MiB by default.
    pub max_request_size: usize,
    /// Whether it takes metrics.
    pub metrics: bool,
    /// Whether it takes logs.
    pub logs: bool,
    /// Whether it takes traces.
    pub traces: bool,
    /// What happens when it is behind and there is no room for more.
    pub when_full: WhenFull,
    /// Metrics of applications with these names are not handed on to a destination that takes metrics: it gets derived ones of the
    /// same names, and would count twice.
    pub replaced_metrics: Vec<&'static str>,
}

/// What happens when a destination is behind and there is no room for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// No more is accepted; see [`crate::Backlog`].
    Block,
    /// What waits longest is dropped, and counted.
    DropOldest,
}

/// OTLP's transports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP/gRPC.
    Grpc,
    /// OTLP/HTTP with binary protobuf bodies.
    HttpProtobuf,
}

/// Compression of request bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// As it is.
    None,
}

/// OTLP's aggregation temporality.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Temporality {
    /// Since the start of the series.
    Cumulative,
    /// Since the previous request.
    Delta,
}

/// How a destination gets distributions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Histograms {
    /// With fixed bounds.
    Explicit,
    /// Exponential.
    Exponential,
}

/// Why a destination cannot be used as configured. Header values are never part of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// The endpoint is not an address this exporter can send to.
    #[error("exporter {destination}: endpoint: {reason}")]
    Endpoint {
        /// Name of the destination.
        destination: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A certificate or key cannot be used.
    #[error("exporter {destination}: tls: {reason}")]
    Tls {
        /// Name of the destination.
        destination: String,
        /// Which file, and what is wrong with it.
        reason: String,
    },
    /// The directory for what waits cannot be used.
    #[error("exporter {destination}: what waits cannot be stored: {reason}")]
    Outbox {
        /// Name of the destination.
        destination: String,
        /// What the operating system said.
        reason: String,
    },
    /// A header cannot be sent.
    #[error("exporter {destination}: header {header:?}: {reason}")]
    Header {
        /// Name of the destination.
        destination: String,
        /// Name of the header.
        header: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// Headers that describe the request itself, so that only the client can set them.
const OWN_HEADERS: &[HeaderName] = &[
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::TRANSFER_ENCODING,
    header::TE,
    header::UPGRADE,
];

impl Destination {
    /// The endpoint, checked.
    pub(crate) fn base_uri(&self) -> Result<Uri, ExportError> {
        let refuse = |reason: String| ExportError::Endpoint { destination: self.name.clone(), reason };
        let uri: Uri = self.endpoint.parse().map_err(|error| refuse(format!("not a url: {error}")))?;
        if ![Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&uri.scheme()) {
            return Err(refuse("must begin with http:// or https://".to_owned()));
        }
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(refuse("credentials belong into headers".to_owned()));
        }
        if uri.query().is_some() {
            return Err(refuse("must not have a query".to_owned()));
        }
        if self.protocol == Protocol::Grpc && uri.path() != "/" {
            return Err(refuse("must not have a path with protocol grpc".to_owned()));
        }
        Ok(uri)
    }

    /// The headers, checked and marked as sensitive.
    pub(crate) fn header_map(&self) -> Result<HeaderMap, ExportError> {
        let mut headers = HeaderMap::with_capacity(self.headers.len());
        for (name, value) in &self.headers {
            let refuse = |reason| ExportError::Header { destination: self.name.clone(), header: name.clone(), reason };
            let header: HeaderName = name.parse().map_err(|_| refuse("not a valid name"))?;
            if OWN_HEADERS.contains(&header) || header.as_str().starts_with("grpc-") {
                return Err(refuse("is set by the exporter itself"));
            }
            if self.protocol == Protocol::Grpc && header.as_str().ends_with("-bin") {
                return Err(refuse("binary metadata is not supported"));
            }
            let mut value: HeaderValue = value.expose().parse().map_err(|_| refuse("not a valid value"))?;
            value.set_sensitive(true);
            headers.append(header, value);
        }
        Ok(headers)
    }
}
