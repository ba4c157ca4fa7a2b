//! What requests and answers about alerts look like.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::table::{Columns, Kind};
use crate::pipeline::ScheduleTimes;
use crate::store::alerts::Alert;
use crate::store::outbox::Filter;

/// What a rule is to watch, and when it fires.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Lobby too full", "area_id": "0d1f5a52-0001-4c00-8000-000000000001",
    "condition": "above", "limit_clients": 20, "clear_clients": 15, "for_s": 60, "severity": "warning"}))]
pub struct RuleSettings {
    #[schema(example = "Lobby too full", pattern = "\\S")]
    pub name: String,
    /// Watch a whole site: its clients, each counted once. With `tag`: the site of the areas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site_id: Option<String>,
    /// Watch a whole map: its clients, each counted once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map_id: Option<String>,
    /// Watch one area.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub area_id: Option<String>,
    /// `zone`, `vbeacon` or `rssizone`; needed where two areas share an id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub area_kind: Option<String>,
    /// Watch every area with this tag, each on its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// `above` or `below`: more or fewer clients than `limit_clients`, for `for_s`. `dwell`: a client stays in an area
    /// for longer than `for_s`. `no_data`: nothing new has come from the site or map for longer than `for_s`.
    #[schema(example = "above", pattern = "^(above|below|dwell|no_data)$")]
    pub condition: String,
    /// For `above` and `below`.
    #[serde(default, deserialize_with = "super::body::whole_or_null", skip_serializing_if = "Option::is_none")]
    #[schema(example = 20, maximum = 2_147_483_647)]
    pub limit_clients: Option<u32>,
    /// For `above` and `below`: once fired, it goes on until there are no more clients than this, or no fewer. The
    /// limit itself when left out.
    #[serde(default, deserialize_with = "super::body::whole_or_null", skip_serializing_if = "Option::is_none")]
    #[schema(example = 15, maximum = 2_147_483_647)]
    pub clear_clients: Option<u32>,
    /// Seconds; 0 when left out, which only `above` and `below` may.
    #[serde(default)]
    #[schema(example = 60, minimum = 0, maximum = 2_678_400)]
    pub for_s: f64,
    /// Seconds after which callbacks are told again, until it is acknowledged or over. Told once when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = 900, minimum = 10, maximum = 2_678_400)]
    pub repeat_s: Option<f64>,
    /// Weekly times at which it is watched, in the site's time zone. Always when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Vec<ScheduleTimes>>,
    /// `info`, `warning` (when left out) or `critical`.
    #[serde(default = "warning")]
    #[schema(example = "warning", pattern = "^(info|warning|critical)$")]
    pub severity: String,
    /// What to tell people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(default = "yes")]
    pub is_enabled: bool,
}

fn warning() -> String {
    "warning".into()
}

fn yes() -> bool {
    true
}

#[derive(Serialize, ToSchema)]
pub struct AlertRule {
    pub rule_id: u32,
    pub version: u32,
    pub valid_from: String,
    /// Null: it is valid now.
    pub valid_to: Option<String>,
    #[serde(flatten)]
    pub settings: RuleSettings,
}

/// Rules as a table.
pub const RULES: Columns = &[
    ("rule_id", Kind::Integer),
    ("version", Kind::Integer),
    ("valid_from", Kind::Time),
    ("valid_to", Kind::Time),
    ("name", Kind::Text),
    ("site_id", Kind::Text),
    ("map_id", Kind::Text),
    ("area_id", Kind::Text),
    ("area_kind", Kind::Text),
    ("tag", Kind::Text),
    ("condition", Kind::Text),
    ("limit_clients", Kind::Integer),
    ("clear_clients", Kind::Integer),
    ("for_s", Kind::Number),
    ("repeat_s", Kind::Number),
    ("schedule", Kind::Text),
    ("severity", Kind::Text),
    ("message", Kind::Text),
    ("is_enabled", Kind::Flag),
];

#[derive(Serialize, ToSchema)]
pub struct AlertRules {
    pub alert_rules: Vec<AlertRule>,
    /// Rules that uploaded occupancy limits call for, and that are not there. Each can be posted as it is.
    pub offers: Vec<RuleSettings>,
}

/// A rule to try on the past.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"rule": {"name": "Lobby too full", "area_id": "0d1f5a52-0001-4c00-8000-000000000001",
    "condition": "above", "limit_clients": 20}, "from": "-7d"}))]
pub struct PreviewRequest {
    pub rule: RuleSettings,
    /// RFC 3339, or a duration back from now. By default `-24h`.
    pub from: Option<String>,
    /// By default `now`.
    pub to: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct Preview {
    pub from: String,
    pub to: String,
    /// How often it would have fired.
    pub count: usize,
    /// Seconds it would have fired in all, up to the end of the period.
    pub firing_s: f64,
    /// The first 1,000.
    pub alerts: Vec<PreviewAlert>,
}

#[derive(Serialize, ToSchema)]
pub struct PreviewAlert {
    pub site_id: String,
    pub map_id: Option<String>,
    pub area_id: Option<String>,
    pub client_id: Option<String>,
    pub since: String,
    pub fired_at: String,
    pub clients: u32,
    /// Null: it would have gone on at the end of the period.
    pub resolved_at: Option<String>,
    pub resolved_clients: Option<u32>,
}

#[derive(Serialize, ToSchema)]
pub struct Alerts {
    pub alerts: Vec<Alert>,
    /// For the next page; null on the last.
    pub next_cursor: Option<String>,
}

/// Who takes an alert on.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(example = json!({"by": "Night shift", "note": "On my way"}))]
pub struct Acknowledgement {
    #[schema(example = "Night shift")]
    pub by: Option<String>,
    pub note: Option<String>,
}

/// For how long callbacks are not to be told, and why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"for_s": 3600, "reason": "Fire drill", "by": "Night shift"}))]
pub struct AlertSilence {
    /// Seconds from now.
    #[schema(example = 3600, minimum = 1, maximum = 31_622_400)]
    pub for_s: f64,
    #[schema(example = "Fire drill", pattern = "\\S")]
    pub reason: String,
    pub by: Option<String>,
}

/// Which alerts callbacks are not to be told of, for how long, and why. At least one of rule, site, map and area.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"site_id": "4ac1dcf4-9d8b-7211-65c4-057819f0862b", "for_s": 3600, "reason": "Fire drill"}))]
pub struct SilenceRequest {
    #[serde(default, deserialize_with = "super::body::whole_or_null")]
    pub rule_id: Option<u32>,
    pub site_id: Option<String>,
    pub map_id: Option<String>,
    pub area_id: Option<String>,
    /// `zone`, `vbeacon` or `rssizone`; needed where two areas share an id.
    pub area_kind: Option<String>,
    /// Seconds from now.
    #[schema(example = 3600, minimum = 1, maximum = 31_622_400)]
    pub for_s: f64,
    #[schema(example = "Fire drill", pattern = "\\S")]
    pub reason: String,
    pub by: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct Silences {
    pub silences: Vec<Silence>,
}

#[derive(Serialize, ToSchema)]
pub struct Silence {
    pub silence_id: i64,
    pub rule_id: Option<u32>,
    pub site_id: Option<String>,
    pub map_id: Option<String>,
    pub area_id: Option<String>,
    pub client_id: Option<String>,
    pub from: String,
    pub until: String,
    pub reason: String,
    pub by: Option<String>,
}

/// An endpoint to be told of alerts.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Control room", "url": "https://alerts.example.org/footfall",
    "filter": {"severities": ["critical"]}}))]
pub struct CallbackSettings {
    #[schema(example = "Control room", pattern = "\\S")]
    pub name: String,
    #[schema(example = "https://alerts.example.org/footfall", format = "uri")]
    pub url: String,
    /// `footfall` (when left out): our own events, signed after Standard Webhooks. `mist`: the vendor's
    /// `occupancy-alerts`, of areas that are too full, with `X-Mist-Signature-v2`. `slack`: an incoming webhook.
    /// `alertmanager`: a Prometheus Alertmanager's `/api/v2/alerts`.
    #[serde(default)]
    #[schema(pattern = "^(footfall|mist|slack|alertmanager)$")]
    pub format: Option<String>,
    /// What signs: `whsec_` and base64 of 24 to 64 bytes for `footfall`, any text for `mist`. Made, and told once, when
    /// left out of a new endpoint; kept when left out of a change.
    #[serde(default)]
    pub secret: Option<String>,
    /// On a change of secret: whether the old one signs, too, until the next change.
    #[serde(default)]
    pub keep_old_secret: bool,
    /// Further request headers, such as `Authorization`. Kept when left out of a change; never shown again.
    #[serde(default)]
    pub headers: Option<BTreeMap<String, String>>,
    /// Everything when left out.
    #[serde(default)]
    pub filter: Filter,
    #[serde(default = "yes")]
    pub is_enabled: bool,
}

#[derive(Serialize, ToSchema)]
pub struct Callbacks {
    pub callbacks: Vec<Callback>,
}

#[derive(Serialize, ToSchema)]
pub struct Callback {
    pub callback_id: u32,
    pub name: String,
    pub url: String,
    pub format: String,
    /// Only in the answer that makes or changes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// How many secrets sign.
    pub secrets: usize,
    /// Names of further request headers.
    pub header_names: Vec<String>,
    pub filter: Filter,
    pub is_enabled: bool,
    /// Why it was disabled, where nobody asked for it.
    pub disabled_reason: Option<String>,
    /// `closed`: messages go out. `open`: it is down, and nothing is sent before `retry_at`. `half_open`: one message is
    /// being tried.
    #[schema(example = "closed")]
    pub circuit: String,
    /// Attempts in a row that failed.
    pub failures: u32,
    pub retry_at: Option<String>,
    pub created_at: String,
    pub pending: i64,
    /// Given up; see `redeliver`.
    pub dead: i64,
    pub oldest_pending_at: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct Deliveries {
    pub deliveries: Vec<CallbackDelivery>,
    /// For the next page; null on the last.
    pub next_cursor: Option<String>,
}

/// What an endpoint is to be told, and what became of it.
#[derive(Serialize, ToSchema)]
pub struct CallbackDelivery {
    pub delivery_id: i64,
    /// Sent as `webhook-id` with every attempt.
    pub webhook_id: String,
    /// `alert.firing`, `alert.resolved` or `test`.
    #[serde(rename = "type")]
    pub event_type: String,
    pub alert_id: Option<i64>,
    /// `pending`, `delivered` or `dead`.
    pub state: String,
    pub created_at: String,
    pub ended_at: Option<String>,
    pub attempts: u32,
    /// HTTP status of the last answer; null: there was none.
    pub last_status: Option<u16>,
    pub last_problem: Option<String>,
    /// Only of a single delivery: the event, and every attempt, oldest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt_log: Option<Vec<CallbackAttempt>>,
}

#[derive(Serialize, ToSchema)]
pub struct CallbackAttempt {
    pub attempted_at: String,
    /// HTTP status of the answer; null: there was none.
    pub status: Option<u16>,
    pub latency_ms: f64,
    /// The first bytes of the answer.
    pub answer: Option<String>,
    /// Null: it arrived.
    pub problem: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct Redelivered {
    /// How many are tried again.
    pub deliveries: usize,
}
