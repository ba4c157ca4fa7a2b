//! Pseudonyms: what stands for a client's id where the id itself must not be stored.
//!
//! A keyed hash of the id, so that nobody without the key can tell whose it is, not by trying every address either. With a
//! day in it the same client is somebody else the next day.

mod key;

use chrono::NaiveDate;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

pub use key::{Key, KeyError, KeyFile};

use crate::model::event::Fingerprint;
use crate::model::ids::{Id, parse_mac};

/// Members of raw events that say who somebody is in other words.
const TELLING: [&str; 13] = [
    "name",
    "device_name",
    "hostname",
    "client_hostname",
    "last_hostname",
    "username",
    "client_username",
    "user",
    "last_username",
    "ip",
    "client_ip",
    "client_ip6",
    "asset_id",
];

/// Puts pseudonyms in place of ids: the same ones for ever, or those of one day.
#[derive(Clone, Copy, Debug)]
pub struct Veil<'a> {
    key: &'a Key,
    day: Option<NaiveDate>,
}

impl<'a> Veil<'a> {
    pub fn new(key: &'a Key, day: Option<NaiveDate>) -> Veil<'a> {
        Veil { key, day }
    }

    /// `p-` and 16 hex digits; `pr-` where the id is an address that its phone made up (it is locally administered).
    pub fn id(&self, id: &Id) -> String {
        let is_randomised = matches!(id, Id::Mac(mac) if mac >> 40 & 0b10 != 0);
        let day = self.day.map_or(String::new(), |day| day.to_string());
        let hash = self.hash(format!("client {day} {id}").as_bytes());
        format!("{}-{}", if is_randomised { "pr" } else { "p" }, hex::encode(&hash[..8]))
    }

    /// A fingerprint from which nobody can try out what the event said.
    pub fn fingerprint(&self, print: Fingerprint) -> Fingerprint {
        let hash = self.hash(format!("event {}", print.0).as_bytes());
        Fingerprint(u64::from_be_bytes(hash[..8].try_into().expect("a hash has 32 bytes")))
    }

    /// A raw event: `client`, and every MAC address that is not among `spared`, under its pseudonym; without what else
    /// tells who it was. What is no JSON is taken for plain text.
    pub fn raw(&self, raw: &str, client: Option<&Id>, spared: &[u64]) -> String {
        match serde_json::from_str(raw) {
            Ok(mut value) => {
                self.cover(&mut value, client, spared);
                value.to_string()
            }
            Err(_) => self.text(raw, spared),
        }
    }

    fn cover(&self, value: &mut Value, client: Option<&Id>, spared: &[u64]) {
        match value {
            Value::String(text) => {
                let is_client = client.is_some_and(|client| Id::client(text) == *client);
                *text = match client {
                    Some(client) if is_client => self.id(client),
                    _ => self.text(text, spared),
                };
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.cover(item, client, spared)),
            Value::Object(members) => {
                let held = std::mem::take(members);
                for (name, mut member) in held {
                    if !TELLING.contains(&name.as_str()) {
                        self.cover(&mut member, client, spared);
                        members.insert(self.text(&name, spared), member);
                    }
                }
            }
            _ => {}
        }
    }

    /// A text with every MAC address in it, however it is spelled, under its pseudonym.
    pub fn text(&self, text: &str, spared: &[u64]) -> String {
        let mut covered = String::with_capacity(text.len());
        let mut rest = 0;
        let mut at = 0;
        while at < text.len() {
            match mac_at(text.as_bytes(), at) {
                Some((mac, length)) => {
                    if !spared.contains(&mac) {
                        covered.push_str(&text[rest..at]);
                        covered.push_str(&self.id(&Id::Mac(mac)));
                        rest = at + length;
                    }
                    at += length;
                }
                None => at += 1,
            }
        }
        covered.push_str(&text[rest..]);
        covered
    }

    fn hash(&self, what: &[u8]) -> [u8; 32] {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(self.key.bytes()).expect("an HMAC takes any key");
        mac.update(what);
        mac.finalize().into_bytes().into()
    }
}

/// A MAC address that begins at `at` and is no part of something longer, and its length in bytes.
fn mac_at(text: &[u8], at: usize) -> Option<(u64, usize)> {
    let is_separator = |byte: u8| matches!(byte, b':' | b'-' | b'.');
    let byte = |at: usize| text.get(at).copied().unwrap_or(b' ');
    let before = if at == 0 { b' ' } else { text[at - 1] };
    let goes_on = is_separator(before) && at > 1 && text[at - 2].is_ascii_hexdigit();
    if !byte(at).is_ascii_hexdigit() || before.is_ascii_alphanumeric() || goes_on {
        return None;
    }
    let (mut end, mut digits) = (at, 0);
    while digits < 12 {
        if byte(end).is_ascii_hexdigit() {
            digits += 1;
        } else if !(is_separator(byte(end)) && digits % 2 == 0 && !is_separator(text[end - 1])) {
            return None;
        }
        end += 1;
    }
    let is_longer = byte(end).is_ascii_alphanumeric() || is_separator(byte(end)) && byte(end + 1).is_ascii_hexdigit();
    (!is_longer).then(|| parse_mac(&text[at..end])).flatten().map(|mac| (mac, end - at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key::from_hex(&"ab".repeat(32)).unwrap()
    }

    #[test]
    fn a_pseudonym_is_the_clients_alone_and_the_days() {
        let key = key();
        let day = |text: &str| Veil::new(&key, Some(text.parse().unwrap()));
        let (first, second) = (day("2026-07-01"), day("2026-07-02"));
        let client = Id::client("5684dae9ac8b");
        assert_eq!(first.id(&client), first.id(&Id::client("56:84:DA:E9:AC:8B")));
        assert_ne!(first.id(&client), second.id(&client));
        assert_ne!(first.id(&client), Veil::new(&key, None).id(&client));
        let other = Key::from_hex(&"cd".repeat(32)).unwrap();
        assert_ne!(Veil::new(&other, None).id(&client), Veil::new(&key, None).id(&client));
        assert!(first.id(&client).starts_with("pr-") && first.id(&Id::client("5484dae9ac8b")).starts_with("p-"));
        assert!(first.id(&Id::client("2686d2b6-0000-4000-8000-000000000001")).starts_with("p-"));
    }

    #[test]
    fn addresses_in_texts_are_covered_and_nothing_else_is() {
        let key = key();
        let veil = Veil::new(&key, None);
        let ours = veil.id(&Id::client("5684dae9ac8b"));
        for text in ["5684dae9ac8b", "56:84:DA:E9:AC:8B", "56-84-da-e9-ac-8b", "5684.dae9.ac8b"] {
            assert_eq!(veil.text(&format!("of {text}, seen"), &[]), format!("of {ours}, seen"), "{text}");
        }
        for text in ["63eda950-c6da-11e4-a628-60f81dd250cc", "x5684dae9ac8b", "5684dae9ac8b0", "12:30:45", "é", ""] {
            assert_eq!(veil.text(text, &[]), text);
        }
        assert_eq!(veil.text("5684dae9ac8b 5c5b35000001", &[0x5c5b_3500_0001]), format!("{ours} 5c5b35000001"));
    }

    #[test]
    fn a_raw_event_keeps_its_measurements_and_loses_who_it_was() {
        let key = key();
        let veil = Veil::new(&key, None);
        let raw = r#"{"mac":"56:84:da:e9:ac:8b","ap":"5c5b35000001","rssi":-60,"client_hostname":"anns-phone",
            "timestamp":1782892800000,"list":[{"id":"S-1","username":"ann"}]}"#;
        let covered: Value =
            serde_json::from_str(&veil.raw(raw, Some(&Id::client("S-1")), &[0x5c5b_3500_0001])).unwrap();
        let mac = veil.id(&Id::client("5684dae9ac8b"));
        let expected = serde_json::json!({"mac": mac, "ap": "5c5b35000001", "rssi": -60, "timestamp": 1782892800000_i64,
            "list": [{"id": veil.id(&Id::client("S-1"))}]});
        assert_eq!(covered, expected);
        assert_eq!(veil.raw("{56:84:da:e9:ac:8b", None, &[]), format!("{{{mac}"));
    }
}
