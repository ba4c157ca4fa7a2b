//! Who may ask and change: tokens, people who log in, and what each route demands.
//!
//! Tokens and users are kept in memory beside the file's own; sessions in memory only, so a restart ends them. Of tokens
//! and sessions only SHA-256 hashes are kept, of passwords Argon2id: a copy of the file lets nobody in.

mod failures;
mod guard;
mod password;
mod route;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, RwLock};

use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

pub use failures::{FAILURES_MAX, Failures};
pub use guard::{Guard, SESSION_COOKIE, cookie, guard};
pub use password::{PASSWORD_BYTES_MAX, PASSWORD_BYTES_MIN};
pub use route::{Need, SITE_PATHS, need};

use crate::clock::Clock;
use crate::model::ids::Id;
use crate::model::time::ReceivedAt;
use crate::store::access::{TokenRow, UserRow};

/// What a caller may do. `admin` may do all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes {
    pub read: bool,
    pub sql: bool,
    pub admin: bool,
}

impl Scopes {
    pub const ALL: Scopes = Scopes { read: true, sql: true, admin: true };

    /// From names with commas between them; none where one is not known, or there is none.
    pub fn parse(text: &str) -> Option<Scopes> {
        let mut scopes = Scopes::default();
        for name in text.split(',') {
            match name.trim() {
                "read" => scopes.read = true,
                "sql" => scopes.sql = true,
                "admin" => scopes.admin = true,
                _ => return None,
            }
        }
        Some(scopes)
    }

    pub fn names(self) -> Vec<&'static str> {
        let of = [(self.read, "read"), (self.sql, "sql"), (self.admin, "admin")];
        of.into_iter().filter(|(is_given, _)| *is_given).map(|(_, name)| name).collect()
    }

    /// As they are stored.
    pub fn text(self) -> String {
        self.names().join(",")
    }
}

/// Who asks. Every request that was let in carries one.
#[derive(Clone, Debug, PartialEq)]
pub struct Caller {
    /// Such as `token Grafana`, `user ann`; `open` where nobody has to say who they are.
    pub name: String,
    pub scopes: Scopes,
    /// The only sites it may read; none: every one.
    pub site_ids: Option<Arc<[String]>>,
    pub peer: Option<IpAddr>,
}

impl Caller {
    /// Whether it may see what tells of a single client.
    pub fn may_see_clients(&self) -> bool {
        self.scopes.sql || self.scopes.admin
    }

    pub fn may_see(&self, site_id: &str) -> bool {
        self.site_ids.as_ref().is_none_or(|ids| ids.iter().any(|id| id == site_id))
    }
}

/// What the configuration says of access.
#[derive(Clone, Copy, Debug, Default)]
pub struct Policy {
    /// Whether everybody has to say who they are, even while there is no token and no user.
    pub is_required: bool,
    /// Whether metrics are told without a token.
    pub are_metrics_open: bool,
    /// Whether the page comes by TLS, so that its cookie may not go any other way.
    pub is_secure: bool,
    /// Whether any name in `Host` is taken while access is open: said in so many words, or not reachable by name.
    pub is_any_host_taken: bool,
    /// Counts of fewer clients are only told to callers who may ask SQL, or may all.
    pub counts_withheld_below: u64,
}

/// Cheap to clone: clones share what they know.
#[derive(Clone)]
pub struct Access {
    inner: Arc<Inner>,
}

struct Inner {
    policy: Policy,
    clock: Clock,
    known: RwLock<Known>,
    failures: Failures,
    /// A password takes much memory to check: one at a time.
    password_turn: Semaphore,
}

/// SHA-256.
type Hash = [u8; 32];

#[derive(Default)]
struct Known {
    tokens: HashMap<Hash, TokenRow>,
    users: BTreeMap<String, UserRow>,
    sessions: HashMap<Hash, Session>,
    /// The token of the command that this server was started for, which may do all.
    own: Option<Hash>,
}

struct Session {
    user: String,
    begun_ms: i64,
    seen_ms: i64,
}

/// A session ends after so long without a request, and after so long anyway.
const SESSION_IDLE_MS: i64 = 12 * 3_600_000;
const SESSION_MS: i64 = 7 * 24 * 3_600_000;

/// Sessions of one user; with one more the oldest ends.
const SESSIONS_MAX: usize = 100;

/// How a token begins, so that one that was left somewhere is known for what it is.
const TOKEN_PREFIX: &str = "ff_";

/// Why nobody is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    #[error("say who you are: send `Authorization: Bearer` and a token, or log in on the page")]
    Nobody,
    #[error("the token is not known, was revoked, or has expired")]
    WrongToken,
    #[error("the name or the password is wrong")]
    WrongPassword,
    #[error("too many attempts failed from this address")]
    TooMany { retry_after_s: u64 },
}

impl Access {
    pub fn new(policy: Policy, clock: Clock, tokens: Vec<TokenRow>, users: Vec<UserRow>) -> Access {
        let inner = Inner {
            policy,
            failures: Failures::new(clock.clone()),
            clock,
            known: RwLock::default(),
            password_turn: Semaphore::new(1),
        };
        let access = Access { inner: Arc::new(inner) };
        access.set(tokens, users);
        access
    }

    /// Takes in what is stored now. Sessions of users that are gone, or were set anew, end.
    pub fn set(&self, tokens: Vec<TokenRow>, users: Vec<UserRow>) {
        let mut known = self.inner.known.write().expect("no one panics with it");
        let hashed = tokens.into_iter().filter(|token| token.revoked_ms.is_none());
        known.tokens = hashed.filter_map(|token| Some((unhex(&token.hash)?, token))).collect();
        let users: BTreeMap<_, _> = users.into_iter().map(|user| (user.name.clone(), user)).collect();
        let old = std::mem::replace(&mut known.users, users);
        let Known { users, sessions, .. } = &mut *known;
        sessions.retain(|_, session| users.get(&session.user).is_some_and(|user| old.get(&session.user) == Some(user)));
    }

    /// Whether callers must say who they are.
    pub fn is_required(&self) -> bool {
        let known = self.inner.known.read().expect("no one panics with it");
        self.inner.policy.is_required || !known.tokens.is_empty() || !known.users.is_empty()
    }

    /// Whether there is anybody who could be let in.
    pub fn is_empty(&self) -> bool {
        let known = self.inner.known.read().expect("no one panics with it");
        known.tokens.is_empty() && known.users.is_empty()
    }

    pub fn has_users(&self) -> bool {
        !self.inner.known.read().expect("no one panics with it").users.is_empty()
    }

    pub fn policy(&self) -> Policy {
        self.inner.policy
    }

    /// Makes the one token that is not stored, for the command that runs this server.
    pub fn own_token(&self) -> String {
        let (text, _) = new_token();
        self.inner.known.write().expect("no one panics with it").own = Some(hash(&text));
        text
    }

    /// Attempts that failed, by the address they came from.
    pub fn failures(&self) -> &Failures {
        &self.inner.failures
    }

    /// Whose token it is. A token that is right is let in however many were wrong before.
    pub fn by_token(&self, text: &str, peer: Option<IpAddr>) -> Result<Caller, Unknown> {
        let now = self.inner.clock.now();
        let known = self.inner.known.read().expect("no one panics with it");
        // Found by its hash: how long that takes tells nothing of the token.
        let key = hash(text);
        if known.own == Some(key) {
            return Ok(Caller { name: "command".into(), scopes: Scopes::ALL, site_ids: None, peer });
        }
        let found = known.tokens.get(&key).filter(|token| token.expires_ms.is_none_or(|end| now.0 < end));
        match found {
            Some(token) => Ok(Caller {
                name: format!("token {}", token.name),
                // What was stored was checked; what cannot be read may nothing.
                scopes: Scopes::parse(&token.scopes).unwrap_or_default(),
                site_ids: token.site_ids.as_ref().map(|ids| ids.iter().map(|id| settled(id)).collect()),
                peer,
            }),
            None => Err(self.failed(peer, Unknown::WrongToken)),
        }
    }

    pub fn by_session(&self, text: &str, peer: Option<IpAddr>) -> Result<Caller, Unknown> {
        let now = self.inner.clock.now();
        let mut known = self.inner.known.write().expect("no one panics with it");
        let Known { users, sessions, .. } = &mut *known;
        let key = hash(text);
        let Some(session) = sessions.get_mut(&key) else { return Err(Unknown::Nobody) };
        let user = users.get(&session.user).filter(|_| session.lasts(now));
        let Some(user) = user else {
            sessions.remove(&key);
            return Err(Unknown::Nobody);
        };
        session.seen_ms = now.0;
        Ok(user_caller(user, peer))
    }

    /// Checks a password and begins a session: gives who it is, and the text for the cookie.
    pub async fn log_in(&self, name: &str, word: &str, peer: Option<IpAddr>) -> Result<(Caller, String), Unknown> {
        // Before the work: to check a password is dear on purpose.
        if let Some(retry_after_s) = self.inner.failures.blocked(peer) {
            return Err(Unknown::TooMany { retry_after_s });
        }
        let user = self.inner.known.read().expect("no one panics with it").users.get(name).cloned();
        let stored = user.as_ref().map(|user| user.password.clone());
        let word = word.to_owned();
        let _turn = self.inner.password_turn.acquire().await.expect("it is never closed");
        // As long for a name that nobody has: else names could be found out.
        let is_right = tokio::task::spawn_blocking(move || password::is_right(stored.as_deref(), &word)).await;
        let (Some(user), true) = (user, is_right.unwrap_or(false)) else {
            return Err(self.failed(peer, Unknown::WrongPassword));
        };
        let text = random_text();
        let now = self.inner.clock.now();
        let mut known = self.inner.known.write().expect("no one panics with it");
        known.sessions.retain(|_, session| session.lasts(now));
        let own = known.sessions.iter().filter(|(_, session)| session.user == user.name);
        let own: Vec<(i64, Hash)> = own.map(|(key, session)| (session.begun_ms, *key)).collect();
        if own.len() >= SESSIONS_MAX
            && let Some((_, oldest)) = own.into_iter().min()
        {
            known.sessions.remove(&oldest);
        }
        known.sessions.insert(hash(&text), Session { user: user.name.clone(), begun_ms: now.0, seen_ms: now.0 });
        Ok((user_caller(&user, peer), text))
    }

    pub fn log_out(&self, text: &str) {
        self.inner.known.write().expect("no one panics with it").sessions.remove(&hash(text));
    }

    fn failed(&self, peer: Option<IpAddr>, why: Unknown) -> Unknown {
        match self.inner.failures.failed(peer) {
            Some(retry_after_s) => Unknown::TooMany { retry_after_s },
            None => why,
        }
    }

    /// Hashes a new password, off the async threads and one at a time.
    pub async fn hash_password(&self, word: String) -> String {
        let _turn = self.inner.password_turn.acquire().await.expect("it is never closed");
        tokio::task::spawn_blocking(move || password::hash(&word)).await.expect("hashing does not panic")
    }
}

impl Session {
    fn lasts(&self, now: ReceivedAt) -> bool {
        now.0 - self.seen_ms < SESSION_IDLE_MS && now.0 - self.begun_ms < SESSION_MS
    }
}

fn user_caller(user: &UserRow, peer: Option<IpAddr>) -> Caller {
    let scopes = Scopes::parse(&user.scopes).unwrap_or_default();
    Caller { name: format!("user {}", user.name), scopes, site_ids: None, peer }
}

/// A new token and its hash in hexadecimal digits. The token is told once and not kept.
pub fn new_token() -> (String, String) {
    let text = format!("{TOKEN_PREFIX}{}", random_text());
    let hash = hex::encode(hash(&text));
    (text, hash)
}

/// 256 random bits.
fn random_text() -> String {
    hex::encode(rand::random::<[u8; 32]>())
}

fn hash(text: &str) -> Hash {
    Sha256::digest(text.as_bytes()).into()
}

fn unhex(text: &str) -> Option<Hash> {
    hex::decode(text).ok()?.try_into().ok()
}

/// The settled form of an object's id, in which sites are compared.
fn settled(id: &str) -> String {
    Id::object(id).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str, scopes: &str) -> TokenRow {
        TokenRow {
            key: 1,
            name: "Grafana".into(),
            hash: hex::encode(hash(text)),
            scopes: scopes.into(),
            site_ids: None,
            created_ms: 0,
            expires_ms: Some(1_000),
            revoked_ms: None,
        }
    }

    async fn user(access: &Access, name: &str, word: &str) -> UserRow {
        let password = access.hash_password(word.to_owned()).await;
        UserRow { name: name.into(), password, scopes: "read".into(), changed_ms: 0 }
    }

    #[test]
    fn a_token_lets_in_until_it_ends() {
        let clock = Clock::manual(999);
        let access = Access::new(Policy::default(), clock.clone(), vec![token("ff_x", "read,sql")], vec![]);
        assert!(access.is_required());
        let caller = access.by_token("ff_x", None).unwrap();
        assert_eq!((caller.name.as_str(), caller.scopes.text().as_str()), ("token Grafana", "read,sql"));
        assert_eq!(access.by_token("ff_y", None), Err(Unknown::WrongToken));
        clock.set(1_000);
        assert_eq!(access.by_token("ff_x", None), Err(Unknown::WrongToken));
        let mut revoked = token("ff_x", "read");
        revoked.revoked_ms = Some(5);
        access.set(vec![revoked], vec![]);
        assert!(!access.is_required());
    }

    #[tokio::test]
    async fn a_session_ends_by_silence_by_age_and_with_its_user() {
        let clock = Clock::manual(0);
        let access = Access::new(Policy::default(), clock.clone(), vec![], vec![]);
        let ann = user(&access, "ann", "correct horse").await;
        access.set(vec![], vec![ann.clone()]);
        assert_eq!(access.log_in("ann", "wrong horse", None).await.unwrap_err(), Unknown::WrongPassword);
        assert_eq!(access.log_in("bob", "correct horse", None).await.unwrap_err(), Unknown::WrongPassword);
        let (caller, text) = access.log_in("ann", "correct horse", None).await.unwrap();
        assert_eq!(caller.name, "user ann");
        for hour in 1..=13 {
            clock.set(hour * 11 * 3_600_000);
            assert!(access.by_session(&text, None).is_ok(), "after {hour} times eleven hours");
        }
        clock.set(SESSION_MS);
        assert_eq!(access.by_session(&text, None), Err(Unknown::Nobody));
        let (_, text) = access.log_in("ann", "correct horse", None).await.unwrap();
        clock.set(SESSION_MS + SESSION_IDLE_MS);
        assert_eq!(access.by_session(&text, None), Err(Unknown::Nobody));
        let (_, text) = access.log_in("ann", "correct horse", None).await.unwrap();
        access.set(vec![], vec![UserRow { scopes: "admin".into(), ..ann }]);
        assert_eq!(access.by_session(&text, None), Err(Unknown::Nobody));
    }

    #[tokio::test]
    async fn who_fails_often_waits_and_who_has_a_token_does_not() {
        let access = Access::new(Policy::default(), Clock::manual(0), vec![token("ff_x", "read")], vec![]);
        let peer = Some(IpAddr::from([10, 0, 0, 1]));
        let failed = (0..100).find(|_| matches!(access.by_token("ff_y", peer), Err(Unknown::TooMany { .. })));
        assert_eq!(failed, Some(failures::FAILURES_MAX as usize));
        assert!(matches!(access.log_in("ann", "x", peer).await, Err(Unknown::TooMany { retry_after_s: 60 })));
        assert!(access.by_token("ff_x", peer).is_ok());
        assert_eq!(access.by_token("ff_y", Some(IpAddr::from([10, 0, 0, 2]))), Err(Unknown::WrongToken));
    }

    #[test]
    fn scopes_are_read_whole_or_not() {
        assert_eq!(Scopes::parse("read, sql").unwrap().text(), "read,sql");
        assert_eq!(Scopes::parse("admin"), Some(Scopes { admin: true, ..Scopes::default() }));
        assert_eq!(Scopes::parse("read,root"), None);
        assert_eq!(Scopes::parse(""), None);
    }
}
