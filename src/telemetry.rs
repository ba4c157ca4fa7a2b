//! What the server counts of itself, and the log.

use std::io::IsTerminal;

use prometheus::{
    Encoder, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

/// Every metric, by field. Cheap to clone: clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    /// By source, topic and the HTTP status answered.
    pub deliveries: IntCounterVec,
    /// By topic and what became of them: stored, duplicate, quarantined.
    pub events: IntCounterVec,
    /// Events set aside, by the member that was at fault.
    pub quarantined_events: IntCounterVec,
    /// From when the newest fix of a commit was to the commit.
    pub ingest_lag_seconds: Histogram,
    /// Events stored that were too late to move anything live.
    pub late_events: IntCounter,
    /// Reported exits of clients that were not in the area.
    pub unmatched_exits: IntCounter,
    /// HTTP connections that are open.
    pub connections: IntGauge,
    /// Those hung up on because there were as many as there may be.
    pub connections_refused: IntCounter,
    pub queue_deliveries: IntGauge,
    pub queue_bytes: IntGauge,
    pub commit_seconds: Histogram,
    pub commit_events: Histogram,
    pub commit_failures: IntCounter,
    pub open_visits: IntGauge,
    /// What the file takes, its write-ahead log apart.
    pub file_bytes: IntGauge,
    pub log_bytes: IntGauge,
    /// -1 where the system does not tell.
    pub disk_free_bytes: IntGauge,
    /// By endpoint, its name, and whether they arrived: delivered, failed.
    pub callback_attempts: IntCounterVec,
    /// By severity.
    pub alerts_firing: IntGaugeVec,
    /// By endpoint and its name, as are the next two.
    pub callbacks_pending: IntGaugeVec,
    pub callbacks_dead: IntGaugeVec,
    pub callback_oldest_pending: GaugeVec,
    /// Unix seconds each site's clock has reached, by site.
    pub site_clock: IntGaugeVec,
}

impl Metrics {
    #[expect(clippy::new_without_default, reason = "a second set would count apart; make one and clone it")]
    pub fn new() -> Metrics {
        let registry = Registry::new();
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let made = IntCounterVec::new(Opts::new(name, help), labels).expect("names and labels are valid");
            registry.register(Box::new(made.clone())).expect("each name is used once");
            made
        };
        let counter = |name: &str, help: &str| {
            let made = IntCounter::new(name, help).expect("the name is valid");
            registry.register(Box::new(made.clone())).expect("each name is used once");
            made
        };
        let gauge = |name: &str, help: &str| {
            let made = IntGauge::new(name, help).expect("the name is valid");
            registry.register(Box::new(made.clone())).expect("each name is used once");
            made
        };
        let histogram = |name: &str, help: &str, buckets: Vec<f64>| {
            let made = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets)).expect("valid buckets");
            registry.register(Box::new(made.clone())).expect("each name is used once");
            made
        };
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            let made = IntGaugeVec::new(Opts::new(name, help), labels).expect("names and labels are valid");
            registry.register(Box::new(made.clone())).expect("each name is used once");
            made
        };
        let callback_oldest_pending = GaugeVec::new(
            Opts::new("footfall_callback_oldest_pending_seconds", "Age of the oldest callback that has not arrived"),
            &["callback", "name"],
        )
        .expect("names and labels are valid");
        registry.register(Box::new(callback_oldest_pending.clone())).expect("each name is used once");
        Metrics {
            deliveries: counters(
                "footfall_deliveries_total",
                "Webhook deliveries by source, topic and HTTP status",
                &["source", "topic", "status"],
            ),
            events: counters(
                "footfall_events_total",
                "Events by topic and outcome: stored, duplicate, quarantined",
                &["topic", "outcome"],
            ),
            quarantined_events: counters(
                "footfall_quarantined_events_total",
                "Events set aside, by the member that was at fault",
                &["reason"],
            ),
            ingest_lag_seconds: histogram(
                "footfall_ingest_lag_seconds",
                "Seconds from when the newest position of a commit was until it is stored",
                prometheus::exponential_buckets(0.25, 2.0, 16).expect("valid buckets"),
            ),
            late_events: counter("footfall_late_events_total", "Events stored that moved nothing live"),
            unmatched_exits: counter(
                "footfall_unmatched_exits_total",
                "Reported exits of clients that were not in the area",
            ),
            connections: gauge("footfall_connections", "HTTP connections that are open"),
            connections_refused: counter(
                "footfall_connections_refused_total",
                "Connections hung up on because there were server.connections_max already",
            ),
            queue_deliveries: gauge("footfall_queue_deliveries", "Deliveries waiting for their commit"),
            queue_bytes: gauge("footfall_queue_bytes", "Body bytes waiting for their commit"),
            commit_seconds: histogram(
                "footfall_commit_seconds",
                "Seconds that the commit of deliveries took",
                prometheus::exponential_buckets(0.001, 2.0, 13).expect("valid buckets"),
            ),
            commit_events: histogram(
                "footfall_commit_events",
                "Events in one commit",
                prometheus::exponential_buckets(1.0, 4.0, 10).expect("valid buckets"),
            ),
            commit_failures: counter("footfall_commit_failures_total", "Commits that failed; their deliveries got 503"),
            file_bytes: gauge("footfall_file_bytes", "Bytes of the DuckDB file"),
            log_bytes: gauge("footfall_log_bytes", "Bytes of the file's write-ahead log, which a checkpoint empties"),
            disk_free_bytes: gauge("footfall_disk_free_bytes", "Bytes of the file's disk that may still be written"),
            open_visits: gauge("footfall_open_visits", "Visits open now, of both sources"),
            callback_attempts: counters(
                "footfall_callback_attempts_total",
                "Attempts to tell endpoints of alerts, by outcome: delivered, failed",
                &["callback", "name", "outcome"],
            ),
            alerts_firing: gauges("footfall_alerts_firing", "Alerts that fire now, by severity", &["severity"]),
            callbacks_pending: gauges(
                "footfall_callbacks_pending",
                "What endpoints are still to be told",
                &["callback", "name"],
            ),
            callbacks_dead: gauges(
                "footfall_callbacks_dead",
                "What endpoints were not told, and is given up",
                &["callback", "name"],
            ),
            callback_oldest_pending,
            site_clock: gauges("footfall_site_clock_seconds", "Unix time the site's clock has reached", &["site"]),
            registry,
        }
    }

    /// The Prometheus text format, with or without what tells of single clients.
    pub fn render(&self, with_clients: bool) -> String {
        let mut text = Vec::new();
        let mut families = self.registry.gather();
        families.retain(|family| with_clients || !OF_CLIENTS.contains(&family.name()));
        TextEncoder::new().encode(&families, &mut text).expect("writing to memory cannot fail");
        String::from_utf8(text).expect("the text format is UTF-8")
    }
}

/// Metrics that tell of single clients: visits, and alerts that somebody sets off.
const OF_CLIENTS: [&str; 4] = [
    "footfall_open_visits",
    "footfall_alerts_firing",
    "footfall_callback_attempts_total",
    "footfall_callbacks_pending",
];

/// Sends the log to standard error: `FOOTFALL_LOG` filters it (such as `info,footfall=debug`), `json` makes each
/// line an object.
pub fn init_log(is_json: bool) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("FOOTFALL_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        // A log that cannot be written must not end the program, as complaining about it on standard error would.
        .log_internal_errors(false);
    // A second call, as tests make, changes nothing.
    let _ = if is_json { log.json().try_init() } else { log.try_init() };
}
