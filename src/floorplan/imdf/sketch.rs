//! Units and openings in degrees, before they are placed on a map as zones.

use super::archive::{Feature, Labels, Rings};
use super::frame::{Bounds, rounded, strip};
use super::{brief, needed_id};
use crate::floorplan::georeference::Placement;
use crate::floorplan::reader::Reader;
use crate::model::floorplan::AreaPlan;
use crate::model::ids::{AreaId, AreaKind, ID_BYTES_MAX, Id};

/// A unit or an opening, to be placed when the frames of all levels are known.
pub struct Draft<'a> {
    pub file: &'a str,
    pub level: usize,
    pub sketch: Sketch,
}

/// A feature that becomes zones, in degrees.
pub struct Sketch {
    pub place: String,
    /// One for each part.
    ids: Vec<AreaId>,
    name: String,
    tags: Vec<String>,
    properties_json: Option<String>,
    pub drawn: Drawn,
}

pub enum Drawn {
    Parts(Vec<Rings>),
    Line(Vec<[f64; 2]>),
}

impl Drawn {
    /// Zones that it becomes.
    pub fn parts(&self) -> usize {
        match self {
            Drawn::Parts(parts) => parts.len(),
            Drawn::Line(line) => usize::from(!line.is_empty()),
        }
    }

    pub fn bounds(&self) -> Option<Bounds> {
        match self {
            Drawn::Parts(parts) => Bounds::around(parts.iter().flatten().flatten()),
            Drawn::Line(line) => Bounds::around(line),
        }
    }

    /// Rings in metres; none for a line whose ends coincide.
    pub fn placed(&self, placement: &Placement) -> Vec<Rings> {
        let metres = |line: &Vec<[f64; 2]>| line.iter().map(|&at| rounded(placement.to_map(at))).collect::<Vec<_>>();
        match self {
            Drawn::Parts(parts) => parts.iter().map(|rings| rings.iter().map(metres).collect()).collect(),
            Drawn::Line(line) => strip(&metres(line)).map(|ring| vec![ring]).into_iter().collect(),
        }
    }
}

impl Sketch {
    /// What its texts take for the parts after the first.
    pub fn copied_bytes(&self) -> usize {
        let texts = self.tags.iter().chain(&self.properties_json).chain([&self.name, &self.place]);
        texts.map(String::len).sum::<usize>().saturating_mul(self.drawn.parts().saturating_sub(1))
    }

    /// The zone of a part whose rings are in metres.
    pub fn area(&self, reader: &mut Reader, part: usize, mut rings: Rings) -> Option<AreaPlan> {
        rings.iter_mut().for_each(Vec::dedup);
        Some(AreaPlan {
            id: self.ids[part].clone(),
            name: Some(if part == 0 { self.name.clone() } else { format!("{} ({})", self.name, part + 1) }),
            shape: reader.zone(&self.place, rings)?,
            tags: self.tags.clone(),
            occupancy_limit: None,
            properties_json: self.properties_json.clone(),
            drawn: None,
        })
    }
}

/// A unit is its outline.
pub fn unit(reader: &mut Reader, labels: &Labels, feature: &Feature) -> Option<Sketch> {
    let category = reader.text(&feature.properties, "category");
    let restriction = reader.text(&feature.properties, "restriction");
    let kind = category.as_deref().map_or_else(|| "Unit".into(), capitalised);
    let tags = category.into_iter().chain(restriction).collect();
    sketch(reader, labels, feature, &kind, tags, feature.polygons().map(Drawn::Parts))
}

/// An opening is a strip along its line.
pub fn opening(reader: &mut Reader, labels: &Labels, feature: &Feature) -> Option<Sketch> {
    let category = reader.text(&feature.properties, "category");
    let tags = std::iter::once("opening".to_owned()).chain(category).collect();
    sketch(reader, labels, feature, "Opening", tags, feature.line().map(Drawn::Line))
}

fn sketch(
    reader: &mut Reader,
    labels: &Labels,
    feature: &Feature,
    kind: &str,
    tags: Vec<String>,
    drawn: Result<Drawn, String>,
) -> Option<Sketch> {
    let id = needed_id(reader, &feature.whole, "id");
    let name = labels
        .text(reader, &feature.properties, "name")
        .or_else(|| labels.text(reader, &feature.properties, "alt_name"));
    let drawn = drawn.map_err(|reason| reader.fault(feature.place(), reason)).ok();
    let ids = area_ids(reader, feature.place(), &id?, drawn.as_ref().map_or(1, Drawn::parts));
    let name = name.unwrap_or_else(|| format!("{kind} {}", brief(&ids[0].id)));
    let properties_json = feature.whole.get("properties").map(|properties| properties.to_string());
    Some(Sketch { place: feature.place().to_owned(), ids, name, tags, properties_json, drawn: drawn? })
}

/// The feature's own id, then `<id>/2` and so on for further parts.
fn area_ids(reader: &mut Reader, place: &str, id: &str, parts: usize) -> Vec<AreaId> {
    let first = Id::object(id);
    let further = (2..=parts).map(|part| format!("{first}/{part}"));
    let ids: Vec<String> = std::iter::once(first.to_string()).chain(further).collect();
    if ids.iter().any(|id| id.len() > ID_BYTES_MAX) {
        reader.fault(place, format!("its id is too long for the ids of its parts, {ID_BYTES_MAX} bytes"));
    }
    ids.into_iter().filter_map(|id| reader.area_id(AreaKind::Zone, place, None, Some(id))).collect()
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
