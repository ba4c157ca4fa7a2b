//! The key of pseudonyms: a file beside the database, not in it, so that a copy of the database tells nobody.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// 32 random bytes. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; 32]);

impl Key {
    /// From 64 hex digits.
    pub fn from_hex(text: &str) -> Option<Key> {
        hex::decode(text.trim()).ok()?.try_into().ok().map(Key)
    }

    fn random() -> Key {
        Key(rand::random())
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

/// Why the key of pseudonyms cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error(
        "a site's clients are stored under pseudonyms, but their key {path} is not there: put it back from your backup, \
         or say where it is with privacy.key_file; with another key everybody would be taken for somebody new"
    )]
    Missing { path: PathBuf },
    #[error("{path} is no key of pseudonyms: it must hold 64 hex digits")]
    Malformed { path: PathBuf },
    #[error("read or write the key of pseudonyms {path}")]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Where the key lies, and the key once it is needed. Cheap to clone.
#[derive(Clone, Debug)]
pub struct KeyFile {
    path: PathBuf,
    key: Arc<OnceLock<Key>>,
}

impl KeyFile {
    /// Reads the file, if it is there.
    pub fn open(path: &Path) -> Result<KeyFile, KeyError> {
        let file = KeyFile { path: path.to_owned(), key: Arc::default() };
        if let Some(key) = file.read()? {
            let _ = file.key.set(key);
        }
        Ok(file)
    }

    /// The key; `None` where none was ever needed.
    pub fn key(&self) -> Option<&Key> {
        self.key.get()
    }

    /// Refuses to go on without the key.
    pub fn require(&self) -> Result<&Key, KeyError> {
        self.key().ok_or_else(|| KeyError::Missing { path: self.path.clone() })
    }

    /// The key, made now if there is none: a file that only its owner may read, on disk when this returns.
    pub fn make(&self) -> Result<&Key, KeyError> {
        if self.key.get().is_none() {
            let key = match self.read()? {
                Some(key) => key,
                None => self.write(Key::random())?,
            };
            let _ = self.key.set(key);
        }
        self.require()
    }

    /// For a server that takes no deliveries: whatever it would pseudonymise, nobody could tie to anything.
    pub fn forget(&self) {
        let _ = self.key.set(Key::random());
    }

    fn read(&self) -> Result<Option<Key>, KeyError> {
        match fs::read_to_string(&self.path) {
            Ok(text) => Key::from_hex(&text).map(Some).ok_or_else(|| KeyError::Malformed { path: self.path.clone() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(KeyError::File { path: self.path.clone(), source }),
        }
    }

    fn write(&self, key: Key) -> Result<Key, KeyError> {
        let failed = |source| KeyError::File { path: self.path.clone(), source };
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600);
        }
        let mut file = options.open(&self.path).map_err(failed)?;
        writeln!(file, "{}", hex::encode(key.bytes())).and_then(|()| file.sync_all()).map_err(failed)?;
        // The name, too, must outlive a power cut.
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        tracing::info!(path = %self.path.display(), "made the key of pseudonyms: keep a copy of it, apart from the data");
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_for_its_owner_alone() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("a.key");
        let file = KeyFile::open(&path).unwrap();
        assert!(file.key().is_none() && matches!(file.require(), Err(KeyError::Missing { .. })) && !path.exists());
        let key = file.make().unwrap().clone();
        assert_eq!(KeyFile::open(&path).unwrap().make().unwrap(), &key);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(format!("{key:?}"), "Key(..)");
        fs::write(&path, "short").unwrap();
        assert!(matches!(KeyFile::open(&path), Err(KeyError::Malformed { .. })));
    }
}
