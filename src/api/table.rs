//! Tabular answers in the form that was asked for: JSON, CSV, an Arrow stream or Parquet.

use std::ops::Deref;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use axum::Json;
use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;

use super::encoder::Encoder;
use super::error::ApiError;

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Json,
    Csv,
    Arrow,
    Parquet,
}

const FORMS: &str = "json, csv, arrow or parquet";

impl Form {
    const ALL: [Form; 4] = [Form::Json, Form::Csv, Form::Arrow, Form::Parquet];

    fn name(self) -> &'static str {
        match self {
            Form::Json => "json",
            Form::Csv => "csv",
            Form::Arrow => "arrow",
            Form::Parquet => "parquet",
        }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Form::Json => "application/json",
            Form::Csv => "text/csv; charset=utf-8; header=present",
            Form::Arrow => "application/vnd.apache.arrow.stream",
            Form::Parquet => "application/vnd.apache.parquet",
        }
    }

    pub fn from_name(name: &str) -> Option<Form> {
        Form::ALL.into_iter().find(|form| form.name() == name)
    }

    /// The first of the types of an `Accept` header that we speak; JSON where it names none.
    fn accepted(accept: &str) -> Form {
        let named = |range: &str| {
            let media = range.split(';').next().unwrap_or_default().trim();
            let of = |form: &&Form| form.content_type().split(';').next() == Some(media);
            Form::ALL.iter().find(of).copied()
        };
        accept.split(',').find_map(named).unwrap_or(Form::Json)
    }
}

/// The form that a request asks for: by `format`, else by `Accept`, else JSON.
pub struct Wanted(pub Form);

impl<S: Send + Sync> FromRequestParts<S> for Wanted {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Wanted, ApiError> {
        let query = parts.uri.query().unwrap_or_default();
        if let Some(name) = query.split('&').find_map(|pair| pair.strip_prefix("format=")) {
            let unknown = || ApiError::BadRequest(format!("`format` is {name:?}; it must be {FORMS}"));
            return Form::from_name(name).map(Wanted).ok_or_else(unknown);
        }
        let accept = parts.headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
        Ok(Wanted(accept.map_or(Form::Json, Form::accepted)))
    }
}

/// What a column holds.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Text,
    Integer,
    Number,
    Flag,
    /// An instant.
    Time,
}

/// Names and kinds, in order.
pub type Columns = &'static [(&'static str, Kind)];

fn schema(columns: Columns) -> Arc<Schema> {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, kind)| {
            let data_type = match kind {
                Kind::Text => DataType::Utf8,
                Kind::Integer => DataType::Int64,
                Kind::Number => DataType::Float64,
                Kind::Flag => DataType::Boolean,
                Kind::Time => DataType::Timestamp(TimeUnit::Millisecond, Some("+00:00".into())),
            };
            Field::new(*name, data_type, true)
        })
        .collect();
    Arc::new(Schema::new(fields))
}

/// Whoever keeps an answer keeps one for each `Accept`.
const VARIES: (HeaderName, &str) = (header::VARY, "accept");

/// An answer: `whole` as JSON, else only its rows, each an object that has the columns.
pub fn answer<'a, T: Serialize, R: Serialize, L: Deref<Target = [R]>>(
    form: Form,
    name: &str,
    whole: &'a T,
    columns: Columns,
    rows: impl FnOnce(&'a T) -> L,
) -> Result<Response, ApiError> {
    if form == Form::Json {
        return Ok(([VARIES], Json(whole)).into_response());
    }
    let mut decoder = arrow::json::ReaderBuilder::new(schema(columns)).build_decoder()?;
    decoder.serialize(&rows(whole))?;
    let batch = decoder.flush()?.unwrap_or_else(|| RecordBatch::new_empty(schema(columns)));
    file(form, name, &batch.schema(), &[batch])
}

/// Rows as a file in a form other than JSON.
fn file(form: Form, name: &str, schema: &Arc<Schema>, batches: &[RecordBatch]) -> Result<Response, ApiError> {
    let mut encoder = Encoder::new(form, schema)?;
    batches.iter().try_for_each(|batch| encoder.write(batch))?;
    Ok(sent(form, name, Body::from(encoder.finish()?)))
}

/// A file, as a browser is to save it.
pub fn sent(form: Form, name: &str, body: Body) -> Response {
    let mut response = ([(header::CONTENT_TYPE, form.content_type()), VARIES], body).into_response();
    let disposition = format!("attachment; filename=\"{name}.{}\"", form.name());
    if let Ok(disposition) = HeaderValue::try_from(disposition) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition);
    }
    response
}

/// Forms other than JSON tell in a header where the next page begins.
pub fn with_next(mut response: Response, next_cursor: Option<&str>) -> Response {
    if let Some(Ok(cursor)) = next_cursor.map(HeaderValue::try_from) {
        response.headers_mut().insert("x-next-cursor", cursor);
    }
    response
}

/// Each as a row; plain items are rows already, and take half the time.
pub fn rows(items: &[impl Serialize]) -> Vec<Value> {
    items.iter().map(row).collect()
}

/// A row as an object. Lists and objects have no place in it but as text: texts with commas between, else JSON.
pub fn row(row: &impl Serialize) -> Value {
    let mut row = serde_json::to_value(row).expect("plain data becomes JSON");
    let members = row.as_object_mut().into_iter().flat_map(|row| row.values_mut());
    for value in members.filter(|value| value.is_array() || value.is_object()) {
        let list: Option<Vec<&str>> = value.as_array().and_then(|items| items.iter().map(Value::as_str).collect());
        *value = Value::String(list.map_or_else(|| value.to_string(), |texts| texts.join(",")));
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_type_that_is_spoken_is_taken() {
        assert_eq!(Form::accepted("text/html, text/csv;q=0.9, */*"), Form::Csv);
        assert_eq!(Form::accepted("application/vnd.apache.arrow.stream"), Form::Arrow);
        assert_eq!(Form::accepted("*/*"), Form::Json);
    }
}
