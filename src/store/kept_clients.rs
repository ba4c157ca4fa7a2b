//! Clients that questions are about, kept from one question to the next: to plan who it is takes the file longer than all the
//! rest of a short question about one client.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use duckdb::Connection;
use duckdb::types::Value;

use super::StoreError;
use super::kept::Kept;
use super::queries::ask;
use super::restore::client_kind;
use super::writer::Drain;
use crate::model::ids::{ClientKey, ClientKind};

/// Ids that are kept at most.
const IDS_MAX: usize = 10_000;

/// A client as people know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    pub key: ClientKey,
    pub kind: ClientKind,
    pub id: String,
    pub name: Option<String>,
    /// Whether its address is a locally administered one.
    pub is_randomised: bool,
}

/// The clients of ids that were asked for, as they are now.
#[derive(Default)]
pub struct KeptClients {
    by_id: Kept<HashMap<String, Arc<[Client]>>>,
}

impl KeptClients {
    /// The clients that have an id: each kind may have one.
    pub fn of(&self, conn: &Connection, id: &str) -> Result<Arc<[Client]>, StoreError> {
        self.by_id.get(
            |by_id| by_id.get(id).cloned(),
            || Ok(stored(conn, id)?.into()),
            |by_id, clients| {
                // Of ids that nobody has there are too many.
                if clients.is_empty() {
                    return;
                }
                if by_id.len() >= IDS_MAX {
                    by_id.clear();
                }
                by_id.insert(id.to_owned(), clients.clone());
            },
        )
    }

    /// To be called once a drain is committed, and before anybody is told so.
    pub fn came(&self, drain: &Drain) {
        if drain.clients.is_empty() && drain.client_names.is_empty() {
            return;
        }
        self.by_id.change(|by_id| {
            if by_id.is_empty() {
                return;
            }
            for client in &drain.clients {
                by_id.remove(&client.client_id);
            }
            let named: HashSet<i32> = drain.client_names.iter().map(|(key, _)| *key).collect();
            if !named.is_empty() {
                let is_named = |client: &Client| named.contains(&client.key.0.cast_signed());
                by_id.retain(|_, clients| !clients.iter().any(is_named));
            }
        });
    }

    /// The same of any other change.
    pub fn forget(&self) {
        self.by_id.change(HashMap::clear);
    }
}

fn stored(conn: &Connection, id: &str) -> Result<Vec<Client>, StoreError> {
    let sql = "SELECT client_key, kind, client_id, name, is_randomised FROM store.clients_now WHERE client_id = ?";
    ask(conn, sql, vec![Value::Text(id.into())], |row| {
        Ok(Client {
            key: ClientKey(row.get(0)?),
            kind: client_kind(row.get(1)?),
            id: row.get(2)?,
            name: row.get(3)?,
            is_randomised: row.get(4)?,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::row::{self, Instant};
    use crate::store::writer::Writer;
    use crate::store::{Store, StoreOptions};

    #[test]
    fn clients_are_as_they_are_after_any_change() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("clients.duckdb");
        let store = Store::open(&StoreOptions { path, memory_limit: None, threads: None }).unwrap();
        let mut writer = Writer::new(&store).unwrap();
        let conn = store.connection().unwrap();
        let known = |id: &str| -> Vec<(u32, ClientKind, Option<String>, bool)> {
            let clients = store.clients().of(&conn, id).unwrap();
            clients.iter().map(|c| (c.key.0, c.kind, c.name.clone(), c.is_randomised)).collect()
        };
        let met = |key: i32, kind: ClientKind, id: &str| Drain {
            clients: vec![row::Client {
                client_key: key,
                kind: kind as u8,
                client_id: id.into(),
                name: None,
                first_seen_at: Instant(0),
            }],
            ..Drain::default()
        };
        let (one, other) = ("3c0000000001", "3e0000000002");
        assert!(known(one).is_empty());
        writer.commit(&met(0, ClientKind::Wifi, one)).unwrap();
        writer.commit(&met(1, ClientKind::Wifi, other)).unwrap();
        let as_wifi = (0, ClientKind::Wifi, None, false);
        assert_eq!((known(one), known(other)), (vec![as_wifi.clone()], vec![(1, ClientKind::Wifi, None, true)]));
        // Of another kind with the same id, while who is not concerned stays.
        conn.execute_batch("UPDATE store.clients SET kind = 3 WHERE client_key = 1").unwrap();
        writer.commit(&met(2, ClientKind::Asset, one)).unwrap();
        assert_eq!(known(one), [as_wifi.clone(), (2, ClientKind::Asset, None, false)]);
        assert_eq!(known(other)[0].1, ClientKind::Wifi);
        writer.commit(&Drain { client_names: vec![(2, "cart".into())], ..Drain::default() }).unwrap();
        assert_eq!(known(one), [as_wifi, (2, ClientKind::Asset, Some("cart".into()), false)]);
        writer.in_transaction(|conn| Ok(conn.execute_batch("DELETE FROM store.clients")?)).unwrap();
        assert!(known(one).is_empty() && known(other).is_empty());
    }
}
