//! POSTs JSON.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use transport::{Connector, Tls};

use crate::outcome::Failure;

const AGENT: &str = concat!("spanmill/", env!("CARGO_PKG_VERSION"));
/// Answers are read as far as this, bytes.
const MAX_ANSWER: usize = 64 * 1024;
/// How long the rest of a success is waited for, so that its connection can be used again.
const REST_WITHIN: Duration = Duration::from_secs(1);
/// Words of a secret that are shorter are none: `Bearer`, `Basic`.
const SECRET_WORD: usize = 8;
/// So much of an answer is shown, characters.
const SHOWN: usize = 200;

/// Speaks to one server. Redirects are not followed: what is told, and how it is signed, is for one receiver.
#[derive(Debug, Clone)]
pub(crate) struct HttpClient(Client<Connector, Full<Bytes>>);

impl HttpClient {
    pub(crate) fn new(ca_file: Option<PathBuf>) -> Self {
        let connector = Connector::new(HttpConnector::new(), Tls { ca_file, ..Tls::default() }, b"http/1.1");
        Self(Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector))
    }

    /// Any 2xx is a success.
    pub(crate) async fn post(&self, uri: &Uri, headers: HeaderMap, body: Bytes) -> Result<(), Failure> {
        let secrets: Vec<_> = headers.values().filter(|value| value.is_sensitive()).cloned().collect();
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri.clone();
        *request.headers_mut() = headers;
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(AGENT));
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let answer = self.0.request(request).await.map_err(|error| Failure::no_answer(&error))?;
        let (head, body) = answer.into_parts();
        // The status line decides. A body that is too long, breaks off or never ends only costs its explanation.
        let body = Limited::new(body, MAX_ANSWER).collect();
        if head.status.is_success() {
            tokio::spawn(tokio::time::timeout(REST_WITHIN, body));
            return Ok(());
        }
        let body = body.await.map(|body| body.to_bytes()).unwrap_or_default();
        let explanation: String = masked(&body, &secrets).chars().take(SHOWN).collect();
        Err(Failure::http(head.status, &head.headers, &explanation, SystemTime::now()))
    }
}

/// What an answer says, without secrets: some servers answer with what they were sent, or with a part of it.
fn masked(answer: &[u8], secrets: &[HeaderValue]) -> String {
    let secrets = secrets.iter().filter_map(|secret| secret.to_str().ok()).filter(|secret| !secret.is_empty());
    secrets.fold(String::from_utf8_lossy(answer).into_owned(), |text, secret| {
        let words = secret.split(|c: char| c.is_whitespace() || ",;:=\"".contains(c));
        let words = words.filter(|word| word.len() >= SECRET_WORD);
        std::iter::once(secret).chain(words).fold(text, |text, secret| text.replace(secret, "***"))
    })
}
