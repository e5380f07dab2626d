//! What is asked: query parameters, path and body, each within limits.

use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// Longest query string, and longest body, in bytes.
pub(crate) const MAX_QUERY: usize = 8 << 10;
pub(crate) const MAX_BODY: usize = 64 << 10;
/// Longest text of a parameter or of a field of a body, in bytes.
pub(crate) const MAX_TEXT: usize = 256;

/// Query parameters. Unknown ones are refused, by the type itself.
#[derive(Debug)]
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        if parts.uri.query().is_some_and(|query| query.len() > MAX_QUERY) {
            return Err(Problem::new(StatusCode::URI_TOO_LONG, format!("the query is longer than {MAX_QUERY} bytes")));
        }
        let query = Query::<T>::try_from_uri(&parts.uri);
        query.map(|Query(params)| Self(params)).map_err(|error| Problem::bad_request(error.body_text()))
    }
}

/// A JSON body. Its content type must say so: then a browser sends it across origins only if it is allowed to.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            let detail = "the body must be JSON, with content-type: application/json";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
        let too_long = |_| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body exceeds {MAX_BODY} bytes"));
        let body = axum::body::to_bytes(request.into_body(), MAX_BODY).await.map_err(too_long)?;
        let body = serde_json::from_slice(&body);
        body.map(Self).map_err(|error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))
    }
}

pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// A text within limits.
pub(crate) fn check_text(name: &str, text: &str) -> Result<(), Problem> {
    if text.len() > MAX_TEXT {
        return Err(Problem::bad_request(format!("{name} is longer than {MAX_TEXT} bytes")));
    }
    match text.chars().any(char::is_control) {
        true => Err(Problem::bad_request(format!("{name} has control characters"))),
        false => Ok(()),
    }
}
