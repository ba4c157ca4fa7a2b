//! Maps and areas -> GeoJSON. What came as GeoJSON is given back as it came, in the units it was drawn in.

use serde_json::{Map, Value, json};

use super::UnitsName;
use super::collection::{implied_units, placement_of};
use super::geojson::Coordinates;
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
    if matches!(coordinates, Coordinates::Wgs84(_)) && !members.contains_key("georeference") {
        members.insert("georeference".into(), georeference(plan));
    }
    if units_of(&members).name() != name_of(coordinates) {
        members.insert("units".into(), json!(name_of(coordinates)));
    }
    members
}

/// All that is known of the map.
fn plain_members(plan: &MapPlan, coordinates: Coordinates) -> Map<String, Value> {
    let mut members: Map<String, Value> = attributes(plan).map(|(key, value)| (key.into(), value)).collect();
    members.insert("map_id".into(), json!(plan.id.to_string()));
    if let Some(site) = &plan.site {
        members.insert("site_id".into(), json!(site.to_string()));
    }
    if plan.georeference.is_some() {
        members.insert("georeference".into(), georeference(plan));
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

fn georeference(plan: &MapPlan) -> Value {
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
    if drawn.is_some_and(|drawn| drawn.units != coordinates.units()) {
        feature.insert("geometry".into(), geometry);
        // It is in the units of before.
        feature.remove("bbox");
    }
    Some(Value::Object(feature))
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
    }
    if properties.is_empty() { Value::Null } else { Value::Object(properties) }
}
