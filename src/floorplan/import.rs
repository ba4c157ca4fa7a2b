//! What an upload of files is read with and becomes; `importing` reads it.

use crate::model::floorplan::{AccessPoint, AreaPlan, Georeference, MapPlan};
use crate::model::ids::{MapId, SiteId};

/// One file of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// With `/` between folders, as in the archive or below the directory.
    pub name: String,
    pub bytes: Vec<u8>,
}

/// What coordinates are, by name alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitsName {
    Metres,
    Pixels,
    Wgs84,
}

impl UnitsName {
    pub fn from_name(name: &str) -> Option<UnitsName> {
        match name {
            "metres" => Some(UnitsName::Metres),
            "pixels" => Some(UnitsName::Pixels),
            "wgs84" => Some(UnitsName::Wgs84),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            UnitsName::Metres => "metres",
            UnitsName::Pixels => "pixels",
            UnitsName::Wgs84 => "wgs84",
        }
    }
}

/// What the person who imports says about documents that do not say it themselves.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Site of what names no site.
    pub site: Option<SiteId>,
    /// Map of a map object or GeoJSON collection that names none.
    pub map: Option<MapId>,
    /// Units of GeoJSON that does not say.
    pub units: Option<UnitsName>,
    /// Pixels per metre of a map of the upload that does not say.
    pub ppm: Option<f64>,
    /// IMDF: the units of this level are placed on this map, of the server or of the same upload.
    pub onto: Vec<(String, MapId)>,
}

/// What the server knows of a map already.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KnownMap {
    pub site: Option<SiteId>,
    pub ppm: Option<f64>,
    pub georeference: Option<Georeference>,
}

/// All that an upload holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Import {
    pub sites: Vec<SitePlan>,
    /// Each with its areas and access points.
    pub maps: Vec<MapPlan>,
    /// Areas of maps that are not in the upload, and rssizones, which lie on no map.
    pub areas: Vec<PlacedArea>,
    /// Access points of maps that are not in the upload.
    pub access_points: Vec<PlacedAccessPoint>,
    pub images: Vec<MapImage>,
    pub notes: Vec<Note>,
}

/// A site as it was uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SitePlan {
    pub id: SiteId,
    pub name: Option<String>,
    /// IANA name, known to chrono-tz.
    pub time_zone: Option<String>,
}

/// An area, and where it lies.
#[derive(Clone, Debug, PartialEq)]
pub struct PlacedArea {
    pub site: Option<SiteId>,
    /// None for an rssizone.
    pub map: Option<MapId>,
    pub plan: AreaPlan,
}

/// An access point, and its map.
#[derive(Clone, Debug, PartialEq)]
pub struct PlacedAccessPoint {
    pub map: MapId,
    pub access_point: AccessPoint,
}

/// A floorplan image that `image::check_image` has passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapImage {
    pub map: MapId,
    pub file: String,
    pub content_type: &'static str,
    pub width_px: Option<u32>,
    pub height_px: Option<u32>,
    pub bytes: Vec<u8>,
}

/// What a person should know of an import that is no fault: what was left out, ids that were made, how well a georeference fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub file: Option<String>,
    pub text: String,
}
