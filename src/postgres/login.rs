//! Who a client is: passwords by SCRAM-SHA-256, over TLS where there is a certificate.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use pgwire::api::ClientInfo;
use pgwire::api::auth::mechanism::{AuthMechanism, AuthMechanismFactory, AuthState};
use pgwire::api::auth::sasl::scram::{SCRAM_ITERATIONS, ScramAuth, ScramSecret, gen_salted_password};
use pgwire::api::auth::{AuthSource, DefaultServerParameterProvider, LoginInfo, Password};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::startup::PasswordMessageFamily;

/// The version of PostgreSQL whose catalogue and functions clients may expect.
pub const SERVER_VERSION: &str = "16.6";

/// What sessions are told of the server, and SHOW tells.
pub fn settings() -> Vec<(&'static str, &'static str)> {
    vec![
        ("version", concat!("PostgreSQL 16.6 (Footfall ", env!("CARGO_PKG_VERSION"), ", read only, on DuckDB)")),
        ("server_version", SERVER_VERSION),
        ("server_version_num", "160006"),
        ("server_encoding", "UTF8"),
        ("client_encoding", "UTF8"),
        ("application_name", ""),
        ("search_path", "main"),
        ("timezone", "UTC"),
        ("datestyle", "ISO, MDY"),
        ("intervalstyle", "postgres"),
        ("integer_datetimes", "on"),
        ("standard_conforming_strings", "on"),
        ("is_superuser", "off"),
        ("in_hot_standby", "off"),
        ("default_transaction_read_only", "on"),
        ("transaction_read_only", "on"),
        ("default_transaction_isolation", "read committed"),
        ("transaction_isolation", "read committed"),
        ("max_identifier_length", "63"),
        ("max_index_keys", "32"),
        ("lc_collate", "C"),
        ("lc_ctype", "C"),
        ("lc_messages", "C"),
        ("lc_monetary", "C"),
        ("lc_numeric", "C"),
        ("lc_time", "C"),
        ("bytea_output", "hex"),
        ("extra_float_digits", "1"),
        ("statement_timeout", "0"),
        ("lock_timeout", "0"),
        ("idle_in_transaction_session_timeout", "0"),
        ("client_min_messages", "notice"),
        ("escape_string_warning", "on"),
        ("backslash_quote", "safe_encoding"),
        ("bytea_output", "hex"),
        ("jit", "off"),
        ("row_security", "on"),
        ("session_authorization", "footfall"),
        ("ssl", "off"),
    ]
}

/// What a client is told once it is let in.
pub fn parameters() -> DefaultServerParameterProvider {
    let mut parameters = DefaultServerParameterProvider::default();
    parameters.server_version = SERVER_VERSION.into();
    parameters.search_path = "main".into();
    parameters.is_superuser = false;
    parameters.default_transaction_read_only = true;
    parameters.time_zone = "UTC".into();
    parameters.date_style = "ISO, MDY".into();
    parameters
}

/// The users, by what proves that a client knows a password; the passwords themselves are not kept.
pub struct Users(BTreeMap<String, Verifier>);

#[derive(Clone)]
struct Verifier {
    salt: Vec<u8>,
    stored_key: Vec<u8>,
    server_key: Vec<u8>,
}

impl Verifier {
    fn new(password: &str) -> Verifier {
        let salt = rand::random::<[u8; 16]>().to_vec();
        let salted = gen_salted_password(password, &salt, SCRAM_ITERATIONS);
        match ScramSecret::verifier_from_salted_password(salt, salted, SCRAM_ITERATIONS) {
            ScramSecret::Verifier { salt, stored_key, server_key, .. } => Verifier { salt, stored_key, server_key },
            ScramSecret::SaltedPassword { .. } => unreachable!("a verifier was asked for"),
        }
    }
}

impl Users {
    /// Costs some milliseconds a user: guessing passwords is to be slow.
    pub fn new(passwords: &BTreeMap<String, String>) -> Users {
        Users(passwords.iter().map(|(user, password)| (user.clone(), Verifier::new(password))).collect())
    }

    /// What asks a client for its proof, or for nothing where there are no users.
    pub fn mechanism(self) -> Box<dyn AuthMechanismFactory> {
        if self.0.is_empty() { Box::new(Nobody) } else { Box::new(ScramAuth::new(Arc::new(self))) }
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.keys())
    }
}

#[async_trait]
impl AuthSource for Users {
    async fn get_password(&self, login: &LoginInfo) -> PgWireResult<Password> {
        Err(PgWireError::InvalidPassword(login.user().unwrap_or_default().to_owned()))
    }

    async fn get_scram_secret(&self, login: &LoginInfo) -> PgWireResult<(ScramSecret, Option<()>)> {
        // Who is not known is asked all the same, and cannot prove anything: which names there are is not told.
        let found = login.user().and_then(|user| self.0.get(user)).cloned();
        let Verifier { salt, stored_key, server_key } = found.unwrap_or_else(|| Verifier {
            salt: rand::random::<[u8; 16]>().to_vec(),
            stored_key: rand::random::<[u8; 32]>().to_vec(),
            server_key: rand::random::<[u8; 32]>().to_vec(),
        });
        Ok((ScramSecret::Verifier { salt, iterations: SCRAM_ITERATIONS, stored_key, server_key }, None))
    }
}

/// Asks for nothing.
struct Nobody;

impl AuthMechanismFactory for Nobody {
    fn create(&self) -> Box<dyn AuthMechanism> {
        Box::new(Nobody)
    }
}

#[async_trait]
impl AuthMechanism for Nobody {
    async fn begin(&mut self, _: &(dyn ClientInfo + Send + Sync)) -> PgWireResult<AuthState> {
        Ok(AuthState::Ok { final_message: None, identity: None })
    }

    async fn next(&mut self, _: &(dyn ClientInfo + Send + Sync), _: PasswordMessageFamily) -> PgWireResult<AuthState> {
        Err(PgWireError::NoAuthenticationInProgress)
    }
}
