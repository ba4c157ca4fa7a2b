//! Maps and areas -> GeoJSON. What came as GeoJSON is given back as it came, in the units it was drawn in.

use serde_json::{Map, Value, json};

use super::collection::{implied_units, placement_of};
use super::geojson::Coordinates;
use super::reader::{Object, Reader};
use super::{UnitsName, geojson, georeference};
use crate::model::floorplan::{AreaPlan, Georeference, MapPlan, Shape, Units};
use crate::model::ids::AreaKind;

/// Why something cannot be written in the units that were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    #[error("the map has no `ppm` (pixels per metre), so it cannot be given in pixels")]
    NoScale,
    #[error("the map has no georeference, so it cannot be given in WGS84 degrees")]
    NoGeoreference,
}

/// A map as a FeatureCollection of its zones and virtual beacons; an RSSI zone has no place. Members beside the features
/// say the rest of the map.
///
/// Without `units` it is in those it was drawn in, else in metres.
pub fn write_map(plan: &MapPlan, units: Option<UnitsName>) -> Result<Value, WriteError> {
    let kept = plan.collection_json.as_deref().and_then(|json| serde_json::from_str::<Map<String, Value>>(json).ok());
    let coordinates = match units {
        Some(units) => coordinates(units, plan.ppm, plan.georeference.as_ref())?,
        None => drawn_coordinates(plan, kept.as_ref())?,
    };
    let mut members = match kept {
        Some(kept) => agreeing(kept, plan, coordinates),
        None => plain_members(plan, coordinates),
    };
    let features: Vec<Value> = plan.areas.iter().filter_map(|area| write_feature(area, coordinates)).collect();
    members.insert("type".into(), json!("FeatureCollection"));
    members.insert("features".into(), Value::Array(features));
    Ok(Value::Object(members))
}

/// The coordinates of a map of that scale and place, in some units.
pub fn coordinates(
    units: UnitsName,
    ppm: Option<f64>,
    georeference: Option<&Georeference>,
) -> Result<Coordinates, WriteError> {
    match units {
        UnitsName::Metres => Ok(Coordinates::Metres),
        UnitsName::Pixels => ppm.map(|ppm| Coordinates::Pixels { ppm }).ok_or(WriteError::NoScale),
        UnitsName::Wgs84 => placement_of(georeference).map(Coordinates::Wgs84).ok_or(WriteError::NoGeoreference),
    }
}

/// Those of its areas, else those that its collection implies, else metres.
fn drawn_coordinates(plan: &MapPlan, kept: Option<&Map<String, Value>>) -> Result<Coordinates, WriteError> {
    let drawn = plan.areas.iter().find_map(|area| Some(area.drawn.as_ref()?.units));
    match (kept, drawn) {
        (None, _) => Ok(Coordinates::Metres),
        (Some(_), Some(Units::Pixels { ppm })) => Ok(Coordinates::Pixels { ppm }),
        (Some(_), Some(Units::Wgs84)) => coordinates(UnitsName::Wgs84, None, plan.georeference.as_ref()),
        (Some(_), Some(Units::Metres)) => Ok(Coordinates::Metres),
        (Some(kept), None) => {
            coordinates(units_of(kept), plan.ppm, plan.georeference.as_ref()).or(Ok(Coordinates::Metres))
        }
    }
}

fn units_of(members: &Map<String, Value>) -> UnitsName {
    let said = members.get("units").and_then(Value::as_str).and_then(UnitsName::from_name);
    said.unwrap_or_else(|| implied_units(members))
}

fn name_of(coordinates: Coordinates) -> &'static str {
    coordinates.units().name()
}

/// The members that came, changed only where the map or the units are others now.
fn agreeing(mut members: Map<String, Value>, plan: &MapPlan, coordinates: Coordinates) -> Map<String, Value> {
    for (key, now) in attributes(plan) {
        let is_said = members.get(key).is_some_and(|said| match (said.as_f64(), now.as_f64(), said.as_str()) {
            (Some(said), Some(now), _) => said == now,
            (_, _, Some(said)) => now.as_str() == Some(said.trim()),
            _ => false,
        });
        if members.contains_key(key) && !is_said {
            members.insert(key.into(), now);
        }
    }
    if let Coordinates::Pixels { ppm } = coordinates
        && members.get("ppm").and_then(Value::as_f64) != Some(ppm)
        && (members.contains_key("ppm") || units_of(&members) != UnitsName::Pixels)
    {
        members.insert("ppm".into(), json!(ppm));
    }
    let is_said = members.contains_key("georeference");
    if matches!(coordinates, Coordinates::Wgs84(_)) && !is_said || is_said && !says_place_of(&members, plan) {
        members.insert("georeference".into(), georeference_member(plan));
    }
    if units_of(&members).name() != name_of(coordinates) {
        members.insert("units".into(), json!(name_of(coordinates)));
    }
    members
}

/// Whether the georeference among a collection's members is the map's of now.
fn says_place_of(members: &Map<String, Value>, plan: &MapPlan) -> bool {
    let document = Object { place: String::new(), members };
    let ppm = members.get("ppm").and_then(Value::as_f64).or(plan.ppm);
    let said = georeference::read(&mut Reader::default(), &document, ppm);
    plan.georeference.is_none() || said.map(|(said, _)| said) == plan.georeference
}

/// All that is known of the map.
fn plain_members(plan: &MapPlan, coordinates: Coordinates) -> Map<String, Value> {
    let mut members: Map<String, Value> = attributes(plan).map(|(key, value)| (key.into(), value)).collect();
    members.insert("map_id".into(), json!(plan.id.to_string()));
    if let Some(site) = &plan.site {
        members.insert("site_id".into(), json!(site.to_string()));
    }
    if plan.georeference.is_some() {
        members.insert("georeference".into(), georeference_member(plan));
    }
    members.insert("units".into(), json!(name_of(coordinates)));
    members
}

/// A map's own attributes that are known, by their names in a document.
fn attributes(plan: &MapPlan) -> impl Iterator<Item = (&'static str, Value)> {
    let number = |value: Option<f64>| value.map(|value| json!(value));
    [
        ("name", plan.name.as_ref().map(|name| json!(name))),
        ("width_m", number(plan.width_m)),
        ("height_m", number(plan.height_m)),
        ("ppm", number(plan.ppm)),
        ("orientation_deg", number(plan.orientation_deg)),
        ("occupancy_limit", plan.occupancy_limit.map(|limit| json!(limit))),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key, value?)))
}

fn georeference_member(plan: &MapPlan) -> Value {
    let points = plan.georeference.iter().flat_map(|georeference| &georeference.control_points);
    let points: Vec<Value> =
        points.map(|p| json!({ "lon_deg": p.lon_deg, "lat_deg": p.lat_deg, "x_m": p.x_m, "y_m": p.y_m })).collect();
    json!({ "control_points": points })
}

/// A zone or virtual beacon as a feature: as it was drawn if those are the units, else with its place anew.
///
/// Where it did not come as GeoJSON its id is written in canonical form, and its name, tags and limit are among its
/// properties. `None` for an RSSI zone.
pub fn write_feature(area: &AreaPlan, coordinates: Coordinates) -> Option<Value> {
    let geometry = geometry(&area.shape, coordinates)?;
    let drawn = area.drawn.as_ref();
    let came = drawn.and_then(|drawn| serde_json::from_str::<Map<String, Value>>(&drawn.feature_json).ok());
    let Some(mut feature) = came else {
        let properties = properties(area);
        let id = area.id.id.to_string();
        return Some(json!({ "type": "Feature", "id": id, "properties": properties, "geometry": geometry }));
    };
    let is_same = drawn.is_some_and(|drawn| drawn.units == coordinates.units());
    if !is_same || !lies_there(&feature, &area.shape, coordinates) {
        feature.insert("geometry".into(), geometry);
        // It is in the units of before.
        feature.remove("bbox");
    }
    Some(Value::Object(feature))
}

/// Whether a feature's degrees are those of its shape: the map may have been placed elsewhere since it was drawn.
fn lies_there(feature: &Map<String, Value>, shape: &Shape, coordinates: Coordinates) -> bool {
    if !matches!(coordinates, Coordinates::Wgs84(_)) {
        return true;
    }
    let mut drawn = Vec::new();
    gather(
        feature.get("geometry").and_then(|geometry| geometry.get("coordinates")).unwrap_or(&Value::Null),
        &mut drawn,
    );
    let now: Vec<[f64; 2]> = match shape {
        Shape::Zone(outline) => outline.rings().flatten().collect(),
        Shape::Vbeacon { x_m, y_m, .. } => vec![[*x_m, *y_m]],
        Shape::Rssizone { .. } => Vec::new(),
    };
    let is_near = |(drawn, [x, y]): (&[f64; 2], &[f64; 2])| {
        let [drawn_x, drawn_y] = coordinates.to_metres(*drawn);
        (drawn_x - x).hypot(drawn_y - y) < SAME_M
    };
    drawn.len() == now.len() && drawn.iter().zip(&now).all(is_near)
}

/// Places nearer than this are the same, metres.
const SAME_M: f64 = 1.0e-6;

/// Positions of any geometry, in order.
fn gather(coordinates: &Value, positions: &mut Vec<[f64; 2]>) {
    match (geojson::position(coordinates), coordinates) {
        (Some(position), _) => positions.push(position),
        (None, Value::Array(items)) => items.iter().for_each(|item| gather(item, positions)),
        _ => {}
    }
}

fn geometry(shape: &Shape, coordinates: Coordinates) -> Option<Value> {
    match shape {
        Shape::Zone(outline) => {
            let ring = |ring: Vec<[f64; 2]>| ring.into_iter().map(|at| coordinates.of_metres(at)).collect::<Vec<_>>();
            Some(json!({ "type": "Polygon", "coordinates": outline.rings().map(ring).collect::<Vec<_>>() }))
        }
        Shape::Vbeacon { x_m, y_m, .. } => {
            Some(json!({ "type": "Point", "coordinates": coordinates.of_metres([*x_m, *y_m]) }))
        }
        Shape::Rssizone { .. } => None,
    }
}

/// Those that are kept, with what we call things: a name in several languages is kept as `labels`. Null where there is
/// nothing to say, as the standard has it.
fn properties(area: &AreaPlan) -> Value {
    let kept = area.properties_json.as_deref().and_then(|json| serde_json::from_str::<Map<String, Value>>(json).ok());
    let mut properties = kept.unwrap_or_default();
    if let Some(labels) = properties.remove("name").filter(Value::is_object) {
        properties.insert("labels".into(), labels);
    }
    if let Some(name) = &area.name {
        properties.insert("name".into(), json!(name));
    }
    if !area.tags.is_empty() {
        properties.insert("tags".into(), json!(area.tags));
    }
    if let Some(limit) = area.occupancy_limit {
        properties.insert("occupancy_limit".into(), json!(limit));
    }
    if area.id.kind == AreaKind::Vbeacon {
        properties.insert("kind".into(), json!(AreaKind::Vbeacon.name()));
        if let Shape::Vbeacon { details_json: Some(details), .. } = &area.shape {
            properties.insert("details".into(), serde_json::from_str(details).unwrap_or_default());
        }
    }
    if properties.is_empty() { Value::Null } else { Value::Object(properties) }
}
