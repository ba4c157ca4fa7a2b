//! Floorplans as people have them -> model types. Pixels become metres here and nowhere else.
//!
//! All that is wrong with a document is told at once, each fault with its place, and then nothing of it is taken.
//! `map_document` reads a whole map, `mist` the vendor's single objects, `geojson` zones in metres, `image` drawings;
//! `reader` is what they share.

mod archive;
mod collection;
mod document;
mod geojson;
mod geojson_write;
mod georeference;
pub mod image;
mod imdf;
mod import;
mod importing;
#[cfg(test)]
mod importing_tests;
mod map_document;
mod mist;
#[cfg(test)]
mod properties;
mod reader;
mod svg;

pub use archive::{is_hidden, pack, unpack};
pub use geojson::Coordinates;
pub use geojson_write::{WriteError, coordinates, write_feature, write_map};
pub use import::{
    Import, ImportOptions, KnownMap, MapImage, Note, PlacedAccessPoint, PlacedArea, SitePlan, SourceFile, UnitsName,
};
pub use importing::read_import;
pub use map_document::read_map;
pub use mist::read_area;

/// One fault of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file of an upload of several; none where the document has no name.
    pub file: Option<String>,
    /// Where, such as `zones.features[3] "Cafe"`; a member of the document itself by its name, such as `width_m`.
    pub feature: String,
    /// What is wrong there, and what would be right.
    pub reason: String,
}

/// Areas of one map, and access points of one map, beyond which a document is no floorplan.
pub const AREAS_MAX: usize = 10_000;

/// Faults that are told one by one; of any more only their number is.
pub const PROBLEMS_MAX: usize = 1_000;

/// Faults as lines of text, for tests.
#[cfg(test)]
fn told(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("{}: {}\n", problem.feature, problem.reason)).collect()
}
