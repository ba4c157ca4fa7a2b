//! The dashboard, from inside the binary. It is built before the program is; one that was not is told of in words.

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use rust_embed::RustEmbed;

use crate::problem::Problem;

#[derive(RustEmbed)]
#[folder = "dashboard/dist"]
#[allow_missing = true]
struct Page;

/// Nothing from elsewhere, and no code but the page's own. Styles are also set by the libraries of the plan and charts; the
/// plan's workers and pictures are made on the page.
const POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; \
                      worker-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><title>Footfall</title><h1>The page was not built</h1>\
     <p>The server runs; its page does not stand in this binary. <code>make page</code> builds it, then build the \
     program again. The API is described at <a href=\"docs\">/docs</a>.</p></html>";

pub fn router() -> Router {
    Router::new().route("/", get(index)).route("/assets/{*path}", get(asset))
}

async fn index() -> Response {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-cache"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    match Page::get("index.html") {
        Some(page) => (headers, Html(page.data)).into_response(),
        None => (StatusCode::NOT_FOUND, headers, Html(NOT_BUILT)).into_response(),
    }
}

/// Files whose names change with what is in them.
async fn asset(Path(path): Path<String>) -> Response {
    let Some(file) = Page::get(&format!("assets/{path}")) else {
        return Problem::new(StatusCode::NOT_FOUND, format!("the page has no file {path}")).into_response();
    };
    let kind = match path.rsplit('.').next().unwrap_or_default() {
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "json" => "application/json",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("public, max-age=31536000, immutable"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    (headers, file.data).into_response()
}
