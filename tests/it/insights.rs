//! Every metric, over random windows, against counting that knows nothing of how the server counts.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeZone, Timelike};
use futures::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{LOBBY, MAP, SITE, START_S, TestApp, ask, crowd, delivery, fix};
use crate::replay::arguments;

/// A visit as the file holds it.
#[derive(Clone, Debug)]
struct Visit {
    key: i64,
    client: String,
    area: String,
    entered_ms: i64,
    /// Far ahead while it goes on.
    exited_ms: i64,
}

/// A server with an hour of crowd, its clock at the end, and the visits and fixes of its file.
async fn crowded(seed: u64) -> (TestApp, Vec<Visit>, Vec<(String, i64, f64, f64)>) {
    let (map, file, _dir) = crowd::recorded(seed);
    let app = TestApp::start().await;
    app.call(Method::PUT, &format!("/v1/maps/{MAP}"), Some(map)).await;
    app.clock.set((START_S + 1200) * 1000);
    footfall::replay::run(arguments(format!("{}/v1/webhooks/mist", app.base), &file)).await.unwrap();
    app.run_on_to(1300.0).await;
    let copy = app.restart().await;
    let dir = copy.stop().await;
    let path = dir.path().join("footfall.duckdb");
    let visits = ask(
        &path,
        "SELECT visit_key, client_id, area_id, epoch_ms(entered_at), coalesce(epoch_ms(exited_at), 9000000000000)
         FROM visits WHERE source = 'computed' ORDER BY visit_key",
    );
    let visits = visits.iter().map(|line| {
        let cells: Vec<&str> = line.split(' ').collect();
        let number = |place: usize| cells[place].parse().unwrap();
        Visit {
            key: number(0),
            client: cells[1].into(),
            area: cells[2].into(),
            entered_ms: number(3),
            exited_ms: number(4),
        }
    });
    let visits: Vec<Visit> = visits.collect();
    let fixes =
        ask(&path, "SELECT client_id, epoch_ms(event_at), x_m, y_m FROM positions WHERE NOT is_off_map ORDER BY ALL");
    let fixes = fixes.iter().map(|line| {
        let cells: Vec<&str> = line.split(' ').collect();
        (cells[0].to_owned(), cells[1].parse().unwrap(), cells[2].parse().unwrap(), cells[3].parse().unwrap())
    });
    let fixes = fixes.collect();
    let config = crate::harness::config(dir.path());
    let clock = footfall::clock::Clock::manual((START_S + 1300) * 1000);
    (TestApp::open(dir, config, clock).await, visits, fixes)
}

/// Says that days on which anything happened are over, some seconds after what was said before: from then on they are kept
/// in memory.
fn settle(app: &TestApp, seconds: i64) {
    app.store.past().settle((START_S + 3 * 86_400 + seconds) * 1000);
}

fn ms(value: &Value) -> i64 {
    DateTime::parse_from_rfc3339(value.as_str().unwrap()).unwrap().timestamp_millis()
}

fn time(unix_ms: i64) -> String {
    footfall::model::time::rfc3339(unix_ms)
}

fn is_close(found: &Value, expected: f64) -> bool {
    (found.as_f64().unwrap() - expected).abs() < 1e-6
}

/// How many clients are in any of the areas at an instant.
fn present(visits: &[&Visit], at_ms: i64) -> usize {
    let clients: BTreeSet<&str> = visits
        .iter()
        .filter(|visit| visit.entered_ms <= at_ms && at_ms < visit.exited_ms)
        .map(|visit| visit.client.as_str())
        .collect();
    clients.len()
}

/// The instants in [from, to) at which a count may change.
fn instants(visits: &[&Visit], from_ms: i64, to_ms: i64) -> Vec<i64> {
    let mut instants: BTreeSet<i64> = BTreeSet::from([from_ms]);
    for visit in visits {
        instants.extend([visit.entered_ms, visit.exited_ms].into_iter().filter(|at| (from_ms..to_ms).contains(at)));
    }
    instants.into_iter().collect()
}

/// Least, most, and mean of those present in [from, to).
fn counted(visits: &[&Visit], from_ms: i64, to_ms: i64) -> (usize, usize, f64) {
    let instants = instants(visits, from_ms, to_ms);
    let levels: Vec<usize> = instants.iter().map(|at| present(visits, *at)).collect();
    let ends = instants.iter().skip(1).chain([&to_ms]);
    let area: i64 = instants.iter().zip(ends).zip(&levels).map(|((from, to), level)| (to - from) * *level as i64).sum();
    let (min, max) = (*levels.iter().min().unwrap(), *levels.iter().max().unwrap());
    (min, max, area as f64 / (to_ms - from_ms) as f64)
}

#[tokio::test(flavor = "multi_thread")]
async fn series_profiles_peaks_and_visitors_agree_with_counting() {
    let (app, visits, _) = crowded(7).await;
    let mut rng = StdRng::seed_from_u64(7);
    let start_ms = START_S * 1000;
    for round in 0..30 {
        // Half of them of the file, and half of days in memory.
        if round == 15 {
            settle(&app, 0);
        }
        let from_ms = start_ms + rng.random_range(-200_000..1_200_000);
        let to_ms = (from_ms + rng.random_range(1_000..900_000)).min(start_ms + 1_300_000);
        let bucket = ["1m", "5m", "15m", "1h", "1d"][rng.random_range(0..5)];
        let zone = ["Europe/Lisbon", "Asia/Kathmandu", "America/St_Johns", "UTC"][rng.random_range(0..4)];
        let min_dwell_s = [0, 30][rng.random_range(0..2)];
        let area = (round % 2 == 0).then(|| format!("0d1f5a52-0000-4c00-8000-00000000000{}", rng.random_range(0..9)));
        let scope = area.as_ref().map_or(format!("map={MAP}"), |area| format!("area={area}"));
        let least = if min_dwell_s > 0 { format!("&min_dwell={min_dwell_s}") } else { String::new() };
        let query = format!("{scope}&from={}&to={}&tz={zone}{least}", time(from_ms), time(to_ms));
        let chosen: Vec<&Visit> = visits
            .iter()
            .filter(|visit| area.as_ref().is_none_or(|area| *area == visit.area))
            .filter(|visit| {
                let end_ms = if visit.exited_ms == 9_000_000_000_000 { to_ms } else { visit.exited_ms };
                end_ms - visit.entered_ms >= min_dwell_s * 1000
            })
            .collect();
        let series = app.get(&format!("/v1/occupancy/series?{query}&bucket={bucket}&group_by=area")).await;
        let mut at_ms = from_ms;
        for bucket in series["buckets"].as_array().unwrap() {
            let (from, to) = (ms(&bucket["from"]), ms(&bucket["to"]));
            assert_eq!(from, at_ms, "buckets follow one another");
            at_ms = to;
            let (min, max, mean) = counted(&chosen, from, to);
            assert_eq!((&bucket["min"], &bucket["max"]), (&json!(min), &json!(max)), "{query} {bucket}");
            assert!(is_close(&bucket["mean"], mean), "{query} {bucket} {mean}");
            if from != from_ms {
                let local = zone.parse::<chrono_tz::Tz>().unwrap().timestamp_millis_opt(from).unwrap();
                assert_eq!(local.second(), 0, "{local}");
            }
        }
        assert_eq!(at_ms, to_ms);
        for group in series["groups"].as_array().unwrap() {
            let of: Vec<&Visit> = chosen.iter().copied().filter(|visit| visit.area == group["key"]).collect();
            let (min, max, mean) = counted(&of, from_ms, to_ms);
            let total = &group["total"];
            assert_eq!((&total["min"], &total["max"]), (&json!(min), &json!(max)), "{query} {total}");
            assert!(is_close(&total["mean"], mean));
            let entries = of.iter().filter(|visit| (from_ms..to_ms).contains(&visit.entered_ms)).count();
            let exits = of.iter().filter(|visit| (from_ms..to_ms).contains(&visit.exited_ms)).count();
            assert_eq!((&total["entries"], &total["exits"]), (&json!(entries), &json!(exits)));
        }
        let peaks = app.get(&format!("/v1/occupancy/peaks?{query}&bucket={bucket}&limit=1000")).await;
        let mut last = usize::MAX;
        for peak in peaks["peaks"].as_array().unwrap() {
            let (from, to, at) = (ms(&peak["from"]), ms(&peak["to"]), ms(&peak["at"]));
            let (_, max, _) = counted(&chosen, from, to);
            assert_eq!(peak["max"], max);
            assert_eq!(present(&chosen, at), max);
            assert!(instants(&chosen, from, at).iter().all(|before| *before == at || present(&chosen, *before) < max));
            assert!(max <= last);
            last = max;
        }
        let query = format!("{scope}&from={}&to={}&tz={zone}", time(from_ms), time(to_ms));
        let chosen: Vec<&Visit> =
            visits.iter().filter(|visit| area.as_ref().is_none_or(|area| *area == visit.area)).collect();
        let visitors = app.get(&format!("/v1/visitors?{query}&bucket={bucket}")).await;
        for bucket in visitors["buckets"].as_array().unwrap() {
            let (from, to) = (ms(&bucket["from"]), ms(&bucket["to"]));
            let touches = |visit: &&&Visit| {
                let is_instant = visit.exited_ms == visit.entered_ms;
                visit.entered_ms < to && (visit.exited_ms > from || is_instant && visit.entered_ms >= from)
            };
            let there: BTreeSet<&str> = chosen.iter().filter(touches).map(|visit| visit.client.as_str()).collect();
            let before: BTreeSet<&str> =
                chosen.iter().filter(|visit| visit.entered_ms < from).map(|visit| visit.client.as_str()).collect();
            let new = there.difference(&before).count();
            assert_eq!((&bucket["unique_clients"], &bucket["new_clients"]), (&json!(there.len()), &json!(new)));
        }
        let profile = app.get(&format!("/v1/occupancy/profile?{query}")).await;
        let hours = profile["hours"].as_array().unwrap();
        let length_s: f64 = (to_ms - from_ms) as f64 / 1000.0;
        if let Some(only) = hours.iter().filter(|hour| !hour["mean"].is_null()).collect::<Vec<_>>().as_slice().first()
            && hours.iter().filter(|hour| !hour["mean"].is_null()).count() == 1
        {
            let (_, max, mean) = counted(&chosen, from_ms, to_ms);
            assert_eq!(only["max"], max);
            assert!(is_close(&only["mean"], mean), "{only} {mean} {length_s}");
            let local = zone.parse::<chrono_tz::Tz>().unwrap().timestamp_millis_opt(from_ms).unwrap();
            assert_eq!(only["hour"], local.hour());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn flows_agree_with_counting() {
    let (app, visits, _) = crowded(8).await;
    let mut by_client: BTreeMap<&str, Vec<&Visit>> = BTreeMap::new();
    for visit in &visits {
        by_client.entry(&visit.client).or_default().push(visit);
    }
    by_client.values_mut().for_each(|visits| visits.sort_by_key(|visit| (visit.entered_ms, visit.key)));
    let start_ms = START_S * 1000;
    let windows = [(0, 1300, 600), (0, 1300, 0), (300, 700, 20), (-100, 400, 5)];
    for (round, (from_s, to_s, gap_s)) in windows.into_iter().cycle().take(8).enumerate() {
        if round == 4 {
            settle(&app, 0);
        }
        let (from_ms, to_ms) = (start_ms + from_s * 1000, start_ms + to_s * 1000);
        let query = format!("map={MAP}&from={}&to={}&flow_gap={gap_s}", time(from_ms), time(to_ms));
        let mut expected: BTreeMap<(String, String), i64> = BTreeMap::new();
        for visits in by_client.values() {
            for pair in visits.windows(2) {
                let gap_ms = pair[1].entered_ms - pair[0].exited_ms;
                if (from_ms..to_ms).contains(&pair[1].entered_ms) && gap_ms <= gap_s * 1000 {
                    *expected.entry((pair[0].area.clone(), pair[1].area.clone())).or_default() += 1;
                }
            }
        }
        let answer = app.get(&format!("/v1/flows?{query}")).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let found: BTreeMap<(String, String), i64> = answer["flows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|flow| ((text(&flow["from_area_id"]), text(&flow["to_area_id"])), flow["count"].as_i64().unwrap()))
            .collect();
        assert!(gap_s == 0 || found.len() > 10);
        assert_eq!(found, expected, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn heat_maps_and_tracks_agree_with_counting() {
    let (app, _, fixes) = crowded(9).await;
    let start_ms = START_S * 1000;
    for (from_s, to_s, cell_m) in [(0, 1300, 1.0), (200, 900, 2.5), (100, 130, 0.7)] {
        let (from_ms, to_ms) = (start_ms + from_s * 1000, start_ms + to_s * 1000);
        let window = format!("from={}&to={}", time(from_ms), time(to_ms));
        let answer = app.get(&format!("/v1/heatmap?map={MAP}&cell_m={cell_m}&{window}")).await;
        let mut expected: BTreeMap<(i64, i64), i64> = BTreeMap::new();
        for (_, _, x_m, y_m) in fixes.iter().filter(|fix| (from_ms..to_ms).contains(&fix.1)) {
            let mm = |m: f64| (m * 1000.0).round() as i64;
            let cell_mm = mm(cell_m);
            *expected.entry((mm(*x_m).div_euclid(cell_mm), mm(*y_m).div_euclid(cell_mm))).or_default() += 1;
        }
        let cells = answer["cells"].as_array().unwrap();
        let found: BTreeMap<(i64, i64), i64> = cells
            .iter()
            .map(|cell| {
                let at = |name: &str| (cell[name].as_f64().unwrap() / cell_m).round() as i64;
                ((at("x_m"), at("y_m")), cell["fixes"].as_i64().unwrap())
            })
            .collect();
        assert_eq!(found, expected);
    }
    let clients = app.get("/v1/clients?from=2026-07-01T00:00:00Z&limit=5").await;
    assert_eq!((clients["clients"].as_array().unwrap().len(), clients["next_cursor"].is_null()), (5, false));
    let one = clients["clients"][0]["client_id"].as_str().unwrap().to_owned();
    let mut track = Vec::new();
    let mut from = "2026-07-01T00:00:00Z".to_owned();
    loop {
        let page = app.get(&format!("/v1/clients/{one}/track?from={from}&limit=20")).await;
        track.extend(page["fixes"].as_array().unwrap().iter().map(|fix| ms(&fix["at"])));
        match page["next_from"].as_str() {
            Some(next) => from = next.into(),
            None => break,
        }
    }
    let expected = app.get("/v1/clients?from=2026-07-01T00:00:00Z&search=0000").await;
    let row = expected["clients"].as_array().unwrap().iter().find(|row| row["client_id"] == one.as_str()).unwrap();
    assert_eq!(row["fixes"], track.len());
    assert!(track.is_sorted());
    assert_eq!(app.call(Method::GET, "/v1/clients/nobody/track", None).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heat_map_of_many_days_counts_across_its_parts() {
    let app = TestApp::start().await;
    app.upload_map().await;
    let span_s = 6.0 * 86_400.0;
    // The second stands where the third of six parts ends and the next begins.
    for (mac, at_s) in [(1, 0.0), (1, span_s / 2.0 - 30.0), (2, span_s / 2.0 + 10.0), (1, span_s)] {
        let walk = [(0.0, 5.2), (20.0, 5.4), (40.0, 15.0), (60.0, 15.0)];
        let walk = walk.map(|(after_s, x)| fix(&format!("00000000000{mac}"), at_s + after_s, x, 5.0));
        app.run_on_to(at_s + 60.0).await;
        app.deliver(&delivery("location", walk.to_vec())).await;
    }
    app.run_on_to(span_s + 100.0).await;
    for window in ["from=2026-06-20T00:00:00Z", "from=1970-01-01T00:00:00Z&to=2026-07-20T00:00:00Z"] {
        let answer = app.get(&format!("/v1/heatmap?map={MAP}&{window}")).await;
        let cells: Vec<_> = answer["cells"]
            .as_array()
            .unwrap()
            .iter()
            .map(|cell| {
                let number = |name: &str| cell[name].as_f64().unwrap();
                (number("x_m"), number("fixes"), number("seconds"), number("unique_clients"))
            })
            .collect();
        assert_eq!(cells, [(5.0, 8.0, 160.0, 2.0), (15.0, 8.0, 80.0, 2.0)], "{window}");
    }
    let nobody = app.get(&format!("/v1/heatmap?map={MAP}&from=2020-01-01T00:00:00Z&to=2021-01-01T00:00:00Z")).await;
    assert_eq!(nobody["cells"].as_array().unwrap().len(), 0);
}

/// Far more than have a turn at once.
#[tokio::test(flavor = "multi_thread")]
async fn questions_that_wait_for_their_turn_are_answered() {
    let app = two_sorts().await;
    let paths = [
        format!("/v1/heatmap?map={MAP}"),
        format!("/v1/visits?site={SITE}"),
        "/v1/sites".to_owned(),
        "/v1/clients/00000000000b/track".to_owned(),
    ];
    let alone = join_all(paths.iter().map(|path| app.get(path))).await;
    let asked = join_all(paths.iter().cycle().take(400).map(|path| app.get(path))).await;
    for (answer, expected) in asked.iter().zip(alone.iter().cycle()) {
        assert_eq!(answer, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_of_many_days_is_told_whole_and_in_order() {
    const ONE: &str = "00000000000b";
    let app = TestApp::start().await;
    app.upload_map().await;
    let hours = [0.0, 1.0, 24.9, 25.0, 26.0, 124.9, 125.0, 125.1, 500.0];
    for hour in hours {
        app.run_on_to(hour * 3600.0 + 60.0).await;
        // The later one comes first.
        for after_s in [20.0, 10.0] {
            app.deliver(&delivery("location", vec![fix(ONE, hour * 3600.0 + after_s, 5.0 + after_s, 5.0)])).await;
        }
    }
    app.run_on_to(600.0 * 3600.0).await;
    let expected: Vec<(i64, f64, bool)> = hours
        .iter()
        .flat_map(|hour| {
            [(10.0, true), (20.0, false)].map(|(after_s, is_late)| (hour * 3600.0 + after_s, 5.0 + after_s, is_late))
        })
        .map(|(at_s, x_m, is_late)| (START_S * 1000 + (at_s * 1000.0) as i64, x_m, is_late))
        .collect();
    for limit in [1, 5, 1000] {
        let mut way = Vec::new();
        let mut from = "2026-07-01T08:00:00Z".to_owned();
        loop {
            let page = app.get(&format!("/v1/clients/{ONE}/track?from={from}&limit={limit}")).await;
            let fixes = page["fixes"].as_array().unwrap();
            assert!(fixes.len() <= limit);
            way.extend(
                fixes
                    .iter()
                    .map(|fix| (ms(&fix["at"]), fix["x_m"].as_f64().unwrap(), fix["is_late"].as_bool().unwrap())),
            );
            let Some(next) = page["next_from"].as_str() else { break };
            from = next.into();
        }
        assert_eq!(way, expected, "{limit} at a time");
    }
}

/// Somebody with a made-up address and somebody with a real one, in the lobby.
async fn two_sorts() -> TestApp {
    let app = TestApp::start().await;
    app.upload_map().await;
    let mut events = vec![fix("02000000000a", 0.0, 5.0, 5.0), fix("00000000000b", 1.0, 5.0, 5.0)];
    events[1]["name"] = json!("=HYPERLINK(\"x\"), é");
    app.deliver(&delivery("location", events)).await;
    app.run_on_to(100.0).await;
    app
}

#[tokio::test(flavor = "multi_thread")]
async fn made_up_addresses_are_told_apart() {
    let app = two_sorts().await;
    let window = "from=2026-07-01T08:00:00Z&to=2026-07-01T08:01:00Z";
    for (query, count) in [("", 2), ("&randomised=true", 1), ("&randomised=false", 1), ("&kind=asset", 0)] {
        let series = app.get(&format!("/v1/occupancy/series?area={LOBBY}&{window}{query}")).await;
        assert_eq!(series["total"]["unique_clients"], count, "{query}");
        let clients = app.get(&format!("/v1/clients?from=2026-07-01T08:00:00Z{query}")).await;
        assert_eq!(clients["clients"].as_array().unwrap().len(), count, "{query}");
        let now = app.get(&format!("/v1/occupancy?area={LOBBY}{query}")).await;
        assert_eq!(now["areas"][0]["current"], count, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn periods_are_compared_and_limits_reckoned() {
    let app = two_sorts().await;
    let window = "from=2026-07-01T08:00:30Z&to=2026-07-01T08:01:00Z";
    let series = app.get(&format!("/v1/occupancy/series?area={LOBBY}&{window}&compare=previous")).await;
    assert_eq!(series["comparison"]["from"], "2026-07-01T08:00:00.000Z");
    assert_eq!(series["comparison"]["total"]["entries"], 2);
    let dwell = app.get(&format!("/v1/dwell?site={SITE}&{window}&compare=1d&group_by=kind")).await;
    assert_eq!((&dwell["comparison"]["count"], &dwell["groups"][0]["key"]), (&json!(0), &json!("wifi")));
    assert_eq!(dwell["groups"][0]["dwell"]["count"], 2);
    let zone = json!({"map_id": MAP, "name": "Lobby", "occupancy_limit": 1,
        "vertices_m": [{"x": 0, "y": 0}, {"x": 10, "y": 0}, {"x": 10, "y": 10}, {"x": 0, "y": 10}]});
    assert_eq!(app.call(Method::PUT, &format!("/v1/areas/{LOBBY}"), Some(zone)).await.0, StatusCode::OK);
    let capacity = app.get("/v1/occupancy/capacity?from=2026-07-01T08:00:00Z&to=2026-07-01T08:01:00Z").await;
    let area = &capacity["areas"][0];
    assert_eq!((&area["max"], &area["max_share"], &area["over_limit_s"]), (&json!(2), &json!(2.0), &json!(59.0)));
    for wrong in ["compare=1y", "compare=-1d", "group_by=colour", "randomised=maybe", "min_dwell=-1", "format=xls"] {
        let path = format!("/v1/occupancy/series?area={LOBBY}&{wrong}");
        let (status, answer) = app.call(Method::GET, &path, None).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_come_as_csv_arrow_and_parquet_too() {
    let app = two_sorts().await;
    let get = |path: String, accept: Option<&'static str>| {
        let mut request = app.client.get(format!("{}{path}", app.base));
        if let Some(accept) = accept {
            request = request.header("accept", accept);
        }
        async move {
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
            (answer.headers().clone(), answer.bytes().await.unwrap())
        }
    };
    let visits = "/v1/visits?from=2026-07-01T08:00:00Z&limit=1".to_owned();
    let (headers, csv) = get(visits.clone(), Some("text/csv")).await;
    assert_eq!(headers["content-type"], "text/csv; charset=utf-8; header=present");
    assert_eq!(headers["content-disposition"], "attachment; filename=\"visits.csv\"");
    assert!(headers.contains_key("x-next-cursor"));
    let csv = String::from_utf8(csv.to_vec()).unwrap();
    let mut lines = csv.lines();
    assert!(lines.next().unwrap().starts_with("\u{feff}visit_id,site_id,map_id,area_id,"));
    assert!(lines.next().unwrap().contains(",02000000000a,wifi,,computed,2026-07-01T08:00:00Z,,,,1"), "{csv}");
    let (_, named) = get("/v1/clients?from=2026-07-01T08:00:00Z&format=csv".into(), None).await;
    let named = String::from_utf8(named.to_vec()).unwrap();
    assert!(named.contains("\"'=HYPERLINK(\"\"x\"\"), é\""), "a name is no formula: {named}");
    // Read back by an independent reader: the database itself.
    let dir = tempfile::TempDir::new().unwrap();
    for path in [
        "/v1/visits?from=2026-07-01T08:00:00Z",
        "/v1/occupancy?",
        "/v1/occupancy/series?from=2026-07-01T08:00:00Z",
        "/v1/occupancy/profile?from=2026-07-01T08:00:00Z",
        "/v1/occupancy/peaks?from=2026-07-01T08:00:00Z",
        "/v1/occupancy/capacity?from=2026-07-01T08:00:00Z",
        "/v1/visitors?from=2026-07-01T08:00:00Z",
        "/v1/flows?from=2026-07-01T08:00:00Z",
        "/v1/clients?from=2026-07-01T08:00:00Z",
        "/v1/clients/00000000000b/track?from=2026-07-01T08:00:00Z",
        "/v1/dwell?from=2026-07-01T08:00:00Z",
        &format!("/v1/heatmap?map={MAP}&from=2026-07-01T08:00:00Z"),
    ] {
        let (headers, parquet) = get(format!("{path}&format=parquet"), None).await;
        assert_eq!(headers["content-type"], "application/vnd.apache.parquet");
        let file = dir.path().join("answer.parquet");
        std::fs::write(&file, &parquet).unwrap();
        let conn = duckdb::Connection::open_in_memory().unwrap();
        let count = |sql: String| conn.query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap();
        let rows = count(format!("SELECT count(*) FROM read_parquet('{}')", file.display()));
        let (_, csv) = get(format!("{path}&format=csv"), None).await;
        let csv_file = dir.path().join("answer.csv");
        std::fs::write(&csv_file, &csv).unwrap();
        let csv_rows = count(format!("SELECT count(*) FROM read_csv('{}', header = true)", csv_file.display()));
        assert_eq!(csv_rows, rows, "{path}");
        let (headers, arrow) = get(format!("{path}&format=arrow"), None).await;
        assert_eq!(headers["content-type"], "application/vnd.apache.arrow.stream");
        let stream = arrow::ipc::reader::StreamReader::try_new(std::io::Cursor::new(arrow.to_vec()), None).unwrap();
        let arrow_rows: usize = stream.map(|batch| batch.unwrap().num_rows()).sum();
        assert_eq!(arrow_rows as i64, rows, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heat_map_of_too_many_cells_says_how_wide_they_may_be() {
    let app = TestApp::start().await;
    app.upload_map().await;
    app.get(&format!("/v1/heatmap?map={MAP}&cell_m=0.1")).await;
    let hall = json!({"site_id": SITE, "width_m": 400.0, "height_m": 100.0});
    assert_eq!(app.call(Method::PUT, "/v1/maps/hall", Some(hall)).await.0, StatusCode::OK);
    let (status, problem) = app.call(Method::GET, "/v1/heatmap?map=hall&cell_m=0.1", None).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(problem["detail"].as_str().unwrap().ends_with("4000000 cells; give 0.2 or more"), "{problem}");
    app.get("/v1/heatmap?map=hall&cell_m=0.2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_group_is_answered() {
    let app = TestApp::start().await;
    app.upload_map().await;
    for group in ["area", "map", "site", "tag", "kind"] {
        for path in ["/v1/occupancy/series", "/v1/dwell"] {
            app.get(&format!("{path}?group_by={group}")).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn days_in_memory_follow_what_comes_late_what_is_erased_and_what_is_rebuilt() {
    let app = TestApp::start().await;
    app.upload_map().await;
    let walk = |mac: &str, at_s: f64| {
        let walk = [(0.0, 5.0), (20.0, 5.0), (40.0, 15.0), (60.0, 15.0)];
        delivery("location", walk.map(|(after_s, x)| fix(mac, at_s + after_s, x, 5.0)).to_vec())
    };
    for client in 1..=3 {
        app.deliver(&walk(&format!("00000000000{client}"), f64::from(client) * 7.0)).await;
    }
    app.run_on_to(3.0 * 86_400.0).await;
    let window_ms = [(START_S - 3600) * 1000, (START_S + 30 * 3600) * 1000];
    let window = format!("area={LOBBY}&from={}&to={}", time(window_ms[0]), time(window_ms[1]));
    let mut settled_s = 0;
    let mut expect = async |visits: i64, why: &str| {
        let told = async |from: &str| {
            let dwell = app.get(&format!("/v1/dwell?{window}")).await;
            let series = app.get(&format!("/v1/occupancy/series?{window}&bucket=1h")).await;
            let entries = &series["total"]["entries"];
            assert_eq!((&dwell["count"], entries), (&json!(visits), &json!(visits)), "{why}, {from}");
        };
        told("as soon as it was so").await;
        settled_s += 20;
        settle(&app, settled_s);
        told("once it is quiet again").await;
        told("a second time").await;
        let view = app.store.read(|conn| app.store.past().view(conn, window_ms[0], window_ms[1]));
        assert!(view.unwrap().is_some(), "it was of days in memory");
    };
    expect(3, "at first").await;
    app.deliver(&walk("000000000009", 600.0)).await;
    expect(4, "one came days late").await;
    assert_eq!(app.call(Method::DELETE, "/v1/clients/000000000001", None).await.0, StatusCode::OK);
    expect(3, "one is erased").await;
    let elsewhere = json!({"id": LOBBY, "name": "Lobby", "vertices_m": [
        {"x": 18, "y": 18}, {"x": 20, "y": 18}, {"x": 20, "y": 20}, {"x": 18, "y": 20}]});
    let map = json!({"site_id": SITE, "name": "Ground", "width_m": 20.0, "height_m": 20.0, "zones": [elsewhere]});
    assert_eq!(app.call(Method::PUT, &format!("/v1/maps/{MAP}"), Some(map)).await.0, StatusCode::OK);
    expect(3, "what was stays as it was").await;
    let (status, job) = app.call(Method::POST, "/v1/rebuilds", Some(json!({"site_id": SITE}))).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{job}");
    let mut state = Value::Null;
    for _ in 0..400 {
        state = app.get(&format!("/v1/rebuilds/{}", job["rebuild_id"])).await["state"].clone();
        if state == "done" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(state, "done");
    expect(0, "rebuilt with the lobby elsewhere").await;
}
