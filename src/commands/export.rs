//! `footfall export`: positions and visits as Parquet, a file for each site and day.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use reqwest::Method;
use serde_json::{Value, json};

use super::Server;
use super::snapshot::download;
use crate::cli::Export;

/// The days that are over, of every site, by what began on them.
const DAYS: &str =
    "SELECT 'positions' AS \"table\", site_id, event_at::DATE::VARCHAR AS day FROM positions GROUP BY ALL
    UNION ALL SELECT 'visits', site_id, entered_at::DATE::VARCHAR FROM visits GROUP BY ALL ORDER BY ALL";

pub async fn run(args: Export) -> anyhow::Result<()> {
    let server = Server::reach(&args.reach).await?;
    let done = export(&server, &args).await;
    server.close().await?;
    writeln!(std::io::stdout(), "{}", done?)?;
    Ok(())
}

async fn export(server: &Server, args: &Export) -> anyhow::Result<String> {
    let sql = format!("FROM ({DAYS}) WHERE day < current_date::VARCHAR AND day >= ? AND day < ?");
    let (from, to) = (args.from.as_deref().unwrap_or("0000"), args.to.as_deref().unwrap_or("9999"));
    let asked = json!({"sql": sql, "params": [from, to], "limit": 100_000, "timeout_s": 60});
    let answer = server.answer(server.request(Method::POST, "/v1/sql").json(&asked)).await?;
    let parts = answer["rows"].as_array().cloned().unwrap_or_default();
    let bar = ProgressBar::new(parts.len() as u64);
    bar.set_style(ProgressStyle::with_template("{elapsed_precise} [{wide_bar}] {pos}/{len} files eta {eta} {msg}")?);
    let (mut written, mut kept, mut bytes) = (0, 0, 0);
    for part in &parts {
        let text = |key: &str| part[key].as_str().unwrap_or_default();
        let (table, site, day) = (text("table"), text("site_id"), text("day"));
        bar.set_message(format!("{table} {day}"));
        let path = place(&args.folder, part);
        if path.exists() && !args.again {
            kept += 1;
        } else {
            let folder = path.parent().context("a file lies in a folder")?;
            std::fs::create_dir_all(folder).with_context(|| format!("make the folder {}", folder.display()))?;
            let request = server.request(Method::GET, &format!("/v1/export/{table}"));
            bytes += download(server, request.query(&[("site", site), ("day", day)]), &path).await?;
            written += 1;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let (written, kept, bytes) = (HumanCount(written), HumanCount(kept), HumanBytes(bytes));
    Ok(format!("{written} files written ({bytes}), {kept} were there already"))
}

/// `positions/site_id=.../day=2026-07-01/positions.parquet`, as readers of partitioned Parquet expect.
fn place(folder: &std::path::Path, part: &Value) -> PathBuf {
    let text = |key: &str| part[key].as_str().unwrap_or_default();
    let table = text("table");
    folder
        .join(table)
        .join(format!("site_id={}", escaped(text("site_id"))))
        .join(format!("day={}", text("day")))
        .join(format!("{table}.parquet"))
}

/// Percent-encoded but for letters, digits, `-`, `_` and inner dots: a site may be called anything.
fn escaped(id: &str) -> String {
    let mut text = String::new();
    for (place, byte) in id.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => text.push(byte as char),
            b'.' if place > 0 => text.push('.'),
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_site_leads_out_of_its_folder() {
        let at = |site: &str| {
            place(std::path::Path::new("out"), &json!({"table": "visits", "site_id": site, "day": "2026-07-01"}))
        };
        assert_eq!(at("a-1"), std::path::Path::new("out/visits/site_id=a-1/day=2026-07-01/visits.parquet"));
        assert_eq!(
            at("../../etc"),
            std::path::Path::new("out/visits/site_id=%2E.%2F..%2Fetc/day=2026-07-01/visits.parquet")
        );
    }
}
