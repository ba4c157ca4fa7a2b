//! `POST /v1/sql`: one read-only statement, within limits. `GET /v1/sql/schema`: what can be asked from.

use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::body::JsonBody;
use super::error::ApiError;
use super::occupancy::with;
use super::params::{FormParams, Query};
use super::table::{self, Columns, Form, Kind, Wanted};
use super::{Api, Fallible, sql_file};
use crate::clock::stopwatch;
use crate::give_up::{GiveUp, Over};
use crate::problem::Problem;
use crate::store::sql::{self, Asking, Parameter, SqlError};

/// One statement.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"params": ["2026-07-01T00:00:00Z"],
    "sql": "SELECT area_name, count(*) AS visits FROM visits WHERE entered_at > ?::TIMESTAMPTZ GROUP BY ALL"}))]
pub struct SqlRequest {
    #[schema(
        example = "SELECT area_name, count(*) AS visits FROM visits WHERE entered_at > ?::TIMESTAMPTZ GROUP BY ALL"
    )]
    pub sql: String,
    /// Values for `?` or `$1`, in order: null, true or false, numbers, texts.
    #[serde(default)]
    #[schema(schema_with = super::description::statement_values)]
    pub params: Vec<Value>,
    /// Rows at most, up to 100,000 as JSON and 10,000,000 in other forms.
    #[serde(default = "rows_default", deserialize_with = "super::body::whole")]
    #[schema(minimum = 1, maximum = 10_000_000, default = 10_000)]
    pub limit: usize,
    /// Seconds at most, up to 60 as JSON and 600 in other forms.
    #[serde(default = "timeout_default")]
    #[schema(minimum = 0.001, maximum = 600, default = 30)]
    pub timeout_s: f64,
}

fn rows_default() -> usize {
    10_000
}

fn timeout_default() -> f64 {
    30.0
}

/// Of an answer that is kept whole until it is sent, and of one that is sent while it is made.
const ROWS_MAX: [usize; 2] = [100_000, 10_000_000];
const TIMEOUT_MAX_S: [f64; 2] = [60.0, 600.0];
/// Questions may go on for so long once the server is to stop: less than it waits for answers to come to their end.
const STOP_GRACE: Duration = Duration::from_secs(5);

const SQL_BYTES_MAX: usize = 100_000;
const PARAMS_MAX: usize = 1_000;

/// What comes back.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"columns": [{"name": "area_name", "type": "text"}, {"name": "visits", "type": "integer"}],
    "rows": [{"area_name": "Lobby", "visits": 12}], "is_truncated": false, "duration_ms": 2.5}))]
pub struct SqlAnswer {
    pub columns: Vec<SqlColumn>,
    /// Each an object of its columns.
    pub rows: Vec<Value>,
    /// Whether there were more rows than `limit`.
    pub is_truncated: bool,
    pub duration_ms: f64,
}

#[derive(Serialize, ToSchema)]
pub struct SqlColumn {
    pub name: String,
    /// `text`, `integer`, `number`, `boolean`, `time`, or what it is called otherwise.
    #[serde(rename = "type")]
    #[schema(example = "integer")]
    pub data_type: String,
}

/// Asks one statement that only reads: SELECT, FROM, VALUES, DESCRIBE, SUMMARIZE, SHOW TABLES. It is given up when its
/// time is over, or when nobody waits for the answer any more.
///
/// Forms other than JSON say in the header `X-Is-Truncated` whether there were more rows than `limit`. A file of more than
/// 4 MiB is sent while it is made, without that header: as many rows as `limit` may mean that there are more. If the
/// statement fails by then, or its time is over, the connection ends before the file does.
#[utoipa::path(post, path = "/v1/sql", tag = "sql", params(FormParams), request_body = SqlRequest,
    responses((status = 200, body = SqlAnswer), (status = 400, body = Problem), (status = 422, body = Problem),
        (status = 503, body = Problem), (status = 504, body = Problem)))]
pub async fn ask(
    State(api): State<Api>,
    Wanted(form): Wanted,
    Query(_form): Query<FormParams>,
    JsonBody(asked): JsonBody<SqlRequest>,
) -> Fallible<Response> {
    let SqlRequest { sql, params, limit, timeout_s } = asked;
    let wrong = |detail: String| Err(ApiError::BadRequest(detail));
    let is_file = form != Form::Json;
    let (rows_max, timeout_max_s) = (ROWS_MAX[usize::from(is_file)], TIMEOUT_MAX_S[usize::from(is_file)]);
    let hint = if is_file { "" } else { "; CSV, Arrow and Parquet may be longer" };
    if !(1..=rows_max).contains(&limit) {
        return wrong(format!("`limit` must be from 1 to {rows_max} rows{hint}"));
    }
    if !(0.001..=timeout_max_s).contains(&timeout_s) {
        return wrong(format!("`timeout_s` must be from 0.001 to {timeout_max_s} seconds{hint}"));
    }
    if sql.len() > SQL_BYTES_MAX || params.len() > PARAMS_MAX || sql.contains('\0') {
        let detail = "`sql` must not be longer than 100000 bytes nor hold NUL, and `params` not more than 1000";
        return wrong(detail.into());
    }
    let params = params.into_iter().map(parameter).collect::<Result<Vec<_>, _>>()?;
    let time = Duration::from_secs_f64(timeout_s);
    let Ok(turn) = tokio::time::timeout(time, api.sql_turns.clone().acquire_owned()).await else {
        let detail = format!("other statements were asked all the {timeout_s} s long: ask again later");
        return Err(ApiError::Busy(detail));
    };
    let turn = turn.map_err(|_| ApiError::Stopped)?;
    let since = stopwatch();
    let asking = Asking::new(&api.store)?;
    let mut stopping = api.stopping.clone();
    let stop = async move {
        let _ = stopping.wait_for(|is_stopping| *is_stopping).await;
        tokio::time::sleep(STOP_GRACE).await;
    };
    // Dropped with this future, or with the file that is sent: the question ends when the reader has gone.
    let give_up = GiveUp::after(time, stop, &asking.handle);
    let over = give_up.over();
    let told = move |error| match error {
        SqlError::Refused(why) => ApiError::Unprocessable { detail: why, faults: Vec::new() },
        SqlError::Interrupted if over() == Some(Over::Stopping) => ApiError::Stopped,
        SqlError::Interrupted => ApiError::TimedOut(format!(
            "the statement took longer than {timeout_s} s: ask for less, or give it up to {timeout_max_s} s with \
             `timeout_s`{hint}"
        )),
        SqlError::Store(error) => ApiError::Store(error),
    };
    if is_file {
        let ask = move |take: sql_file::Take| asking.stream(&sql, params, limit, take);
        return sql_file::make(form, give_up, turn, ask, told).await;
    }
    let answering = tokio::task::spawn_blocking(move || {
        // Its turn is over when it is, though nobody waits for it any more.
        let _turn = turn;
        asking.ask(&sql, params, limit)
    });
    let Some(answer) = give_up.heard(answering).await else { return Err(told(SqlError::Interrupted)) };
    let answer = answer.map_err(|_| ApiError::Stopped)?.map_err(told)?;
    drop(give_up);
    let columns = columns(&answer.schema);
    let rows = rows(&answer.batches)?;
    let duration_ms = since.elapsed().as_secs_f64() * 1000.0;
    Ok(Json(SqlAnswer { columns, rows, is_truncated: answer.is_truncated, duration_ms }).into_response())
}

fn parameter(value: Value) -> Result<Parameter, ApiError> {
    match value {
        Value::Null => Ok(Parameter::Null),
        Value::Bool(flag) => Ok(Parameter::Flag(flag)),
        Value::String(text) => Ok(Parameter::Text(text)),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Ok(Parameter::Integer(integer)),
            (None, Some(number)) => Ok(Parameter::Number(number)),
            (None, None) => Err(ApiError::BadRequest(format!("`params`: {number} is no number that fits"))),
        },
        Value::Array(_) | Value::Object(_) => {
            Err(ApiError::BadRequest("`params` may hold null, true, false, numbers and texts".into()))
        }
    }
}

fn columns(schema: &Schema) -> Vec<SqlColumn> {
    let fields = schema.fields().iter();
    fields.map(|field| SqlColumn { name: field.name().clone(), data_type: type_name(field.data_type()) }).collect()
}

fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".into(),
        DataType::Boolean => "boolean".into(),
        found if found.is_integer() => "integer".into(),
        found if found.is_numeric() => "number".into(),
        DataType::Timestamp(..) => "time".into(),
        other => other.to_string().to_lowercase(),
    }
}

fn rows(batches: &[RecordBatch]) -> Result<Vec<Value>, ApiError> {
    let mut bytes = Vec::new();
    let mut writer = arrow::json::WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, arrow::json::writer::JsonArray>(&mut bytes);
    writer.write_batches(&batches.iter().collect::<Vec<_>>())?;
    writer.finish()?;
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_slice(&bytes)
        .map_err(|error| ApiError::Table(arrow::error::ArrowError::ExternalError(error.into())))
}

#[derive(Serialize, ToSchema)]
pub struct SqlSchema {
    pub views: Vec<SqlView>,
}

#[derive(Serialize, ToSchema)]
pub struct SqlView {
    #[schema(example = "visits")]
    pub name: String,
    pub comment: String,
    pub columns: Vec<SqlViewColumn>,
}

#[derive(Serialize, ToSchema)]
pub struct SqlViewColumn {
    #[schema(example = "entered_at")]
    pub name: String,
    /// As DuckDB calls it.
    #[serde(rename = "type")]
    #[schema(example = "TIMESTAMP WITH TIME ZONE")]
    pub data_type: String,
    pub comment: Option<String>,
}

pub const SCHEMA: Columns = &[
    ("view", Kind::Text),
    ("view_comment", Kind::Text),
    ("name", Kind::Text),
    ("type", Kind::Text),
    ("comment", Kind::Text),
];

/// Views and their columns, with what they say of themselves.
#[utoipa::path(get, path = "/v1/sql/schema", tag = "sql", params(FormParams),
    responses((status = 200, body = SqlSchema)))]
pub async fn schema(
    State(api): State<Api>,
    Wanted(form): Wanted,
    Query(_form): Query<FormParams>,
) -> Fallible<Response> {
    let views = api.read(sql::schema).await?.into_iter().map(|view| SqlView {
        name: view.name,
        comment: view.comment,
        columns: view
            .columns
            .into_iter()
            .map(|column| SqlViewColumn { name: column.name, data_type: column.data_type, comment: column.comment })
            .collect(),
    });
    table::answer(form, "schema", &SqlSchema { views: views.collect() }, SCHEMA, |found| {
        let of = |view: &SqlView| {
            let told = json!({"view": view.name, "view_comment": view.comment});
            view.columns.iter().map(|column| with(table::row(column), told.clone())).collect::<Vec<_>>()
        };
        found.views.iter().flat_map(of).collect::<Vec<_>>()
    })
}
