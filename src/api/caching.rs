//! What readers may keep: nothing without asking again, and who asks again is told in short that nothing has changed.
//!
//! The tag is weak: it is that of the answer before it is compressed.

use axum::body::{Body, HttpBody as _, to_bytes};
use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH, VARY};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

/// Addresses of what is read often and changes seldom.
const TAGGED: [&str; 7] =
    ["/openapi.json", "/docs", "/v1/maps", "/v1/areas", "/v1/sites", "/v1/alert-rules", "/v1/sql/schema"];

/// Whether answers of this path carry a tag.
pub fn is_tagged(path: &str) -> bool {
    TAGGED.iter().any(|tagged| path.strip_prefix(tagged).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// Says how long an answer holds, tags it, and answers 304 to who has it already.
pub async fn keep(request: Request, next: Next) -> Response {
    let is_tagged = request.method() == Method::GET && is_tagged(request.uri().path());
    // What answers a change may hold a secret, told once.
    let holds = if [Method::GET, Method::HEAD].contains(request.method()) { "no-cache" } else { "no-store" };
    let known: Vec<HeaderValue> = request.headers().get_all(IF_NONE_MATCH).iter().cloned().collect();
    let mut response = next.run(request).await;
    response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static(holds));
    // Whatever has no size is no answer that was made whole.
    if !is_tagged || response.status() != StatusCode::OK || response.body().size_hint().exact().is_none() {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, usize::MAX).await else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let tag = format!("W/\"{}\"", hex::encode(&Sha256::digest(&bytes)[..16]));
    parts.headers.insert(ETAG, HeaderValue::try_from(&tag).expect("a tag is plain text"));
    if known.iter().any(|known| names(known, &tag)) {
        let mut headers = HeaderMap::new();
        for name in [ETAG, CACHE_CONTROL, VARY] {
            headers.extend(parts.headers.remove(&name).map(|value| (name, value)));
        }
        headers.append(VARY, HeaderValue::from_static("accept-encoding"));
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    Response::from_parts(parts, Body::from(bytes))
}

/// Whether an `If-None-Match` names a tag; what is weak and what is strong is not told apart (RFC 9110, 13.1.2).
fn names(header: &HeaderValue, tag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let header = header.to_str().unwrap_or_default();
    header.trim() == "*" || header.split(',').any(|one| opaque(one) == opaque(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_among_others() {
        let names = |header: &'static str| names(&HeaderValue::from_static(header), "W/\"ab\"");
        assert!(names("*") && names("W/\"ab\"") && names("\"ab\"") && names("\"x\", W/\"ab\""));
        assert!(!names("") && !names("\"abc\"") && !names("ab"));
    }

    #[test]
    fn what_changes_all_the_time_is_not_tagged() {
        assert!(is_tagged("/v1/maps") && is_tagged("/v1/maps/1/image") && is_tagged("/docs"));
        assert!(!is_tagged("/v1/mapsx") && !is_tagged("/v1/occupancy") && !is_tagged("/v1/alerts"));
    }
}
