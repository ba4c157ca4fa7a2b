//! What the JSON documents of an upload hold: maps, areas, access points and sites, told apart by their members.
//!
//! A document is one object, a list of them (also in `results`, as searches answer), a GeoJSON FeatureCollection, or a
//! backup of an organisation: `{"org": {"sites": [...]}, "sites": {"<site id>": {"maps": [...], "zones": [...], ...}}}`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::reader::{Reader, place_of, type_of};
use crate::model::ids::{AreaKind, SiteId};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Site,
    Map,
    Collection,
    Area(AreaKind),
    AccessPoint,
}

/// One thing of an upload, not yet read.
#[derive(Debug)]
pub struct Piece {
    pub file: Option<String>,
    pub place: String,
    pub kind: Kind,
    /// The site whose part of a backup it is in.
    pub site: Option<SiteId>,
    pub members: Map<String, Value>,
}

/// What a document held.
#[derive(Default)]
struct Found {
    pieces: Vec<Piece>,
    /// How many of each kind of thing are no floorplan.
    left_out: BTreeMap<&'static str, usize>,
}

/// Takes a document apart. What is no floorplan is left out with a note. Where nothing of it is one, what it is instead.
pub fn take_apart(reader: &mut Reader, file: Option<&str>, document: Value) -> Result<Vec<Piece>, String> {
    let mut found = Found::default();
    match document {
        Value::Array(items) => found.list(reader, file, "", None, items, kind_of),
        Value::Object(members) => found.object(reader, file, members),
        _ => found.leave_out("value that is no object"),
    }
    let left_out = found.left_out.iter().map(|(what, count)| format!("{count} x {what}"));
    let left_out = left_out.collect::<Vec<_>>().join(", ");
    if found.pieces.is_empty() && reader.is_faultless() {
        return Err(if left_out.is_empty() { "empty list".into() } else { left_out });
    }
    if !left_out.is_empty() {
        reader.note(format!("left out: {left_out}"));
    }
    Ok(found.pieces)
}

/// What an object is, or the name of what it is instead of a floorplan.
type Sorter = fn(&Map<String, Value>) -> Result<Kind, &'static str>;

impl Found {
    fn object(&mut self, reader: &mut Reader, file: Option<&str>, mut members: Map<String, Value>) {
        if matches!(members.get("sites"), Some(Value::Object(_))) {
            self.backup(reader, file, members);
        } else if let Some(Value::Array(_)) = members.get("results")
            && let Some(Value::Array(items)) = members.remove("results")
        {
            self.list(reader, file, "results", None, items, kind_of);
        } else {
            self.piece(file, String::new(), None, members, kind_of);
        }
    }

    fn backup(&mut self, reader: &mut Reader, file: Option<&str>, mut members: Map<String, Value>) {
        if let Some(Value::Object(mut org)) = members.remove("org")
            && let Some(Value::Array(sites)) = org.remove("sites")
        {
            self.list(reader, file, "org.sites", None, sites, |_| Ok(Kind::Site));
        }
        let Some(Value::Object(sites)) = members.remove("sites") else { return };
        for (site, content) in sites {
            let place = format!("sites.{site}");
            let Value::Object(mut content) = content else {
                reader.fault(&place, format!("must be an object, not {}", type_of(&content)));
                continue;
            };
            let lists: [(&str, Sorter); 5] = [
                ("maps", |_| Ok(Kind::Map)),
                ("zones", |_| Ok(Kind::Area(AreaKind::Zone))),
                ("vbeacons", |_| Ok(Kind::Area(AreaKind::Vbeacon))),
                ("rssizones", |_| Ok(Kind::Area(AreaKind::Rssizone))),
                ("devices", kind_of_device),
            ];
            for (list, sorter) in lists {
                match content.remove(list) {
                    // Null is what a step of the backup that failed leaves.
                    None | Some(Value::Null) => {}
                    Some(Value::Array(items)) => {
                        let site = Some(SiteId::from(site.as_str()));
                        self.list(reader, file, &format!("{place}.{list}"), site, items, sorter);
                    }
                    Some(other) => {
                        reader.fault(&format!("{place}.{list}"), format!("must be a list, not {}", type_of(&other)));
                    }
                }
            }
        }
    }

    fn list(
        &mut self,
        reader: &mut Reader,
        file: Option<&str>,
        list: &str,
        site: Option<SiteId>,
        items: Vec<Value>,
        sorter: Sorter,
    ) {
        for (number, item) in items.into_iter().enumerate() {
            let place = place_of(list, number, item.get("name"));
            match item {
                Value::Object(members) => self.piece(file, place, site.clone(), members, sorter),
                other => reader.fault(&place, format!("must be an object, not {}", type_of(&other))),
            }
        }
    }

    fn piece(
        &mut self,
        file: Option<&str>,
        place: String,
        site: Option<SiteId>,
        members: Map<String, Value>,
        sorter: Sorter,
    ) {
        match sorter(&members) {
            Ok(kind) => self.pieces.push(Piece { file: file.map(str::to_owned), place, kind, site, members }),
            Err(other) => self.leave_out(other),
        }
    }

    fn leave_out(&mut self, what: &'static str) {
        *self.left_out.entry(what).or_default() += 1;
    }
}

/// Tells what an object is by members that only one kind of thing has.
fn kind_of(members: &Map<String, Value>) -> Result<Kind, &'static str> {
    let has = |key: &str| members.get(key).is_some_and(|value| !value.is_null());
    let has_any = |keys: &[&str]| keys.iter().any(|key| has(key));
    let text = |key: &str| members.get(key).and_then(Value::as_str);
    if has("topic") && has("events") {
        Err("webhook delivery")
    } else if text("type") == Some("FeatureCollection") {
        Ok(Kind::Collection)
    } else if text("type") == Some("Feature") {
        let kind = members.get("properties").and_then(|properties| properties.get("kind"));
        Ok(Kind::Area(if kind.is_some_and(|kind| kind == "vbeacon") { AreaKind::Vbeacon } else { AreaKind::Zone }))
    } else if has_any(&["vertices", "vertices_m"]) {
        Ok(Kind::Area(AreaKind::Zone))
    } else if has_any(&["ppm", "width_m", "height_m", "latlng_tl", "wall_path", "zones", "vbeacons", "access_points"])
        || (has("width") && has("height"))
    {
        Ok(Kind::Map)
    } else if matches!(members.get("devices"), Some(Value::Array(_))) {
        Ok(Kind::Area(AreaKind::Rssizone))
    } else if has_any(&["ibeacon_uuid", "eddystone_uid_namespace", "eddystone_url"]) {
        Err(if has("x") { "beacon (not a virtual one)" } else { "asset filter" })
    } else if has_any(&["major", "power_mode", "wayfinding_nodename"]) && has_any(&["x", "x_m"]) {
        Ok(Kind::Area(AreaKind::Vbeacon))
    } else if has_any(&["model", "serial", "ble_config", "orientation", "orientation_deg", "height"])
        || matches!(text("type"), Some("ap" | "switch" | "gateway"))
    {
        kind_of_device(members)
    } else if has_any(&["timezone", "time_zone", "country_code"]) {
        Ok(Kind::Site)
    } else if has("num_clients") {
        Err("statistic without corners")
    } else if has("mac") {
        Err("asset")
    } else {
        Err("object that is no map, zone, vbeacon, rssizone, access point or site")
    }
}

fn kind_of_device(members: &Map<String, Value>) -> Result<Kind, &'static str> {
    let has = |key: &str| members.get(key).is_some_and(|value| !value.is_null());
    if members.get("type").is_some_and(|kind| kind != "ap") {
        Err("device that is no access point")
    } else if !has("map_id") || !(has("x") || has("x_m")) {
        Err("access point that is not placed")
    } else {
        Ok(Kind::AccessPoint)
    }
}
