//! Rows as the appender takes them: plain structs of numbers and text, turned into Arrow columns at commit.

use std::sync::Arc;

use duckdb::arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Float32Array, Float64Array, Int32Array, Int64Array, StringArray,
    TimestampMicrosecondArray, UInt8Array, UInt64Array,
};
use duckdb::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use duckdb::arrow::record_batch::RecordBatch;

use crate::model::visit;

/// An instant in a row: Unix milliseconds, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(pub i64);

/// Text that is JSON already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Json(pub String);

/// A key as its column holds it.
pub fn column(key: u32) -> i32 {
    i32::try_from(key).expect("fewer than two billion ids")
}

/// A type that a column can hold.
pub trait Cell: Sized {
    const TYPE: DataType;
    const IS_NULLABLE: bool = false;
    fn column<'a>(cells: impl Iterator<Item = Option<&'a Self>>) -> ArrayRef
    where
        Self: 'a;
}

macro_rules! cell {
    ($($type:ty => $data_type:expr, $array:ty, |$cell:ident| $value:expr;)*) => {$(
        impl Cell for $type {
            const TYPE: DataType = $data_type;

            fn column<'a>(cells: impl Iterator<Item = Option<&'a Self>>) -> ArrayRef {
                Arc::new(cells.map(|cell| cell.map(|$cell| $value)).collect::<$array>())
            }
        }
    )*};
}

cell! {
    i32 => DataType::Int32, Int32Array, |cell| *cell;
    i64 => DataType::Int64, Int64Array, |cell| *cell;
    u8 => DataType::UInt8, UInt8Array, |cell| *cell;
    u64 => DataType::UInt64, UInt64Array, |cell| *cell;
    f32 => DataType::Float32, Float32Array, |cell| *cell;
    f64 => DataType::Float64, Float64Array, |cell| *cell;
    bool => DataType::Boolean, BooleanArray, |cell| *cell;
    String => DataType::Utf8, StringArray, |cell| cell.as_str();
    Json => DataType::Utf8, StringArray, |cell| cell.0.as_str();
    Vec<u8> => DataType::Binary, BinaryArray, |cell| cell.as_slice();
}

impl Cell for Instant {
    /// Microseconds in UTC are what DuckDB's TIMESTAMPTZ is inside. The zone's name is set on the array.
    const TYPE: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

    fn column<'a>(cells: impl Iterator<Item = Option<&'a Self>>) -> ArrayRef {
        let micros = cells.map(|cell| cell.map(|instant| instant.0 * 1000));
        Arc::new(micros.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
    }
}

impl<T: Cell> Cell for Option<T> {
    const TYPE: DataType = T::TYPE;
    const IS_NULLABLE: bool = true;

    fn column<'a>(cells: impl Iterator<Item = Option<&'a Self>>) -> ArrayRef
    where
        Self: 'a,
    {
        T::column(cells.map(|cell| cell.and_then(Option::as_ref)))
    }
}

/// A row of one table of schema `store`; its fields are the table's columns, in order.
pub trait Row: Sized {
    const TABLE: &'static str;
    /// The rows as one Arrow batch. O(rows x columns).
    fn batch(rows: &[Self]) -> RecordBatch;
}

/// Puts columns together. The type is the array's own, which for instants names the zone.
pub fn record_batch(columns: Vec<(&'static str, bool, ArrayRef)>) -> RecordBatch {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, is_nullable, array)| Field::new(*name, array.data_type().clone(), *is_nullable))
        .collect();
    let arrays = columns.into_iter().map(|(_, _, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("columns of one set of rows are of one length")
}

macro_rules! rows {
    ($($(#[$doc:meta])* $name:ident => $table:literal { $($column:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name { $(pub $column: $type,)* }

        impl Row for $name {
            const TABLE: &'static str = $table;

            fn batch(rows: &[Self]) -> RecordBatch {
                record_batch(vec![$((
                    stringify!($column),
                    <$type as Cell>::IS_NULLABLE,
                    <$type as Cell>::column(rows.iter().map(|row| Some(&row.$column))),
                ),)*])
            }
        }
    )*};
}

rows! {
    Run => "runs" {
        started_at: Instant, version: String, exit_grace_s: f64, presence_timeout_s: f64, reported_timeout_s: f64,
        dedupe_window_s: f64,
    }
    Site => "sites" {
        site_key: i32, site_id: String, name: Option<String>, time_zone: String, exit_grace_s: Option<f64>,
        presence_timeout_s: Option<f64>, reported_timeout_s: Option<f64>, dwell_bands: Option<Json>,
        first_seen_at: Instant, rules_changed_at: Option<Instant>, pseudonymise: Option<String>,
    }
    Map => "maps" { map_key: i32, map_id: String, site_key: Option<i32>, first_seen_at: Instant, }
    MapVersion => "map_versions" {
        map_key: i32, version: i32, valid_from: Instant, valid_to: Option<Instant>, name: Option<String>,
        width_m: Option<f64>, height_m: Option<f64>, ppm: Option<f64>, orientation_deg: Option<f64>,
        occupancy_limit: Option<i64>, georeference: Option<Json>, collection: Option<Json>,
    }
    MapImage => "map_images" {
        map_key: i32, content_type: String, width_px: Option<i32>, height_px: Option<i32>, uploaded_at: Instant,
        image: Vec<u8>, valid_to: Option<Instant>,
    }
    Area => "areas" {
        area_key: i32, kind: u8, area_id: String, site_key: Option<i32>, map_key: Option<i32>,
        exit_grace_s: Option<f64>, presence_timeout_s: Option<f64>, reported_timeout_s: Option<f64>,
        authoritative_source: Option<u8>, first_seen_at: Instant, rules_changed_at: Option<Instant>,
    }
    AreaVersion => "area_versions" {
        area_key: i32, version: i32, valid_from: Instant, valid_to: Option<Instant>, name: Option<String>,
        shape: Json, tags: Json, occupancy_limit: Option<i64>, properties: Option<Json>, map_key: Option<i32>,
        feature: Option<Json>, feature_units: Option<String>, feature_ppm: Option<f64>,
    }
    AccessPoint => "access_points" {
        ap_id: String, mac: Option<String>, name: Option<String>, map_key: i32, x_m: f64, y_m: f64,
        height_m: Option<f64>, orientation_deg: Option<f64>,
    }
    Client => "clients" { client_key: i32, kind: u8, client_id: String, name: Option<String>, first_seen_at: Instant, }
    Delivery => "deliveries" {
        delivery_key: i64, received_at: Instant, source: String, topic: String, body_bytes: i32, events: i32,
        duplicates: i32, late: i32, quarantined: i32,
    }
    Fix => "fixes" {
        delivery_key: i64, received_at: Instant, site_key: i32, map_key: i32, client_key: i32, event_at: Instant,
        x_mm: i32, y_mm: i32, rssi_dbm: Option<f32>, is_late: bool, is_off_map: bool, is_received_time: bool,
    }
    Beacon => "beacons" {
        delivery_key: i64, site_key: i32, client_key: i32, event_at: Instant, ibeacon_uuid: Option<String>,
        ibeacon_major: Option<i32>, ibeacon_minor: Option<i32>, eddystone_uid_namespace: Option<String>,
        eddystone_uid_instance: Option<String>, eddystone_url: Option<String>, mfg_company_id: Option<i32>,
        mfg_data: Option<String>, battery_mv: Option<i32>, frames: Option<Json>,
    }
    Transition => "transitions" {
        delivery_key: i64, received_at: Instant, site_key: i32, map_key: Option<i32>, area_key: i32, client_key: i32,
        event_at: Instant, trigger: u8, asset_id: Option<String>, event: Option<Json>, is_late: bool,
        is_unmatched: bool, is_received_time: bool,
    }
    Scan => "scans" {
        delivery_key: i64, scan_key: i64, site_key: i32, client_key: i32, event_at: Instant,
        connection_ap: Option<String>, connection_bssid: Option<String>, connection_band: Option<String>,
        connection_channel: Option<i32>, connection_rssi_dbm: Option<f32>, is_received_time: bool, fingerprint: u64,
    }
    ScanReading => "scan_readings" {
        scan_key: i64, ap: Option<String>, bssid: Option<String>, ssid: Option<String>, band: Option<String>,
        channel: Option<i32>, rssi_dbm: Option<f32>, heard_at: Option<Instant>,
    }
    RssiReading => "rssi_readings" {
        delivery_key: i64, topic: String, site_key: i32, map_key: Option<i32>, client_id: String, ap: Option<String>,
        ap_x_m: Option<f64>, ap_y_m: Option<f64>, ap_z_m: Option<f64>, event_at: Instant, beam: Option<i32>,
        band: Option<String>, rssi_dbm: Option<f32>, is_asset: Option<bool>, is_connected_site: Option<bool>,
        asset_id: Option<String>, ibeacon_uuid: Option<String>, ibeacon_major: Option<i32>,
        ibeacon_minor: Option<i32>, mfg_company_id: Option<i32>, mfg_data: Option<String>, frames: Option<Json>,
        is_received_time: bool, fingerprint: u64,
    }
    VendorAlert => "vendor_alerts" {
        delivery_key: i64, site_key: i32, site_name: Option<String>, org_id: Option<String>, map_key: Option<i32>,
        area_key: Option<i32>, zone_name: Option<String>, alert_type: String, current_occupancy: Option<i32>,
        occupancy_limit: Option<i32>, event_at: Instant, is_received_time: bool, fingerprint: u64,
    }
    Ping => "pings" {
        delivery_key: i64, site_key: i32, webhook_id: Option<String>, webhook_name: Option<String>,
        event_at: Instant, is_received_time: bool, fingerprint: u64,
    }
    Event => "events" {
        delivery_key: i64, topic: String, event_id: Option<String>, org_id: Option<String>, site_key: i32,
        map_key: Option<i32>, event_at: Instant, event_type: Option<String>, client_mac: Option<String>,
        ap: Option<String>, device: Option<String>, body: Json, is_received_time: bool, fingerprint: u64,
    }
    Quarantined => "quarantine" {
        delivery_key: i64, received_at: Instant, source: String, topic: String, event_index: i32, reason: String,
        event: String,
    }
    Visit => "visits" {
        visit_key: i64, site_key: i32, map_key: Option<i32>, area_key: i32, area_version: i32, client_key: i32,
        source: u8, entered_at: Instant, exited_at: Instant, ended: u8, clock_after: Option<Instant>,
    }
    AlertRule => "alert_rules" {
        rule_key: i32, version: i32, valid_from: Instant, valid_to: Option<Instant>, name: String,
        site_key: Option<i32>, map_key: Option<i32>, area_key: Option<i32>, tag: Option<String>, condition: String,
        limit_clients: Option<i64>, clear_clients: Option<i64>, for_s: f64, repeat_s: Option<f64>,
        schedule: Option<Json>, severity: String, message: Option<String>, is_enabled: bool,
    }
    Alert => "alerts" {
        alert_key: i64, rule_key: i32, rule_version: i32, site_key: i32, map_key: Option<i32>, area_key: Option<i32>,
        client_key: Option<i32>, since_at: Instant, fired_at: Instant, clients: i64, resolved_at: Option<Instant>,
        resolved_clients: Option<i64>, resolution: Option<u8>, told_at: Instant, is_told: bool,
        acknowledged_at: Option<Instant>, acknowledged_by: Option<String>, acknowledged_note: Option<String>,
    }
    PendingAlarm => "pending_alarms" {
        rule_key: i32, site_key: i32, map_key: Option<i32>, area_key: Option<i32>, since_at: Instant,
    }
    Silence => "silences" {
        silence_key: i64, rule_key: Option<i32>, site_key: Option<i32>, map_key: Option<i32>, area_key: Option<i32>,
        client_key: Option<i32>, from_at: Instant, until_at: Instant, reason: String, silenced_by: Option<String>,
    }
    Callback => "callbacks" {
        callback_key: i32, name: String, url: String, format: String, secrets: Json, headers: Json, filter: Json,
        is_enabled: bool, disabled_reason: Option<String>, failures: i32, retry_at: Option<Instant>,
        created_at: Instant, deleted_at: Option<Instant>,
    }
    CallbackDelivery => "callback_deliveries" {
        delivery_key: i64, callback_key: i32, webhook_id: String, alert_key: Option<i64>, event_type: String,
        event: Json, created_at: Instant, expires_at: Instant, state: u8, attempts: i32, ended_at: Option<Instant>,
    }
    CallbackAttempt => "callback_attempts" {
        delivery_key: i64, attempted_at: Instant, status: Option<i32>, latency_ms: f64, answer: Option<String>,
        problem: Option<String>,
    }
    NewestFix => "newest_fixes" {
        site_key: i32, client_key: i32, event_at: Instant, received_at: Instant, through_delivery: i64,
    }
    OpenVisit => "open_visits" {
        visit_key: i64, site_key: i32, map_key: Option<i32>, area_key: i32, area_version: i32, client_key: i32,
        source: u8, entered_at: Instant,
    }
}

impl OpenVisit {
    pub fn of(visit: &visit::Visit) -> OpenVisit {
        OpenVisit {
            visit_key: visit.key.0,
            site_key: column(visit.site.0),
            map_key: visit.map.map(|map| column(map.0)),
            area_key: column(visit.area.0),
            area_version: column(visit.area_version),
            client_key: column(visit.client.0),
            source: visit.source as u8,
            entered_at: Instant(visit.entered_at.0),
        }
    }
}

impl Visit {
    pub fn ended(visit: &visit::Visit, exit: &visit::Exit) -> Visit {
        let open = OpenVisit::of(visit);
        Visit {
            visit_key: open.visit_key,
            site_key: open.site_key,
            map_key: open.map_key,
            area_key: open.area_key,
            area_version: open.area_version,
            client_key: open.client_key,
            source: open.source,
            entered_at: open.entered_at,
            exited_at: Instant(exit.exited_at.0),
            ended: exit.ended as u8,
            clock_after: exit.clock_after.map(|at| Instant(at.0)),
        }
    }
}
