//! The query API. Handlers parse, ask the store, and answer; what they change goes through the pipeline.

pub mod access;
pub mod alert_dto;
pub mod alert_rules;
pub mod alerts;
pub mod areas;
mod body;
mod bookmark;
mod caching;
pub mod callbacks;
mod description;
pub mod dto;
pub mod dwell;
mod encoder;
pub mod erase;
mod error;
mod examples;
pub mod feed;
pub mod files;
pub mod health;
pub mod imports;
pub mod insight_dto;
mod known;
mod line;
pub mod maps;
pub mod movement;
pub mod occupancy;
pub mod openapi;
pub mod page;
mod params;
pub mod patterns;
pub mod rebuilds;
pub mod sites;
pub mod sql;
mod sql_file;
pub mod stream;
mod table;
pub mod unmapped;
pub mod visits;
pub mod what_if;
mod whole;
mod withheld;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use tokio::sync::{Semaphore, watch};

use crate::access::{Access, Guard, guard};
use crate::callbacks::Callbacks;
use crate::clock::Clock;
use crate::pipeline::{Defaults, Handle};
use crate::privacy::KeyFile;
use crate::problem::{Problem, no_such_method};
use crate::rebuild::Rebuilds;
use crate::store::{ReadConnection, Store, StoreError};
use crate::telemetry::Metrics;
pub use error::ApiError;
use feed::Feed;

/// A handler's answer.
type Fallible<T> = Result<T, ApiError>;

/// What handlers need. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    pub access: Access,
    pub store: Store,
    pub pipeline: Handle,
    pub rebuilds: Rebuilds,
    pub callbacks: Callbacks,
    pub defaults: Defaults,
    pub keys: KeyFile,
    pub clock: Clock,
    pub metrics: Metrics,
    pub feed: Feed,
    /// Set once the server is asked to stop: streams end then.
    pub stopping: watch::Receiver<bool>,
    /// Only one file is made at a time.
    pub file_turn: Arc<Semaphore>,
    /// Statements that are asked at a time.
    pub sql_turns: Arc<Semaphore>,
    /// Questions that are answered at a time.
    pub question_turns: Arc<Semaphore>,
    /// Only one import is read, and one preview reckoned, at a time.
    pub import_turn: Arc<Semaphore>,
    /// Configured webhook sources.
    pub source_names: Arc<[String]>,
}

impl Api {
    /// Every route, in this one place.
    pub fn router(self) -> Router {
        let gate = Guard { access: self.access.clone(), pipeline: self.pipeline.clone(), clock: self.clock.clone() };
        Router::new()
            .route("/v1/occupancy", get(occupancy::now))
            .route("/v1/occupancy/series", get(occupancy::series))
            .route("/v1/occupancy/profile", get(patterns::profile))
            .route("/v1/occupancy/peaks", get(patterns::peaks))
            .route("/v1/occupancy/capacity", get(patterns::capacity))
            .route("/v1/visitors", get(patterns::visitors))
            .route("/v1/flows", get(movement::flows))
            .route("/v1/heatmap", get(movement::heatmap))
            .route("/v1/clients", get(movement::clients))
            .route("/v1/clients/{id}", delete(erase::erase))
            .route("/v1/clients/{id}/track", get(movement::track))
            .route("/v1/dwell", get(dwell::dwell))
            .route("/v1/visits", get(visits::list))
            .route("/v1/sites", get(sites::list))
            .route("/v1/sites/{id}", get(sites::get).put(sites::put).patch(sites::patch).delete(sites::delete))
            .route("/v1/maps", get(maps::list).post(maps::post))
            .route("/v1/maps/import", post(imports::post))
            .route("/v1/maps/{id}", get(maps::get).put(maps::put).delete(maps::delete))
            .route("/v1/maps/{id}/versions", get(maps::versions))
            .route("/v1/maps/{id}/image", get(maps::get_image).put(maps::put_image))
            .route("/v1/areas", get(areas::list).post(areas::post))
            .route("/v1/areas/{id}", get(areas::get).put(areas::put).delete(areas::delete))
            .route("/v1/areas/{id}/versions", get(areas::versions))
            .route("/v1/rebuilds", get(rebuilds::list).post(rebuilds::post))
            .route("/v1/rebuilds/{id}", get(rebuilds::get).delete(rebuilds::cancel))
            .route("/v1/what-if/zones", post(what_if::zone))
            .route("/v1/unmapped", get(unmapped::list))
            .route("/v1/alert-rules", get(alert_rules::list).post(alert_rules::post))
            .route("/v1/alert-rules/preview", post(alert_rules::preview))
            .route("/v1/alert-rules/{id}", get(alert_rules::get).put(alert_rules::put).delete(alert_rules::delete))
            .route("/v1/alert-rules/{id}/versions", get(alert_rules::versions))
            .route("/v1/alerts", get(alerts::list))
            .route("/v1/alerts/{id}", get(alerts::get))
            .route("/v1/alerts/{id}/acknowledge", post(alerts::acknowledge))
            .route("/v1/alerts/{id}/silence", post(alerts::silence))
            .route("/v1/silences", get(alerts::silences).post(alerts::post_silence))
            .route("/v1/silences/{id}", delete(alerts::end_silence))
            .route("/v1/callbacks", get(callbacks::list).post(callbacks::post))
            .route("/v1/callbacks/{id}", get(callbacks::get).put(callbacks::put).delete(callbacks::delete))
            .route("/v1/callbacks/{id}/test", post(callbacks::test))
            .route("/v1/callbacks/{id}/redeliver", post(callbacks::redeliver_dead))
            .route("/v1/callbacks/{id}/deliveries", get(callbacks::deliveries))
            .route("/v1/callbacks/{id}/deliveries/{delivery}", get(callbacks::delivery))
            .route("/v1/callbacks/{id}/deliveries/{delivery}/redeliver", post(callbacks::redeliver))
            .route("/v1/stream", get(stream::stream))
            .route("/v1/sql", post(sql::ask))
            .route("/v1/sql/schema", get(sql::schema))
            .route("/v1/snapshot", get(files::snapshot))
            .route("/v1/export/{table}", get(files::export))
            .route("/v1/session", get(access::session))
            .route("/v1/login", post(access::login))
            .route("/v1/logout", post(access::logout))
            .route("/v1/tokens", get(access::tokens).post(access::post_token))
            .route("/v1/tokens/{id}", delete(access::delete_token))
            .route("/v1/users", get(access::users))
            .route("/v1/users/{name}", put(access::put_user).delete(access::delete_user))
            .route("/v1/acts", get(access::acts))
            .route("/v1/sources", get(health::sources))
            .route("/health/live", get(health::live))
            .route("/health/ready", get(health::ready))
            .route("/metrics", get(health::metrics))
            .route("/openapi.json", get(openapi::document))
            .route("/docs", get(openapi::docs))
            .fallback(no_such_path)
            .method_not_allowed_fallback(no_such_method)
            .layer(from_fn(known::parameters))
            .layer(from_fn_with_state(gate, guard))
            .layer(from_fn(caching::keep))
            .with_state(self)
    }

    /// Asks the store, off the async threads.
    async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&ReadConnection) -> Result<T, StoreError> + Send + 'static,
    ) -> Fallible<T> {
        self.question(move |conn| question(conn).map_err(ApiError::from)).await
    }

    /// Like [`Api::read`], for what may also find the question itself at fault.
    async fn question<T: Send + 'static>(
        &self,
        question: impl FnOnce(&ReadConnection) -> Fallible<T> + Send + 'static,
    ) -> Fallible<T> {
        // Whoever goes away while waiting gives the place up; what runs already holds its turn to the end.
        let turn = self.question_turns.clone().acquire_owned().await.map_err(|_| ApiError::Stopped)?;
        let store = self.store.clone();
        let asked = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            store.read(|conn| Ok(question(conn)))
        });
        asked.await.map_err(|_| ApiError::Stopped)??
    }
}

async fn no_such_path(request: Request) -> Response {
    let detail = format!("there is no {}; /openapi.json lists what there is", request.uri().path());
    Problem::new(StatusCode::NOT_FOUND, detail).into_response()
}
