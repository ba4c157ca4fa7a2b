//! Ten times as much as it can take, from senders that wait for nobody: refused at once, in bounded memory, and all of it
//! taken when it is sent again.

use std::time::Duration;

use footfall::receiver::signature::{HEADER_V2, Secret};
use futures::StreamExt;
use reqwest::{Client, StatusCode};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::kills::{assert_checked, upload_grid};
use super::load::{Delivery, Sender, compare};
use super::overload::peak_mb;
use super::shim::Shim;
use super::{seed, tell};
use crate::harness::SECRET;
use crate::harness::process::Server;

/// Deliveries that may wait.
const QUEUE: usize = 16;
/// How many send again at a time afterwards: fewer than may wait.
const AGAIN: usize = 8;
const FACTOR: f64 = 10.0;

/// A delivery that is signed already, and who sends it: signing shall not slow the burst.
struct Prepared {
    sender: usize,
    delivery: Delivery,
    signature: String,
}

impl Prepared {
    fn request(&self, client: &Client, base: &str) -> reqwest::RequestBuilder {
        let request = client.post(format!("{base}/v1/webhooks/mist"));
        request.header(HEADER_V2, &self.signature).body(self.delivery.body.clone())
    }
}

fn prepare(senders: &mut [Sender], deliveries: usize) -> Vec<Prepared> {
    let prepared = (0..deliveries).map(|number| {
        let sender = number % senders.len();
        let delivery = senders[sender].next();
        let signature = Secret::new(SECRET).sign_v2(delivery.body.as_bytes());
        Prepared { sender, delivery, signature }
    });
    prepared.collect()
}

/// The status, once the whole answer is here. A connection that breaks has none.
async fn send(request: reqwest::RequestBuilder) -> Option<StatusCode> {
    let answer = request.send().await.ok()?;
    let status = answer.status();
    assert!(status == 200 || (status == 503 && answer.headers()["retry-after"] == "1"), "{status}");
    answer.bytes().await.ok()?;
    Some(status)
}

/// Deliveries a second that are taken from as many senders as keep the queue full, each of which waits for its answer.
async fn capacity(client: &Client, base: &str, senders: &mut [Sender]) -> f64 {
    let prepared = prepare(senders, 2_000);
    let since = footfall::clock::stopwatch();
    let sending = prepared.iter().take_while(|_| since.elapsed() < Duration::from_secs(3)).map(|one| async move {
        while send(one.request(client, base)).await != Some(StatusCode::OK) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        one
    });
    let taken: Vec<&Prepared> = futures::stream::iter(sending).buffer_unordered(2 * QUEUE).collect().await;
    let elapsed = since.elapsed();
    for one in &taken {
        senders[one.sender].acknowledge(&one.delivery);
    }
    taken.len() as f64 / elapsed.as_secs_f64()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_times_what_it_can_take_is_refused_in_bounded_memory_and_taken_later() {
    // A disk that is slow to sync bounds what it can take, so that this machine can send ten times as much beside it.
    let Some(shim) = Shim::build() else { return };
    let dir = TempDir::new().unwrap();
    let queue = QUEUE.to_string();
    let queue = [("FOOTFALL_RECEIVER__QUEUE_DELIVERIES", queue.as_str())];
    let environment: Vec<_> = shim.environment().into_iter().chain(queue).collect();
    let server = Server::start_with(dir.path(), &environment);
    upload_grid(&server.base).await;
    shim.begin("slow_sync");

    let mut senders = Sender::crowd(32, seed());
    for sender in &mut senders {
        (sender.events_max, sender.note_bytes) = (20, 2_000);
    }
    let client = Client::builder().timeout(Duration::from_secs(60)).build().unwrap();
    let capacity = capacity(&client, &server.base, &mut senders).await;
    // A test run on a machine that is busy with others has less of it.
    let burst_s = if std::env::var_os("FOOTFALL_SOAK_ROUNDS").is_some() { 10.0 } else { 2.0 };
    let prepared = prepare(&mut senders, (capacity * FACTOR * burst_s) as usize);
    // One at each tick, whatever became of those before; a tick that was missed is made up for.
    let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / (capacity * FACTOR)));
    let mut burst = JoinSet::new();
    let since = footfall::clock::stopwatch();
    for (number, one) in prepared.iter().enumerate() {
        ticks.tick().await;
        let request = one.request(&client, &server.base);
        burst.spawn(async move { (number, send(request).await) });
    }
    let factor = prepared.len() as f64 / since.elapsed().as_secs_f64() / capacity;
    let (mut refused, mut again) = (0, Vec::new());
    while let Some(answer) = burst.join_next().await {
        let (number, status) = answer.unwrap();
        let one = &prepared[number];
        match status {
            Some(StatusCode::OK) => senders[one.sender].acknowledge(&one.delivery),
            status => {
                refused += usize::from(status.is_some());
                again.push(one);
            }
        }
    }
    let peak = peak_mb(&server);

    shim.end("slow_sync");
    let sending = again.iter().map(|one| {
        let request = one.request(&client, &server.base);
        async move { (one, send(request).await) }
    });
    let mut answers = futures::stream::iter(sending).buffer_unordered(AGAIN);
    while let Some((one, status)) = answers.next().await {
        assert_eq!(status, Some(StatusCode::OK), "it does not take again what it refused");
        senders[one.sender].acknowledge(&one.delivery);
    }
    drop(answers);
    server.stop();
    let found = compare(&dir.path().join("footfall.duckdb"), &senders);
    tell(format!(
        "burst: {capacity:.0} deliveries/s are taken, {} were sent at {factor:.1} times that: {refused} refused, all taken when \
         sent again; at most {peak} MB resident: {found:?}",
        prepared.len()
    ));
    assert!(refused > prepared.len() / 2, "only {refused} refused");
    assert!(peak < 1024, "{peak} MB");
    found.assert_faultless();
    assert_checked(dir.path());
}
