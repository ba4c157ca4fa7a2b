//! `footfall demo`: a server on a sample site, and a simulated crowd that posts to it over HTTP, signed.
//!
//! On a new file it first plays some days of history at full speed; then, and on a file that it knows, it goes on live.

mod crowd;
mod feed;
mod person;
mod site;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use chrono::DateTime;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::app::{App, stop_signal};
use crate::cli::Demo;
use crate::clock::Clock;
use crate::config::{Config, Source};
use crate::receiver::signature::Secret;
use crate::replay::{Sender, Tally};
use crowd::Crowd;
use site::Site;

/// The secret of the demo's source. Nobody else posts to it, and the address is this machine's own.
const SECRET: &str = "footfall-demo";
const HOUR_MS: i64 = 3_600_000;
/// How much history goes out at once. One topic runs ahead of the others by as much, so it must stay well below the time
/// after which a silent client is taken to be gone.
const HISTORY_STEP_MS: i64 = 100_000;

/// Serves and plays until asked to stop.
pub async fn run(args: Demo) -> anyhow::Result<()> {
    if let Some(folder) = args.store.parent().filter(|folder| *folder != Path::new("")) {
        std::fs::create_dir_all(folder).with_context(|| format!("make the folder {}", folder.display()))?;
    }
    let mut config = Config::default();
    config.server.listen = args.listen;
    config.postgres.listen = Some(args.postgres_listen);
    config.store.path = args.store.clone();
    // So that an endpoint on this machine can be tried.
    config.callbacks.allowed_networks = vec!["127.0.0.0/8".into(), "::1".into()];
    config.sources.insert("default".into(), Source { secrets: vec![SECRET.into()], ..Source::default() });
    let app = App::start(&config, Clock::System).await.context("start the server")?;
    let base = format!("http://{}", app.address()?);
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let serving = tokio::spawn(app.run(async {
        let _ = stopped.await;
    }));
    tokio::select! {
        outcome = live(&args, &base) => outcome?,
        () = stop_signal() => {}
    }
    let _ = stop.send(());
    serving.await?
}

/// Uploads the site if need be, plays history, then keeps pace with the wall clock for ever.
async fn live(args: &Demo, base: &str) -> anyhow::Result<()> {
    let site = Site::load()?;
    let client = reqwest::Client::new();
    let clock = Clock::System;
    let mut start_ms = clock.now().0;
    if !is_known(&client, base, &site).await? {
        upload(&client, base, &site).await?;
        start_ms -= i64::from(args.history_days) * 24 * HOUR_MS;
    }
    // Another start is another crowd: nobody is there twice.
    let mut crowd = Crowd::new(&site, args.seed ^ start_ms as u64, start_ms)?;
    let sender = Sender::new(&format!("{base}/v1/webhooks/mist"), Some(Secret::new(SECRET)))?;
    let mut tally = Tally::default();
    play_history(&mut crowd, &clock, &sender, &mut tally).await?;
    announce(args, base, &tally);
    loop {
        for body in crowd.advance(clock.now().0) {
            sender.send(body, &mut tally).await?;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn play_history(crowd: &mut Crowd, clock: &Clock, sender: &Sender, tally: &mut Tally) -> anyhow::Result<()> {
    let from_ms = crowd.now_ms();
    let style = ProgressStyle::with_template("history {elapsed_precise} [{wide_bar}] {percent}% eta {eta} {msg}")?;
    let total_s = ((clock.now().0 - from_ms) / 1000).max(0);
    let progress = ProgressBar::new(total_s.unsigned_abs()).with_style(style);
    // The present moves on while the past is played; a second behind it is as good as there.
    while crowd.now_ms() + 1000 < clock.now().0 {
        let until_ms = (crowd.now_ms() + HISTORY_STEP_MS).min(clock.now().0);
        for body in by_topic(&crowd.advance(until_ms))? {
            sender.send(body, tally).await?;
        }
        progress.set_position(((crowd.now_ms() - from_ms) / 1000).unsigned_abs());
        let at = DateTime::from_timestamp_millis(crowd.now_ms()).unwrap_or_default();
        progress.set_message(format!("{} UTC, {} events", at.format("%a %H:%M"), HumanCount(tally.events)));
    }
    progress.finish_and_clear();
    Ok(())
}

/// Joins deliveries of one topic into one: history need not trickle in as the network would send it.
fn by_topic(bodies: &[feed::Body]) -> anyhow::Result<Vec<feed::Body>> {
    let mut topics: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for body in bodies {
        let mut delivery: Value = serde_json::from_str(body)?;
        if let (Value::String(topic), Value::Array(events)) = (delivery["topic"].take(), delivery["events"].take()) {
            topics.entry(topic).or_default().extend(events);
        }
    }
    Ok(topics.into_iter().map(|(topic, events)| json!({"topic": topic, "events": events}).to_string()).collect())
}

fn announce(args: &Demo, base: &str, tally: &Tally) {
    let (store, postgres) = (&args.store, args.postgres_listen);
    if tally.events > 0 {
        println!("Played {} events of history.", HumanCount(tally.events));
    }
    println!("The crowd is live; Ctrl-C stops it.\n");
    println!("  the page           {base}/");
    println!("  who is where       curl '{base}/v1/occupancy'");
    println!("  the last day       curl '{base}/v1/occupancy/series?bucket=1h'");
    println!("  how long they stay curl '{base}/v1/dwell'");
    println!("  alerts             curl '{base}/v1/alerts'");
    println!("  alerts, live       curl -N '{base}/v1/stream'");
    println!("  in SQL             psql -h {} -p {} footfall", postgres.ip(), postgres.port());
    println!("  the API            {base}/docs");
    println!("  Prometheus         {base}/metrics");
    println!("  the file           {} (open it with DuckDB once the demo is stopped)", store.display());
}

/// Whether the file knows the site already.
async fn is_known(client: &reqwest::Client, base: &str, site: &Site) -> anyhow::Result<bool> {
    let answer = client.get(format!("{base}/v1/sites/{}", site.site_id)).send().await?;
    Ok(answer.status().is_success())
}

async fn upload(client: &reqwest::Client, base: &str, site: &Site) -> anyhow::Result<()> {
    let settings = json!({"name": site.name, "time_zone": site.time_zone, "exit_grace_s": site.exit_grace_s});
    put(client, format!("{base}/v1/sites/{}", site.site_id), settings.to_string()).await?;
    for map in &site.maps {
        let address = format!("{base}/v1/maps/{}", map.map_id);
        put(client, address.clone(), map.upload(&site.site_id)?.to_string()).await?;
        put(client, format!("{address}/image"), map.svg()?).await?;
    }
    make_rules(client, base, site).await
}

/// The site's own rules, and one for each zone that has an occupancy limit, as the server offers them.
async fn make_rules(client: &reqwest::Client, base: &str, site: &Site) -> anyhow::Result<()> {
    let address = format!("{base}/v1/alert-rules");
    let known: Value = client.get(&address).send().await?.json().await?;
    for rule in site.alert_rules.iter().chain(known["offers"].as_array().into_iter().flatten()) {
        let answer = client.post(&address).json(rule).send().await?;
        ensure!(answer.status().is_success(), "{address} answered {}", answer.status());
    }
    Ok(())
}

async fn put(client: &reqwest::Client, address: String, body: String) -> anyhow::Result<()> {
    let answer = client.put(&address).body(body).send().await?;
    let status = answer.status();
    ensure!(status.is_success(), "{address} answered {status}: {}", answer.text().await.unwrap_or_default());
    Ok(())
}
