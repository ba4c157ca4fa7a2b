//! Tokens, users, and the audit log, as they are stored.

use duckdb::{Connection, Row, params};

use super::StoreError;
use super::queries::ask;
use crate::model::time::ReceivedAt;

/// A token as it is stored; its text is not.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenRow {
    pub key: u32,
    pub name: String,
    /// SHA-256, hexadecimal.
    pub hash: String,
    /// With commas between them.
    pub scopes: String,
    /// None: every site.
    pub site_ids: Option<Vec<String>>,
    pub created_ms: i64,
    pub expires_ms: Option<i64>,
    pub revoked_ms: Option<i64>,
}

/// Every token that ever was, the oldest first.
pub fn tokens(conn: &Connection) -> Result<Vec<TokenRow>, StoreError> {
    let sql = "SELECT token_key, name, hash, scopes, site_ids, epoch_ms(created_at), epoch_ms(expires_at),
                   epoch_ms(revoked_at) FROM store.tokens ORDER BY token_key";
    ask(conn, sql, vec![], |row| {
        let site_ids: Option<String> = row.get(4)?;
        Ok(TokenRow {
            key: row.get(0)?,
            name: row.get(1)?,
            hash: row.get(2)?,
            scopes: row.get(3)?,
            // What cannot be read limits it to nothing.
            site_ids: site_ids.map(|json| serde_json::from_str(&json).unwrap_or_default()),
            created_ms: row.get(5)?,
            expires_ms: row.get(6)?,
            revoked_ms: row.get(7)?,
        })
    })
}

/// Adds a token and gives it its key.
pub fn add_token(conn: &Connection, mut token: TokenRow) -> Result<TokenRow, StoreError> {
    token.key = conn.query_row("SELECT coalesce(max(token_key), 0) + 1 FROM store.tokens", [], |row| row.get(0))?;
    let site_ids = token.site_ids.as_ref().map(|ids| serde_json::json!(ids).to_string());
    conn.execute(
        "INSERT INTO store.tokens VALUES (?, ?, ?, ?, ?, epoch_ms(?::BIGINT)::TIMESTAMPTZ,
             epoch_ms(?::BIGINT)::TIMESTAMPTZ, NULL)",
        params![token.key, token.name, token.hash, token.scopes, site_ids, token.created_ms, token.expires_ms],
    )?;
    Ok(token)
}

/// Ends a token; whether there was one that had not ended.
pub fn revoke_token(conn: &Connection, key: u32, now: ReceivedAt) -> Result<bool, StoreError> {
    let sql = "UPDATE store.tokens SET revoked_at = epoch_ms(?::BIGINT)::TIMESTAMPTZ
               WHERE token_key = ? AND revoked_at IS NULL";
    Ok(conn.execute(sql, params![now.0, key])? > 0)
}

/// Someone who logs in.
#[derive(Clone, Debug, PartialEq)]
pub struct UserRow {
    pub name: String,
    /// Argon2id, a PHC string.
    pub password: String,
    /// With commas between them.
    pub scopes: String,
    pub changed_ms: i64,
}

pub fn users(conn: &Connection) -> Result<Vec<UserRow>, StoreError> {
    let sql = "SELECT name, password, scopes, epoch_ms(changed_at) FROM store.users ORDER BY name";
    ask(conn, sql, vec![], |row| {
        Ok(UserRow { name: row.get(0)?, password: row.get(1)?, scopes: row.get(2)?, changed_ms: row.get(3)? })
    })
}

/// Makes a user, or sets one anew.
pub fn put_user(conn: &Connection, user: &UserRow) -> Result<(), StoreError> {
    delete_user(conn, &user.name)?;
    conn.execute(
        "INSERT INTO store.users VALUES (?, ?, ?, epoch_ms(?::BIGINT)::TIMESTAMPTZ)",
        params![user.name, user.password, user.scopes, user.changed_ms],
    )?;
    Ok(())
}

/// Whether there was one.
pub fn delete_user(conn: &Connection, name: &str) -> Result<bool, StoreError> {
    Ok(conn.execute("DELETE FROM store.users WHERE name = ?", params![name])? > 0)
}

/// Something that was done.
#[derive(Clone, Debug, PartialEq)]
pub struct Act {
    /// Given by [`add_act`].
    pub key: i64,
    pub done_ms: i64,
    pub caller: String,
    pub peer: Option<String>,
    pub method: String,
    pub path: String,
    pub status: u16,
}

pub fn add_act(conn: &Connection, act: &Act) -> Result<(), StoreError> {
    conn.execute(
        "INSERT INTO store.acts SELECT coalesce(max(act_key), 0) + 1, epoch_ms(?::BIGINT)::TIMESTAMPTZ, ?, ?, ?, ?, ?
         FROM store.acts",
        params![act.done_ms, act.caller, act.peer, act.method, act.path, act.status],
    )?;
    Ok(())
}

/// Whole files that were taken, the newest first.
pub fn copies(conn: &Connection) -> Result<Vec<Act>, StoreError> {
    let taken = acts(conn, None, i64::MAX)?;
    Ok(taken
        .into_iter()
        .filter(|act| act.path.starts_with("/v1/snapshot") || act.path.starts_with("/v1/export/"))
        .collect())
}

/// The newest first, before `before`.
pub fn acts(conn: &Connection, before: Option<i64>, limit: i64) -> Result<Vec<Act>, StoreError> {
    let sql = "SELECT act_key, epoch_ms(done_at), caller, peer, method, path, status FROM store.acts
               WHERE act_key < ? ORDER BY act_key DESC LIMIT ?";
    let read = |row: &Row<'_>| {
        Ok(Act {
            key: row.get(0)?,
            done_ms: row.get(1)?,
            caller: row.get(2)?,
            peer: row.get(3)?,
            method: row.get(4)?,
            path: row.get(5)?,
            status: row.get(6)?,
        })
    };
    let mut statement = conn.prepare(sql)?;
    let found = statement.query_map(params![before.unwrap_or(i64::MAX), limit], read)?;
    Ok(found.collect::<Result<_, _>>()?)
}
