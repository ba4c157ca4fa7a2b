//! Pseudonyms: who a client is, is replaced before anything is decoded, kept or logged. What goes on knows only the pseudonym.
//!
//! A pseudonym is HMAC-SHA256 of the id under a key that stands in no database. That of a MAC address is a MAC address again: a
//! multicast one, as no client has, with the bit that says whether it is locally administered; so it is told apart and still
//! counted as what it is. That of a UUID is a UUID of version 8, that of any other text 32 hexadecimal digits after `p-`.

use std::collections::BTreeMap;
use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value};
use sha2::Sha256;

use super::fields::topic_name;
use crate::model::ids::{Id, parse_mac};
use crate::model::time::ReceivedAt;

/// Whether a site's clients have pseudonyms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    #[default]
    Off,
    /// The same for ever.
    Keyed,
    /// Another one from each UTC midnight on: a client is nobody's acquaintance the next day.
    Daily,
}

/// The key, and whose clients have pseudonyms.
#[derive(Clone)]
pub struct Pseudonyms {
    key: Vec<u8>,
    default: Mode,
    /// By the settled id of the site.
    sites: BTreeMap<String, Mode>,
}

impl fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pseudonyms {{ default: {:?}, sites: {:?} }}", self.default, self.sites)
    }
}

/// Members that say who a client is, where events are of clients.
const CLIENT_KEYS: [&str; 10] =
    ["mac", "client_mac", "client_id", "client", "wcid", "sdkclient_id", "uuid", "asset_id", "wifi_mac", "id"];

/// Members that name somebody in other ways; they are left out.
const PERSONAL_KEYS: [&str; 24] = [
    "name",
    "device_name",
    "hostname",
    "client_hostname",
    "last_hostname",
    "username",
    "client_username",
    "last_username",
    "user",
    "idp_username",
    "email",
    "auth_email",
    "access_email",
    "sponsor_email",
    "sponsor",
    "mobile",
    "phone",
    "ip",
    "client_ip",
    "ip6",
    "client_ip6",
    "client_ipv6",
    "psk_name",
    "cert_cn",
];

/// Members that name the network's own devices.
const DEVICE_KEYS: [&str; 11] = [
    "ap",
    "aps",
    "ap_mac",
    "bssid",
    "connection_ap",
    "connection_bssid",
    "device",
    "device_mac",
    "switch",
    "gateway",
    "org_id",
];

/// Topics of events that are of no client.
const DEVICE_TOPICS: [&str; 6] = ["device", "mxedge", "audits", "alarms", "ping", "occupancy-alerts"];

/// Topics whose `id` and `name` are a client's; elsewhere they are an event's.
const CLIENT_TOPICS: [&str; 7] =
    ["location", "zone", "rssizone", "vbeacon", "sdkclient-scan-data", "asset-raw-rssi", "discovered-raw-rssi"];

const DAY_MS: i64 = 86_400_000;

impl Pseudonyms {
    pub fn new(key: Vec<u8>, default: Mode, sites: BTreeMap<String, Mode>) -> Pseudonyms {
        Pseudonyms { key, default, sites }
    }

    /// The body with pseudonyms. What cannot be read whole must not be kept: it may hold anybody. Costs parsing it once more.
    pub fn apply(&self, body: &[u8], received_at: ReceivedAt) -> Result<Vec<u8>, serde_json::Error> {
        let mut body: Value = serde_json::from_slice(body)?;
        let topic = topic_name(body["topic"].as_str().unwrap_or_default());
        let starts =
            |known: &str| topic.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
        if !DEVICE_TOPICS.iter().any(|known| starts(known)) {
            let of_clients = CLIENT_TOPICS.iter().any(|known| starts(known));
            match body.get_mut("events") {
                Some(Value::Array(events)) => {
                    events.iter_mut().for_each(|event| self.event(event, of_clients, received_at));
                }
                Some(event) if !event.is_null() => self.event(event, of_clients, received_at),
                _ => self.event(&mut body, of_clients, received_at),
            }
        }
        serde_json::to_vec(&body)
    }

    /// Every pseudonym that a client's id has, or has had within so many days.
    pub fn of(&self, id: &str, now: ReceivedAt, days: i64) -> Vec<String> {
        let modes: Vec<Mode> = self.sites.values().copied().chain([self.default]).collect();
        let mut found = Vec::new();
        if modes.contains(&Mode::Keyed) {
            found.push(self.pseudonym(id, None));
        }
        if modes.contains(&Mode::Daily) {
            let today = now.0.div_euclid(DAY_MS);
            found.extend((today - days..=today + 1).map(|day| self.pseudonym(id, Some(day))));
        }
        found
    }

    fn event(&self, event: &mut Value, of_clients: bool, received_at: ReceivedAt) {
        let site =
            ["site_id", "siteid"].iter().find_map(|key| event.get(key)?.as_str()).map(|id| Id::object(id).to_string());
        let mode = match site {
            Some(site) => self.sites.get(&site).copied().unwrap_or(self.default),
            // Of a site that is not said: as the most careful one would have it.
            None if self.default == Mode::Off => {
                self.sites.values().copied().find(|mode| *mode != Mode::Off).unwrap_or_default()
            }
            None => self.default,
        };
        let day = match mode {
            Mode::Off => return,
            Mode::Keyed => None,
            Mode::Daily => Some(at_ms(event).unwrap_or(received_at.0).div_euclid(DAY_MS)),
        };
        self.value(event, "", of_clients, day);
    }

    fn value(&self, value: &mut Value, key: &str, of_clients: bool, day: Option<i64>) {
        match value {
            Value::Object(members) => self.members(members, of_clients, day),
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item, key, of_clients, day)),
            Value::String(_) if DEVICE_KEYS.contains(&key) => {}
            Value::String(text) => {
                let is_id = CLIENT_KEYS.contains(&key) && (of_clients || key != "id");
                *text = if is_id && !text.is_empty() { self.pseudonym(text, day) } else { self.text(text, day) };
            }
            Value::Number(number) if CLIENT_KEYS.contains(&key) && of_clients => {
                *value = Value::String(self.pseudonym(&number.to_string(), day));
            }
            _ => {}
        }
    }

    fn members(&self, members: &mut Map<String, Value>, of_clients: bool, day: Option<i64>) {
        members.retain(|key, _| !PERSONAL_KEYS.contains(&key.as_str()));
        for (key, value) in members.iter_mut() {
            self.value(value, key, of_clients, day);
        }
    }

    /// A text with a pseudonym for each MAC address that stands in it.
    fn text(&self, text: &str, day: Option<i64>) -> String {
        let is_part = |c: char| c.is_ascii_hexdigit() || matches!(c, ':' | '-' | '.');
        let mut told = String::with_capacity(text.len());
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest.find(|c| is_part(c) != rest.starts_with(is_part)).unwrap_or(rest.len());
            let (part, after) = rest.split_at(end);
            let word = part.trim_matches([':', '-', '.']);
            match parse_mac(word.as_bytes()) {
                Some(_) => told.push_str(&part.replace(word, &self.pseudonym(word, day))),
                None => told.push_str(part),
            }
            rest = after;
        }
        told
    }

    fn pseudonym(&self, id: &str, day: Option<i64>) -> String {
        let id = Id::client(id);
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.key).expect("a key of any length will do");
        mac.update(id.to_string().as_bytes());
        if let Some(day) = day {
            mac.update(format!("|{day}").as_bytes());
        }
        let digest = mac.finalize().into_bytes();
        let bits = |count: usize| digest[..count].iter().fold(0u128, |all, byte| all << 8 | u128::from(*byte));
        /// Of the first byte of an address: group, and locally administered.
        const GROUP: u64 = 1 << 40;
        const LOCAL: u64 = 2 << 40;
        match id {
            Id::Mac(address) => Id::Mac((bits(6) as u64 & !LOCAL) | GROUP | (address & LOCAL)).to_string(),
            Id::Uuid(_) => {
                let versioned = bits(16) & !(0xf << 76) | 0x8 << 76;
                Id::Uuid(versioned & !(0x3 << 62) | 0x2 << 62).to_string()
            }
            Id::Text(_) => format!("p-{}", hex::encode(&digest[..16])),
        }
    }
}

/// When an event was, Unix milliseconds, as far as it says.
fn at_ms(event: &Value) -> Option<i64> {
    let number = ["timestamp", "time", "when", "last_seen"].iter().find_map(|key| match event.get(key)? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    })?;
    Some(if number.abs() > 1.0e11 { number as i64 } else { (number * 1000.0) as i64 })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: ReceivedAt = ReceivedAt(1_782_892_800_000);

    fn keyed(default: Mode, sites: &[(&str, Mode)]) -> Pseudonyms {
        let sites = sites.iter().map(|(id, mode)| ((*id).to_owned(), *mode)).collect();
        Pseudonyms::new(b"a key that nobody knows, of 32 b".to_vec(), default, sites)
    }

    fn applied(pseudonyms: &Pseudonyms, body: &Value) -> Value {
        serde_json::from_slice(&pseudonyms.apply(body.to_string().as_bytes(), NOW).unwrap()).unwrap()
    }

    #[test]
    fn who_a_client_is_stands_in_nothing_that_is_left() {
        let body = json!({"topic": "client-join", "events": [{"site_id": "s", "id": "e1", "mac": "5c:5b:35:00:00:0a",
            "client_hostname": "anns-phone", "ap": "5c5b35aaaaaa", "bssid": "5c5b35aaaaab", "timestamp": 1782892800,
            "text": "client 5c-5b-35-00-00-0a, (5C5B.3500.000A) joined", "more": [{"client_mac": "5c5b3500000a"}]}]});
        let told = applied(&keyed(Mode::Keyed, &[]), &body);
        let text = told.to_string();
        assert!(!text.contains("anns-phone") && !text.contains("00000a") && !text.contains("00-00-0a"), "{text}");
        let event = &told["events"][0];
        assert_eq!(
            (&event["ap"], &event["bssid"], &event["id"]),
            (&json!("5c5b35aaaaaa"), &json!("5c5b35aaaaab"), &json!("e1"))
        );
        let pseudonym = event["mac"].as_str().unwrap();
        assert_eq!(event["more"][0]["client_mac"], pseudonym);
        assert_eq!(event["text"], format!("client {pseudonym}, ({pseudonym}) joined"));
    }

    #[test]
    fn a_pseudonym_keeps_its_sort_and_is_no_clients_own() {
        let pseudonyms = keyed(Mode::Keyed, &[]);
        for (address, is_local) in [("5c5b3500000a", false), ("5e5b3500000a", true)] {
            let told = pseudonyms.pseudonym(address, None);
            let first = u8::from_str_radix(&told[..2], 16).unwrap();
            assert_eq!((told.len(), first & 1, first & 2 != 0), (12, 1, is_local), "{told}");
            assert_eq!(told, pseudonyms.pseudonym(&address.to_uppercase(), None));
        }
        let uuid = pseudonyms.pseudonym("6c89edcb-1f2b-4a2e-9d2e-1f2e3d4c5b6a", None);
        assert!(matches!(Id::client(&uuid), Id::Uuid(_)) && uuid.as_bytes()[14] == b'8', "{uuid}");
        assert!(pseudonyms.pseudonym("badge 12", None).starts_with("p-"));
        let other = Pseudonyms::new(b"another key".to_vec(), Mode::Keyed, BTreeMap::new());
        assert_ne!(other.pseudonym("5c5b3500000a", None), pseudonyms.pseudonym("5c5b3500000a", None));
    }

    #[test]
    fn sites_decide_and_a_site_that_is_not_said_is_the_careful_one() {
        let pseudonyms = keyed(Mode::Off, &[("a", Mode::Keyed)]);
        let event = |site: Value| json!({"topic": "location", "events": {"site_id": site, "mac": "5c5b3500000a", "name": "Ann"}});
        let of = |site: Value| applied(&pseudonyms, &event(site))["events"].clone();
        assert_eq!(of(json!("b")), event(json!("b"))["events"]);
        assert_ne!(of(json!("a"))["mac"], "5c5b3500000a");
        assert_ne!(of(Value::Null)["mac"], "5c5b3500000a");
        assert_eq!(of(json!("a"))["name"], Value::Null);
        // Events of devices stay as they are.
        let device =
            json!({"topic": "device-updowns", "events": [{"site_id": "a", "mac": "5c5b35aaaaaa", "name": "AP 1"}]});
        assert_eq!(applied(&pseudonyms, &device), device);
    }

    #[test]
    fn a_day_later_it_is_somebody_else() {
        let pseudonyms = keyed(Mode::Daily, &[]);
        let of = |timestamp: f64| {
            let event = json!({"topic": "location", "events": [{"mac": "5c5b3500000a", "timestamp": timestamp}]});
            applied(&pseudonyms, &event)["events"][0]["mac"].as_str().unwrap().to_owned()
        };
        // 2026-07-01T08:00, 23:59:59, and a second later.
        assert_eq!(of(1_782_892_800.0), of(1_782_950_399.0));
        assert_ne!(of(1_782_950_399.0), of(1_782_950_400.0));
        assert_eq!(of(1_782_892_800_000.0), of(1_782_892_800.0));
        assert!(pseudonyms.of("5c:5b:35:00:00:0a", NOW, 30).contains(&of(1_782_892_800.0)));
    }

    #[test]
    fn what_is_no_json_is_not_passed_on() {
        assert!(keyed(Mode::Keyed, &[]).apply(b"{", NOW).is_err());
        let deep = format!(
            "{{\"topic\":\"x\",\"events\":[{{\"mac\":\"5c5b3500000a\",\"a\":{}1{}}}]}}",
            "[".repeat(500),
            "]".repeat(500)
        );
        assert!(keyed(Mode::Keyed, &[]).apply(deep.as_bytes(), NOW).is_err());
        let bare = json!({"topic": "zone", "mac": "5c5b3500000a", "zone_id": "z"});
        assert_ne!(applied(&keyed(Mode::Keyed, &[]), &bare)["mac"], "5c5b3500000a");
    }
}
