//! Brings a file up to this version's schema: the numbered files of `migrations/`, each once, in order.

use duckdb::{Connection, params};

use super::StoreError;

/// One migration, built into the program.
struct Migration {
    name: &'static str,
    sql: &'static str,
}

macro_rules! migrations {
    ($($name:literal),* $(,)?) => {
        [$(Migration { name: $name, sql: include_str!(concat!("../../migrations/", $name, ".sql")) }),*]
    };
}

const MIGRATIONS: [Migration; 13] = migrations![
    "0001_places_and_clients",
    "0002_events",
    "0003_visits",
    "0004_views",
    "0005_view_comments",
    "0006_versions_and_rebuilds",
    "0007_alerts",
    "0008_clients_now",
    "0009_ended_sites",
    "0010_access",
    "0011_forgotten",
    "0012_pseudonyms",
    "0013_newest_fixes",
];

/// Applies what is missing, all of it in one transaction. A file with migrations this program does not know was
/// written by a newer one and is refused.
pub fn migrate(conn: &mut Connection) -> Result<(), StoreError> {
    let transaction = conn.transaction()?;
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS main.schema_migrations (name VARCHAR NOT NULL, applied_at TIMESTAMPTZ NOT NULL);
         COMMENT ON TABLE main.schema_migrations IS 'Which migrations made this file, in order';
         COMMENT ON COLUMN main.schema_migrations.name IS 'The migration''s file name';
         COMMENT ON COLUMN main.schema_migrations.applied_at IS 'When it was applied, by the server''s clock';",
    )?;
    let applied = applied(&transaction)?;
    for (place, name) in applied.iter().enumerate() {
        match MIGRATIONS.get(place) {
            Some(migration) if migration.name == name => {}
            Some(migration) => {
                return Err(StoreError::ForeignHistory { found: name.clone(), expected: migration.name });
            }
            None => {
                return Err(StoreError::Newer { migration: name.clone() });
            }
        }
    }
    for migration in &MIGRATIONS[applied.len()..] {
        transaction.execute_batch(migration.sql)?;
        transaction.execute("INSERT INTO main.schema_migrations VALUES (?, now())", params![migration.name])?;
        tracing::info!(migration = migration.name, "applied migration");
    }
    transaction.commit()?;
    Ok(())
}

fn applied(conn: &Connection) -> Result<Vec<String>, StoreError> {
    let mut statement = conn.prepare("SELECT name FROM main.schema_migrations ORDER BY name")?;
    let names = statement.query_map([], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_numbered_without_a_gap() {
        for (place, migration) in MIGRATIONS.iter().enumerate() {
            assert!(migration.name.starts_with(&format!("{:04}_", place + 1)), "{}", migration.name);
        }
    }

    #[test]
    fn a_second_start_applies_nothing() {
        let mut conn = Connection::open_in_memory().unwrap();
        migrate(&mut conn).unwrap();
        let first = applied(&conn).unwrap();
        migrate(&mut conn).unwrap();
        assert_eq!(applied(&conn).unwrap(), first);
    }

    #[test]
    fn a_file_from_a_newer_version_is_refused_with_a_sentence() {
        let mut conn = Connection::open_in_memory().unwrap();
        migrate(&mut conn).unwrap();
        conn.execute_batch("INSERT INTO main.schema_migrations VALUES ('0999_from_the_future', now())").unwrap();
        let refusal = migrate(&mut conn).unwrap_err().to_string();
        assert!(refusal.contains("newer version of Footfall") && refusal.contains("0999_from_the_future"), "{refusal}");
    }

    #[test]
    fn every_table_and_column_and_view_has_a_comment() {
        let mut conn = Connection::open_in_memory().unwrap();
        migrate(&mut conn).unwrap();
        let bare = "SELECT table_name || '.' || column_name FROM duckdb_columns()
                    WHERE comment IS NULL AND NOT internal AND table_name NOT IN ('areas_now', 'clients_now')
                    UNION ALL SELECT table_name FROM duckdb_tables() WHERE comment IS NULL
                    UNION ALL SELECT view_name FROM duckdb_views() WHERE comment IS NULL AND NOT internal";
        let mut statement = conn.prepare(bare).unwrap();
        let bare: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        assert!(bare.is_empty(), "without a comment: {bare:?}");
    }
}
