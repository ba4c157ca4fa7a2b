//! `/openapi.json`: the document, generated from the handlers.

use std::sync::LazyLock;

use axum::Json;
use axum::http::header;
use axum::response::{Html, IntoResponse};
use serde_json::Value;
use utoipa::OpenApi;

use super::dto::DwellGroup;
use super::{
    access, alert_rules, alerts, areas, callbacks, description, dwell, erase, files, health, imports, maps, movement,
    occupancy, patterns, rebuilds, sites, sql, stream, unmapped, visits, what_if,
};
use crate::receiver;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Footfall",
        description = "Occupancy, dwell time and alerts from the location webhooks of a Juniper Mist network. Times are RFC 3339 UTC; \
                       lengths are metres from the top left of the map, x right, y down. Errors are problem details (RFC 9457): a path that is \
                       not there is a 404, a method that a path does not take a 405 with `Allow`, a parameter or member that is not \
                       known a 400. Bodies are read as JSON whatever their content type says; an `Accept` that names no form that \
                       there is gets JSON."
    ),
    paths(
        receiver::take_default, receiver::take_named,
        occupancy::now, occupancy::series, patterns::profile, patterns::peaks, patterns::capacity, patterns::visitors,
        movement::flows, movement::heatmap, movement::clients, movement::track, erase::erase, dwell::dwell, visits::list,
        sites::list, sites::get, sites::put, sites::patch, sites::delete,
        maps::list, maps::post, imports::post, maps::get, maps::versions, maps::put, maps::delete, maps::get_image, maps::put_image,
        areas::list, areas::post, areas::get, areas::versions, areas::put, areas::delete,
        rebuilds::list, rebuilds::post, rebuilds::get, rebuilds::cancel, what_if::zone, unmapped::list,
        alert_rules::list, alert_rules::post, alert_rules::preview, alert_rules::get, alert_rules::versions,
        alert_rules::put, alert_rules::delete,
        alerts::list, alerts::get, alerts::acknowledge, alerts::silence,
        alerts::silences, alerts::post_silence, alerts::end_silence,
        callbacks::list, callbacks::post, callbacks::get, callbacks::put, callbacks::delete, callbacks::test,
        callbacks::redeliver_dead, callbacks::deliveries, callbacks::delivery, callbacks::redeliver,
        stream::stream, sql::ask, sql::schema, files::snapshot, files::export,
        access::session, access::login, access::logout, access::tokens, access::post_token, access::delete_token,
        access::users, access::put_user, access::delete_user, access::acts,
        health::sources, health::live, health::ready, health::metrics, docs,
    ),
    components(schemas(DwellGroup)),
    tags(
        (name = "webhooks", description = "Deliveries in"),
        (name = "metrics", description = "Occupancy, dwell, visits"),
        (name = "places", description = "Sites, maps and areas"),
        (name = "past", description = "Zones that work for the past: rebuilds and what-ifs"),
        (name = "sql", description = "Questions of your own"),
        (name = "alerts", description = "Rules, what fired, and silences"),
        (name = "callbacks", description = "Endpoints that are told of alerts"),
        (name = "access", description = "Who may ask, and what was done by whom"),
        (name = "server", description = "Health and set-up")
    )
)]
pub struct Document;

/// A page that shows the document; it loads nothing from elsewhere.
#[utoipa::path(get, path = "/docs", tag = "server",
    responses((status = 200, content_type = "text/html", body = String)))]
pub async fn docs() -> impl IntoResponse {
    let policy = "default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                  base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(include_str!("docs.html")))
}

/// The document, whole.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut document = serde_json::to_value(Document::openapi()).expect("the document is plain data");
    description::complete(&mut document);
    document
});

pub fn value() -> &'static Value {
    &DOCUMENT
}

pub async fn document() -> Json<&'static Value> {
    Json(&DOCUMENT)
}

/// The document as indented JSON, as `footfall openapi` prints it.
pub fn json() -> String {
    format!("{:#}", *DOCUMENT)
}
