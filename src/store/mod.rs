//! The DuckDB file: one writer, many readers. The only module that says `duckdb`.
//!
//! Readers take a connection from the pool and see what was committed; the writer's connection is the pipeline's own.

pub mod access;
pub mod alerts;
mod allocation;
pub mod audit;
mod bounds;
pub mod catalogue;
mod columns;
pub mod ends;
pub mod files;
pub mod flows;
pub mod forget;
mod guard;
mod handover;
pub mod heatmap;
pub mod history;
mod kept;
pub mod kept_areas;
pub mod kept_clients;
mod kept_up;
mod migrate;
pub mod occupancy;
pub mod outbox;
pub mod past;
mod patterns;
pub mod places;
pub mod plans;
pub mod queries;
pub mod rebuilds;
mod recent;
pub mod recent_fixes;
pub mod restore;
pub mod row;
pub mod sites;
pub mod spans;
pub mod sql;
pub mod track;
pub mod visits;
pub mod writer;

use std::collections::BTreeSet;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use duckdb::{Config, Connection};

use kept_areas::KeptAreas;
use kept_clients::KeptClients;
use past::Past;
use recent_fixes::{FIX_BYTES, RecentFixes};

/// A connection lent to a question.
pub use duckdb::Connection as ReadConnection;

/// What went wrong in the file, as far as a caller would act on it differently.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("open {path}: is another process using it, and may this one write there?")]
    Open {
        path: PathBuf,
        #[source]
        source: duckdb::Error,
    },
    #[error(
        "{path}.wal is damaged: restore a snapshot, or move that log away to go on with what the last checkpoint holds; \
         what was acknowledged since is then gone"
    )]
    DamagedLog {
        path: PathBuf,
        #[source]
        source: duckdb::Error,
    },
    #[error("{path} is open in this process already")]
    OpenAlready { path: PathBuf },
    #[error(
        "the file was written by a newer version of Footfall (it has migration {migration}): \
         start that version, or restore a snapshot made by this one"
    )]
    Newer { migration: String },
    #[error("the file has migration {found} where this version has {expected}: it is not a Footfall file of this line")]
    ForeignHistory { found: String, expected: &'static str },
    #[error("append {rows} rows to {table}")]
    Append {
        table: &'static str,
        rows: usize,
        #[source]
        source: duckdb::Error,
    },
    #[error("the database refused a statement")]
    Statement(#[from] duckdb::Error),
    #[error("make the folder {path} for files that are handed out")]
    Scratch {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the stored {what} cannot be read: {problem}")]
    Corrupt { what: &'static str, problem: String },
}

/// How the file is opened.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    pub path: PathBuf,
    /// DuckDB's memory limit, such as `2GB`; `None`: DuckDB's default.
    pub memory_limit: Option<String>,
    /// DuckDB's threads; `None`: one per core, and half as many once it is settled.
    pub threads: Option<i64>,
}

/// An open file. Cheap to clone; the file closes with the last clone and connection.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    /// The one folder that the instance may write to, beside its own file.
    scratch: PathBuf,
    bounds: bounds::Bounds,
    has_threads_set: bool,
    is_settled: Mutex<bool>,
    root: Mutex<Connection>,
    idle: Mutex<Vec<Connection>>,
    past: Arc<Past>,
    fixes: Arc<RecentFixes>,
    areas: Arc<KeptAreas>,
    clients: Arc<KeptClients>,
    /// Last, so that the file is closed before it may be opened again.
    _turn: Turn,
}

/// Files that this process has open. The system's lock keeps other processes out, and this one not: open twice, a file
/// would be written by two that do not know of each other.
static OPEN: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// The right to open a file, until it is dropped.
struct Turn(PathBuf);

impl Turn {
    fn take(path: &Path) -> Result<Turn, StoreError> {
        // The file may not be there yet, its folder is.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let whole = folder.join(path.file_name().unwrap_or_default());
        match OPEN.lock().expect("no one panics with the list").insert(whole.clone()) {
            true => Ok(Turn(whole)),
            false => Err(StoreError::OpenAlready { path: path.to_owned() }),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        OPEN.lock().expect("no one panics with the list").remove(&self.0);
    }
}

/// What the file is called in SQL, whatever its name.
const CATALOG: &str = "footfall";
const USE_FILE: &str = "USE footfall";

/// Half of DuckDB's. A checkpoint that merges row groups writes the last of each table that grew anew, and nothing is
/// acknowledged meanwhile.
const ROW_GROUP_ROWS: usize = 61_440;

/// What visits of settled days take in memory at most: 9 million of them. Those that are not of settled days take a quarter
/// beside it.
const PAST_BYTES: usize = 256 << 20;

/// What the newest fixes take in memory at most: 4 million of them.
const RECENT_FIXES_BYTES: usize = if cfg!(test) { 1 << 10 } else { 128 << 20 };

/// Connections kept for the next reader; more may be in use at once.
const IDLE_MAX: usize = 8;

impl Store {
    /// Opens or creates the file and applies what migrations it lacks.
    pub fn open(options: &StoreOptions) -> Result<Store, StoreError> {
        let turn = Turn::take(&options.path)?;
        let (mut root, scratch, bounds, memory_limit) = connect(options)?;
        migrate::migrate(&mut root)?;
        let inner = Inner {
            path: options.path.clone(),
            scratch,
            bounds,
            has_threads_set: options.threads.is_some(),
            is_settled: Mutex::new(false),
            root: Mutex::new(root),
            idle: Mutex::default(),
            past: Arc::new(Past::new(PAST_BYTES.min(memory_limit / 8))),
            fixes: Arc::new(RecentFixes::new(RECENT_FIXES_BYTES.min(memory_limit / 16) / FIX_BYTES)),
            areas: Arc::default(),
            clients: Arc::default(),
            _turn: turn,
        };
        Ok(Store { inner: Arc::new(inner) })
    }

    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// What is kept in memory of the past.
    pub fn past(&self) -> &Arc<Past> {
        &self.inner.past
    }

    /// The newest fixes in memory.
    pub fn fixes(&self) -> &Arc<RecentFixes> {
        &self.inner.fixes
    }

    /// The areas that questions are about.
    pub fn areas(&self) -> &Arc<KeptAreas> {
        &self.inner.areas
    }

    /// The clients that questions are about.
    pub fn clients(&self) -> &Arc<KeptClients> {
        &self.inner.clients
    }

    /// Bytes of the file's disk that may still be written; none where the system does not tell.
    pub fn free_bytes(&self) -> Option<u64> {
        let folder = self.inner.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let disk = rustix::fs::statvfs(folder).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// Bytes of the file and of its write-ahead log.
    pub fn file_bytes(&self) -> (u64, u64) {
        let bytes = |path: &Path| path.metadata().map_or(0, |found| found.len());
        let mut log = self.inner.path.clone().into_os_string();
        log.push(".wal");
        (bytes(&self.inner.path), bytes(Path::new(&log)))
    }

    /// Whether this is the last that holds the file open. Whoever has a connection longer than a question has a clone, too.
    pub fn is_last(&self) -> bool {
        Arc::strong_count(&self.inner) == 1
    }

    /// A connection of its own, for the writer.
    pub fn connection(&self) -> Result<Connection, StoreError> {
        let conn = self.inner.root.lock().expect("no one panics with the root connection").try_clone()?;
        conn.execute_batch(USE_FILE)?;
        Ok(conn)
    }

    /// The state is read, which takes all cores; what comes now is small statements, which with many threads spend longer
    /// on handing work about than on the work. From here on settings are as they are, for whoever asks in SQL.
    pub fn settle(&self) -> Result<(), StoreError> {
        let mut is_settled = self.inner.is_settled.lock().expect("no one panics while it settles");
        if *is_settled {
            return Ok(());
        }
        let conn = self.connection()?;
        if !self.inner.has_threads_set {
            conn.execute_batch(&format!("SET GLOBAL threads = {}", (cores() / 2).max(1)))?;
        }
        // Which the writer turns on and off, and nobody else gets at.
        conn.execute_batch("SET GLOBAL allowed_configs = ['max_vacuum_tasks']; SET GLOBAL lock_configuration = true")?;
        *is_settled = true;
        Ok(())
    }

    /// Runs a question about all that is stored, on a connection of its own.
    pub fn read_all<T>(&self, question: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let conn = self.connection()?;
        // A table of as many places as there are clients, instead of a hash of each row: half the time. Once settings are
        // as they are it has to go without.
        if !*self.inner.is_settled.lock().expect("no one panics while it settles") {
            conn.execute_batch("SET SESSION perfect_ht_threshold = 20")?;
        }
        question(&conn)
    }

    /// A connection of its own on which functions have bounds, for what people ask.
    fn bounded_connection(&self) -> Result<Connection, StoreError> {
        self.settle()?;
        let conn = self.connection()?;
        conn.execute_batch(&self.inner.bounds.with_functions)?;
        Ok(conn)
    }

    /// Runs a question on a pooled connection. Blocks: call it off the async threads.
    pub fn read<T>(&self, question: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let pooled = self.inner.idle.lock().expect("no one panics with the pool").pop();
        let conn = match pooled {
            Some(conn) => conn,
            None => self.connection()?,
        };
        let answer = question(&conn);
        let mut idle = self.inner.idle.lock().expect("no one panics with the pool");
        if answer.is_ok() && idle.len() < IDLE_MAX {
            idle.push(conn);
        }
        answer
    }
}

/// Cores that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// The instance, its folder for files, what bounds it, and DuckDB's limit of memory in bytes.
fn connect(options: &StoreOptions) -> Result<(Connection, PathBuf, bounds::Bounds, usize), StoreError> {
    let failed = |source: duckdb::Error| {
        let is_damaged = source.to_string().contains("Corrupt WAL file");
        let path = options.path.clone();
        if is_damaged { StoreError::DamagedLog { path, source } } else { StoreError::Open { path, source } }
    };
    let mut config = Config::default();
    if let Some(limit) = &options.memory_limit {
        config = config.max_memory(limit).map_err(failed)?;
    }
    if let Some(threads) = options.threads {
        config = config.threads(threads).map_err(failed)?;
    }
    // Nothing of ours needs an extension from outside or a file beside the database.
    config = config.enable_autoload_extension(false).map_err(failed)?;
    let conn = allocation::with_workers(|| Connection::open_in_memory_with_flags(config)).map_err(failed)?;
    let path = options.path.display().to_string().replace('\'', "''");
    // Attached, since only then its row groups can be had smaller than DuckDB's own.
    conn.execute_batch(&format!(
        "SET GLOBAL temp_directory = '{path}.tmp';
         ATTACH '{path}' AS {CATALOG} (TYPE duckdb, ROW_GROUP_SIZE {ROW_GROUP_ROWS});
         {USE_FILE}"
    ))
    .map_err(failed)?;
    let limit = "SELECT parse_formatted_bytes(current_setting('memory_limit'))::BIGINT";
    let limit: i64 = conn.query_row(limit, [], |row| row.get(0)).map_err(failed)?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    allocation::bound(limit, options.memory_limit.is_none());
    // Instants are UTC inside; this is how text and plain timestamps become instants, on every connection. A DuckDB
    // built without ICU has no such setting, and takes all of it for UTC anyway.
    if let Err(error) = conn.execute_batch("SET GLOBAL TimeZone = 'UTC'") {
        tracing::debug!(error = &error as &dyn std::error::Error, "DuckDB has no time zones");
    }
    handover::register(&conn).map_err(failed)?;
    let bounds = bounds::attach(&conn).map_err(failed)?;
    let scratch = files::make_scratch(&options.path)?;
    // Whoever asks in SQL finds all of this as it is.
    conn.execute_batch(&format!(
        "SET GLOBAL allowed_directories = ['{}'];
         SET GLOBAL enable_external_access = false",
        scratch.display().to_string().replace('\'', "''")
    ))
    .map_err(failed)?;
    Ok((conn, scratch, bounds, limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_open_once() {
        let dir = tempfile::TempDir::new().unwrap();
        let options = |name: &str| StoreOptions { path: dir.path().join(name), memory_limit: None, threads: None };
        let first = Store::open(&options("a.duckdb")).unwrap();
        let clone = first.clone();
        assert!(matches!(Store::open(&options("a.duckdb")), Err(StoreError::OpenAlready { .. })));
        drop(first);
        assert!(!clone.path().as_os_str().is_empty() && clone.is_last());
        assert!(matches!(Store::open(&options("a.duckdb")), Err(StoreError::OpenAlready { .. })));
        drop(clone);
        Store::open(&options("a.duckdb")).unwrap();
    }
    #[test]
    fn settings_are_as_they_are_for_whoever_asks() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("memory.duckdb");
        let store = Store::open(&StoreOptions { path, memory_limit: None, threads: None }).unwrap();
        let conn = store.bounded_connection().unwrap();
        let refused = conn.execute_batch("SET GLOBAL threads = 7").unwrap_err();
        assert!(refused.to_string().contains("locked"), "{refused}");
        let name: String = conn.query_row("SELECT current_database()", [], |row| row.get(0)).unwrap();
        assert_eq!(name, CATALOG);
    }
}
