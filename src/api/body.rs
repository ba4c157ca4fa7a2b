//! Request bodies: JSON whatever the content type says, faults named.

use std::fmt::Display;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::Number;

use super::error::ApiError;

/// Longest body of an upload, bytes.
pub const UPLOAD_BYTES_MAX: usize = 32 << 20;

/// A JSON body.
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<JsonBody<T>, ApiError> {
        let bytes = upload(request).await?;
        read(&bytes).map(JsonBody)
    }
}

/// A JSON body, or none.
pub struct OptionalJsonBody<T>(pub T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalJsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<OptionalJsonBody<T>, ApiError> {
        let bytes = upload(request).await?;
        if bytes.is_empty() {
            return Ok(OptionalJsonBody(T::default()));
        }
        read(&bytes).map(OptionalJsonBody)
    }
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let wrong = |why: &dyn Display| ApiError::BadRequest(format!("the body is not the JSON expected here: {why}"));
    // A list would be taken for the members in their order.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(wrong(&"a list, not an object"));
    }
    serde_json::from_slice(bytes).map_err(|error| wrong(&error))
}

/// A whole number however it is written: to JSON 3, 3.0 and 3e0 are one.
pub fn whole<'a, D: Deserializer<'a>, T: TryFrom<i64>>(json: D) -> Result<T, D::Error> {
    fitting(&Number::deserialize(json)?)
}

/// The same, of what may be null.
pub fn whole_or_null<'a, D: Deserializer<'a>, T: TryFrom<i64>>(json: D) -> Result<Option<T>, D::Error> {
    Option::<Number>::deserialize(json)?.as_ref().map(fitting).transpose()
}

fn fitting<T: TryFrom<i64>, E: Error>(number: &Number) -> Result<T, E> {
    // Beyond this, neighbours are one number to some.
    let exact = |number: &f64| number.fract() == 0.0 && number.abs() < 9.0e15;
    let integer = number.as_i64().or_else(|| number.as_f64().filter(exact).map(|number| number as i64));
    let fits = integer.and_then(|integer| T::try_from(integer).ok());
    fits.ok_or_else(|| E::custom(format!("{number} is no whole number, or none that fits here")))
}

/// The whole body, up to [`UPLOAD_BYTES_MAX`].
pub async fn upload(request: Request) -> Result<Bytes, ApiError> {
    whole_body(request, UPLOAD_BYTES_MAX).await
}

/// The whole body, up to so many bytes.
pub async fn whole_body(request: Request, bytes_max: usize) -> Result<Bytes, ApiError> {
    axum::body::to_bytes(request.into_body(), bytes_max)
        .await
        .map_err(|_| ApiError::TooLarge(format!("the body is longer than {bytes_max} bytes, or broke off")))
}
