//! A library that stands before the C library of the program under test; `shim.c` says what it does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::tell;

/// The built library, and the folder by which it is told what to do.
pub struct Shim {
    dir: TempDir,
    library: PathBuf,
}

impl Shim {
    /// None where it cannot be used: it is preloaded as Linux does it.
    pub fn build() -> Option<Shim> {
        if !cfg!(target_os = "linux") {
            tell("*** SKIPPED: calls are made to fail on Linux only, so this test tests nothing ***");
            return None;
        }
        let dir = TempDir::new().unwrap();
        let library = dir.path().join("shim.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/soak/shim.c");
        let built = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).status();
        assert!(built.expect("a C compiler, which the README asks for").success());
        Some(Shim { dir, library })
    }

    /// What the program's environment has to say.
    pub fn environment(&self) -> [(&str, &str); 2] {
        [
            ("LD_PRELOAD", self.library.to_str().expect("a plain path")),
            ("SHIM_DIR", self.dir.path().to_str().expect("a plain path")),
        ]
    }

    pub fn begin(&self, what: &str) {
        self.tell(what, "");
    }

    pub fn tell(&self, what: &str, text: impl ToString) {
        // All at once: it is read at any moment.
        let draft = self.dir.path().join("draft");
        fs::write(&draft, text.to_string()).unwrap();
        fs::rename(draft, self.dir.path().join(what)).unwrap();
    }

    /// Whether the library says so, or is told so.
    pub fn is_told(&self, what: &str) -> bool {
        self.dir.path().join(what).exists()
    }

    pub fn end(&self, what: &str) {
        fs::remove_file(self.dir.path().join(what)).unwrap();
    }
}
