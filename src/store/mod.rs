//! The DuckDB file: one writer, many readers. The only module that says `duckdb`.
//!
//! Readers take a connection from the pool and see what was committed; the writer's connection is the pipeline's own.

pub mod alerts;
pub mod audit;
pub mod files;
pub mod history;
mod migrate;
pub mod outbox;
pub mod places;
pub mod plans;
pub mod queries;
pub mod rebuilds;
pub mod restore;
pub mod row;
pub mod sql;
pub mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use duckdb::{Config, Connection};

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
    /// DuckDB's worker threads; `None`: one per core.
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
    root: Mutex<Connection>,
    idle: Mutex<Vec<Connection>>,
}

/// Connections kept for the next reader; more may be in use at once.
const IDLE_MAX: usize = 8;

impl Store {
    /// Opens or creates the file and applies what migrations it lacks.
    pub fn open(options: &StoreOptions) -> Result<Store, StoreError> {
        let (mut root, scratch) = connect(options)?;
        migrate::migrate(&mut root)?;
        let inner = Inner { path: options.path.clone(), scratch, root: Mutex::new(root), idle: Mutex::default() };
        Ok(Store { inner: Arc::new(inner) })
    }

    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Whether this is the last that holds the file open. Whoever has a connection longer than a question has a clone, too.
    pub fn is_last(&self) -> bool {
        Arc::strong_count(&self.inner) == 1
    }

    /// A connection of its own, for the writer.
    pub fn connection(&self) -> Result<Connection, StoreError> {
        Ok(self.inner.root.lock().expect("no one panics with the root connection").try_clone()?)
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

fn connect(options: &StoreOptions) -> Result<(Connection, PathBuf), StoreError> {
    let path = options.path.clone();
    let failed = |source| StoreError::Open { path: path.clone(), source };
    let mut config = Config::default();
    if let Some(limit) = &options.memory_limit {
        config = config.max_memory(limit).map_err(failed)?;
    }
    if let Some(threads) = options.threads {
        config = config.threads(threads).map_err(failed)?;
    }
    // Nothing of ours needs an extension from outside or a file beside the database.
    config = config.enable_autoload_extension(false).map_err(failed)?;
    let conn = Connection::open_with_flags(&options.path, config).map_err(failed)?;
    // Instants are UTC inside; this is how text and plain timestamps become instants, on every connection. A DuckDB
    // built without ICU has no such setting, and takes all of it for UTC anyway.
    if let Err(error) = conn.execute_batch("SET GLOBAL TimeZone = 'UTC'") {
        tracing::debug!(error = &error as &dyn std::error::Error, "DuckDB has no time zones");
    }
    let scratch = files::make_scratch(&options.path)?;
    // Whoever asks in SQL finds all of this as it is.
    conn.execute_batch(&format!(
        "SET GLOBAL allowed_directories = ['{}'];
         SET GLOBAL enable_external_access = false;
         SET GLOBAL lock_configuration = true",
        scratch.display().to_string().replace('\'', "''")
    ))
    .map_err(failed)?;
    Ok((conn, scratch))
}
