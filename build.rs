//! Has the program built anew when the page was, and lets it find libduckdb where `make libduckdb` put it, or beside themselves once installed.

use std::{env, fs, path::Path};

fn main() {
    println!("cargo::rerun-if-env-changed=DUCKDB_LIB_DIR");
    // The page is embedded, whatever files it has.
    if Path::new("dashboard/dist").exists() {
        println!("cargo::rerun-if-changed=dashboard/dist");
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(refuses_memory)");
    if refuses_memory() {
        println!("cargo::rustc-cfg=refuses_memory");
        // The linker drops what only a library asks for.
        for name in ["mmap", "sbrk", "_Znwm*", "_Znam*", "duckdb_data_chunk_to_arrow"] {
            println!("cargo::rustc-link-arg=-Wl,--export-dynamic-symbol={name}");
        }
    }
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

/// Whether the program may stand between DuckDB and the system's memory: where that is glibc's, DuckDB is a library beside it,
/// and no sanitizer of a fuzz target stands there already.
fn refuses_memory() -> bool {
    let is = |name: &str, wanted: &str| env::var(name).is_ok_and(|found| found == wanted);
    is("CARGO_CFG_TARGET_OS", "linux")
        && is("CARGO_CFG_TARGET_ENV", "gnu")
        && is("CARGO_CFG_TARGET_POINTER_WIDTH", "64")
        && env::var_os("CARGO_FEATURE_BUNDLED").is_none()
        && env::var_os("CARGO_CFG_FUZZING").is_none()
}
