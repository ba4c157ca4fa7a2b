//! The one gate of the query API: who asks, whether they may, and what they did.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::route::{Need, SITE_PATHS, need};
use super::{Access, Caller, Scopes, Unknown, settled};
use crate::clock::Clock;
use crate::model::ids::in_path;
use crate::pipeline::Handle;
use crate::problem::Problem;
use crate::store::access::{Act, add_act};

/// The cookie of who logged in.
pub const SESSION_COOKIE: &str = "footfall_session";

/// What the gate needs.
#[derive(Clone)]
pub struct Guard {
    pub access: Access,
    /// Writes the audit log.
    pub pipeline: Handle,
    pub clock: Clock,
}

/// Lets a request through with its [`Caller`], or says why not; and notes what was done.
pub async fn guard(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    // What is no route of ours is told so to anybody.
    let Some(path) = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned()) else {
        return next.run(request).await;
    };
    let policy = guard.access.policy();
    let needed = match need(request.method(), &path) {
        Need::Metrics if policy.are_metrics_open => Need::Nothing,
        Need::Clients | Need::Metrics if policy.counts_withheld_below > 1 => Need::Sql,
        Need::Metrics | Need::Clients => Need::Read,
        other => other,
    };
    let caller = match known(&guard.access, &request) {
        Ok(caller) => caller,
        Err(Refusal::Unknown(_)) if needed == Need::Nothing => {
            return match own_page(&request) {
                Ok(()) => next.run(request).await,
                Err(refusal) => refusal.into_response(),
            };
        }
        Err(refusal) => return refusal.into_response(),
    };
    if let Err(refusal) = admit(&caller, needed, &path, &mut request) {
        return refusal.into_response();
    }
    let act = is_worth_noting(needed, request.method(), &path).then(|| Act {
        key: 0,
        done_ms: guard.clock.now().0,
        caller: caller.name.clone(),
        peer: caller.peer.map(|peer| peer.to_string()),
        method: request.method().to_string(),
        path: told(&path, request.uri()),
        status: 0,
    });
    request.extensions_mut().insert(caller);
    let response = next.run(request).await;
    if let Some(act) = act
        && response.status().is_success()
    {
        note(&guard.pipeline, Act { status: response.status().as_u16(), ..act }).await;
    }
    response
}

/// Changes, and files that are taken away. Other reads are not told of.
fn is_worth_noting(needed: Need, method: &Method, path: &str) -> bool {
    let is_change = needed == Need::Admin && *method != Method::GET && *method != Method::HEAD;
    is_change || path == "/v1/snapshot" || path == "/v1/export/{table}"
}

/// The address as the audit log has it: of whom was erased, nothing is kept there either.
fn told(path: &str, uri: &Uri) -> String {
    match path {
        "/v1/clients/{id}" => path.to_owned(),
        _ => uri.path_and_query().map_or_else(|| path.to_owned(), PathAndQuery::to_string),
    }
}

async fn note(pipeline: &Handle, act: Act) {
    let what = format!("{} {} by {}", act.method, act.path, act.caller);
    let noted = pipeline.exclusively(move |lent| lent.writer.in_transaction(|conn| add_act(conn, &act))).await;
    if !matches!(noted, Some(Ok(()))) {
        tracing::error!(what, "this was done and could not be noted in the audit log");
    }
}

/// Why a request goes no further.
enum Refusal {
    Unknown(Unknown),
    Forbidden(String),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Refusal::Forbidden(why) => Problem::new(StatusCode::FORBIDDEN, why).into_response(),
            Refusal::Unknown(unknown) => unknown.into_response(),
        }
    }
}

impl IntoResponse for Unknown {
    fn into_response(self) -> Response {
        match self {
            Unknown::TooMany { retry_after_s } => {
                let mut response = Problem::new(StatusCode::TOO_MANY_REQUESTS, self.to_string()).into_response();
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_after_s));
                response
            }
            _ => {
                let mut response = Problem::new(StatusCode::UNAUTHORIZED, self.to_string()).into_response();
                let challenge = HeaderValue::from_static("Bearer realm=\"Footfall\"");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
                response
            }
        }
    }
}

/// Who asks. What a browser sends by itself, or may send because nothing is needed, must come from our own page.
fn known(access: &Access, request: &Request) -> Result<Caller, Refusal> {
    let headers = request.headers();
    let peer = peer(request);
    if let Some(text) = token(headers) {
        return access.by_token(&text, peer).map_err(Refusal::Unknown);
    }
    if let Some(text) = cookie(headers) {
        let caller = access.by_session(&text, peer).map_err(Refusal::Unknown)?;
        own_page(request)?;
        return Ok(caller);
    }
    if access.is_required() {
        return Err(Refusal::Unknown(Unknown::Nobody));
    }
    own_page(request)?;
    if !access.policy().is_any_host_taken {
        own_host(headers)?;
    }
    Ok(Caller { name: "open".into(), scopes: Scopes::ALL, site_ids: None, peer })
}

/// Where the request came from; that of a proxy, where there is one.
fn peer(request: &Request) -> Option<IpAddr> {
    request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip())
}

/// A token as `Bearer`, or as the password of `Basic`, for programs that know nothing else.
fn token(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().unwrap_or_default();
    let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
    if scheme.eq_ignore_ascii_case("basic") {
        let plain = BASE64_STANDARD.decode(rest.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        return Some(plain.and_then(|plain| Some(plain.split_once(':')?.1.to_owned())).unwrap_or_default());
    }
    // Any other scheme brings no token of ours, and is wrong as such.
    Some(rest.trim().to_owned())
}

/// The session, from among the cookies.
pub fn cookie(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == SESSION_COOKIE).map(|(_, value)| value.to_owned())
}

/// A change that a browser sends for another site's page is not what the person there wants.
fn own_page(request: &Request) -> Result<(), Refusal> {
    if [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method()) {
        return Ok(());
    }
    let text = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let is_own = match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => origin.split_once("://").map(|(_, host)| host) == text("host"),
        // No browser, or one older than both.
        (None, None) => true,
    };
    let why = "this was sent for the page of another site; programs send a token instead";
    if is_own { Ok(()) } else { Err(Refusal::Forbidden(why.into())) }
}

/// While anybody may ask, a name in `Host` may be another site's that points here, to read what is for this machine only.
fn own_host(headers: &HeaderMap) -> Result<(), Refusal> {
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let is_own = name.is_empty() || name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok();
    if is_own {
        return Ok(());
    }
    Err(Refusal::Forbidden(format!(
        "nobody has to log in here, so only 127.0.0.1 and localhost are answered, not {name:?}: make a token or a user, or \
         set server.allow_open_access = true"
    )))
}

/// Whether the caller may; a caller that is limited to one site asks of that one.
fn admit(caller: &Caller, needed: Need, path: &str, request: &mut Request) -> Result<(), Refusal> {
    let (is_met, needed) = match needed {
        Need::Nothing => return Ok(()),
        Need::Read | Need::Clients | Need::Metrics => (caller.scopes.read || caller.scopes.admin, "read"),
        Need::Sql => (caller.scopes.sql || caller.scopes.admin, "sql"),
        Need::Admin => (caller.scopes.admin, "admin"),
    };
    if !is_met {
        return Err(Refusal::Forbidden(format!("{} lacks the scope `{needed}`", caller.name)));
    }
    match &caller.site_ids {
        Some(ids) => within_sites(ids, path, request),
        None => Ok(()),
    }
}

fn within_sites(ids: &Arc<[String]>, path: &str, request: &mut Request) -> Result<(), Refusal> {
    let limited = |why: &str| Refusal::Forbidden(format!("the token is limited to sites: {why}"));
    // The list shows only what the caller may see.
    if path == "/v1/sites" {
        return Ok(());
    }
    if path == "/v1/sites/{id}" {
        let id = request.uri().path().rsplit('/').next().unwrap_or_default();
        let is_own = ids.iter().any(|own| in_path(own) == id || own == id);
        return if is_own { Ok(()) } else { Err(limited("this is another one")) };
    }
    if !SITE_PATHS.contains(&path) {
        return Err(limited("this tells of others, too"));
    }
    let query = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(request.uri());
    let given: Vec<String> = query
        .map(|query| query.0)
        .unwrap_or_default()
        .into_iter()
        .filter(|(name, _)| name == "site")
        .map(|(_, value)| settled(&value))
        .collect();
    match &given[..] {
        [one] if ids.contains(one) => Ok(()),
        [] if ids.len() == 1 => {
            with_site(request, &ids[0]);
            Ok(())
        }
        [] => Err(limited("name one of them with `site`")),
        _ => Err(limited("`site` names another one")),
    }
}

fn with_site(request: &mut Request, id: &str) {
    let uri = request.uri();
    let mark = if uri.query().is_some_and(|query| !query.is_empty()) { '&' } else { '?' };
    let whole = uri.path_and_query().map_or("/", PathAndQuery::as_str).trim_end_matches('?');
    let with = format!("{whole}{mark}site={}", in_path(id));
    *request.uri_mut() = Uri::try_from(with).expect("an escaped id keeps an address valid");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: Method, headers: &[(&str, &str)]) -> Request {
        let mut request = Request::new(axum::body::Body::empty());
        *request.method_mut() = method;
        for (name, value) in headers {
            let name = header::HeaderName::try_from(*name).unwrap();
            request.headers_mut().insert(name, HeaderValue::try_from(*value).unwrap());
        }
        request
    }

    #[test]
    fn only_the_own_page_changes_anything() {
        let is_own = |headers: &[(&str, &str)]| own_page(&request(Method::POST, headers)).is_ok();
        assert!(is_own(&[]));
        assert!(is_own(&[("sec-fetch-site", "same-origin"), ("origin", "https://a"), ("host", "b")]));
        assert!(!is_own(&[("sec-fetch-site", "cross-site")]));
        assert!(!is_own(&[("sec-fetch-site", "same-site")]));
        assert!(is_own(&[("origin", "http://a:8080"), ("host", "a:8080")]));
        assert!(!is_own(&[("origin", "http://evil"), ("host", "a:8080")]));
        assert!(!is_own(&[("origin", "null"), ("host", "a:8080")]));
        assert!(own_page(&request(Method::GET, &[("sec-fetch-site", "cross-site")])).is_ok());
    }

    #[test]
    fn an_open_server_answers_to_its_own_addresses_only() {
        for (host, is_own) in [
            ("127.0.0.1:8080", true),
            ("localhost:8080", true),
            ("LOCALHOST", true),
            ("[::1]:8080", true),
            ("evil.example:8080", false),
            ("localhost.evil.example", false),
        ] {
            assert_eq!(own_host(request(Method::GET, &[("host", host)]).headers()).is_ok(), is_own, "{host}");
        }
    }

    #[test]
    fn a_token_comes_as_bearer_or_as_a_password() {
        let of = |text: &str| token(request(Method::GET, &[("authorization", text)]).headers());
        assert_eq!(of("Bearer ff_1").as_deref(), Some("ff_1"));
        assert_eq!(of("bearer  ff_1 ").as_deref(), Some("ff_1"));
        assert_eq!(of("Basic YW55OmZmXzE=").as_deref(), Some("ff_1"));
        assert_eq!(of("Basic !").as_deref(), Some(""));
        assert_eq!(of("ff_1").as_deref(), Some(""));
        assert_eq!(token(request(Method::GET, &[]).headers()), None);
    }

    #[test]
    fn the_session_is_found_among_cookies() {
        let of = |text: &str| cookie(request(Method::GET, &[("cookie", text)]).headers());
        assert_eq!(of("a=b; footfall_session=12; c=d").as_deref(), Some("12"));
        assert_eq!(of("xfootfall_session=12"), None);
    }

    #[test]
    fn a_caller_of_one_site_asks_of_that_one() {
        let ids: Arc<[String]> = Arc::from(["a b".to_owned()]);
        let asked = |uri: &str| {
            let mut request = request(Method::GET, &[]);
            *request.uri_mut() = uri.parse().unwrap();
            let path = request.uri().path().to_owned();
            within_sites(&ids, &path, &mut request).is_ok().then(|| request.uri().to_string())
        };
        assert_eq!(asked("/v1/visits").as_deref(), Some("/v1/visits?site=a%20b"));
        assert_eq!(asked("/v1/visits?limit=1").as_deref(), Some("/v1/visits?limit=1&site=a%20b"));
        assert_eq!(asked("/v1/visits?site=a+b").as_deref(), Some("/v1/visits?site=a+b"));
        assert_eq!(asked("/v1/visits?site=c"), None);
        assert_eq!(asked("/v1/visits?site=a+b&site=c"), None);
        assert_eq!(asked("/v1/heatmap?map=m"), None);
        let two: Arc<[String]> = Arc::from(["a".to_owned(), "b".to_owned()]);
        let mut unnamed = request(Method::GET, &[]);
        assert!(within_sites(&two, "/v1/visits", &mut unnamed).is_err());
    }
}
