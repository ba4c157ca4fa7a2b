//! How single fields are read: times, ids, kinds, and what tells one event from its twin.
//!
//! The rules are those of mist-webhooks.md, section 8.

use std::ops::Range;

use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::decode::Reason;
use super::payload::{Location, RawRssi};
use super::scalar::{Number, Text};
use crate::model::event::{Beacon, Fingerprint, Stamp, Trigger};
use crate::model::ids::{AreaKind, ClientId, ClientKind, ID_BYTES_MAX, Id, MapId, SiteId};
use crate::model::time::{EventTime, ReceivedAt};

/// How far ahead of its receipt an event may lie. Beyond it the sender's clock is wrong, and would take the site's
/// clock with it.
const AHEAD_MS_MAX: i64 = 5 * 60_000;

/// A topic in its settled spelling: lower case, hyphens for underscores.
pub fn topic_name(text: &str) -> String {
    text.chars().take(ID_BYTES_MAX).map(|c| if c == '_' { '-' } else { c.to_ascii_lowercase() }).collect()
}

/// Turns timestamps into event times, knowing when the delivery came.
#[derive(Clone, Copy, Debug)]
pub struct Stamper {
    pub received_at: ReceivedAt,
    /// How old an event may be, milliseconds; none: as old as it likes.
    pub age_ms_max: Option<i64>,
}

impl Stamper {
    /// Epoch seconds, or milliseconds when that large, to the millisecond. No timestamp: the time of receipt, marked.
    pub fn stamp(self, timestamp: Number) -> Result<Stamp, Reason> {
        let number = match timestamp {
            Number::Of(number) => number,
            Number::Missing => {
                return Ok(Stamp { at: EventTime(self.received_at.0), is_received_time: true });
            }
            Number::Unreadable => return Err("`timestamp` is not a number".into()),
        };
        let ms = if number.abs() > 1.0e11 { number } else { number * 1000.0 };
        if ms < 0.0 {
            return Err(format!("`timestamp` {number} lies before 1970"));
        }
        // Saturates far ahead, which the next check refuses.
        let at_ms = ms.round() as i64;
        if at_ms.saturating_sub(self.received_at.0) > AHEAD_MS_MAX {
            let ahead_s = at_ms.saturating_sub(self.received_at.0) / 1000;
            return Err(format!("`timestamp` {number} is {ahead_s} s ahead of its receipt; up to 300 s is taken"));
        }
        let age_ms = self.received_at.0 - at_ms;
        if self.age_ms_max.is_some_and(|max| age_ms > max) {
            let age_h = age_ms as f64 / 3.6e6;
            return Err(format!("`timestamp` {number} is {age_h:.1} h old; this source refuses that (refuse_older_h)"));
        }
        Ok(Stamp { at: EventTime(at_ms), is_received_time: false })
    }
}

/// The first of several spellings that is there.
pub fn first<'a>(texts: &[&'a Text<'_>]) -> Option<&'a str> {
    texts.iter().find_map(|text| text.get())
}

/// An id, refused when longer than any id is.
pub fn bounded(id: &str) -> Result<&str, Reason> {
    match id.len() <= ID_BYTES_MAX {
        true => Ok(id),
        false => Err(format!("an id of {} bytes is longer than {ID_BYTES_MAX}", id.len())),
    }
}

pub fn site_id(texts: &[&Text<'_>]) -> Result<Option<SiteId>, Reason> {
    Ok(first(texts).map(bounded).transpose()?.map(SiteId::from))
}

pub fn map_id(texts: &[&Text<'_>]) -> Result<Option<MapId>, Reason> {
    Ok(first(texts).map(bounded).transpose()?.map(MapId::from))
}

/// A MAC in its settled form; other text as it came.
pub fn mac_text(text: &Text<'_>) -> Option<String> {
    text.get().map(|text| Id::client(text).to_string())
}

pub fn trigger(text: &Text<'_>) -> Option<Trigger> {
    let text = text.get()?;
    if text.eq_ignore_ascii_case("enter") {
        Some(Trigger::Enter)
    } else if text.eq_ignore_ascii_case("exit") {
        Some(Trigger::Exit)
    } else {
        None
    }
}

/// Which of [rssizone, vbeacon, beacon, zone] ids name an area of this kind, the likeliest first.
pub fn area_id_fields(kind: AreaKind) -> Range<usize> {
    match kind {
        AreaKind::Zone => 3..4,
        AreaKind::Rssizone => 0..1,
        AreaKind::Vbeacon => 1..4,
    }
}

/// The kind a topic or `type` states, else the one its identity suggests. Only the topic tells an unconnected Wi-Fi
/// client from a connected one.
pub fn client_kind(topic: &str, types: &[&Text<'_>], has_sdk_id_only: impl FnOnce() -> bool) -> ClientKind {
    if topic == "location-unclient" {
        return ClientKind::Unconnected;
    }
    let stated = types.iter().find_map(|text| match text.get()? {
        "unconnected" => None,
        name => ClientKind::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name)),
    });
    stated.unwrap_or_else(|| match topic {
        "location-sdk" => ClientKind::Sdk,
        "location-asset" => ClientKind::Asset,
        _ if has_sdk_id_only() => ClientKind::Sdk,
        _ => ClientKind::Wifi,
    })
}

/// Who: Wi-Fi clients and assets by MAC, SDK clients by their own id; whichever else is there when that is missing.
pub fn client_id(
    kind: ClientKind,
    macs: &[&Text<'_>],
    sdk_ids: &[&Text<'_>],
    asset_id: &Text<'_>,
) -> Result<ClientId, Reason> {
    let found = match kind {
        ClientKind::Sdk => first(sdk_ids).or_else(|| first(macs)),
        _ => first(macs).or_else(|| asset_id.get()).or_else(|| first(sdk_ids)),
    };
    let found = bounded(found.ok_or("neither `mac` nor `id` is there, so nobody is named")?)?;
    Ok(ClientId { kind, id: Id::client(found) })
}

/// What a located client broadcast, if it said anything beside its position.
pub fn location_beacon(payload: &Location<'_>) -> Option<Box<Beacon>> {
    let beacon = Beacon {
        ibeacon_uuid: payload.ibeacon_uuid.owned(),
        ibeacon_major: payload.ibeacon_major.i32(),
        ibeacon_minor: payload.ibeacon_minor.i32(),
        eddystone_uid_namespace: payload.eddystone_uid_namespace.owned(),
        eddystone_uid_instance: payload.eddystone_uid_instance.owned(),
        eddystone_url: payload.eddystone_url_url.owned(),
        mfg_company_id: payload.mfg_company_id.i32(),
        mfg_data: payload.mfg_data.owned(),
        battery_mv: payload.battery_voltage.i32(),
        frames_json: payload.wifi_beacon_extended_info.map(|raw| raw.get().to_owned()),
    };
    (beacon != Beacon::default()).then(|| Box::new(beacon))
}

pub fn raw_beacon(payload: &RawRssi<'_>) -> Beacon {
    let frames = payload.service_packets.or(payload.extended_info_list);
    Beacon {
        ibeacon_uuid: payload.ibeacon_uuid.owned(),
        ibeacon_major: payload.ibeacon_major.i32(),
        ibeacon_minor: payload.ibeacon_minor.i32(),
        mfg_company_id: payload.mfg_company_id.i32(),
        mfg_data: payload.mfg_data.owned(),
        frames_json: frames.map(|raw| raw.get().to_owned()),
        ..Beacon::default()
    }
}

/// The fingerprint of an event that has an id of its own.
pub fn fingerprint_of_id(topic: &str, id: &str) -> Fingerprint {
    let mut hasher = Sha256::new();
    feed(&mut hasher, b't', topic);
    feed(&mut hasher, b'i', id);
    finish(hasher)
}

/// The fingerprint of all an event says, whatever the order of its keys. `for_site` is left out: it tells by which
/// of two webhooks the event came, not what happened.
pub fn fingerprint(topic: &str, event: &RawValue) -> Result<Fingerprint, Reason> {
    let value: Value = serde_json::from_str(event.get()).map_err(|error| format!("not readable as JSON: {error}"))?;
    let mut hasher = Sha256::new();
    feed(&mut hasher, b't', topic);
    feed_value(&mut hasher, &value);
    Ok(finish(hasher))
}

fn feed_value(hasher: &mut Sha256, value: &Value) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().filter(|(key, _)| *key != "for_site").collect();
            members.sort_unstable_by_key(|(key, _)| *key);
            hasher.update(b"{");
            for (key, value) in members {
                feed(hasher, b'k', key);
                feed_value(hasher, value);
            }
            hasher.update(b"}");
        }
        Value::Array(items) => {
            hasher.update(b"[");
            for item in items {
                feed_value(hasher, item);
            }
            hasher.update(b"]");
        }
        Value::String(text) => feed(hasher, b's', text),
        scalar => feed(hasher, b'v', &scalar.to_string()),
    }
}

/// Tagged and with its length, so that no two sequences of parts feed the same bytes.
fn feed(hasher: &mut Sha256, tag: u8, text: &str) {
    hasher.update([tag]);
    hasher.update((text.len() as u64).to_le_bytes());
    hasher.update(text);
}

fn finish(hasher: Sha256) -> Fingerprint {
    let digest: [u8; 32] = hasher.finalize().into();
    Fingerprint(u64::from_le_bytes(digest[..8].try_into().expect("a digest has more than 8 bytes")))
}
