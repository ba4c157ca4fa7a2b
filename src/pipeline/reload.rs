//! Builds engine and dictionaries from what was committed: at the start, and after a commit that failed.

use rustc_hash::{FxHashMap, FxHashSet};

use super::directory::Directory;
use crate::engine::{DedupeWindow, Engine, Plan, Zone, ZoneIndex};
use crate::model::ids::{AreaKey, ClientKey, MapKey, SiteKey, VisitKey};
use crate::model::settings::PresenceRules;
use crate::model::time::{EventTime, ReceivedAt};
use crate::model::visit::Source;
use crate::store::restore::{self, AreaRow, MapRow, NextKeys, SiteRow, TailFix};
use crate::store::row;
use crate::store::{ReadConnection, Store, StoreError};

/// What is the same for all sites unless they say otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Defaults {
    pub rules: PresenceRules,
    pub dedupe_window: DedupeWindow,
}

impl Defaults {
    /// What the file keeps of them.
    pub fn run_row(&self, started_at: ReceivedAt) -> row::Run {
        let seconds = |ms: i64| ms as f64 / 1000.0;
        row::Run {
            started_at: row::Instant(started_at.0),
            version: env!("CARGO_PKG_VERSION").into(),
            exit_grace_s: seconds(self.rules.exit_grace_ms),
            presence_timeout_s: seconds(self.rules.presence_timeout_ms),
            reported_timeout_s: seconds(self.rules.reported_timeout_ms),
            dedupe_window_s: seconds(self.dedupe_window.0),
        }
    }
}

/// A map as the engine takes it, with the rules of its areas that have their own.
#[derive(Clone, Debug)]
pub struct MapSetup {
    plan: Plan,
    area_rules: Vec<(AreaKey, PresenceRules)>,
}

impl MapSetup {
    pub fn give_to(self, engine: &mut Engine, site: SiteKey, map: MapKey) {
        engine.set_map(site, map, Some(self.plan));
        for (area, rules) in self.area_rules {
            engine.set_area_rules(site, area, Some(rules));
        }
    }
}

/// Everything the pipeline keeps in memory.
pub struct Loaded {
    pub engine: Engine,
    pub directory: Directory,
    pub unbound: FxHashMap<MapKey, MapSetup>,
    pub next: NextKeys,
    pub open_visits: i64,
}

/// Reads it all. Costs a scan of the dedupe window's fixes and of every client.
pub fn load(store: &Store, defaults: &Defaults) -> Result<Loaded, StoreError> {
    store.read(|conn| {
        let next = restore::next_keys(conn)?;
        let window_ms = defaults.dedupe_window.0;
        let mut engine = Engine::new(defaults.dedupe_window, VisitKey(next.visit));
        let mut directory = Directory::default();
        restore::each_client(conn, |key, id, name| directory.restore_client(id, key, name))?;
        let places = Places::read(conn)?;
        places.enter_in(&mut directory);
        let unbound = places.give_to(&mut engine, defaults);
        for (site, newest, received_at) in restore::clocks(conn)? {
            engine.restore_clock(site, newest, received_at);
        }
        restore::each_recent_fix(conn, window_ms, |site, client, at, is_late| {
            engine.restore_fix(site, client, at, is_late);
        })?;
        restore::each_newest_fix(conn, |site, client, at| {
            engine.restore_fix(site, client, at, false);
        })?;
        for t in restore::transitions(conn, window_ms)? {
            engine.restore_transition(t.site, t.client, t.area, t.trigger, t.at, t.is_late);
        }
        restore::each_fingerprint(conn, window_ms, |site, print, at, is_received_time| {
            engine.restore_other(site, print, at, is_received_time);
        })?;
        let open_visits = restore_visits(conn, &places, defaults, &mut engine)?;
        Ok(Loaded { engine, directory, unbound, next, open_visits })
    })
}

/// Sites, maps and areas as they are stored now.
pub struct Places {
    sites: Vec<SiteRow>,
    maps: Vec<MapRow>,
    areas: Vec<AreaRow>,
}

impl Places {
    pub fn read(conn: &ReadConnection) -> Result<Places, StoreError> {
        Ok(Places { sites: restore::sites(conn)?, maps: restore::maps(conn)?, areas: restore::areas(conn)? })
    }

    pub fn enter_in(&self, directory: &mut Directory) {
        for site in &self.sites {
            directory.restore_site(site.id.clone(), site.key);
        }
        for map in &self.maps {
            directory.restore_map(map.id.clone(), map.key, map.site);
        }
        for area in &self.areas {
            directory.restore_area(area.id.clone(), area.key, area.version);
        }
    }

    /// Gives the engine every site's rules and every map; returns the maps whose site nobody has named yet.
    pub fn give_to(&self, engine: &mut Engine, defaults: &Defaults) -> FxHashMap<MapKey, MapSetup> {
        let site_rules: FxHashMap<SiteKey, PresenceRules> =
            self.sites.iter().map(|site| (site.key, site.rules.within(defaults.rules))).collect();
        for site in &self.sites {
            engine.set_site(site.key, site_rules[&site.key]);
        }
        let mut unbound = FxHashMap::default();
        for map in &self.maps {
            let rules = map.site.map_or(defaults.rules, |site| site_rules[&site]);
            let setup = self.setup(map, rules);
            match (map.site, map.is_mapped) {
                (Some(site), true) => setup.give_to(engine, site, map.key),
                (Some(site), false) => engine.set_map(site, map.key, None),
                (None, true) => {
                    unbound.insert(map.key, setup);
                }
                (None, false) => {}
            }
        }
        for area in &self.areas {
            if let Some(site) = area.site {
                let has_own = area.rules != restore::RuleSettings::default();
                engine.set_area_rules(site, area.key, has_own.then(|| area.rules.within(site_rules[&site])));
            }
        }
        unbound
    }

    /// Zones whose polygon is known.
    pub fn zone_count(&self) -> usize {
        self.areas.iter().filter(|area| area.outline.is_some()).count()
    }

    fn setup(&self, map: &MapRow, rules: PresenceRules) -> MapSetup {
        let on_map = || self.areas.iter().filter(|area| area.map == Some(map.key));
        let zones = on_map()
            .filter_map(|area| Some(Zone { area: area.key, version: area.version, outline: area.outline.clone()? }));
        let area_rules = on_map().filter(|area| area.rules != restore::RuleSettings::default());
        MapSetup {
            plan: Plan { size_m: map.size_m, zones: zones.collect() },
            area_rules: area_rules.map(|area| (area.key, area.rules.within(rules))).collect(),
        }
    }

    /// The longest of each rule in force anywhere.
    fn rules_max(&self, defaults: &Defaults) -> PresenceRules {
        let sites = self.sites.iter().map(|site| site.rules.within(defaults.rules));
        let areas = self.areas.iter().map(|area| area.rules.within(defaults.rules));
        sites.chain(areas).fold(defaults.rules, |max, rules| PresenceRules {
            exit_grace_ms: max.exit_grace_ms.max(rules.exit_grace_ms),
            presence_timeout_ms: max.presence_timeout_ms.max(rules.presence_timeout_ms),
            reported_timeout_ms: max.reported_timeout_ms.max(rules.reported_timeout_ms),
        })
    }
}

/// Puts back the visits that may still change; returns how many are open.
///
/// Whether a client is out, and since when, is not stored: it is read off its last fixes. While a visit is open, the
/// run of fixes outside that ends its client's track is shorter than the exit grace, or the visit would be closed.
fn restore_visits(
    conn: &ReadConnection,
    places: &Places,
    defaults: &Defaults,
    engine: &mut Engine,
) -> Result<i64, StoreError> {
    let rules_max = places.rules_max(defaults);
    // A sign that takes back a timeout lies within that timeout; it may come as late again as duplicates may.
    let back_ms = defaults.dedupe_window.0 + rules_max.reported_timeout_ms.max(rules_max.presence_timeout_ms);
    let visits = restore::live_visits(conn, back_ms)?;
    let clients: FxHashSet<ClientKey> =
        visits.iter().filter(|live| live.visit.source == Source::Computed).map(|live| live.visit.client).collect();
    let clients: Vec<ClientKey> = clients.into_iter().collect();
    let tail = restore::tail_fixes(conn, &clients, rules_max.exit_grace_ms)?;
    let tracks = Tracks::new(places, tail);
    let mut open = 0;
    for live in visits {
        let visit = live.visit;
        let newest = match visit.source {
            Source::Computed => tracks.newest(visit.site, visit.client),
            Source::Reported => engine.newest_sign(visit.site, visit.client),
        };
        let is_closed = live.clock_after.is_some();
        if is_closed && live.clock_after != newest {
            continue;
        }
        let outside_since = match visit.source {
            Source::Computed => tracks.outside_since(visit.site, visit.client, visit.area),
            Source::Reported => None,
        };
        engine.restore_visit(visit, outside_since, is_closed);
        open += i64::from(!is_closed);
    }
    Ok(open)
}

/// When a fix was, and the zones it was in.
type Whereabouts = (EventTime, Vec<AreaKey>);

/// The last fixes of clients, and the zones each was in.
struct Tracks {
    /// Newest first.
    by_client: FxHashMap<(SiteKey, ClientKey), Vec<Whereabouts>>,
}

impl Tracks {
    fn new(places: &Places, tail: Vec<TailFix>) -> Tracks {
        let indexes: FxHashMap<MapKey, ZoneIndex> = places
            .maps
            .iter()
            .map(|map| (map.key, ZoneIndex::new(places.setup(map, PresenceRules::DEFAULT).plan.zones)))
            .collect();
        let mut by_client: FxHashMap<_, Vec<_>> = FxHashMap::default();
        let mut found = Vec::new();
        for fix in tail {
            match indexes.get(&fix.map) {
                Some(index) => index.zones_at(fix.position, &mut found),
                None => found.clear(),
            }
            let zones = found.iter().map(|(area, _)| *area).collect();
            by_client.entry((fix.site, fix.client)).or_default().push((fix.at, zones));
        }
        Tracks { by_client }
    }

    fn newest(&self, site: SiteKey, client: ClientKey) -> Option<EventTime> {
        self.by_client.get(&(site, client)).map(|track| track[0].0)
    }

    fn outside_since(&self, site: SiteKey, client: ClientKey, area: AreaKey) -> Option<EventTime> {
        let track = self.by_client.get(&(site, client))?;
        track.iter().take_while(|(_, zones)| !zones.contains(&area)).last().map(|(at, _)| *at)
    }
}
