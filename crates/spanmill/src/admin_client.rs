//! Asks the admin server of a running Spanmill.

use bytes::Bytes;
use http::Request;
use http::header::AUTHORIZATION;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde::de::DeserializeOwned;

use crate::config::sections::Admin;
use crate::failure::Failure;

/// Longest answer that is read.
const MAX_ANSWER: usize = 16 << 20;

/// What the admin server answers to a GET of `path`.
pub(crate) fn get<T: DeserializeOwned>(admin: &Admin, path: &str) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::io("starting the async runtime"))?;
    let answer = runtime.block_on(ask(admin, path));
    answer.map_err(|reason| Failure::Admin { address: admin.endpoint.to_string(), reason })
}

async fn ask<T: DeserializeOwned>(admin: &Admin, path: &str) -> Result<T, String> {
    if admin.tls.is_some() {
        return Err("it speaks TLS, and this command does not yet".to_owned());
    }
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let mut request = Request::get(format!("http://{}{path}", admin.endpoint));
    if let Some(token) = admin.auth.first_token().map_err(|error| error.to_string())? {
        request = request.header(AUTHORIZATION, format!("Bearer {}", token.expose()));
    }
    let request = request.body(Empty::new()).map_err(|error| error.to_string())?;
    let response = client.request(request).await.map_err(|error| with_cause(&error))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await.map_err(|error| error.to_string())?;
    if !status.is_success() {
        return Err(format!("it answered {status}"));
    }
    serde_json::from_slice(&body.to_bytes()).map_err(|error| format!("its answer is not understood: {error}"))
}

/// The innermost cause says why: "connection refused" instead of "client error".
fn with_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
