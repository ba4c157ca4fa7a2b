//! The bodies that endpoints are sent: our own, and those of the systems people have already.

use chrono::DateTime;
use chrono_tz::Tz;
use serde_json::{Value, json};

use crate::store::outbox::{AlertEvent, MIST, RESOLVED};

/// What an endpoint understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Our own events, signed after Standard Webhooks.
    Footfall,
    /// The vendor's `occupancy-alerts`, signed as the vendor signs.
    Mist,
    /// An incoming webhook of Slack, or of what takes the same.
    Slack,
    /// `POST /api/v2/alerts` of a Prometheus Alertmanager.
    Alertmanager,
}

impl Format {
    pub const ALL: [Format; 4] = [Format::Footfall, Format::Mist, Format::Slack, Format::Alertmanager];

    pub fn name(self) -> &'static str {
        match self {
            Format::Footfall => "footfall",
            Format::Mist => MIST,
            Format::Slack => "slack",
            Format::Alertmanager => "alertmanager",
        }
    }

    pub fn from_name(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Whether its messages are signed.
    pub fn is_signed(self) -> bool {
        matches!(self, Format::Footfall | Format::Mist)
    }

    /// The body that tells of an event.
    pub fn body(self, event: &AlertEvent) -> Value {
        match self {
            Format::Footfall => json!(event),
            Format::Mist => mist(event),
            Format::Slack => slack(event),
            Format::Alertmanager => alertmanager(event),
        }
    }

    /// The body of a test, that tells of nothing.
    pub fn test_body(self, endpoint: &str, timestamp: &str) -> Value {
        let text = "This is a test: callbacks arrive here.";
        match self {
            Format::Footfall => {
                json!({"type": "test", "timestamp": timestamp, "data": {"callback": endpoint, "summary": text}})
            }
            Format::Mist => {
                let event = json!({"id": NIL, "name": endpoint, "site_id": NIL, "timestamp": unix_s(timestamp)});
                json!({"topic": "ping", "events": [event]})
            }
            Format::Slack => json!({"text": format!("*Footfall* · {}: {text}", escaped(endpoint))}),
            // Firing and over at once, so that nobody is woken.
            Format::Alertmanager => json!([{
                "labels": {"alertname": "FootfallTest", "severity": "info"},
                "annotations": {"summary": text},
                "startsAt": timestamp,
                "endsAt": timestamp,
            }]),
        }
    }
}

/// Stands where the vendor has an id that we are never told.
const NIL: &str = "00000000-0000-0000-0000-000000000000";

fn mist(event: &AlertEvent) -> Value {
    let alert = &event.data;
    let kind = if event.event_type == RESOLVED { "COMPLIANCE-OK" } else { "COMPLIANCE-VIOLATION" };
    json!({"topic": "occupancy-alerts", "events": [{
        "site_id": alert.site_id,
        "site_name": alert.site_name.as_deref().unwrap_or_default(),
        "for_site": true,
        "alert_events": [{
            "type": kind,
            "zone_id": alert.area_id,
            "zone_name": alert.area_name.as_deref().unwrap_or_default(),
            "map_id": alert.map_id,
            "org_id": NIL,
            "current_occupancy": event.clients,
            "occupancy_limit": alert.limit_clients,
            "timestamp": unix_s(&event.timestamp),
        }],
    }]})
}

fn slack(event: &AlertEvent) -> Value {
    let alert = &event.data;
    let (word, color) = match (event.event_type == RESOLVED, alert.severity.as_str()) {
        (true, _) => ("Resolved", "#2e7d32"),
        (_, "critical") => ("Critical", "#c62828"),
        (_, "warning") => ("Warning", "#ef6c00"),
        _ => ("Info", "#1565c0"),
    };
    let again = if event.is_repeat { " (still)" } else { "" };
    let headline = format!("*{word}{again}* · {}", escaped(&alert.rule_name));
    let site = alert.site_name.as_ref().unwrap_or(&alert.site_id);
    let mut place = vec![escaped(site)];
    place.extend(alert.map_name.as_ref().map(|name| escaped(name)));
    let when = local_time(&event.timestamp, &alert.time_zone);
    let mut lines = vec![escaped(&alert.summary)];
    lines.extend(alert.message.as_ref().map(|message| escaped(message)));
    lines.push(format!("{} · {when}", place.join(", ")));
    json!({"text": headline, "attachments": [{"color": color, "text": lines.join("\n"), "fallback": alert.summary}]})
}

/// Characters that Slack takes for markup.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// How far ahead a firing alert is said to end, so that Alertmanager keeps it until it is resolved.
const YEAR_MS: i64 = 31_536_000_000;

fn alertmanager(event: &AlertEvent) -> Value {
    let alert = &event.data;
    let mut labels = serde_json::Map::new();
    let rule = alert.rule_id.to_string();
    for (name, value) in [
        ("alertname", Some(&alert.rule_name)),
        ("severity", Some(&alert.severity)),
        ("rule_id", Some(&rule)),
        ("site_id", Some(&alert.site_id)),
        ("site", alert.site_name.as_ref()),
        ("map_id", alert.map_id.as_ref()),
        ("map", alert.map_name.as_ref()),
        ("area_id", alert.area_id.as_ref()),
        ("area", alert.area_name.as_ref()),
        ("client_id", alert.client_id.as_ref()),
    ] {
        // An empty label is none.
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            labels.insert(name.into(), json!(value));
        }
    }
    let ends_at = match &alert.resolved_at {
        Some(resolved_at) => resolved_at.clone(),
        None => unix_ms(&event.timestamp)
            .map_or_else(|| event.timestamp.clone(), |ms| crate::model::time::rfc3339(ms + YEAR_MS)),
    };
    let mut annotations = json!({"summary": alert.summary});
    if let Some(message) = &alert.message {
        annotations["description"] = json!(message);
    }
    json!([{"labels": labels, "annotations": annotations, "startsAt": alert.fired_at, "endsAt": ends_at}])
}

fn unix_ms(rfc3339: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(rfc3339).ok().map(|time| time.timestamp_millis())
}

fn unix_s(rfc3339: &str) -> Option<i64> {
    unix_ms(rfc3339).map(|ms| ms.div_euclid(1000))
}

/// `14:03:20, 1 July (Europe/Lisbon)`.
fn local_time(rfc3339: &str, zone: &str) -> String {
    let (Ok(time), Ok(tz)) = (DateTime::parse_from_rfc3339(rfc3339), zone.parse::<Tz>()) else {
        return rfc3339.to_owned();
    };
    format!("{} ({zone})", time.with_timezone(&tz).format("%H:%M:%S, %-d %B"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(state: &str) -> AlertEvent {
        let is_resolved = state == "resolved";
        let resolved_at = "2026-07-01T08:05:00.000Z";
        serde_json::from_value(json!({
            "type": format!("alert.{state}"), "is_repeat": false, "clients": if is_resolved { 20 } else { 21 },
            "timestamp": if is_resolved { resolved_at } else { "2026-07-01T08:00:00.000Z" },
            "data": {
                "alert_id": 7, "rule_id": 3, "rule_version": 1, "rule_name": "Too <full>", "severity": "warning",
                "message": "Open gate B & C", "summary": "More than 20 clients in Lobby: 21", "state": state,
                "condition": "above", "limit_clients": 20, "for_s": 60.0, "site_id": "s", "site_name": "Main",
                "time_zone": "Europe/Lisbon", "map_id": "m", "map_name": "", "area_id": "a", "area_kind": "zone",
                "area_name": "Lobby", "since": "2026-07-01T07:59:00.000Z", "fired_at": "2026-07-01T08:00:00.000Z",
                "clients": 21, "resolved_at": is_resolved.then_some(resolved_at),
                "resolved_clients": is_resolved.then_some(20), "is_silenced": false,
            }
        }))
        .unwrap()
    }

    #[test]
    fn the_vendors_consumers_find_what_they_know() {
        let expected = |kind: &str, clients: i64, timestamp: i64| {
            json!({"topic": "occupancy-alerts", "events": [{"site_id": "s", "site_name": "Main", "for_site": true,
                "alert_events": [{"type": kind, "zone_id": "a", "zone_name": "Lobby", "map_id": "m", "org_id": NIL,
                    "current_occupancy": clients, "occupancy_limit": 20, "timestamp": timestamp}]}]})
        };
        assert_eq!(Format::Mist.body(&event("firing")), expected("COMPLIANCE-VIOLATION", 21, 1_782_892_800));
        assert_eq!(Format::Mist.body(&event("resolved")), expected("COMPLIANCE-OK", 20, 1_782_893_100));
    }

    #[test]
    fn slack_is_told_in_the_sites_time_and_markup_is_text() {
        let body = Format::Slack.body(&event("firing"));
        assert_eq!(body["text"], "*Warning* · Too &lt;full&gt;");
        let text = body["attachments"][0]["text"].as_str().unwrap();
        assert!(text.contains("Open gate B &amp; C"), "{text}");
        assert!(text.ends_with("09:00:00, 1 July (Europe/Lisbon)"), "{text}");
    }

    #[test]
    fn alertmanager_keeps_it_until_it_is_resolved_under_the_same_labels() {
        let (firing, resolved) =
            (Format::Alertmanager.body(&event("firing")), Format::Alertmanager.body(&event("resolved")));
        assert_eq!(firing[0]["labels"], resolved[0]["labels"]);
        assert!(firing[0]["labels"].get("map").is_none(), "an empty label is none");
        assert_eq!(firing[0]["startsAt"], resolved[0]["startsAt"]);
        assert_eq!(firing[0]["endsAt"], "2027-07-01T08:00:00.000Z");
        assert_eq!(resolved[0]["endsAt"], "2026-07-01T08:05:00.000Z");
    }

    #[test]
    fn our_own_is_the_event_itself() {
        let event = event("firing");
        assert_eq!(Format::Footfall.body(&event), serde_json::to_value(&event).unwrap());
    }
}
