//! What a delivery says, decoded: outside ids, metres, UTC.

use std::sync::Arc;

use super::ids::{AreaId, ClientId, MapId, SiteId};
use super::position::Position;
use super::time::{EventTime, ReceivedAt};

/// One delivery: everything it said, and what of it could not be read.
#[derive(Debug)]
pub struct Delivery {
    /// The configured source it came from.
    pub source: Arc<str>,
    /// Lower case, with hyphens.
    pub topic: String,
    pub received_at: ReceivedAt,
    pub body_bytes: usize,
    pub events: Events,
    pub quarantined: Vec<Quarantined>,
}

/// The events of one delivery: one topic, so one sort.
#[derive(Debug)]
pub enum Events {
    Fixes(Vec<Fix>),
    Transitions(Vec<Transition>),
    Scans(Vec<Scan>),
    Readings(Vec<Reading>),
    VendorAlerts(Vec<VendorAlert>),
    Pings(Vec<Ping>),
    Others(Vec<Other>),
}

impl Events {
    pub fn len(&self) -> usize {
        match self {
            Events::Fixes(events) => events.len(),
            Events::Transitions(events) => events.len(),
            Events::Scans(events) => events.len(),
            Events::Readings(events) => events.len(),
            Events::VendorAlerts(events) => events.len(),
            Events::Pings(events) => events.len(),
            Events::Others(events) => events.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An event that could not be read, kept whole.
#[derive(Debug)]
pub struct Quarantined {
    /// Its place in the delivery's `events`.
    pub index: usize,
    pub reason: String,
    pub event_json: String,
}

/// When an event happened, and whether the event itself said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub at: EventTime,
    /// The event carried no time, so this is when it was received.
    pub is_received_time: bool,
}

/// One position of one client.
#[derive(Debug)]
pub struct Fix {
    pub site: Option<SiteId>,
    pub map: MapId,
    pub client: ClientId,
    pub stamp: Stamp,
    /// Only of one without a time of its own, which nothing else tells from its twin.
    pub untimed: Option<Fingerprint>,
    pub position: Position,
    pub rssi_dbm: Option<f32>,
    /// Its display name, where one was sent.
    pub name: Option<String>,
    pub beacon: Option<Box<Beacon>>,
}

/// What a tag or client broadcast about itself beside its position.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Beacon {
    pub ibeacon_uuid: Option<String>,
    pub ibeacon_major: Option<i32>,
    pub ibeacon_minor: Option<i32>,
    pub eddystone_uid_namespace: Option<String>,
    pub eddystone_uid_instance: Option<String>,
    pub eddystone_url: Option<String>,
    pub mfg_company_id: Option<i32>,
    pub mfg_data: Option<String>,
    pub battery_mv: Option<i32>,
    /// The vendor's `wifi_beacon_extended_info`, `extended_info_list` or `service_packets`, as JSON.
    pub frames_json: Option<String>,
}

/// The two ways across an area's edge. The numbers are what the store keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Trigger {
    Enter = 0,
    Exit = 1,
}

/// The network says that a client entered or left an area.
#[derive(Debug)]
pub struct Transition {
    pub site: Option<SiteId>,
    pub map: Option<MapId>,
    pub area: AreaId,
    pub client: ClientId,
    pub trigger: Trigger,
    pub stamp: Stamp,
    /// Only of one without a time of its own, which nothing else tells from its twin.
    pub untimed: Option<Fingerprint>,
    pub name: Option<String>,
    /// The named asset behind the client.
    pub asset_id: Option<String>,
    /// The event as it came, for `vbeacon`, whose schema the vendor has not published.
    pub event_json: Option<String>,
}

/// What one phone heard around it.
#[derive(Debug)]
pub struct Scan {
    pub site: Option<SiteId>,
    pub client: ClientId,
    pub stamp: Stamp,
    pub connection_ap: Option<String>,
    pub connection_bssid: Option<String>,
    pub connection_band: Option<String>,
    pub connection_channel: Option<i32>,
    pub connection_rssi_dbm: Option<f32>,
    pub heard: Vec<Heard>,
    pub dedupe: Fingerprint,
}

/// One access point in a [`Scan`].
#[derive(Debug)]
pub struct Heard {
    pub ap: Option<String>,
    pub bssid: Option<String>,
    pub ssid: Option<String>,
    pub band: Option<String>,
    pub channel: Option<i32>,
    pub rssi_dbm: Option<f32>,
    pub at: Option<EventTime>,
}

/// One radio measurement by one access point, without a position.
#[derive(Debug)]
pub struct Reading {
    pub site: Option<SiteId>,
    pub map: Option<MapId>,
    /// The transmitter's MAC or other id.
    pub client_id: String,
    /// The hearing access point: its MAC or device id.
    pub ap: Option<String>,
    pub ap_position_m: [Option<f64>; 3],
    pub stamp: Stamp,
    pub beam: Option<i32>,
    /// One per band where the network averages by band; a single `(None, rssi)` otherwise.
    pub rssi_dbm: Vec<(Option<String>, Option<f32>)>,
    pub is_asset: Option<bool>,
    pub is_connected_site: Option<bool>,
    pub asset_id: Option<String>,
    pub beacon: Beacon,
    pub dedupe: Fingerprint,
}

/// The vendor's own occupancy alert for one zone.
#[derive(Debug)]
pub struct VendorAlert {
    pub site: Option<SiteId>,
    pub site_name: Option<String>,
    pub org_id: Option<String>,
    pub map: Option<MapId>,
    pub zone: Option<AreaId>,
    pub zone_name: Option<String>,
    /// `COMPLIANCE-VIOLATION` or `COMPLIANCE-OK`.
    pub kind: String,
    pub current_occupancy: Option<i32>,
    pub occupancy_limit: Option<i32>,
    pub stamp: Stamp,
    pub dedupe: Fingerprint,
}

/// The vendor's "is anyone there": the set-up check a person does first.
#[derive(Debug)]
pub struct Ping {
    pub site: Option<SiteId>,
    pub webhook_id: Option<String>,
    pub webhook_name: Option<String>,
    pub stamp: Stamp,
    pub dedupe: Fingerprint,
}

/// An event of any other topic: its common fields, and all of it as JSON.
#[derive(Debug)]
pub struct Other {
    pub event_id: Option<String>,
    pub org_id: Option<String>,
    pub site: Option<SiteId>,
    pub map: Option<MapId>,
    pub stamp: Stamp,
    pub kind: Option<String>,
    pub client_mac: Option<String>,
    pub ap: Option<String>,
    pub device: Option<String>,
    pub body_json: String,
    pub dedupe: Fingerprint,
}

/// Tells two events of a topic apart: from the event's own id, else from all it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub u64);
