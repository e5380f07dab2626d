//! An OTLP client that sends bytes: gRPC over one HTTP/2 connection, or HTTP/1.1, both through hyper.
//!
//! Frames are as large as the server's SETTINGS_MAX_FRAME_SIZE allows (h2 honours it). Nothing is retried.

use bytes::{Buf, Bytes};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use tokio::net::TcpStream;

/// How requests travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// OTLP/gRPC.
    Grpc,
    /// OTLP/HTTP with protobuf bodies, HTTP/1.1.
    Http,
}

/// How bodies are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Sent as they are.
    None,
    /// gzip; every send compresses anew, as its ids are new.
    Gzip,
}

/// Why a call got no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No connection.
    #[error("connecting to {address}: {source}")]
    Connect {
        /// Host and port.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The connection broke.
    #[error("calling {address}: {source}")]
    Call {
        /// Host and port.
        address: String,
        /// What hyper said.
        source: hyper::Error,
    },
    /// The address does not make a URI.
    #[error("building the request for {address}: {source}")]
    Request {
        /// Host and port.
        address: String,
        /// What was wrong.
        source: http::Error,
    },
}

/// The server's answer to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Acknowledged; `rejected` is `partial_success.rejected_spans`.
    Acknowledged {
        /// Spans that the server did not take.
        rejected: u64,
    },
    /// Refused as a whole: HTTP status, gRPC status and message.
    Refused(String),
}

/// One connection. Clones of a gRPC client share it; an HTTP/1.1 client carries one call at a time.
#[derive(Debug)]
pub struct Client {
    address: String,
    compression: Compression,
    sender: Sender,
}

#[derive(Debug)]
enum Sender {
    Grpc(http2::SendRequest<Full<Bytes>>),
    Http(http1::SendRequest<Full<Bytes>>),
}

impl Client {
    /// Connects to `address` (host:port). The connection is driven by a task of the current runtime.
    ///
    /// # Errors
    /// If there is no server, or it does not speak the protocol.
    pub async fn connect(address: &str, protocol: Protocol, compression: Compression) -> Result<Self, ClientError> {
        let refused = |source| ClientError::Connect { address: address.to_owned(), source };
        let broken = |source| ClientError::Call { address: address.to_owned(), source };
        let stream = TcpStream::connect(address).await.map_err(refused)?;
        stream.set_nodelay(true).map_err(refused)?;
        let io = TokioIo::new(stream);
        let sender = match protocol {
            Protocol::Grpc => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.map_err(broken)?;
                // A broken connection is told to the caller by the call that it breaks.
                tokio::spawn(async move { drop(connection.await) });
                Sender::Grpc(sender)
            }
            Protocol::Http => {
                let (sender, connection) = http1::handshake(io).await.map_err(broken)?;
                tokio::spawn(async move { drop(connection.await) });
                Sender::Http(sender)
            }
        };
        Ok(Self { address: address.to_owned(), compression, sender })
    }

    /// Another client on the same connection, or `None` if the protocol cannot share one.
    pub fn share(&self) -> Option<Self> {
        let Sender::Grpc(sender) = &self.sender else {
            return None;
        };
        let sender = Sender::Grpc(sender.clone());
        Some(Self { address: self.address.clone(), compression: self.compression, sender })
    }

    /// Sends one body, framed by [`frame`] and compressed if the client was told so, and waits for the answer.
    ///
    /// # Errors
    /// If the connection breaks.
    pub async fn export(&mut self, body: Bytes) -> Result<Answer, ClientError> {
        let broken = |source| ClientError::Call { address: self.address.clone(), source };
        let request = self.request(body)?;
        let response = match &mut self.sender {
            Sender::Grpc(sender) => sender.send_request(request).await,
            Sender::Http(sender) => {
                sender.ready().await.map_err(broken)?;
                sender.send_request(request).await
            }
        };
        let grpc = matches!(self.sender, Sender::Grpc(_));
        read_answer(response.map_err(broken)?, grpc).await.map_err(broken)
    }

    fn request(&self, body: Bytes) -> Result<Request<Full<Bytes>>, ClientError> {
        let gzip = self.compression == Compression::Gzip;
        let request = match self.sender {
            Sender::Grpc(_) => {
                let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
                let request = Request::post(format!("http://{}{path}", self.address))
                    .header(CONTENT_TYPE, "application/grpc")
                    .header("te", "trailers");
                if gzip { request.header("grpc-encoding", "gzip") } else { request }
            }
            Sender::Http(_) => {
                let request = Request::post("/v1/traces")
                    .header("host", &self.address)
                    .header(CONTENT_TYPE, "application/x-protobuf");
                if gzip { request.header(CONTENT_ENCODING, "gzip") } else { request }
            }
        };
        let address = self.address.clone();
        request.body(Full::new(body)).map_err(|source| ClientError::Request { address, source })
    }
}

async fn read_answer(response: Response<Incoming>, grpc: bool) -> Result<Answer, hyper::Error> {
    let (head, body) = response.into_parts();
    let collected = body.collect().await?;
    let trailers = collected.trailers().cloned().unwrap_or_default();
    let mut message = collected.to_bytes();
    if !head.status.is_success() {
        return Ok(Answer::Refused(format!("http status {}", head.status)));
    }
    if grpc {
        // An error without a body has its status among the headers.
        let status = grpc_status(&trailers).or_else(|| grpc_status(&head.headers));
        match status.as_deref() {
            Some("0") => message.advance(message.len().min(GRPC_PREFIX)),
            Some(status) => return Ok(Answer::Refused(format!("grpc status {status}"))),
            None => return Ok(Answer::Refused("no grpc status".to_owned())),
        }
    }
    let Ok(response) = ExportTraceServiceResponse::decode(message) else {
        return Ok(Answer::Refused("a response that is no ExportTraceServiceResponse".to_owned()));
    };
    let rejected = response.partial_success.map_or(0, |partial| partial.rejected_spans);
    Ok(Answer::Acknowledged { rejected: u64::try_from(rejected).unwrap_or(0) })
}

fn grpc_status(headers: &HeaderMap) -> Option<String> {
    let code = headers.get("grpc-status")?.to_str().ok()?;
    let message = headers.get("grpc-message").and_then(|message| message.to_str().ok()).unwrap_or_default();
    Some(format!("{code} {message}").trim_end().to_owned())
}

/// Bytes before a gRPC message: compressed or not, and its length.
const GRPC_PREFIX: usize = 5;

/// Room that must stand free before a body so that [`frame`] can fill it.
pub fn prefix(protocol: Protocol) -> usize {
    match protocol {
        Protocol::Grpc => GRPC_PREFIX,
        Protocol::Http => 0,
    }
}

/// Fills the room of [`prefix`] bytes at the beginning of `body`.
pub fn frame(body: &mut [u8], protocol: Protocol, compression: Compression) {
    if protocol == Protocol::Http {
        return;
    }
    let Some((head, message)) = body.split_first_chunk_mut::<GRPC_PREFIX>() else {
        return;
    };
    let [a, b, c, d] = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
    *head = [u8::from(compression == Compression::Gzip), a, b, c, d];
}
