//! The vendor's bodies as they come: every field optional, numbers and ids in whatever dress.
//!
//! No words of ours in here; `decode` turns these into events. Field lists: mist-webhooks.md, sections 2 and 3.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::scalar::{Flag, Number, Text};

#[derive(Deserialize)]
pub struct Envelope<'a> {
    #[serde(borrow, default)]
    pub topic: Text<'a>,
    #[serde(borrow, default)]
    pub events: Option<&'a RawValue>,
}

/// `location` and its split topics.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Location<'a> {
    #[serde(borrow)]
    pub site_id: Text<'a>,
    pub siteid: Text<'a>,
    pub map_id: Text<'a>,
    pub mapid: Text<'a>,
    pub x: Number,
    pub y: Number,
    pub timestamp: Number,
    pub time: Number,
    pub when: Number,
    pub r#type: Text<'a>,
    pub client_type: Text<'a>,
    pub mac: Text<'a>,
    pub client_id: Text<'a>,
    pub client: Text<'a>,
    pub wcid: Text<'a>,
    pub id: Text<'a>,
    pub sdkclient_id: Text<'a>,
    pub uuid: Text<'a>,
    pub asset_id: Text<'a>,
    pub name: Text<'a>,
    pub device_name: Text<'a>,
    pub rssi: Number,
    pub ibeacon_uuid: Text<'a>,
    pub ibeacon_major: Number,
    pub ibeacon_minor: Number,
    pub eddystone_uid_namespace: Text<'a>,
    pub eddystone_uid_instance: Text<'a>,
    pub eddystone_url_url: Text<'a>,
    pub mfg_company_id: Number,
    pub mfg_data: Text<'a>,
    pub battery_voltage: Number,
    pub wifi_beacon_extended_info: Option<&'a RawValue>,
}

/// `zone`, `rssizone`, `vbeacon`.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Crossing<'a> {
    #[serde(borrow)]
    pub site_id: Text<'a>,
    pub siteid: Text<'a>,
    pub map_id: Text<'a>,
    pub mapid: Text<'a>,
    pub zone_id: Text<'a>,
    pub rssizone_id: Text<'a>,
    pub vbeacon_id: Text<'a>,
    pub beacon_id: Text<'a>,
    pub trigger: Text<'a>,
    pub timestamp: Number,
    pub time: Number,
    pub when: Number,
    pub r#type: Text<'a>,
    pub client_type: Text<'a>,
    pub mac: Text<'a>,
    pub client_id: Text<'a>,
    pub client: Text<'a>,
    pub id: Text<'a>,
    pub sdkclient_id: Text<'a>,
    pub uuid: Text<'a>,
    pub asset_id: Text<'a>,
    pub name: Text<'a>,
}

/// `sdkclient-scan-data`.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct ScanData<'a> {
    #[serde(borrow)]
    pub site_id: Text<'a>,
    pub siteid: Text<'a>,
    pub mac: Text<'a>,
    pub id: Text<'a>,
    pub sdkclient_id: Text<'a>,
    pub uuid: Text<'a>,
    pub last_seen: Number,
    pub timestamp: Number,
    pub connection_ap: Text<'a>,
    pub connection_bssid: Text<'a>,
    pub connection_band: Text<'a>,
    pub connection_channel: Number,
    pub connection_rssi: Number,
    pub scan_data: Vec<ScanEntry<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct ScanEntry<'a> {
    #[serde(borrow)]
    pub ap: Text<'a>,
    pub bssid: Text<'a>,
    pub ssid: Text<'a>,
    pub band: Text<'a>,
    pub channel: Number,
    pub rssi: Number,
    pub timestamp: Number,
}

/// The raw RSSI topics, of Bluetooth tags and of Wi-Fi clients.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct RawRssi<'a> {
    #[serde(borrow)]
    pub site_id: Text<'a>,
    pub siteid: Text<'a>,
    pub map_id: Text<'a>,
    pub mapid: Text<'a>,
    pub mac: Text<'a>,
    pub client_id: Text<'a>,
    pub asset_id: Text<'a>,
    pub device_id: Text<'a>,
    pub ap_id: Text<'a>,
    pub ap_loc: Option<Vec<Number>>,
    pub timestamp: Number,
    pub beam: Number,
    pub rssi: Number,
    pub packets: Option<Vec<Packet<'a>>>,
    pub is_asset: Flag,
    pub connected_site: Flag,
    pub ibeacon_uuid: Text<'a>,
    pub ibeacon_major: Number,
    pub ibeacon_minor: Number,
    pub mfg_company_id: Number,
    pub mfg_data: Text<'a>,
    pub service_packets: Option<&'a RawValue>,
    pub extended_info_list: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Packet<'a> {
    #[serde(borrow)]
    pub band: Text<'a>,
    pub rssi: Number,
}

/// `occupancy-alerts`: one site, several alerts.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct SiteAlerts<'a> {
    #[serde(borrow)]
    pub site_id: Text<'a>,
    pub siteid: Text<'a>,
    pub site_name: Text<'a>,
    pub alert_events: Vec<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct ZoneAlert<'a> {
    #[serde(borrow)]
    pub r#type: Text<'a>,
    pub zone_id: Text<'a>,
    pub zone_name: Text<'a>,
    pub map_id: Text<'a>,
    pub org_id: Text<'a>,
    pub current_occupancy: Number,
    pub occupancy_limit: Number,
    pub timestamp: Number,
}

/// `ping`, and the common fields of every topic without a decoder of its own.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Common<'a> {
    #[serde(borrow)]
    pub id: Text<'a>,
    pub event_id: Text<'a>,
    pub name: Text<'a>,
    pub org_id: Text<'a>,
    pub orgid: Text<'a>,
    pub site_id: Text<'a>,
    pub siteid: Text<'a>,
    pub map_id: Text<'a>,
    pub mapid: Text<'a>,
    pub timestamp: Number,
    pub time: Number,
    pub when: Number,
    pub r#type: Text<'a>,
    pub mac: Text<'a>,
    pub client: Text<'a>,
    pub client_id: Text<'a>,
    pub ap: Text<'a>,
    pub device_id: Text<'a>,
    pub device_mac: Text<'a>,
    pub mxedge_id: Text<'a>,
}
