//! The files of an IMDF archive, and the features and labels in them.

use std::collections::{BTreeMap, HashSet};
use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::floorplan::SourceFile;
use crate::floorplan::geojson::{items, position};
use crate::floorplan::reader::{Object, Reader, place_of, type_of};

/// One polygon in degrees: closed rings, the outer one first.
pub type Rings = Vec<Vec<[f64; 2]>>;

const MANIFEST: &str = "manifest.json";
const ENDING: &str = ".geojson";

/// An archive that has been opened; feature types that Footfall has no use for are only counted.
#[derive(Default)]
pub struct Archive<'a> {
    pub labels: Labels,
    pub venue: Option<Collection<'a>>,
    pub level: Option<Collection<'a>>,
    pub unit: Option<Collection<'a>>,
    pub opening: Option<Collection<'a>>,
    pub others: BTreeMap<&'a str, usize>,
}

/// The features of one file.
pub struct Collection<'a> {
    pub file: &'a str,
    /// The only `feature_type` that the file may hold.
    kind: &'a str,
    features: Vec<Value>,
}

/// A feature with its `properties`; those are empty where it has none.
pub struct Feature<'a> {
    pub whole: Object<'a>,
    pub properties: Object<'a>,
}

/// Chooses among names in several languages.
#[derive(Default)]
pub struct Labels {
    /// Of the manifest, such as `en-US`.
    language: Option<String>,
}

/// Folders that hold an archive, each with its final `/`; the root is empty.
pub fn folders(files: &[SourceFile]) -> Vec<&str> {
    let names: HashSet<&str> = files.iter().map(|file| file.name.as_str()).collect();
    let has = |folder: &str, file: &str| names.contains(format!("{folder}{file}").as_str());
    let manifests = files.iter().filter_map(|file| file.name.strip_suffix(MANIFEST));
    manifests
        .filter(|folder| folder.is_empty() || folder.find('/') == Some(folder.len() - 1))
        .filter(|folder| has(folder, "venue.geojson") || has(folder, "level.geojson"))
        .collect()
}

impl<'a> Archive<'a> {
    /// Parses the files of the only archive there is. What cannot be parsed is missing from it, and a fault.
    pub fn open(reader: &mut Reader, files: &'a [SourceFile]) -> Option<Archive<'a>> {
        let folder = match folders(files)[..] {
            [folder] => folder,
            [] => {
                reader.fault("document", "holds no manifest.json beside a venue.geojson or level.geojson");
                return None;
            }
            [first, second, ..] => {
                let reason =
                    format!("holds several IMDF archives, such as {first:?} and {second:?}: upload one at a time");
                reader.fault("document", reason);
                return None;
            }
        };
        let mut archive = Archive::default();
        for file in files {
            reader.open(Some(&file.name));
            match file.name.strip_prefix(folder) {
                Some(MANIFEST) => archive.labels = Labels::of_manifest(reader, &file.bytes),
                Some(name) if !name.contains('/') => {
                    if let Some(kind) = name.strip_suffix(ENDING) {
                        archive.take(kind, collection(reader, file, kind));
                    }
                }
                _ => {}
            }
        }
        reader.open(None);
        Some(archive)
    }

    fn take(&mut self, kind: &'a str, collection: Option<Collection<'a>>) {
        match kind {
            "venue" => self.venue = collection,
            "level" => self.level = collection,
            "unit" => self.unit = collection,
            "opening" => self.opening = collection,
            other => *self.others.entry(other).or_default() += collection.map_or(0, |found| found.features.len()),
        }
    }
}

fn collection<'a>(reader: &mut Reader, file: &'a SourceFile, kind: &'a str) -> Option<Collection<'a>> {
    let reason = match json(reader, &file.bytes)? {
        Value::Object(mut members) if members.get("type").is_some_and(|kind| kind == "FeatureCollection") => {
            match members.remove("features") {
                Some(Value::Array(features)) => return Some(Collection { file: &file.name, kind, features }),
                other => format!("but its `features` is {}", other.as_ref().map_or("missing", type_of)),
            }
        }
        Value::Object(_) => "but its `type` says otherwise".into(),
        other => format!("not {}", type_of(&other)),
    };
    reader.fault("document", format!("must be a GeoJSON FeatureCollection, {reason}"));
    None
}

fn json(reader: &mut Reader, bytes: &[u8]) -> Option<Value> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match serde_json::from_slice(bytes) {
        Ok(value) => Some(value),
        Err(error) => {
            reader.fault("document", format!("is not JSON: {error}"));
            None
        }
    }
}

impl Collection<'_> {
    pub fn len(&self) -> usize {
        self.features.len()
    }

    /// Its features. What is no feature of this file is a fault.
    pub fn features(&self, reader: &mut Reader, labels: &Labels) -> Vec<Feature<'_>> {
        reader.open(Some(self.file));
        let numbered = self.features.iter().enumerate();
        numbered.filter_map(|(number, feature)| self.feature(reader, labels, number, feature)).collect()
    }

    fn feature<'b>(
        &self,
        reader: &mut Reader,
        labels: &Labels,
        number: usize,
        feature: &'b Value,
    ) -> Option<Feature<'b>> {
        static NOTHING: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
        let name = feature.pointer("/properties/name").and_then(|name| labels.chosen(name));
        let whole = reader.object(place_of("features", number, name), feature)?;
        if whole.get("feature_type").is_some_and(|kind| kind != self.kind) {
            reader.member_fault(&whole, "feature_type", &format!("must be {:?} in this file", self.kind));
            return None;
        }
        let properties = match whole.get("properties") {
            None => whole.with(&NOTHING),
            Some(Value::Object(members)) => whole.with(members),
            Some(other) => {
                reader.member_fault(&whole, "properties", &format!("must be an object, not {}", type_of(other)));
                return None;
            }
        };
        Some(Feature { whole, properties })
    }
}

impl Labels {
    fn of_manifest(reader: &mut Reader, bytes: &[u8]) -> Labels {
        let manifest = json(reader, bytes).unwrap_or(Value::Null);
        Labels { language: manifest.get("language").and_then(Value::as_str).map(str::to_lowercase) }
    }

    /// A member of `properties` that is a text in each of some languages, or one text.
    pub fn text(&self, reader: &mut Reader, properties: &Object, key: &str) -> Option<String> {
        match properties.get(key)? {
            Value::Object(texts) => reader.text(&properties.with(texts), self.language_of(texts)?),
            _ => reader.text(properties, key),
        }
    }

    fn chosen<'a>(&self, label: &'a Value) -> Option<&'a Value> {
        match label {
            Value::Object(texts) => texts.get(self.language_of(texts)?),
            other => Some(other),
        }
    }

    /// The default language, else another form of it (`en` for `en-US`), else the first in which there is a text.
    fn language_of<'a>(&self, texts: &'a Map<String, Value>) -> Option<&'a str> {
        let is_text = |text: &Value| text.as_str().is_some_and(|text| !text.trim().is_empty());
        let in_order = || texts.iter().filter(|(_, text)| is_text(text)).map(|(language, _)| language.as_str());
        let default = self.language.as_deref().unwrap_or_default();
        in_order()
            .find(|language| language.eq_ignore_ascii_case(default))
            .or_else(|| in_order().find(|language| primary(language).eq_ignore_ascii_case(primary(default))))
            .or_else(|| in_order().next())
    }
}

/// The language of a tag, without script, region and variant.
fn primary(tag: &str) -> &str {
    tag.split(['-', '_']).next().unwrap_or_default()
}

impl Feature<'_> {
    pub fn place(&self) -> &str {
        &self.whole.place
    }

    /// The polygons it draws, in degrees; none for a feature without geometry.
    pub fn polygons(&self) -> Result<Vec<Rings>, String> {
        match self.geometry()? {
            None => Ok(Vec::new()),
            Some(("Polygon", coordinates)) => Ok(vec![rings(coordinates)?]),
            Some(("MultiPolygon", coordinates)) => items(coordinates, "the coordinates")?.iter().map(rings).collect(),
            Some(_) => Err("its geometry must be a Polygon or MultiPolygon".into()),
        }
    }

    /// The line it draws, in degrees; no position for a feature without geometry.
    pub fn line(&self) -> Result<Vec<[f64; 2]>, String> {
        match self.geometry()? {
            None => Ok(Vec::new()),
            Some(("LineString", coordinates)) => positions(coordinates, "the line"),
            Some(_) => Err("its geometry must be a LineString".into()),
        }
    }

    fn geometry(&self) -> Result<Option<(&str, &Value)>, String> {
        let Some(geometry) = self.whole.get("geometry") else { return Ok(None) };
        let kind = geometry.get("type").and_then(Value::as_str).ok_or("its geometry has no `type`")?;
        Ok(Some((kind, geometry.get("coordinates").unwrap_or(&Value::Null))))
    }
}

fn rings(coordinates: &Value) -> Result<Rings, String> {
    let rings = items(coordinates, "the coordinates")?.iter().enumerate();
    rings.map(|(number, ring)| positions(ring, &format!("ring {number}"))).collect()
}

fn positions(list: &Value, what: &str) -> Result<Vec<[f64; 2]>, String> {
    let positions = items(list, what)?.iter().enumerate();
    let degrees = |(number, it): (usize, &Value)| {
        position(it).filter(is_on_earth).ok_or_else(|| {
            format!("position {number} of {what} must be [longitude, latitude] in degrees, within 85 of the equator")
        })
    };
    positions.map(degrees).collect()
}

/// Nearer to the poles no map can be placed.
fn is_on_earth([lon_deg, lat_deg]: &[f64; 2]) -> bool {
    lon_deg.abs() <= 180.0 && lat_deg.abs() <= 85.0
}
