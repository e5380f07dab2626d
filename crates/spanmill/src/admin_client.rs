//! Asks the admin server of a running Spanmill.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::config::sections::Admin;
use crate::failure::Failure;

/// Longest answer that is read.
const MAX_ANSWER: usize = 16 << 20;

/// What the admin server answers to a GET of `path`.
pub(crate) fn get<T: DeserializeOwned>(admin: &Admin, path: &str) -> Result<T, Failure> {
    let answer = send(admin, Method::GET, path, Bytes::new())?;
    understood(admin, &answer)
}

/// Has the admin server do something.
pub(crate) fn post(admin: &Admin, path: &str, body: &impl Serialize) -> Result<(), Failure> {
    let body = serde_json::to_vec(body).map_err(|error| Failure::Broken(error.to_string()))?;
    send(admin, Method::POST, path, body.into()).map(drop)
}

/// A name as it may stand in a path or a query.
pub(crate) fn encoded(name: &str) -> String {
    utf8_percent_encode(name, NON_ALPHANUMERIC).to_string()
}

fn send(admin: &Admin, method: Method, path: &str, body: Bytes) -> Result<Bytes, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::io("starting the async runtime"))?;
    runtime.block_on(ask(admin, method, path, body)).map_err(|reason| failure(admin, reason))
}

fn understood<T: DeserializeOwned>(admin: &Admin, answer: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(answer).map_err(|error| failure(admin, format!("its answer is not understood: {error}")))
}

fn failure(admin: &Admin, reason: String) -> Failure {
    Failure::Admin { address: admin.endpoint.to_string(), reason }
}

async fn ask(admin: &Admin, method: Method, path: &str, body: Bytes) -> Result<Bytes, String> {
    if admin.tls.is_some() {
        return Err("it speaks TLS, and this command does not yet".to_owned());
    }
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let mut request = Request::builder().method(method).uri(format!("http://{}{path}", admin.endpoint));
    if !body.is_empty() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    if let Some(token) = admin.auth.first_token().map_err(|error| error.to_string())? {
        request = request.header(AUTHORIZATION, format!("Bearer {}", token.expose()));
    }
    let request = request.body(Full::new(body)).map_err(|error| error.to_string())?;
    let response = client.request(request).await.map_err(|error| with_cause(&error))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await.map_err(|error| error.to_string())?;
    let body = body.to_bytes();
    match (status.is_success(), serde_json::from_slice::<Problem>(&body)) {
        (true, _) => Ok(body),
        (false, Ok(Problem { detail })) => Err(format!("it answered {status}: {detail}")),
        (false, Err(_)) => Err(format!("it answered {status}")),
    }
}

/// What the API says of what is wrong.
#[derive(Debug, Deserialize)]
struct Problem {
    detail: String,
}

/// The innermost cause says why: "connection refused" instead of "client error".
fn with_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
