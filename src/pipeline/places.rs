//! Sites, maps and areas as they are stored, on their way to an engine.

use rustc_hash::FxHashMap;

use super::directory::Directory;
use crate::engine::{DedupeWindow, Plan, Setup, Zone};
use crate::model::ids::{AreaKey, MapKey, SiteKey};
use crate::model::settings::PresenceRules;
use crate::model::time::ReceivedAt;
use crate::store::rebuilds::Target;
use crate::store::restore::{self, AreaRow, MapRow, SiteRow};
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

/// Sites, maps and areas as they are stored now.
#[derive(Clone, Debug, PartialEq)]
pub struct Places {
    pub sites: Vec<SiteRow>,
    pub maps: Vec<MapRow>,
    pub areas: Vec<AreaRow>,
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

    /// Gives an engine every site's rules and every map; returns the maps whose site nobody has named yet.
    pub fn give_to(&self, engine: &mut impl Setup, defaults: &Defaults) -> FxHashMap<MapKey, MapSetup> {
        let site_rules: FxHashMap<SiteKey, PresenceRules> =
            self.sites.iter().map(|site| (site.key, site.rules.within(defaults.rules))).collect();
        for site in &self.sites {
            engine.set_site(site.key, site_rules[&site.key]);
        }
        let mut unbound = FxHashMap::default();
        for map in &self.maps {
            let rules = map.site.map_or(defaults.rules, |site| site_rules[&site]);
            let setup = self.setup(map, rules);
            // Zones may lie on a map that nobody uploaded.
            match (map.site, map.is_mapped || !setup.plan.zones.is_empty()) {
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

    /// Only the areas of a target, with the maps they are on.
    pub fn only(mut self, target: Target) -> Places {
        self.areas.retain(|area| match target {
            Target::All => true,
            Target::Site(site) => area.site == Some(site),
            Target::Map(map) => area.map == Some(map),
            Target::Area(key) => area.key == key,
        });
        self.maps.retain(|map| self.areas.iter().any(|area| area.map == Some(map.key)));
        self
    }

    /// Zones whose polygon is known.
    pub fn zone_count(&self) -> usize {
        self.areas.iter().filter(|area| area.outline.is_some()).count()
    }

    pub fn setup(&self, map: &MapRow, rules: PresenceRules) -> MapSetup {
        let on_map = || self.areas.iter().filter(|area| area.map == Some(map.key));
        let zones = on_map()
            .filter_map(|area| Some(Zone { area: area.key, version: area.version, outline: area.outline.clone()? }));
        let area_rules = on_map().filter(|area| area.rules != restore::RuleSettings::default());
        MapSetup {
            plan: Plan { size_m: map.size_m, zones: zones.collect() },
            area_rules: area_rules.map(|area| (area.key, area.rules.within(rules))).collect(),
        }
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
