//! What is said in a connection: the login, statements, answers.

use std::collections::{HashMap, VecDeque};
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use bytes::Bytes;
use futures::{Sink, stream};
use pgwire::api::auth::mechanism::AuthMechanismFactory;
use pgwire::api::auth::{
    AuthDriver, AuthOutcome, DefaultServerParameterProvider, StartupHandler, protocol_negotiation,
    save_startup_parameters_to_metadata,
};
use pgwire::api::cancel::CancelHandler;
use pgwire::api::portal::{Format, Portal, PortalExecutionState};
use pgwire::api::query::{ExtendedQueryHandler, SimpleQueryHandler, send_query_response};
use pgwire::api::results::{
    DescribePortalResponse, DescribeStatementResponse, FieldInfo, QueryResponse, Response, Tag,
};
use pgwire::api::stmt::{QueryParser, StoredStatement};
use pgwire::api::store::{Entry, PortalStore};
use pgwire::api::{ClientInfo, ClientPortalStore, DEFAULT_NAME, METADATA_USER, PgWireConnectionState, Type};
use pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use pgwire::messages::cancel::CancelRequest;
use pgwire::messages::extendedquery::Execute;
use pgwire::messages::response::TransactionStatus;
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::statement::{self, Statement};
use super::{Options, PostgresError, login, values};
use crate::access::Access;
use crate::give_up::{GiveUp, Over};
use crate::store::catalogue::{Attribute, Catalogue, Relation};
use crate::store::sql::{self, Asking, Interrupt, Parameter, Piece, SqlError};
use crate::store::{Store, StoreError};

/// What all connections share.
pub struct Session {
    store: Store,
    catalogue: Catalogue,
    parser: Arc<Parser>,
    driver: AuthDriver<DefaultServerParameterProvider>,
    mechanism: Box<dyn AuthMechanismFactory>,
    access: Access,
    is_tls_required: bool,
    /// Statements that are asked at a time.
    turns: Arc<Semaphore>,
    statement_timeout: Duration,
    rows_max: usize,
    /// What each connection is asking, by its number and secret.
    running: Arc<Mutex<HashMap<Connection, Arc<Interrupt>>>>,
}

/// Texts without a value that are tried by themselves when a statement is described: each costs a plan.
const TEXTS_TRIED: usize = 16;

/// Pieces of an answer that wait for the client before the question waits, too.
const PIECES_WAITING: usize = 2;

/// How long a statement waits while others are asked.
const TURN_WAIT: Duration = Duration::from_secs(10);

/// Longest statement.
const SQL_BYTES_MAX: usize = 100_000;

/// A connection's number and secret, which cancel its statement.
type Connection = (i32, Bytes);

/// A statement as it was prepared.
#[derive(Clone, Debug)]
pub struct Prepared {
    statement: Statement,
    /// Its parameters' types, as far as the client or the statement tells.
    types: Vec<Type>,
}

/// An error as PostgreSQL tells it; the code is one of its SQLSTATEs.
fn error(code: &str, message: impl Into<String>) -> PgWireError {
    PgWireError::UserError(Box::new(ErrorInfo::new("ERROR".into(), code.into(), message.into())))
}

fn told(found: SqlError) -> PgWireError {
    match found {
        SqlError::Interrupted => error("57014", "canceling statement due to user request"),
        SqlError::Refused(text) => {
            let code = match &text {
                text if text.starts_with("Catalog Error") => "42P01",
                text if text.starts_with("Binder Error") => "42703",
                text if text.starts_with("Conversion Error") => "22P02",
                text if text.starts_with("Out of Memory") => "53200",
                text if text.starts_with("only statements that read") => "25006",
                text if text.contains("may not be") => "42501",
                _ => "42601",
            };
            error(code, text)
        }
        SqlError::Store(found) => {
            tracing::error!(error = &found as &dyn std::error::Error, "a PostgreSQL client's question failed");
            error("XX000", "the question could not be asked; the server's log tells why")
        }
    }
}

impl Session {
    pub fn new(
        options: &Options,
        store: Store,
        turns: Arc<Semaphore>,
        access: Access,
    ) -> Result<Session, PostgresError> {
        let mut relations = Vec::new();
        for view in store.read(sql::schema)? {
            let select = format!("SELECT * FROM {}", view.name);
            let (schema, _) = Asking::new(&store)?.describe(&select, &[]).map_err(|error| match error {
                SqlError::Store(error) => error,
                other => StoreError::Corrupt { what: "view", problem: other.to_string() },
            })?;
            let columns = schema.fields().iter().zip(view.columns).map(|(field, column)| Attribute {
                name: field.name().clone(),
                type_oid: values::type_of(field.data_type()).oid(),
                comment: column.comment,
            });
            relations.push(Relation { name: view.name, comment: view.comment, columns: columns.collect() });
        }
        let catalogue = Catalogue::new(&relations, &login::settings())?;
        Ok(Session {
            store,
            catalogue,
            parser: Arc::new(Parser { views: relations.into_iter().map(|relation| relation.name).collect() }),
            driver: AuthDriver::new(login::parameters()),
            mechanism: login::Users::new(&options.users).mechanism(),
            access,
            is_tls_required: options.is_tls_required,
            turns,
            statement_timeout: options.statement_timeout,
            rows_max: options.rows_max,
            running: Arc::default(),
        })
    }

    fn asking(&self, statement: &Statement) -> PgWireResult<Asking> {
        let asking = match statement {
            Statement::Question(_) => Asking::new(&self.store),
            _ => self.catalogue.ask(),
        };
        asking.map_err(|problem| told(SqlError::Store(problem)))
    }

    /// Does what a statement says.
    async fn answer<C: ClientInfo + ClientPortalStore>(
        &self,
        client: &C,
        statement: &Statement,
        params: Vec<Parameter>,
        format: &Format,
    ) -> PgWireResult<Response>
    where
        C::PortalStore: PortalStore,
    {
        use statement::Session as S;
        let ends = matches!(statement, Statement::Session(S::Commit | S::Rollback));
        if client.transaction_status() == TransactionStatus::Error && !ends {
            return Err(error(
                "25P02",
                "current transaction is aborted, commands ignored until end of transaction block",
            ));
        }
        let session = match statement {
            Statement::Session(session) => session,
            Statement::Catalogue(text) | Statement::Question(text) => {
                return self.ask(client, statement, text.clone(), params, format).await;
            }
        };
        Ok(match session {
            S::Begin => Response::TransactionStart(Tag::new("BEGIN")),
            S::Commit => Response::TransactionEnd(Tag::new("COMMIT")),
            S::Rollback => Response::TransactionEnd(Tag::new("ROLLBACK")),
            S::Nothing(tag) => Response::Execution(Tag::new(tag)),
            S::Set { name, value } => {
                check_set(name, value)?;
                Response::Execution(Tag::new("SET"))
            }
            S::Show(name) => {
                let text = show(name)?;
                let statement = Statement::Catalogue(text.clone());
                let shown = self.ask(client, &statement, text, Vec::new(), format).await?;
                match shown {
                    Response::Query(mut rows) => {
                        rows.set_command_tag("SHOW");
                        Response::Query(rows)
                    }
                    other => other,
                }
            }
            S::Deallocate(name) => {
                if let Some(name) = name {
                    client.portal_store().rm_statement(name);
                }
                Response::Execution(Tag::new("DEALLOCATE"))
            }
        })
    }

    async fn turn(&self) -> PgWireResult<OwnedSemaphorePermit> {
        match timeout(TURN_WAIT, self.turns.clone().acquire_owned()).await {
            Ok(turn) => turn.map_err(|_| error("57P01", "the server is stopping")),
            Err(_) => Err(error("53300", "other statements are being asked: ask again later")),
        }
    }

    /// Asks, and answers as soon as the columns are known; rows follow as they are taken.
    async fn ask<C: ClientInfo>(
        &self,
        client: &C,
        statement: &Statement,
        text: String,
        params: Vec<Parameter>,
        format: &Format,
    ) -> PgWireResult<Response> {
        let turn = self.turn().await?;
        let asking = self.asking(statement)?;
        let (number, secret) = client.pid_and_secret_key();
        let running = Running::new(self, (number, secret.to_bytes()), asking.handle.clone());
        let (mut line, mut pieces) = running.give_up.line(PIECES_WAITING);
        let (rows_max, over) = (self.rows_max, running.give_up.over());
        let statement_timeout = self.statement_timeout;
        let asked = tokio::task::spawn_blocking(move || {
            // It is over with the question, whether or not the client reads on.
            let _turn = turn;
            let mut is_taken = true;
            let asked = asking.stream(&text, params, rows_max, |piece| {
                is_taken = line.send(piece);
                is_taken
            });
            match asked {
                Ok(false) if is_taken => Ok(()),
                Ok(true) => {
                    Err(error("54000", format!("the answer has more than {rows_max} rows: ask for less, or LIMIT it")))
                }
                Ok(false) | Err(SqlError::Interrupted) if over() == Some(Over::Late) => Err(late(statement_timeout)),
                Ok(false) => Err(told(SqlError::Interrupted)),
                Err(problem) => Err(told(problem)),
            }
        });
        let schema = match running.heard(pieces.recv()).await? {
            Some(Piece::Schema(schema)) => schema,
            Some(Piece::Rows(_)) => return Err(no_end()),
            None => return Err(ended(asked).await.err().unwrap_or_else(no_end)),
        };
        let fields = Arc::new(values::fields(&schema, format));
        let rows = Rows { pieces, asked: Some(asked), ready: VecDeque::new(), fields: fields.clone(), running };
        Ok(Response::Query(QueryResponse::new(fields, rows.stream())))
    }

    /// The columns that an answer will have, and how many parameters the statement has, where no values are known yet.
    ///
    /// What stands for a text decides what a column made of it is, and may be no value of the type that is wanted there:
    /// then each is tried by itself.
    async fn describe_types(&self, statement: &Statement, types: &[Type]) -> PgWireResult<Option<(SchemaRef, usize)>> {
        let text = || Parameter::Text(String::new());
        let is_text = |place: usize| placeholder(&types[place]) == Parameter::Null;
        let mut values: Vec<Parameter> =
            types.iter().map(placeholder).map(|value| if value == Parameter::Null { text() } else { value }).collect();
        if let Ok(described) = self.describe(statement, values.clone()).await {
            return Ok(described);
        }
        let texts: Vec<usize> = (0..types.len()).filter(|place| is_text(*place)).collect();
        texts.iter().for_each(|place| values[*place] = Parameter::Null);
        let mut described = self.describe(statement, values.clone()).await?;
        for place in texts.iter().take(TEXTS_TRIED).filter(|_| texts.len() > 1) {
            values[*place] = text();
            match self.describe(statement, values.clone()).await {
                Ok(better) => described = better,
                Err(_) => values[*place] = Parameter::Null,
            }
        }
        Ok(described)
    }

    /// The columns that an answer will have, and how many parameters the statement has.
    async fn describe(
        &self,
        statement: &Statement,
        params: Vec<Parameter>,
    ) -> PgWireResult<Option<(SchemaRef, usize)>> {
        let text = match statement {
            Statement::Catalogue(text) | Statement::Question(text) => text.clone(),
            Statement::Session(statement::Session::Show(name)) => show(name)?,
            Statement::Session(_) => return Ok(None),
        };
        let turn = self.turn().await?;
        let asking = self.asking(statement)?;
        let give_up = GiveUp::after(self.statement_timeout, std::future::pending(), &asking.handle);
        let describing = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            asking.describe(&text, &params)
        });
        let described = give_up.heard(describing).await.ok_or_else(|| late(self.statement_timeout))?;
        described.map_err(|_| error("XX000", "the statement could not be described"))?.map(Some).map_err(told)
    }
}

/// What SHOW asks the catalogue.
fn show(name: &str) -> PgWireResult<String> {
    if name == "all" {
        return Ok("SELECT name, setting, short_desc AS description FROM pg_settings ORDER BY name".into());
    }
    let lower = name.to_lowercase();
    if !login::settings().iter().any(|(known, _)| *known == lower) {
        return Err(error("42704", format!("unrecognized configuration parameter {name:?}")));
    }
    Ok(format!("SELECT setting AS \"{lower}\" FROM pg_settings WHERE name = '{lower}' LIMIT 1"))
}

/// Settings can be set to nothing that would change an answer.
fn check_set(name: &str, value: &str) -> PgWireResult<()> {
    let value = value.trim_matches(['\'', '"']).to_lowercase();
    let is_default = value == "default";
    match name.to_lowercase().as_str() {
        "timezone" if !is_default && !matches!(value.as_str(), "utc" | "gmt" | "etc/utc" | "z" | "0" | "local") => {
            let text = "times are told in UTC here: for another zone write entered_at AT TIME ZONE 'Europe/Zurich'";
            Err(error("0A000", text))
        }
        "client_encoding" if !is_default && !matches!(value.as_str(), "utf8" | "utf-8" | "unicode") => {
            Err(error("22023", "texts are UTF-8 here"))
        }
        "standard_conforming_strings" if !is_default && value != "on" => {
            Err(error("22023", "standard_conforming_strings is on here"))
        }
        known if login::settings().iter().any(|(name, _)| *name == known) => Ok(()),
        _ => Err(error("42704", format!("unrecognized configuration parameter {name:?}"))),
    }
}

/// A statement that is being asked: dropped, it is given up, and after its time, too.
struct Running {
    all: Arc<Mutex<HashMap<Connection, Arc<Interrupt>>>>,
    connection: Connection,
    give_up: GiveUp,
    statement_timeout: Duration,
}

impl Running {
    fn new(session: &Session, connection: Connection, handle: Arc<Interrupt>) -> Running {
        // A server that stops drops it.
        let give_up = GiveUp::after(session.statement_timeout, std::future::pending(), &handle);
        let all = session.running.clone();
        all.lock().expect("no one panics with the list").insert(connection.clone(), handle);
        Running { all, connection, give_up, statement_timeout: session.statement_timeout }
    }

    /// What comes of it, unless it does not even hear that its time is over.
    async fn heard<T>(&self, coming: impl Future<Output = T>) -> PgWireResult<T> {
        self.give_up.heard(coming).await.ok_or_else(|| late(self.statement_timeout))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.all.lock().expect("no one panics with the list").remove(&self.connection);
    }
}

/// Whether the statement was answered to its end.
type Asked = JoinHandle<PgWireResult<()>>;

async fn ended(asked: Asked) -> PgWireResult<()> {
    asked.await.unwrap_or_else(|_| Err(no_end()))
}

fn late(timeout: Duration) -> PgWireError {
    let timeout_s = timeout.as_secs_f64();
    error("57014", format!("canceling statement due to statement timeout, {timeout_s} s: ask for less"))
}

fn no_end() -> PgWireError {
    error("XX000", "the question ended without an answer")
}

/// Rows on their way.
struct Rows {
    pieces: mpsc::Receiver<Piece>,
    /// Asked once there are no more pieces.
    asked: Option<Asked>,
    ready: VecDeque<pgwire::messages::data::DataRow>,
    fields: Arc<Vec<FieldInfo>>,
    running: Running,
}

impl Rows {
    fn stream(self) -> impl futures::Stream<Item = PgWireResult<pgwire::messages::data::DataRow>> + Send {
        stream::unfold(self, |mut rows| async move {
            loop {
                if let Some(row) = rows.ready.pop_front() {
                    return Some((Ok(row), rows));
                }
                let piece = match rows.running.heard(rows.pieces.recv()).await {
                    Ok(piece) => piece,
                    Err(problem) => return Some((Err(problem), rows)),
                };
                match piece {
                    Some(Piece::Rows(batch)) => match values::rows(&batch, &rows.fields) {
                        Ok(ready) => rows.ready = ready.into(),
                        Err(problem) => return Some((Err(error("XX000", problem.to_string())), rows)),
                    },
                    Some(Piece::Schema(_)) => {}
                    None => return Some((Err(ended(rows.asked.take()?).await.err()?), rows)),
                }
            }
        })
    }
}

fn user<C: ClientInfo>(client: &C) -> String {
    client.metadata().get(METADATA_USER).cloned().unwrap_or_default()
}

#[async_trait]
impl StartupHandler for Session {
    async fn on_startup<C>(&self, client: &mut C, message: PgWireFrontendMessage) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        match message {
            PgWireFrontendMessage::Startup(startup) => {
                protocol_negotiation(client, &startup).await?;
                save_startup_parameters_to_metadata(client, &startup);
                if self.is_tls_required && !client.is_secure() {
                    let text = "only TLS is spoken here: connect with sslmode=require";
                    let info = ErrorInfo::new("FATAL".into(), "28000".into(), text.into());
                    return Err(PgWireError::UserError(Box::new(info)));
                }
                let begun = self.driver.begin_authentication(client, self.mechanism.create()).await?;
                self.let_in(client, begun).await
            }
            PgWireFrontendMessage::PasswordMessageFamily(message) => {
                let peer = Some(client.socket_addr().ip());
                let failed = |reason: String, code: &str| {
                    // The name is not told: some type their password there.
                    tracing::warn!(peer = peer.map(|peer| peer.to_string()), %reason, "a PostgreSQL client's login failed");
                    PgWireError::UserError(Box::new(ErrorInfo::new("FATAL".into(), code.into(), reason)))
                };
                // Before the proof is looked at: whoever guesses learns nothing more.
                if let Some(wait_s) = self.access.failures().blocked(peer) {
                    return Err(failed(
                        format!("too many attempts failed from this address: wait {wait_s} s"),
                        "28000",
                    ));
                }
                let found = self.driver.advance_authentication(client, message).await;
                let begun = found.map_err(|_| {
                    self.access.failures().failed(peer);
                    failed("the name or the password is wrong".into(), "28P01")
                })?;
                self.let_in(client, begun).await
            }
            _ => {
                let text = "say who you are first";
                let info = ErrorInfo::new("FATAL".into(), "08P01".into(), text.into());
                Err(PgWireError::UserError(Box::new(info)))
            }
        }
    }
}

impl Session {
    async fn let_in<C>(&self, client: &mut C, outcome: AuthOutcome) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        if let AuthOutcome::Authenticated { final_message, .. } = outcome {
            self.driver.complete_authentication(client, final_message).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl CancelHandler for Session {
    async fn on_cancel_request(&self, request: CancelRequest) {
        let connection = (request.pid, request.secret_key.to_bytes());
        let running = self.running.lock().expect("no one panics with the list").get(&connection).cloned();
        if let Some(handle) = running {
            handle.interrupt();
        }
    }
}

#[async_trait]
impl SimpleQueryHandler for Session {
    async fn do_query<C>(&self, client: &mut C, query: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let statements = self.parser.read(client, query)?;
        // Each holds a turn until its rows are taken.
        if statements.iter().filter(|statement| !matches!(statement, Statement::Session(_))).count() > 1 {
            return Err(error("42601", "give one statement at a time"));
        }
        if statements.is_empty() {
            return Ok(vec![Response::EmptyQuery]);
        }
        let mut answers = Vec::new();
        for statement in statements {
            match self.answer(client, &statement, Vec::new(), &Format::UnifiedText).await {
                Ok(answer) => answers.push(answer),
                Err(PgWireError::UserError(info)) if !answers.is_empty() => {
                    answers.push(Response::Error(info));
                    break;
                }
                Err(problem) => return Err(problem),
            }
        }
        Ok(answers)
    }
}

/// Tells statements and their parameters apart.
pub struct Parser {
    /// Names of the views.
    views: Vec<String>,
}

#[async_trait]
impl QueryParser for Parser {
    type Statement = Prepared;

    async fn parse_sql<C>(&self, client: &C, sql: &str, types: &[Option<Type>]) -> PgWireResult<Option<Prepared>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        let mut statements = self.read(client, sql)?;
        if statements.len() > 1 {
            return Err(error("42601", "give one statement at a time"));
        }
        let Some(statement) = statements.pop() else { return Ok(None) };
        let said = statement::parameter_types(sql);
        let told = |place: usize| types.get(place).cloned().flatten().filter(|kind| *kind != Type::UNKNOWN);
        let cast = |place: usize| said.get(place).cloned().flatten().and_then(|name| values::type_named(&name));
        let types = (0..types.len().max(said.len()))
            .map(|place| told(place).or_else(|| cast(place)).unwrap_or(Type::TEXT))
            .collect();
        Ok(Some(Prepared { statement, types }))
    }

    fn get_parameter_types(&self, prepared: &Prepared) -> PgWireResult<Vec<Type>> {
        Ok(prepared.types.clone())
    }

    fn get_result_schema(&self, _: &Prepared, _: Option<&Format>) -> PgWireResult<Vec<FieldInfo>> {
        Err(error("XX000", "answers are described by asking"))
    }
}

impl Parser {
    fn read<C: ClientInfo>(&self, client: &C, text: &str) -> PgWireResult<Vec<Statement>> {
        if text.len() > SQL_BYTES_MAX || text.contains('\0') {
            return Err(error("54000", format!("a statement may have {SQL_BYTES_MAX} bytes, none of them NUL")));
        }
        statement::read(text, &self.views, &user(client)).map_err(|problem| error("42601", problem))
    }
}

/// The values that were bound.
fn parameters(portal: &Portal<Prepared>) -> PgWireResult<Vec<Parameter>> {
    let types = &portal.statement.statement.types;
    let read = |(place, sent): (usize, &Option<Bytes>)| {
        let is_binary = match &portal.parameter_format {
            Format::Individual(codes) => codes.get(place).is_some_and(|code| *code == 1),
            Format::UnifiedBinary => true,
            Format::UnifiedText => false,
        };
        let kind = types.get(place).unwrap_or(&Type::TEXT);
        values::parameter(sent.as_ref(), is_binary, kind)
            .map_err(|problem| error("22P02", format!("parameter ${}: {problem}", place + 1)))
    };
    portal.parameters.iter().enumerate().map(read).collect()
}

/// What stands for a parameter that has no value yet: something of its type, where a null would not tell it.
fn placeholder(kind: &Type) -> Parameter {
    match *kind {
        Type::BOOL => Parameter::Flag(false),
        Type::INT2 | Type::INT4 | Type::INT8 | Type::OID => Parameter::Integer(0),
        Type::FLOAT4 | Type::FLOAT8 => Parameter::Number(0.0),
        Type::TIMESTAMP | Type::TIMESTAMPTZ => Parameter::Time(0),
        _ => Parameter::Null,
    }
}

/// One format for each column, or one for all: the library takes what a client sends as it comes.
fn check_format(format: &Format, columns: usize) -> PgWireResult<()> {
    match format {
        Format::Individual(codes) if codes.len() != columns => {
            Err(error("08P01", format!("{} result formats were given for {columns} columns", codes.len())))
        }
        _ => Ok(()),
    }
}

#[async_trait]
impl ExtendedQueryHandler for Session {
    type Statement = Prepared;
    type QueryParser = Parser;

    fn query_parser(&self) -> Arc<Parser> {
        self.parser.clone()
    }

    async fn do_describe_statement<C>(
        &self,
        _: &mut C,
        target: &StoredStatement<Prepared>,
    ) -> PgWireResult<DescribeStatementResponse>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let Prepared { statement, types } = &target.statement;
        let mut types = types.clone();
        let fields = match self.describe_types(statement, &types).await? {
            Some((schema, parameters)) => {
                types.resize(parameters.max(types.len()), Type::TEXT);
                values::fields(&schema, &Format::UnifiedText)
            }
            None => Vec::new(),
        };
        Ok(DescribeStatementResponse::new(types, fields))
    }

    async fn do_describe_portal<C>(&self, _: &mut C, portal: &Portal<Prepared>) -> PgWireResult<DescribePortalResponse>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let fields = match self.describe(&portal.statement.statement.statement, parameters(portal)?).await? {
            Some((schema, _)) => {
                check_format(&portal.result_column_format, schema.fields().len())?;
                values::fields(&schema, &portal.result_column_format)
            }
            None => Vec::new(),
        };
        Ok(DescribePortalResponse::new(fields))
    }

    async fn do_query<C>(&self, client: &mut C, portal: &Portal<Prepared>, _: usize) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let statement = &portal.statement.statement.statement;
        self.answer(client, statement, parameters(portal)?, &portal.result_column_format).await
    }

    /// Like the library's, which gathers all rows before it sends the first where no number of them is asked for.
    async fn on_execute<C>(&self, client: &mut C, message: Execute) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let name = message.name.as_deref().unwrap_or(DEFAULT_NAME);
        let portal = match client.portal_store().get_portal(name) {
            Some(Entry::Value(portal)) if message.max_rows <= 0 => portal,
            _ => return self._on_execute(client, message).await,
        };
        let is_new = matches!(*portal.state().lock().await, PortalExecutionState::Initial);
        let asks = !matches!(portal.statement.statement.statement, Statement::Session(_));
        if !is_new || !asks {
            return self._on_execute(client, message).await;
        }
        client.set_state(PgWireConnectionState::QueryInProgress);
        if let Response::Query(rows) = ExtendedQueryHandler::do_query(self, client, &portal, 0).await? {
            send_query_response(client, rows, false).await?;
        }
        *portal.state().lock().await = PortalExecutionState::Finished;
        client.set_state(PgWireConnectionState::ReadyForQuery);
        Ok(())
    }
}
