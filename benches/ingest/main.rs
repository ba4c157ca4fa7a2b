//! Ingest as a network would do it: signed deliveries over HTTP to the real server, each acknowledged once it is on disk.
//! This process only sends what it has made before; the server is another process on the same machine.
//!
//! `cargo bench --bench ingest` prints a table, with the floors beside it: what hashing, parsing and appending the same
//! bytes take by themselves. `-- --events 10000000` sends more, `-- --scale` shows how cost grows with zones, clients and
//! sites, `-- --history FILE` beside what is stored (a file as `cargo bench --bench queries -- --file FILE` leaves it),
//! `-- --memory` what many clients take. `-- --batch 500` sends only deliveries of that many events, to profile
//! them; with it, `--lanes 32` says over how many connections, `--rate 200000` how many events a second, `--sites 20`.

mod crowd;
mod floors;
mod server;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use footfall::clock::{Clock, stopwatch};
use tempfile::TempDir;

use crowd::{Lane, Request, Size};
use floors::Floors;
use server::Server;

const SIZE: Size = Size { sites: 20, zones: 50, clients: 1000 };

/// Connections, where it is not said otherwise.
const LANES: usize = 32;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let number = |name: &str| -> Option<usize> {
        arguments.iter().position(|argument| argument == name).and_then(|at| arguments.get(at + 1)?.parse().ok())
    };
    let events = number("--events").unwrap_or(3_000_000);
    if let Some(batch) = number("--batch") {
        heading("events a delivery");
        let lanes = number("--lanes").unwrap_or(LANES);
        let rate = number("--rate").map(|rate| rate as f64);
        let size = Size { sites: number("--sites").unwrap_or(SIZE.sites), ..SIZE };
        return line(&batch.to_string(), lanes, &run(size, batch, lanes, events, rate, None));
    }
    if has("--memory") {
        return memory();
    }
    if let Some(at) = arguments.iter().position(|argument| argument == "--history") {
        return beside(Path::new(&arguments[at + 1]), events);
    }
    if has("--scale") {
        return scale(events);
    }
    table(events);
    memory();
}

/// Blocks until it is there. Nothing that is timed waits like this.
fn wait_for<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn heading(first: &str) {
    println!(
        "{first:>30} {:>6} {:>10} {:>8} {:>8} {:>12} {:>9} {:>10}",
        "lanes", "events/s", "p50 ms", "p99 ms", "CPU s/M", "MiB", "bytes/fix"
    );
}

fn line(name: &str, lanes: usize, found: &Found) {
    println!(
        "{name:>30} {lanes:>6} {:>10.0} {:>8.2} {:>8.2} {:>12.2} {:>9} {:>10.1}",
        found.events_a_second(),
        found.quantile_ms(0.5),
        found.quantile_ms(0.99),
        found.cpu_s_a_million(),
        found.memory_mib,
        found.file_bytes as f64 / found.events as f64,
    );
}

/// By events a delivery: one at a time on an idle server first, then a crowd of senders; then at half the load.
fn table(events: usize) {
    let Size { sites, zones, clients } = SIZE;
    println!(
        "{sites} sites with {clients} clients and a map with {zones} zones each; server CPU seconds a million events, MiB it \
         takes at most"
    );
    heading("events a delivery");
    let mut fastest: Option<Found> = None;
    for (batch, lanes, part) in
        [(1, 1, 1000), (1, 64, 20), (10, 64, 4), (100, 64, 1), (500, 8, 1), (500, 32, 1), (500, 128, 1)]
    {
        let found = run(SIZE, batch, lanes, events / part, None, None);
        line(&batch.to_string(), lanes, &found);
        if fastest.as_ref().is_none_or(|fastest| found.events_a_second() > fastest.events_a_second()) {
            fastest = Some(found);
        }
    }
    let Some(fastest) = fastest else { return };
    let half = fastest.events_a_second() / 2.0;
    line("500, at half that speed", LANES, &run(SIZE, 500, LANES, events, Some(half), None));
    let mut lane = Lane::new(0, 1, SIZE, Clock::System.now().0 / 1000 - 86_400);
    let requests: Vec<Request> = (0..2000).map(|_| lane.request(500)).collect();
    let floors = Floors::of(&requests);
    let (sum_s, used_s) = (floors.sum_s(), fastest.cpu_s_a_million());
    println!(
        "floors, CPU s a million events: {:.2} to hash, {:.2} to parse, {:.2} to append; their sum {sum_s:.2} is {:.0} % of the \
         {used_s:.2} that the server used for deliveries of 500",
        floors.hash_s,
        floors.parse_s,
        floors.append_s,
        sum_s / used_s * 100.0
    );
}

/// How cost grows, with deliveries of 500 events.
fn scale(events: usize) {
    let show = |name: &str, size: Size| line(name, LANES, &run(size, 500, LANES, events, None, None));
    heading("zones a map");
    for zones in [1, 10, 100, 1000] {
        show(&zones.to_string(), Size { zones, ..SIZE });
    }
    let all = SIZE.sites * SIZE.clients;
    heading("clients");
    for clients in [1_000, 10_000, 100_000, 1_000_000] {
        show(&clients.to_string(), Size { clients: clients / SIZE.sites, ..SIZE });
    }
    heading(&format!("sites, {all} clients in all"));
    for sites in [1, 10, 100, 1000] {
        show(&sites.to_string(), Size { sites, clients: all / sites, ..SIZE });
    }
}

/// Beside what a file holds already, and without.
fn beside(history: &Path, events: usize) {
    heading("stored before, MB");
    line("0", LANES, &run(SIZE, 500, LANES, events, None, None));
    let bytes = std::fs::metadata(history).unwrap().len();
    line(&(bytes / 1_000_000).to_string(), LANES, &run(SIZE, 500, LANES, events, None, Some(history)));
}

struct Found {
    events: usize,
    took: Duration,
    /// From when each was due to be sent; ascending.
    latencies: Vec<Duration>,
    cpu_s: f64,
    memory_mib: u64,
    file_bytes: u64,
}

impl Found {
    fn events_a_second(&self) -> f64 {
        self.events as f64 / self.took.as_secs_f64()
    }

    fn cpu_s_a_million(&self) -> f64 {
        self.cpu_s / self.events as f64 * 1e6
    }

    fn quantile_ms(&self, q: f64) -> f64 {
        let place = (q * (self.latencies.len() - 1) as f64) as usize;
        self.latencies[place].as_secs_f64() * 1000.0
    }
}

/// Sends so many events, as fast as they are acknowledged or so many a second, to a new file or one with a history.
fn run(
    size: Size,
    batch: usize,
    lanes: usize,
    events: usize,
    events_a_second: Option<f64>,
    history: Option<&Path>,
) -> Found {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("footfall.duckdb");
    if let Some(history) = history {
        std::fs::copy(history, &file).unwrap();
        // Else the first checkpoint waits until the copy is on disk.
        std::fs::File::open(&file).and_then(|file| file.sync_all()).unwrap();
    }
    let bytes = || std::fs::metadata(&file).map_or(0, |found| found.len());
    let bytes_before = bytes();
    let server = Server::start(dir.path());
    for site in 0..size.sites {
        server.put(&format!("/v1/maps/{}", crowd::map_id(site)), &crowd::map(site, size.zones));
    }
    let start_s = Clock::System.now().0 / 1000 - 86_400;
    let deliveries = (events / batch / lanes).max(1);
    let made: Vec<Vec<Request>> = (0..lanes)
        .map(|lane| {
            let mut lane = Lane::new(lane, lanes, size, start_s);
            (0..deliveries).map(|_| lane.request(batch)).collect()
        })
        .collect();
    // Between two deliveries of a lane.
    let pause = events_a_second.map(|rate| Duration::from_secs_f64((batch * lanes) as f64 / rate));
    let (address, cpu_before_s, begun) = (server.address, server.cpu_s(), stopwatch());
    let mut latencies = std::thread::scope(|scope| {
        let sending: Vec<_> = made
            .iter()
            .enumerate()
            .map(|(lane, requests)| {
                // One after the other, not all at once.
                let first = pause.map(|pause| pause * lane as u32 / lanes as u32).unwrap_or_default();
                scope.spawn(move || send(address, requests, begun, first, pause))
            })
            .collect();
        sending.into_iter().flat_map(|lane| lane.join().unwrap()).collect::<Vec<_>>()
    });
    let took = begun.elapsed();
    latencies.sort_unstable();
    let (cpu_s, memory_mib) = (server.cpu_s() - cpu_before_s, server.memory_mib("VmHWM:"));
    server.stop();
    let file_bytes = bytes() - bytes_before;
    Found { events: latencies.len() * batch, took, latencies, cpu_s, memory_mib, file_bytes }
}

/// One after the other over one connection. The time of each counts from when it was due, so that one that is late makes
/// those that wait for it late, too.
fn send(
    address: SocketAddr,
    requests: &[Request],
    begun: Instant,
    first: Duration,
    pause: Option<Duration>,
) -> Vec<Duration> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut answer = Vec::new();
    let mut latencies = Vec::with_capacity(requests.len());
    for (n, request) in requests.iter().enumerate() {
        let due = pause.map_or_else(|| begun.elapsed(), |pause| first + pause * n as u32);
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
        stream.write_all(&request.bytes).unwrap();
        read_answer(&mut stream, &mut answer);
        latencies.push(begun.elapsed() - due);
    }
    latencies
}

/// Reads one answer, which must be 200.
fn read_answer(stream: &mut TcpStream, answer: &mut Vec<u8>) {
    answer.clear();
    let mut piece = [0; 4096];
    loop {
        let length = stream.read(&mut piece).unwrap();
        assert!(length > 0, "the server hung up");
        answer.extend_from_slice(&piece[..length]);
        let text = std::str::from_utf8(answer).unwrap();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        assert!(head.starts_with("HTTP/1.1 200"), "{text}");
        let is_length = |line: &&str| line.to_ascii_lowercase().starts_with("content-length:");
        let length = head.lines().find(is_length).and_then(|line| line.split(':').nth(1)?.trim().parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return;
        }
    }
}

/// Clients that are tracked at once, and how many fixes of each come.
const TRACKED: usize = 200_000;
const ROUNDS: usize = 5;

/// What a great many clients take, all of them in a room: with the default settings, at the end and at most.
fn memory() {
    let dir = TempDir::new().unwrap();
    let server = Server::start(dir.path());
    let size = Size { sites: 1, clients: TRACKED, ..SIZE };
    server.put(&format!("/v1/maps/{}", crowd::map_id(0)), &crowd::map(0, size.zones));
    let mut lane = Lane::new(0, 1, size, Clock::System.now().0 / 1000 - 60);
    let requests: Vec<Request> = (0..TRACKED * ROUNDS / 500).map(|_| lane.request(500)).collect();
    send(server.address, &requests, stopwatch(), Duration::ZERO, None);
    let metrics = server.get("/metrics").unwrap();
    let open = metrics.lines().find_map(|line| line.strip_prefix("footfall_open_visits ")).unwrap_or("?");
    let (now_mib, most_mib) = (server.memory_mib("VmRSS:"), server.memory_mib("VmHWM:"));
    server.stop();
    println!(
        "{TRACKED} clients tracked, {open} visits open: {now_mib} MiB resident, {most_mib} MiB at most (bound: 1024)"
    );
}
