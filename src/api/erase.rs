//! `DELETE /v1/clients/{id}`: a client is forgotten, everywhere.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use chrono::Days;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::ApiError;
use super::params::{Path, check_id};
use super::{Api, Fallible};
use crate::model::ids::Id;
use crate::model::time::{rfc3339, utc};
use crate::privacy::{Key, Veil};
use crate::problem::Problem;
use crate::store::{access, forget, rebuilds};

/// What an erasure deleted.
#[derive(Debug, Serialize, ToSchema)]
pub struct Erasure {
    /// Rows deleted, by table.
    #[schema(example = json!({"positions": 5120, "visits": 12}))]
    pub erased: BTreeMap<String, usize>,
    /// Files that were taken of this server, and may hold the client still.
    pub copies: Vec<Copy>,
}

/// A file that was taken.
#[derive(Debug, Serialize, ToSchema)]
pub struct Copy {
    pub taken_at: String,
    /// Who took it.
    #[schema(example = "user ann")]
    pub caller: String,
    /// What was asked for.
    #[schema(example = "/v1/snapshot")]
    pub path: String,
}

/// Erases a client: everything that was stored of it, in whatever table, and its place in what is counted now. Says which
/// snapshots and exports were taken, for they may hold it still. It is known anew when the network locates it again.
#[utoipa::path(delete, path = "/v1/clients/{id}", tag = "access", params(("id", description = "Client id: a MAC address in any spelling, or an SDK or asset id")),
    responses((status = 200, body = Erasure), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
pub async fn erase(State(api): State<Api>, Path(id): Path<String>) -> Fallible<Json<Erasure>> {
    check_id(&id)?;
    // Shorter ones are found in texts that have nothing to do with them.
    if id.chars().filter(|c| c.is_alphanumeric()).count() < ID_CHARACTERS_MIN {
        let told = format!("an id to erase must have at least {ID_CHARACTERS_MIN} letters and digits");
        return Err(ApiError::BadRequest(told));
    }
    let now_ms = api.clock.now().0;
    let since_ms = api.read(move |conn| forget::oldest(conn, now_ms)).await?;
    let ids = ids_of(api.keys.key(), Id::client(&id), since_ms, now_ms);
    let erased = api.pipeline.exclusively(move |lent| {
        // A rebuild that has read its events already would put the visits back.
        if !lent.writer.read(rebuilds::unfinished)?.is_empty() {
            return Ok(None);
        }
        let (change, deleting) = (lent.past.change_any(), lent.fixes.delete(i64::MAX));
        let erased = lent.writer.in_transaction(|conn| forget::erase(conn, &change, &deleting, &ids))?;
        drop((change, deleting));
        lent.is_stale = true;
        let copies = lent.writer.read(access::copies)?;
        Ok::<_, crate::store::StoreError>(Some((erased, copies)))
    });
    let Some((erased, copies)) = erased.await.ok_or(ApiError::Stopped)?? else {
        return Err(ApiError::Conflict("a rebuild is under way: erase once it is done".into()));
    };
    if erased.iter().all(|(_, rows)| *rows == 0) {
        return Err(ApiError::NotFound { what: "client with anything stored of it", id: "this id".into() });
    }
    let copy = |act: access::Act| Copy { taken_at: rfc3339(act.done_ms), caller: act.caller, path: act.path };
    let erased = erased.into_iter().filter(|(_, rows)| *rows > 0).map(|(table, rows)| (table.to_owned(), rows));
    Ok(Json(Erasure { erased: erased.collect(), copies: copies.into_iter().map(copy).collect() }))
}

const ID_CHARACTERS_MIN: usize = 8;

/// A client's id and every pseudonym that it may be stored under: the one for ever, and those of the days since.
fn ids_of(key: Option<&Key>, client: Id, since_ms: i64, now_ms: i64) -> Vec<Id> {
    let mut ids = Vec::new();
    if let Some(key) = key {
        // In some zone it is yesterday, or tomorrow already.
        let (first, last) = (utc(since_ms).date_naive() - Days::new(1), utc(now_ms).date_naive() + Days::new(1));
        let days = first.iter_days().take_while(|day| *day <= last).map(Some);
        ids.extend(days.chain([None]).map(|day| Id::Text(Veil::new(key, day).id(&client).into())));
    }
    ids.push(client);
    ids
}
