//! Senders that keep an account: what was sent, what was acknowledged, and then what the file holds of it.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use footfall::receiver::signature::{HEADER_V2, Secret};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::StatusCode;
use reqwest::header::RETRY_AFTER;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::harness::{SECRET, SITE, START_S, ask, delivery, fix};

/// How far an event has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    /// It was sent, and no answer came: it may be stored or not.
    Unanswered,
    Acknowledged,
}

/// A sender of one client's fixes, a second apart, and of notes (events of a topic without positions).
pub struct Sender {
    client: String,
    rng: StdRng,
    at_m: (f64, f64),
    fixes: Vec<Sent>,
    notes: Vec<Sent>,
    /// What was sent last and not answered; it is mostly sent again, as it was.
    unanswered: Option<Delivery>,
    pub events_max: usize,
    /// Bytes of padding of a note.
    pub note_bytes: usize,
    pub refused: u64,
    /// Acknowledged ones.
    pub deliveries: u32,
    pub last_acknowledged: Option<Instant>,
}

/// A delivery as it is sent, and what of its sender's account it holds.
#[derive(Clone)]
pub struct Delivery {
    pub body: String,
    is_note: bool,
    from: usize,
    until: usize,
}

/// What the file holds of what senders sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub acknowledged: usize,
    /// Acknowledged, and not there.
    pub lost: usize,
    /// There more than once.
    pub twice: usize,
    /// There, and never sent.
    pub foreign: usize,
    /// Never answered, and there.
    pub unanswered_stored: usize,
}

impl Found {
    pub fn assert_faultless(&self) {
        assert_eq!((self.lost, self.twice, self.foreign), (0, 0, 0), "{self:?}");
    }
}

impl Sender {
    pub fn crowd(senders: u32, seed: u64) -> Vec<Sender> {
        Sender::numbered(0..senders, seed)
    }

    /// Senders of other clients than those of other numbers.
    pub fn numbered(numbers: Range<u32>, seed: u64) -> Vec<Sender> {
        numbers
            .map(|number| Sender {
                client: format!("5e{number:010x}"),
                rng: StdRng::seed_from_u64(seed ^ u64::from(number) << 32),
                at_m: (5.0, 5.0),
                fixes: Vec::new(),
                notes: Vec::new(),
                unanswered: None,
                events_max: 60,
                note_bytes: 40_000,
                refused: 0,
                deliveries: 0,
                last_acknowledged: None,
            })
            .collect()
    }

    /// What it sends next.
    pub fn next(&mut self) -> Delivery {
        if let Some(unanswered) = self.unanswered.take()
            && self.rng.random_bool(0.7)
        {
            return unanswered;
        }
        let is_note = self.note_bytes > 0 && self.rng.random_bool(0.15);
        let count = if is_note { 1 } else { self.rng.random_range(1..=self.events_max) };
        let list = if is_note { &mut self.notes } else { &mut self.fixes };
        let (from, until) = (list.len(), list.len() + count);
        list.resize(until, Sent::Unanswered);
        let body = if is_note { self.note(from) } else { self.walk(from, until) };
        Delivery { body: body.to_string(), is_note, from, until }
    }

    fn walk(&mut self, from: usize, until: usize) -> Value {
        let mut events = Vec::new();
        for number in from..until {
            let (x, y) = &mut self.at_m;
            *x = (*x + self.rng.random_range(-2.0..2.0)).clamp(0.0, 20.0);
            *y = (*y + self.rng.random_range(-2.0..2.0)).clamp(0.0, 20.0);
            events.push(fix(&self.client, number as f64, *x, *y));
        }
        delivery("location", events)
    }

    /// Its padding cannot be packed, so that the write-ahead log fills and is moved into the file often.
    fn note(&mut self, number: usize) -> Value {
        let padding: Vec<u8> = (0..self.note_bytes).map(|_| self.rng.random_range(b' '..b'~')).collect();
        let padding = String::from_utf8(padding).expect("it is ASCII");
        let event = json!({"site_id": SITE, "id": format!("{}-{number}", self.client), "padding": padding,
            "timestamp": START_S + number as i64});
        delivery("soak-note", vec![event])
    }

    /// Sends until told to stop. An error, or a refusal, is followed by the same delivery or the next.
    pub async fn send(mut self, url: String, stopped: watch::Receiver<bool>) -> Sender {
        let client = reqwest::Client::builder().timeout(Duration::from_secs(60)).build().unwrap();
        while !*stopped.borrow() {
            let delivery = self.next();
            let signature = Secret::new(SECRET).sign_v2(delivery.body.as_bytes());
            let request = client.post(&url).header(HEADER_V2, signature).body(delivery.body.clone());
            // It is told once the whole answer is here, not before.
            let answer = match request.send().await {
                Ok(answer) => {
                    let status = answer.status();
                    let is_refused = status == StatusCode::SERVICE_UNAVAILABLE;
                    assert!(
                        !is_refused || answer.headers().contains_key(RETRY_AFTER),
                        "it does not say when to come back"
                    );
                    answer.bytes().await.map(|_| status)
                }
                Err(error) => Err(error),
            };
            match answer {
                Ok(StatusCode::OK) => self.acknowledge(&delivery),
                Ok(StatusCode::SERVICE_UNAVAILABLE) => {
                    self.refused += 1;
                    self.unanswered = Some(delivery);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Ok(other) => panic!("answered {other}"),
                Err(_) => {
                    self.unanswered = Some(delivery);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
        self
    }

    pub fn acknowledge(&mut self, delivery: &Delivery) {
        let list = if delivery.is_note { &mut self.notes } else { &mut self.fixes };
        list[delivery.from..delivery.until].fill(Sent::Acknowledged);
        self.deliveries += 1;
        self.last_acknowledged = Some(footfall::clock::stopwatch());
    }
}

/// Sends for so long, while nothing else happens.
pub async fn send_for(senders: Vec<Sender>, base: &str, length: Duration) -> Vec<Sender> {
    while_sending(senders, base, async || tokio::time::sleep(length).await).await
}

/// All senders at once, while `fault` happens.
pub async fn while_sending(senders: Vec<Sender>, base: &str, fault: impl AsyncFnOnce()) -> Vec<Sender> {
    let (stop, stopped) = watch::channel(false);
    let url = format!("{base}/v1/webhooks/mist");
    let sending: Vec<_> =
        senders.into_iter().map(|sender| tokio::spawn(sender.send(url.clone(), stopped.clone()))).collect();
    fault().await;
    stop.send_replace(true);
    let mut back = Vec::new();
    for sender in sending {
        back.push(sender.await.unwrap());
    }
    back
}

/// Compares the file with the accounts. The server must have stopped, or the file be a copy.
pub fn compare(path: &Path, senders: &[Sender]) -> Found {
    let mut found = Found::default();
    for (sender, stored) in accounts(path, senders, &mut found) {
        for (sent, times) in sender.iter().zip(&stored) {
            found.acknowledged += usize::from(*sent == Sent::Acknowledged);
            found.lost += usize::from(*sent == Sent::Acknowledged && *times == 0);
            found.twice += usize::from(*times > 1);
            found.unanswered_stored += usize::from(*sent == Sent::Unanswered && *times > 0);
        }
    }
    found
}

/// Nothing is there twice, and what was acknowledged before something that is there, is there, too.
pub fn assert_no_holes(path: &Path, senders: &[Sender]) {
    let mut found = Found::default();
    for (sender, stored) in accounts(path, senders, &mut found) {
        let until = stored.iter().rposition(|times| *times > 0).map_or(0, |last| last + 1);
        for (sent, times) in sender[..until].iter().zip(&stored) {
            assert!(*times <= 1, "there twice");
            assert!(*sent != Sent::Acknowledged || *times == 1, "a hole");
        }
    }
    assert_eq!(found.foreign, 0);
}

/// What each sender sent of each kind, and how often each of it is in the file.
fn accounts<'a>(path: &Path, senders: &'a [Sender], found: &mut Found) -> Vec<(&'a Vec<Sent>, Vec<u32>)> {
    let fixes = format!("SELECT client_id, (epoch_ms(event_at) - {START_S}000) // 1000 FROM positions");
    let notes =
        "SELECT split_part(event_id, '-', 1), split_part(event_id, '-', 2) FROM events WHERE topic = 'soak-note'";
    let mut accounts = count(ask(path, &fixes), senders, |sender| &sender.fixes, found);
    accounts.extend(count(ask(path, notes), senders, |sender| &sender.notes, found));
    accounts
}

fn count<'a>(
    rows: Vec<String>,
    senders: &'a [Sender],
    list: impl Fn(&'a Sender) -> &'a Vec<Sent>,
    found: &mut Found,
) -> Vec<(&'a Vec<Sent>, Vec<u32>)> {
    let place: HashMap<&str, usize> =
        senders.iter().enumerate().map(|(place, sender)| (sender.client.as_str(), place)).collect();
    let mut accounts: Vec<_> = senders.iter().map(|sender| (list(sender), vec![0; list(sender).len()])).collect();
    for row in &rows {
        let (client, number) = row.split_once(' ').expect("two columns");
        let number: usize = number.parse().expect("a number");
        match place.get(client).and_then(|place| accounts[*place].1.get_mut(number)) {
            Some(times) => *times += 1,
            None => found.foreign += 1,
        }
    }
    accounts
}
