//! Sites, maps and areas as they are stored, on their way to an engine.

use rustc_hash::{FxHashMap, FxHashSet};

use super::directory::Directory;
use crate::engine::{DedupeWindow, Plan, Setup, Zone};
use crate::model::ids::{AreaKey, MapKey, SiteKey};
use crate::model::settings::PresenceRules;
use crate::model::time::ReceivedAt;
use crate::store::rebuilds::Target;
use crate::store::restore::{self, AreaRow, MapRow, SiteRow, Whose};
use crate::store::row;
use crate::store::{ReadConnection, StoreError};

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
    pub plan: Plan,
    area_rules: Vec<(AreaKey, PresenceRules)>,
}

impl MapSetup {
    pub fn give_to(self, engine: &mut impl Setup, site: SiteKey, map: MapKey) {
        engine.set_map(site, map, Some(self.plan));
        for (area, rules) in self.area_rules {
            engine.set_area_rules(site, area, Some(rules));
        }
    }
}

/// What a site has.
#[derive(Default)]
struct Own {
    maps: Vec<(MapKey, MapSetup)>,
    area_rules: Vec<(AreaKey, PresenceRules)>,
}

/// Sites, maps and areas as they are stored now, all or some.
#[derive(Clone, Debug, PartialEq)]
pub struct Places {
    pub sites: Vec<SiteRow>,
    pub maps: Vec<MapRow>,
    pub areas: Vec<AreaRow>,
}

impl Places {
    /// All of them.
    pub fn read(conn: &ReadConnection) -> Result<Places, StoreError> {
        Places::read_of(conn, &Whose::All)
    }

    pub fn read_of(conn: &ReadConnection, whose: &Whose) -> Result<Places, StoreError> {
        Ok(Places {
            sites: restore::sites(conn, whose)?,
            maps: restore::maps(conn, whose)?,
            areas: restore::areas(conn, whose)?,
        })
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

    /// Gives an engine these sites' rules and maps, in place of what it has of these sites; returns the maps whose site
    /// nobody has named yet.
    pub fn give_to(&self, engine: &mut impl Setup, defaults: &Defaults) -> FxHashMap<MapKey, MapSetup> {
        let site_rules: FxHashMap<SiteKey, PresenceRules> =
            self.sites.iter().map(|site| (site.key, site.rules.within(defaults.rules))).collect();
        let rules_of = |site: Option<SiteKey>| site.and_then(|site| site_rules.get(&site).copied());
        let mut unbound = FxHashMap::default();
        let mut own: FxHashMap<SiteKey, Own> = FxHashMap::default();
        for (map, setup) in self.setups(|map| rules_of(map.site).unwrap_or(defaults.rules)) {
            // Zones may lie on a map that nobody uploaded.
            if map.is_mapped || !setup.plan.zones.is_empty() {
                match map.site {
                    Some(site) => own.entry(site).or_default().maps.push((map.key, setup)),
                    None => _ = unbound.insert(map.key, setup),
                }
            }
        }
        for area in self.areas.iter().filter(|area| area.has_own_rules()) {
            if let (Some(site), Some(rules)) = (area.site, rules_of(area.site)) {
                own.entry(site).or_default().area_rules.push((area.key, area.rules.within(rules)));
            }
        }
        for site in &self.sites {
            let Own { maps, area_rules } = own.remove(&site.key).unwrap_or_default();
            engine.set_site(site.key, site_rules[&site.key]);
            let on_maps = maps.iter().flat_map(|(_, setup)| &setup.area_rules);
            let with_own = on_maps.chain(&area_rules).map(|(area, _)| *area).collect();
            engine.keep_only(site.key, &maps.iter().map(|(map, _)| *map).collect(), &with_own);
            for (map, setup) in maps {
                setup.give_to(engine, site.key, map);
            }
            for (area, rules) in area_rules {
                engine.set_area_rules(site.key, area, Some(rules));
            }
        }
        unbound
    }

    /// Only the areas of a target, with the maps they are on.
    pub fn only(mut self, target: Target) -> Places {
        self.areas.retain(|area| match target {
            Target::All => true,
            Target::Site(site) => area.site == Some(site),
            Target::Map(map) => area.map == Some(map),
            Target::Area(key) => area.key == key,
        });
        let maps: FxHashSet<MapKey> = self.areas.iter().filter_map(|area| area.map).collect();
        self.maps.retain(|map| maps.contains(&map.key));
        self
    }

    /// Zones whose polygon is known.
    pub fn zone_count(&self) -> usize {
        self.areas.iter().filter(|area| area.outline.is_some()).count()
    }

    /// Every map as an engine takes it, where `rules` are in force but for areas with their own.
    pub fn setups(&self, rules: impl Fn(&MapRow) -> PresenceRules) -> impl Iterator<Item = (&MapRow, MapSetup)> {
        let mut on_maps: FxHashMap<MapKey, Vec<&AreaRow>> = FxHashMap::default();
        for area in &self.areas {
            if let Some(map) = area.map {
                on_maps.entry(map).or_default().push(area);
            }
        }
        self.maps.iter().map(move |map| {
            let areas = on_maps.remove(&map.key).unwrap_or_default();
            let zone =
                |area: &&AreaRow| Some(Zone { area: area.key, version: area.version, outline: area.outline.clone()? });
            let with_own = areas.iter().filter(|area| area.has_own_rules());
            let setup = MapSetup {
                plan: Plan { size_m: map.size_m, zones: areas.iter().filter_map(zone).collect() },
                area_rules: with_own.map(|area| (area.key, area.rules.within(rules(map)))).collect(),
            };
            (map, setup)
        })
    }

    /// The rules in force in an area.
    pub fn rules_of(&self, area: &AreaRow, defaults: &Defaults) -> PresenceRules {
        let site = self.sites.iter().find(|site| Some(site.key) == area.site);
        area.rules.within(site.map_or(defaults.rules, |site| site.rules.within(defaults.rules)))
    }

    /// The longest of each rule in force anywhere.
    pub fn rules_max(&self, defaults: &Defaults) -> PresenceRules {
        let sites = self.sites.iter().map(|site| site.rules.within(defaults.rules));
        let areas = self.areas.iter().map(|area| area.rules.within(defaults.rules));
        sites.chain(areas).fold(defaults.rules, |max, rules| PresenceRules {
            exit_grace_ms: max.exit_grace_ms.max(rules.exit_grace_ms),
            presence_timeout_ms: max.presence_timeout_ms.max(rules.presence_timeout_ms),
            reported_timeout_ms: max.reported_timeout_ms.max(rules.reported_timeout_ms),
        })
    }
}
