//! What each route demands of who asks, in this one place. What is not named here is for `admin`.

use axum::http::Method;

/// What a route demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: what a stranger needs to become known, and what tells nothing of anybody.
    Nothing,
    /// `read`.
    Read,
    /// `read`; `sql` where counts of few clients are withheld, because it tells of single ones.
    Clients,
    /// `sql`: raw history.
    Sql,
    /// `admin`: changes, secrets, files of all there is.
    Admin,
    /// As `Clients`, unless the configuration opens them.
    Metrics,
}

/// Reads that take `site`, and tell of nothing else then: what a token that is limited to sites may ask.
pub const SITE_PATHS: [&str; 14] = [
    "/v1/occupancy",
    "/v1/occupancy/series",
    "/v1/occupancy/profile",
    "/v1/occupancy/peaks",
    "/v1/occupancy/capacity",
    "/v1/visitors",
    "/v1/flows",
    "/v1/clients",
    "/v1/dwell",
    "/v1/visits",
    "/v1/maps",
    "/v1/areas",
    "/v1/alerts",
    "/v1/stream",
];

/// What `path`, a route's pattern such as `/v1/maps/{id}`, demands.
pub fn need(method: &Method, path: &str) -> Need {
    let is_read = [Method::GET, Method::HEAD].contains(method);
    match path {
        "/health/live" | "/health/ready" | "/openapi.json" | "/docs" => Need::Nothing,
        "/v1/session" | "/v1/login" | "/v1/logout" => Need::Nothing,
        "/metrics" => Need::Metrics,
        "/v1/sql" | "/v1/sql/schema" | "/v1/export/{table}" => Need::Sql,
        "/v1/clients" | "/v1/clients/{id}/track" | "/v1/visits" | "/v1/alerts" | "/v1/alerts/{id}" | "/v1/silences"
            if is_read =>
        {
            Need::Clients
        }
        // How much was counted somewhere, however little.
        "/v1/unmapped" | "/v1/rebuilds" | "/v1/rebuilds/{id}" if is_read => Need::Clients,
        // They only reckon.
        "/v1/alert-rules/preview" | "/v1/what-if/zones" => Need::Clients,
        "/v1/snapshot" | "/v1/tokens" | "/v1/users" | "/v1/acts" => Need::Admin,
        // Addresses of chat services are secrets themselves.
        path if path.starts_with("/v1/callbacks") => Need::Admin,
        path if is_read && path.starts_with("/v1/") => Need::Read,
        _ => Need::Admin,
    }
}
