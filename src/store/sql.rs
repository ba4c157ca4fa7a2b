//! Questions of people's own, in SQL: one statement that only reads, within limits of time and rows.
//!
//! What the guard lets pass runs in a read-only transaction on an instance that may touch no file but its own.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use duckdb::arrow::datatypes::SchemaRef;
use duckdb::arrow::record_batch::RecordBatch;
use duckdb::types::{TimeUnit, Value};
use duckdb::{Connection, InterruptHandle, ToSql, params_from_iter};

use super::guard::check;
use super::{Store, StoreError, allocation};

/// Why a question was not answered.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// It is not one that may be asked, or is no SQL; the text says why.
    #[error("{0}")]
    Refused(String),
    #[error("it was given up before it was answered")]
    Interrupted,
    #[error("the question could not be asked")]
    Store(#[from] StoreError),
}

impl From<duckdb::Error> for SqlError {
    fn from(error: duckdb::Error) -> SqlError {
        match error.to_string() {
            text if text.contains("INTERRUPT") => SqlError::Interrupted,
            // What was asked before may hold what there is, still; then a look at the statement finds none.
            text if text.starts_with("Out of Memory") => SqlError::Refused(text),
            _ => SqlError::Store(error.into()),
        }
    }
}

/// A value for a parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum Parameter {
    Null,
    Flag(bool),
    Integer(i64),
    Number(f64),
    /// An instant, Unix microseconds.
    Time(i64),
    /// Stands for whatever is wanted where it stands, as a quoted literal does.
    Text(String),
}

impl Parameter {
    fn value(self) -> Value {
        match self {
            Parameter::Null => Value::Null,
            Parameter::Flag(flag) => Value::Boolean(flag),
            Parameter::Integer(integer) => Value::BigInt(integer),
            Parameter::Number(number) => Value::Double(number),
            Parameter::Time(micros) => Value::Timestamp(TimeUnit::Microsecond, micros),
            Parameter::Text(text) => Value::Text(text),
        }
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub schema: SchemaRef,
    pub batches: Vec<RecordBatch>,
    /// Whether there were more rows than asked for.
    pub is_truncated: bool,
}

/// What may be asked from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Open {
    /// The views that people are given, and what describes them.
    Views,
    /// All of a database that holds nothing but descriptions.
    Catalogue,
}

/// A connection for one question. The handle gives it up from elsewhere.
pub struct Asking {
    conn: Connection,
    open: Open,
    /// What it executes so that patterns have bounds.
    with_patterns: String,
    /// The file is not closed before the question is over.
    _store: Option<Store>,
    pub handle: Arc<Interrupt>,
}

/// The most that one answer may take when it is kept whole.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// Gives a question up.
#[derive(Default)]
pub struct Interrupt {
    /// `None` once the question is over. Held while it is used: the library's own handle may be used while its connection
    /// is being closed, and then reaches freed memory.
    handle: Mutex<Option<Arc<InterruptHandle>>>,
}

/// How often a question is given up until it is over.
const INTERRUPT_EVERY: Duration = Duration::from_millis(20);

impl Interrupt {
    /// Returns at once, and does nothing to a question that is over.
    ///
    /// DuckDB forgets an interrupt that comes just before a statement begins, so it is said again until it is heard.
    pub fn interrupt(self: &Arc<Interrupt>) {
        if self.say() {
            let interrupt = self.clone();
            std::thread::spawn(move || {
                while interrupt.say() {
                    std::thread::sleep(INTERRUPT_EVERY);
                }
            });
        }
    }

    /// Tells whether anybody could hear it.
    fn say(&self) -> bool {
        let handle = self.handle.lock().expect("no one panics with the handle");
        handle.as_ref().inspect(|handle| handle.interrupt()).is_some()
    }
}

impl Drop for Asking {
    /// Before the connection is closed.
    fn drop(&mut self) {
        *self.handle.handle.lock().expect("no one panics with the handle") = None;
    }
}

/// A piece of an answer: first the columns, then rows.
pub enum Piece {
    Schema(SchemaRef),
    Rows(RecordBatch),
}

impl Asking {
    pub fn new(store: &Store) -> Result<Asking, StoreError> {
        let with_patterns = store.inner.bounds.with_patterns.clone();
        Ok(Asking::on(store.bounded_connection()?, Open::Views, with_patterns, Some(store.clone())))
    }

    pub(super) fn on(conn: Connection, open: Open, with_patterns: String, store: Option<Store>) -> Asking {
        let handle = Arc::new(Interrupt { handle: Mutex::new(Some(conn.interrupt_handle())) });
        Asking { conn, open, with_patterns, _store: store, handle }
    }

    /// Asks. Blocks; memory for the rows.
    pub fn ask(self, sql: &str, params: Vec<Parameter>, rows_max: usize) -> Result<Answer, SqlError> {
        let (mut schema, mut batches, mut bytes) = (None, Vec::new(), 0);
        let is_truncated = self.stream(sql, params, rows_max, |piece| {
            match piece {
                Piece::Schema(columns) => schema = Some(columns),
                Piece::Rows(batch) => {
                    bytes += batch.get_array_memory_size();
                    batches.push(batch);
                }
            }
            bytes <= ANSWER_BYTES_MAX
        })?;
        if bytes > ANSWER_BYTES_MAX {
            let limit = ANSWER_BYTES_MAX >> 20;
            return Err(SqlError::Refused(format!(
                "the answer is larger than {limit} MiB: ask for fewer rows or columns"
            )));
        }
        let schema = schema.ok_or(SqlError::Interrupted)?;
        Ok(Answer { schema, batches, is_truncated })
    }

    /// Asks, and hands the answer on piece by piece, until `take` wants no more. Tells whether there were more rows
    /// than `rows_max`. Blocks; memory for a piece, and for what DuckDB must see whole.
    pub fn stream(
        self,
        sql: &str,
        params: Vec<Parameter>,
        rows_max: usize,
        take: impl FnMut(Piece) -> bool,
    ) -> Result<bool, SqlError> {
        let inner = sql.trim_end_matches(|c: char| c.is_whitespace() || c == ';');
        // What is checked is what is run, word for word.
        let sql = format!("SELECT * FROM (\n{inner}\n) LIMIT {}", rows_max + 1);
        self.check(inner, &sql)?;
        self.conn.execute_batch("BEGIN TRANSACTION READ ONLY")?;
        let answer = self.run(&sql, params, rows_max, take);
        // Nothing was written; one that failed may have ended already.
        let _ = self.conn.execute_batch("ROLLBACK");
        answer
    }

    /// The columns that an answer will have, and how many parameters the statement has; those that are not given are
    /// taken for null. Nothing is asked. Blocks.
    pub fn describe(self, sql: &str, params: &[Parameter]) -> Result<(SchemaRef, usize), SqlError> {
        let inner = sql.trim_end_matches(|c: char| c.is_whitespace() || c == ';');
        let sql = format!("SELECT * FROM (\n{inner}\n) LIMIT 0");
        self.check(inner, &sql)?;
        let _for_person = allocation::for_person();
        let mut statement = self.conn.prepare(&sql).map_err(refused)?;
        let count = statement.parameter_count();
        let given = params.iter().cloned().map(Parameter::value);
        let values: Vec<Value> = given.chain(std::iter::repeat(Value::Null)).take(count).collect();
        let params = params_from_iter(values.iter().map(|value| value as &dyn ToSql));
        let schema = statement.query_arrow(params).map_err(refused)?.get_schema();
        Ok((schema, count))
    }

    /// Whether it may be asked; then the connection has what it needs for that.
    fn check(&self, inner: &str, whole: &str) -> Result<(), SqlError> {
        let _for_person = allocation::for_person();
        let checked = check(&self.conn, self.open, inner, whole)?;
        if checked.has_open_patterns {
            self.conn.execute_batch(&self.with_patterns)?;
        }
        Ok(())
    }

    fn run(
        &self,
        sql: &str,
        params: Vec<Parameter>,
        rows_max: usize,
        mut take: impl FnMut(Piece) -> bool,
    ) -> Result<bool, SqlError> {
        let _for_person = allocation::for_person();
        let mut statement = self.conn.prepare(sql).map_err(refused)?;
        let values: Vec<Value> = params.into_iter().map(Parameter::value).collect();
        if statement.parameter_count() != values.len() {
            let (wanted, given) = (statement.parameter_count(), values.len());
            return Err(SqlError::Refused(format!("the statement has {wanted} parameters, and {given} were given")));
        }
        let params = params_from_iter(values.iter().map(|value| value as &dyn ToSql));
        let schema = statement.stream_arrow(params).map_err(refused)?.get_schema();
        let (mut left, mut is_wanted) = (rows_max, take(Piece::Schema(schema)));
        while is_wanted {
            // Not the iterator, which panics where this tells of an error.
            let Some(rows) = statement.step().map_err(refused)? else { break };
            let batch = RecordBatch::from(&rows);
            if batch.num_rows() > left {
                take(Piece::Rows(batch.slice(0, left)));
                return Ok(true);
            }
            left -= batch.num_rows();
            is_wanted = take(Piece::Rows(batch));
        }
        Ok(false)
    }
}

/// What DuckDB says of a statement is for whoever wrote it.
fn refused(error: duckdb::Error) -> SqlError {
    let text = error.to_string();
    if text.contains("INTERRUPT") { SqlError::Interrupted } else { SqlError::Refused(text) }
}

/// A view, and what it says of itself.
#[derive(Clone, Debug)]
pub struct ViewRow {
    pub name: String,
    pub comment: String,
    pub columns: Vec<ColumnRow>,
}

#[derive(Clone, Debug)]
pub struct ColumnRow {
    pub name: String,
    pub data_type: String,
    pub comment: Option<String>,
}

/// The views that people ask from.
pub fn schema(conn: &Connection) -> Result<Vec<ViewRow>, StoreError> {
    let sql = "SELECT v.view_name, v.comment, c.column_name, c.data_type, c.comment
               FROM duckdb_views() v JOIN duckdb_columns() c ON c.table_oid = v.view_oid AND c.schema_name = v.schema_name
               WHERE v.schema_name = 'main' AND NOT v.internal ORDER BY v.view_name, c.column_index";
    let mut statement = conn.prepare(sql)?;
    let rows = statement.query_map([], |row| {
        let column = ColumnRow { name: row.get(2)?, data_type: row.get(3)?, comment: row.get(4)? };
        Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?.unwrap_or_default(), column))
    })?;
    let mut views: Vec<ViewRow> = Vec::new();
    for row in rows {
        let (name, comment, column) = row?;
        match views.last_mut() {
            Some(view) if view.name == name => view.columns.push(column),
            _ => views.push(ViewRow { name, comment, columns: vec![column] }),
        }
    }
    Ok(views)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_memory_is_told_to_whoever_asks() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch("SET memory_limit = '4MB'; SET temp_directory = ''").unwrap();
        let failed = |sql: &str| SqlError::from(conn.execute_batch(sql).unwrap_err());
        let found = failed("CREATE TABLE t AS SELECT range, hash(range) FROM range(5000000)");
        assert!(matches!(&found, SqlError::Refused(why) if why.starts_with("Out of Memory")), "{found}");
        assert!(matches!(failed("SELECT nothing"), SqlError::Store(_)));
    }
}
