//! `footfall rebuild`: visits derived anew from the stored events.

use std::io::Write;
use std::time::Duration;

use anyhow::bail;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use reqwest::Method;
use serde_json::{Value, json};

use super::Server;
use crate::app::stop_signal;
use crate::cli::Rebuild;

/// How often the server is asked how far it has come.
const POLL: Duration = Duration::from_millis(200);

/// Asks for the rebuild and waits for its end; an interrupt gives it up.
pub async fn run(args: Rebuild) -> anyhow::Result<()> {
    let server = Server::reach(&args.reach).await?;
    let done = do_it(&server, &args).await;
    server.close().await?;
    writeln!(std::io::stdout(), "{}", done?)?;
    Ok(())
}

async fn do_it(server: &Server, args: &Rebuild) -> anyhow::Result<String> {
    let wanted = json!({ "site_id": args.site, "map_id": args.map, "area_id": args.area, "area_kind": args.area_kind,
        "from": args.from, "to": args.to });
    let request = server.request(Method::POST, "/v1/rebuilds").json(&wanted);
    if args.dry_run {
        let offer = server.answer(request.query(&[("dry_run", "true")])).await?;
        let message = offer["message"].as_str().unwrap_or_default();
        return Ok(match offer["fixes"].as_u64() {
            Some(0) => message.to_owned(),
            _ => format!("{message} About {} s.", offer["estimated_s"]),
        });
    }
    let asked = server.answer(request).await?;
    let path = format!("/v1/rebuilds/{}", asked["rebuild_id"]);
    tokio::select! {
        done = wait(server, &path) => done,
        () = stop_signal() => {
            let given_up = server.answer(server.request(Method::DELETE, &path)).await?;
            Ok(format!("rebuild {} is given up; the visits are as they were", given_up["rebuild_id"]))
        }
    }
}

async fn wait(server: &Server, path: &str) -> anyhow::Result<String> {
    let template = "{elapsed_precise} [{wide_bar}] {human_pos}/{human_len} events eta {eta} {msg}";
    let progress = ProgressBar::new(0).with_style(ProgressStyle::with_template(template)?);
    loop {
        let found = server.answer(server.request(Method::GET, path)).await?;
        let count = |key: &str| found[key].as_u64().unwrap_or(0);
        match found["state"].as_str() {
            Some("queued") => progress.set_message("waiting for the rebuild before it"),
            Some("running") => {
                progress.set_message("");
                progress.set_length(count("events_total").max(count("events")));
                progress.set_position(count("events"));
            }
            Some("done") => {
                progress.finish_and_clear();
                let [events, before, after] = ["events", "replaced_visits", "visits"].map(|key| HumanCount(count(key)));
                let key = &found["rebuild_id"];
                return Ok(format!("rebuild {key} done: {events} events read, {before} visits replaced by {after}"));
            }
            _ => bail!("rebuild {} is {}: {}", found["rebuild_id"], text(&found["state"]), text(&found["problem"])),
        }
        tokio::time::sleep(POLL).await;
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("no reason is known")
}
