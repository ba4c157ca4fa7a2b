//! Files made from the database while it is in use: a snapshot of all of it, and Parquet of a site's day.
//!
//! They are made in a folder beside the database, the only place that the instance may write to, and taken from there.

use std::fs;
use std::path::{Path, PathBuf};

use duckdb::Connection;

use super::{CATALOG, Store, StoreError, allocation};

/// The folder beside a database. What is in it is thrown away at the next start.
pub(super) fn scratch(database: &Path) -> PathBuf {
    let mut name = database.file_name().unwrap_or_default().to_owned();
    name.push(".scratch");
    database.with_file_name(name)
}

/// Makes the folder anew, for nobody else to read.
pub(super) fn make_scratch(database: &Path) -> Result<PathBuf, StoreError> {
    let folder = scratch(database);
    let failed = |source| StoreError::Scratch { path: folder.clone(), source };
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(failed)?;
    }
    fs::create_dir(&folder).map_err(failed)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).map_err(failed)?;
    }
    folder.canonicalize().map_err(failed)
}

/// A file of the scratch folder; gone when it is dropped.
#[derive(Debug)]
pub struct ScratchFile(PathBuf);

impl ScratchFile {
    fn new(store: &Store, end: &str) -> ScratchFile {
        ScratchFile(store.inner.scratch.join(format!("{:032x}.{end}", rand::random::<u128>())))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// As a text in SQL.
    fn quoted(&self) -> String {
        quoted(&self.0.display().to_string())
    }
}

impl Drop for ScratchFile {
    fn drop(&mut self) {
        // It may never have been made; what is left is thrown away at the next start.
        let _ = fs::remove_file(&self.0);
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Why nobody is told by a snapshot.
const WITHOUT_SECRETS: &str = "this is a snapshot without secrets: give the endpoint its secret again, and enable it";

/// A copy of everything that was committed when it began; deliveries go on meanwhile. Without secrets, endpoints of
/// callbacks are disabled in it.
///
/// Costs a pass over the whole file, and as much room.
pub fn snapshot(store: &Store, with_secrets: bool) -> Result<ScratchFile, StoreError> {
    let file = ScratchFile::new(store, "duckdb");
    // What fails while it is written leaves a database that cannot be used, be it only the copy.
    let _commit = allocation::commit();
    let conn = store.connection()?;
    let name = format!("snapshot_{:016x}", rand::random::<u64>());
    conn.execute_batch(&format!("ATTACH {} AS {name}", file.quoted()))?;
    let copied = copy(&conn, &name, with_secrets);
    let detached = conn.execute_batch(&format!("DETACH {name}"));
    copied?;
    detached?;
    Ok(file)
}

fn copy(conn: &Connection, name: &str, with_secrets: bool) -> Result<(), StoreError> {
    conn.execute_batch(&format!("COPY FROM DATABASE {CATALOG} TO {name}"))?;
    if !with_secrets {
        conn.execute_batch(&format!(
            "UPDATE {name}.store.callbacks SET secrets = '[]', headers = '{{}}', is_enabled = false,
                 disabled_reason = {}",
            quoted(WITHOUT_SECRETS)
        ))?;
    }
    // So that the copy is one file, without a log beside it.
    conn.execute_batch(&format!("CHECKPOINT {name}"))?;
    Ok(())
}

/// What is exported, by the days of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exported {
    Positions,
    Visits,
}

impl Exported {
    pub const ALL: [Exported; 2] = [Exported::Positions, Exported::Visits];

    pub fn name(self) -> &'static str {
        match self {
            Exported::Positions => "positions",
            Exported::Visits => "visits",
        }
    }

    pub fn from_name(name: &str) -> Option<Exported> {
        Exported::ALL.into_iter().find(|exported| exported.name() == name)
    }

    fn instant(self) -> &'static str {
        match self {
            Exported::Positions => "event_at",
            Exported::Visits => "entered_at",
        }
    }
}

/// The rows of a site whose day is [from, to), Unix milliseconds, as Parquet.
pub fn export(
    store: &Store,
    what: Exported,
    site_id: &str,
    from_ms: i64,
    to_ms: i64,
) -> Result<ScratchFile, StoreError> {
    let file = ScratchFile::new(store, "parquet");
    let (table, instant, site) = (what.name(), what.instant(), quoted(site_id));
    store.connection()?.execute_batch(&format!(
        "COPY (FROM {table} WHERE site_id = {site} AND {instant} >= epoch_ms({from_ms})::TIMESTAMPTZ
               AND {instant} < epoch_ms({to_ms})::TIMESTAMPTZ ORDER BY {instant})
         TO {} (FORMAT parquet, COMPRESSION zstd)",
        file.quoted()
    ))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        assert_eq!(quoted("a'); DROP TABLE x; --"), "'a''); DROP TABLE x; --'");
    }
}
