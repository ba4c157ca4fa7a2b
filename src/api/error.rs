//! The one map from what can go wrong to what a client is told.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::model::calendar::CalendarError;
use crate::pipeline::ChangeError;
use crate::problem::{Fault, Problem};
use crate::rebuild::RebuildError;
use crate::store::StoreError;

#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error("{0}")]
    BadRequest(String),
    #[error("{0}")]
    Forbidden(String),
    #[error("there is no {what} {id:?}")]
    NotFound { what: &'static str, id: String },
    #[error("{detail}")]
    Unprocessable { detail: String, faults: Vec<Fault> },
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    TooLarge(String),
    #[error("the change was not made")]
    Change(#[from] ChangeError),
    #[error("the rebuild was not taken on")]
    Rebuild(#[from] RebuildError),
    #[error("the question could not be answered")]
    Store(#[from] StoreError),
    #[error("the answer could not be written in this form")]
    Table(#[from] arrow::error::ArrowError),
    #[error("{0}")]
    TimedOut(String),
    #[error("{0}")]
    Busy(String),
    #[error("the answer was given up")]
    Stopped,
}

impl From<parquet::errors::ParquetError> for ApiError {
    fn from(error: parquet::errors::ParquetError) -> ApiError {
        ApiError::Table(error.into())
    }
}

impl From<CalendarError> for ApiError {
    fn from(error: CalendarError) -> ApiError {
        ApiError::BadRequest(error.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let detail = self.to_string();
        let problem = match self {
            ApiError::BadRequest(_) => Problem::new(StatusCode::BAD_REQUEST, detail),
            ApiError::Forbidden(_) => Problem::new(StatusCode::FORBIDDEN, detail),
            ApiError::NotFound { .. } => Problem::new(StatusCode::NOT_FOUND, detail),
            ApiError::Unprocessable { faults, .. } => {
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail).with_faults(faults)
            }
            ApiError::Conflict(_) => Problem::new(StatusCode::CONFLICT, detail),
            ApiError::TooLarge(_) => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail),
            ApiError::Change(ChangeError::Unknown { what, id }) => {
                Problem::new(StatusCode::NOT_FOUND, format!("there is no {what} {id:?}"))
            }
            ApiError::Change(ChangeError::Conflict(problem)) => Problem::new(StatusCode::CONFLICT, problem),
            ApiError::Change(error @ ChangeError::Stopped) => {
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
            }
            ApiError::Rebuild(error @ RebuildError::Stopping) => {
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
            }
            ApiError::Change(ChangeError::Key(error)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "no pseudonyms without a key");
                let detail =
                    "the key of pseudonyms could not be made, so nothing was changed: the server's log says why";
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
            }
            // What went wrong inside is for the log; the client gets a sentence.
            ApiError::Change(ChangeError::Store(error))
            | ApiError::Rebuild(RebuildError::Store(error))
            | ApiError::Store(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "request failed");
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
            }
            ApiError::Table(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "answer not written");
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
            }
            ApiError::TimedOut(_) => Problem::new(StatusCode::GATEWAY_TIMEOUT, detail),
            ApiError::Busy(_) | ApiError::Stopped => Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail),
        };
        problem.into_response()
    }
}
