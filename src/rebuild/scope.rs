//! What a rebuild is about: the areas, their rules, and which events bear on them.

use rustc_hash::FxHashMap;

use crate::engine::{Derivation, FixInput, Input, TransitionInput};
use crate::model::floorplan::Outline;
use crate::model::ids::{AreaKey, DeliveryKey, MapKey, SiteKey};
use crate::model::position::Position;
use crate::model::time::ReceivedAt;
use crate::model::visit::Source;
use crate::pipeline::{Defaults, Places};
use crate::store::history::{self, Place, Question, StoredEvent, What};
use crate::store::rebuilds::{self, Request};
use crate::store::{ReadConnection, StoreError};

/// The areas of a request as they are now, and the question whose answer their visits are derived from.
pub struct Scope {
    pub places: Places,
    pub question: Question,
    /// Versions of the areas whose reported visits are derived.
    reported: FxHashMap<AreaKey, u32>,
}

impl Scope {
    /// The areas of a request, with all events that are committed.
    pub fn read(conn: &ReadConnection, request: &Request, defaults: &Defaults) -> Result<Scope, StoreError> {
        let places = Places::read(conn)?.only(request.target);
        let reported = rebuilds::reported(conn)?;
        let mut scope = Scope::computed(places, request, history::newest_delivery(conn)?, defaults);
        scope.add_reported(&reported, defaults);
        Ok(scope)
    }

    /// The computed visits of areas, with the late events up to a delivery.
    pub fn computed(places: Places, request: &Request, through: DeliveryKey, defaults: &Defaults) -> Scope {
        let question = Question {
            sites: Vec::new(),
            areas: Vec::new(),
            places: Vec::new(),
            from: request.from,
            to: request.to,
            silence_ms: 0,
            through,
        };
        let mut scope = Scope { question, reported: FxHashMap::default(), places };
        scope.add_computed(defaults);
        scope
    }

    /// Zones whose polygon is known, on maps whose site is.
    fn add_computed(&mut self, defaults: &Defaults) {
        for area in &self.places.areas {
            if let (Some(site), Some(map), Some(outline)) = (area.site, area.map, &area.outline) {
                let rules = self.places.rules_of(area, defaults);
                let question = &mut self.question;
                question.sites.push(site);
                question.areas.push((area.key, Source::Computed));
                question.places.push(place(map, outline));
                question.silence_ms = question.silence_ms.max(rules.presence_timeout_ms);
            }
        }
        self.put_sites_in_order();
    }

    fn add_reported(&mut self, reported: &[(AreaKey, SiteKey)], defaults: &Defaults) {
        for area in &self.places.areas {
            let sites: Vec<SiteKey> =
                reported.iter().filter(|(key, _)| *key == area.key).map(|(_, site)| *site).collect();
            if sites.is_empty() {
                continue;
            }
            let rules = self.places.rules_of(area, defaults);
            self.question.sites.extend(sites);
            self.question.areas.push((area.key, Source::Reported));
            self.question.silence_ms = self.question.silence_ms.max(rules.reported_timeout_ms);
            self.reported.insert(area.key, area.version);
        }
        self.put_sites_in_order();
    }

    fn put_sites_in_order(&mut self) {
        self.question.sites.sort_unstable();
        self.question.sites.dedup();
    }

    pub fn derivation(&self, defaults: &Defaults) -> Derivation {
        let mut derivation = Derivation::default();
        self.places.give_to(&mut derivation, defaults);
        derivation
    }

    /// A stored event as the derivation takes it.
    pub fn input(&self, event: &StoredEvent) -> Input {
        let StoredEvent { site, client, at, what } = *event;
        let received_at = ReceivedAt(at.0);
        match what {
            What::Fix { map, position } => Input::Fix(FixInput { site, map, client, at, received_at, position }),
            What::Transition { map, area, trigger } => match self.reported.get(&area) {
                Some(&area_version) => Input::Transition(TransitionInput {
                    site,
                    map,
                    area,
                    area_version,
                    client,
                    trigger,
                    at,
                    received_at,
                }),
                None => Input::Sign { site, client, at },
            },
            What::Other => Input::Sign { site, client, at },
        }
    }
}

/// The rectangle around an outline, rounded outwards to millimetres.
pub fn place(map: MapKey, outline: &Outline) -> Place {
    let (lower, upper) = outline.envelope();
    // Within 1,000 km of the origin, as outlines are, so it fits.
    let down = |m: f64| (m * 1000.0).floor() as i32;
    let up = |m: f64| (m * 1000.0).ceil() as i32;
    Place {
        map,
        lower: Position { x_mm: down(lower[0]), y_mm: down(lower[1]) },
        upper: Position { x_mm: up(upper[0]), y_mm: up(upper[1]) },
    }
}
