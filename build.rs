//! Has the program built anew when the page was, and lets it find libduckdb where `make libduckdb` put it, or beside themselves once installed.

use std::{env, fs, path::Path};

fn main() {
    println!("cargo::rerun-if-env-changed=DUCKDB_LIB_DIR");
    // The page is embedded, whatever files it has.
    if Path::new("dashboard/dist").exists() {
        println!("cargo::rerun-if-changed=dashboard/dist");
    }
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_BUNDLED").is_some() {
        return;
    }
    let lib_dir = env::var("DUCKDB_LIB_DIR").unwrap_or_else(|_| ".libduckdb".into());
    let found = fs::canonicalize(&lib_dir)
        .ok()
        .filter(|dir| ["libduckdb.so", "libduckdb.dylib"].iter().any(|name| dir.join(name).exists()));
    let Some(dir) = found else {
        panic!(
            "libduckdb is not in {lib_dir}: run `make libduckdb` (it fetches the official prebuilt library), \
             set DUCKDB_LIB_DIR to a folder that holds it, or build with `--features bundled`"
        );
    };
    let beside = if cfg!(target_os = "macos") { "@loader_path" } else { "$ORIGIN" };
    for rpath in [dir.as_path(), Path::new(beside)] {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{}", rpath.display());
    }
}
