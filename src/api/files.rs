//! `/v1/snapshot` and `/v1/export`: files made while everything goes on.

use std::fs::File;
use std::io::{self, Read};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use chrono::{NaiveDate, NaiveTime};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::error::ApiError;
use super::params::{ExportParams, Path, Query, SnapshotParams, flag, settled};
use super::{Api, Fallible};
use crate::problem::Problem;
use crate::store::files::{self, Exported, ScratchFile};
use crate::store::{Store, StoreError, queries};

/// A DuckDB file of all that was committed when it was asked for; deliveries go on meanwhile. Any DuckDB opens it, and so
/// does `footfall serve`.
#[utoipa::path(get, path = "/v1/snapshot", tag = "sql", params(SnapshotParams),
    responses((status = 200, content_type = "application/vnd.duckdb", body = [u8]), (status = 400, body = Problem)))]
pub async fn snapshot(State(api): State<Api>, Query(params): Query<SnapshotParams>) -> Fallible<Response> {
    let with_secrets = flag("secrets", &params.secrets)?.unwrap_or(false);
    let file = made(&api, move |store| files::snapshot(store, with_secrets)).await?;
    send(file, "application/vnd.duckdb", "footfall-snapshot.duckdb").await
}

/// Positions of a site's day, or its visits that began on that day, as Parquet. Days are those of UTC.
#[utoipa::path(get, path = "/v1/export/{table}", tag = "sql",
    params(("table", description = "`positions` or `visits`"), ExportParams),
    responses((status = 200, content_type = "application/vnd.apache.parquet", body = [u8]),
        (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn export(
    State(api): State<Api>,
    Path(table): Path<String>,
    Query(params): Query<ExportParams>,
) -> Fallible<Response> {
    let what = Exported::from_name(&table).ok_or(ApiError::NotFound { what: "table to export", id: table })?;
    let site = params.site.as_deref().map(settled);
    let site = site.ok_or_else(|| ApiError::BadRequest("`site` is missing: which site?".into()))?;
    let day = params.day.as_deref().and_then(|day| day.parse::<NaiveDate>().ok());
    let day = day.ok_or_else(|| ApiError::BadRequest("`day` must be a day such as 2026-07-01".into()))?;
    let midnight_ms = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc().timestamp_millis();
    let to_ms = day.succ_opt().map(midnight_ms);
    let to_ms = to_ms.ok_or_else(|| ApiError::BadRequest("`day` is the last there is".into()))?;
    let wanted = site.clone();
    if api.read(move |conn| queries::sites(conn, Some(&wanted))).await?.is_empty() {
        return Err(ApiError::NotFound { what: "site", id: site });
    }
    let file = made(&api, move |store| files::export(store, what, &site, midnight_ms(day), to_ms)).await?;
    send(file, "application/vnd.apache.parquet", &format!("{}-{day}.parquet", what.name())).await
}

/// Makes a file; they take their turns, since each may be as large as the database.
async fn made(
    api: &Api,
    make: impl FnOnce(&Store) -> Result<ScratchFile, StoreError> + Send + 'static,
) -> Fallible<ScratchFile> {
    let _turn = api.file_turn.acquire().await.map_err(|_| ApiError::Stopped)?;
    let store = api.store.clone();
    let making = tokio::task::spawn_blocking(move || make(&store));
    Ok(making.await.map_err(|_| ApiError::Stopped)??)
}

const CHUNK_BYTES: usize = 256 << 10;

/// Streams a file; it is gone once it is sent, or nobody reads on.
async fn send(file: ScratchFile, content_type: &'static str, name: &str) -> Fallible<Response> {
    let (chunks, receiver) = mpsc::channel::<io::Result<Bytes>>(4);
    let opened = File::open(file.path()).and_then(|opened| Ok((opened.metadata()?.len(), opened)));
    let (length, mut opened) = opened.map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "a file that was made cannot be read");
        ApiError::Stopped
    })?;
    tokio::task::spawn_blocking(move || {
        let _file = file;
        loop {
            let mut chunk = vec![0; CHUNK_BYTES];
            let read = opened.read(&mut chunk);
            let is_last = !matches!(read, Ok(1..));
            let chunk = read.map(|length| {
                chunk.truncate(length);
                Bytes::from(chunk)
            });
            if chunks.blocking_send(chunk).is_err() || is_last {
                break;
            }
        }
    });
    let headers = [
        (header::CONTENT_TYPE, content_type.to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
        // Both are compressed already.
        (header::CONTENT_ENCODING, "identity".to_owned()),
    ];
    Ok((headers, Body::from_stream(ReceiverStream::new(receiver))).into_response())
}
