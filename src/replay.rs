//! Sends recorded deliveries to a receiver: in order, each until it is acknowledged.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::cli::Replay;
use crate::clock;
use crate::receiver::signature::{HEADER_V2, Secret};

/// How long one delivery is tried before the replay gives up.
const GIVE_UP_AFTER: Duration = Duration::from_secs(120);

/// Posts signed deliveries, patiently.
pub struct Sender {
    client: reqwest::Client,
    url: String,
    secret: Option<Secret>,
}

/// What a receiver made of the deliveries sent so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub deliveries: u64,
    pub events: u64,
    pub duplicates: u64,
    pub late: u64,
    pub quarantined: u64,
}

impl Sender {
    pub fn new(url: &str, secret: Option<Secret>) -> anyhow::Result<Sender> {
        let client = reqwest::Client::builder().timeout(Duration::from_secs(60)).build()?;
        Ok(Sender { client, url: url.to_owned(), secret })
    }

    /// Sends one body until it is acknowledged. A receiver that is full, restarting or not there yet is tried again;
    /// one that refuses the delivery itself ends the replay.
    pub async fn send(&self, body: String, tally: &mut Tally) -> anyhow::Result<()> {
        let since = clock::stopwatch();
        let body = bytes_of(body);
        let mut pause = Duration::from_millis(50);
        loop {
            let mut request = self.client.post(&self.url).header("content-type", "application/json");
            if let Some(secret) = &self.secret {
                request = request.header(HEADER_V2, secret.sign_v2(&body));
            }
            let problem = match request.body(body.clone()).send().await {
                Ok(answer) if answer.status() == StatusCode::OK => {
                    let receipt: Value = answer.json().await.unwrap_or_default();
                    tally.add(&receipt);
                    return Ok(());
                }
                Ok(answer) if answer.status() == StatusCode::SERVICE_UNAVAILABLE => {
                    let wait_s = answer.headers().get("retry-after").and_then(|v| v.to_str().ok()?.parse().ok());
                    pause = wait_s.map_or(pause, Duration::from_secs);
                    "the receiver is full".to_owned()
                }
                Ok(answer) => {
                    let status = answer.status();
                    let text = answer.text().await.unwrap_or_default();
                    bail!("{} refused a delivery with {status}: {text}", self.url);
                }
                Err(error) => error.to_string(),
            };
            if since.elapsed() > GIVE_UP_AFTER {
                bail!("gave up on {} after {} s: {problem}", self.url, GIVE_UP_AFTER.as_secs());
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
    }
}

fn bytes_of(body: String) -> axum::body::Bytes {
    axum::body::Bytes::from(body)
}

impl Tally {
    fn add(&mut self, receipt: &Value) {
        let count = |key: &str| receipt[key].as_u64().unwrap_or(0);
        self.deliveries += 1;
        self.events += count("events");
        self.duplicates += count("duplicates");
        self.late += count("late");
        self.quarantined += count("quarantined");
    }
}

/// Plays the files.
pub async fn run(args: Replay) -> anyhow::Result<()> {
    let sender = Sender::new(&args.url, args.secret())?;
    let progress = bar(&args.files)?;
    let stopwatch = clock::stopwatch();
    let mut tally = Tally::default();
    let mut pace = Pace { speed: args.speed, begun: None };
    let mut newest = Newest::default();
    for path in &args.files {
        let mut cutter = Cutter { batch: args.batch, waiting: None };
        let reader: Box<dyn BufRead + Send> = match path.to_str() {
            Some("-") => Box::new(BufReader::new(std::io::stdin())),
            _ => Box::new(BufReader::new(File::open(path).with_context(|| format!("open {}", path.display()))?)),
        };
        for (number, line) in reader.lines().enumerate() {
            let line = line.with_context(|| format!("read {}", path.display()))?;
            progress.inc(line.len() as u64 + 1);
            if line.trim().is_empty() {
                continue;
            }
            let delivery: Value = serde_json::from_str(&line)
                .with_context(|| format!("{} line {}: not a JSON delivery", path.display(), number + 1))?;
            newest.note(&delivery);
            pace.keep(newest.at_s).await;
            for body in cutter.cut(line, delivery) {
                send_times(&sender, body, args.times, &mut tally).await?;
            }
        }
        if let Some(body) = cutter.rest() {
            send_times(&sender, body, args.times, &mut tally).await?;
        }
        progress.set_message(format!("{} events", HumanCount(tally.events)));
    }
    if let (Some(run_on_s), Some(at_s), Some(site)) = (args.run_on, newest.at_s, &newest.site) {
        let ping = json!({ "topic": "ping", "events": [
            { "site_id": site, "id": "replay", "name": "end of replay", "timestamp": at_s + run_on_s }
        ] });
        sender.send(ping.to_string(), &mut Tally::default()).await?;
    }
    progress.finish_and_clear();
    let seconds = stopwatch.elapsed().as_secs_f64();
    let Tally { deliveries, events, duplicates, late, quarantined } = tally;
    let rate = HumanCount((events as f64 / seconds.max(1e-9)) as u64);
    writeln!(
        std::io::stdout(),
        "{deliveries} deliveries, {events} events acknowledged in {seconds:.1} s ({rate} events/s): \
         {duplicates} duplicates, {late} late, {quarantined} quarantined"
    )?;
    Ok(())
}

async fn send_times(sender: &Sender, body: String, times: u32, tally: &mut Tally) -> anyhow::Result<()> {
    for _ in 0..times {
        sender.send(body.clone(), tally).await?;
    }
    Ok(())
}

fn bar(files: &[impl AsRef<Path>]) -> anyhow::Result<ProgressBar> {
    let bytes = files.iter().filter_map(|path| path.as_ref().metadata().ok()).map(|meta| meta.len()).sum();
    let style = ProgressStyle::with_template("{elapsed_precise} [{wide_bar}] {bytes}/{total_bytes} eta {eta} {msg}")?;
    Ok(ProgressBar::new(bytes).with_style(style))
}

/// Cuts deliveries to another size: events of one topic, in order, `batch` at a time.
struct Cutter {
    batch: Option<usize>,
    waiting: Option<(Value, Vec<Value>)>,
}

impl Cutter {
    fn cut(&mut self, line: String, mut delivery: Value) -> Vec<String> {
        let Some(batch) = self.batch else { return vec![line] };
        let batch = batch.max(1);
        let mut bodies = Vec::new();
        let topic = delivery["topic"].take();
        let events = match delivery["events"].take() {
            Value::Array(events) => events,
            event => vec![event],
        };
        if self.waiting.as_ref().is_some_and(|(waiting, _)| *waiting != topic) {
            bodies.extend(self.rest());
        }
        let (_, waiting) = self.waiting.get_or_insert_with(|| (topic.clone(), Vec::new()));
        waiting.extend(events);
        while waiting.len() >= batch {
            let rest = waiting.split_off(batch);
            let full = std::mem::replace(waiting, rest);
            bodies.push(json!({ "topic": topic, "events": full }).to_string());
        }
        bodies
    }

    fn rest(&mut self) -> Option<String> {
        let (topic, events) = self.waiting.take()?;
        (!events.is_empty()).then(|| json!({ "topic": topic, "events": events }).to_string())
    }
}

/// The newest event seen, for pace and for running on.
#[derive(Default)]
struct Newest {
    at_s: Option<f64>,
    site: Option<String>,
}

impl Newest {
    fn note(&mut self, delivery: &Value) {
        for event in delivery["events"].as_array().into_iter().flatten() {
            if let Some(at_s) = event["timestamp"].as_f64()
                && self.at_s.is_none_or(|newest| at_s > newest)
            {
                self.at_s = Some(at_s);
                self.site = event["site_id"].as_str().map(str::to_owned).or(self.site.take());
            }
        }
    }
}

/// Holds the replay to `speed` event seconds a wall second.
struct Pace {
    speed: Option<f64>,
    begun: Option<(std::time::Instant, f64)>,
}

impl Pace {
    async fn keep(&mut self, at_s: Option<f64>) {
        let (Some(speed), Some(at_s)) = (self.speed.filter(|speed| *speed > 0.0), at_s) else {
            return;
        };
        let (begun, first_s) = *self.begun.get_or_insert_with(|| (clock::stopwatch(), at_s));
        let due = Duration::from_secs_f64(((at_s - first_s) / speed).max(0.0));
        tokio::time::sleep(due.saturating_sub(begun.elapsed())).await;
    }
}
