//! The levels of an archive, the maps that they become or are placed on, and what lies on each.

use std::collections::HashMap;

use super::archive::{Archive, Collection, Feature, Labels};
use super::frame::Bounds;
use super::sketch::{Draft, Sketch};
use super::{Known, Remarks, brief, needed_id};
use crate::floorplan::georeference::Placement;
use crate::floorplan::reader::Reader;
use crate::floorplan::{AREAS_MAX, Import, ImportOptions, Note, PlacedArea};
use crate::model::floorplan::{AreaPlan, MapPlan};
use crate::model::ids::{Id, MapId, SiteId};

/// More levels than any venue has.
const LEVELS_MAX: usize = 2_000;

/// Every part of a feature has the feature's texts; what may be written twice for that, bytes of one archive.
const COPIES_BYTES_MAX: usize = 16_000_000;

const SEVERAL_PARTS: &str = "of several parts, each now a zone of its own, with /2, /3 and so on after its id";

/// The levels of an archive, in its order.
pub struct Levels<'a> {
    file: &'a str,
    levels: Vec<Level>,
    numbers: HashMap<Id, usize>,
    copied_bytes: usize,
}

struct Level {
    id: Id,
    name: String,
    /// Where it stands in its file.
    place: String,
    has_outline: bool,
    /// Around its outline, else around all that lies on it.
    bounds: Option<Bounds>,
    map: Option<Target>,
    areas: Vec<AreaPlan>,
    is_full: bool,
}

/// The map that a level's zones are placed on.
struct Target {
    /// None for a level that nothing says the place of, and so has nothing on it.
    placement: Option<Placement>,
    map: Map,
}

enum Map {
    Own(Box<MapPlan>),
    Known { site: Option<SiteId>, id: MapId },
}

impl<'a> Levels<'a> {
    /// Without any, one fault says so instead of one for each unit.
    pub fn read(reader: &mut Reader, archive: &'a Archive) -> Option<Levels<'a>> {
        let Some(collection) = &archive.level else {
            reader.open(None);
            reader.fault("document", "has no level.geojson that can be read, so nothing says where its units lie");
            return None;
        };
        reader.open(Some(collection.file));
        if collection.len() > LEVELS_MAX {
            reader.fault("features", format!("has {} levels, more than the {LEVELS_MAX} allowed", collection.len()));
            return None;
        }
        let mut found = Levels { file: collection.file, levels: Vec::new(), numbers: HashMap::new(), copied_bytes: 0 };
        for feature in collection.features(reader, &archive.labels) {
            if let Some(level) = level(reader, &archive.labels, &feature) {
                found.add(reader, level);
            }
        }
        Some(found)
    }

    fn add(&mut self, reader: &mut Reader, level: Level) {
        if self.numbers.insert(level.id.clone(), self.levels.len()).is_some() {
            reader.fault(&level.place, format!("its id, {}, is there twice", level.id));
        }
        self.levels.push(level);
    }

    /// The level that a unit or an opening says it lies on.
    fn of(&self, reader: &mut Reader, feature: &Feature) -> Option<usize> {
        let id = needed_id(reader, &feature.properties, "level_id")?;
        let number = self.numbers.get(&Id::object(&id)).copied();
        if number.is_none() {
            reader.member_fault(&feature.properties, "level_id", &format!("is {id}, which is no level of the archive"));
        }
        number
    }

    /// Finds the map of each level: its own, or the one that the options say.
    pub fn choose_maps(
        &mut self,
        reader: &mut Reader,
        options: &ImportOptions,
        site: &Option<SiteId>,
        known: Known,
        notes: &mut Vec<Note>,
    ) {
        reader.open(Some(self.file));
        for (level, map) in &options.onto {
            let Some(&number) = self.numbers.get(&Id::object(level)) else {
                reader
                    .fault("features", format!("level {level}, to be placed on map {map}, is no level of the archive"));
                continue;
            };
            let level = &mut self.levels[number];
            if level.map.is_some() {
                reader.fault(&level.place, format!("is to be placed on map {map}, and on another"));
                continue;
            }
            let Some((site, placement)) = known_place(reader, &level.place, map, site, known) else { continue };
            let text = format!(
                "level {:?} is placed on map {map}, whose control points fit to {:.2} m",
                level.name,
                placement.residual_rms_m()
            );
            notes.push(Note { file: Some(self.file.into()), text });
            level.map = Some(Target { placement: Some(placement), map: Map::Known { site, id: map.clone() } });
        }
        for level in self.levels.iter_mut() {
            let is_elsewhere = options.onto.iter().any(|(id, _)| Id::object(id) == level.id);
            if !is_elsewhere {
                level.map = own_map(reader, level, site);
            }
        }
    }

    /// What a file's features draw. The box of a level without outline grows by them.
    pub fn drafts<'b>(
        &mut self,
        reader: &mut Reader,
        labels: &Labels,
        collection: Option<&Collection<'b>>,
        read: fn(&mut Reader, &Labels, &Feature) -> Option<Sketch>,
        remarks: &mut Remarks<'b>,
    ) -> Vec<Draft<'b>> {
        let Some(collection) = collection else { return Vec::new() };
        let mut drafts = Vec::new();
        for feature in collection.features(reader, labels) {
            let (level, sketch) = (self.of(reader, &feature), read(reader, labels, &feature));
            let (Some(number), Some(sketch)) = (level, sketch) else { continue };
            match sketch.drawn.parts() {
                0 => remarks.add(collection.file, "left out, without geometry", feature.place()),
                1 => {}
                _ => remarks.add(collection.file, SEVERAL_PARTS, feature.place()),
            }
            self.copied_bytes = self.copied_bytes.saturating_add(sketch.copied_bytes());
            if self.copied_bytes > COPIES_BYTES_MAX {
                reader
                    .fault(feature.place(), "has too many parts for its long properties, with the features before it");
                break;
            }
            let level = &mut self.levels[number];
            if !level.has_outline {
                level.bounds = level.bounds.into_iter().chain(sketch.drawn.bounds()).reduce(Bounds::with);
            }
            drafts.push(Draft { file: collection.file, level: number, sketch });
        }
        drafts
    }

    /// Puts a draft on its level's map.
    pub fn place<'b>(&mut self, reader: &mut Reader, draft: Draft<'b>, remarks: &mut Remarks<'b>) {
        reader.open(Some(draft.file));
        let level = &mut self.levels[draft.level];
        let Some(placement) = level.map.as_ref().and_then(|target| target.placement) else { return };
        let parts = draft.sketch.drawn.placed(&placement);
        if parts.len() < draft.sketch.drawn.parts() {
            remarks.add(draft.file, "left out, for the two ends of its line coincide", &draft.sketch.place);
        }
        for (part, rings) in parts.into_iter().enumerate() {
            if level.areas.len() < AREAS_MAX {
                level.areas.extend(draft.sketch.area(reader, part, rings));
            } else if !level.is_full {
                level.is_full = true;
                reader.open(Some(self.file));
                reader.fault(
                    &level.place,
                    format!("has more than the {AREAS_MAX} units and openings that a map may have"),
                );
            }
        }
    }

    /// The maps of the archive's own, and areas for those of the server.
    pub fn give(self, import: &mut Import) {
        for level in self.levels {
            let Some(target) = level.map else { continue };
            match target.map {
                Map::Own(plan) => {
                    if plan.georeference.is_none() {
                        let text = format!("level {:?} has neither outline nor units, so no size or place", level.name);
                        import.notes.push(Note { file: Some(self.file.into()), text });
                    }
                    import.maps.push(MapPlan { areas: level.areas, ..*plan });
                }
                Map::Known { site, id } => {
                    let placed = |plan| PlacedArea { site: site.clone(), map: Some(id.clone()), plan };
                    import.areas.extend(level.areas.into_iter().map(placed));
                }
            }
        }
    }
}

fn level(reader: &mut Reader, labels: &Labels, feature: &Feature) -> Option<Level> {
    let id = needed_id(reader, &feature.whole, "id");
    let name = labels
        .text(reader, &feature.properties, "name")
        .or_else(|| labels.text(reader, &feature.properties, "short_name"));
    let parts = feature.polygons().unwrap_or_else(|reason| {
        reader.fault(feature.place(), reason);
        Vec::new()
    });
    let bounds = Bounds::around(parts.iter().flatten().flatten());
    let id = Id::object(&id?);
    let name = name.unwrap_or_else(|| match feature.properties.get("ordinal").and_then(|ordinal| ordinal.as_i64()) {
        Some(ordinal) => format!("Level {ordinal}"),
        None => format!("Level {}", brief(&id)),
    });
    let (place, has_outline) = (feature.place().to_owned(), bounds.is_some());
    Some(Level { id, name, place, has_outline, bounds, map: None, areas: Vec::new(), is_full: false })
}

/// A map with the level's own frame, unless its box is no floor's.
fn own_map(reader: &mut Reader, level: &Level, site: &Option<SiteId>) -> Option<Target> {
    let frame = match level.bounds.map(|bounds| bounds.frame()).transpose() {
        Ok(frame) => frame,
        Err(reason) => {
            reader.fault(&level.place, reason);
            return None;
        }
    };
    let plan = MapPlan {
        id: MapId(level.id.clone()),
        site: site.clone(),
        name: Some(level.name.clone()),
        width_m: frame.as_ref().map(|frame| frame.width_m),
        height_m: frame.as_ref().map(|frame| frame.height_m),
        ppm: None,
        orientation_deg: None,
        occupancy_limit: None,
        georeference: frame.as_ref().map(|frame| frame.georeference.clone()),
        collection_json: None,
        areas: Vec::new(),
        access_points: Vec::new(),
    };
    Some(Target { placement: frame.map(|frame| frame.placement), map: Map::Own(Box::new(plan)) })
}

/// Where a map that the server has lies on Earth, and its site, which is the archive's where it has none.
fn known_place(
    reader: &mut Reader,
    place: &str,
    id: &MapId,
    site: &Option<SiteId>,
    known: Known,
) -> Option<(Option<SiteId>, Placement)> {
    let Some(map) = known(id) else {
        reader.fault(place, format!("is to be placed on map {id}, which is not there: import that map first"));
        return None;
    };
    let Some(georeference) = &map.georeference else {
        let wish = "give it control points first, two or more, each with lon, lat, x_m and y_m";
        reader.fault(place, format!("is to be placed on map {id}, which has no georeference: {wish}"));
        return None;
    };
    match Placement::fit(georeference) {
        Ok(placement) => Some((map.site.or_else(|| site.clone()), placement)),
        Err(error) => {
            reader.fault(place, format!("is to be placed on map {id}, but its georeference is wrong: {error}"));
            None
        }
    }
}
