//! Who, and where on the floor: visitors, clients, heat maps.

use serde_json::{Value, json};

use super::case::{Case, instant};
use super::{assert_agree, list, ms, number, row, rows};
use crate::harness::{MAP, TestApp};

pub async fn check_visitors(app: &TestApp, case: &Case) {
    let answer = app.get(&case.path("visitors", &format!("&bucket=1d&tz={}", case.zone))).await;
    for bucket in list(&answer, "buckets") {
        let (from, to) = (bucket["from"].as_str().unwrap(), bucket["to"].as_str().unwrap());
        let sql = format!(
            "WITH {}, first AS (SELECT who, min(a) AS first_at FROM chosen GROUP BY who)
             SELECT count(DISTINCT who) AS n, count(DISTINCT who) FILTER (first_at >= '{from}'::TIMESTAMPTZ) AS new, n - new AS old
             FROM chosen JOIN first USING (who)
             WHERE a < '{to}'::TIMESTAMPTZ AND (b > '{from}'::TIMESTAMPTZ OR a = b AND a >= '{from}'::TIMESTAMPTZ)",
            case.tables()
        );
        let names = [("unique_clients", "n"), ("new_clients", "new"), ("returning_clients", "old")];
        assert_agree(bucket, &row(app, &sql).await, &names, from);
    }
}

/// Clients by their fixes; where areas are asked for, those who visited one.
pub async fn check_clients(app: &TestApp, case: &Case) {
    let case = case.of_clients();
    let asked = |what: &str| {
        let rest = case.scope.strip_prefix(&format!("&{what}="))?;
        Some(format!("{what}_id = '{}'", rest.split('&').next().unwrap()))
    };
    let is_place = asked("map").or_else(|| asked("site")).unwrap_or("true".into());
    let is_of_visits = case.scope.contains("area=") || case.scope.contains("tag=") || case.min_dwell_s.is_some();
    let has_visited = if is_of_visits { "kind || ' ' || client_id IN (SELECT who FROM touching)" } else { "true" };
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = app.get(&case.path("clients", &format!("&limit=7{cursor}"))).await;
        found.extend(list(&page, "clients").clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let sql = format!(
        "WITH {} SELECT client_id, kind, count(*) AS fixes, epoch_ms(min(event_at)) AS first, epoch_ms(max(event_at)) AS last,
             arg_max(x_m, event_at) AS x_m, arg_max(y_m, event_at) AS y_m, arg_max(map_id, event_at) AS map_id
         FROM positions WHERE {is_place} AND {has_visited} AND {} AND event_at >= '{}'::TIMESTAMPTZ AND event_at < '{}'::TIMESTAMPTZ
         GROUP BY client_id, kind ORDER BY client_id, kind",
        case.tables(),
        case.clients_sql,
        instant(case.from_ms),
        instant(case.to_ms)
    );
    let expected = rows(app, &sql).await;
    let name = |row: &Value| (row["client_id"].to_string(), row["kind"].to_string());
    found.sort_by_key(name);
    assert_eq!(found.iter().map(name).collect::<Vec<_>>(), expected.iter().map(name).collect::<Vec<_>>());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found["map_id"], expected["map_id"]);
        assert_agree(found, expected, &[("fixes", "fixes"), ("x_m", "x_m"), ("y_m", "y_m")], "a client");
        let times = [ms(&found["first_fix_at"]), ms(&found["last_fix_at"])].map(|at_ms| at_ms as f64);
        assert_eq!(times, [number(&expected["first"]), number(&expected["last"])]);
    }
}

pub async fn check_heatmap(app: &TestApp, case: &Case) {
    let (from, to) = (instant(case.from_ms), instant(case.to_ms));
    let answer = app.get(&format!("/v1/heatmap?map={MAP}&{}&cell_m=2.5{}", case.window(), case.clients)).await;
    let sql = format!(
        "WITH fixes AS (
             SELECT *, epoch_ms(lead(event_at) OVER one) - epoch_ms(event_at) AS stay
             FROM positions WHERE {}
             WINDOW one AS (PARTITION BY client_id, kind, site_id ORDER BY event_at)
         )
         SELECT floor(x_m / 2.5) * 2.5 AS x, floor(y_m / 2.5) * 2.5 AS y, count(*) AS n,
             count(DISTINCT kind || client_id) AS clients,
             coalesce(sum(least(stay, epoch_ms('{to}'::TIMESTAMPTZ) - epoch_ms(event_at))) FILTER (stay <= 300000), 0) / 1000 AS s
         FROM fixes
         WHERE map_id = '{MAP}' AND NOT is_off_map AND event_at >= '{from}'::TIMESTAMPTZ AND event_at < '{to}'::TIMESTAMPTZ
         GROUP BY x, y ORDER BY y, x",
        case.clients_sql
    );
    let expected = rows(app, &sql).await;
    let found = list(&answer, "cells");
    assert_eq!(found.len(), expected.len());
    let sum = json!(found.iter().map(|cell| number(&cell["fixes"])).sum::<f64>());
    for (found, expected) in found.iter().zip(&expected) {
        let names = [("x_m", "x"), ("y_m", "y"), ("fixes", "n"), ("unique_clients", "clients"), ("seconds", "s")];
        assert_agree(found, expected, &names, &format!("a cell of {sum} fixes"));
    }
}
