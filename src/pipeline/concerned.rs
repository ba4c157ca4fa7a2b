//! What changes concern: the sites of what they name, before and after. The rest of the engine's places stays as it is, so
//! a change costs what it concerns, however many places there are.

use super::change::Change;
use super::directory::Directory;
use crate::model::ids::{AreaId, MapId, RuleKey, SiteId};
use crate::store::alerts::{self, RuleTarget};
use crate::store::restore::{self, PlaceSet, Whose};
use crate::store::{ReadConnection, StoreError};

/// What changes name, of places and rules.
#[derive(Default)]
pub struct Named {
    sites: Vec<SiteId>,
    maps: Vec<MapId>,
    areas: Vec<AreaId>,
    rules: Vec<RuleKey>,
    targets: Vec<RuleTarget>,
}

impl Named {
    pub fn by(changes: &[Change]) -> Named {
        let mut named = Named::default();
        for change in changes {
            match change {
                Change::Site(record) => named.sites.push(record.id.clone()),
                Change::SiteName { id, .. } | Change::EndSite(id) => named.sites.push(id.clone()),
                Change::Map { plan, .. } => {
                    named.sites.extend(plan.site.clone());
                    named.maps.push(plan.id.clone());
                    named.areas.extend(plan.areas.iter().map(|area| area.id.clone()));
                }
                Change::Area { site, map, plan, .. } => {
                    named.sites.extend(site.clone());
                    named.maps.extend(map.clone());
                    named.areas.push(plan.id.clone());
                }
                Change::AccessPoint { map, .. } | Change::Image { map, .. } | Change::EndMap(map) => {
                    named.maps.push(map.clone());
                }
                Change::EndArea(id) => named.areas.push(id.clone()),
                Change::Rule { key, record } => {
                    named.rules.extend(*key);
                    named.targets.push(record.target.clone());
                }
                Change::EndRule(key) => named.rules.push(*key),
                Change::Acknowledge { .. }
                | Change::Silence(_)
                | Change::EndSilence(_)
                | Change::Callback { .. }
                | Change::EndCallback(_)
                | Change::Attempted { .. }
                | Change::Tested { .. }
                | Change::Redeliver { .. } => {}
            }
        }
        named
    }

    fn is_nothing(&self) -> bool {
        let Named { sites, maps, areas, rules, targets } = self;
        sites.is_empty() && maps.is_empty() && areas.is_empty() && rules.is_empty() && targets.is_empty()
    }
}

/// What is concerned, as far as it was looked at.
#[derive(Default)]
pub struct Concerned {
    places: PlaceSet,
    /// A rule is for whatever has a tag, wherever that is.
    is_all: bool,
}

impl Concerned {
    /// Adds where things are now.
    pub fn add(&mut self, conn: &ReadConnection, named: &Named, directory: &Directory) -> Result<(), StoreError> {
        if named.is_nothing() {
            return Ok(());
        }
        let Concerned { places, is_all } = self;
        places.sites.extend(named.sites.iter().filter_map(|id| directory.known_site(id)));
        places.maps.extend(named.maps.iter().filter_map(|id| directory.known_map(id)));
        places.areas.extend(named.areas.iter().filter_map(|id| directory.known_area(id)));
        for target in alerts::targets(conn, &named.rules)?.iter().chain(&named.targets) {
            let RuleTarget { site, map, area, tag: _ } = target;
            *is_all |= site.is_none() && map.is_none() && area.is_none();
            places.sites.extend(*site);
            places.maps.extend(*map);
            places.areas.extend(*area);
        }
        restore::add_whereabouts(conn, places)
    }

    /// `None` where no place is concerned.
    pub fn whose(self) -> Option<Whose> {
        let Concerned { places, is_all } = self;
        let is_nothing = places.sites.is_empty() && places.maps.is_empty() && places.areas.is_empty();
        match is_all {
            true => Some(Whose::All),
            false => (!is_nothing).then_some(Whose::Of(places)),
        }
    }
}
