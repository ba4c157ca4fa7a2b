//! The Grafana dashboard of the repository: each of its queries is asked as Grafana would ask it, of a server that has
//! what to show.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use tokio_postgres::{NoTls, SimpleQueryMessage};

use crate::harness::{DESK, LOBBY, SITE, TestApp, delivery, fix};

const FROM: &str = "2026-07-01T07:00:00Z";
const TO: &str = "2026-07-01T09:00:00Z";

fn dashboard() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboard/grafana/dashboards/footfall.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Puts in what Grafana puts in for macros of its PostgreSQL data source and for variables: its documentation,
/// "PostgreSQL query editor, macros" and "Variables syntax".
fn expanded(sql: &str) -> String {
    let mut sql = sql
        .replace("$__timeFrom()", &format!("'{FROM}'"))
        .replace("$__timeTo()", &format!("'{TO}'"))
        .replace("$__interval_ms", "300000")
        .replace("${site:sqlstring}", &format!("'{SITE}'"))
        .replace("${area:sqlstring}", &format!("'{LOBBY}','{DESK}'"));
    while let Some(start) = sql.find("$__time") {
        let open = start + sql[start..].find('(').unwrap();
        let close = open + sql[open..].find(')').unwrap();
        let (name, arguments) = (&sql[start..open], &sql[open + 1..close]);
        let column = arguments.split(',').next().unwrap();
        let said = match name {
            "$__timeFilter" => format!("{column} BETWEEN '{FROM}' AND '{TO}'"),
            "$__timeGroupAlias" => format!("floor(extract(epoch from {column})/300)*300 AS \"time\""),
            other => panic!("{other} is not known here: {sql}"),
        };
        sql.replace_range(start..=close, &said);
    }
    assert!(!sql.contains('$'), "{sql}");
    sql
}

#[tokio::test(flavor = "multi_thread")]
async fn every_panel_shows_something() {
    let app = TestApp::start_with(|config| config.postgres.listen = Some(([127, 0, 0, 1], 0).into())).await;
    app.upload_map().await;
    let rule = json!({"name": "Lobby full", "area_id": LOBBY, "condition": "above", "limit_clients": 1});
    let (status, answer) = app.call(reqwest::Method::POST, "/v1/alert-rules", Some(rule)).await;
    assert!(status.is_success(), "{answer}");
    // Both are in the lobby, one goes to the desk and on.
    let events = vec![
        fix("00000000000a", 0.0, 8.0, 8.0),
        fix("00000000000b", 1.0, 2.0, 2.0),
        fix("00000000000b", 100.0, 8.0, 8.0),
        fix("00000000000b", 130.0, 8.0, 8.0),
        fix("00000000000a", 140.0, 8.0, 8.0),
    ];
    app.deliver(&delivery("location", events)).await;
    let address = app.postgres.unwrap();
    let mut config = tokio_postgres::Config::new();
    config.host(address.ip().to_string()).port(address.port()).user("grafana").dbname("footfall");
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    let rows = async |sql: &str| {
        let messages = client.simple_query(&expanded(sql)).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        })
    };
    let dashboard = dashboard();
    let (mut ids, mut titles) = (BTreeSet::new(), BTreeSet::new());
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_i64().unwrap()) && titles.insert(title), "{title} is there twice");
        assert_eq!(panel["datasource"]["uid"], "footfall", "{title}");
        for target in panel["targets"].as_array().unwrap() {
            let found: Vec<_> = rows(target["rawSql"].as_str().unwrap()).await.collect();
            // The newest position is looked for in the last day of the wall clock.
            assert!(!found.is_empty(), "{title} is empty");
            let columns: Vec<&str> = found[0].columns().iter().map(|column| column.name()).collect();
            if target["format"] == "time_series" {
                assert_eq!((columns[0], columns[1], columns.len()), ("time", "metric", 3), "{title}");
            }
            let told = |row: usize, column: usize| found[row].get(column).unwrap_or("-").to_owned();
            match title {
                "Clients here now" => assert_eq!(told(0, 0), "2"),
                "Visits" => assert_eq!(told(0, 0), "3"),
                "Alerts firing" => assert_eq!(told(0, 0), "1"),
                "Now" => assert_eq!((told(0, 0), told(0, 1)), ("Lobby".into(), "2".into())),
                "By hour of day" => assert_eq!((told(0, 0), told(0, 1)), ("08".into(), "3".into())),
                "Occupancy" => {
                    let here: Vec<_> = found.iter().filter(|row| row.get(1) == Some("Lobby")).collect();
                    assert_eq!(here.len(), 25, "an instant each 5 min of two hours, the ends included");
                    // At 8:00:00 only the first is there, from 8:05 on the clock has not come.
                    assert_eq!(here[12].get(2), Some("1"));
                    assert_eq!(here[0].get(2), Some("0"));
                }
                _ => {}
            }
        }
    }
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        let found: Vec<_> = rows(variable["query"].as_str().unwrap()).await.collect();
        let columns: Vec<&str> = found[0].columns().iter().map(|column| column.name()).collect();
        assert_eq!(columns, ["__text", "__value"], "{variable}");
    }
    for annotation in dashboard["annotations"]["list"].as_array().unwrap() {
        assert_eq!(rows(annotation["target"]["rawSql"].as_str().unwrap()).await.count(), 1);
    }
}
