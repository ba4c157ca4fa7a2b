//! An upload of floorplans (a map object, GeoJSON, an IMDF archive, an image) is read or its faults are told; what was read
//! can be written, and read again to the same zones.

#![no_main]

use footfall::floorplan::image::check_image;
use footfall::floorplan::{ImportOptions, SourceFile, UnitsName, read_import, unpack, write_map};
use libfuzzer_sys::fuzz_target;

/// Names that the first byte chooses from; the name decides how a file is read.
const NAMES: [&str; 6] = ["plan.json", "plan.geojson", "site.zip", "plan.svg", "plan.png", "venue.imdf"];

fuzz_target!(|input: &[u8]| {
    let Some((&choice, bytes)) = input.split_first() else { return };
    let choice = usize::from(choice);
    let name = NAMES[choice % NAMES.len()];
    let _ = check_image(bytes);
    let Ok(files) = unpack(Some(name), bytes.to_vec()) else { return };
    let units = [None, Some(UnitsName::Metres), Some(UnitsName::Pixels), Some(UnitsName::Wgs84)];
    let options = ImportOptions {
        units: units[choice / NAMES.len() % 4],
        ppm: (choice > 128).then_some(12.5),
        ..ImportOptions::default()
    };
    let Ok(import) = read_import(files, &options, &|_| None) else { return };
    for plan in import.maps {
        let Ok(document) = write_map(&plan, Some(UnitsName::Metres)) else { continue };
        let file = SourceFile { name: "again.geojson".into(), bytes: document.to_string().into_bytes() };
        let again = read_import(vec![file], &ImportOptions::default(), &|_| None)
            .unwrap_or_else(|problems| panic!("what was written is not read: {problems:?}\n{document}"));
        let count: usize = again.maps.iter().map(|plan| plan.areas.len()).sum();
        assert_eq!(count, plan.areas.len(), "{document}");
    }
});
