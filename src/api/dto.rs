//! What requests and answers look like. Times are RFC 3339 UTC; bare numbers carry their unit in the name.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Clients in each area now.
#[derive(Serialize, ToSchema)]
pub struct Occupancy {
    pub areas: Vec<AreaOccupancy>,
}

/// Clients in one area now.
#[derive(Serialize, ToSchema)]
pub struct AreaOccupancy {
    pub area_id: String,
    /// `zone`, `vbeacon` or `rssizone`.
    pub area_kind: &'static str,
    pub name: Option<String>,
    pub site_id: Option<String>,
    pub map_id: Option<String>,
    /// Which visits are counted: `computed` or `reported`.
    pub source: &'static str,
    /// Open visits. Null, as are other counts, where they are too few to be told to the caller.
    #[schema(example = 12)]
    pub current: Option<u64>,
    /// Null where one of them is too small.
    pub by_kind: Option<ByKind>,
    pub occupancy_limit: Option<i64>,
    /// The time the site's clock has reached; null before its first event.
    #[schema(example = "2026-07-01T08:00:00.000Z")]
    pub as_of: Option<String>,
}

/// A count for each kind of client.
#[derive(Serialize, ToSchema)]
pub struct ByKind {
    pub wifi: u64,
    pub unconnected: u64,
    pub sdk: u64,
    pub asset: u64,
}

/// Occupancy over time.
#[derive(Serialize, ToSchema)]
pub struct OccupancySeries {
    /// The window, half-open.
    pub from: String,
    pub to: String,
    /// The zone whose days and hours the buckets follow.
    #[schema(example = "Europe/Lisbon")]
    pub time_zone: String,
    /// The whole window as one bucket. What is a sum is null where one bucket alone does not tell it.
    pub total: SeriesBucket,
    pub buckets: Vec<SeriesBucket>,
    /// Occupancy at the end of the window.
    pub current: Option<u64>,
    /// With `group_by`: a series for each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<SeriesGroup>>,
    /// With `compare`: the same of the period before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(no_recursion)]
    pub comparison: Option<Box<OccupancySeries>>,
}

/// Occupancy of one group over time.
#[derive(Serialize, ToSchema)]
pub struct SeriesGroup {
    /// An id, a tag or a kind of client; null: what belongs to none.
    pub key: Option<String>,
    pub name: Option<String>,
    pub total: SeriesBucket,
    pub buckets: Vec<SeriesBucket>,
}

/// One stretch of time, half-open.
#[derive(Serialize, ToSchema)]
pub struct SeriesBucket {
    pub from: String,
    pub to: String,
    /// The least and the most clients at any instant.
    pub min: Option<u64>,
    pub max: Option<u64>,
    /// Dwell seconds inside, over the length.
    pub mean: Option<f64>,
    /// Visits that began, and that ended.
    pub entries: Option<u64>,
    pub exits: Option<u64>,
    pub unique_clients: Option<u64>,
}

/// How long visits lasted.
#[derive(Serialize, ToSchema)]
pub struct DwellAnswer {
    pub from: String,
    pub to: String,
    /// Whether each visit is cut to the window.
    pub is_clipped: bool,
    /// Visits that touch the window. When there are none, the statistics are null.
    pub count: Option<u64>,
    pub mean_s: Option<f64>,
    /// Null, as are the next three, where too few visits lasted longer to be told of.
    pub median_s: Option<f64>,
    pub p90_s: Option<f64>,
    pub p95_s: Option<f64>,
    pub max_s: Option<f64>,
    pub histogram: Vec<HistogramRange>,
    pub bands: Vec<BandCount>,
    /// Visits that fall into no band.
    pub unbanded: Option<u64>,
    /// With `group_by`: the same for each.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(no_recursion)]
    pub groups: Option<Vec<DwellGroup>>,
    /// With `compare`: the same of the period before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(no_recursion)]
    pub comparison: Option<Box<DwellAnswer>>,
}

/// How long visits of one group lasted.
#[derive(Serialize, ToSchema)]
pub struct DwellGroup {
    /// An id, a tag or a kind of client; null: what belongs to none.
    pub key: Option<String>,
    pub name: Option<String>,
    #[schema(no_recursion)]
    pub dwell: DwellAnswer,
}

/// Visits of from_s up to, but not including, to_s.
#[derive(Serialize, ToSchema)]
pub struct HistogramRange {
    pub from_s: i64,
    /// Null: without end.
    pub to_s: Option<i64>,
    pub visits: Option<u64>,
}

/// Visits in one of the site's dwell bands: whole seconds, ends included.
#[derive(Serialize, ToSchema)]
pub struct BandCount {
    #[schema(example = "bounce")]
    pub name: String,
    pub from_s: i64,
    pub to_s: Option<i64>,
    pub visits: Option<u64>,
}

/// A page of visits, in the order in which they were opened.
#[derive(Serialize, ToSchema)]
pub struct Visits {
    pub visits: Vec<Visit>,
    /// Give it as `cursor` for the next page; null on the last.
    pub next_cursor: Option<String>,
}

/// One stay of one client in one area.
#[derive(Serialize, ToSchema)]
pub struct Visit {
    pub visit_id: i64,
    pub site_id: String,
    pub map_id: Option<String>,
    pub area_id: String,
    pub area_kind: &'static str,
    pub area_name: Option<String>,
    pub client_id: String,
    /// `wifi`, `unconnected`, `sdk` or `asset`.
    #[schema(example = "wifi")]
    pub kind: &'static str,
    pub client_name: Option<String>,
    /// `computed` from fixes or `reported` by the network.
    pub source: &'static str,
    pub entered_at: String,
    /// Null while it goes on; then so are dwell_s and ended.
    pub exited_at: Option<String>,
    pub dwell_s: Option<f64>,
    /// `left` or `timeout`.
    pub ended: Option<&'static str>,
    /// The version of the area's geometry; 0 where it was not uploaded.
    pub area_version: i64,
}

#[derive(Serialize, ToSchema)]
pub struct Sites {
    pub sites: Vec<Site>,
}

/// A site and its settings. A null setting means the server's default.
#[derive(Serialize, ToSchema)]
pub struct Site {
    pub site_id: String,
    pub name: Option<String>,
    /// IANA name.
    #[schema(example = "Europe/Lisbon")]
    pub time_zone: String,
    pub exit_grace_s: Option<f64>,
    pub presence_timeout_s: Option<f64>,
    pub reported_timeout_s: Option<f64>,
    pub dwell_bands: Vec<DwellBand>,
    /// Under what ids its clients are stored: `off` (their own), `keyed` or `daily`.
    #[schema(example = "off")]
    pub pseudonymise: &'static str,
    pub first_seen_at: String,
    /// The time its clock has reached; null before its first event.
    pub clock_at: Option<String>,
}

/// One named range of dwell times, in whole seconds, both ends included.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DwellBand {
    #[schema(example = "bounce", min_length = 1)]
    pub name: String,
    #[serde(deserialize_with = "super::body::whole")]
    #[schema(example = 301, minimum = 0)]
    pub from_s: i64,
    /// Null: without end.
    #[serde(default, deserialize_with = "super::body::whole_or_null")]
    #[schema(example = 14400, minimum = 0)]
    pub to_s: Option<i64>,
}

/// What a site may set. With PUT what is left out goes back to its default; with PATCH it stays.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(example = json!({"name": "Clinic", "time_zone": "Europe/Lisbon", "presence_timeout_s": 300.0}))]
pub struct SiteSettings {
    pub name: Option<String>,
    #[schema(example = "Europe/Lisbon")]
    pub time_zone: Option<String>,
    /// Seconds outside before a visit ends.
    #[schema(example = 10.0, minimum = 0, maximum = 31_536_000)]
    pub exit_grace_s: Option<f64>,
    /// Seconds of silence that a computed visit outlives.
    #[schema(example = 300.0, minimum = 0.001, maximum = 31_536_000)]
    pub presence_timeout_s: Option<f64>,
    /// Seconds of silence that a reported visit outlives.
    #[schema(example = 43200.0, minimum = 0.001, maximum = 31_536_000)]
    pub reported_timeout_s: Option<f64>,
    pub dwell_bands: Option<Vec<DwellBand>>,
    /// `keyed`: from now on its clients are stored under a keyed hash of their id (`p-` and 16 hex digits; `pr-` for an
    /// address that its phone made up), without their names. `daily`: under another one each day of its time zone, so a
    /// visit ends at midnight and, where the client stays, another one begins. What was stored before stays. `off`: under
    /// their own.
    #[schema(example = "off")]
    pub pseudonymise: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct Maps {
    pub maps: Vec<Map>,
}

/// A floorplan. Lengths in metres; origin at the top left of the image, x right, y down.
#[derive(Serialize, ToSchema)]
pub struct Map {
    pub map_id: String,
    pub site_id: Option<String>,
    /// False for a map that events named but nobody uploaded.
    pub is_mapped: bool,
    pub name: Option<String>,
    pub width_m: Option<f64>,
    pub height_m: Option<f64>,
    /// Pixels of the image per metre.
    pub ppm: Option<f64>,
    pub orientation_deg: Option<f64>,
    pub occupancy_limit: Option<i64>,
    /// Where it lies on Earth, if that is known.
    pub georeference: Option<Georeference>,
    pub version: i64,
    pub valid_from: Option<String>,
    /// Null: it is valid still.
    pub valid_to: Option<String>,
    /// Where the image is, if there is one.
    pub image: Option<String>,
    /// Only for a single map.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub areas: Option<Vec<Area>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_points: Option<Vec<AccessPoint>>,
    /// After an upload that drew zones anew: what deriving their past visits would take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rebuild_offer: Option<RebuildOffer>,
}

/// Places that are known in WGS84 degrees and in metres of the map.
#[derive(Serialize, ToSchema)]
pub struct Georeference {
    pub control_points: Vec<ControlPoint>,
}

#[derive(Serialize, ToSchema)]
pub struct ControlPoint {
    pub lon_deg: f64,
    pub lat_deg: f64,
    pub x_m: f64,
    pub y_m: f64,
}

/// A map as it is uploaded, in Footfall's own form or as the vendor's `map` object. Further members are ignored.
#[derive(ToSchema)]
#[schema(example = json!({"site_id": "4ac1dcf4-9d8b-7211-65c4-057819f0862b", "name": "Ground floor", "width_m": 20.0,
    "height_m": 12.0, "zones": {"type": "FeatureCollection", "features": [{"type": "Feature",
        "id": "0d1f5a52-0001-4c00-8000-000000000001", "properties": {"name": "Lobby"}, "geometry": {"type": "Polygon",
            "coordinates": [[[0, 0], [10, 0], [10, 8], [0, 8], [0, 0]]]}}]}}))]
pub struct MapUpload {
    /// The map's id; the one in the path where there is one.
    pub id: Option<String>,
    pub site_id: Option<String>,
    pub name: Option<String>,
    #[schema(minimum = 0, maximum = 1_000_000)]
    pub width_m: Option<f64>,
    #[schema(minimum = 0, maximum = 1_000_000)]
    pub height_m: Option<f64>,
    /// Pixels of the image per metre; needed where anything is in pixels.
    #[schema(minimum = 0, maximum = 1_000_000)]
    pub ppm: Option<f64>,
    pub orientation_deg: Option<f64>,
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub occupancy_limit: Option<i64>,
    /// Where it lies on Earth.
    pub georeference: Option<Georeference>,
    /// A GeoJSON FeatureCollection (its `units` are metres unless it says `pixels` or `wgs84`), or a list of the vendor's
    /// zones. One that is there tells all zones of the map, as do the lists below.
    pub zones: Option<Value>,
    /// Virtual beacons: `id`, `name`, and `x_m`, `y_m` or the vendor's pixels `x`, `y`.
    pub vbeacons: Option<Vec<serde_json::Map<String, Value>>>,
    /// The vendor's RSSI zones: `id`, `name`, `devices`.
    pub rssizones: Option<Vec<serde_json::Map<String, Value>>>,
    /// `id`, `mac`, `name`, `x_m`, `y_m`, `height_m`, `orientation_deg`; or the vendor's, as `devices`.
    pub access_points: Option<Vec<serde_json::Map<String, Value>>>,
}

/// An area as it is uploaded: a GeoJSON Feature in metres, or the vendor's object. Further members are ignored.
#[derive(ToSchema)]
#[schema(example = json!({"map_id": "63eda950-c6da-11e4-a628-60f81dd250cc", "name": "Lobby", "tags": ["waiting"],
    "occupancy_limit": 25, "vertices_m": [{"x": 0, "y": 0}, {"x": 10, "y": 0}, {"x": 10, "y": 8}, {"x": 0, "y": 8}]}))]
pub struct AreaUpload {
    /// The area's id; the one in the path where there is one.
    pub id: Option<String>,
    /// The map it lies on; an RSSI zone needs none.
    pub map_id: Option<String>,
    pub site_id: Option<String>,
    pub name: Option<String>,
    pub tags: Option<Vec<String>>,
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub occupancy_limit: Option<i64>,
    /// Corners of a zone, metres; `vertices` are in pixels.
    pub vertices_m: Option<Vec<Corner>>,
    /// Place of a virtual beacon, metres; `x` and `y` are in pixels.
    pub x_m: Option<f64>,
    pub y_m: Option<f64>,
    /// Seconds outside before a visit ends; the site's when left out.
    #[schema(minimum = 0, maximum = 31_536_000)]
    pub exit_grace_s: Option<f64>,
    #[schema(minimum = 0.001, maximum = 31_536_000)]
    pub presence_timeout_s: Option<f64>,
    #[schema(minimum = 0.001, maximum = 31_536_000)]
    pub reported_timeout_s: Option<f64>,
    /// `computed` or `reported`.
    #[schema(pattern = "^(computed|reported)$")]
    pub authoritative_source: Option<String>,
}

/// A corner of a zone.
#[derive(ToSchema)]
pub struct Corner {
    pub x: f64,
    pub y: f64,
}

/// What an import did, or with `dry_run` would do.
#[derive(Serialize, ToSchema)]
pub struct ImportAnswer {
    pub dry_run: bool,
    pub new: usize,
    pub changed: usize,
    pub unchanged: usize,
    /// No longer valid; their history stays.
    pub ended: usize,
    pub things: Vec<ImportedThing>,
    /// What was left out and why, ids that were made, how well a georeference fits.
    pub notes: Vec<ImportNote>,
    /// What deriving the past visits of zones that were drawn anew would take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rebuild_offer: Option<RebuildOffer>,
}

#[derive(Serialize, ToSchema)]
pub struct ImportedThing {
    /// `site`, `map`, `zone`, `vbeacon`, `rssizone`, `access_point` or `image`.
    pub what: &'static str,
    pub id: String,
    pub name: Option<String>,
    pub map_id: Option<String>,
    /// `new`, `changed`, `unchanged` or `ended`.
    pub effect: &'static str,
}

#[derive(Serialize, ToSchema)]
pub struct ImportNote {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    pub text: String,
}

/// All versions of a map or an area, newest first.
#[derive(Serialize, ToSchema)]
pub struct Versions<T> {
    pub versions: Vec<T>,
}

/// An access point placed on a map.
#[derive(Serialize, ToSchema)]
pub struct AccessPoint {
    pub id: String,
    pub mac: Option<String>,
    pub name: Option<String>,
    pub x_m: f64,
    pub y_m: f64,
    pub height_m: Option<f64>,
    pub orientation_deg: Option<f64>,
}

#[derive(Serialize, ToSchema)]
pub struct Areas {
    pub areas: Vec<Area>,
}

/// Anything a client can be in.
#[derive(Serialize, ToSchema)]
pub struct Area {
    pub area_id: String,
    pub kind: &'static str,
    pub name: Option<String>,
    pub site_id: Option<String>,
    pub map_id: Option<String>,
    pub tags: Value,
    pub occupancy_limit: Option<i64>,
    /// `{"rings"}` of a zone, `{"x_m", "y_m"}` of a vbeacon, `{"devices"}` of an rssizone; metres.
    pub shape: Value,
    pub version: i64,
    pub valid_from: Option<String>,
    /// Null: it is valid still.
    pub valid_to: Option<String>,
    /// False for an area that events named but nobody uploaded.
    pub is_mapped: bool,
    pub authoritative_source: &'static str,
    pub exit_grace_s: Option<f64>,
    pub presence_timeout_s: Option<f64>,
    pub reported_timeout_s: Option<f64>,
    /// After an upload that drew the zone anew: what deriving its past visits would take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rebuild_offer: Option<RebuildOffer>,
}

/// What a rebuild is to be about: everything, or one of site, map and area; and when.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(example = json!({"map_id": "63eda950-c6da-11e4-a628-60f81dd250cc", "from": "-7d"}))]
pub struct RebuildRequest {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub area_id: Option<String>,
    /// `zone`, `vbeacon` or `rssizone`; needed where two areas share an id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub area_kind: Option<String>,
    /// Only visits that touch the time from here on: RFC 3339, or a duration back from now. From the beginning when
    /// left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Only visits that touch the time before. To the present when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// A rebuild that has not been asked for yet: how much there is to read, and how long that takes.
#[derive(Serialize, ToSchema)]
pub struct RebuildOffer {
    /// Positions on the maps in question.
    pub fixes: i64,
    /// When the oldest of them was.
    pub since: Option<String>,
    /// As far as former rebuilds tell.
    pub estimated_s: f64,
    #[schema(example = "3,214,000 fixes on this map since 2026-06-01T08:00:00.000Z: rebuild?")]
    pub message: String,
    /// The body to send to `POST /v1/rebuilds`.
    pub request: RebuildRequest,
}

#[derive(Serialize, ToSchema)]
pub struct RebuildList {
    pub rebuilds: Vec<Rebuild>,
}

/// Visits derived anew from the stored events.
#[derive(Serialize, ToSchema)]
pub struct Rebuild {
    pub rebuild_id: i64,
    pub site_id: Option<String>,
    pub map_id: Option<String>,
    pub area_id: Option<String>,
    pub from: Option<String>,
    pub to: Option<String>,
    /// `queued`, `running`, `done`, `cancelled` or `failed`.
    #[schema(example = "running")]
    pub state: &'static str,
    pub requested_at: String,
    pub started_at: Option<String>,
    pub ended_at: Option<String>,
    /// Fixes and transitions read.
    pub events: Option<i64>,
    /// Those to read in all; null unless it is running.
    pub events_total: Option<i64>,
    /// Visits taken away, and those that took their place; null before it is done.
    pub replaced_visits: Option<i64>,
    pub visits: Option<i64>,
    /// Why it failed.
    pub problem: Option<String>,
}

/// A zone that nobody has drawn, and when.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"map_id": "63eda950-c6da-11e4-a628-60f81dd250cc", "from": "-7d", "bucket": "1h",
    "polygon": {"type": "Polygon", "coordinates": [[[0, 0], [12, 0], [12, 8], [0, 8], [0, 0]]]}}))]
pub struct WhatIfZone {
    pub map_id: String,
    /// A GeoJSON Polygon in the map's metres, or only its coordinates.
    #[schema(example = json!({"type": "Polygon", "coordinates": [[[0, 0], [12, 0], [12, 8], [0, 8], [0, 0]]]}))]
    pub polygon: Value,
    /// RFC 3339, or a duration back from now. By default `-24h`.
    pub from: Option<String>,
    /// By default `now`.
    pub to: Option<String>,
    /// Width of the buckets of the occupancy. By default `1h`.
    pub bucket: Option<String>,
    /// Zone whose days and hours the buckets follow; the site's when left out.
    pub tz: Option<String>,
    /// Seconds outside before a visit ends; the site's when left out.
    #[schema(minimum = 0, maximum = 31_536_000)]
    pub exit_grace_s: Option<f64>,
    /// Seconds of silence that a visit outlives; the site's when left out.
    #[schema(minimum = 0.001, maximum = 31_536_000)]
    pub presence_timeout_s: Option<f64>,
}

/// What the zone would have counted.
#[derive(Serialize, ToSchema)]
pub struct WhatIfAnswer {
    pub map_id: String,
    pub occupancy: OccupancySeries,
    pub dwell: DwellAnswer,
}

/// What events named but nobody uploaded.
#[derive(Serialize, ToSchema)]
pub struct Unmapped {
    pub maps: Vec<UnmappedMap>,
    pub areas: Vec<UnmappedArea>,
}

#[derive(Serialize, ToSchema)]
pub struct UnmappedMap {
    pub map_id: String,
    pub site_id: Option<String>,
    /// Events that named it, positions among them.
    pub events: i64,
    pub fixes: i64,
    /// Clients located on it.
    pub clients: i64,
    pub first_event_at: Option<String>,
    pub last_event_at: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct UnmappedArea {
    pub area_id: String,
    /// `zone`, `vbeacon` or `rssizone`.
    pub kind: &'static str,
    pub site_id: Option<String>,
    pub map_id: Option<String>,
    /// Events that named it, enters and exits among them.
    pub events: i64,
    /// Clients reported to enter or leave it.
    pub clients: i64,
    pub first_event_at: Option<String>,
    pub last_event_at: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct Sources {
    pub sources: Vec<WebhookSource>,
}

/// What a configured webhook source has sent: the set-up check.
#[derive(Serialize, ToSchema)]
pub struct WebhookSource {
    pub name: String,
    /// Where its deliveries go.
    #[schema(example = "/v1/webhooks/mist")]
    pub path: String,
    pub is_configured: bool,
    pub deliveries: i64,
    pub last_received_at: Option<String>,
    pub last_ping_at: Option<String>,
    pub last_ping_webhook: Option<String>,
    pub topics: Vec<String>,
}

/// Whether the server takes deliveries.
#[derive(Serialize, ToSchema)]
pub struct Health {
    #[schema(example = "ok")]
    pub status: &'static str,
}
