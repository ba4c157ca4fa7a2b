//! Every metric against an independent count: SQL over the raw `visits` and `positions`, for random windows, buckets, time
//! zones and filters, around the nights on which clocks change.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::harness::{DESK, LOBBY, MAP, SITE, START_S, TestApp, delivery, fix};

/// 2026-10-24T00:00:00Z: Zurich's clocks change the night after, New York's a week later, Lord Howe's had three weeks before.
const BEGIN_S: i64 = 1_792_800_000;
const DAYS: i64 = 10;
const ZONES: [&str; 5] = ["Europe/Zurich", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"];
const BUCKETS: [&str; 5] = ["15m", "1h", "3h", "6h", "1d"];
const CASES: usize = 40;

/// People who come and go for ten days, with gaps of all lengths; some with made-up addresses.
async fn crowd(app: &TestApp, rng: &mut StdRng) {
    app.upload_map().await;
    app.run_on_to((BEGIN_S - START_S + DAYS * 86_400) as f64).await;
    let mut events = Vec::new();
    for person in 0..30 {
        let mac = format!("{}{person:010x}", if person % 3 == 0 { "02" } else { "3c" });
        let mut at_s = BEGIN_S as f64 + rng.random_range(0.0..20_000.0);
        while at_s < (BEGIN_S + DAYS * 86_400) as f64 {
            events.push((
                at_s,
                fix(&mac, at_s - START_S as f64, rng.random_range(0.0..20.0), rng.random_range(0.0..20.0)),
            ));
            at_s +=
                *[7.0, 31.0, 64.0, 280.0, 300.0, 2_000.0, 30_000.0].choose(rng).unwrap() * rng.random_range(0.9..1.1);
        }
    }
    events.sort_by(|a, b| a.0.total_cmp(&b.0));
    for some in events.chunks(2000) {
        app.deliver(&delivery("location", some.iter().map(|(_, event)| event.clone()).collect())).await;
    }
}

struct Case {
    from: String,
    to: String,
    bucket: &'static str,
    zone: &'static str,
    /// Of the API, and of the raw visits.
    filter: String,
    sql: String,
}

fn instant(seconds: f64) -> String {
    chrono::DateTime::from_timestamp_millis((seconds * 1000.0) as i64)
        .unwrap()
        .to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

impl Case {
    fn random(rng: &mut StdRng) -> Case {
        let length_s = *[1_800.0, 7_200.0, 90_000.0, 400_000.0].choose(rng).unwrap() * rng.random_range(0.5..1.5);
        let from_s = BEGIN_S as f64 + rng.random_range(0.0..(DAYS * 86_400) as f64 - length_s);
        let (mut filter, mut sql) = (String::new(), String::from("v.source = 'computed'"));
        let (path, raw) = *[("area", LOBBY), ("area", DESK), ("map", MAP), ("site", SITE)]
            .choose(rng)
            .map(|(what, id)| (what, id))
            .as_ref()
            .unwrap();
        let (path, raw) = (format!("&{path}={raw}"), format!("v.{path}_id = '{raw}'"));
        filter.push_str(&path);
        sql.push_str(&format!(" AND {raw}"));
        if rng.random_bool(0.3) {
            let is_randomised = rng.random_bool(0.5);
            filter.push_str(&format!("&randomised={is_randomised}"));
            sql.push_str(&format!(" AND (v.client_id[2] IN ('2', '6', 'a', 'e')) = {is_randomised}"));
        }
        if rng.random_bool(0.2) {
            filter.push_str("&min_dwell=30s");
            sql.push_str(" AND epoch_ms(coalesce(v.exited_at, to_at)) - epoch_ms(v.entered_at) >= 30000");
        }
        let zone = ZONES.choose(rng).unwrap();
        let bucket = if length_s > 200_000.0 { BUCKETS[1..].choose(rng) } else { BUCKETS.choose(rng) }.unwrap();
        Case { from: instant(from_s), to: instant(from_s + length_s), bucket, zone, filter, sql }
    }

    /// Stays: overlapping visits of a client are one.
    fn stays(&self) -> String {
        format!(
            "limits AS (SELECT '{}'::TIMESTAMPTZ AS from_at, '{}'::TIMESTAMPTZ AS to_at),
             chosen AS (
                 SELECT v.client_id, v.area_id, v.visit_key, v.entered_at AS a, coalesce(v.exited_at, 'infinity') AS b
                 FROM visits v, limits WHERE {}
             ),
             touching AS (
                 SELECT c.* FROM chosen c, limits WHERE a < to_at AND (b > from_at OR a = b AND a >= from_at)
             ),
             marked AS (
                 SELECT *, max(b) OVER (PARTITION BY client_id ORDER BY a, b, visit_key ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
                 FROM touching
             ),
             numbered AS (
                 SELECT *, count(*) FILTER (before IS NULL OR a > before) OVER (PARTITION BY client_id ORDER BY a, b, visit_key ROWS UNBOUNDED PRECEDING) AS n
                 FROM marked
             ),
             stays AS (SELECT client_id, min(a) AS a, max(b) AS b FROM numbered GROUP BY client_id, n)",
            self.from, self.to, self.sql
        )
    }

    fn path(&self, what: &str, more: &str) -> String {
        let (from, to, filter) = (self.from.replace('+', "%2B"), self.to.replace('+', "%2B"), &self.filter);
        format!("/v1/{what}?from={from}&to={to}{filter}{more}")
    }
}

async fn rows(app: &TestApp, sql: &str) -> Vec<Value> {
    let (status, answer) =
        app.call(reqwest::Method::POST, "/v1/sql", Some(json!({"sql": sql, "limit": 100_000}))).await;
    assert_eq!(status, 200, "{sql}: {answer}");
    answer["rows"].as_array().unwrap().clone()
}

fn number(value: &Value) -> f64 {
    value.as_f64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(0.0)
}

fn assert_near(found: &Value, expected: &Value, what: &str) {
    assert!((number(found) - number(expected)).abs() < 1e-6, "{what}: {found} is not {expected}");
}

async fn check_series(app: &TestApp, case: &Case) {
    let answer = app.get(&case.path("occupancy/series", &format!("&bucket={}&tz={}", case.bucket, case.zone))).await;
    let buckets = answer["buckets"].as_array().unwrap();
    let text = |bucket: &Value, key: &str| bucket[key].as_str().unwrap().to_owned();
    let values: Vec<String> = buckets
        .iter()
        .enumerate()
        .map(|(n, bucket)| {
            format!("({n}, '{}'::TIMESTAMPTZ, '{}'::TIMESTAMPTZ)", text(bucket, "from"), text(bucket, "to"))
        })
        .collect();
    // One bucket ends where the next begins, and each inner one begins when the zone's clocks show a multiple of its length,
    // or where they were moved.
    for pair in buckets.windows(2) {
        assert_eq!(pair[0]["to"], pair[1]["from"]);
    }
    assert_eq!(
        (text(&buckets[0], "from"), text(&buckets[buckets.len() - 1], "to")),
        (case.from.clone(), case.to.clone())
    );
    let minutes = match case.bucket {
        "15m" => 15,
        "1h" => 60,
        "3h" => 180,
        "6h" => 360,
        _ => 1440,
    };
    let stays = case.stays();
    let sql = format!(
        "WITH {stays},
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
             (SELECT count(DISTINCT client_id) FROM stays WHERE a < t AND (b > f OR a = b AND a >= f)) AS clients,
             (SELECT coalesce(sum(epoch_ms(least(b, t)) - epoch_ms(greatest(a, f))), 0) FROM stays WHERE a < t AND b > f)
                 / (epoch_ms(t) - epoch_ms(f)) AS mean,
             date_part('hour', f AT TIME ZONE '{zone}') * 60 + date_part('minute', f AT TIME ZONE '{zone}') AS minute,
             f AT TIME ZONE '{zone}' - (f - INTERVAL 1 DAY) AT TIME ZONE '{zone}' = INTERVAL 1 DAY AS is_usual
         FROM buckets JOIN peaks USING (n) ORDER BY n",
        values = values.join(","),
        zone = case.zone,
    );
    let expected = rows(app, &sql).await;
    assert_eq!(expected.len(), buckets.len());
    for (found, expected) in buckets.iter().zip(&expected) {
        let what = format!("{} {} {} {} at {}", case.filter, case.zone, case.bucket, case.from, found["from"]);
        for (key, of) in [
            ("min", "least"),
            ("max", "most"),
            ("entries", "entries"),
            ("exits", "exits"),
            ("unique_clients", "clients"),
            ("mean", "mean"),
        ] {
            assert_near(&found[key], &expected[of], &format!("{key} of {what}"));
        }
        if number(&expected["n"]) > 0.0 && expected["is_usual"] == true {
            assert_eq!(number(&expected["minute"]) as i64 % minutes, 0, "{what}");
        }
    }
}

async fn check_dwell(app: &TestApp, case: &Case) {
    let answer = app.get(&case.path("dwell", "")).await;
    let sql = format!(
        "WITH {}, dwells AS (
             SELECT (epoch_ms(least(b, to_at)) - epoch_ms(greatest(a, from_at))) / 1000 AS s FROM touching, limits
         )
         SELECT count(*) AS n, avg(s) AS mean, quantile_cont(s, 0.5) AS half, quantile_cont(s, 0.9) AS p90, max(s) AS most,
             count(*) FILTER (floor(s) BETWEEN 1 AND 300) AS passerby, count(*) FILTER (s < 30) AS short
         FROM dwells",
        case.stays()
    );
    let expected = &rows(app, &sql).await[0];
    let what = format!("{} {} to {}", case.filter, case.from, case.to);
    for (found, of) in [
        (&answer["count"], "n"),
        (&answer["mean_s"], "mean"),
        (&answer["median_s"], "half"),
        (&answer["p90_s"], "p90"),
        (&answer["max_s"], "most"),
        (&answer["bands"][0]["visits"], "passerby"),
        (&answer["histogram"][0]["visits"], "short"),
    ] {
        assert_near(found, &expected[of], &format!("{of} of {what}"));
    }
}

async fn check_flows(app: &TestApp, case: &Case) {
    let answer = app.get(&case.path("flows", "&flow_gap=20m")).await;
    let sql = format!(
        "WITH {}, steps AS (
             SELECT client_id, area_id, b, lead(area_id) OVER one AS next_id, lead(a) OVER one AS next_at
             FROM chosen, limits WHERE a < to_at
             WINDOW one AS (PARTITION BY client_id ORDER BY a, visit_key)
         )
         SELECT area_id, next_id, count(*) AS n, count(DISTINCT client_id) AS clients,
             median(greatest(epoch_ms(next_at) - epoch_ms(b), 0)) / 1000 AS gap
         FROM steps, limits
         WHERE next_at >= from_at AND epoch_ms(next_at) - epoch_ms(b) <= 1200000
         GROUP BY ALL ORDER BY n DESC, area_id, next_id",
        case.stays()
    );
    let expected = rows(app, &sql).await;
    let found = answer["flows"].as_array().unwrap();
    assert_eq!(found.len(), expected.len(), "{} {}: {found:?} {expected:?}", case.filter, case.from);
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!((&found["from_area_id"], &found["to_area_id"]), (&expected["area_id"], &expected["next_id"]));
        for (key, of) in [("count", "n"), ("unique_clients", "clients"), ("median_gap_s", "gap")] {
            assert_near(&found[key], &expected[of], key);
        }
    }
}

async fn check_heatmap(app: &TestApp, case: &Case) {
    let (from, to) = (&case.from, &case.to);
    let answer = app.get(&format!("/v1/heatmap?map={MAP}&from={from}&to={to}&cell_m=2.5")).await;
    let sql = format!(
        "WITH fixes AS (
             SELECT *, epoch_ms(lead(event_at) OVER (PARTITION BY client_id ORDER BY event_at)) - epoch_ms(event_at) AS stay
             FROM positions
         )
         SELECT floor(x_m / 2.5) * 2.5 AS x, floor(y_m / 2.5) * 2.5 AS y, count(*) AS n, count(DISTINCT client_id) AS clients,
             coalesce(sum(least(stay, epoch_ms('{to}'::TIMESTAMPTZ) - epoch_ms(event_at))) FILTER (stay <= 300000), 0) / 1000 AS s
         FROM fixes
         WHERE map_id = '{MAP}' AND NOT is_off_map AND event_at >= '{from}'::TIMESTAMPTZ AND event_at < '{to}'::TIMESTAMPTZ
         GROUP BY x, y ORDER BY y, x"
    );
    let expected = rows(app, &sql).await;
    let found = answer["cells"].as_array().unwrap();
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        for (key, of) in [("x_m", "x"), ("y_m", "y"), ("fixes", "n"), ("unique_clients", "clients"), ("seconds", "s")] {
            assert_near(&found[key], &expected[of], key);
        }
    }
}

async fn check_visitors(app: &TestApp, case: &Case) {
    if case.filter.contains("min_dwell") {
        return;
    }
    let answer = app.get(&case.path("visitors", &format!("&bucket=1d&tz={}", case.zone))).await;
    for bucket in answer["buckets"].as_array().unwrap() {
        let (from, to) = (bucket["from"].as_str().unwrap(), bucket["to"].as_str().unwrap());
        let sql = format!(
            "WITH {}, first AS (SELECT client_id, min(a) AS first_at FROM chosen GROUP BY client_id)
             SELECT count(DISTINCT client_id) AS n, count(DISTINCT client_id) FILTER (first_at >= '{from}'::TIMESTAMPTZ) AS new
             FROM chosen JOIN first USING (client_id)
             WHERE a < '{to}'::TIMESTAMPTZ AND (b > '{from}'::TIMESTAMPTZ OR a = b AND a >= '{from}'::TIMESTAMPTZ)",
            case.stays()
        );
        let expected = &rows(app, &sql).await[0];
        assert_near(&bucket["unique_clients"], &expected["n"], "clients");
        assert_near(&bucket["new_clients"], &expected["new"], "new clients");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_agrees_with_sql_over_the_raw_tables() {
    let mut rng = StdRng::seed_from_u64(2026);
    let app = TestApp::start().await;
    crowd(&app, &mut rng).await;
    let visits = rows(&app, "SELECT count(*) AS n FROM visits").await;
    assert!(number(&visits[0]["n"]) > 1000.0, "{visits:?}");
    for _ in 0..CASES {
        let case = Case::random(&mut rng);
        check_series(&app, &case).await;
        check_dwell(&app, &case).await;
        check_flows(&app, &case).await;
        check_heatmap(&app, &case).await;
        check_visitors(&app, &case).await;
    }
}
