//! What is asked: query parameters, path and body, each within limits.

use std::ops::RangeInclusive;

use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::problem::Problem;

/// Longest query string, and longest body, in bytes.
pub(crate) const MAX_QUERY: usize = 8 << 10;
pub(crate) const MAX_BODY: usize = 64 << 10;
/// Longest text of a parameter or of a field of a body, and longest name, in characters.
pub(crate) const MAX_TEXT: usize = 256;
const MAX_NAME: usize = 100;

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

/// The name in a path.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct Name {
    #[param(min_length = 1)]
    pub(crate) name: String,
}

/// A path.
#[derive(Debug)]
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        path.map(|axum::extract::Path(path)| Self(path)).map_err(|error| Problem::bad_request(error.body_text()))
    }
}

/// A JSON body. Its content type must say so: then a browser sends it across origins only if it is allowed to.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            let detail = "the body must be JSON, with content-type: application/json; {} if there is nothing to say";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
        let too_long = |_| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body exceeds {MAX_BODY} bytes"));
        let body = axum::body::to_bytes(request.into_body(), MAX_BODY).await.map_err(too_long)?;
        let unprocessable =
            |error: &serde_json::Error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string());
        let body: Value = serde_json::from_slice(&body).map_err(|error| unprocessable(&error))?;
        // What is read as an object could also be written as the list of its values: it is not described so.
        if !body.is_object() {
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "the body is no object"));
        }
        let read = serde_path_to_error::deserialize(with_whole_numbers(body));
        let read = read.map_err(|error| match error.path().to_string() {
            whole if whole == "." => unprocessable(error.inner()),
            field => unprocessable(error.inner()).of_field(field),
        })?;
        Ok(Self(read))
    }
}

/// The same with `2` for `2.0`: JSON does not tell them apart.
fn with_whole_numbers(value: Value) -> Value {
    /// From here on floats do not tell whole numbers apart.
    const MOST: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < MOST => Value::from(float as i64),
            _ => Value::Number(number),
        },
        Value::Array(values) => values.into_iter().map(with_whole_numbers).collect(),
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, with_whole_numbers(value))).collect(),
        other => other,
    }
}

/// An object in a field of a body, and no list of its values.
pub(crate) fn object<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<T, D::Error> {
    let map = Map::<String, Value>::deserialize(deserializer)?;
    T::deserialize(Value::Object(map)).map_err(D::Error::custom)
}

/// The same of several, or of none.
pub(crate) fn objects<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Option<Vec<T>>, D::Error> {
    let Some(maps) = Option::<Vec<Map<String, Value>>>::deserialize(deserializer)? else { return Ok(None) };
    let read = maps.into_iter().map(|map| T::deserialize(Value::Object(map)).map_err(D::Error::custom));
    read.collect::<Result<_, _>>().map(Some)
}

pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// A text within limits.
pub(crate) fn check_text(name: &str, text: &str) -> Result<(), Problem> {
    if text.chars().count() > MAX_TEXT {
        return Err(Problem::bad_request(format!("{name} is longer than {MAX_TEXT} characters")));
    }
    match text.chars().any(char::is_control) {
        true => Err(Problem::bad_request(format!("{name} has control characters"))),
        false => Ok(()),
    }
}

/// A problem of a field of a body.
pub(crate) fn wrong(field: &'static str, detail: &str) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("{field}: {detail}")).of_field(field)
}

/// A number within limits, in a field of a body.
pub(crate) fn within(field: &'static str, number: u64, range: RangeInclusive<u64>) -> Result<u64, Problem> {
    let (least, most) = (*range.start(), *range.end());
    if range.contains(&number) { Ok(number) } else { Err(wrong(field, &format!("is not {least} to {most}"))) }
}

/// A text within limits, in a field of a body.
pub(crate) fn check_field(field: &'static str, text: &str) -> Result<(), Problem> {
    let unprocessable =
        |problem: Problem| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, problem.detail()).of_field(field);
    check_text(field, text).map_err(unprocessable)
}

/// A name within limits, in a field of a body.
pub(crate) fn check_name(field: &'static str, name: &str) -> Result<(), Problem> {
    let is_name = (1..=MAX_NAME).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    let wrong =
        || Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("{field} is not 1 to {MAX_NAME} characters of text"));
    if is_name { Ok(()) } else { Err(wrong().of_field(field)) }
}
