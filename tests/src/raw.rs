//! HTTP by hand, for requests that no well-behaved client sends.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use crate::PATIENCE;

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers, and the trailers behind them.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }

    /// `grpc-status`.
    pub fn grpc_code(&self) -> tonic::Code {
        let code = self.headers.get("grpc-status").expect("grpc-status").as_bytes();
        tonic::Code::from_bytes(code)
    }
}

/// `GET path`.
pub async fn get(address: SocketAddr, path: &str) -> Answer {
    get_with(address, path, &[]).await
}

/// `GET path` with headers.
pub async fn get_with(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Answer {
    request(address, Method::GET, path, headers, Bytes::new(), false).await.expect("an answer")
}

/// `POST path` over HTTP/1.1.
pub async fn post(address: SocketAddr, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
    request(address, Method::POST, path, headers, body.into(), false).await.expect("an answer")
}

/// A gRPC call whose frame is given as it is.
pub async fn grpc_call(address: SocketAddr, path: &str, headers: &[(&str, &str)], frame: impl Into<Bytes>) -> Answer {
    let all: Vec<_> = [("content-type", "application/grpc"), ("te", "trailers")]
        .into_iter()
        .filter(|(name, _)| !headers.iter().any(|(other, _)| name == other))
        .chain(headers.iter().copied())
        .collect();
    request(address, Method::POST, path, &all, frame.into(), true).await.expect("an answer")
}

/// A message in a gRPC frame.
pub fn grpc_frame(is_compressed: bool, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a message below 4 GiB").to_be_bytes();
    [&[u8::from(is_compressed)], length.as_slice(), message].concat()
}

/// One request over a connection of its own.
pub(crate) async fn request(
    address: SocketAddr,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
    http2: bool,
) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
    let client = Client::builder(TokioExecutor::new()).http2_only(http2).build_http::<Full<Bytes>>();
    let mut request = Request::builder().method(method).uri(format!("http://{address}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = async {
        let response = client.request(request.body(Full::new(body)).expect("a request")).await?;
        Ok(read_answer(response).await?)
    };
    tokio::time::timeout(PATIENCE, answer).await.expect("an answer in time")
}

/// Reads an answer to its end.
pub(crate) async fn read_answer(response: Response<Incoming>) -> Result<Answer, hyper::Error> {
    let (parts, body) = response.into_parts();
    let collected = body.collect().await?;
    let mut headers = parts.headers;
    headers.extend(collected.trailers().cloned().unwrap_or_default());
    Ok(Answer { status: parts.status, headers, body: collected.to_bytes() })
}
