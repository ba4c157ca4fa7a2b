//! What holds for every floorplan: zones come back as they were sent, and no document makes a reader panic.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{read_area, read_map, read_zones, write_zones};
use crate::model::floorplan::Shape;
use crate::model::ids::{AreaKind, Id, MapId};

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

fn collection() -> impl Strategy<Value = Value> {
    // Three letters and more, so that no property means anything to the reader but those set below.
    let properties = prop::collection::btree_map("x_[a-z]{1,5}", property(), 0..4);
    let labels = (prop::option::of("\\PC{0,9}"), prop::option::of(prop::collection::vec("\\PC{0,9}", 0..3)));
    let id = prop_oneof!["[a-z]{1,8}", any::<u128>().prop_map(|uuid| Id::Uuid(uuid).to_string())];
    let features = prop::collection::btree_map(id, (geometry(), properties, labels, 0..99i64), 0..6);
    features.prop_map(|features| {
        let features = features.into_iter().map(|(id, ((is_vbeacon, geometry), properties, (name, tags), limit))| {
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
            json!({"type": "Feature", "id": id, "properties": properties, "geometry": geometry})
        });
        json!({"type": "FeatureCollection", "features": features.collect::<Vec<_>>()})
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
    fn zones_come_back_as_they_were_sent(sent in collection()) {
        let areas = read_zones(&sent).unwrap();
        let written = write_zones(&areas);
        prop_assert_eq!(&written, &sent);
        prop_assert_eq!(read_zones(&written).unwrap(), areas);
    }

    #[test]
    fn no_document_makes_a_reader_panic(document in document()) {
        let _ = read_map(&MapId::from("m"), &document);
        let _ = read_zones(&document);
        for kind in AreaKind::ALL {
            let _ = read_area(kind, &Id::object("a"), &document, Some(2.0));
        }
    }

    #[test]
    fn no_knot_makes_a_reader_panic_and_what_passes_has_an_area(rings in knots()) {
        let feature = json!({"type": "Feature", "id": "a", "geometry": {"type": "Polygon", "coordinates": rings}});
        if let Ok(areas) = read_zones(&json!({"type": "FeatureCollection", "features": [feature]})) {
            let Shape::Zone(outline) = &areas[0].shape else { panic!() };
            prop_assert!(outline.area_m2() > 0.0);
        }
    }
}
