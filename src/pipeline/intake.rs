//! One delivery through the engine and into the drain: ids become keys, events become rows.

use rustc_hash::FxHashMap;

use super::directory::{AreaEntry, Directory, MapNews};
use super::ledger::Ledger;
use super::places::MapSetup;
use crate::engine::{Engine, FixInput, TransitionInput, Verdict};
use crate::model::event::{
    Beacon, Delivery, Events, Fingerprint, Fix, Other, Ping, Reading, Scan, Stamp, Transition, VendorAlert,
};
use crate::model::ids::{DeliveryKey, MapId, MapKey, SiteId, SiteKey};
use crate::model::time::ReceivedAt;
use crate::model::visit::VisitChange;
use crate::store::row::{self, Instant, Json, column};
use crate::store::writer::Drain;

/// What became of a delivery's events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Receipt {
    /// Events that could be read, duplicates included.
    pub events: usize,
    pub duplicates: usize,
    pub late: usize,
    pub unmatched_exits: usize,
    pub quarantined: usize,
}

impl Receipt {
    fn count(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Applied => {}
            Verdict::Unmatched => self.unmatched_exits += 1,
            Verdict::Late => self.late += 1,
            Verdict::Duplicate => self.duplicates += 1,
        }
    }
}

/// What taking a delivery needs, lent by the pipeline.
pub struct Intake<'a> {
    pub engine: &'a mut Engine,
    pub directory: &'a mut Directory,
    pub drain: &'a mut Drain,
    pub ledger: &'a mut Ledger,
    pub next_scan: &'a mut i64,
    /// Reused between events.
    pub changes: &'a mut Vec<VisitChange>,
    /// Maps uploaded without a site, until an event names it.
    pub unbound: &'a mut FxHashMap<MapKey, MapSetup>,
}

/// How many fixes are looked at together: what is known of their clients fits into the processor's caches.
const FEW: usize = 32;

/// The delivery an event belongs to.
#[derive(Clone, Copy)]
struct Origin<'a> {
    key: DeliveryKey,
    received_at: ReceivedAt,
    topic: &'a str,
}

impl Intake<'_> {
    /// Takes one delivery. Its rows stand in the drain afterwards; nothing is committed.
    pub fn take(&mut self, key: DeliveryKey, delivery: Delivery) -> Receipt {
        let Delivery { source, topic, received_at, body_bytes, events, quarantined } = delivery;
        let mut receipt = Receipt { events: events.len(), quarantined: quarantined.len(), ..Receipt::default() };
        let origin = Origin { key, received_at, topic: &topic };
        match events {
            Events::Fixes(mut fixes) => {
                self.drain.fixes.reserve(fixes.len());
                for few in fixes.chunks_mut(FEW) {
                    self.look_at(few);
                    few.iter_mut().for_each(|fix| receipt.count(self.fix(origin, fix)));
                }
            }
            Events::Transitions(events) => events.into_iter().for_each(|e| receipt.count(self.transition(origin, e))),
            Events::Scans(events) => events.into_iter().for_each(|e| receipt.count(self.scan(origin, e))),
            Events::Readings(events) => events.into_iter().for_each(|e| receipt.count(self.reading(origin, e))),
            Events::VendorAlerts(events) => events.into_iter().for_each(|e| receipt.count(self.alert(origin, e))),
            Events::Pings(events) => events.into_iter().for_each(|e| receipt.count(self.ping(origin, e))),
            Events::Others(events) => events.into_iter().for_each(|e| receipt.count(self.other(origin, e))),
        }
        for event in quarantined {
            self.drain.quarantine.push(row::Quarantined {
                delivery_key: key.0,
                received_at: Instant(received_at.0),
                source: source.to_string(),
                topic: topic.clone(),
                event_index: count(event.index),
                reason: event.reason,
                event: event.event_json,
            });
        }
        self.drain.deliveries.push(row::Delivery {
            delivery_key: key.0,
            received_at: Instant(received_at.0),
            source: source.to_string(),
            topic,
            body_bytes: count(body_bytes),
            events: count(receipt.events),
            duplicates: count(receipt.duplicates),
            late: count(receipt.late),
            quarantined: count(receipt.quarantined),
        });
        receipt
    }

    /// Notes what the engine changed.
    pub fn note_changes(&mut self) {
        for change in self.changes.drain(..) {
            self.ledger.note(&change);
        }
    }

    /// Looks at the clients of fixes before they are taken: they wait for memory together, and not each for itself.
    fn look_at(&self, fixes: &[Fix]) {
        let known = |fix: &Fix| {
            let site = self.directory.known_site_of(fix.site.as_ref(), Some(&fix.map))?;
            Some((site, self.directory.known_client(&fix.client)?))
        };
        let clients: Vec<_> = fixes.iter().filter_map(known).collect();
        self.engine.look_at(&clients);
    }

    fn fix(&mut self, origin: Origin<'_>, fix: &mut Fix) -> Verdict {
        let received_at = origin.received_at;
        let site = self.directory.site_of(fix.site.as_ref(), Some(&fix.map), received_at, self.drain);
        if self.is_untimed_twin(site, fix.untimed, fix.stamp, received_at) {
            return Verdict::Duplicate;
        }
        let map = self.map(&fix.map, site, received_at);
        let client = self.directory.client(&fix.client, fix.name.as_deref(), received_at, self.drain);
        let input = FixInput { site, map, client, at: fix.stamp.at, received_at, position: fix.position };
        let verdict = self.engine.apply_fix(&input, self.changes);
        self.note_changes();
        if verdict == Verdict::Duplicate {
            return verdict;
        }
        self.drain.fixes.push(row::Fix {
            delivery_key: origin.key.0,
            received_at: Instant(received_at.0),
            site_key: column(site.0),
            map_key: column(map.0),
            client_key: column(client.0),
            event_at: Instant(fix.stamp.at.0),
            x_mm: fix.position.x_mm,
            y_mm: fix.position.y_mm,
            rssi_dbm: fix.rssi_dbm,
            is_late: verdict == Verdict::Late,
            is_off_map: self.engine.is_off_map(site, map, fix.position),
            is_received_time: fix.stamp.is_received_time,
        });
        if let Some(beacon) = fix.beacon.take() {
            let Beacon { frames_json, .. } = *beacon;
            self.drain.beacons.push(row::Beacon {
                delivery_key: origin.key.0,
                site_key: column(site.0),
                client_key: column(client.0),
                event_at: Instant(fix.stamp.at.0),
                ibeacon_uuid: beacon.ibeacon_uuid,
                ibeacon_major: beacon.ibeacon_major,
                ibeacon_minor: beacon.ibeacon_minor,
                eddystone_uid_namespace: beacon.eddystone_uid_namespace,
                eddystone_uid_instance: beacon.eddystone_uid_instance,
                eddystone_url: beacon.eddystone_url,
                mfg_company_id: beacon.mfg_company_id,
                mfg_data: beacon.mfg_data,
                battery_mv: beacon.battery_mv,
                frames: frames_json.map(Json),
            });
        }
        verdict
    }

    fn transition(&mut self, origin: Origin<'_>, transition: Transition) -> Verdict {
        let received_at = origin.received_at;
        let site = self.directory.site_of(transition.site.as_ref(), transition.map.as_ref(), received_at, self.drain);
        if self.is_untimed_twin(site, transition.untimed, transition.stamp, received_at) {
            return Verdict::Duplicate;
        }
        let map = transition.map.as_ref().map(|id| self.map(id, site, received_at));
        let AreaEntry { key: area, version: area_version } =
            self.directory.area(&transition.area, Some(site), map, received_at, self.drain);
        let name = transition.name.as_deref();
        let client = self.directory.client(&transition.client, name, received_at, self.drain);
        let Stamp { at, is_received_time } = transition.stamp;
        let trigger = transition.trigger;
        let input = TransitionInput { site, map, area, area_version, client, trigger, at, received_at };
        let verdict = self.engine.apply_transition(&input, self.changes);
        self.note_changes();
        if verdict != Verdict::Duplicate {
            self.drain.transitions.push(row::Transition {
                delivery_key: origin.key.0,
                received_at: Instant(received_at.0),
                site_key: column(site.0),
                map_key: map.map(|map| column(map.0)),
                area_key: column(area.0),
                client_key: column(client.0),
                event_at: Instant(at.0),
                trigger: trigger as u8,
                asset_id: transition.asset_id,
                event: transition.event_json.map(Json),
                is_late: verdict == Verdict::Late,
                is_unmatched: verdict == Verdict::Unmatched,
                is_received_time,
            });
        }
        verdict
    }

    fn scan(&mut self, origin: Origin<'_>, scan: Scan) -> Verdict {
        let (site, verdict) = self.moves_nobody(origin, scan.site.as_ref(), None, scan.dedupe, scan.stamp);
        if verdict == Verdict::Duplicate {
            return verdict;
        }
        let client = self.directory.client(&scan.client, None, origin.received_at, self.drain);
        let scan_key = *self.next_scan;
        *self.next_scan += 1;
        self.drain.scans.push(row::Scan {
            delivery_key: origin.key.0,
            scan_key,
            site_key: column(site.0),
            client_key: column(client.0),
            event_at: Instant(scan.stamp.at.0),
            connection_ap: scan.connection_ap,
            connection_bssid: scan.connection_bssid,
            connection_band: scan.connection_band,
            connection_channel: scan.connection_channel,
            connection_rssi_dbm: scan.connection_rssi_dbm,
            is_received_time: scan.stamp.is_received_time,
            fingerprint: scan.dedupe.0,
        });
        self.drain.scan_readings.extend(scan.heard.into_iter().map(|heard| row::ScanReading {
            scan_key,
            ap: heard.ap,
            bssid: heard.bssid,
            ssid: heard.ssid,
            band: heard.band,
            channel: heard.channel,
            rssi_dbm: heard.rssi_dbm,
            heard_at: heard.at.map(|at| Instant(at.0)),
        }));
        verdict
    }

    fn reading(&mut self, origin: Origin<'_>, reading: Reading) -> Verdict {
        let map_id = reading.map.as_ref();
        let (site, verdict) = self.moves_nobody(origin, reading.site.as_ref(), map_id, reading.dedupe, reading.stamp);
        if verdict == Verdict::Duplicate {
            return verdict;
        }
        let map = reading.map.as_ref().map(|id| column(self.map(id, site, origin.received_at).0));
        let [ap_x_m, ap_y_m, ap_z_m] = reading.ap_position_m;
        for (band, rssi_dbm) in reading.rssi_dbm {
            self.drain.rssi_readings.push(row::RssiReading {
                delivery_key: origin.key.0,
                topic: origin.topic.to_owned(),
                site_key: column(site.0),
                map_key: map,
                client_id: reading.client_id.clone(),
                ap: reading.ap.clone(),
                ap_x_m,
                ap_y_m,
                ap_z_m,
                event_at: Instant(reading.stamp.at.0),
                beam: reading.beam,
                band,
                rssi_dbm,
                is_asset: reading.is_asset,
                is_connected_site: reading.is_connected_site,
                asset_id: reading.asset_id.clone(),
                ibeacon_uuid: reading.beacon.ibeacon_uuid.clone(),
                ibeacon_major: reading.beacon.ibeacon_major,
                ibeacon_minor: reading.beacon.ibeacon_minor,
                mfg_company_id: reading.beacon.mfg_company_id,
                mfg_data: reading.beacon.mfg_data.clone(),
                frames: reading.beacon.frames_json.clone().map(Json),
                is_received_time: reading.stamp.is_received_time,
                fingerprint: reading.dedupe.0,
            });
        }
        verdict
    }

    fn alert(&mut self, origin: Origin<'_>, alert: VendorAlert) -> Verdict {
        let map_id = alert.map.as_ref();
        let (site, verdict) = self.moves_nobody(origin, alert.site.as_ref(), map_id, alert.dedupe, alert.stamp);
        if verdict == Verdict::Duplicate {
            return verdict;
        }
        let map = alert.map.as_ref().map(|id| self.map(id, site, origin.received_at));
        let area = alert.zone.as_ref();
        let area = area.map(|id| self.directory.area(id, Some(site), map, origin.received_at, self.drain).key);
        self.drain.vendor_alerts.push(row::VendorAlert {
            delivery_key: origin.key.0,
            site_key: column(site.0),
            site_name: alert.site_name,
            org_id: alert.org_id,
            map_key: map.map(|map| column(map.0)),
            area_key: area.map(|area| column(area.0)),
            zone_name: alert.zone_name,
            alert_type: alert.kind,
            current_occupancy: alert.current_occupancy,
            occupancy_limit: alert.occupancy_limit,
            event_at: Instant(alert.stamp.at.0),
            is_received_time: alert.stamp.is_received_time,
            fingerprint: alert.dedupe.0,
        });
        verdict
    }

    fn ping(&mut self, origin: Origin<'_>, ping: Ping) -> Verdict {
        let (site, verdict) = self.moves_nobody(origin, ping.site.as_ref(), None, ping.dedupe, ping.stamp);
        if verdict != Verdict::Duplicate {
            self.drain.pings.push(row::Ping {
                delivery_key: origin.key.0,
                site_key: column(site.0),
                webhook_id: ping.webhook_id,
                webhook_name: ping.webhook_name,
                event_at: Instant(ping.stamp.at.0),
                is_received_time: ping.stamp.is_received_time,
                fingerprint: ping.dedupe.0,
            });
        }
        verdict
    }

    fn other(&mut self, origin: Origin<'_>, other: Other) -> Verdict {
        let map_id = other.map.as_ref();
        let (site, verdict) = self.moves_nobody(origin, other.site.as_ref(), map_id, other.dedupe, other.stamp);
        if verdict == Verdict::Duplicate {
            return verdict;
        }
        let map_key = other.map.as_ref().map(|id| column(self.map(id, site, origin.received_at).0));
        self.drain.events.push(row::Event {
            delivery_key: origin.key.0,
            topic: origin.topic.to_owned(),
            event_id: other.event_id,
            org_id: other.org_id,
            site_key: column(site.0),
            map_key,
            event_at: Instant(other.stamp.at.0),
            event_type: other.kind,
            client_mac: other.client_mac,
            ap: other.ap,
            device: other.device,
            body: Json(other.body_json),
            is_received_time: other.stamp.is_received_time,
            fingerprint: other.dedupe.0,
        });
        verdict
    }

    /// The way of every event that moves nobody: its site, and whether it is new there.
    fn moves_nobody(
        &mut self,
        origin: Origin<'_>,
        site: Option<&SiteId>,
        map: Option<&MapId>,
        print: Fingerprint,
        stamp: Stamp,
    ) -> (SiteKey, Verdict) {
        let site = self.directory.site_of(site, map, origin.received_at, self.drain);
        let Stamp { at, is_received_time } = stamp;
        let verdict = self.engine.apply_other(site, print, at, is_received_time, origin.received_at, self.changes);
        self.note_changes();
        (site, verdict)
    }

    /// Whether an event without a time of its own came shortly before.
    fn is_untimed_twin(
        &mut self,
        site: SiteKey,
        untimed: Option<Fingerprint>,
        stamp: Stamp,
        received_at: ReceivedAt,
    ) -> bool {
        untimed.is_some_and(|print| {
            self.engine.apply_other(site, print, stamp.at, true, received_at, self.changes) == Verdict::Duplicate
        })
    }

    /// A map's key. The first event that names the site of a map uploaded without one binds it.
    fn map(&mut self, id: &MapId, site: SiteKey, received_at: ReceivedAt) -> MapKey {
        let (map, news) = self.directory.map(id, Some(site), received_at, self.drain);
        if news == MapNews::SiteLearned
            && let Some(setup) = self.unbound.remove(&map)
        {
            setup.give_to(self.engine, site, map);
        }
        map
    }
}

/// A count as its column holds it.
fn count(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}
