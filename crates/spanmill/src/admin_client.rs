//! Asks the admin server of a running Spanmill.

mod server;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use transport::Connector;

use crate::failure::Failure;

pub(crate) use server::Server;

/// Longest answer that is read.
const MAX_ANSWER: usize = 16 << 20;
/// Whoever fails for want of these is told of them.
const HOW_TO_SHOW_CREDENTIALS: &str = "it asks for credentials: set SPANMILL_ADMIN_TOKEN, or SPANMILL_ADMIN_USER and SPANMILL_ADMIN_PASSWORD, to what it accepts";

/// A server that is asked.
#[derive(Debug)]
pub(crate) struct AdminClient {
    /// Its address, as it is shown.
    address: String,
    /// The same with `http://` or `https://`.
    base: String,
    connector: Connector,
    authorization: Option<HeaderValue>,
}

impl AdminClient {
    /// Where it is.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// What it answers to a GET of `path`.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let answer = self.send(Method::GET, path, Bytes::new())?;
        serde_json::from_slice(&answer).map_err(|error| self.failure(format!("its answer is not understood: {error}")))
    }

    /// Has it do something.
    pub(crate) fn post(&self, path: &str, body: &impl Serialize) -> Result<(), Failure> {
        let body = serde_json::to_vec(body).map_err(|error| Failure::Broken(error.to_string()))?;
        self.send(Method::POST, path, body.into()).map(drop)
    }

    fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Failure::io("starting the async runtime"))?;
        runtime.block_on(self.ask(method, path, body)).map_err(|reason| self.failure(reason))
    }

    fn failure(&self, reason: String) -> Failure {
        Failure::Admin { address: self.address.clone(), reason }
    }

    async fn ask(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, String> {
        let client = Client::builder(TokioExecutor::new()).build::<_, Full<Bytes>>(self.connector.clone());
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request.body(Full::new(body)).map_err(|error| error.to_string())?;
        let response = client.request(request).await.map_err(|error| self.with_cause(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await.map_err(|error| error.to_string())?;
        let body = body.to_bytes();
        if status.is_success() {
            return Ok(body);
        }
        let detail = explained(&body).map(|detail| format!(": {detail}")).unwrap_or_default();
        match status {
            StatusCode::UNAUTHORIZED if self.authorization.is_none() => Err(HOW_TO_SHOW_CREDENTIALS.to_owned()),
            _ => Err(format!("it answered {status}{detail}")),
        }
    }

    /// The innermost cause says why ("connection refused" instead of "client error"), and what may help.
    fn with_cause(&self, error: &dyn std::error::Error) -> String {
        let mut cause = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        let cause = cause.to_string();
        let is_plain = self.base.starts_with("http://");
        let help = match &*cause {
            text if text.contains("ApplicationVerificationFailure") => {
                ": it shows another certificate than admin.tls.cert_file holds"
            }
            text if text.contains("invalid peer certificate") => ": name its authority with --ca-file",
            text if text.contains("CertificateRequired") => {
                ": it asks for a certificate: name one with --cert-file and --key-file"
            }
            // What a server that speaks TLS sends to one that does not is no HTTP.
            text if is_plain && !text.contains("refused") => ": if it speaks TLS, give its address as https://",
            text if text.contains("InvalidContentType") => ": if it speaks no TLS, give its address as http://",
            _ => "",
        };
        format!("{cause}{help}")
    }
}

/// A name as it may stand in a path or a query.
pub(crate) fn encoded(name: &str) -> String {
    utf8_percent_encode(name, NON_ALPHANUMERIC).to_string()
}

/// What an answer says of what is wrong: in a line of text, or as the API does.
fn explained(body: &[u8]) -> Option<String> {
    if let Ok(Problem { detail }) = serde_json::from_slice(body) {
        return Some(detail);
    }
    let line = std::str::from_utf8(body).ok()?.trim();
    let is_line =
        !line.is_empty() && line.len() < 500 && !line.starts_with(['<', '{']) && !line.contains(char::is_control);
    is_line.then(|| line.to_owned())
}

/// What the API says of what is wrong.
#[derive(Debug, Deserialize)]
struct Problem {
    detail: String,
}
