//! Builds engine and dictionaries from what was committed: at the start, and after a commit that failed.

use rustc_hash::{FxHashMap, FxHashSet};

use super::alarms::{self, Alarms};
use super::directory::Directory;
use super::places::{Defaults, MapSetup, Places};
use super::veil::Veils;
use crate::engine::{Engine, Stay, ZoneIndex};
use crate::model::ids::{AreaKey, ClientKey, DeliveryKey, MapKey, SiteKey, VisitKey};
use crate::model::settings::PresenceRules;
use crate::model::time::EventTime;
use crate::model::visit::Source;
use crate::store::ends::{self, Ends, NewestFix, TailFix};
use crate::store::restore::{self, NextKeys, Whose};
use crate::store::{ReadConnection, Store, StoreError};

/// Everything the pipeline keeps in memory.
pub struct Loaded {
    pub known: Known,
    pub next: NextKeys,
    pub open_visits: i64,
    pub alarms: Alarms,
}

/// What changes of places and rules concern.
#[derive(Debug)]
pub struct Known {
    pub engine: Engine,
    pub directory: Directory,
    /// Maps uploaded without a site, until an event names it.
    pub unbound: FxHashMap<MapKey, MapSetup>,
    pub veils: Veils,
}

impl Known {
    /// Takes in places as they are stored now, with the rules of their sites: all at the start, those that a change
    /// concerns after it. Costs a read of these, and of every rule.
    pub fn take_in(&mut self, conn: &ReadConnection, whose: &Whose, defaults: &Defaults) -> Result<Places, StoreError> {
        let places = Places::read_of(conn, whose)?;
        places.enter_in(&mut self.directory);
        self.veils.set(&places.sites);
        for map in &places.maps {
            self.unbound.remove(&map.key);
        }
        self.unbound.extend(places.give_to(&mut self.engine, defaults));
        alarms::give_rules(conn, &places, &mut self.engine)?;
        Ok(places)
    }
}

/// Reads it all. Costs a scan of when every fix was, and of all else within the dedupe window and every client.
pub fn load(store: &Store, defaults: &Defaults) -> Result<Loaded, StoreError> {
    store.read_all(|conn| {
        let next = restore::next_keys(conn)?;
        let window_ms = defaults.dedupe_window.0;
        let mut known = Known {
            engine: Engine::new(defaults.dedupe_window, VisitKey(next.visit)),
            directory: Directory::default(),
            unbound: FxHashMap::default(),
            veils: Veils::default(),
        };
        restore::each_client(conn, |key, id, name| known.directory.restore_client(id, key, name))?;
        let places = known.take_in(conn, &Whose::All, defaults)?;
        let engine = &mut known.engine;
        let newest = ends::newest_fixes(conn)?;
        let fix_ends = Ends::of(&newest);
        for (site, newest, received_at) in ends::clocks(conn, &fix_ends)? {
            engine.restore_clock(site, newest, received_at);
        }
        ends::each_recent_fix(conn, &fix_ends, window_ms, |site, client, at, is_late| {
            engine.restore_fix(site, client, at, is_late);
        })?;
        for fix in &newest {
            engine.restore_fix(fix.site, fix.client, fix.at, false);
        }
        for t in restore::transitions(conn, window_ms)? {
            engine.restore_transition(t.site, t.client, t.area, t.trigger, t.at, t.is_late);
        }
        restore::each_fingerprint(conn, window_ms, |site, print, at, is_received_time| {
            engine.restore_other(site, print, at, is_received_time);
        })?;
        let open_visits = restore_visits(conn, &places, defaults, &newest, engine)?;
        engine.recount();
        let alarms = Alarms::restore(conn, engine)?;
        Ok(Loaded { known, next, open_visits, alarms })
    })
}

/// Puts back the visits that may still change; returns how many are open.
///
/// Whether a client is out, and since when, is not stored: it is read off its last fixes. While a visit is open, the
/// run of fixes outside that ends its client's track is shorter than the exit grace, or the visit would be closed.
fn restore_visits(
    conn: &ReadConnection,
    places: &Places,
    defaults: &Defaults,
    newest: &[NewestFix],
    engine: &mut Engine,
) -> Result<i64, StoreError> {
    let rules_max = places.rules_max(defaults);
    // A sign that takes back a timeout lies within that timeout; it may come as late again as duplicates may.
    let back_ms = defaults.dedupe_window.0 + rules_max.reported_timeout_ms.max(rules_max.presence_timeout_ms);
    let visits = restore::live_visits(conn, &Ends::of(newest), back_ms)?;
    let computed = visits.iter().filter(|live| live.visit.source == Source::Computed);
    let clients: FxHashSet<(SiteKey, ClientKey)> = computed.map(|live| (live.visit.site, live.visit.client)).collect();
    let newest: Vec<NewestFix> =
        newest.iter().filter(|fix| clients.contains(&(fix.site, fix.client))).copied().collect();
    let tail = ends::tail_fixes(conn, &newest, rules_max.exit_grace_ms)?;
    let tracks = Tracks::new(places, tail, restore::rebuilt_through(conn)?);
    let mut open = 0;
    for live in visits {
        let visit = live.visit;
        let newest = match visit.source {
            Source::Computed => tracks.newest(visit.site, visit.client),
            Source::Reported => engine.newest_sign(visit.site, visit.client),
        };
        if live.closed.is_some_and(|exit| exit.clock_after != newest) {
            continue;
        }
        let outside_since = match visit.source {
            Source::Computed => tracks.outside_since(visit.site, visit.client, visit.area),
            Source::Reported => None,
        };
        engine.restore_stay(Stay { visit, outside_since, closed: live.closed });
        open += i64::from(live.closed.is_none());
    }
    Ok(open)
}

/// When a fix was, the zones it was in, and if it was late the delivery it came with.
type Whereabouts = (EventTime, Vec<AreaKey>, Option<DeliveryKey>);

/// The last fixes of clients, and the zones each was in.
struct Tracks {
    /// Newest first.
    by_client: FxHashMap<(SiteKey, ClientKey), Vec<Whereabouts>>,
    /// The last delivery whose late fixes count in an area.
    rebuilt_through: FxHashMap<AreaKey, DeliveryKey>,
}

impl Tracks {
    fn new(places: &Places, tail: Vec<TailFix>, rebuilt_through: Vec<(AreaKey, DeliveryKey)>) -> Tracks {
        let indexes: FxHashMap<MapKey, ZoneIndex> = places
            .setups(|_| PresenceRules::DEFAULT)
            .map(|(map, setup)| (map.key, ZoneIndex::new(setup.plan.zones)))
            .collect();
        let mut by_client: FxHashMap<_, Vec<_>> = FxHashMap::default();
        let mut found = Vec::new();
        for fix in tail {
            match indexes.get(&fix.map) {
                Some(index) => index.zones_at(fix.position, &mut found),
                None => found.clear(),
            }
            let zones = found.iter().map(|(area, _)| *area).collect();
            let late_with = fix.is_late.then_some(fix.delivery);
            by_client.entry((fix.site, fix.client)).or_default().push((fix.at, zones, late_with));
        }
        Tracks { by_client, rebuilt_through: rebuilt_through.into_iter().collect() }
    }

    /// A client's newest fix: never a late one.
    fn newest(&self, site: SiteKey, client: ClientKey) -> Option<EventTime> {
        self.by_client.get(&(site, client)).map(|track| track[0].0)
    }

    fn outside_since(&self, site: SiteKey, client: ClientKey, area: AreaKey) -> Option<EventTime> {
        let track = self.by_client.get(&(site, client))?;
        let through = self.rebuilt_through.get(&area);
        let counts = |late_with: Option<DeliveryKey>| late_with.is_none_or(|delivery| Some(&delivery) <= through);
        track
            .iter()
            .filter(|(_, _, late_with)| counts(*late_with))
            .take_while(|(_, zones, _)| !zones.contains(&area))
            .last()
            .map(|(at, _, _)| *at)
    }
}
