//! What holds for every floorplan: collections come back as they were sent, and no upload makes a reader panic.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    Import, ImportOptions, Problem, SourceFile, UnitsName, pack, read_area, read_import, read_map, unpack, write_map,
};
use crate::model::floorplan::Shape;
use crate::model::ids::{AreaKind, Id, MapId};

fn import(document: &Value) -> Result<Import, Vec<Problem>> {
    let file = SourceFile { name: "plan.geojson".into(), bytes: document.to_string().into_bytes() };
    read_import(vec![file], &ImportOptions::default(), &|_| None)
}

/// A star of 3 to 12 corners around a centre, sometimes with a smaller one in it as a hole: valid by its making.
fn rings() -> impl Strategy<Value = Vec<Vec<[f64; 2]>>> {
    let radii = prop::collection::vec(1.0..20.0f64, 3..12);
    (-1.0e3..1.0e3f64, -1.0e3..1.0e3f64, radii, any::<bool>()).prop_map(|(x_m, y_m, radii, has_hole)| {
        let star = |scale: f64| {
            let corner = |(i, r): (usize, &f64)| {
                let angle = i as f64 / radii.len() as f64 * std::f64::consts::TAU;
                [x_m + scale * r * angle.cos(), y_m + scale * r * angle.sin()]
            };
            let mut ring: Vec<[f64; 2]> = radii.iter().enumerate().map(corner).collect();
            ring.push(ring[0]);
            ring
        };
        if has_hole { vec![star(1.0), star(0.5)] } else { vec![star(1.0)] }
    })
}

/// Any property. Numbers are whole, because serde_json changes the last digit of some others when it reads them.
fn property() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,3}", inner, 0..3).prop_map(|map| json!(map)),
        ]
    })
}

fn geometry() -> impl Strategy<Value = (bool, Value)> {
    let point = (-1.0e3..1.0e3f64, -1.0e3..1.0e3f64);
    prop_oneof![
        3 => rings().prop_map(|rings| (false, json!({"type": "Polygon", "coordinates": rings}))),
        1 => point.prop_map(|(x_m, y_m)| (true, json!({"type": "Point", "coordinates": [x_m, y_m]}))),
    ]
}

/// Moves positions from metres to where a map at 47.5 degrees north would have them, roughly.
fn to_degrees(geometry: &mut Value) {
    match geometry {
        Value::Array(items) if items.first().is_some_and(Value::is_number) => {
            let [x, y] = [0, 1].map(|axis| items[axis].as_f64().unwrap());
            *items = vec![json!(8.5 + x / 75_336.0), json!(47.5 - y / 111_178.0)];
        }
        Value::Array(items) => items.iter_mut().for_each(to_degrees),
        _ => {}
    }
}

type Members = BTreeMap<String, Value>;

/// Whether it is a beacon, and its geometry; properties; name and tags; limit; other members.
type Made = ((bool, Value), Members, (Option<String>, Option<Vec<String>>), i64, Members);

fn features(units: UnitsName) -> impl Strategy<Value = Vec<Value>> {
    // Three letters and more, so that no property means anything to the reader but those set below.
    let properties = prop::collection::btree_map("x_[a-z]{1,5}", property(), 0..4);
    let labels = (prop::option::of("\\PC{0,9}"), prop::option::of(prop::collection::vec("\\PC{0,9}", 0..3)));
    let id = prop_oneof!["[a-z]{1,8}", any::<u128>().prop_map(|uuid| Id::Uuid(uuid).to_string())];
    let others = prop::collection::btree_map("x_[a-z]{1,5}", property(), 0..2);
    let features = prop::collection::btree_map(id, (geometry(), properties, labels, 0..99i64, others), 0..6);
    features.prop_map(move |features| {
        let feature = |(id, made): (String, Made)| {
            let ((is_vbeacon, mut geometry), properties, (name, tags), limit, others) = made;
            let mut properties = json!(properties);
            if is_vbeacon {
                properties["kind"] = "vbeacon".into();
            }
            if let Some(name) = name {
                properties["name"] = name.into();
            }
            if let Some(tags) = tags {
                properties["tags"] = tags.into();
            }
            properties["occupancy_limit"] = limit.into();
            if units == UnitsName::Wgs84 {
                to_degrees(&mut geometry["coordinates"]);
            }
            let mut feature = json!(others);
            for (key, value) in [("id", json!(id)), ("properties", properties), ("geometry", geometry)] {
                feature[key] = value;
            }
            feature["type"] = "Feature".into();
            feature["bbox"] = json!([0, 0, 1, 1]);
            feature
        };
        features.into_iter().map(feature).collect()
    })
}

/// A collection in any units, with members that mean nothing to us.
fn collection() -> impl Strategy<Value = Value> {
    let units = prop::sample::select(vec![UnitsName::Metres, UnitsName::Pixels, UnitsName::Wgs84]);
    let whole = units.prop_flat_map(|units| {
        let others = prop::collection::btree_map("x_[a-z]{1,5}", property(), 0..4);
        (Just(units), features(units), others, any::<bool>(), prop::option::of(1.0..100.0f64))
    });
    whole.prop_map(|(units, features, others, is_said, width_m)| {
        let mut collection = json!(others);
        collection["type"] = "FeatureCollection".into();
        collection["features"] = features.into();
        collection["map_id"] = "Ground".into();
        if let Some(width_m) = width_m {
            collection["width_m"] = width_m.into();
        }
        if is_said {
            collection["units"] = units.name().into();
        }
        match units {
            UnitsName::Metres => {}
            UnitsName::Pixels => collection["ppm"] = 20.5.into(),
            UnitsName::Wgs84 => {
                collection["georeference"] = json!({"control_points": [
                    {"lon_deg": 8.5, "lat_deg": 47.5, "x_m": 0, "y_m": 0},
                    {"lon_deg": 8.5 + 100.0 / 75_336.0, "lat_deg": 47.5 - 80.0 / 111_178.0, "x_m": 100, "y_m": 80}]});
            }
        }
        collection
    })
}

/// What a sender may get wrong: members that the readers know, with values of all types.
fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        property(),
        (-3i64..4).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec!["Polygon", "Point", "Feature", "FeatureCollection", "vbeacon", "google", "ap", "a"])
            .prop_map(Value::from),
    ];
    let keys = prop::sample::select(vec![
        "id",
        "name",
        "type",
        "zones",
        "vbeacons",
        "rssizones",
        "devices",
        "access_points",
        "features",
        "geometry",
        "coordinates",
        "properties",
        "kind",
        "vertices",
        "vertices_m",
        "x",
        "y",
        "x_m",
        "y_m",
        "ppm",
        "width",
        "width_m",
        "rssi",
        "device_id",
        "mac",
        "map_id",
        "tags",
        "occupancy_limit",
    ]);
    leaf.prop_recursive(6, 100, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(keys.clone(), inner, 0..12).prop_map(|map| json!(map)),
        ]
    })
}

/// Rings on a small grid: most touch or cross themselves and each other, as nobody would draw them.
fn knots() -> impl Strategy<Value = Vec<Vec<[i8; 2]>>> {
    let ring = prop::collection::vec([0..6i8, 0..6i8], 2..9).prop_map(|mut ring| {
        ring.push(ring[0]);
        ring
    });
    prop::collection::vec(ring, 1..4)
}

proptest! {
    #[test]
    fn a_collection_comes_back_as_it_was_sent(sent in collection()) {
        let read = import(&sent).unwrap();
        let written = write_map(&read.maps[0], None).unwrap();
        prop_assert_eq!(&written, &sent);
        prop_assert_eq!(import(&written).unwrap(), read);
    }

    /// Through other units, every corner is where it was, to a tenth of a millimetre.
    #[test]
    fn a_collection_means_the_same_in_other_units(sent in collection()) {
        let read = import(&sent).unwrap();
        for units in [UnitsName::Metres, UnitsName::Pixels, UnitsName::Wgs84] {
            let Ok(written) = write_map(&read.maps[0], Some(units)) else { continue };
            let again = import(&written).unwrap();
            prop_assert_eq!(again.maps[0].areas.len(), read.maps[0].areas.len());
            for (area, same) in read.maps[0].areas.iter().zip(&again.maps[0].areas) {
                prop_assert_eq!((&area.id, &area.name, &area.tags), (&same.id, &same.name, &same.tags));
                if let (Shape::Zone(outline), Shape::Zone(other)) = (&area.shape, &same.shape) {
                    let corners = outline.rings().flatten().zip(other.rings().flatten());
                    for ([x, y], [other_x, other_y]) in corners {
                        prop_assert!((x - other_x).hypot(y - other_y) < 1.0e-4);
                    }
                }
            }
        }
    }

    #[test]
    fn no_document_makes_a_reader_panic(document in document()) {
        let _ = read_map(&MapId::from("m"), &document);
        let _ = import(&document);
        let _ = import(&json!({"org": document, "sites": {"s": document}}));
        let imdf = ["manifest.json", "venue.geojson", "level.geojson", "unit.geojson", "opening.geojson"];
        let imdf = imdf.map(|name| SourceFile { name: name.into(), bytes: document.to_string().into_bytes() });
        let _ = read_import(imdf.to_vec(), &ImportOptions::default(), &|_| None);
        for kind in AreaKind::ALL {
            let _ = read_area(kind, &Id::object("a"), &document, Some(2.0));
        }
    }

    #[test]
    fn no_bytes_make_unpacking_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>(),
        with in any::<u8>()) {
        let mut archive = pack(&[SourceFile { name: "a.json".into(), bytes }]);
        let at = at.index(archive.len());
        archive[at] = with;
        if let Ok(files) = unpack(None, archive) {
            let _ = read_import(files, &ImportOptions::default(), &|_| None);
        }
    }

    #[test]
    fn no_knot_makes_a_reader_panic_and_what_passes_has_an_area(rings in knots()) {
        let feature = json!({"type": "Feature", "id": "a", "geometry": {"type": "Polygon", "coordinates": rings}});
        let collection = json!({"type": "FeatureCollection", "map_id": "m", "features": [feature]});
        if let Ok(import) = import(&collection) {
            let Shape::Zone(outline) = &import.maps[0].areas[0].shape else { panic!() };
            prop_assert!(outline.area_m2() > 0.0);
        }
    }
}
