//! The subcommands and their arguments.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};

use crate::app::{App, stop_signal};
use crate::clock::Clock;
use crate::commands::{access, export, import, rebuild, snapshot, sql};
use crate::config::Config;
use crate::receiver::signature::Secret;
use crate::{check, demo, replay, telemetry};

/// Location analytics for Juniper Mist networks: occupancy and dwell time in one DuckDB file.
///
/// Start with `footfall demo`, or write a configuration and run `footfall serve --config footfall.toml`.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Receive webhooks and answer questions, until stopped.
    Serve(Serve),
    /// Run a server on a sample clinic with a simulated crowd: days of history first, then live.
    Demo(Demo),
    /// Send recorded deliveries (one JSON body a line) to a receiver, in order, each until it is acknowledged.
    Replay(Replay),
    /// Import floorplans: Mist objects or a backup, GeoJSON, Apple IMDF, with their images.
    Import(Import),
    /// Derive visits anew from the stored events: for zones drawn after the fact, and for late events.
    Rebuild(Rebuild),
    /// Ask in SQL: one statement, or at a prompt.
    Sql(Sql),
    /// Copy the whole file, while the server goes on.
    Snapshot(Snapshot),
    /// Write positions and visits as Parquet, a file for each site and day.
    Export(Export),
    /// Erase a client: everything stored of it, everywhere.
    Erase(Erase),
    /// Make, list and revoke API tokens.
    Token(Token),
    /// Set, list and remove the people who log in to the page.
    User(User),
    /// Say whether a stopped server's file holds what it promises.
    Check(Check),
    /// Print the OpenAPI document.
    Openapi,
}

/// The least that a configuration says, and how to see that the webhook arrives.
const SERVE_EXAMPLE: &str = "A configuration needs no more than a secret:

    [sources.default]
    secrets = [\"the webhook's secret\"]

Point the webhook at /v1/webhooks/mist, ping it, and see the ping at /v1/sources.";

const REPLAY_EXAMPLES: &str = "A day again, a hundred times as fast, its clock run on at the end:

    footfall replay day.ndjson --secret S --speed 100 --run-on 299

From a compressed file, in larger deliveries:

    zcat day.ndjson.gz | footfall replay - --secret S --batch 500";

#[derive(Debug, Args)]
#[command(after_help = SERVE_EXAMPLE)]
struct Serve {
    /// TOML file. Every key is also an environment variable, such as FOOTFALL_SERVER__LISTEN.
    #[arg(long, short, env = "FOOTFALL_CONFIG")]
    config: Option<PathBuf>,
    /// Address and port to listen on; wins over the configuration.
    #[arg(long)]
    listen: Option<std::net::SocketAddr>,
    /// The DuckDB file; wins over the configuration.
    #[arg(long)]
    store: Option<PathBuf>,
}

/// See [`demo::run`].
#[derive(Debug, Args)]
pub struct Demo {
    /// Address and port to listen on.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub listen: std::net::SocketAddr,
    /// Address and port for PostgreSQL clients.
    #[arg(long, default_value = "127.0.0.1:5433")]
    pub postgres_listen: std::net::SocketAddr,
    /// The DuckDB file; made when it is not there.
    #[arg(long, default_value = "demo-data/footfall.duckdb")]
    pub store: PathBuf,
    /// Days of history to play before going live.
    #[arg(long, default_value_t = 3)]
    pub history_days: u32,
    /// Seed of the simulated crowd.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// See [`replay::run`].
#[derive(Debug, Args)]
#[command(after_help = REPLAY_EXAMPLES)]
pub struct Replay {
    /// Files of deliveries, one JSON body a line; `-` is standard input.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// The receiver.
    #[arg(long, default_value = "http://127.0.0.1:8080/v1/webhooks/mist")]
    pub url: String,
    /// The source's secret, to sign with; without it deliveries go unsigned.
    #[arg(long, env = "FOOTFALL_REPLAY_SECRET", hide_env_values = true)]
    pub secret: Option<String>,
    /// Event seconds played per wall second; without it as fast as they are acknowledged.
    #[arg(long)]
    pub speed: Option<f64>,
    /// Cut the events into deliveries of at most this many.
    #[arg(long)]
    pub batch: Option<usize>,
    /// Send every delivery this many times over.
    #[arg(long, default_value_t = 1)]
    pub times: u32,
    /// Afterwards ping the site with a time this many seconds after the newest event, so that its clock runs on and
    /// closes what is open.
    #[arg(long)]
    pub run_on: Option<f64>,
}

impl Replay {
    pub fn secret(&self) -> Option<Secret> {
        self.secret.as_deref().map(Secret::new)
    }
}

/// Which server a command asks.
#[derive(Debug, Args)]
pub struct Reach {
    /// The server, running.
    #[arg(long, global = true, default_value = "http://127.0.0.1:8080", conflicts_with = "store")]
    pub url: String,
    /// A token of the running server, where it wants one.
    #[arg(long, global = true, env = "FOOTFALL_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// A stopped server's DuckDB file, instead of a running server.
    #[arg(long, global = true)]
    pub store: Option<PathBuf>,
    /// With --store: the configuration of its server.
    #[arg(long, short, global = true, env = "FOOTFALL_CONFIG")]
    pub config: Option<PathBuf>,
}

const IMPORT_EXAMPLES: &str = "What would a backup of the vendor's configuration, its images beside it, change?

    footfall import org_backup/ --dry-run

Zones drawn on a plan of 40 pixels a metre, for a map that is there:

    footfall import zones.geojson --map 63eda950-c6da-11e4-a628-60f81dd250cc --units pixels --ppm 40

A floor of an IMDF archive, placed on a map that has control points:

    footfall import venue.zip --onto <level id>=<map id>";

/// See [`import::run`].
#[derive(Debug, Args)]
#[command(after_help = IMPORT_EXAMPLES)]
pub struct Import {
    /// A JSON document, a zip archive, or a folder of documents and images. An image is called `<map id>.png`.
    pub path: PathBuf,
    /// Only say what would change.
    #[arg(long)]
    pub dry_run: bool,
    /// The plans tell all zones of their maps (and, where they have any, all virtual beacons and access points): end
    /// those that they leave out.
    #[arg(long)]
    pub replace: bool,
    /// Site of what names none.
    #[arg(long)]
    pub site: Option<String>,
    /// Map of a map object or GeoJSON collection that names none.
    #[arg(long)]
    pub map: Option<String>,
    /// Units of GeoJSON that does not say: metres, pixels or wgs84.
    #[arg(long)]
    pub units: Option<String>,
    /// Pixels per metre of maps that do not say.
    #[arg(long)]
    pub ppm: Option<f64>,
    /// IMDF: place a level on a map that is there.
    #[arg(long, value_name = "LEVEL=MAP")]
    pub onto: Vec<String>,
    #[command(flatten)]
    pub reach: Reach,
}

const REBUILD_EXAMPLES: &str = "How long would it take to count last month in a zone that was drawn today?

    footfall rebuild --area <zone id> --from 2026-06-01T00:00:00Z --dry-run

All of a site, its server running; deliveries go on, and readers see the old visits until the new ones are ready:

    footfall rebuild --site <site id>";

/// See [`rebuild::run`].
#[derive(Debug, Args)]
#[command(after_help = REBUILD_EXAMPLES)]
pub struct Rebuild {
    /// Only areas of this site.
    #[arg(long, conflicts_with_all = ["map", "area"])]
    pub site: Option<String>,
    /// Only areas of this map.
    #[arg(long, conflicts_with = "area")]
    pub map: Option<String>,
    /// Only this area.
    #[arg(long)]
    pub area: Option<String>,
    /// zone, vbeacon or rssizone: needed where two areas share an id.
    #[arg(long, requires = "area")]
    pub area_kind: Option<String>,
    /// Only visits that touch the time from here on: RFC 3339, or a duration back from now such as -30d.
    #[arg(long, allow_hyphen_values = true)]
    pub from: Option<String>,
    /// Only visits that touch the time before.
    #[arg(long, allow_hyphen_values = true)]
    pub to: Option<String>,
    /// Only say how much there is to read, and how long that takes.
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub reach: Reach,
}

const SQL_EXAMPLES: &str = "Who stayed longest this week? The statement reaches a running server:

    footfall sql \"SELECT client_id, area_name, dwell_s FROM visits WHERE entered_at > now() - INTERVAL 7 DAY
                  ORDER BY dwell_s DESC LIMIT 10\"

The same as CSV, from the file of a server that is stopped:

    footfall sql --store footfall.duckdb --format csv \"FROM visits\" > visits.csv

Without a statement there is a prompt, with a history.";

/// See [`sql::run`].
#[derive(Debug, Args)]
#[command(after_help = SQL_EXAMPLES)]
pub struct Sql {
    /// One statement that only reads: SELECT, FROM, DESCRIBE, SUMMARIZE, SHOW TABLES. Without it, standard input or a
    /// prompt.
    pub statement: Option<String>,
    /// table, json, csv, arrow or parquet.
    #[arg(long, default_value = "table", value_parser = ["table", "json", "csv", "arrow", "parquet"])]
    pub format: String,
    /// Rows at most, up to 100,000.
    #[arg(long, default_value_t = 1000)]
    pub limit: u32,
    #[command(flatten)]
    pub reach: Reach,
}

const SNAPSHOT_EXAMPLES: &str = "A copy to work with, in any DuckDB:

    footfall snapshot today.duckdb && duckdb today.duckdb 'FROM occupancy'

A backup that a server can go on from, the secrets of its callbacks included:

    footfall snapshot --secrets backup.duckdb";

/// See [`snapshot::run`].
#[derive(Debug, Args)]
#[command(after_help = SNAPSHOT_EXAMPLES)]
pub struct Snapshot {
    /// The file to write; it must not be there yet.
    pub file: PathBuf,
    /// With the secrets of callback endpoints; else these are left out, and the endpoints disabled.
    #[arg(long)]
    pub secrets: bool,
    #[command(flatten)]
    pub reach: Reach,
}

const EXPORT_EXAMPLES: &str = "Every day that is over, for tools that read Parquet; what is there already is kept:

    footfall export lake/
    duckdb -c \"SELECT day, count(*) FROM read_parquet('lake/visits/**/*.parquet', hive_partitioning = true) GROUP BY day\"";

/// See [`export::run`].
#[derive(Debug, Args)]
#[command(after_help = EXPORT_EXAMPLES)]
pub struct Export {
    /// The folder; made when it is not there.
    pub folder: PathBuf,
    /// Only from this day on, such as 2026-07-01. Days are those of UTC.
    #[arg(long)]
    pub from: Option<String>,
    /// Only days before this one.
    #[arg(long)]
    pub to: Option<String>,
    /// Write files again that are there already: after a rebuild, or for visits that were not over.
    #[arg(long)]
    pub again: bool,
    #[command(flatten)]
    pub reach: Reach,
}

/// See [`access::erase`].
#[derive(Debug, Args)]
pub struct Erase {
    /// A MAC address in any spelling, or an SDK or asset id.
    pub client_id: String,
    #[command(flatten)]
    pub reach: Reach,
}

const TOKEN_EXAMPLES: &str = "The first, for yourself, before the server is reachable by others:

    footfall token create --store footfall.duckdb --scope admin admin

One for a dashboard, from the running server (FOOTFALL_TOKEN holds an admin's):

    footfall token create --scope read --scope sql Grafana";

/// See [`access::token`].
#[derive(Debug, Args)]
#[command(after_help = TOKEN_EXAMPLES)]
pub struct Token {
    #[command(subcommand)]
    pub command: TokenCommand,
    #[command(flatten)]
    pub reach: Reach,
}

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token, and print it this once.
    Create {
        /// What it is for.
        name: String,
        /// read: counts, places, alerts; sql: raw history; admin: everything. May be given several times.
        #[arg(long, required = true, value_parser = ["read", "sql", "admin"])]
        scope: Vec<String>,
        /// Only this site; may be given several times.
        #[arg(long)]
        site: Vec<String>,
        /// Days until it ends; without it, until it is revoked.
        #[arg(long)]
        expires_in_days: Option<u32>,
    },
    /// List all that were made.
    List,
    /// End one at once.
    Revoke {
        /// Its number in the list.
        id: u32,
    },
}

const USER_EXAMPLES: &str = "Someone who looks at the page and may change nothing; the password is asked for:

    footfall user set --scope read ann";

/// See [`access::user`].
#[derive(Debug, Args)]
#[command(after_help = USER_EXAMPLES)]
pub struct User {
    #[command(subcommand)]
    pub command: UserCommand,
    #[command(flatten)]
    pub reach: Reach,
}

#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Make a user, or set one anew; their sessions end.
    Set {
        /// What they log in as.
        name: String,
        /// read: counts, places, alerts; sql: raw history; admin: everything. May be given several times.
        #[arg(long, required = true, value_parser = ["read", "sql", "admin"])]
        scope: Vec<String>,
        /// Only change the scopes.
        #[arg(long)]
        keep_password: bool,
    },
    /// List them.
    List,
    /// Remove one; their sessions end.
    Remove {
        /// What they log in as.
        name: String,
    },
}

#[derive(Debug, Args)]
struct Check {
    /// The DuckDB file.
    #[arg(default_value = "footfall.duckdb")]
    store: PathBuf,
}

/// Runs what was asked for.
pub async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Serve(args) => serve(args).await?,
        Command::Demo(args) => {
            telemetry::init_log(false);
            demo::run(args).await?;
        }
        Command::Replay(args) => replay::run(args).await?,
        Command::Import(args) => import::run(args).await?,
        Command::Rebuild(args) => rebuild::run(args).await?,
        Command::Sql(args) => sql::run(args).await?,
        Command::Snapshot(args) => snapshot::run(args).await?,
        Command::Export(args) => export::run(args).await?,
        Command::Erase(args) => access::erase(args).await?,
        Command::Token(args) => access::token(args).await?,
        Command::User(args) => access::user(args).await?,
        Command::Check(args) => return check::run(&args.store),
        Command::Openapi => println!("{}", crate::api::openapi::json()),
    }
    Ok(ExitCode::SUCCESS)
}

/// Every connection is a file, and the limit that programs start with is low for the sake of those that still use `select`.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::debug!(error = &error as &dyn std::error::Error, "the limit of open files stays as it is");
    }
}

async fn serve(args: Serve) -> anyhow::Result<()> {
    let mut config = Config::load(args.config.as_deref()).map_err(|error| match error {
        crate::config::ConfigError::Unreadable(cause) => anyhow::anyhow!("configuration: {cause}"),
        other => anyhow::anyhow!("configuration: {other}"),
    })?;
    config.server.listen = args.listen.unwrap_or(config.server.listen);
    config.store.path = args.store.unwrap_or(config.store.path);
    telemetry::init_log(config.server.log_json);
    raise_file_limit();
    if config.sources.is_empty() {
        tracing::warn!(
            "no webhook source is configured, so no delivery is taken: add [sources.default] with its secret"
        );
    }
    let app = App::start(&config, Clock::System).await.context("start")?;
    let address = app.address()?;
    tracing::info!(%address, store = %config.store.path.display(), "listening");
    if let Some(address) = app.postgres_address()? {
        tracing::info!(%address, "listening for PostgreSQL clients");
    }
    app.run(stop_signal()).await
}
