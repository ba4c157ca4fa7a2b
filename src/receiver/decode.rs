//! Delivery body -> model events: units, ids and time are settled here and nowhere else.
//!
//! One bad event is set aside with its reason and its neighbours go on. A topic without a decoder is kept whole.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::fields::{self, Stamper};
use super::payload::{Common, Crossing, Envelope, Location, RawRssi, ScanData, SiteAlerts, ZoneAlert};
use super::plain;
use crate::model::event::{
    Delivery, Events, Fingerprint, Fix, Heard, Other, Ping, Quarantined, Reading, Scan, Stamp, Transition, Trigger,
    VendorAlert,
};
use crate::model::ids::{AreaId, ClientKind, Id};
use crate::model::position::Position;
use crate::model::time::ReceivedAt;
use crate::model::topic::Family;

/// Why a whole body is refused; nothing of it is kept.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("the body is not UTF-8 text: {0}")]
    NotUtf8(#[from] std::str::Utf8Error),
    #[error("the body is not a JSON object with `topic` and `events`: {0}")]
    NotADelivery(#[source] serde_json::Error),
    #[error("the body names no `topic`")]
    NoTopic,
    #[error("`events` must be a list of events or one event: {0}")]
    NotEvents(#[source] serde_json::Error),
}

/// Why one event cannot be read.
pub(super) type Reason = String;

/// Reads one delivery. The body was bounded in size by the caller.
///
/// Events older than `age_ms_max` are set aside, too.
pub fn decode(
    source: &Arc<str>,
    body: &[u8],
    received_at: ReceivedAt,
    age_ms_max: Option<i64>,
) -> Result<Delivery, BodyError> {
    let text = std::str::from_utf8(body)?;
    let stamper = Stamper { received_at, age_ms_max };
    let (topic, events, quarantined) = match plain::fixes(text, stamper) {
        Some((topic, fixes)) => (topic, Events::Fixes(fixes), Vec::new()),
        None => event_by_event(text, stamper)?,
    };
    Ok(Delivery { source: source.clone(), topic, received_at, body_bytes: body.len(), events, quarantined })
}

/// The settled topic, the events, and those that could not be read.
pub(super) fn event_by_event(body: &str, stamper: Stamper) -> Result<(String, Events, Vec<Quarantined>), BodyError> {
    let envelope: Envelope<'_> = serde_json::from_str(body).map_err(BodyError::NotADelivery)?;
    let topic = fields::topic_name(envelope.topic.get().ok_or(BodyError::NoTopic)?);
    let events = split_events(body, envelope.events)?;
    let mut quarantined = Vec::new();
    let events = Decoder { stamper, topic: &topic }.events(&events, &mut quarantined);
    Ok((topic, events, quarantined))
}

/// The events of a body, each as its own text. Without `events` the body is the one event; an object is one event.
fn split_events<'a>(body: &'a str, events: Option<&'a RawValue>) -> Result<Vec<&'a RawValue>, BodyError> {
    let events = match events {
        Some(events) if events.get() != "null" => events,
        _ => return Ok(vec![serde_json::from_str(body).map_err(BodyError::NotADelivery)?]),
    };
    match events.get().as_bytes().first() {
        Some(b'{') => Ok(vec![events]),
        _ => serde_json::from_str(events.get()).map_err(BodyError::NotEvents),
    }
}

pub(super) struct Decoder<'a> {
    pub stamper: Stamper,
    pub topic: &'a str,
}

impl Decoder<'_> {
    fn events(&self, raw: &[&RawValue], bad: &mut Vec<Quarantined>) -> Events {
        match Family::of(self.topic) {
            Family::Location => Events::Fixes(each(raw, bad, |event| self.fix(&parse(event)?, Some(event)))),
            Family::Transition(_) => Events::Transitions(each(raw, bad, |event| self.transition(event))),
            Family::Scan => Events::Scans(each(raw, bad, |event| self.scan(event))),
            Family::RawRssi => Events::Readings(each(raw, bad, |event| self.reading(event))),
            Family::VendorAlert => Events::VendorAlerts(self.vendor_alerts(raw, bad)),
            Family::Ping => Events::Pings(each(raw, bad, |event| self.ping(event))),
            Family::Other => Events::Others(each(raw, bad, |event| self.other(event))),
        }
    }

    /// Of one without a time the whole event is needed.
    pub fn fix(&self, payload: &Location<'_>, event: Option<&RawValue>) -> Result<Fix, Reason> {
        let kind = fields::client_kind(self.topic, &[&payload.r#type, &payload.client_type], || {
            payload.mac.get().is_none() && payload.client_id.get().is_none() && payload.id.get().is_some()
        });
        let sdk_ids = [&payload.id, &payload.sdkclient_id, &payload.uuid];
        let macs = [&payload.mac, &payload.client_id, &payload.client, &payload.wcid];
        let client = fields::client_id(kind, &macs, &sdk_ids, &payload.asset_id)?;
        let x_m = payload.x.get().ok_or("`x` is missing or not a number")?;
        let y_m = payload.y.get().ok_or("`y` is missing or not a number")?;
        let position = Position::from_metres(x_m, y_m)
            .ok_or_else(|| format!("`x`, `y` = {x_m}, {y_m} metres is beyond any floorplan"))?;
        let stamp = self.stamper.stamp(payload.timestamp.or(payload.time).or(payload.when))?;
        Ok(Fix {
            site: fields::site_id(&[&payload.site_id, &payload.siteid])?,
            map: fields::map_id(&[&payload.map_id, &payload.mapid])?.ok_or("`map_id` is missing")?,
            client,
            stamp,
            untimed: match event {
                Some(event) => self.untimed(stamp, event)?,
                None if stamp.is_received_time => return Err("`timestamp` is missing".into()),
                None => None,
            },
            position,
            rssi_dbm: payload.rssi.f32(),
            name: payload.name.owned().or_else(|| payload.device_name.owned()),
            beacon: fields::location_beacon(payload),
        })
    }

    fn transition(&self, event: &RawValue) -> Result<Transition, Reason> {
        let Family::Transition(area_kind) = Family::of(self.topic) else { unreachable!("called for transitions") };
        let payload: Crossing<'_> = parse(event)?;
        // One receiver saw `type` carry the trigger; no client type is spelled like one.
        let trigger = [&payload.trigger, &payload.r#type].into_iter().find_map(|text| fields::trigger(text));
        let trigger: Trigger = trigger.ok_or("`trigger` is neither \"enter\" nor \"exit\"")?;
        let area_ids = [&payload.rssizone_id, &payload.vbeacon_id, &payload.beacon_id, &payload.zone_id];
        let area_ids = &area_ids[fields::area_id_fields(area_kind)];
        let area = fields::first(area_ids).ok_or_else(|| format!("`{}_id` is missing", area_kind.name()))?;
        let kind = fields::client_kind(self.topic, &[&payload.r#type, &payload.client_type], || {
            payload.mac.get().is_none() && payload.asset_id.get().is_none() && payload.id.get().is_some()
        });
        let macs = [&payload.mac, &payload.client_id, &payload.client];
        let sdk_ids = [&payload.id, &payload.sdkclient_id, &payload.uuid];
        let stamp = self.stamper.stamp(payload.timestamp.or(payload.time).or(payload.when))?;
        Ok(Transition {
            site: fields::site_id(&[&payload.site_id, &payload.siteid])?,
            map: fields::map_id(&[&payload.map_id, &payload.mapid])?,
            area: AreaId { kind: area_kind, id: Id::object(fields::bounded(area)?) },
            client: fields::client_id(kind, &macs, &sdk_ids, &payload.asset_id)?,
            trigger,
            stamp,
            untimed: self.untimed(stamp, event)?,
            name: payload.name.owned(),
            asset_id: payload.asset_id.owned(),
            event_json: (self.topic == "vbeacon").then(|| event.get().to_owned()),
        })
    }

    fn untimed(&self, stamp: Stamp, event: &RawValue) -> Result<Option<Fingerprint>, Reason> {
        stamp.is_received_time.then(|| fields::fingerprint(self.topic, event)).transpose()
    }

    fn scan(&self, event: &RawValue) -> Result<Scan, Reason> {
        let payload: ScanData<'_> = parse(event)?;
        let sdk_ids = [&payload.mac, &payload.id, &payload.sdkclient_id, &payload.uuid];
        let heard = payload.scan_data.iter().map(|entry| {
            Ok(Heard {
                ap: fields::mac_text(&entry.ap),
                bssid: fields::mac_text(&entry.bssid),
                ssid: entry.ssid.owned(),
                band: entry.band.owned(),
                channel: entry.channel.i32(),
                rssi_dbm: entry.rssi.f32(),
                at: entry.timestamp.get().map(|_| self.stamper.stamp(entry.timestamp)).transpose()?.map(|s| s.at),
            })
        });
        Ok(Scan {
            site: fields::site_id(&[&payload.site_id, &payload.siteid])?,
            client: fields::client_id(ClientKind::Sdk, &[], &sdk_ids, &Default::default())?,
            stamp: self.stamper.stamp(payload.last_seen.or(payload.timestamp))?,
            connection_ap: fields::mac_text(&payload.connection_ap),
            connection_bssid: fields::mac_text(&payload.connection_bssid),
            connection_band: payload.connection_band.owned(),
            connection_channel: payload.connection_channel.i32(),
            connection_rssi_dbm: payload.connection_rssi.f32(),
            heard: heard.collect::<Result<_, Reason>>()?,
            dedupe: fields::fingerprint(self.topic, event)?,
        })
    }

    fn reading(&self, event: &RawValue) -> Result<Reading, Reason> {
        let payload: RawRssi<'_> = parse(event)?;
        let client = fields::first(&[&payload.mac, &payload.client_id, &payload.asset_id]);
        let client = client.ok_or("neither `mac` nor `client_id` is there")?;
        let at = |axis: usize| payload.ap_loc.as_ref().and_then(|loc| loc.get(axis)?.get());
        let rssi_dbm = match &payload.packets {
            Some(packets) => packets.iter().map(|packet| (packet.band.owned(), packet.rssi.f32())).collect(),
            None => vec![(None, payload.rssi.f32())],
        };
        Ok(Reading {
            site: fields::site_id(&[&payload.site_id, &payload.siteid])?,
            map: fields::map_id(&[&payload.map_id, &payload.mapid])?,
            client_id: Id::client(fields::bounded(client)?).to_string(),
            ap: fields::mac_text(&payload.ap_id).or_else(|| payload.device_id.owned()),
            ap_position_m: [at(0), at(1), at(2)],
            stamp: self.stamper.stamp(payload.timestamp)?,
            beam: payload.beam.i32(),
            rssi_dbm,
            is_asset: payload.is_asset.0,
            is_connected_site: payload.connected_site.0,
            asset_id: payload.asset_id.owned(),
            beacon: fields::raw_beacon(&payload),
            dedupe: fields::fingerprint(self.topic, event)?,
        })
    }

    /// Alerts are nested two deep, so one bad alert spares the others of its site.
    fn vendor_alerts(&self, raw: &[&RawValue], bad: &mut Vec<Quarantined>) -> Vec<VendorAlert> {
        let mut alerts = Vec::new();
        for (index, event) in raw.iter().enumerate() {
            let sites: Result<SiteAlerts<'_>, Reason> = parse(event);
            match sites {
                Ok(site) => {
                    for alert in &site.alert_events {
                        match self.vendor_alert(&site, alert) {
                            Ok(alert) => alerts.push(alert),
                            Err(reason) => bad.push(quarantined(index, reason, alert)),
                        }
                    }
                }
                Err(reason) => bad.push(quarantined(index, reason, event)),
            }
        }
        alerts
    }

    fn vendor_alert(&self, site: &SiteAlerts<'_>, event: &RawValue) -> Result<VendorAlert, Reason> {
        let payload: ZoneAlert<'_> = parse(event)?;
        let zone = payload.zone_id.get().map(fields::bounded).transpose()?;
        Ok(VendorAlert {
            site: fields::site_id(&[&site.site_id, &site.siteid])?,
            site_name: site.site_name.owned(),
            org_id: payload.org_id.owned(),
            map: fields::map_id(&[&payload.map_id])?,
            zone: zone.map(|id| AreaId { kind: crate::model::ids::AreaKind::Zone, id: Id::object(id) }),
            zone_name: payload.zone_name.owned(),
            kind: payload.r#type.owned().ok_or("`type` is missing")?,
            current_occupancy: payload.current_occupancy.i32(),
            occupancy_limit: payload.occupancy_limit.i32(),
            stamp: self.stamper.stamp(payload.timestamp)?,
            dedupe: fields::fingerprint(self.topic, event)?,
        })
    }

    fn ping(&self, event: &RawValue) -> Result<Ping, Reason> {
        let payload: Common<'_> = parse(event)?;
        Ok(Ping {
            site: fields::site_id(&[&payload.site_id, &payload.siteid])?,
            webhook_id: payload.id.owned(),
            webhook_name: payload.name.owned(),
            stamp: self.stamper.stamp(payload.timestamp)?,
            dedupe: fields::fingerprint(self.topic, event)?,
        })
    }

    fn other(&self, event: &RawValue) -> Result<Other, Reason> {
        let payload: Common<'_> = parse(event)?;
        let dedupe = match payload.id.get() {
            // An alarm comes again under its id with each update, so it is told by all it says.
            Some(id) if self.topic != "alarms" => fields::fingerprint_of_id(self.topic, id),
            _ => fields::fingerprint(self.topic, event)?,
        };
        Ok(Other {
            event_id: payload.id.owned().or_else(|| payload.event_id.owned()),
            org_id: fields::first(&[&payload.org_id, &payload.orgid]).map(str::to_owned),
            site: fields::site_id(&[&payload.site_id, &payload.siteid])?,
            map: fields::map_id(&[&payload.map_id, &payload.mapid])?,
            stamp: self.stamper.stamp(payload.timestamp.or(payload.time).or(payload.when))?,
            kind: payload.r#type.owned(),
            client_mac: [&payload.mac, &payload.client, &payload.client_id].into_iter().find_map(fields::mac_text),
            ap: fields::mac_text(&payload.ap),
            device: [&payload.device_id, &payload.device_mac, &payload.mxedge_id].into_iter().find_map(|t| t.owned()),
            body_json: event.get().to_owned(),
            dedupe,
        })
    }
}

fn each<T>(
    raw: &[&RawValue],
    bad: &mut Vec<Quarantined>,
    mut read: impl FnMut(&RawValue) -> Result<T, Reason>,
) -> Vec<T> {
    let mut good = Vec::with_capacity(raw.len());
    for (index, event) in raw.iter().enumerate() {
        match read(event) {
            Ok(event) => good.push(event),
            Err(reason) => bad.push(quarantined(index, reason, event)),
        }
    }
    good
}

fn quarantined(index: usize, reason: Reason, event: &RawValue) -> Quarantined {
    Quarantined { index, reason, event_json: event.get().to_owned() }
}

fn parse<'a, T: Deserialize<'a>>(event: &'a RawValue) -> Result<T, Reason> {
    serde_json::from_str(event.get()).map_err(|error| format!("not readable as an event of this topic: {error}"))
}
