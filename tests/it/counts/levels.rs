//! How many were there: series, peaks, profiles, capacity, and now.

use serde_json::{Value, json};

use super::case::{Case, instant};
use super::{assert_agree, list, ms, number, row, rows};
use crate::harness::TestApp;

/// Where the buckets of a case begin, from what the database knows of calendars: every start is a quarter of an hour of
/// UTC, since so are the offsets of all of these zones.
async fn bounds(app: &TestApp, case: &Case, bucket: &str) -> Vec<i64> {
    let midnight = format!("(day::TIMESTAMP AT TIME ZONE '{}')", case.zone);
    let is_start = match bucket {
        "1d" => format!("i = {midnight}"),
        "1w" => format!("i = {midnight} AND isodow(day) = 1"),
        "1mo" => format!("i = {midnight} AND date_part('day', day) = 1"),
        _ => {
            let minutes = match bucket {
                "15m" => 15,
                "1h" => 60,
                "3h" => 180,
                "6h" => 360,
                other => panic!("{other}"),
            };
            format!("(epoch_ms(i) - epoch_ms({midnight})) % ({minutes} * 60000) = 0")
        }
    };
    let sql = format!(
        "SELECT epoch_ms(i) AS at FROM (
             SELECT i, (i AT TIME ZONE '{zone}')::DATE AS day
             FROM generate_series(time_bucket(INTERVAL 15 MINUTE, '{from}'::TIMESTAMPTZ), '{to}'::TIMESTAMPTZ, INTERVAL 15 MINUTE) t(i)
         ) WHERE {is_start} AND i > '{from}'::TIMESTAMPTZ AND i < '{to}'::TIMESTAMPTZ ORDER BY i",
        zone = case.zone,
        from = instant(case.from_ms),
        to = instant(case.to_ms),
    );
    let starts = rows(app, &sql).await.into_iter().map(|row| number(&row["at"]) as i64);
    [case.from_ms].into_iter().chain(starts).chain([case.to_ms]).collect()
}

pub async fn check_bounds(app: &TestApp, case: &Case) -> Vec<i64> {
    let expected = bounds(app, case, case.bucket).await;
    let answer = app.get(&series_path(case)).await;
    let found: Vec<i64> = list(&answer, "buckets").iter().map(|bucket| ms(&bucket["from"])).collect();
    assert_eq!(found, expected[..expected.len() - 1]);
    let ends: Vec<i64> = list(&answer, "buckets").iter().map(|bucket| ms(&bucket["to"])).collect();
    assert_eq!(ends, expected[1..]);
    expected
}

fn series_path(case: &Case) -> String {
    case.path("occupancy/series", &format!("&bucket={}&tz={}{}", case.bucket, case.zone, case.grouped()))
}

pub async fn check_series(app: &TestApp, case: &Case, bounds: &[i64]) {
    let answer = app.get(&series_path(case)).await;
    check_one_series(app, case, bounds, &answer).await;
    assert_eq!(answer["comparison"].is_null(), case.compare.is_none());
    if let Some((_, back_ms)) = case.compare {
        let before = case.before(back_ms);
        let bounds = self::bounds(app, &before, case.bucket).await;
        check_one_series(app, &before, &bounds, &answer["comparison"]).await;
    }
}

async fn check_one_series(app: &TestApp, case: &Case, bounds: &[i64], answer: &Value) {
    assert_eq!((ms(&answer["from"]), ms(&answer["to"])), (case.from_ms, case.to_ms));
    check_buckets(app, case, bounds, answer).await;
    let sql = format!(
        "WITH {} SELECT count(*) AS n FROM stays, limits WHERE a < to_at AND b >= to_at AND b > a",
        case.tables()
    );
    assert_agree(answer, &row(app, &sql).await, &[("current", "n")], "the end");
    assert_eq!(answer["groups"].is_null(), case.group_by.is_none());
    if case.group_by.is_some() {
        check_keys(app, case, answer).await;
        for group in list(answer, "groups") {
            check_buckets(app, &case.group(&group["key"]), bounds, group).await;
        }
    }
}

/// There is a group for each key, by key.
pub async fn check_keys(app: &TestApp, case: &Case, answer: &Value) {
    let key = case.group_sql();
    let sql = format!("WITH {} SELECT DISTINCT {key} AS key FROM touching ORDER BY key NULLS FIRST", case.tables());
    let expected: Vec<Value> = rows(app, &sql).await.into_iter().map(|row| row["key"].clone()).collect();
    let found: Vec<Value> = list(answer, "groups").iter().map(|group| group["key"].clone()).collect();
    assert_eq!(found, expected, "groups by {key}");
}

/// Each bucket, and the whole as one.
async fn check_buckets(app: &TestApp, case: &Case, bounds: &[i64], answer: &Value) {
    let whole = [*bounds.first().unwrap(), *bounds.last().unwrap()];
    let sql = format!(
        "WITH {tables},
         buckets(n, f, t) AS (VALUES {values}),
         instants AS (
             SELECT n, f AS i FROM buckets
             UNION SELECT n, a FROM buckets, stays WHERE a > f AND a < t
             UNION SELECT n, b FROM buckets, stays WHERE b > f AND b < t
         ),
         levels AS (SELECT n, i, count(s.a) AS level FROM instants LEFT JOIN stays s ON s.a <= i AND s.b > i GROUP BY n, i),
         peaks AS (SELECT n, min(level) AS least, max(level) AS most FROM levels GROUP BY n)
         SELECT n, least, most,
             (SELECT count(*) FROM stays WHERE a >= f AND a < t) AS entries,
             (SELECT count(*) FROM stays WHERE b >= f AND b < t) AS exits,
             (SELECT count(DISTINCT who) FROM stays WHERE a < t AND (b > f OR a = b AND a >= f)) AS clients,
             (SELECT coalesce(sum(epoch_ms(least(b, t)) - epoch_ms(greatest(a, f))), 0) FROM stays WHERE a < t AND b > f)
                 / (epoch_ms(t) - epoch_ms(f)) AS mean
         FROM buckets JOIN peaks USING (n) ORDER BY n",
        tables = case.tables(),
        values = values(whole.windows(2).chain(bounds.windows(2))),
    );
    let expected = rows(app, &sql).await;
    let found: Vec<&Value> = [&answer["total"]].into_iter().chain(list(answer, "buckets")).collect();
    assert_eq!(expected.len(), found.len());
    let names = [
        ("min", "least"),
        ("max", "most"),
        ("entries", "entries"),
        ("exits", "exits"),
        ("unique_clients", "clients"),
        ("mean", "mean"),
    ];
    for (found, expected) in found.into_iter().zip(&expected) {
        assert_agree(found, expected, &names, &format!("{} to {}", found["from"], found["to"]));
    }
}

fn values<'a>(buckets: impl Iterator<Item = &'a [i64]>) -> String {
    let value = |(n, pair): (usize, &[i64])| {
        format!("({n}, '{}'::TIMESTAMPTZ, '{}'::TIMESTAMPTZ)", instant(pair[0]), instant(pair[1]))
    };
    buckets.enumerate().map(value).collect::<Vec<_>>().join(",")
}

/// Each stretch of each bucket on which the count stays the same.
fn levels(case: &Case, bounds: &[i64]) -> String {
    format!(
        "{tables},
         buckets(n, f, t) AS (VALUES {values}),
         lasting AS (FROM stays WHERE b > a),
         instants AS (
             SELECT n, f AS i FROM buckets
             UNION SELECT n, a FROM buckets, lasting WHERE a > f AND a < t
             UNION SELECT n, b FROM buckets, lasting WHERE b > f AND b < t
         ),
         levels AS (SELECT n, i, count(s.a) AS level FROM instants LEFT JOIN lasting s ON s.a <= i AND s.b > i GROUP BY n, i),
         stretches AS (
             SELECT n, f, t, i, level, epoch_ms(coalesce(lead(i) OVER (PARTITION BY n ORDER BY i), t)) - epoch_ms(i) AS lasts
             FROM levels JOIN buckets USING (n)
         )",
        tables = case.tables(),
        values = values(bounds.windows(2)),
    )
}

pub async fn check_peaks(app: &TestApp, case: &Case, bounds: &[i64]) {
    let more = format!("&bucket={}&tz={}&limit=1000", case.bucket, case.zone);
    let answer = app.get(&case.path("occupancy/peaks", &more)).await;
    let sql = format!(
        "WITH {} SELECT epoch_ms(f) AS f, epoch_ms(t) AS t, level, epoch_ms(i) AS i, lasts / 1000 AS lasts FROM stretches
         WHERE level > 0 QUALIFY row_number() OVER (PARTITION BY n ORDER BY level DESC, i) = 1
         ORDER BY level DESC, i LIMIT 1000",
        levels(case, bounds)
    );
    let expected = rows(app, &sql).await;
    let found = list(&answer, "peaks");
    assert_eq!(found.len(), expected.len(), "peaks");
    for (found, expected) in found.iter().zip(&expected) {
        let times = json!({"from": ms(&found["from"]), "to": ms(&found["to"]), "at": ms(&found["at"]),
            "max": found["max"], "lasted_s": found["lasted_s"]});
        let names = [("from", "f"), ("to", "t"), ("at", "i"), ("max", "level"), ("lasted_s", "lasts")];
        assert_agree(&times, expected, &names, "a peak");
    }
    let few = app.get(&case.path("occupancy/peaks", &format!("&bucket={}&tz={}", case.bucket, case.zone))).await;
    assert_eq!(list(&few, "peaks")[..], found[..found.len().min(10)]);
}

/// An hour that clocks show twice counts for the hour of the week that they show.
pub async fn check_profile(app: &TestApp, case: &Case) {
    let bounds = bounds(app, case, "1h").await;
    let answer = app.get(&case.path("occupancy/profile", &format!("&tz={}", case.zone))).await;
    let sql = format!(
        "WITH {levels},
         hours AS (
             SELECT n, isodow(f AT TIME ZONE '{zone}') AS weekday, date_part('hour', f AT TIME ZONE '{zone}') AS hour,
                 sum(lasts) AS lasts, sum(lasts * level) AS inside, max(level) AS most,
                 (SELECT count(*) FROM stays WHERE a >= f AND a < t) AS entries
             FROM stretches GROUP BY n, f, t
         )
         SELECT weekday, hour, sum(inside) / sum(lasts) AS mean, max(most) AS most, sum(entries) / (sum(lasts) / 3600000) AS entries
         FROM hours GROUP BY weekday, hour",
        levels = levels(case, &bounds),
        zone = case.zone,
    );
    let expected = rows(app, &sql).await;
    let hours = list(&answer, "hours");
    assert_eq!(hours.len(), 168);
    for (place, found) in hours.iter().enumerate() {
        let (weekday, hour) = (place as u64 / 24 + 1, place as u64 % 24);
        assert_eq!((&found["weekday"], &found["hour"]), (&json!(weekday), &json!(hour)));
        let is_this = |row: &&Value| (number(&row["weekday"]), number(&row["hour"])) == (weekday as f64, hour as f64);
        let none = json!({"mean": null, "most": null, "entries": null});
        let expected = expected.iter().find(is_this).unwrap_or(&none);
        let names = [("mean", "mean"), ("max", "most"), ("entries", "entries")];
        assert_agree(found, expected, &names, &format!("day {weekday}, hour {hour}"));
    }
}

pub async fn check_capacity(app: &TestApp, case: &Case) {
    let answer = app.get(&case.path("occupancy/capacity", "")).await;
    let found = list(&answer, "areas");
    let sql = format!("SELECT area_id, occupancy_limit FROM {} WHERE occupancy_limit > 0", case.areas());
    let areas = rows(app, &sql).await;
    assert_eq!(found.len(), areas.len());
    assert!(
        found.windows(2).all(|pair| number(&pair[0]["max_share"]) >= number(&pair[1]["max_share"])),
        "the fullest first"
    );
    for area in areas {
        let (id, limit) = (&area["area_id"], number(&area["occupancy_limit"]));
        let found = found.iter().find(|found| found["area_id"] == *id).unwrap_or_else(|| panic!("no {id} in {answer}"));
        let one = case.one_area(id);
        let sql = format!(
            "WITH {levels}
             SELECT sum(lasts * level) / sum(lasts) AS mean, max(level) AS most, mean / {limit} AS mean_share,
                 most / {limit} AS max_share, coalesce(sum(lasts) FILTER (level > {limit}), 0) / 1000 AS over
             FROM stretches",
            levels = levels(&one, &[case.from_ms, case.to_ms]),
        );
        let names = [
            ("mean", "mean"),
            ("max", "most"),
            ("mean_share", "mean_share"),
            ("max_share", "max_share"),
            ("over_limit_s", "over"),
        ];
        assert_agree(found, &row(app, &sql).await, &names, &id.to_string());
        assert_eq!(number(&found["occupancy_limit"]), limit);
    }
}

/// Whoever has entered and not left.
pub async fn check_now(app: &TestApp, case: &Case) {
    let answer = app.get(&case.path_now("occupancy")).await;
    let sql = format!(
        "WITH {}, here AS (FROM asked WHERE exited_at IS NULL)
         SELECT p.area_id, p.source, count(h.who) AS current, count(h.who) FILTER (h.kind = 'wifi') AS wifi,
             count(h.who) FILTER (h.kind = 'unconnected') AS unconnected, count(h.who) FILTER (h.kind = 'sdk') AS sdk,
             count(h.who) FILTER (h.kind = 'asset') AS asset
         FROM {} p LEFT JOIN here h ON h.area_id = p.area_id AND h.area_kind = p.kind
         GROUP BY p.area_id, p.source ORDER BY p.area_id",
        case.tables(),
        case.areas()
    );
    let expected = rows(app, &sql).await;
    let mut found = list(&answer, "areas").clone();
    found.sort_by_key(|area| area["area_id"].to_string());
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!((&found["area_id"], &found["source"]), (&expected["area_id"], &expected["source"]));
        let kinds = ["wifi", "unconnected", "sdk", "asset"].map(|kind| (kind, kind));
        assert_agree(found, expected, &[("current", "current")], "now");
        assert_agree(&found["by_kind"], expected, &kinds, "now");
    }
}
