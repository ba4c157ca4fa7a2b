//! `footfall token` and `footfall user`: who may ask; `footfall erase`: who is forgotten.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::{Context, bail};
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::Server;
use crate::cli::{Erase, Token, TokenCommand, User, UserCommand};
use crate::model::ids::in_path;

pub async fn token(args: Token) -> anyhow::Result<()> {
    let server = Server::reach_or_make(&args.reach).await?;
    let done = match args.command {
        TokenCommand::Create { name, scope, site, expires_in_days } => {
            let asked = json!({"name": name, "scopes": scope, "site_ids": site, "expires_in_days": expires_in_days});
            create(&server, &asked).await
        }
        TokenCommand::List => {
            let columns = ["token_id", "name", "scopes", "site_ids", "created_at", "expires_at", "revoked_at"];
            list(&server, "/v1/tokens", "tokens", &columns).await
        }
        TokenCommand::Revoke { id } => end(&server, &format!("/v1/tokens/{id}")).await,
    };
    server.close().await?;
    done
}

/// The token goes to standard output alone, so that it can be kept by a script.
async fn create(server: &Server, asked: &Value) -> anyhow::Result<()> {
    let made = server.answer(server.request(Method::POST, "/v1/tokens").json(asked)).await?;
    let token = made["token"].as_str().context("the server's answer has no token")?;
    eprintln!("token {}, shown this once:", made["token_id"]);
    writeln!(std::io::stdout(), "{token}")?;
    Ok(())
}

pub async fn user(args: User) -> anyhow::Result<()> {
    let server = Server::reach_or_make(&args.reach).await?;
    let done = match args.command {
        UserCommand::Set { name, scope, keep_password } => {
            let password = if keep_password { None } else { Some(ask_password()?) };
            set(&server, &name, &json!({"password": password, "scopes": scope})).await
        }
        UserCommand::List => list(&server, "/v1/users", "users", &["name", "scopes", "changed_at"]).await,
        UserCommand::Remove { name } => end(&server, &format!("/v1/users/{}", in_path(&name))).await,
    };
    server.close().await?;
    done
}

async fn set(server: &Server, name: &str, asked: &Value) -> anyhow::Result<()> {
    let path = format!("/v1/users/{}", in_path(name));
    let saved = server.answer(server.request(Method::PUT, &path).json(asked)).await?;
    writeln!(std::io::stdout(), "{name} may log in, with {}", words(&saved["scopes"]))?;
    Ok(())
}

/// `footfall erase`.
pub async fn erase(args: Erase) -> anyhow::Result<()> {
    let server = Server::reach(&args.reach).await?;
    let path = format!("/v1/clients/{}", in_path(&args.client_id));
    let answer = server.answer(server.request(Method::DELETE, &path)).await;
    server.close().await?;
    let answer = answer?;
    let mut out = std::io::stdout();
    for (table, rows) in answer["erased"].as_object().into_iter().flatten() {
        writeln!(out, "{rows:>10} rows of {table} erased")?;
    }
    for copy in answer["copies"].as_array().into_iter().flatten() {
        let [at, caller, path] = ["taken_at", "caller", "path"].map(|key| words(&copy[key]));
        writeln!(out, "may still be in {path}, taken {at} by {caller}")?;
    }
    Ok(())
}

/// Typed twice unseen, or the first line of standard input.
fn ask_password() -> anyhow::Result<String> {
    if std::io::stdin().is_terminal() {
        let word = rpassword::prompt_password("Password (10 bytes at least): ").context("read the password")?;
        if rpassword::prompt_password("Once more: ").context("read the password")? != word {
            bail!("the two are not the same; nothing was changed");
        }
        return Ok(word);
    }
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("read the password from standard input")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

async fn end(server: &Server, path: &str) -> anyhow::Result<()> {
    let answer = server.send(server.request(Method::DELETE, path)).await?;
    if answer.status() != StatusCode::NO_CONTENT {
        bail!("the server answered {}", answer.status());
    }
    Ok(())
}

async fn list(server: &Server, path: &str, of: &str, columns: &[&str]) -> anyhow::Result<()> {
    let answer = server.answer(server.request(Method::GET, path)).await?;
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED).set_header(columns);
    for row in answer[of].as_array().into_iter().flatten() {
        table.add_row(columns.iter().map(|column| words(&row[*column])));
    }
    writeln!(std::io::stdout(), "{table}")?;
    Ok(())
}

/// A value in a terminal: names come from elsewhere, and must not steer it.
fn words(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(words).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    };
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
