//! The sample site: a clinic on two floors, as a user would upload it. The files of `floorplans/` are in the program.

use anyhow::Context;
use rust_embed::RustEmbed;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(RustEmbed)]
#[folder = "floorplans/"]
struct Files;

/// `floorplans/site.json`.
#[derive(Clone, Debug, Deserialize)]
pub struct Site {
    pub site_id: String,
    pub name: String,
    pub time_zone: String,
    pub exit_grace_s: f64,
    pub alert_rules: Vec<Value>,
    pub maps: Vec<Map>,
}

/// One floor. `files` names its drawing and its zones.
#[derive(Clone, Debug, Deserialize)]
pub struct Map {
    pub map_id: String,
    pub name: String,
    pub files: String,
    pub width_m: f64,
    pub height_m: f64,
    pub ppm: f64,
    pub vbeacons: Vec<Beacon>,
    pub rssizones: Vec<Value>,
    pub access_points: Vec<AccessPoint>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Beacon {
    pub id: String,
    pub name: String,
    pub x_m: f64,
    pub y_m: f64,
}

#[derive(Clone, Debug, Deserialize)]
pub struct AccessPoint {
    pub id: String,
    pub mac: String,
    pub name: String,
    pub x_m: f64,
    pub y_m: f64,
    pub height_m: f64,
    pub orientation_deg: f64,
}

/// A room people go to.
#[derive(Clone, Debug)]
pub struct Room {
    pub name: String,
    /// Its place in [`Site::maps`].
    pub floor: usize,
    pub zone_id: String,
    /// The outer ring, metres.
    pub ring: Vec<[f64; 2]>,
    /// Where one steps in from the corridor, metres.
    pub door: [f64; 2],
}

impl Site {
    pub fn load() -> anyhow::Result<Site> {
        serde_json::from_str(&file("site.json")?).context("floorplans/site.json")
    }

    /// The rooms of all floors: zones with a door.
    pub fn rooms(&self) -> anyhow::Result<Vec<Room>> {
        let mut rooms = Vec::new();
        for (floor, map) in self.maps.iter().enumerate() {
            for feature in map.zones()?["features"].as_array().context("features")? {
                let Ok(door) = <[f64; 2]>::deserialize(&feature["properties"]["door"]) else { continue };
                rooms.push(Room {
                    name: feature["properties"]["name"].as_str().context("name")?.to_owned(),
                    floor,
                    zone_id: feature["id"].as_str().context("id")?.to_owned(),
                    ring: Vec::deserialize(&feature["geometry"]["coordinates"][0])?,
                    door,
                });
            }
        }
        Ok(rooms)
    }
}

impl Map {
    fn zones(&self) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&file(&format!("{}.geojson", self.files))?)?)
    }

    /// The drawing.
    pub fn svg(&self) -> anyhow::Result<String> {
        file(&format!("{}.svg", self.files))
    }

    /// The body of `PUT /v1/maps/{id}`.
    pub fn upload(&self, site_id: &str) -> anyhow::Result<Value> {
        let beacon = |b: &Beacon| json!({"id": b.id, "name": b.name, "x_m": b.x_m, "y_m": b.y_m});
        let access_point = |ap: &AccessPoint| {
            json!({"id": ap.id, "mac": ap.mac, "name": ap.name, "x_m": ap.x_m, "y_m": ap.y_m, "height_m": ap.height_m,
                "orientation_deg": ap.orientation_deg})
        };
        Ok(json!({
            "site_id": site_id, "name": self.name, "width_m": self.width_m, "height_m": self.height_m,
            "ppm": self.ppm, "zones": self.zones()?, "rssizones": self.rssizones,
            "vbeacons": self.vbeacons.iter().map(beacon).collect::<Vec<_>>(),
            "access_points": self.access_points.iter().map(access_point).collect::<Vec<_>>(),
        }))
    }
}

fn file(name: &str) -> anyhow::Result<String> {
    let file = Files::get(name).with_context(|| format!("floorplans/{name} is not built in"))?;
    Ok(String::from_utf8(file.data.into_owned())?)
}
