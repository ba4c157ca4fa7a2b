//! Any file is a configuration or an error that names what is wrong; what is taken can be used, and shows no secret.

#![no_main]

use std::fs;
use std::sync::OnceLock;

use footfall::config::Config;
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

static DIR: OnceLock<TempDir> = OnceLock::new();

fuzz_target!(|text: &str| {
    let path = DIR.get_or_init(|| TempDir::new().expect("a folder")).path().join("footfall.toml");
    fs::write(&path, text).expect("a file");
    let config = match Config::load(Some(&path)) {
        Ok(config) => config,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let _ = (config.defaults(), config.limits(), config.callback_policy(), config.demands());
    let _ = (config.store_options(), config.postgres_options());
    let shown = format!("{config:?}");
    for secret in config.sources.values().flat_map(|source| &source.secrets).filter(|secret| secret.len() > 24) {
        assert!(!shown.contains(secret.as_str()), "a secret is shown");
    }
});
