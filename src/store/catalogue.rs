//! What PostgreSQL's clients ask about a database before they ask it anything: its tables, columns and types.
//!
//! It lies in a DuckDB of its own, in memory, that holds descriptions and no data: whatever a client asks there, it
//! learns what `/v1/sql/schema` tells anyway.

use std::sync::{Arc, Mutex};

use duckdb::{Config, Connection, params};

use super::sql::{Asking, Open};
use super::{StoreError, allocation, bounds};

const TABLES: &str = include_str!("sql/catalogue.sql");

/// Numbers below are PostgreSQL's own.
const FIRST_OID: i64 = 16_384;

/// A table as clients are told of it.
pub struct Relation {
    pub name: String,
    pub comment: String,
    pub columns: Vec<Attribute>,
}

/// Its columns, in order.
pub struct Attribute {
    pub name: String,
    /// Number of a PostgreSQL type.
    pub type_oid: u32,
    pub comment: Option<String>,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Catalogue {
    root: Arc<Mutex<Connection>>,
    /// What a connection executes so that patterns have bounds.
    with_patterns: Arc<str>,
}

impl Catalogue {
    /// Describes `relations` and `settings`, which hold no quotes. Costs some tens of milliseconds, once.
    pub fn new(relations: &[Relation], settings: &[(&str, &str)]) -> Result<Catalogue, StoreError> {
        let config = Config::default().enable_autoload_extension(false)?.threads(1)?.max_memory("256MB")?;
        let conn = allocation::with_workers(|| Connection::open_in_memory_with_flags(config))?;
        conn.execute_batch(TABLES)?;
        for (place, relation) in relations.iter().enumerate() {
            let oid = FIRST_OID + place as i64;
            let natts = relation.columns.len() as i64;
            conn.execute(
                "INSERT INTO pg_class (oid, relname, relnatts) VALUES (?, ?, ?)",
                params![oid, relation.name, natts],
            )?;
            describe(&conn, oid, 0, &relation.comment)?;
            for (column, number) in relation.columns.iter().zip(1i64..) {
                conn.execute(
                    "INSERT INTO pg_attribute (attrelid, attname, atttypid, attnum, attlen)
                     VALUES (?, ?, ?, ?, (SELECT typlen FROM pg_type WHERE oid = ?))",
                    params![oid, column.name, column.type_oid, number, column.type_oid],
                )?;
                if let Some(comment) = &column.comment {
                    describe(&conn, oid, number, comment)?;
                }
            }
        }
        // Not looked up in a table: functions after FROM take no subqueries.
        let cases: Vec<String> =
            settings.iter().map(|(name, setting)| format!("WHEN '{name}' THEN '{setting}'")).collect();
        let cases = cases.join(" ");
        conn.execute_batch(&format!(
            "CREATE MACRO current_setting(a) AS
                 CASE lower(a) {cases} ELSE error('unrecognized configuration parameter') END,
                 (a, b) AS CASE lower(a) {cases} END;
             CREATE MACRO version() AS current_setting('version');"
        ))?;
        for (name, setting) in settings {
            conn.execute(
                "INSERT INTO pg_settings (name, setting, category, short_desc, context, vartype, source, boot_val, reset_val)
                 VALUES (?, ?, 'Footfall', '', 'internal', 'string', 'default', ?, ?)",
                params![name.to_lowercase(), setting, setting, setting],
            )?;
        }
        let with_patterns = bounds::create_in_memory(&conn)?.into();
        conn.execute_batch(
            "SET GLOBAL enable_external_access = false;
             SET GLOBAL lock_configuration = true",
        )?;
        Ok(Catalogue { root: Arc::new(Mutex::new(conn)), with_patterns })
    }

    /// A connection for one question.
    pub fn ask(&self) -> Result<Asking, StoreError> {
        let conn = self.root.lock().expect("no one panics with the catalogue").try_clone()?;
        Ok(Asking::on(conn, Open::Catalogue, self.with_patterns.to_string(), None))
    }
}

fn describe(conn: &Connection, oid: i64, column: i64, comment: &str) -> Result<(), StoreError> {
    conn.execute("INSERT INTO pg_description VALUES (?, 1259, ?, ?)", params![oid, column, comment])?;
    Ok(())
}
