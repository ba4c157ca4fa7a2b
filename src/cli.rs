//! The subcommands and their arguments.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};

use crate::app::{App, stop_signal};
use crate::clock::Clock;
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
        Command::Check(args) => return check::run(&args.store),
        Command::Openapi => println!("{}", crate::api::openapi::json()),
    }
    Ok(ExitCode::SUCCESS)
}

async fn serve(args: Serve) -> anyhow::Result<()> {
    let mut config = Config::load(args.config.as_deref()).map_err(|error| match error {
        crate::config::ConfigError::Unreadable(cause) => anyhow::anyhow!("configuration: {cause}"),
        other => anyhow::anyhow!("configuration: {other}"),
    })?;
    config.server.listen = args.listen.unwrap_or(config.server.listen);
    config.store.path = args.store.unwrap_or(config.store.path);
    telemetry::init_log(config.server.log_json);
    if config.sources.is_empty() {
        tracing::warn!(
            "no webhook source is configured, so no delivery is taken: add [sources.default] with its secret"
        );
    }
    let app = App::start(&config, Clock::System).await.context("start")?;
    let address = app.address()?;
    tracing::info!(%address, store = %config.store.path.display(), "listening");
    app.run(stop_signal()).await
}
