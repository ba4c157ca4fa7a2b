//! Which decoder a topic goes to.

use super::ids::AreaKind;

/// Topics that are decoded alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Location,
    Transition(AreaKind),
    Scan,
    RawRssi,
    VendorAlert,
    Ping,
    /// Everything else: common fields and the whole body.
    Other,
}

/// The topics the vendor documents; others are taken too, but share one label in metrics.
pub const KNOWN: [&str; 33] = [
    "alarms",
    "asset-raw",
    "asset-raw-rssi",
    "audits",
    "client-info",
    "client-join",
    "client-latency",
    "client-sessions",
    "device-events",
    "device-updowns",
    "discovered-raw-rssi",
    "filtered-asset-rssi",
    "guest-authorizations",
    "location",
    "location-asset",
    "location-centrak",
    "location-client",
    "location-sdk",
    "location-unclient",
    "minis-application",
    "minis-reachability",
    "mxedge-events",
    "nac-accounting",
    "nac-events",
    "occupancy-alerts",
    "ping",
    "rssizone",
    "sdkclient-scan-data",
    "site-sle",
    "vbeacon",
    "wifi-conn-raw",
    "wifi-unconn-raw",
    "zone",
];

impl Family {
    /// The family of a topic in its settled spelling: lower case, hyphens.
    pub fn of(topic: &str) -> Family {
        match topic {
            "location" | "location-client" | "location-unclient" | "location-asset" | "location-sdk"
            | "location-centrak" => Family::Location,
            "zone" => Family::Transition(AreaKind::Zone),
            "rssizone" => Family::Transition(AreaKind::Rssizone),
            "vbeacon" => Family::Transition(AreaKind::Vbeacon),
            "sdkclient-scan-data" => Family::Scan,
            "asset-raw-rssi"
            | "discovered-raw-rssi"
            | "filtered-asset-rssi"
            | "asset-raw"
            | "wifi-conn-raw"
            | "wifi-unconn-raw" => Family::RawRssi,
            "occupancy-alerts" => Family::VendorAlert,
            "ping" => Family::Ping,
            _ => Family::Other,
        }
    }
}
