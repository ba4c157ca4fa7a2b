//! Tabular answers in the form that was asked for: JSON, CSV, an Arrow stream or Parquet.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::error::ArrowError;
use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;

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
pub fn answer<T: Serialize>(
    form: Form,
    name: &str,
    whole: &T,
    columns: Columns,
    rows: impl FnOnce(&T) -> Vec<Value>,
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
pub fn file(form: Form, name: &str, schema: &Arc<Schema>, batches: &[RecordBatch]) -> Result<Response, ApiError> {
    let mut bytes = Vec::new();
    match form {
        Form::Json => {
            let mut writer = arrow::json::ArrayWriter::new(&mut bytes);
            writer.write_batches(&batches.iter().collect::<Vec<_>>())?;
            writer.finish()?;
        }
        Form::Csv => {
            // Spreadsheets take text for UTF-8 only with this mark.
            bytes.extend_from_slice("\u{feff}".as_bytes());
            let mut writer = arrow::csv::WriterBuilder::new().with_header(true).build(&mut bytes);
            if batches.is_empty() {
                writer.write(&RecordBatch::new_empty(schema.clone()))?;
            }
            for batch in batches {
                writer.write(&defused(batch)?)?;
            }
        }
        Form::Arrow => {
            let mut writer = arrow::ipc::writer::StreamWriter::try_new(&mut bytes, schema)?;
            for batch in batches {
                writer.write(batch)?;
            }
            writer.finish()?;
        }
        Form::Parquet => {
            let properties = parquet::file::properties::WriterProperties::builder()
                .set_compression(parquet::basic::Compression::SNAPPY)
                .build();
            let mut writer = parquet::arrow::ArrowWriter::try_new(&mut bytes, schema.clone(), Some(properties))?;
            for batch in batches {
                writer.write(batch)?;
            }
            writer.close()?;
        }
    }
    let mut response = ([(header::CONTENT_TYPE, form.content_type()), VARIES], bytes).into_response();
    let disposition = format!("attachment; filename=\"{name}.{}\"", form.name());
    if let (false, Ok(disposition)) = (form == Form::Json, HeaderValue::try_from(disposition)) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition);
    }
    Ok(response)
}

/// Text that a spreadsheet would take for a formula, as text: names come from whoever names a device.
fn defused(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let is_formula = |text: &str| text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let columns: Vec<ArrayRef> = batch
        .columns()
        .iter()
        .map(|column| match column.as_any().downcast_ref::<StringArray>() {
            Some(texts) if texts.iter().flatten().any(is_formula) => {
                let plain = |text: &str| if is_formula(text) { format!("'{text}") } else { text.to_owned() };
                Arc::new(texts.iter().map(|text| text.map(plain)).collect::<StringArray>()) as ArrayRef
            }
            _ => column.clone(),
        })
        .collect();
    RecordBatch::try_new(batch.schema(), columns)
}

/// Forms other than JSON tell in a header where the next page begins.
pub fn with_next(mut response: Response, next_cursor: Option<&str>) -> Response {
    if let Some(Ok(cursor)) = next_cursor.map(HeaderValue::try_from) {
        response.headers_mut().insert("x-next-cursor", cursor);
    }
    response
}

/// A row as an object.
pub fn row(row: &impl Serialize) -> Value {
    serde_json::to_value(row).expect("plain data becomes JSON")
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

    #[test]
    fn formulas_are_text_in_a_spreadsheet_and_numbers_stay_numbers() {
        let columns: Columns = &[("name", Kind::Text), ("number", Kind::Integer)];
        let rows = vec![serde_json::json!({"name": "=1+1", "number": -5}), serde_json::json!({"name": "Ann, \"A\""})];
        let mut decoder = arrow::json::ReaderBuilder::new(schema(columns)).build_decoder().unwrap();
        decoder.serialize(&rows).unwrap();
        let batch = decoder.flush().unwrap().unwrap();
        let mut bytes = Vec::new();
        arrow::csv::Writer::new(&mut bytes).write(&defused(&batch).unwrap()).unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), "name,number\n'=1+1,-5\n\"Ann, \"\"A\"\"\",\n");
    }
}
