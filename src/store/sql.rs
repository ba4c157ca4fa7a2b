//! Questions of people's own, in SQL: one statement that only reads, within limits of time and rows.
//!
//! DuckDB's own parser says what a text is. It must be exactly one SELECT, of the views people are given, and of table
//! functions that reach nothing outside. What passes runs in a read-only transaction on an instance that may touch no
//! file but its own.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use duckdb::arrow::datatypes::SchemaRef;
use duckdb::arrow::record_batch::RecordBatch;
use duckdb::types::{TimeUnit, Value};
use duckdb::{Connection, InterruptHandle, ToSql, params_from_iter};

use super::{Store, StoreError};

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
        if error.to_string().contains("INTERRUPT") { SqlError::Interrupted } else { SqlError::Store(error.into()) }
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
        Ok(Asking::on(store.connection()?, Open::Views, Some(store.clone())))
    }

    pub(super) fn on(conn: Connection, open: Open, store: Option<Store>) -> Asking {
        let handle = Arc::new(Interrupt { handle: Mutex::new(Some(conn.interrupt_handle())) });
        Asking { conn, open, _store: store, handle }
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
        check(&self.conn, self.open, inner, &sql)?;
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
        check(&self.conn, self.open, inner, &sql)?;
        let mut statement = self.conn.prepare(&sql).map_err(refused)?;
        let count = statement.parameter_count();
        let given = params.iter().cloned().map(Parameter::value);
        let values: Vec<Value> = given.chain(std::iter::repeat(Value::Null)).take(count).collect();
        let params = params_from_iter(values.iter().map(|value| value as &dyn ToSql));
        let schema = statement.query_arrow(params).map_err(refused)?.get_schema();
        Ok((schema, count))
    }

    fn run(
        &self,
        sql: &str,
        params: Vec<Parameter>,
        rows_max: usize,
        mut take: impl FnMut(Piece) -> bool,
    ) -> Result<bool, SqlError> {
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

/// Table functions that reach nothing outside of the question, or only tell of the schema.
const TABLE_FUNCTIONS: [&str; 11] = [
    "range",
    "generate_series",
    "unnest",
    "repeat",
    "repeat_row",
    "json_each",
    "json_tree",
    "duckdb_columns",
    "duckdb_tables",
    "duckdb_views",
    "duckdb_types",
];

/// Functions that run text as SQL, or tell of the machine.
const BANNED_FUNCTIONS: [&str; 6] = ["query", "query_table", "getenv", "current_setting", "getvariable", "write_log"];

/// Built-in views that tell of the machine.
const BANNED_TABLES: [&str; 5] =
    ["duckdb_databases", "duckdb_logs", "duckdb_secrets", "duckdb_settings", "pragma_database_list"];

/// What may stand after FROM.
const TABLE_REFERENCES: [&str; 8] =
    ["EMPTY", "BASE_TABLE", "SUBQUERY", "JOIN", "TABLE_FUNCTION", "EXPRESSION_LIST", "PIVOT", "SHOW_REF"];

/// Whether the text is one statement that may be asked.
fn check(conn: &Connection, open: Open, inner: &str, whole: &str) -> Result<(), SqlError> {
    let refuse = |why: String| Err(SqlError::Refused(why));
    // First the text as it was given: what is wrong there is told in its own terms.
    for sql in [inner, whole] {
        let json: String = conn.query_row("SELECT json_serialize_sql(?::VARCHAR)", [sql], |row| row.get(0))?;
        let Ok(parsed) = serde_json::from_str::<serde_json::Value>(&json) else {
            return refuse("the statement is nested too deep".into());
        };
        if parsed["error"] == true {
            let message = parsed["error_message"].as_str().unwrap_or("it cannot be read");
            let is_other = parsed["error_type"] == "not implemented";
            let only = "only statements that read may be asked: SELECT, FROM, VALUES, DESCRIBE, SUMMARIZE, SHOW TABLES";
            return refuse(if is_other { only.into() } else { message.to_owned() });
        }
        match parsed["statements"].as_array().map_or(0, Vec::len) {
            0 => return refuse("there is no statement".into()),
            1 => check_node(&parsed["statements"], open)?,
            _ => return refuse("give one statement at a time".into()),
        }
    }
    Ok(())
}

fn check_node(node: &serde_json::Value, open: Open) -> Result<(), SqlError> {
    use serde_json::Value;
    match node {
        Value::Array(nodes) => nodes.iter().try_for_each(|node| check_node(node, open)),
        Value::Object(members) => {
            check_object(members, open)?;
            members.iter().try_for_each(|(name, member)| {
                let is_reference =
                    name == "from_table" || matches!(name.as_str(), "left" | "right") && member.get("class").is_none();
                let kind = member.get("type").and_then(Value::as_str);
                let is_node = kind.is_none_or(|kind| kind.ends_with("_NODE"));
                if is_reference && !is_node && !kind.is_some_and(|kind| TABLE_REFERENCES.contains(&kind)) {
                    return Err(SqlError::Refused(format!("{} may not be asked from", kind.unwrap_or("this"))));
                }
                check_node(member, open)
            })
        }
        _ => Ok(()),
    }
}

fn check_object(object: &serde_json::Map<String, serde_json::Value>, open: Open) -> Result<(), SqlError> {
    let text = |name: &str| object.get(name).and_then(serde_json::Value::as_str).unwrap_or_default().to_lowercase();
    let refuse = |why: String| Err(SqlError::Refused(why));
    let kind = text("type");
    match kind.as_str() {
        "base_table" => {
            let (catalog, schema, table) = (text("catalog_name"), text("schema_name"), text("table_name"));
            let is_open = open == Open::Catalogue || matches!(schema.as_str(), "" | "main" | "information_schema");
            if !catalog.is_empty() || !is_open || BANNED_TABLES.contains(&table.as_str()) {
                let name = if schema.is_empty() { table } else { format!("{schema}.{table}") };
                return refuse(format!("{name} may not be asked from: the views of /v1/sql/schema may"));
            }
        }
        "show_ref" => {
            let shown = text("table_name");
            if !matches!(shown.as_str(), "" | "\"tables\"" | "__show_tables_expanded") {
                return refuse(format!("SHOW {shown} may not be asked: SHOW TABLES may, and DESCRIBE a view"));
            }
        }
        "table_function" => {
            let function = &object["function"];
            let name = function["function_name"].as_str().unwrap_or_default().to_lowercase();
            let is_described = open == Open::Catalogue && name.starts_with("pg_");
            if !TABLE_FUNCTIONS.contains(&name.as_str()) && !is_described {
                return refuse(format!("{name}() may not be asked from"));
            }
        }
        _ => {}
    }
    let function = text("function_name");
    let is_harmless = open == Open::Catalogue && function == "current_setting";
    if BANNED_FUNCTIONS.contains(&function.as_str()) && !is_harmless {
        return refuse(format!("{function}() may not be used"));
    }
    Ok(())
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
