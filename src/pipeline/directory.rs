//! The keys that stand for outside ids. A new id gets the next key, and a row in the drain that met it.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::model::ids::{AreaId, AreaKey, ClientId, ClientKey, Id, MapId, MapKey, SiteId, SiteKey};
use crate::model::time::ReceivedAt;
use crate::store::row::{self, Instant, column};
use crate::store::writer::Drain;

#[derive(Debug, Default)]
pub struct Directory {
    sites: FxHashMap<SiteId, SiteKey>,
    maps: FxHashMap<MapId, MapEntry>,
    areas: FxHashMap<AreaId, AreaEntry>,
    clients: FxHashMap<ClientId, ClientEntry>,
}

/// How many sites, maps and areas were known. Keys are given one after the other, so it says which.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    sites: usize,
    maps: usize,
    areas: usize,
}

#[derive(Debug)]
struct MapEntry {
    key: MapKey,
    site: Option<SiteKey>,
}

#[derive(Clone, Copy, Debug)]
pub struct AreaEntry {
    pub key: AreaKey,
    /// Its version now; 0 where nobody uploaded it.
    pub version: u32,
}

#[derive(Debug)]
struct ClientEntry {
    key: ClientKey,
    name: Option<Box<str>>,
}

/// The site of events that name neither a site nor a map that we know the site of.
fn nowhere() -> SiteId {
    SiteId(Id::Text("".into()))
}

impl Directory {
    pub fn restore_site(&mut self, id: SiteId, key: SiteKey) {
        self.sites.insert(id, key);
    }

    pub fn restore_map(&mut self, id: MapId, key: MapKey, site: Option<SiteKey>) {
        self.maps.insert(id, MapEntry { key, site });
    }

    pub fn restore_area(&mut self, id: AreaId, key: AreaKey, version: u32) {
        self.areas.insert(id, AreaEntry { key, version });
    }

    pub fn restore_client(&mut self, id: ClientId, key: ClientKey, name: Option<String>) {
        self.clients.insert(id, ClientEntry { key, name: name.map(String::into_boxed_str) });
    }

    /// What is known now, to go back to.
    pub fn mark(&self) -> Mark {
        Mark { sites: self.sites.len(), maps: self.maps.len(), areas: self.areas.len() }
    }

    /// Forgets sites, maps and areas that were given keys since, and what sites maps were found to have. Costs a look at
    /// every one of them, if there is any such.
    pub fn go_back(&mut self, mark: Mark, map_sites: &[(i32, SiteKey)]) {
        let is_known = |key: u32, known: usize| (key as usize) < known;
        if self.sites.len() > mark.sites {
            self.sites.retain(|_, key| is_known(key.0, mark.sites));
        }
        if self.areas.len() > mark.areas {
            self.areas.retain(|_, area| is_known(area.key.0, mark.areas));
        }
        if self.maps.len() > mark.maps || !map_sites.is_empty() {
            let found: FxHashSet<i32> = map_sites.iter().map(|(map, _)| *map).collect();
            self.maps.retain(|_, map| {
                if found.contains(&column(map.key.0)) {
                    map.site = None;
                }
                is_known(map.key.0, mark.maps)
            });
        }
    }

    pub fn known_site(&self, id: &SiteId) -> Option<SiteKey> {
        self.sites.get(id).copied()
    }

    pub fn known_map(&self, id: &MapId) -> Option<MapKey> {
        Some(self.maps.get(id)?.key)
    }

    pub fn known_area(&self, id: &AreaId) -> Option<AreaKey> {
        Some(self.areas.get(id)?.key)
    }

    pub fn known_client(&self, id: &ClientId) -> Option<ClientKey> {
        Some(self.clients.get(id)?.key)
    }

    pub fn site_of_map(&self, id: &MapId) -> Option<SiteKey> {
        self.maps.get(id)?.site
    }

    /// The site that [`Directory::site_of`] would give, where it is known.
    pub fn known_site_of(&self, site: Option<&SiteId>, map: Option<&MapId>) -> Option<SiteKey> {
        match site {
            Some(site) => self.sites.get(site).copied(),
            None => map.and_then(|map| self.maps.get(map)?.site),
        }
    }

    /// The site an event belongs to: the one it names, else its map's, else the nameless one.
    pub fn site_of(
        &mut self,
        site: Option<&SiteId>,
        map: Option<&MapId>,
        at: ReceivedAt,
        drain: &mut Drain,
    ) -> SiteKey {
        match site {
            Some(site) => self.site(site, at, drain),
            None => match map.and_then(|map| self.maps.get(map)?.site) {
                Some(site) => site,
                None => self.site(&nowhere(), at, drain),
            },
        }
    }

    pub fn site(&mut self, id: &SiteId, at: ReceivedAt, drain: &mut Drain) -> SiteKey {
        if let Some(key) = self.sites.get(id) {
            return *key;
        }
        let key = SiteKey(next_key(self.sites.len()));
        self.sites.insert(id.clone(), key);
        drain.sites.push(row::Site {
            site_key: column(key.0),
            site_id: id.to_string(),
            name: None,
            time_zone: "UTC".into(),
            exit_grace_s: None,
            presence_timeout_s: None,
            reported_timeout_s: None,
            dwell_bands: None,
            first_seen_at: Instant(at.0),
            rules_changed_at: None,
            pseudonymise: None,
        });
        key
    }

    /// A map, and whether its site was not known before `site` was given.
    pub fn map(&mut self, id: &MapId, site: Option<SiteKey>, at: ReceivedAt, drain: &mut Drain) -> (MapKey, MapNews) {
        if let Some(entry) = self.maps.get_mut(id) {
            if entry.site.is_none()
                && let Some(site) = site
            {
                entry.site = Some(site);
                drain.map_sites.push((column(entry.key.0), site));
                return (entry.key, MapNews::SiteLearned);
            }
            return (entry.key, MapNews::None);
        }
        let key = MapKey(next_key(self.maps.len()));
        self.maps.insert(id.clone(), MapEntry { key, site });
        drain.maps.push(row::Map {
            map_key: column(key.0),
            map_id: id.to_string(),
            site_key: site.map(|site| column(site.0)),
            first_seen_at: Instant(at.0),
        });
        (key, MapNews::None)
    }

    pub fn area(
        &mut self,
        id: &AreaId,
        site: Option<SiteKey>,
        map: Option<MapKey>,
        at: ReceivedAt,
        drain: &mut Drain,
    ) -> AreaEntry {
        if let Some(entry) = self.areas.get(id) {
            return *entry;
        }
        let entry = AreaEntry { key: AreaKey(next_key(self.areas.len())), version: 0 };
        self.areas.insert(id.clone(), entry);
        drain.areas.push(row::Area {
            area_key: column(entry.key.0),
            kind: id.kind as u8,
            area_id: id.id.to_string(),
            site_key: site.map(|site| column(site.0)),
            map_key: map.map(|map| column(map.0)),
            exit_grace_s: None,
            presence_timeout_s: None,
            reported_timeout_s: None,
            authoritative_source: None,
            first_seen_at: Instant(at.0),
            rules_changed_at: None,
        });
        entry
    }

    pub fn client(&mut self, id: &ClientId, name: Option<&str>, at: ReceivedAt, drain: &mut Drain) -> ClientKey {
        if let Some(entry) = self.clients.get_mut(id) {
            if let Some(name) = name
                && entry.name.as_deref() != Some(name)
            {
                entry.name = Some(name.into());
                drain.client_names.push((column(entry.key.0), name.to_owned()));
            }
            return entry.key;
        }
        let key = ClientKey(next_key(self.clients.len()));
        self.clients.insert(id.clone(), ClientEntry { key, name: name.map(Into::into) });
        drain.clients.push(row::Client {
            client_key: column(key.0),
            kind: id.kind as u8,
            client_id: id.id.to_string(),
            name: name.map(str::to_owned),
            first_seen_at: Instant(at.0),
        });
        key
    }
}

/// What meeting a map taught us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapNews {
    None,
    /// It was uploaded without a site, and an event has named the site now.
    SiteLearned,
}

/// Keys are dense: nothing is ever taken out of the dictionaries.
fn next_key(known: usize) -> u32 {
    u32::try_from(known).expect("fewer than four billion ids")
}
