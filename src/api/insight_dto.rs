//! What answers beyond plain occupancy and dwell look like.

use serde::Serialize;
use utoipa::ToSchema;

/// Occupancy by hour of the week.
#[derive(Serialize, ToSchema)]
pub struct Profile {
    pub from: String,
    pub to: String,
    #[schema(example = "Europe/Lisbon")]
    pub time_zone: String,
    /// 168 hours, Monday 0:00 first; those that the window has none of are null.
    pub hours: Vec<ProfileHour>,
}

#[derive(Serialize, ToSchema)]
pub struct ProfileHour {
    /// 1 is Monday, 7 Sunday.
    pub weekday: u32,
    pub hour: u32,
    /// Time-weighted.
    pub mean: Option<f64>,
    pub max: Option<u64>,
    /// Visits that began, in such an hour on average.
    pub entries: Option<f64>,
}

#[derive(Serialize, ToSchema)]
pub struct Peaks {
    pub from: String,
    pub to: String,
    pub time_zone: String,
    /// The highest first.
    pub peaks: Vec<Peak>,
}

/// When there were the most clients in one bucket.
#[derive(Serialize, ToSchema)]
pub struct Peak {
    pub from: String,
    pub to: String,
    pub max: u64,
    /// The first instant with so many.
    pub at: String,
    /// How long there were that many then.
    pub lasted_s: f64,
}

#[derive(Serialize, ToSchema)]
pub struct Capacity {
    pub from: String,
    pub to: String,
    pub areas: Vec<AreaCapacity>,
}

/// How full an area with a limit was.
#[derive(Serialize, ToSchema)]
pub struct AreaCapacity {
    pub area_id: String,
    pub name: Option<String>,
    pub site_id: Option<String>,
    pub map_id: Option<String>,
    pub occupancy_limit: i64,
    /// Null, as are other counts, where it is too small to be told to the caller.
    pub mean: Option<f64>,
    pub max: Option<u64>,
    /// Of the limit.
    pub mean_share: Option<f64>,
    pub max_share: Option<f64>,
    /// Time with more clients than the limit.
    pub over_limit_s: Option<f64>,
}

#[derive(Serialize, ToSchema)]
pub struct VisitorsAnswer {
    pub from: String,
    pub to: String,
    pub time_zone: String,
    pub buckets: Vec<VisitorBucket>,
}

#[derive(Serialize, ToSchema)]
pub struct VisitorBucket {
    pub from: String,
    pub to: String,
    pub unique_clients: Option<u64>,
    /// Never there before.
    pub new_clients: Option<u64>,
    pub returning_clients: Option<u64>,
}

#[derive(Serialize, ToSchema)]
pub struct Flows {
    pub from: String,
    pub to: String,
    pub flow_gap_s: f64,
    /// The most frequent first.
    pub flows: Vec<Flow>,
}

/// How often clients went from one area to another.
#[derive(Serialize, ToSchema)]
pub struct Flow {
    pub from_area_id: String,
    pub from_name: Option<String>,
    pub to_area_id: String,
    pub to_name: Option<String>,
    pub count: i64,
    pub unique_clients: i64,
    /// Between leaving one and entering the other.
    pub median_gap_s: Option<f64>,
}

#[derive(Serialize, ToSchema)]
pub struct Heatmap {
    pub map_id: String,
    pub from: String,
    pub to: String,
    pub cell_m: f64,
    pub cells: Vec<HeatmapCell>,
}

/// A square cell with fixes.
#[derive(Serialize, ToSchema)]
pub struct HeatmapCell {
    /// Its corner nearest to the map's origin.
    pub x_m: f64,
    pub y_m: f64,
    pub fixes: i64,
    /// Time that clients were there: each fix stands until its client's next, if that comes within the presence timeout.
    pub seconds: f64,
    pub unique_clients: i64,
}

#[derive(Serialize, ToSchema)]
pub struct Clients {
    pub clients: Vec<Client>,
    /// For the next page; null on the last.
    pub next_cursor: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct Client {
    pub client_id: String,
    /// `wifi`, `unconnected`, `sdk` or `asset`.
    #[schema(example = "wifi")]
    pub kind: &'static str,
    pub name: Option<String>,
    /// Whether its address is locally administered, so probably made up by the phone.
    pub is_randomised: bool,
    /// By the server's clock.
    pub first_seen_at: String,
    /// In the window, as are the next two.
    pub fixes: i64,
    pub first_fix_at: String,
    pub last_fix_at: String,
    /// Where it was last.
    pub site_id: String,
    pub map_id: Option<String>,
    pub x_m: f64,
    pub y_m: f64,
}

#[derive(Serialize, ToSchema)]
pub struct Track {
    pub client_id: String,
    pub from: String,
    pub to: String,
    pub fixes: Vec<TrackFix>,
    /// Where the next part begins, to be given as `from`; null: this is all.
    pub next_from: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct TrackFix {
    pub at: String,
    pub site_id: String,
    pub map_id: String,
    pub x_m: f64,
    pub y_m: f64,
    pub rssi_dbm: Option<f64>,
    pub is_late: bool,
    pub is_off_map: bool,
}
