//! Errors as clients get them: RFC 9457 problem details, a status and a sentence, never SQL or a path of ours.

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// The body of every error answer, of type `application/problem+json`.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// What the status means.
    #[schema(example = "Bad Request")]
    pub title: String,
    /// The HTTP status.
    #[schema(example = 400)]
    pub status: u16,
    /// What is wrong here, and what to do.
    #[schema(example = "`from` must be before `to`")]
    pub detail: String,
    /// Every single fault, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Fault>,
}

/// One fault in what was sent.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Fault {
    /// The file of an upload of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "ground-floor.geojson")]
    pub file: Option<String>,
    /// Where.
    #[schema(example = "zones.features[3] \"Cafe\"")]
    pub place: String,
    /// What is wrong there.
    #[schema(example = "ring 0 is open: its last position must repeat its first")]
    pub reason: String,
}

impl Problem {
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Problem {
        let title = status.canonical_reason().unwrap_or("Error").to_owned();
        Problem { title, status: status.as_u16(), detail: detail.into(), errors: Vec::new() }
    }

    pub fn with_faults(mut self, errors: Vec<Fault>) -> Problem {
        self.errors = errors;
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        let problem_json = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, problem_json);
        response
    }
}

/// The answer of a path that does not take the method; `Allow` lists those that it takes.
pub async fn no_such_method(request: Request) -> Response {
    let detail = format!("{} does not take {}", request.uri().path(), request.method());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail).into_response()
}
