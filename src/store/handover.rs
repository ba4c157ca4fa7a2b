//! Rows on their way into statements, without an appender.
//!
//! An appender has its statement parsed, bound and planned each time it is flushed, and a list of keys is parsed key by
//! key: for the few rows of a small drain that costs more than the rows do. Here statements take what they work on from a
//! table function, so that those that only insert can be prepared once and kept.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Mutex, MutexGuard};

use duckdb::Connection;
use duckdb::arrow::array::Int64Array;
use duckdb::arrow::datatypes::SchemaRef;
use duckdb::arrow::record_batch::RecordBatch;
use duckdb::core::{DataChunkHandle, LogicalTypeHandle, LogicalTypeId};
use duckdb::vtab::{
    BindInfo, InitInfo, TableFunctionInfo, VTab, record_batch_to_duckdb_data_chunk, to_duckdb_logical_type_for_field,
};

use super::StoreError;
use super::row::{self, Row};
use crate::model::ids::VisitKey;

/// The table function. Statements of people may not name it, and it gives nothing to who does not know the tray.
const FUNCTION: &str = "footfall_rows";

/// The most rows that DuckDB takes at once.
const CHUNK_ROWS: usize = 2048;

/// What lies ready, by tray and name. Common to the process, since a table function is told nothing but its arguments.
static LAID: Mutex<BTreeMap<(i64, String), Laid>> = Mutex::new(BTreeMap::new());

struct Laid {
    schema: SchemaRef,
    rows: Option<RecordBatch>,
}

fn laid() -> MutexGuard<'static, BTreeMap<(i64, String), Laid>> {
    LAID.lock().expect("no one panics with the trays")
}

/// Makes the table function known to an instance.
pub(super) fn register(conn: &Connection) -> duckdb::Result<()> {
    conn.register_table_function::<Rows>(FUNCTION)
}

/// Where one connection's rows are laid ready.
pub(super) struct Tray {
    key: i64,
}

impl Tray {
    pub fn new() -> Tray {
        Tray { key: rand::random() }
    }

    /// Appends rows to their table, within the connection's transaction.
    pub fn append<R: Row>(&self, conn: &Connection, rows: &[R]) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let failed = |source| StoreError::Append { table: R::TABLE, rows: rows.len(), source };
        let sql = format!("INSERT INTO store.{0} FROM {FUNCTION}({1}, '{0}')", R::TABLE, self.key);
        self.lay(R::TABLE, R::batch(rows));
        #[expect(clippy::disallowed_methods, reason = "the plan reads no table, so there are no newer rows to miss")]
        let inserted = conn.prepare_cached(&sql).and_then(|mut kept| kept.execute([])).map_err(failed)?;
        if inserted != rows.len() {
            let problem = format!("{inserted} of {} rows went into {}", rows.len(), R::TABLE);
            return Err(StoreError::Corrupt { what: "drain", problem });
        }
        Ok(())
    }

    /// Takes visits out of a table that must have them all.
    pub fn delete_visits(&self, conn: &Connection, table: &str, keys: &[VisitKey]) -> Result<(), StoreError> {
        if keys.is_empty() {
            return Ok(());
        }
        let column = Int64Array::from_iter_values(keys.iter().map(|key| key.0));
        let rows = row::record_batch(vec![("visit_key", false, std::sync::Arc::new(column))]);
        let sql = format!(
            "DELETE FROM store.{table} WHERE visit_key IN (SELECT visit_key FROM {FUNCTION}({}, 'keys'))",
            self.key
        );
        self.lay("keys", rows.clone());
        #[expect(clippy::disallowed_methods, reason = "what a kept plan missed is found by one that is made anew")]
        let mut deleted = conn.prepare_cached(&sql)?.execute([])?;
        if deleted < keys.len() {
            self.lay("keys", rows);
            deleted += conn.execute(&sql, [])?;
        }
        if deleted != keys.len() {
            let problem = format!("{} of {} visits to move were not in {table}", keys.len() - deleted, keys.len());
            return Err(StoreError::Corrupt { what: "visits", problem });
        }
        Ok(())
    }

    fn lay(&self, name: &str, rows: RecordBatch) {
        laid().insert((self.key, name.to_owned()), Laid { schema: rows.schema(), rows: Some(rows) });
    }
}

impl Drop for Tray {
    fn drop(&mut self) {
        laid().retain(|(key, _), _| *key != self.key);
    }
}

/// Gives what lies ready under a key and a name, once.
struct Rows;

struct Giving {
    /// What is still to be given; none before the first piece.
    rest: Mutex<Option<RecordBatch>>,
}

impl VTab for Rows {
    type InitData = Giving;
    type BindData = (i64, String);

    fn parameters() -> Option<Vec<LogicalTypeHandle>> {
        Some(vec![LogicalTypeId::Bigint.into(), LogicalTypeId::Varchar.into()])
    }

    fn bind(bind: &BindInfo) -> Result<Self::BindData, Box<dyn Error>> {
        let place = (bind.get_parameter(0).to_int64(), bind.get_parameter(1).to_string());
        let schema = laid().get(&place).ok_or("nothing lies ready")?.schema.clone();
        for field in schema.fields() {
            bind.add_result_column(field.name(), to_duckdb_logical_type_for_field(field)?);
        }
        // Few beside any table, so that it is the table that is searched for them.
        bind.set_cardinality(1, false);
        Ok(place)
    }

    fn init(_: &InitInfo) -> Result<Self::InitData, Box<dyn Error>> {
        Ok(Giving { rest: Mutex::new(None) })
    }

    fn func(call: &TableFunctionInfo<Self>, output: &mut DataChunkHandle) -> Result<(), Box<dyn Error>> {
        let mut rest = call.get_init_data().rest.lock().expect("no one panics with the rest");
        let rows = match rest.take() {
            Some(rows) => rows,
            None => {
                laid().get_mut(call.get_bind_data()).and_then(|laid| laid.rows.take()).ok_or("nothing lies ready")?
            }
        };
        let piece = rows.slice(0, rows.num_rows().min(CHUNK_ROWS));
        *rest = Some(rows.slice(piece.num_rows(), rows.num_rows() - piece.num_rows()));
        record_batch_to_duckdb_data_chunk(&piece, output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conn() -> Connection {
        let conn = Connection::open_in_memory().unwrap();
        register(&conn).unwrap();
        let table = "CREATE SCHEMA store;
            CREATE TABLE store.open_visits (visit_key BIGINT NOT NULL, site_key INTEGER NOT NULL, map_key INTEGER,
                area_key INTEGER NOT NULL, area_version INTEGER NOT NULL, client_key INTEGER NOT NULL,
                source UTINYINT NOT NULL, entered_at TIMESTAMPTZ NOT NULL)";
        conn.execute_batch(table).unwrap();
        conn
    }

    fn visits(keys: std::ops::Range<i64>) -> Vec<row::OpenVisit> {
        let visit = |key: i64| row::OpenVisit {
            visit_key: key,
            site_key: 1,
            map_key: (key % 2 == 0).then_some(2),
            area_key: 3,
            area_version: 1,
            client_key: 4,
            source: 0,
            entered_at: row::Instant(key * 1000),
        };
        keys.map(visit).collect()
    }

    fn left(conn: &Connection) -> (i64, i64, i64) {
        let sql = "SELECT count(*), coalesce(sum(visit_key), 0)::BIGINT, count(map_key) FROM store.open_visits";
        conn.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap()
    }

    #[test]
    fn every_row_arrives_once_whatever_their_number() {
        let (conn, tray) = (conn(), Tray::new());
        let mut all = 0;
        // Around the size of a chunk, and again with the plan that was kept.
        for rows in [1, 2, 2047, 2048, 2049, 5000, 0, 1] {
            tray.append(&conn, &visits(all..all + rows)).unwrap();
            all += rows;
            assert_eq!(left(&conn), (all, all * (all - 1) / 2, all.div_euclid(2) + all % 2));
        }
        let keys: Vec<VisitKey> = (0..all).filter(|key| key % 3 > 0).map(VisitKey).collect();
        tray.delete_visits(&conn, "open_visits", &keys).unwrap();
        assert_eq!(left(&conn).0, all - keys.len() as i64);
        let again = tray.delete_visits(&conn, "open_visits", &[VisitKey(0), VisitKey(1)]);
        assert!(matches!(again, Err(StoreError::Corrupt { .. })), "{again:?}");
    }

    #[test]
    fn a_tray_is_its_owners() {
        let (conn, other) = (conn(), Tray::new());
        let taken = conn.execute(&format!("INSERT INTO store.open_visits FROM {FUNCTION}({}, 'keys')", other.key), []);
        assert!(taken.unwrap_err().to_string().contains("nothing lies ready"));
        let key = other.key;
        other.append(&conn, &visits(0..3)).unwrap();
        drop(other);
        assert!(!laid().keys().any(|(of, _)| *of == key));
    }
}
