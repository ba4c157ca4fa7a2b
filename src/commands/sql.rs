//! `footfall sql`: one statement, or a prompt.

use std::io::{IsTerminal, Read, Write};
use std::path::PathBuf;

use anyhow::Context;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use reqwest::Method;
use rustyline::error::ReadlineError;
use rustyline::{Config, DefaultEditor};
use serde_json::{Value, json};

use super::Server;
use crate::cli::Sql;

pub async fn run(args: Sql) -> anyhow::Result<()> {
    let server = Server::reach(&args.reach).await?;
    let done = match &args.statement {
        Some(statement) => one(&server, statement, &args).await,
        None if std::io::stdin().is_terminal() => prompt(&server, &args).await,
        None => {
            let mut statement = String::new();
            std::io::stdin().read_to_string(&mut statement).context("read the statement from standard input")?;
            one(&server, &statement, &args).await
        }
    };
    server.close().await?;
    done
}

async fn one(server: &Server, statement: &str, args: &Sql) -> anyhow::Result<()> {
    let request = server.request(Method::POST, "/v1/sql");
    let asked = json!({"sql": statement, "limit": args.limit, "timeout_s": 60});
    let mut out = std::io::stdout();
    if args.format == "table" {
        write!(out, "{}", drawn(&server.answer(request.json(&asked)).await?))?;
    } else {
        let answer = server.send(request.query(&[("format", &args.format)]).json(&asked)).await?;
        out.write_all(&answer.bytes().await.context("the answer broke off")?)?;
    }
    out.flush()?;
    Ok(())
}

/// An answer as a table, with how many rows there are.
fn drawn(answer: &Value) -> String {
    let columns: Vec<&str> = strings(&answer["columns"], "name");
    let kinds: Vec<&str> = strings(&answer["columns"], "type");
    let rows = answer["rows"].as_array().cloned().unwrap_or_default();
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED).set_header(&columns);
    for row in &rows {
        table.add_row(columns.iter().map(|column| cell(&row[*column])));
    }
    for (column, kind) in table.column_iter_mut().zip(&kinds) {
        if matches!(*kind, "integer" | "number") {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let more = if answer["is_truncated"] == true { ", and more: raise --limit" } else { "" };
    let s = if rows.len() == 1 { "" } else { "s" };
    format!("{table}\n{} row{s}{more}, {:.0} ms\n", rows.len(), answer["duration_ms"].as_f64().unwrap_or_default())
}

fn strings<'a>(list: &'a Value, key: &str) -> Vec<&'a str> {
    list.as_array().into_iter().flatten().map(|entry| entry[key].as_str().unwrap_or_default()).collect()
}

/// A value in a terminal: names come from elsewhere, and must not steer it.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => return String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Statements of several lines, each up to its `;`.
async fn prompt(server: &Server, args: &Sql) -> anyhow::Result<()> {
    let history = history();
    let config = Config::builder().auto_add_history(false).build();
    let mut editor = DefaultEditor::with_config(config).context("open the terminal")?;
    if let Some(history) = &history {
        // None is there the first time.
        let _ = editor.load_history(history);
    }
    println!("One statement at a time, up to its `;`. SHOW TABLES lists the views, DESCRIBE visits one of them.");
    let mut statement = String::new();
    loop {
        let mark = if statement.is_empty() { "footfall> " } else { "      ..> " };
        match editor.readline(mark) {
            Ok(line) => {
                statement.push_str(&line);
                statement.push('\n');
            }
            Err(ReadlineError::Interrupted) => {
                statement.clear();
                continue;
            }
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error).context("read the terminal"),
        }
        if matches!(statement.trim(), "" | "exit" | "quit" | "\\q") {
            if statement.trim().is_empty() {
                statement.clear();
                continue;
            }
            break;
        }
        if statement.trim_end().ends_with(';') {
            editor.add_history_entry(statement.trim()).context("keep the history")?;
            // At once: a terminal may be closed, and another prompt adds to the same file.
            if let Some(history) = &history
                && let Err(error) = editor.append_history(history)
            {
                println!("not remembered: {}: {error}", history.display());
            }
            if let Err(error) = one(server, &statement, args).await {
                println!("error: {error:#}");
            }
            statement.clear();
        }
    }
    Ok(())
}

fn history() -> Option<PathBuf> {
    std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".footfall_sql_history"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_drawn_and_steers_no_terminal() {
        let answer = json!({"columns": [{"name": "name", "type": "text"}, {"name": "visits", "type": "integer"}],
            "rows": [{"name": "Ann\u{1b}[31m", "visits": 5}, {"name": null, "visits": 12}], "is_truncated": true,
            "duration_ms": 1.4});
        let text = drawn(&answer);
        assert!(text.contains("\u{fffd}[31m") && !text.contains('\u{1b}'), "{text}");
        assert!(text.contains("┆      5 │") && text.ends_with("2 rows, and more: raise --limit, 1 ms\n"), "{text}");
    }
}
