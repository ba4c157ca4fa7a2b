//! The clients that people use, as they come from their registries, against a running server. `make test` fetches them;
//! one that is not there is not tested, and that is said.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use footfall::config::Config;

use crate::harness::{TestApp, delivery, fix};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// Two clients in the lobby, and one user.
async fn served() -> TestApp {
    served_with(|_| {}).await
}

async fn served_with(adjust: impl FnOnce(&mut Config)) -> TestApp {
    let app = TestApp::start_with(|config| {
        config.postgres.listen = Some(([127, 0, 0, 1], 0).into());
        config.postgres.users = [("ann".to_owned(), "correct horse".to_owned())].into();
        adjust(config);
    })
    .await;
    app.upload_map().await;
    app.deliver(&delivery("location", vec![fix("00000000000a", 0.0, 5.0, 5.0), fix("00000000000b", 1.0, 5.0, 5.0)]))
        .await;
    app
}

/// What a client printed, once it ended well; `None` where it is not installed.
async fn run(app: &TestApp, program: &str, args: &[&str]) -> Option<String> {
    let address = app.postgres.unwrap();
    let ran = Command::new(program)
        .args(args)
        .current_dir(root())
        .env("PGHOST", address.ip().to_string())
        .env("PGPORT", address.port().to_string())
        .env("PGUSER", "ann")
        .env("PGPASSWORD", "correct horse")
        .env("PGDATABASE", "footfall")
        .env("NODE_PATH", root().join(".clients/node_modules"))
        .stdin(Stdio::null())
        .output()
        .await;
    let Ok(output) = ran else {
        skip(program);
        return None;
    };
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {args:?}: {out}{err}");
    Some(out.into_owned() + &err)
}

fn skip(what: &str) {
    eprintln!("SKIPPED: {what} is not there; `make test` fetches it, or says why it cannot");
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_lists_and_asks() {
    let app = served().await;
    for (command, told) in [
        ("\\dt", vec!["main", "visits", "positions", "(20 rows)"]),
        ("\\d visits", vec!["Table \"main.visits\"", "timestamp with time zone", "entered_at"]),
        ("\\d+ visits", vec!["Event time of the first sign inside"]),
        ("\\dn", vec!["main"]),
        ("\\l", vec!["footfall", "UTF8"]),
        ("\\du", vec!["footfall"]),
        ("\\df", vec!["(0 rows)"]),
        ("\\conninfo", vec!["as user \"ann\""]),
        ("SELECT area_name, count(*) FROM visits GROUP BY ALL", vec!["Lobby", "2"]),
    ] {
        let Some(printed) = run(&app, "psql", &["-X", "-v", "ON_ERROR_STOP=1", "-c", command]).await else { return };
        for words in told {
            assert!(printed.contains(words), "{command}: {words} is not in\n{printed}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_speaks_tls_where_it_must() {
    let dir = tempfile::TempDir::new().unwrap();
    let (certificate, key) = (dir.path().join("server.crt"), dir.path().join("server.key"));
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let app = served_with(|config| {
        config.postgres.tls_certificate = Some(certificate.clone());
        config.postgres.tls_key = Some(key);
        config.postgres.require_tls = true;
    })
    .await;
    let checked = format!("host=localhost sslmode=verify-full sslrootcert={}", certificate.display());
    let Some(printed) = run(&app, "psql", &["-X", &checked, "-c", "\\conninfo"]).await else { return };
    assert!(printed.contains("SSL connection (protocol: TLSv1.3"), "{printed}");
    // And without.
    let address = app.postgres.unwrap();
    let plain = format!("host={} port={} user=ann sslmode=disable", address.ip(), address.port());
    let refused = Command::new("psql").args(["-X", &plain, "-c", "SELECT 1"]).output().await.unwrap();
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("only TLS is spoken here"));
}

#[tokio::test(flavor = "multi_thread")]
async fn psycopg_and_sqlalchemy_read_types_and_tables() {
    let python = root().join(".clients/venv/bin/python");
    if !python.exists() {
        return skip("psycopg");
    }
    run(&served().await, &python.display().to_string(), &["tests/clients/clients.py"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_postgres_asks() {
    if !root().join(".clients/node_modules/pg").exists() {
        return skip("node-postgres");
    }
    run(&served().await, "node", &["tests/clients/client.js"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_jdbc_driver_reads_what_tools_read() {
    let driver = "/usr/share/java/postgresql.jar";
    if !Path::new(driver).exists() {
        return skip("the JDBC driver");
    }
    run(&served().await, "java", &["-cp", driver, "tests/clients/Client.java"]).await;
}
