//! The one place where ids become pseudonyms: a delivery on its way into the pipeline, before anything of it is stored.

use chrono_tz::Tz;
use rustc_hash::FxHashMap;

use super::directory::Directory;
use crate::model::event::{Delivery, Events, Fingerprint, Quarantined};
use crate::model::ids::{ClientKind, Id, MapId, SiteId, SiteKey, parse_mac};
use crate::model::settings::Pseudonyms;
use crate::model::time::{EventTime, ReceivedAt, utc};
use crate::privacy::{KeyFile, Veil};
use crate::store::restore::SiteRow;

/// Sites whose clients get pseudonyms.
#[derive(Debug, Default)]
pub struct Veils {
    sites: FxHashMap<SiteKey, (Pseudonyms, Tz)>,
}

impl Veils {
    /// Takes sites as they are set now.
    pub fn set(&mut self, sites: &[SiteRow]) {
        for site in sites {
            match site.pseudonyms {
                Pseudonyms::Off => _ = self.sites.remove(&site.key),
                pseudonyms => {
                    let zone = site.time_zone.parse().unwrap_or(Tz::UTC);
                    self.sites.insert(site.key, (pseudonyms, zone));
                }
            }
        }
    }

    /// Covers what a delivery says of the clients of these sites.
    pub fn cover(&self, directory: &Directory, keys: &KeyFile, delivery: &mut Delivery) {
        if self.sites.is_empty() {
            return;
        }
        let at = Covering { veils: self, directory, keys };
        match &mut delivery.events {
            Events::Fixes(fixes) => {
                for fix in fixes {
                    let Some(veil) = at.veil(fix.site.as_ref(), Some(&fix.map), fix.stamp.at) else { continue };
                    cover_print(veil, &mut fix.untimed);
                    fix.client.id = covered(veil, &fix.client.id);
                    fix.name = None;
                    if fix.client.kind != ClientKind::Asset {
                        // What a phone broadcasts tells it from all others.
                        fix.beacon = None;
                    } else if let Some(beacon) = &mut fix.beacon {
                        cover_text(veil, &mut beacon.frames_json, None);
                    }
                }
            }
            Events::Transitions(transitions) => {
                for transition in transitions {
                    let map = transition.map.as_ref();
                    let Some(veil) = at.veil(transition.site.as_ref(), map, transition.stamp.at) else { continue };
                    cover_print(veil, &mut transition.untimed);
                    cover_text(veil, &mut transition.event_json, Some(&transition.client.id));
                    transition.client.id = covered(veil, &transition.client.id);
                    (transition.name, transition.asset_id) = (None, None);
                }
            }
            Events::Scans(scans) => {
                for scan in scans {
                    let Some(veil) = at.veil(scan.site.as_ref(), None, scan.stamp.at) else { continue };
                    scan.client.id = covered(veil, &scan.client.id);
                    scan.dedupe = veil.fingerprint(scan.dedupe);
                }
            }
            Events::Readings(readings) => {
                for reading in readings {
                    let map = reading.map.as_ref();
                    let Some(veil) = at.veil(reading.site.as_ref(), map, reading.stamp.at) else { continue };
                    reading.client_id = veil.id(&Id::client(&reading.client_id));
                    reading.asset_id = None;
                    cover_text(veil, &mut reading.beacon.frames_json, None);
                    reading.dedupe = veil.fingerprint(reading.dedupe);
                }
            }
            Events::Others(others) => {
                for other in others {
                    let map = other.map.as_ref();
                    let Some(veil) = at.veil(other.site.as_ref(), map, other.stamp.at) else { continue };
                    let devices = [&other.ap, &other.device].into_iter().flatten();
                    let devices: Vec<u64> = devices.filter_map(|device| parse_mac(device.as_bytes())).collect();
                    let client = other.client_mac.as_deref().map(Id::client);
                    other.body_json = veil.raw(&other.body_json, client.as_ref(), &devices);
                    other.client_mac = client.map(|client| veil.id(&client));
                    other.dedupe = veil.fingerprint(other.dedupe);
                }
            }
            Events::VendorAlerts(_) | Events::Pings(_) => {}
        }
        let received_at = delivery.received_at;
        delivery.quarantined.iter_mut().for_each(|event| at.cover_unread(event, received_at));
    }
}

struct Covering<'a> {
    veils: &'a Veils,
    directory: &'a Directory,
    keys: &'a KeyFile,
}

impl<'a> Covering<'a> {
    /// What covers the ids of an event; `None`: nothing does.
    fn veil(&self, site: Option<&SiteId>, map: Option<&MapId>, at: EventTime) -> Option<Veil<'a>> {
        let site = self.directory.known_site_of(site, map)?;
        let (pseudonyms, zone) = self.veils.sites.get(&site)?;
        Some(self.veil_of(*pseudonyms, *zone, at))
    }

    fn veil_of(&self, pseudonyms: Pseudonyms, zone: Tz, at: EventTime) -> Veil<'a> {
        let day = || utc(at.0).with_timezone(&zone).date_naive();
        let key = self.keys.key().expect("no site is set to pseudonyms before the key is on disk");
        Veil::new(key, (pseudonyms == Pseudonyms::Daily).then(day))
    }

    /// An event that could not be read names its site, or might be of any.
    fn cover_unread(&self, event: &mut Quarantined, received_at: ReceivedAt) {
        #[derive(serde::Deserialize)]
        struct Place {
            site_id: Option<String>,
            map_id: Option<String>,
        }
        let place: Option<Place> = serde_json::from_str(&event.event_json).ok();
        let site = place.as_ref().and_then(|place| place.site_id.as_deref()).map(SiteId::from);
        let map = place.as_ref().and_then(|place| place.map_id.as_deref()).map(MapId::from);
        let settings = match self.directory.known_site_of(site.as_ref(), map.as_ref()) {
            Some(site) => self.veils.sites.get(&site).copied(),
            None => Some((Pseudonyms::Daily, Tz::UTC)),
        };
        if let Some((pseudonyms, zone)) = settings {
            let veil = self.veil_of(pseudonyms, zone, EventTime(received_at.0));
            event.event_json = veil.raw(&event.event_json, None, &[]);
            event.reason = veil.text(&event.reason, &[]);
        }
    }
}

fn covered(veil: Veil<'_>, id: &Id) -> Id {
    Id::Text(veil.id(id).into())
}

fn cover_print(veil: Veil<'_>, print: &mut Option<Fingerprint>) {
    *print = print.map(|print| veil.fingerprint(print));
}

fn cover_text(veil: Veil<'_>, json: &mut Option<String>, client: Option<&Id>) {
    if let Some(json) = json {
        *json = veil.raw(json, client, &[]);
    }
}
