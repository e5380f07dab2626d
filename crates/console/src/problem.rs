//! Errors as RFC 9457 wants them.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use monitor::CommandError;
use serde::Serialize;
use utoipa::ToSchema;

use crate::source::CommandFailure;

/// The media type of a problem.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// A problem (RFC 9457): its type is `about:blank`, so its title is that of its status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// The HTTP status.
    status: u16,
    /// What the status means.
    title: &'static str,
    /// What is wrong with this request.
    detail: String,
    /// Which field of its body is wrong, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
}

impl Problem {
    /// That something is wrong with a request.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        Self { status: status.as_u16(), title, detail: detail.into(), field: None }
    }

    /// The same, and which field of the body is wrong.
    pub(crate) fn of_field(self, field: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..self }
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub(crate) fn title(&self) -> &'static str {
        self.title
    }

    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        (self.status(), [(CONTENT_TYPE, PROBLEM_JSON)], body).into_response()
    }
}

impl From<CommandFailure> for Problem {
    fn from(failure: CommandFailure) -> Self {
        let refused = match failure {
            CommandFailure::Unavailable(reason) => return Self::new(StatusCode::SERVICE_UNAVAILABLE, reason),
            CommandFailure::Refused(refused) => refused,
        };
        let status = match &refused {
            CommandError::Unknown(..) => StatusCode::NOT_FOUND,
            CommandError::Exists(..) | CommandError::TooMany(..) | CommandError::Configured(..) => StatusCode::CONFLICT,
            CommandError::Invalid(error) if error.is_reference() => StatusCode::CONFLICT,
            CommandError::BadName(_) | CommandError::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let problem = Self::new(status, refused.to_string());
        match &refused {
            CommandError::Invalid(error) => problem.of_field(error.field),
            CommandError::BadName(_) | CommandError::Exists(..) => problem.of_field("name"),
            _ => problem,
        }
    }
}
