//! The composition root: opens the store, starts the pipeline, merges the routers, owns shutdown.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tower_http::compression::CompressionLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::RequestBodyTimeoutLayer;

use crate::access::Access;
use crate::api::Api;
use crate::api::feed::Feed;
use crate::api::page;
use crate::callbacks::Callbacks;
use crate::clock::{Clock, stopwatch};
use crate::config::Config;
use crate::model::settings::Pseudonyms;
use crate::pipeline::{self, Handle};
use crate::postgres::Postgres;
use crate::privacy::KeyFile;
use crate::rebuild::Rebuilds;
use crate::receiver::Receiver;
use crate::serve;
use crate::store::writer::Writer;
use crate::store::{self, Store, access as stored, forget, restore};
use crate::telemetry::Metrics;
use crate::tls::Tls;
use crate::{newest, recent, retention};

/// Of what is no page: nothing is loaded for it, and it stands in no frame.
const POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// Statements of people's own that are asked at a time: the rest wait, and ingest does not.
const SQL_TURNS: usize = 4;

/// Questions that are answered at a time for each core: the rest wait. What one needs is bounded, and so is what all need.
const QUESTIONS_A_CORE: usize = 4;

/// A server that listens.
pub struct App {
    listener: TcpListener,
    router: Router,
    tls: Option<Tls>,
    serve_limits: serve::Limits,
    metrics: Metrics,
    postgres: Option<Postgres>,
    pub pipeline: Handle,
    pub access: Access,
    pub rebuilds: Rebuilds,
    pub store: Store,
    callbacks: Callbacks,
    callback_task: tokio::task::JoinHandle<()>,
    /// Streams end once it says so: a server that stops waits for its answers to end.
    stopping: watch::Sender<bool>,
    pipeline_thread: std::thread::JoinHandle<()>,
    rebuild_thread: std::thread::JoinHandle<()>,
}

impl App {
    /// Opens the file, restores the state and binds the address. Nothing is answered before [`App::run`].
    pub async fn start(config: &Config, clock: Clock) -> anyhow::Result<App> {
        config.check()?;
        let metrics = Metrics::new();
        let store = Store::open(&config.store_options()).context("open the store")?;
        let access = let_in(config, &store, clock.clone())?;
        let keys = open_keys(config, &store)?;
        let forgotten = Writer::new(&store)?.in_transaction(forget::forget_clients).context("forget clients")?;
        if forgotten > 0 {
            tracing::info!(clients = forgotten, "clients of whom nothing is left are no longer known");
        }
        let (pipeline, pipeline_thread) = pipeline::start(
            store.clone(),
            config.defaults(),
            config.limits(),
            keys.clone(),
            clock.clone(),
            metrics.clone(),
        )
        .context("restore the state from the store")?;
        let (rebuilds, rebuild_thread) =
            Rebuilds::start(store.clone(), config.defaults(), pipeline.clone(), clock.clone())
                .context("read what is to be rebuilt")?;
        let (callbacks, callback_task) =
            Callbacks::start(store.clone(), pipeline.clone(), config.callback_policy(), clock.clone(), metrics.clone())
                .context("make ready to call back")?;
        let receiver = Receiver::new(
            config.source_rules(),
            access.clone(),
            config.receiver.body_bytes_max,
            pipeline.clone(),
            clock.clone(),
            metrics.clone(),
        );
        let stopping = watch::channel(false).0;
        let source_names = config.sources.keys().cloned().collect();
        let feed = Feed::start(store.clone(), &pipeline, stopping.subscribe());
        let sql_turns = Arc::new(Semaphore::new(SQL_TURNS));
        let postgres = match config.postgres_options() {
            Some(options) => {
                let bound = Postgres::bind(&options, store.clone(), sql_turns.clone(), access.clone()).await;
                Some(bound.context("serve PostgreSQL clients")?)
            }
            None => None,
        };
        let api = Api {
            access: access.clone(),
            store: store.clone(),
            feed,
            pipeline: pipeline.clone(),
            rebuilds: rebuilds.clone(),
            callbacks: callbacks.clone(),
            defaults: config.defaults(),
            keys,
            clock: clock.clone(),
            metrics: metrics.clone(),
            stopping: stopping.subscribe(),
            import_turn: Arc::new(Semaphore::new(1)),
            file_turn: Arc::new(Semaphore::new(1)),
            sql_turns,
            question_turns: Arc::new(Semaphore::new(QUESTIONS_A_CORE * store::cores())),
            source_names,
        };
        // Answers to senders are too short to compress.
        let asked = api.router().merge(page::router()).layer(CompressionLayer::new());
        tokio::spawn(newest::keep(store.clone(), pipeline.clone(), stopping.subscribe()));
        tokio::spawn(recent::keep(store.clone(), stopping.subscribe()));
        tokio::spawn(retention::keep(store.clone(), pipeline.clone(), config.retention(), clock, stopping.subscribe()));
        let read_timeout = Duration::from_secs_f64(config.server.read_timeout_s);
        let router = receiver
            .router()
            .merge(asked)
            .layer(RequestBodyTimeoutLayer::new(read_timeout))
            .layer(SetResponseHeaderLayer::overriding(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")))
            .layer(SetResponseHeaderLayer::overriding(REFERRER_POLICY, HeaderValue::from_static("no-referrer")))
            .layer(SetResponseHeaderLayer::if_not_present(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)));
        let tls = match (&config.server.tls_certificate, &config.server.tls_key) {
            (Some(certificate), Some(key)) => {
                Some(Tls::load(certificate, key, &["h2", "http/1.1"]).context("server.tls_certificate")?)
            }
            _ => None,
        };
        let listen = config.server.listen;
        let listener = TcpListener::bind(listen).await.with_context(|| format!("listen on {listen}"))?;
        Ok(App {
            listener,
            router,
            tls,
            serve_limits: config.serve_limits(),
            metrics,
            postgres,
            pipeline,
            access,
            rebuilds,
            store,
            callbacks,
            callback_task,
            stopping,
            pipeline_thread,
            rebuild_thread,
        })
    }

    pub fn address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// Where PostgreSQL clients connect, if they may.
    pub fn postgres_address(&self) -> anyhow::Result<Option<SocketAddr>> {
        Ok(self.postgres.as_ref().map(Postgres::address).transpose()?)
    }

    /// Answers until `stop` is done, then finishes what was asked before and commits what was taken.
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> anyhow::Result<()> {
        let App {
            listener,
            router,
            tls,
            serve_limits,
            metrics,
            postgres,
            pipeline,
            access: _,
            rebuilds,
            store,
            callbacks,
            callback_task,
            stopping,
            pipeline_thread,
            rebuild_thread,
        } = self;
        drop(pipeline);
        let postgres_task = postgres.map(|postgres| tokio::spawn(postgres.serve(stopping.subscribe())));
        let stopped = stopping.subscribe();
        tokio::spawn(async move {
            stop.await;
            stopping.send_replace(true);
        });
        serve::serve(listener, router, tls, serve_limits, metrics, stopped).await;
        if let Some(task) = postgres_task {
            task.await?;
        }
        rebuilds.stop();
        callbacks.stop();
        drop((rebuilds, callbacks));
        callback_task.await?;
        // All handles are gone with the router, the rebuilds and the callbacks, so the pipeline ends once its queue is empty.
        tokio::task::spawn_blocking(move || rebuild_thread.join().and_then(|()| pipeline_thread.join()))
            .await?
            .map_err(|_| anyhow::anyhow!("the pipeline panicked"))?;
        close(store).await;
        Ok(())
    }
}

/// Reads who may ask. Where other machines can reach the server, somebody must have to.
fn let_in(config: &Config, store: &Store, clock: Clock) -> anyhow::Result<Access> {
    let (tokens, users) =
        store.read(|conn| Ok((stored::tokens(conn)?, stored::users(conn)?))).context("read tokens")?;
    let access = Access::new(config.access_policy(), clock, tokens, users);
    let (listen, file) = (config.server.listen, config.store.path.display());
    if access.is_empty() && !listen.ip().is_loopback() && !config.server.allow_open_access {
        anyhow::bail!(
            "server.listen: {listen} is reachable from other machines, and nobody could be told from anybody: make a token \
             first (footfall token create --store {file} --scope admin admin) or a user (footfall user set --store {file} \
             --scope admin NAME), or say server.allow_open_access = true"
        );
    }
    if !access.is_required() {
        tracing::warn!(
            %listen,
            "nobody has to log in: whoever reaches this address reads and changes everything; `footfall token create` or \
             `footfall user set` ends that"
        );
    } else if config.postgres.listen.is_some() && config.postgres.users.is_empty() {
        tracing::warn!("PostgreSQL clients need no password: name users under [postgres.users]");
    }
    Ok(access)
}

/// The key of pseudonyms; it must be there where a site has any.
fn open_keys(config: &Config, store: &Store) -> anyhow::Result<KeyFile> {
    let keys = KeyFile::open(&config.key_path())?;
    let sites = store.read(|conn| restore::sites(conn, &restore::Whose::All))?;
    if keys.key().is_none() && sites.iter().any(|site| site.pseudonyms != Pseudonyms::Off) {
        if config.privacy.is_only_read {
            keys.forget();
        } else {
            keys.require()?;
        }
    }
    Ok(keys)
}

/// How long questions that nobody waits for any more may keep the file open.
const CLOSE_WAIT: Duration = Duration::from_secs(10);

/// Waits until nobody else holds the file open. Opened again before, by this very process, it would be open twice, and
/// the lock that keeps others out would not tell.
async fn close(store: Store) {
    let since = stopwatch();
    while !store.is_last() {
        if since.elapsed() > CLOSE_WAIT {
            tracing::warn!("a question still holds the file open");
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Resolves when the process is asked to stop.
pub async fn stop_signal() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
            .expect("the process may handle its own signals");
        tokio::select! {
            _ = interrupt => {}
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    let _ = interrupt.await;
    tracing::info!("stopping: finishing what was taken");
}
