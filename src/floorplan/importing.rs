//! An upload of files, whatever they are, becomes plans of sites, maps and areas: all of it, or all that is wrong with it.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::collection::{self, Otherwise};
use super::document::{Kind, Piece, take_apart};
use super::georeference::Placement;
use super::image::check_image;
use super::import::{Import, ImportOptions, KnownMap, MapImage, PlacedAccessPoint, PlacedArea, SitePlan, SourceFile};
use super::reader::{Object, Reader, place_of};
use super::{AREAS_MAX, Problem, UnitsName, geojson, imdf, map_document, mist};
use crate::model::floorplan::{AreaPlan, MapPlan};
use crate::model::ids::{AreaKind, Id, MapId, SiteId};

/// Maps of one upload beyond which it is no set of floorplans.
const MAPS_MAX: usize = 2_000;

/// Bytes of JSON in one upload: each may take seventy times as much memory once it is parsed.
const JSON_BYTES_MAX: usize = 32 << 20;

/// Reads an upload. `known` says what the server has of a map; with any fault nothing is taken.
///
/// Costs what checking every outline costs; the budget of one document is that of the whole upload.
pub fn read_import(
    files: Vec<SourceFile>,
    options: &ImportOptions,
    known: &dyn Fn(&MapId) -> Option<KnownMap>,
) -> Result<Import, Vec<Problem>> {
    if imdf::is_imdf(&files) {
        return imdf::read(&files, options, known);
    }
    let mut importer = Importer {
        reader: Reader::default(),
        options,
        known,
        import: Import::default(),
        map_at: HashMap::new(),
        map_of_stem: HashMap::new(),
    };
    let (images, documents) = sorted(&mut importer.reader, files);
    let pieces = importer.take_apart(documents, images.is_empty());
    importer.read(pieces);
    importer.images(images);
    importer.finish()
}

/// Images, and what may be a document; the rest is told of and left out.
fn sorted(reader: &mut Reader, files: Vec<SourceFile>) -> (Vec<SourceFile>, Vec<SourceFile>) {
    let is_alone = files.len() == 1;
    let (mut images, mut documents) = (Vec::new(), Vec::new());
    for file in files {
        match file.name.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase()).as_deref() {
            Some("png" | "jpg" | "jpeg" | "svg") => images.push(file),
            Some("json" | "geojson") => documents.push(file),
            _ if is_alone => documents.push(file),
            _ => {
                reader.open(Some(&file.name));
                reader.note("left out: neither JSON nor a PNG, JPEG or SVG image");
            }
        }
    }
    (images, documents)
}

struct Importer<'a> {
    reader: Reader,
    options: &'a ImportOptions,
    known: &'a dyn Fn(&MapId) -> Option<KnownMap>,
    import: Import,
    /// Where in the import each of its maps is.
    map_at: HashMap<MapId, usize>,
    /// The map of a file of that name without its ending; `None` where the file has several.
    map_of_stem: HashMap<String, Option<MapId>>,
}

impl Importer<'_> {
    fn take_apart(&mut self, documents: Vec<SourceFile>, is_all: bool) -> Vec<Piece> {
        let bytes: usize = documents.iter().map(|document| document.bytes.len()).sum();
        if bytes > JSON_BYTES_MAX {
            let reason =
                format!("holds {bytes} bytes of JSON, more than the {JSON_BYTES_MAX} that can be read at once");
            self.reader.fault("document", reason);
            return Vec::new();
        }
        let (mut pieces, mut unknown) = (Vec::new(), Vec::new());
        for SourceFile { name, bytes } in documents {
            let file = (!name.is_empty()).then_some(name);
            self.reader.open(file.as_deref());
            match serde_json::from_slice(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes)) {
                Ok(document) => match take_apart(&mut self.reader, file.as_deref(), document) {
                    Ok(found) => pieces.extend(found),
                    Err(instead) => unknown.push((file, instead)),
                },
                Err(error) => self.reader.fault("document", format!("is not JSON: {error}")),
            }
        }
        for (file, instead) in unknown {
            self.reader.open(file.as_deref());
            if pieces.is_empty() {
                let what = "map, zone, vbeacon, rssizone, access point, site or GeoJSON FeatureCollection";
                self.reader.fault("document", format!("holds no {what}, but {instead}"));
            } else {
                self.reader.note(format!("left out: {instead}"));
            }
        }
        if pieces.is_empty() && is_all && self.reader.is_faultless() {
            self.reader.open(None);
            self.reader.fault("document", "is empty: there is no floorplan in it");
        }
        pieces
    }

    /// Maps first: what lies on them needs their scales.
    fn read(&mut self, mut pieces: Vec<Piece>) {
        self.give_ids(&mut pieces);
        let step = |kind: Kind| match kind {
            Kind::Site => 0,
            Kind::Map => 1,
            Kind::Collection => 2,
            Kind::Area(_) | Kind::AccessPoint => 3,
        };
        pieces.sort_by_key(|piece| step(piece.kind));
        for piece in &pieces {
            self.reader.open(piece.file.as_deref());
            let object = Object { place: piece.place.clone(), members: &piece.members };
            match piece.kind {
                Kind::Site => self.site(&object),
                Kind::Map => self.map(&object, piece.site.clone()),
                Kind::Collection => self.collection(&object, piece.file.as_deref()),
                Kind::Area(kind) => self.area(&object, kind, piece.site.clone()),
                Kind::AccessPoint => self.access_point(&object),
            }
        }
    }

    fn site(&mut self, object: &Object) {
        let Some(id) = self.reader.id_text(object, "id") else {
            return self.reader.fault(&named(object, "site").place, "has no id");
        };
        let name = self.reader.text(object, "name");
        let zone = self.reader.text(object, "timezone").or_else(|| self.reader.text(object, "time_zone"));
        let time_zone = zone.filter(|zone| {
            let is_known = zone.parse::<chrono_tz::Tz>().is_ok();
            if !is_known {
                self.reader.note(format!("{}: there is no time zone {zone:?}; the site keeps its own", object.place));
            }
            is_known
        });
        self.import.sites.push(SitePlan { id: SiteId::from(id.as_str()), name, time_zone });
    }

    fn map(&mut self, object: &Object, site: Option<SiteId>) {
        let Some(id) = self.reader.id_text(object, "id").or_else(|| self.reader.id_text(object, "map_id")) else {
            return self.reader.fault(&named(object, "map").place, "has neither an id nor a name");
        };
        let id = MapId::from(id.as_str());
        let mut plan = map_document::plan(&mut self.reader, &id, object, self.options.ppm);
        plan.site = plan.site.or(site).or_else(|| self.options.site.clone());
        if self.map_at.contains_key(&id) {
            return self.reader.twice(&named(object, "map").place, &id, None);
        }
        self.add_map(plan);
    }

    fn collection(&mut self, object: &Object, file: Option<&str>) {
        let id = self.map_of_collection(object);
        let (own, elsewhere) = apart(object.members, id.as_ref());
        let units =
            self.reader.text(object, "units").and_then(|name| UnitsName::from_name(&name)).or(self.options.units);
        for (number, feature) in &elsewhere {
            let place = place_of(
                &object.place_of("features"),
                *number,
                feature.get("properties").and_then(|it| it.get("name")),
            );
            let feature = Object { place, members: feature };
            if let Some(map) = self.reader.map_id(&feature) {
                self.feature(&feature, self.options.site.clone(), map, units);
            }
        }
        if !elsewhere.is_empty() && id.is_none() && own.get("features").is_some_and(|it| *it == json!([])) {
            return;
        }
        let object = &Object { place: object.place.clone(), members: &own };
        let Some(id) = id else {
            let reason =
                "names no map: give it a member `map_id`, or import it onto one with --map (`map` in the address)";
            return self.reader.fault(&named(object, "document").place, reason);
        };
        if let Some(file) = file {
            let one = |known: &mut Option<MapId>| *known = known.take().filter(|known| *known == id);
            self.map_of_stem.entry(stem(file).to_owned()).and_modify(one).or_insert_with(|| Some(id.clone()));
        }
        let (ppm, placement) = self.frame_of(&id);
        let otherwise = Otherwise { units: self.options.units, ppm, placement };
        let mut plan = collection::map(&mut self.reader, &id, object, otherwise);
        match self.map_at.get(&id) {
            Some(at) => {
                let there = &mut self.import.maps[*at];
                there.areas.append(&mut plan.areas);
                there.site = there.site.take().or(plan.site);
                there.name = there.name.take().or(plan.name);
                there.width_m = there.width_m.or(plan.width_m);
                there.height_m = there.height_m.or(plan.height_m);
                there.ppm = there.ppm.or(plan.ppm);
                there.orientation_deg = there.orientation_deg.or(plan.orientation_deg);
                there.occupancy_limit = there.occupancy_limit.or(plan.occupancy_limit);
                there.georeference = there.georeference.take().or(plan.georeference);
                there.collection_json = there.collection_json.take().or(plan.collection_json);
            }
            None => {
                plan.site = plan.site.or_else(|| self.options.site.clone());
                self.add_map(plan);
            }
        }
    }

    fn map_of_collection(&mut self, object: &Object) -> Option<MapId> {
        let own = self.reader.id_text(object, "map_id").or_else(|| self.reader.id_text(object, "id"));
        own.map(|id| MapId::from(id.as_str())).or_else(|| self.options.map.clone())
    }

    fn add_map(&mut self, plan: MapPlan) {
        if let Some(placement) = collection::placement_of(plan.georeference.as_ref()) {
            let (off_m, scale) = (placement.residual_rms_m(), placement.scale());
            self.reader.note(format!("map {}: its control points fit to {off_m:.2} m, scale {scale:.4}", plan.id));
        }
        self.map_at.insert(plan.id.clone(), self.import.maps.len());
        self.import.maps.push(plan);
    }

    /// A map's scale and place: as in this upload, else as the server has it.
    fn frame_of(&self, id: &MapId) -> (Option<f64>, Option<Placement>) {
        let known = (self.known)(id).unwrap_or_default();
        let here = self.map_at.get(id).map(|at| &self.import.maps[*at]);
        let ppm = here.and_then(|plan| plan.ppm).or(known.ppm).or(self.options.ppm);
        let georeference = here.and_then(|plan| plan.georeference.as_ref()).or(known.georeference.as_ref());
        (ppm, collection::placement_of(georeference))
    }

    fn area(&mut self, object: &Object, kind: AreaKind, site: Option<SiteId>) {
        let own_site = self.reader.id_text(object, "site_id").map(|id| SiteId::from(id.as_str()));
        let site = own_site.or(site).or_else(|| self.options.site.clone());
        if kind == AreaKind::Rssizone {
            if let Some(plan) = mist::area(&mut self.reader, kind, &named(object, kind.name()), None, None) {
                self.import.areas.push(PlacedArea { site, map: None, plan });
            }
            return;
        }
        let Some(map) = self.reader.map_id(object).or_else(|| self.options.map.clone()) else {
            let place = named(object, kind.name()).place;
            return self.reader.fault(&place, "names no map: it has no `map_id`");
        };
        let (ppm, _) = self.frame_of(&map);
        let object = named(object, kind.name());
        if object.has("geometry") {
            return self.feature(&object, site, map, self.options.units);
        }
        if let Some(plan) = mist::area(&mut self.reader, kind, &object, None, ppm) {
            self.place(site, map, plan);
        }
    }

    /// A GeoJSON feature that names its own map.
    fn feature(&mut self, object: &Object, site: Option<SiteId>, map: MapId, units: Option<UnitsName>) {
        let (ppm, placement) = self.frame_of(&map);
        let otherwise = Otherwise { units, ppm, placement };
        if let Some(coordinates) = collection::nested_coordinates(&mut self.reader, object, otherwise)
            && let Some(plan) = geojson::area(&mut self.reader, object, None, coordinates)
        {
            self.place(site, map, plan);
        }
    }

    fn place(&mut self, site: Option<SiteId>, map: MapId, plan: AreaPlan) {
        match self.map_at.get(&map) {
            Some(at) => self.import.maps[*at].areas.push(plan),
            None => self.import.areas.push(PlacedArea { site, map: Some(map), plan }),
        }
    }

    fn access_point(&mut self, object: &Object) {
        let Some(map) = self.reader.map_id(object) else { return };
        let (ppm, _) = self.frame_of(&map);
        let place = named(object, "access point");
        let Some(access_point) = mist::access_point(&mut self.reader, &place, ppm) else { return };
        match self.map_at.get(&map) {
            Some(at) => self.import.maps[*at].access_points.push(access_point),
            None => self.import.access_points.push(PlacedAccessPoint { map, access_point }),
        }
    }

    /// Images are matched by their names: `<map id>.png`, anything that ends in `_map_<map id>.png`, or the name of the
    /// GeoJSON file whose map it is of.
    fn images(&mut self, files: Vec<SourceFile>) {
        let is_alone = files.len() == 1 && self.import.maps.len() == 1;
        let mut taken = HashSet::new();
        for SourceFile { name, bytes } in files {
            self.reader.open(Some(&name));
            let base = stem(name.rsplit('/').next().unwrap_or(&name));
            let named = MapId::from(base.rsplit_once("_map_").map_or(base, |(_, id)| id));
            let is_there = self.map_at.contains_key(&named) || (self.known)(&named).is_some();
            let beside = self.map_of_stem.get(stem(&name)).cloned().flatten();
            let only = is_alone.then(|| self.import.maps[0].id.clone());
            let Some(map) = is_there.then_some(named).or(beside).or(only) else {
                self.reader.note("left out: its name names no map; call it <map id>.png");
                continue;
            };
            match check_image(&bytes) {
                Ok(_) if !taken.insert(map.clone()) => {
                    self.reader.fault("image", format!("is a second image of map {map}"));
                }
                Ok(image) => self.import.images.push(MapImage {
                    map,
                    file: name,
                    content_type: image.content_type,
                    width_px: image.width_px,
                    height_px: image.height_px,
                    bytes,
                }),
                Err(error) => self.reader.fault("image", error.to_string()),
            }
        }
    }

    fn finish(mut self) -> Result<Import, Vec<Problem>> {
        self.reader.open(None);
        if self.import.maps.len() > MAPS_MAX {
            let reason = format!("has {} maps, more than the {MAPS_MAX} of one upload", self.import.maps.len());
            self.reader.fault("document", reason);
        }
        for plan in self.import.maps.iter().filter(|plan| plan.areas.len() > AREAS_MAX) {
            let reason = format!("has {} areas, more than the {AREAS_MAX} that a map may have", plan.areas.len());
            self.reader.fault(&format!("map {}", plan.id), reason);
        }
        self.import.notes = self.reader.take_notes();
        self.reader.finish(Some(self.import))
    }

    /// Gives an id to what has none, as drawn plans and the vendor's own examples: made of what it is, where and called
    /// what, so that the same upload again is the same thing.
    fn give_ids(&mut self, pieces: &mut [Piece]) {
        let adopted = self.adoptable(pieces);
        let mut made: HashMap<Option<String>, usize> = HashMap::new();
        for piece in pieces {
            let mut given = 0;
            match piece.kind {
                Kind::Site => {}
                Kind::Map if is_given(&piece.members, &["id", "map_id"]) => {}
                Kind::Map if is_image_map(&piece.members) && adopted.is_some() => {
                    piece.members.insert("id".into(), json!(adopted.as_ref().expect("just checked").to_string()));
                }
                Kind::Map => given += usize::from(give_id(&mut piece.members, "map", &piece.site, None)),
                Kind::Collection => {
                    self.reader.open(None);
                    let object = Object { place: String::new(), members: &piece.members };
                    let map = ["map_id", "id"].iter().find_map(|key| settled(object.get(key)));
                    let map = map.or_else(|| self.options.map.as_ref().map(ToString::to_string));
                    given += give_ids_to_features(&mut piece.members, map.as_deref());
                }
                Kind::Area(kind) if !is_given(&piece.members, &["id"]) => {
                    let map = settled(piece.members.get("map_id"));
                    given += usize::from(give_id(&mut piece.members, kind.name(), &piece.site, map.as_deref()));
                }
                Kind::AccessPoint if !is_given(&piece.members, &["id", "mac"]) => {
                    let map = settled(piece.members.get("map_id"));
                    given += usize::from(give_id(&mut piece.members, "access point", &piece.site, map.as_deref()));
                }
                Kind::Area(_) | Kind::AccessPoint => {}
            }
            *made.entry(piece.file.clone()).or_default() += given;
        }
        let mut made: Vec<_> = made.into_iter().filter(|(_, count)| *count > 0).collect();
        made.sort();
        for (file, count) in made {
            self.reader.open(file.as_deref());
            self.reader.note(format!("{count} without an id: each was given one, made from its kind, map and name"));
        }
    }

    /// The id of the upload's only image map without one: as told, or the only one that things in pixels ask for and
    /// that is nowhere else in the upload; of several, the only one that the server has not either.
    fn adoptable(&self, pieces: &[Piece]) -> Option<MapId> {
        let idless = |piece: &&Piece| {
            piece.kind == Kind::Map && is_image_map(&piece.members) && !is_given(&piece.members, &["id", "map_id"])
        };
        if pieces.iter().filter(idless).count() != 1 {
            return None;
        }
        if let Some(map) = &self.options.map {
            return Some(map.clone());
        }
        let id_of = |piece: &Piece, key: &str| piece.members.get(key).and_then(Value::as_str).map(MapId::from);
        let maps = pieces.iter().filter(|piece| matches!(piece.kind, Kind::Map | Kind::Collection));
        let here: HashSet<MapId> =
            maps.flat_map(|piece| [id_of(piece, "id"), id_of(piece, "map_id")]).flatten().collect();
        let asks = |piece: &&Piece| {
            matches!(piece.kind, Kind::Area(_) | Kind::AccessPoint) && !is_given(&piece.members, &["vertices_m", "x_m"])
        };
        let asked = pieces.iter().filter(asks).filter_map(|piece| id_of(piece, "map_id"));
        let mut asked: Vec<MapId> = asked.filter(|id| !here.contains(id)).collect::<HashSet<_>>().into_iter().collect();
        if asked.len() > 1 {
            asked.retain(|id| (self.known)(id).is_none());
        }
        if asked.len() == 1 { asked.pop() } else { None }
    }
}

/// An id in its settled form, of text or a number.
fn settled(id: Option<&Value>) -> Option<String> {
    match id? {
        Value::String(text) => Some(Id::object(text.trim()).to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

type Members = Map<String, Value>;

/// A collection without the features that name another map, and those with their numbers.
fn apart<'a>(members: &'a Members, map: Option<&MapId>) -> (Cow<'a, Members>, Vec<(usize, &'a Members)>) {
    let map = map.map(ToString::to_string);
    let is_elsewhere = |feature: &Value| {
        let named = settled(feature.get("map_id"));
        named.is_some() && named != map
    };
    let all = members.get("features").and_then(Value::as_array).into_iter().flatten().enumerate();
    let elsewhere: Vec<_> = all
        .filter(|(_, feature)| is_elsewhere(feature))
        .filter_map(|(number, feature)| Some((number, feature.as_object()?)))
        .collect();
    if elsewhere.is_empty() {
        return (Cow::Borrowed(members), elsewhere);
    }
    let mut own = members.clone();
    if let Some(Value::Array(features)) = own.get_mut("features") {
        features.retain(|feature| !is_elsewhere(feature));
    }
    (Cow::Owned(own), elsewhere)
}

/// A file's name without its ending.
fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// The object itself has no place when it is a whole document; then it is called what it is.
fn named<'a>(object: &Object<'a>, what: &str) -> Object<'a> {
    let place = if object.place.is_empty() { what.to_owned() } else { object.place.clone() };
    Object { place, members: object.members }
}

fn is_given(members: &Map<String, Value>, keys: &[&str]) -> bool {
    keys.iter().any(|key| members.get(*key).is_some_and(|value| !value.is_null()))
}

fn is_image_map(members: &Map<String, Value>) -> bool {
    members.get("type").is_none_or(|kind| kind != "google")
}

/// Gives an id to something that has a name; whether it did.
fn give_id(members: &mut Map<String, Value>, kind: &str, site: &Option<SiteId>, map: Option<&str>) -> bool {
    let Some(name) = members.get("name").and_then(Value::as_str).map(str::to_owned) else { return false };
    let own_site = settled(members.get("site_id"));
    let site = own_site.or_else(|| site.as_ref().map(ToString::to_string)).unwrap_or_default();
    members.insert("id".into(), json!(made_id([kind, &site, map.unwrap_or_default(), &name])));
    true
}

fn give_ids_to_features(members: &mut Map<String, Value>, map: Option<&str>) -> usize {
    let Some(Value::Array(features)) = members.get_mut("features") else { return 0 };
    let mut given = 0;
    let mut named: HashMap<String, usize> = HashMap::new();
    for feature in features.iter_mut().filter_map(Value::as_object_mut) {
        let properties = feature.get("properties").and_then(Value::as_object);
        if is_given(feature, &["id"]) || properties.is_some_and(|it| is_given(it, &["id", "zone_id"])) {
            continue;
        }
        if let Some(name) = properties.and_then(|properties| properties.get("name")?.as_str()) {
            let map = settled(feature.get("map_id")).or(map.map(str::to_owned)).unwrap_or_default();
            // The second of a name on a map is another thing than the first.
            let before = named.entry(format!("{map}/{name}")).or_default();
            *before += 1;
            let number = if *before == 1 { String::new() } else { before.to_string() };
            let id = made_id(["feature", &number, &map, name]);
            feature.insert("id".into(), json!(id));
            given += 1;
        }
    }
    given
}

/// A UUID of version 8 (RFC 9562: of our own making) from what a thing is.
fn made_id(parts: [&str; 4]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    Id::Uuid(u128::from_be_bytes(bytes)).to_string()
}
