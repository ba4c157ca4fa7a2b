//! One configuration: defaults, then a TOML file, then the environment. Checked once, at the start.
//!
//! Every key is also an environment variable: `FOOTFALL_` and the path, upper case, joined by two underscores, such as
//! `FOOTFALL_SERVER__LISTEN`. Unknown keys are errors.

mod fault;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Serialize};

use crate::access;
use crate::callbacks;
use crate::engine::DedupeWindow;
use crate::model::ids::Id;
use crate::model::settings::PresenceRules;
use crate::pipeline::{Defaults, Limits};
use crate::postgres;
use crate::receiver::SourceRules;
use crate::receiver::signature::{Demand, Secret};
use crate::retention;
use crate::serve;
use crate::store::StoreOptions;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub server: Server,
    pub store: StoreSection,
    pub receiver: Receiver,
    pub presence: Presence,
    pub privacy: Privacy,
    pub callbacks: Callbacks,
    pub postgres: Postgres,
    /// By name: `default` is the one behind `/v1/webhooks/mist`, others behind `/v1/webhooks/mist/{name}`.
    pub sources: BTreeMap<String, Source>,
    pub access: AccessSection,
    pub retention: Retention,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// Let everybody ask and change everything, on whatever address, while there is no token and no user.
    pub allow_open_access: bool,
    /// Addresses or networks of proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<String>,
    /// PEM files of the certificates and of the key; read again when they change. Without them HTTP goes without TLS.
    pub tls_certificate: Option<PathBuf>,
    pub tls_key: Option<PathBuf>,
    /// HTTP connections at a time; one more is hung up on.
    pub connections_max: usize,
    /// Seconds for a TLS handshake and the head of a request; as long may a connection be kept open between two.
    pub head_timeout_s: f64,
    /// Seconds in which a piece of a request's body must come.
    pub read_timeout_s: f64,
    /// Seconds in which a piece of an answer must be taken.
    pub write_timeout_s: f64,
    /// One JSON object a log line.
    pub log_json: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreSection {
    /// The DuckDB file; made when it is not there.
    pub path: PathBuf,
    /// DuckDB's memory limit, such as "2GB". Visits of settled days are kept beside it, in an eighth as much, and no more
    /// than 256 MiB; buckets of series in a quarter of that; the newest fixes in a sixteenth, and no more than 128 MiB.
    pub memory_limit: Option<String>,
    /// DuckDB's threads; one for every two cores when absent, and one for each while it starts.
    pub threads: Option<i64>,
    /// Bytes that stay free on the file's disk: with fewer, deliveries are refused until there are more again.
    pub free_bytes_min: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Receiver {
    /// Longest body taken, before and after decompression, in bytes.
    pub body_bytes_max: usize,
    /// Deliveries that may wait for their commit.
    pub queue_deliveries: usize,
    /// Body bytes that may wait for their commit.
    pub queue_bytes: usize,
    /// Events after which one commit takes no further delivery.
    pub commit_events: usize,
    /// How far back an event is recognised as a duplicate, hours of event time.
    pub dedupe_window_h: f64,
}

/// How long things are kept, days; 0: for ever.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Positions and all other events, from their receipt on.
    pub events_days: u32,
    /// Visits, from their end on, once their events are gone.
    pub visits_days: u32,
    /// What endpoints were told.
    pub callbacks_days: u32,
    /// By site id: sites that are kept otherwise.
    pub sites: BTreeMap<String, SiteRetention>,
}

/// What is left out is as for the other sites.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SiteRetention {
    pub events_days: Option<u32>,
    pub visits_days: Option<u32>,
}

impl Default for Retention {
    fn default() -> Retention {
        Retention { events_days: 30, visits_days: 396, callbacks_days: 90, sites: BTreeMap::new() }
    }
}

/// Who may ask. With a token or a user (`footfall token`, `footfall user`), everybody has to say who they are.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccessSection {
    /// Demand it even before there is a token or a user; so it is anyway where other machines can reach the server.
    pub required: bool,
    /// Tell /metrics to whoever asks.
    pub metrics_open: bool,
}

/// The presence rules of sites that do not set their own.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Presence {
    pub exit_grace_s: f64,
    pub presence_timeout_s: f64,
    pub reported_timeout_s: f64,
}

/// What keeps people from being known.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Privacy {
    /// The key of pseudonyms: made with the first site that wants them. Beside the database, its name and `.key`, when
    /// absent.
    pub key_file: Option<PathBuf>,
    /// Who has no more than the scope `read` is told no count below this many clients, and nothing of one client. 0 or 1: all.
    pub counts_withheld_below: u64,
    /// No delivery will come, so nobody needs a pseudonym. Only for commands that open a file.
    #[serde(skip)]
    pub is_only_read: bool,
}

/// How endpoints are told of alerts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Callbacks {
    /// Whether endpoints are told at all; else everything waits in the outbox.
    pub deliver: bool,
    /// Addresses that are not public and may be called all the same, such as "10.0.0.0/8" or "127.0.0.1". Link-local
    /// addresses and those of cloud metadata services are never called.
    pub allowed_networks: Vec<String>,
    /// Time for one attempt, from the name's resolution to the answer.
    pub timeout_s: f64,
    /// Pause after a first failure; it doubles with every further one.
    pub retry_first_s: f64,
    /// Longest pause.
    pub retry_max_s: f64,
    /// How long a callback is tried before it is given up.
    pub give_up_h: f64,
}

/// How PostgreSQL clients are served: psql, Grafana, BI tools.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Postgres {
    /// Address and port to listen on, such as "127.0.0.1:5433"; nobody is served when absent.
    pub listen: Option<SocketAddr>,
    /// Passwords by user. Without any, whoever reaches the address may ask.
    pub users: BTreeMap<String, String>,
    /// Files that hold the password of a user each.
    pub user_files: BTreeMap<String, PathBuf>,
    /// PEM file of the server's certificate and those that vouch for it; TLS is spoken when it is there.
    pub tls_certificate: Option<PathBuf>,
    /// PEM file of the certificate's key.
    pub tls_key: Option<PathBuf>,
    /// Refuse who does not speak TLS.
    pub require_tls: bool,
    pub connections_max: usize,
    /// From a statement's start until its last row is taken.
    pub statement_timeout_s: f64,
    /// Rows that one statement may give.
    pub rows_max: usize,
}

impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Postgres {{ listen: {:?}, users: {:?} }}", self.listen, self.users.keys())
    }
}

impl Default for Postgres {
    fn default() -> Postgres {
        Postgres {
            listen: None,
            users: BTreeMap::new(),
            user_files: BTreeMap::new(),
            tls_certificate: None,
            tls_key: None,
            require_tls: false,
            connections_max: 50,
            statement_timeout_s: 60.0,
            rows_max: 1_000_000,
        }
    }
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Source {
    /// The webhook's secret; a second one is valid beside it while the first is being replaced.
    pub secrets: Vec<String>,
    /// Files that hold a secret each, such as those of a container's secrets; they count as `secrets` do.
    pub secret_files: Vec<PathBuf>,
    /// Take deliveries without a signature. Must be said, or a source without a secret is an error.
    pub unsigned: bool,
    /// Take the older `X-Mist-Signature` (SHA-1) where the newer one is absent.
    pub allow_signature_v1: bool,
    /// Networks such as "10.0.0.0/8" that deliveries must come from; any when empty. Behind a proxy, see
    /// server.trusted_proxies.
    pub allowed_networks: Vec<String>,
    /// Refuse events older than so many hours, as a delivery that somebody has kept and sends again would bring.
    pub refuse_older_h: Option<f64>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Source {{ {} secrets, unsigned: {} }}", self.secrets.len(), self.unsigned)
    }
}

impl Default for Server {
    fn default() -> Server {
        Server {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            allow_open_access: false,
            trusted_proxies: Vec::new(),
            tls_certificate: None,
            tls_key: None,
            connections_max: 20_000,
            head_timeout_s: 30.0,
            read_timeout_s: 30.0,
            write_timeout_s: 30.0,
            log_json: false,
        }
    }
}

impl Default for StoreSection {
    fn default() -> StoreSection {
        StoreSection { path: "footfall.duckdb".into(), memory_limit: None, threads: None, free_bytes_min: 512 << 20 }
    }
}

impl Default for Receiver {
    fn default() -> Receiver {
        Receiver {
            body_bytes_max: 8 << 20,
            queue_deliveries: 4096,
            queue_bytes: 256 << 20,
            commit_events: 20_000,
            dedupe_window_h: 24.0,
        }
    }
}

impl Default for Callbacks {
    fn default() -> Callbacks {
        Callbacks {
            deliver: true,
            allowed_networks: Vec::new(),
            timeout_s: 10.0,
            retry_first_s: 1.0,
            retry_max_s: 600.0,
            give_up_h: 24.0,
        }
    }
}

impl Default for Presence {
    fn default() -> Presence {
        let rules = PresenceRules::DEFAULT;
        Presence {
            exit_grace_s: rules.exit_grace_ms as f64 / 1000.0,
            presence_timeout_s: rules.presence_timeout_ms as f64 / 1000.0,
            reported_timeout_s: rules.reported_timeout_ms as f64 / 1000.0,
        }
    }
}

/// What is wrong with a configuration, and where.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("read the configuration")]
    Unreadable(#[from] Box<figment::Error>),
    #[error("{key}: {problem}")]
    Wrong { key: String, problem: String },
}

/// The secret that a file holds; a line break at its end is none of it.
fn secret_of(key: &str, path: &Path) -> Result<String, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| ConfigError::Wrong { key: key.to_owned(), problem: format!("{}: {error}", path.display()) })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

impl Config {
    /// Reads `file`, if one is named, and the environment over it. A named file that is not there is an error.
    pub fn load(file: Option<&Path>) -> Result<Config, ConfigError> {
        let mut figment = Figment::from(Serialized::defaults(Config::default()));
        if let Some(path) = file {
            if !path.is_file() {
                let problem = "there is no such file".into();
                return Err(ConfigError::Wrong { key: path.display().to_string(), problem });
            }
            figment = figment.merge(Toml::file_exact(path));
        }
        // FOOTFALL_LOG and FOOTFALL_CONFIG are read elsewhere and have no section.
        let environment = Env::prefixed("FOOTFALL_").filter(|key| key.as_str().contains("__")).split("__");
        let unreadable = |error| ConfigError::Unreadable(Box::new(fault::without_secrets(error)));
        let mut config: Config = figment.merge(environment).extract().map_err(unreadable)?;
        config.read_secret_files()?;
        config.check()?;
        Ok(config)
    }

    /// Takes in the secrets that stand in files of their own.
    fn read_secret_files(&mut self) -> Result<(), ConfigError> {
        for (name, source) in &mut self.sources {
            for path in &source.secret_files {
                source.secrets.push(secret_of(&format!("sources.{name}.secret_files"), path)?);
            }
        }
        for (user, path) in &self.postgres.user_files {
            self.postgres.users.insert(user.clone(), secret_of("postgres.user_files", path)?);
        }
        Ok(())
    }

    /// What types alone cannot say.
    pub fn check(&self) -> Result<(), ConfigError> {
        let wrong = |key: &str, problem: &str| Err(ConfigError::Wrong { key: key.into(), problem: problem.into() });
        let server = &self.server;
        if server.tls_certificate.is_some() != server.tls_key.is_some() {
            return wrong("server", "tls_certificate and tls_key belong together: give both, or none");
        }
        if let Some(proxy) = server.trusted_proxies.iter().find(|proxy| callbacks::read_network(proxy).is_none()) {
            return wrong("server.trusted_proxies", &format!("{proxy:?} is no address or network like 10.0.0.0/8"));
        }
        if !(1..=1_000_000).contains(&server.connections_max) {
            return wrong("server.connections_max", "must lie between 1 and 1000000");
        }
        let timeouts = [server.head_timeout_s, server.read_timeout_s, server.write_timeout_s];
        if timeouts.iter().any(|seconds| !(0.1..=3600.0).contains(seconds)) {
            return wrong(
                "server",
                "head_timeout_s, read_timeout_s and write_timeout_s must lie between 0.1 and 3600 seconds",
            );
        }
        let receiver = &self.receiver;
        if receiver.body_bytes_max == 0 || receiver.queue_deliveries == 0 || receiver.commit_events == 0 {
            return wrong("receiver", "body_bytes_max, queue_deliveries and commit_events must be at least 1");
        }
        if receiver.queue_bytes < receiver.body_bytes_max || receiver.queue_bytes > u32::MAX as usize {
            return wrong("receiver.queue_bytes", "must hold at least one body of body_bytes_max, and at most 4 GiB");
        }
        if !(receiver.dedupe_window_h > 0.0 && receiver.dedupe_window_h <= 1000.0) {
            return wrong("receiver.dedupe_window_h", "must lie between 0 and 1000 hours");
        }
        let Presence { exit_grace_s, presence_timeout_s, reported_timeout_s } = self.presence;
        if let Err(problem) = check_presence(Some(exit_grace_s), Some(presence_timeout_s), Some(reported_timeout_s)) {
            return wrong("presence", problem);
        }
        let Callbacks { allowed_networks, timeout_s, retry_first_s, retry_max_s, give_up_h, .. } = &self.callbacks;
        if let Some(network) = allowed_networks.iter().find(|network| callbacks::read_network(network).is_none()) {
            return wrong(
                "callbacks.allowed_networks",
                &format!("{network:?} is no address or network like 10.0.0.0/8"),
            );
        }
        if !(0.1..=300.0).contains(timeout_s) {
            return wrong("callbacks.timeout_s", "must lie between 0.1 and 300 seconds");
        }
        if !(*retry_first_s >= 0.01 && retry_first_s <= retry_max_s && *retry_max_s <= 86_400.0) {
            return wrong(
                "callbacks",
                "retry_first_s must be at least 0.01, and retry_max_s no less, and at most 86400",
            );
        }
        if !(*give_up_h > 0.0 && *give_up_h <= 1000.0) {
            return wrong("callbacks.give_up_h", "must lie between 0 and 1000 hours");
        }
        if self.privacy.counts_withheld_below > 1 && !self.access_policy().is_required {
            return wrong(
                "privacy.counts_withheld_below",
                "would keep nothing from anybody, for nobody has to say who they are: set access.required = true",
            );
        }
        self.check_postgres()?;
        for (name, source) in &self.sources {
            let key = format!("sources.{name}");
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
                return wrong(&key, "a source's name stands in a URL: use letters, digits, - and _");
            }
            if source.unsigned != source.secrets.is_empty() {
                return wrong(
                    &key,
                    "give it the webhook's secret (secrets = [\"...\"]), or say unsigned = true if the webhook has none",
                );
            }
            if source.secrets.iter().any(String::is_empty) {
                return wrong(&key, "a secret must not be empty");
            }
            if let Some(network) = source.allowed_networks.iter().find(|text| callbacks::read_network(text).is_none()) {
                let key = format!("{key}.allowed_networks");
                return wrong(&key, &format!("{network:?} is no address or network like 10.0.0.0/8"));
            }
            if source.refuse_older_h.is_some_and(|hours| !(hours > 0.0 && hours <= 1e6)) {
                return wrong(&format!("{key}.refuse_older_h"), "must lie between 0 and 1000000 hours");
            }
        }
        Ok(())
    }

    fn check_postgres(&self) -> Result<(), ConfigError> {
        let wrong = |key: &str, problem: &str| Err(ConfigError::Wrong { key: key.into(), problem: problem.into() });
        let Postgres { listen, users, tls_certificate, tls_key, require_tls, .. } = &self.postgres;
        let is_reachable = listen.is_some_and(|listen| !listen.ip().is_loopback());
        let is_open = !self.server.allow_open_access && (is_reachable || self.access.required);
        if listen.is_some() && users.is_empty() && is_open {
            return wrong(
                "postgres.listen",
                "could be read by anyone: name users with passwords under [postgres.users], or set \
                 server.allow_open_access = true",
            );
        }
        if users.iter().any(|(name, password)| name.is_empty() || password.is_empty()) {
            return wrong("postgres.users", "a name or a password is empty");
        }
        if tls_certificate.is_some() != tls_key.is_some() {
            return wrong("postgres", "tls_certificate and tls_key belong together: give both, or none");
        }
        if *require_tls && tls_key.is_none() {
            return wrong("postgres.require_tls", "nobody could connect: give tls_certificate and tls_key");
        }
        if !(1..=10_000).contains(&self.postgres.connections_max) || self.postgres.rows_max == 0 {
            return wrong("postgres", "connections_max must lie between 1 and 10000, and rows_max be at least 1");
        }
        if !(0.001..=86_400.0).contains(&self.postgres.statement_timeout_s) {
            return wrong("postgres.statement_timeout_s", "must lie between 0.001 and 86400 seconds");
        }
        Ok(())
    }

    /// Who may ask, as far as the configuration says.
    pub fn access_policy(&self) -> access::Policy {
        let is_reachable = !self.server.listen.ip().is_loopback();
        access::Policy {
            is_required: self.access.required || is_reachable && !self.server.allow_open_access,
            are_metrics_open: self.access.metrics_open,
            is_secure: self.server.tls_key.is_some(),
            is_any_host_taken: self.server.allow_open_access,
            counts_withheld_below: self.privacy.counts_withheld_below,
        }
    }

    /// What HTTP connections may take.
    pub fn serve_limits(&self) -> serve::Limits {
        serve::Limits {
            connections_max: self.server.connections_max,
            head_timeout: Duration::from_secs_f64(self.server.head_timeout_s),
            write_timeout: Duration::from_secs_f64(self.server.write_timeout_s),
            stop_wait: serve::STOP_WAIT,
            trusted_proxies: self
                .server
                .trusted_proxies
                .iter()
                .filter_map(|text| callbacks::read_network(text))
                .collect(),
        }
    }

    /// How long things are kept.
    pub fn retention(&self) -> retention::Rules {
        let Retention { events_days, visits_days, callbacks_days, sites } = &self.retention;
        let days = |days: u32| (days > 0).then_some(days);
        let kept = |own: &SiteRetention| retention::Kept {
            events_days: days(own.events_days.unwrap_or(*events_days)),
            visits_days: days(own.visits_days.unwrap_or(*visits_days)),
        };
        retention::Rules {
            kept: kept(&SiteRetention::default()),
            sites: sites.iter().map(|(id, own)| (Id::object(id).to_string(), kept(own))).collect(),
            callbacks_days: days(*callbacks_days),
        }
    }

    /// How PostgreSQL clients are served, if they are.
    pub fn postgres_options(&self) -> Option<postgres::Options> {
        let Postgres { listen, users, tls_certificate, tls_key, .. } = self.postgres.clone();
        Some(postgres::Options {
            listen: listen?,
            users,
            tls: tls_certificate.zip(tls_key),
            is_tls_required: self.postgres.require_tls,
            connections_max: self.postgres.connections_max,
            statement_timeout: Duration::from_secs_f64(self.postgres.statement_timeout_s),
            rows_max: self.postgres.rows_max,
        })
    }

    pub fn key_path(&self) -> PathBuf {
        self.privacy.key_file.clone().unwrap_or_else(|| {
            let mut name = self.store.path.clone().into_os_string();
            name.push(".key");
            name.into()
        })
    }

    pub fn store_options(&self) -> StoreOptions {
        let StoreSection { path, memory_limit, threads, .. } = self.store.clone();
        StoreOptions { path, memory_limit, threads }
    }

    pub fn limits(&self) -> Limits {
        Limits {
            queue_deliveries: self.receiver.queue_deliveries,
            queue_bytes: self.receiver.queue_bytes,
            drain_events: self.receiver.commit_events,
            free_bytes_min: self.store.free_bytes_min,
            give_up_ms: (self.callbacks.give_up_h * 3.6e6) as i64,
        }
    }

    /// How callbacks are delivered. The configuration has been checked.
    pub fn callback_policy(&self) -> callbacks::Policy {
        let Callbacks { allowed_networks, timeout_s, retry_first_s, retry_max_s, give_up_h, deliver } = &self.callbacks;
        let networks = allowed_networks.iter().filter_map(|network| callbacks::read_network(network));
        callbacks::Policy {
            is_delivering: *deliver,
            allowed_networks: networks.collect(),
            timeout: Duration::from_secs_f64(*timeout_s),
            retry_first: Duration::from_secs_f64(*retry_first_s),
            retry_max: Duration::from_secs_f64(*retry_max_s),
            give_up: Duration::from_secs_f64(*give_up_h * 3600.0),
        }
    }

    pub fn defaults(&self) -> Defaults {
        let ms = |s: f64| (s * 1000.0).round() as i64;
        Defaults {
            rules: PresenceRules {
                exit_grace_ms: ms(self.presence.exit_grace_s),
                presence_timeout_ms: ms(self.presence.presence_timeout_s),
                reported_timeout_ms: ms(self.presence.reported_timeout_s),
            },
            dedupe_window: DedupeWindow((self.receiver.dedupe_window_h * 3.6e6) as i64),
        }
    }

    /// What deliveries of each source must be.
    pub fn source_rules(&self) -> BTreeMap<String, SourceRules> {
        let demand = |source: &Source| match source.unsigned {
            true => Demand::Unsigned,
            false => Demand::Signed {
                secrets: source.secrets.iter().map(Secret::new).collect(),
                is_v1_allowed: source.allow_signature_v1,
            },
        };
        let rules = |source: &Source| SourceRules {
            demand: demand(source),
            networks: source.allowed_networks.iter().filter_map(|text| callbacks::read_network(text)).collect(),
            age_ms_max: source.refuse_older_h.map(|hours| (hours * 3.6e6) as i64),
        };
        self.sources.iter().map(|(name, source)| (name.clone(), rules(source))).collect()
    }
}

/// Whether presence settings make sense; the same for the configuration, a site and an area.
pub fn check_presence(
    exit_grace_s: Option<f64>,
    presence_timeout_s: Option<f64>,
    reported_timeout_s: Option<f64>,
) -> Result<(), &'static str> {
    const YEAR_S: f64 = 31_536_000.0;
    if exit_grace_s.is_some_and(|s| !(0.0..=YEAR_S).contains(&s)) {
        return Err("exit_grace_s must lie between 0 and a year in seconds");
    }
    if [presence_timeout_s, reported_timeout_s].into_iter().flatten().any(|s| !(0.001..=YEAR_S).contains(&s)) {
        return Err("presence_timeout_s and reported_timeout_s must lie between 0.001 and a year in seconds");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_toml(text: &str) -> Result<Config, ConfigError> {
        let figment = Figment::from(Serialized::defaults(Config::default())).merge(Toml::string(text));
        let config: Config = figment.extract().map_err(Box::new)?;
        config.check()?;
        Ok(config)
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_it() {
        let error = from_toml("[server]\nlisten_on = \"x\"").unwrap_err();
        let ConfigError::Unreadable(cause) = error else { panic!("{error}") };
        assert!(cause.to_string().contains("listen_on"), "{cause}");
    }

    #[test]
    fn a_source_without_a_secret_must_say_so() {
        assert!(from_toml("[sources.default]").is_err());
        assert!(from_toml("[sources.default]\nunsigned = true").is_ok());
        assert!(from_toml("[sources.default]\nsecrets = [\"a\", \"b\"]").is_ok());
        assert!(from_toml("[sources.default]\nsecrets = [\"a\"]\nunsigned = true").is_err());
        assert!(from_toml("[sources.default]\nsecrets = [\"\"]").is_err());
    }

    #[test]
    fn other_machines_get_in_only_when_told_so() {
        let is_required = |text: &str| from_toml(text).unwrap().access_policy().is_required;
        assert!(!is_required(""));
        assert!(is_required("[access]\nrequired = true"));
        assert!(is_required("[server]\nlisten = \"0.0.0.0:80\""));
        assert!(!is_required("[server]\nlisten = \"0.0.0.0:80\"\nallow_open_access = true"));
        assert!(from_toml("[postgres]\nlisten = \"0.0.0.0:5432\"").is_err());
        assert!(from_toml("[access]\nrequired = true\n[postgres]\nlisten = \"127.0.0.1:5432\"").is_err());
    }

    #[test]
    fn a_secret_may_stand_in_a_file() {
        let dir = tempfile::TempDir::new().unwrap();
        let (secret, file) = (dir.path().join("secret"), dir.path().join("footfall.toml"));
        std::fs::write(&secret, "hunter2\n").unwrap();
        let text = format!("[sources.default]\nsecret_files = [{secret:?}]\n[postgres.user_files]\nann = {secret:?}");
        std::fs::write(&file, text).unwrap();
        let config = Config::load(Some(&file)).unwrap();
        assert_eq!(config.sources["default"].secrets, ["hunter2"]);
        assert_eq!(config.postgres.users["ann"], "hunter2");
        std::fs::remove_file(&secret).unwrap();
        assert!(Config::load(Some(&file)).unwrap_err().to_string().contains("secret_files"));
    }

    #[test]
    fn secrets_are_not_printed() {
        let config = from_toml("[sources.default]\nsecrets = [\"hunter2\"]").unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
