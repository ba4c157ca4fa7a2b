//! One question: to the API as a query string, to the raw tables as SQL.

use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::Value;

use super::crowd::{BEACON, DAYS, DOCK, HALL, HUT, OTHER_MAP, OTHER_SITE};
use crate::harness::{DESK, LOBBY, MAP, SITE};

const ZONES: [&str; 5] = ["Europe/Zurich", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"];
const BUCKETS: [&str; 7] = ["15m", "1h", "3h", "6h", "1d", "1w", "1mo"];
const KINDS: [&str; 4] = ["wifi", "unconnected", "sdk", "asset"];
const GROUPS: [&str; 5] = ["area", "map", "site", "tag", "kind"];

#[derive(Clone, Debug)]
pub struct Case {
    pub from_ms: i64,
    pub to_ms: i64,
    pub bucket: &'static str,
    pub zone: &'static str,
    /// Which areas, in the API's words and about areas `p`.
    pub scope: String,
    areas_sql: String,
    /// Which source, and about visits `v` of areas `p`.
    source: Option<&'static str>,
    /// Which clients, in the API's words and about rows with `client_id` and `kind`.
    pub clients: String,
    pub clients_sql: String,
    pub min_dwell_s: Option<u32>,
    pub group_by: Option<&'static str>,
    /// In the API's words, and how long before that is.
    pub compare: Option<(&'static str, i64)>,
}

pub fn instant(unix_ms: i64) -> String {
    footfall::model::time::rfc3339(unix_ms)
}

impl Case {
    pub fn random(begin_s: i64, rng: &mut StdRng) -> Case {
        let length_s: f64 = *[1_800.0, 7_200.0, 90_000.0, 400_000.0].choose(rng).unwrap() * rng.random_range(0.5..1.5);
        let from_s = begin_s as f64 + rng.random_range(0.0..(DAYS * 86_400) as f64 - length_s);
        let (from_ms, to_ms) = ((from_s * 1000.0) as i64, ((from_s + length_s) * 1000.0) as i64);
        let scopes = [
            ("area", LOBBY),
            ("area", DESK),
            ("area", HALL),
            ("area", HUT),
            ("area", BEACON),
            ("area", DOCK),
            ("map", MAP),
            ("map", OTHER_MAP),
            ("site", SITE),
            ("site", OTHER_SITE),
            ("tag", "waiting"),
            ("tag", "public"),
        ];
        let (what, id) = *scopes.choose(rng).unwrap();
        let tagged = |tag: &str| format!("p.tags LIKE '%\"{tag}\"%'");
        let (mut scope, mut areas_sql) = match what {
            "tag" => (format!("&tag={id}"), tagged(id)),
            _ => (format!("&{what}={id}"), format!("p.{what}_id = '{id}'")),
        };
        match rng.random_range(0..8) {
            0 if what != "area" => {
                scope.push_str("&area_kind=zone");
                areas_sql.push_str(" AND p.kind = 'zone'");
            }
            1 if what == "site" => {
                scope.push_str("&tag=public");
                areas_sql.push_str(&format!(" AND {}", tagged("public")));
            }
            _ => {}
        }
        let source = rng.random_bool(0.35).then(|| *["computed", "reported", "reported"].choose(rng).unwrap());
        let (mut clients, mut clients_sql) = (String::new(), String::from("true"));
        if rng.random_bool(0.3) {
            let is_randomised = rng.random_bool(0.5);
            clients.push_str(&format!("&randomised={is_randomised}"));
            clients_sql.push_str(&format!(
                " AND (kind IN ('wifi', 'unconnected') AND length(client_id) = 12
                       AND substr(client_id, 2, 1) IN ('2', '6', 'a', 'e')) = {is_randomised}"
            ));
        }
        if rng.random_bool(0.25) {
            let kind = KINDS.choose(rng).unwrap();
            clients.push_str(&format!("&kind={kind}"));
            clients_sql.push_str(&format!(" AND kind = '{kind}'"));
        }
        let bucket = if length_s > 200_000.0 { BUCKETS[1..].choose(rng) } else { BUCKETS.choose(rng) }.unwrap();
        Case {
            from_ms,
            to_ms,
            bucket,
            zone: ZONES.choose(rng).unwrap(),
            scope,
            areas_sql,
            source,
            clients,
            clients_sql,
            min_dwell_s: rng.random_bool(0.25).then_some(30),
            group_by: rng.random_bool(0.4).then(|| *GROUPS.choose(rng).unwrap()),
            compare: rng.random_bool(0.3).then(|| {
                *[("previous", to_ms - from_ms), ("1d", 86_400_000), ("7d", 604_800_000)].choose(rng).unwrap()
            }),
        }
    }

    /// The same question about the period before.
    pub fn before(&self, back_ms: i64) -> Case {
        let (from_ms, to_ms) = (self.from_ms - back_ms, self.to_ms - back_ms);
        Case { from_ms, to_ms, compare: None, ..self.clone() }
    }

    /// The same about one group, and no groups of it.
    pub fn group(&self, key: &Value) -> Case {
        let text = key.as_str();
        let is = text.map_or("IS NULL".to_owned(), |text| format!("= '{text}'"));
        let mut case = Case { group_by: None, compare: None, ..self.clone() };
        match self.group_by.unwrap() {
            "kind" => case.clients_sql.push_str(&format!(" AND kind {is}")),
            "tag" => case.areas_sql.push_str(&format!(" AND p.tags LIKE '%\"{}\"%'", text.unwrap())),
            what => case.areas_sql.push_str(&format!(" AND p.{what}_id {is}")),
        }
        case
    }

    /// The same about one of its areas.
    pub fn one_area(&self, id: &Value) -> Case {
        Case { group_by: Some("area"), ..self.clone() }.group(id)
    }

    /// What clients are asked by: areas of any kind, each by the source that counts.
    pub fn of_clients(&self) -> Case {
        let (scope, areas_sql) =
            (self.scope.replace("&area_kind=zone", ""), self.areas_sql.replace(" AND p.kind = 'zone'", ""));
        Case { scope, areas_sql, source: None, ..self.clone() }
    }

    /// What of a row of `touching` its groups are called by.
    pub fn group_sql(&self) -> &'static str {
        match self.group_by.unwrap() {
            "area" => "area_id",
            "map" => "map_id",
            "site" => "site_id",
            "tag" => "unnest(from_json(tags, '[\"VARCHAR\"]'))",
            _ => "kind",
        }
    }

    /// Areas asked about, each with the source that counts.
    pub fn areas(&self) -> String {
        let source = self.source.map_or("authoritative_source".to_owned(), |source| format!("'{source}'"));
        format!("(SELECT * EXCLUDE (authoritative_source), {source} AS source FROM areas p WHERE {})", self.areas_sql)
    }

    /// Tables to ask of: `limits`; `asked`: visits of those areas and clients; `chosen`, those of the least dwell; `touching`, those of the
    /// window; `stays`: overlapping visits of a client are one.
    pub fn tables(&self) -> String {
        let least = self.min_dwell_s.map_or("true".to_owned(), |least_s| {
            format!("epoch_ms(coalesce(exited_at, to_at)) - epoch_ms(a) >= {least_s} * 1000")
        });
        format!(
            "limits AS (SELECT '{from}'::TIMESTAMPTZ AS from_at, '{to}'::TIMESTAMPTZ AS to_at),
             asked AS (
                 SELECT v.kind || ' ' || v.client_id AS who, v.* EXCLUDE (site_id, map_id), v.site_id AS at_site, p.site_id,
                     p.map_id, p.tags, v.entered_at AS a, coalesce(v.exited_at, 'infinity') AS b
                 FROM (FROM visits WHERE {clients}) v
                 JOIN {areas} p ON p.area_id = v.area_id AND p.kind = v.area_kind AND p.source = v.source
             ),
             chosen AS (SELECT asked.* FROM asked, limits WHERE {least}),
             touching AS (
                 SELECT c.* FROM chosen c, limits WHERE a < to_at AND (b > from_at OR a = b AND a >= from_at)
             ),
             marked AS (
                 SELECT *, max(b) OVER (
                     PARTITION BY who ORDER BY a, b, visit_key ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                 ) AS before
                 FROM touching
             ),
             numbered AS (
                 SELECT *, count(*) FILTER (before IS NULL OR a > before) OVER (
                     PARTITION BY who ORDER BY a, b, visit_key ROWS UNBOUNDED PRECEDING
                 ) AS n
                 FROM marked
             ),
             stays AS (SELECT who, min(a) AS a, max(b) AS b FROM numbered GROUP BY who, n)",
            from = instant(self.from_ms),
            to = instant(self.to_ms),
            clients = self.clients_sql,
            areas = self.areas(),
        )
    }

    /// Which areas, of which source, whose.
    fn filters(&self) -> String {
        let source = self.source.map_or(String::new(), |source| format!("&source={source}"));
        format!("{}{source}{}", self.scope, self.clients)
    }

    /// A question without a window.
    pub fn path_now(&self, what: &str) -> String {
        format!("/v1/{what}?{}", &self.filters()[1..])
    }

    pub fn window(&self) -> String {
        format!("from={}&to={}", instant(self.from_ms), instant(self.to_ms))
    }

    pub fn path(&self, what: &str, more: &str) -> String {
        let least = self.min_dwell_s.map_or(String::new(), |least_s| format!("&min_dwell={least_s}s"));
        format!("/v1/{what}?{}{}{least}{more}", self.window(), self.filters())
    }

    pub fn grouped(&self) -> String {
        let group = self.group_by.map_or(String::new(), |group| format!("&group_by={group}"));
        let compare = self.compare.map_or(String::new(), |(compare, _)| format!("&compare={compare}"));
        format!("{group}{compare}")
    }
}
