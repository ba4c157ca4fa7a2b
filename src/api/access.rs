//! Who may ask: logging in, tokens, users; and what was done by whom.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::body::JsonBody;
use super::error::ApiError;
use super::params::{FormParams, Path, Query, cursor, limit, settled};
use super::table::{self, Columns, Kind, Wanted};
use super::withheld::Withheld;
use super::{Api, Fallible};
use crate::access::{self, Caller, PASSWORD_BYTES_MAX, PASSWORD_BYTES_MIN, SESSION_COOKIE, Scopes};
use crate::model::time::rfc3339;
use crate::problem::Problem;
use crate::store::access::{self as stored, TokenRow, UserRow};
use crate::store::{ReadConnection, StoreError};

/// Who asks, and what they may.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionInfo {
    /// Whether everybody must say who they are.
    pub is_required: bool,
    /// Whether there are users, who log in with a name and a password.
    pub can_log_in: bool,
    /// Such as `user ann` or `token Grafana`; `open` where nobody has to say who they are, null for a stranger.
    #[schema(example = "user ann")]
    pub name: Option<String>,
    /// Of `read`, `sql`, `admin`.
    #[schema(example = json!(["read", "sql"]))]
    pub scopes: Vec<String>,
    /// The only sites that may be read; null: every one.
    pub site_ids: Option<Vec<String>>,
    /// Counts of fewer clients are withheld, and all that tells of single ones; null: nothing is.
    #[schema(example = json!(null))]
    pub counts_withheld_below: Option<u64>,
}

impl SessionInfo {
    fn of(api: &Api, caller: Option<&Caller>) -> SessionInfo {
        SessionInfo {
            is_required: api.access.is_required(),
            can_log_in: api.access.has_users(),
            name: caller.map(|caller| caller.name.clone()),
            scopes: caller.map(|caller| names(caller.scopes)).unwrap_or_default(),
            site_ids: caller.and_then(|caller| Some(caller.site_ids.as_ref()?.to_vec())),
            counts_withheld_below: Withheld::from(api, caller).least(),
        }
    }
}

fn names(scopes: Scopes) -> Vec<String> {
    scopes.names().into_iter().map(str::to_owned).collect()
}

/// Who asks, and what they may. Strangers are answered, too.
#[utoipa::path(get, path = "/v1/session", tag = "access", responses((status = 200, body = SessionInfo)))]
pub async fn session(State(api): State<Api>, caller: Option<Extension<Caller>>) -> Json<SessionInfo> {
    Json(SessionInfo::of(&api, caller.as_deref()))
}

/// A name and a password.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"name": "ann", "password": "a long password"}))]
#[serde(deny_unknown_fields)]
pub struct Login {
    #[schema(example = "ann")]
    pub name: String,
    #[schema(example = "a long password")]
    pub password: String,
}

/// Begins a session, which a cookie carries: for the page.
#[utoipa::path(post, path = "/v1/login", tag = "access", request_body = Login,
    responses((status = 200, body = SessionInfo), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 429, body = Problem)))]
pub async fn login(
    State(api): State<Api>,
    connected: Option<Extension<ConnectInfo<SocketAddr>>>,
    JsonBody(Login { name, password }): JsonBody<Login>,
) -> Fallible<Response> {
    let peer = connected.map(|connected| connected.0.0.ip());
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(ApiError::BadRequest(format!("`password` is longer than {PASSWORD_BYTES_MAX} bytes")));
    }
    match api.access.log_in(&name, &password, peer).await {
        Ok((caller, text)) => {
            tracing::info!(user = name, "logged in");
            let cookie = cookie(&api, &text, SESSION_S);
            Ok(([(header::SET_COOKIE, cookie)], Json(SessionInfo::of(&api, Some(&caller)))).into_response())
        }
        Err(unknown) => {
            // The name may be a password that slipped into the wrong field.
            tracing::warn!(peer = peer.map(|peer| peer.to_string()), reason = %unknown, "a login failed");
            Ok(unknown.into_response())
        }
    }
}

/// The browser forgets the cookie after so long; the session may end before.
const SESSION_S: u32 = 7 * 24 * 3600;

fn cookie(api: &Api, text: &str, max_age_s: u32) -> HeaderValue {
    let secure = if api.access.policy().is_secure { "; Secure" } else { "" };
    let cookie = format!("{SESSION_COOKIE}={text}; Path=/; HttpOnly; SameSite=Strict; Max-Age={max_age_s}{secure}");
    HeaderValue::try_from(cookie).expect("a session is hexadecimal digits")
}

/// Ends the session.
#[utoipa::path(post, path = "/v1/logout", tag = "access",
    responses((status = 204), (status = 403, body = Problem)))]
pub async fn logout(State(api): State<Api>, headers: HeaderMap) -> Response {
    if let Some(text) = access::cookie(&headers) {
        api.access.log_out(&text);
    }
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie(&api, "", 0))]).into_response()
}

/// An API token.
#[derive(Debug, Serialize, ToSchema)]
pub struct Token {
    pub token_id: u32,
    #[schema(example = "Grafana")]
    pub name: String,
    #[schema(example = json!(["read", "sql"]))]
    pub scopes: Vec<String>,
    /// The only sites it may read; null: every one.
    pub site_ids: Option<Vec<String>>,
    pub created_at: String,
    pub expires_at: Option<String>,
    pub revoked_at: Option<String>,
    /// The token itself, told once: when it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "ff_5f2d3c4b5a69788796a5b4c3d2e1f0015f2d3c4b5a69788796a5b4c3d2e1f001")]
    pub token: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Tokens {
    pub tokens: Vec<Token>,
}

fn told(row: TokenRow, token: Option<String>) -> Token {
    Token {
        token_id: row.key,
        name: row.name,
        scopes: Scopes::parse(&row.scopes).map(names).unwrap_or_default(),
        site_ids: row.site_ids,
        created_at: rfc3339(row.created_ms),
        expires_at: row.expires_ms.map(rfc3339),
        revoked_at: row.revoked_ms.map(rfc3339),
        token,
    }
}

/// A token to make.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"name": "Grafana", "scopes": ["read", "sql"], "expires_in_days": 365}))]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What it is for.
    #[schema(example = "Grafana")]
    pub name: String,
    /// Of `read` (counts, places, alerts), `sql` (raw history, by SQL and export) and `admin` (everything).
    #[schema(example = json!(["read"]))]
    pub scopes: Vec<String>,
    /// Limits it to these sites; then its only scope can be `read`.
    #[serde(default)]
    #[schema(example = json!([]))]
    pub site_ids: Vec<String>,
    /// Days until it ends; without it, until it is revoked.
    #[serde(default, deserialize_with = "super::body::whole_or_null")]
    #[schema(example = 365, minimum = 1, maximum = 3650)]
    pub expires_in_days: Option<u32>,
}

/// Longest name of a token or a user, bytes.
const NAME_BYTES_MAX: usize = 200;

fn unprocessable(detail: impl Into<String>) -> ApiError {
    ApiError::Unprocessable { detail: detail.into(), faults: Vec::new() }
}

fn check_name(name: &str) -> Result<(), ApiError> {
    if name.trim().is_empty() || name.len() > NAME_BYTES_MAX || name.contains(char::is_control) {
        return Err(unprocessable(format!("`name` must have 1 to {NAME_BYTES_MAX} bytes, and no control characters")));
    }
    Ok(())
}

fn scopes(names: &[String]) -> Result<Scopes, ApiError> {
    Scopes::parse(&names.join(",")).ok_or_else(|| unprocessable("`scopes` must be some of read, sql and admin"))
}

pub const TOKENS: Columns = &[
    ("token_id", Kind::Integer),
    ("name", Kind::Text),
    ("scopes", Kind::Text),
    ("site_ids", Kind::Text),
    ("created_at", Kind::Time),
    ("expires_at", Kind::Time),
    ("revoked_at", Kind::Time),
];

/// Every token that was made, without what it says.
#[utoipa::path(get, path = "/v1/tokens", tag = "access", params(FormParams), responses((status = 200, body = Tokens)))]
pub async fn tokens(
    State(api): State<Api>,
    Wanted(form): Wanted,
    Query(_form): Query<FormParams>,
) -> Fallible<Response> {
    let rows = api.read(stored::tokens).await?;
    let tokens = Tokens { tokens: rows.into_iter().map(|row| told(row, None)).collect() };
    table::answer(form, "tokens", &tokens, TOKENS, |answer| table::rows(&answer.tokens))
}

/// Makes a token; this answer is the only one that holds it.
#[utoipa::path(post, path = "/v1/tokens", tag = "access", request_body = NewToken,
    responses((status = 201, body = Token), (status = 422, body = Problem)))]
pub async fn post_token(State(api): State<Api>, JsonBody(new): JsonBody<NewToken>) -> Fallible<Response> {
    check_name(&new.name)?;
    let scopes = scopes(&new.scopes)?;
    let site_ids: Vec<String> = new.site_ids.iter().map(|id| settled(id)).collect();
    if !site_ids.is_empty() && (scopes.sql || scopes.admin) {
        return Err(unprocessable("a token that is limited to sites can only have the scope `read`"));
    }
    if new.expires_in_days.is_some_and(|days| !(1..=3650).contains(&days)) {
        return Err(unprocessable("`expires_in_days` must lie between 1 and 3650"));
    }
    let (token, hash) = access::new_token();
    let now_ms = api.clock.now().0;
    let row = TokenRow {
        key: 0,
        name: new.name,
        hash,
        scopes: scopes.text(),
        site_ids: (!site_ids.is_empty()).then_some(site_ids),
        created_ms: now_ms,
        expires_ms: new.expires_in_days.map(|days| now_ms + i64::from(days) * 86_400_000),
        revoked_ms: None,
    };
    let row = change(&api, move |conn| stored::add_token(conn, row)).await?;
    let location = format!("/v1/tokens/{}", row.key);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(told(row, Some(token)))).into_response())
}

/// Ends a token at once.
#[utoipa::path(delete, path = "/v1/tokens/{id}", tag = "access", params(("id", description = "Number of the token")),
    responses((status = 204), (status = 404, body = Problem)))]
pub async fn delete_token(State(api): State<Api>, Path(id): Path<String>) -> Fallible<StatusCode> {
    let missing = || ApiError::NotFound { what: "token that has not ended", id: id.clone() };
    let key: u32 = id.parse().map_err(|_| missing())?;
    let now = api.clock.now();
    match change(&api, move |conn| stored::revoke_token(conn, key, now)).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(missing()),
    }
}

/// Someone who logs in to the page.
#[derive(Debug, Serialize, ToSchema)]
pub struct User {
    #[schema(example = "ann")]
    pub name: String,
    #[schema(example = json!(["read"]))]
    pub scopes: Vec<String>,
    /// When the password or the scopes were set.
    pub changed_at: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Users {
    pub users: Vec<User>,
}

/// How a user is set.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"password": "a long password", "scopes": ["read"]}))]
#[serde(deny_unknown_fields)]
pub struct UserSettings {
    /// 10 to 1000 bytes. Left out, the old one stays.
    #[serde(default)]
    #[schema(example = "a long password")]
    pub password: Option<String>,
    /// Of `read`, `sql` and `admin`.
    #[schema(example = json!(["read"]))]
    pub scopes: Vec<String>,
}

pub const USERS: Columns = &[("name", Kind::Text), ("scopes", Kind::Text), ("changed_at", Kind::Time)];

/// Everyone who can log in.
#[utoipa::path(get, path = "/v1/users", tag = "access", params(FormParams), responses((status = 200, body = Users)))]
pub async fn users(
    State(api): State<Api>,
    Wanted(form): Wanted,
    Query(_form): Query<FormParams>,
) -> Fallible<Response> {
    let users = Users { users: api.read(stored::users).await?.into_iter().map(user).collect() };
    table::answer(form, "users", &users, USERS, |answer| table::rows(&answer.users))
}

fn user(row: UserRow) -> User {
    let scopes = Scopes::parse(&row.scopes).map(names).unwrap_or_default();
    User { name: row.name, scopes, changed_at: rfc3339(row.changed_ms) }
}

/// Makes a user, or sets one anew; sessions of before end.
#[utoipa::path(put, path = "/v1/users/{name}", tag = "access", params(("name", description = "What they log in as")),
    request_body = UserSettings, responses((status = 200, body = User), (status = 422, body = Problem)))]
pub async fn put_user(
    State(api): State<Api>,
    Path(name): Path<String>,
    JsonBody(settings): JsonBody<UserSettings>,
) -> Fallible<Json<User>> {
    check_name(&name)?;
    let scopes = scopes(&settings.scopes)?.text();
    let password = match settings.password {
        Some(word) if (PASSWORD_BYTES_MIN..=PASSWORD_BYTES_MAX).contains(&word.len()) => {
            api.access.hash_password(word).await
        }
        Some(_) => {
            let told = format!("`password` must have {PASSWORD_BYTES_MIN} to {PASSWORD_BYTES_MAX} bytes");
            return Err(unprocessable(told));
        }
        None => {
            let known = api.read(stored::users).await?.into_iter().find(|known| known.name == name);
            known.ok_or_else(|| unprocessable("`password` must be given to a new user"))?.password
        }
    };
    let row = UserRow { name, password, scopes, changed_ms: api.clock.now().0 };
    let saved = row.clone();
    change(&api, move |conn| stored::put_user(conn, &row)).await?;
    Ok(Json(user(saved)))
}

/// Deletes a user; their sessions end.
#[utoipa::path(delete, path = "/v1/users/{name}", tag = "access", params(("name", description = "What they log in as")),
    responses((status = 204), (status = 404, body = Problem)))]
pub async fn delete_user(State(api): State<Api>, Path(name): Path<String>) -> Fallible<StatusCode> {
    let of = name.clone();
    match change(&api, move |conn| stored::delete_user(conn, &of)).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::NotFound { what: "user", id: name }),
    }
}

/// Changes what is stored, and lets who is let in follow it, with no request between.
async fn change<T: Send + 'static>(
    api: &Api,
    work: impl FnOnce(&ReadConnection) -> Result<T, StoreError> + Send + 'static,
) -> Fallible<T> {
    let access = api.access.clone();
    let changed = api.pipeline.exclusively(move |lent| {
        let done = lent.writer.in_transaction(work)?;
        let (tokens, users) = lent.writer.read(|conn| Ok((stored::tokens(conn)?, stored::users(conn)?)))?;
        access.set(tokens, users);
        Ok::<T, StoreError>(done)
    });
    Ok(changed.await.ok_or(ApiError::Stopped)??)
}

/// Which acts.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ActParams {
    /// Acts on one page, up to 1000.
    pub limit: Option<String>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// `json`, `csv`, `arrow` (a stream) or `parquet`; by the `Accept` header when left out.
    pub format: Option<String>,
}

/// Something that was done.
#[derive(Debug, Serialize, ToSchema)]
pub struct Act {
    pub act_id: i64,
    pub done_at: String,
    /// Token or user, by name; `open` where nobody had to say who they are.
    #[schema(example = "user ann")]
    pub caller: String,
    /// Address it came from; that of a proxy, where there is one.
    #[schema(example = "10.1.2.3")]
    pub peer: Option<String>,
    #[schema(example = "PUT")]
    pub method: String,
    #[schema(example = "/v1/maps/63eda950-c6da-11e4-a628-60f81dd250cc")]
    pub path: String,
    #[schema(example = 200)]
    pub status: u16,
}

/// The newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Acts {
    pub acts: Vec<Act>,
    /// For the next page; null on the last one.
    pub next_cursor: Option<String>,
}

pub const ACTS: Columns = &[
    ("act_id", Kind::Integer),
    ("done_at", Kind::Time),
    ("caller", Kind::Text),
    ("peer", Kind::Text),
    ("method", Kind::Text),
    ("path", Kind::Text),
    ("status", Kind::Integer),
];

/// The audit log: changes, erasures, and snapshots taken, by whom. The newest first.
#[utoipa::path(get, path = "/v1/acts", tag = "access", params(ActParams), responses((status = 200, body = Acts)))]
pub async fn acts(State(api): State<Api>, Wanted(form): Wanted, Query(params): Query<ActParams>) -> Fallible<Response> {
    let limit = limit(&params.limit)?;
    let before = params.cursor.as_deref().map(cursor).transpose()?;
    let mut rows = api.read(move |conn| stored::acts(conn, before, limit + 1)).await?;
    let has_more = rows.len() as i64 > limit;
    rows.truncate(limit as usize);
    let next_cursor = rows.last().filter(|_| has_more).map(|row| row.key.to_string());
    let act = |row: stored::Act| Act {
        act_id: row.key,
        done_at: rfc3339(row.done_ms),
        caller: row.caller,
        peer: row.peer,
        method: row.method,
        path: row.path,
        status: row.status,
    };
    let answer = Acts { acts: rows.into_iter().map(act).collect(), next_cursor };
    let response = table::answer(form, "acts", &answer, ACTS, |answer| table::rows(&answer.acts))?;
    Ok(table::with_next(response, answer.next_cursor.as_deref()))
}
