//! Certificates: read from PEM files, and read again when these have changed, without a restart.

use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::{Duration, SystemTime};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("read the certificate or key in {path}")]
    Unreadable {
        path: PathBuf,
        #[source]
        source: pem::Error,
    },
    #[error("the certificate and the key cannot be used")]
    Unusable(#[from] tokio_rustls::rustls::Error),
}

/// How often it is looked whether the files have changed.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The certificates of one listener. Cheap to clone.
#[derive(Clone)]
pub struct Tls {
    inner: Arc<Inner>,
}

struct Inner {
    certificates: PathBuf,
    key: PathBuf,
    protocols: Vec<Vec<u8>>,
    config: RwLock<Arc<ServerConfig>>,
}

impl Tls {
    /// Reads both PEM files; `protocols` are told to clients that ask (ALPN), the best first. Within a runtime: a task looks
    /// for changes as long as there is a clone.
    pub fn load(certificates: &Path, key: &Path, protocols: &[&str]) -> Result<Tls, TlsError> {
        let protocols: Vec<Vec<u8>> = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let config = read(certificates, key, &protocols)?;
        let (certificates, key) = (certificates.to_owned(), key.to_owned());
        let config = RwLock::new(Arc::new(config));
        let tls = Tls { inner: Arc::new(Inner { certificates, key, protocols, config }) };
        tokio::spawn(follow(Arc::downgrade(&tls.inner)));
        Ok(tls)
    }

    /// For the next connection.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.inner.config.read().expect("no one panics with it").clone())
    }
}

impl Inner {
    fn changed_at(&self) -> [Option<SystemTime>; 2] {
        [&self.certificates, &self.key].map(|path| path.metadata().and_then(|found| found.modified()).ok())
    }
}

/// Takes in files that have changed. A pair that does not fit, as while one of two is being replaced, changes nothing.
async fn follow(inner: std::sync::Weak<Inner>) {
    let Some(mut known) = inner.upgrade().map(|inner| inner.changed_at()) else { return };
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(inner) = inner.upgrade() else { return };
        let found = inner.changed_at();
        if found == known {
            continue;
        }
        match read(&inner.certificates, &inner.key, &inner.protocols) {
            Ok(config) => {
                *inner.config.write().expect("no one panics with it") = Arc::new(config);
                tracing::info!(path = %inner.certificates.display(), "the certificate was read again");
                known = found;
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "the new certificate cannot be used yet; the old one stays");
            }
        }
    }
}

fn read(certificates: &Path, key: &Path, protocols: &[Vec<u8>]) -> Result<ServerConfig, TlsError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::Unreadable { path, source }
    };
    let chain = CertificateDer::pem_file_iter(certificates)
        .and_then(|found| found.collect::<Result<Vec<_>, _>>())
        .map_err(unreadable(certificates))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(unreadable(key))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = protocols.to_vec();
    Ok(config)
}
