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
        self.lay("keys", rows);
        let deleted = conn.execute(&sql, [])?;
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
