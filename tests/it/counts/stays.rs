//! How long, and from where to where: dwell, flows, and the visits themselves.

use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::Value;

use super::case::Case;
use super::levels::check_keys;
use super::{assert_agree, list, ms, number, row, rows};
use crate::counts::crowd::BANDS;
use crate::harness::{SITE, TestApp};

/// Where ranges of the histogram begin.
const EDGES_S: [i64; 12] = [0, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14_400, 28_800];
const DEFAULT_BANDS: [(i64, Option<i64>); 4] =
    [(1, Some(300)), (301, Some(14_400)), (14_401, Some(28_800)), (28_801, None)];

pub async fn check_dwell(app: &TestApp, case: &Case) {
    for is_clipped in [true, false] {
        let clip = if is_clipped { String::new() } else { "&clip=false".into() };
        let answer = app.get(&case.path("dwell", &format!("{clip}{}", case.grouped()))).await;
        let bands = bands(app, case).await;
        check_one_dwell(app, case, is_clipped, &bands, &answer).await;
        assert_eq!(answer["comparison"].is_null(), case.compare.is_none());
        if let Some((_, back_ms)) = case.compare {
            check_one_dwell(app, &case.before(back_ms), is_clipped, &bands, &answer["comparison"]).await;
        }
    }
}

/// The bands of the one site that is asked about; the default ones where there are several.
async fn bands(app: &TestApp, case: &Case) -> Vec<(i64, Option<i64>)> {
    let sites = rows(app, &format!("SELECT DISTINCT site_id FROM {}", case.areas())).await;
    match &sites[..] {
        [one] if one["site_id"] == SITE => BANDS.to_vec(),
        _ => DEFAULT_BANDS.to_vec(),
    }
}

async fn check_one_dwell(app: &TestApp, case: &Case, is_clipped: bool, bands: &[(i64, Option<i64>)], answer: &Value) {
    check_statistics(app, case, is_clipped, bands, answer).await;
    assert_eq!(answer["groups"].is_null(), case.group_by.is_none());
    if case.group_by.is_some() {
        check_keys(app, case, answer).await;
        for group in list(answer, "groups") {
            check_statistics(app, &case.group(&group["key"]), is_clipped, bands, &group["dwell"]).await;
        }
    }
}

async fn check_statistics(app: &TestApp, case: &Case, is_clipped: bool, bands: &[(i64, Option<i64>)], answer: &Value) {
    assert_eq!(answer["is_clipped"], is_clipped);
    assert_eq!((ms(&answer["from"]), ms(&answer["to"])), (case.from_ms, case.to_ms));
    let whole = if is_clipped {
        "epoch_ms(least(b, to_at)) - epoch_ms(greatest(a, from_at))"
    } else {
        "epoch_ms(coalesce(exited_at, to_at)) - epoch_ms(a)"
    };
    let between = |from: i64, to: Option<i64>| {
        let to = to.map_or(String::new(), |to| format!(" AND floor(s) <= {to}"));
        format!("count(*) FILTER (floor(s) >= {from}{to})")
    };
    let of_bands = bands.iter().map(|(from, to)| between(*from, *to));
    let of_ranges =
        EDGES_S.iter().enumerate().map(|(place, from)| between(*from, EDGES_S.get(place + 1).map(|to| to - 1)));
    let sql = format!(
        "WITH {}, dwells AS (SELECT ({whole}) / 1000 AS s FROM touching, limits)
         SELECT count(*) AS n, avg(s) AS mean, quantile_cont(s, 0.5) AS half, quantile_cont(s, 0.9) AS p90,
             quantile_cont(s, 0.95) AS p95, max(s) AS most, [{}] AS bands, [{}] AS ranges
         FROM dwells",
        case.tables(),
        of_bands.collect::<Vec<_>>().join(", "),
        of_ranges.collect::<Vec<_>>().join(", "),
    );
    let expected = row(app, &sql).await;
    let names = [
        ("count", "n"),
        ("mean_s", "mean"),
        ("median_s", "half"),
        ("p90_s", "p90"),
        ("p95_s", "p95"),
        ("max_s", "most"),
    ];
    assert_agree(answer, &expected, &names, "dwell");
    let visits = |key: &str| list(answer, key).iter().map(|range| number(&range["visits"])).collect::<Vec<f64>>();
    let counted = |key: &str| {
        // Lists come as texts.
        let list = expected[key].as_str().map_or(expected[key].clone(), |text| serde_json::from_str(text).unwrap());
        list.as_array().unwrap().iter().map(number).collect::<Vec<f64>>()
    };
    assert_eq!(visits("bands"), counted("bands"));
    assert_eq!(visits("histogram"), counted("ranges"));
    let told: Vec<_> =
        list(answer, "bands").iter().map(|band| (band["from_s"].as_i64().unwrap(), band["to_s"].as_i64())).collect();
    assert_eq!(told, bands);
    assert_eq!(number(&answer["unbanded"]), number(&answer["count"]) - visits("bands").iter().sum::<f64>());
}

pub async fn check_flows(app: &TestApp, case: &Case) {
    let answer = app.get(&case.path("flows", "&flow_gap=20m")).await;
    let sql = format!(
        "WITH {}, steps AS (
             SELECT who, area_id, exited_at, lead(area_id) OVER one AS next_id, lead(a) OVER one AS next_at
             FROM chosen, limits WHERE a < to_at
             WINDOW one AS (PARTITION BY who, at_site ORDER BY a, visit_key)
         )
         SELECT area_id, next_id, count(*) AS n, count(DISTINCT who) AS clients,
             median(greatest(epoch_ms(next_at) - epoch_ms(exited_at), 0)) FILTER (exited_at IS NOT NULL) / 1000 AS gap
         FROM steps, limits
         WHERE next_at >= from_at AND (exited_at IS NULL OR epoch_ms(next_at) - epoch_ms(exited_at) <= 1200000)
         GROUP BY ALL ORDER BY n DESC, area_id, next_id",
        case.tables()
    );
    let expected = rows(app, &sql).await;
    let found = list(&answer, "flows");
    assert_eq!(found.len(), expected.len(), "{found:?} {expected:?}");
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!((&found["from_area_id"], &found["to_area_id"]), (&expected["area_id"], &expected["next_id"]));
        let names = [("count", "n"), ("unique_clients", "clients"), ("median_gap_s", "gap")];
        assert_agree(found, expected, &names, "a flow");
    }
}

/// Page by page; of those with a least dwell only what has ended.
pub async fn check_visits(app: &TestApp, case: &Case, rng: &mut StdRng) {
    let limit = *[1, 7, 100, 10_000].get(rng.random_range(0..4)).unwrap();
    // One a page: a few will do.
    let most = if limit == 1 { 20 } else { usize::MAX };
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = app.get(&case.path("visits", &format!("&limit={limit}{cursor}"))).await;
        assert!(list(&page, "visits").len() <= limit);
        found.extend(list(&page, "visits").clone());
        match page["next_cursor"].as_str().filter(|_| found.len() < most) {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let is_ended = if case.min_dwell_s.is_some() { "exited_at IS NOT NULL" } else { "true" };
    let sql = format!(
        "WITH {} SELECT visit_key, area_id, area_kind, area_name, at_site, client_id, kind, source, epoch_ms(a) AS a,
             epoch_ms(exited_at) AS b, dwell_s, ended
         FROM touching WHERE {is_ended} ORDER BY visit_key",
        case.tables()
    );
    let expected = rows(app, &sql).await;
    assert_eq!(found.len(), expected.len().min(most), "visits");
    for (found, expected) in found.iter().zip(&expected) {
        assert_agree(found, expected, &[("visit_id", "visit_key"), ("dwell_s", "dwell_s")], "a visit");
        for (name, of) in [
            ("area_id", "area_id"),
            ("area_kind", "area_kind"),
            ("area_name", "area_name"),
            ("site_id", "at_site"),
            ("client_id", "client_id"),
            ("kind", "kind"),
            ("source", "source"),
            ("ended", "ended"),
        ] {
            assert_eq!(found[name], expected[of], "{name} of {found}");
        }
        assert_eq!(ms(&found["entered_at"]) as f64, number(&expected["a"]));
        assert_eq!(found["exited_at"].is_null(), expected["b"].is_null());
        if !found["exited_at"].is_null() {
            assert_eq!(ms(&found["exited_at"]) as f64, number(&expected["b"]));
        }
    }
}
