//! What a power cut, or `kill -9`, would leave of a server's files, without cutting it off.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// The file and its logs as they lie, to be looked at without touching what the server will find.
pub fn copy(dir: &Path) -> TempDir {
    try_copy(dir).unwrap()
}

fn try_copy(dir: &Path) -> io::Result<TempDir> {
    let copied = TempDir::new()?;
    // Beside the log there is a second one while a checkpoint goes on.
    for path in files(dir)? {
        fs::copy(&path, copied.path().join(path.file_name().expect("it is a file")))?;
    }
    Ok(copied)
}

fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_file() && entry.file_name().to_string_lossy().starts_with("footfall.duckdb") {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// The same while a server writes: what a cut at one instant would leave. Appending to the log goes on meanwhile, and what the
/// copy has of it is a beginning; a checkpoint in between would give a file of one instant and a log of another, so then
/// another copy is made.
pub fn copy_at_once(dir: &Path) -> TempDir {
    loop {
        let (before, copied, after) = (checkpoint(dir), try_copy(dir), checkpoint(dir));
        match (before, copied, after) {
            (Ok(before), Ok(copied), Ok(after)) if before == after => return copied,
            // A log that went away between two looks is a checkpoint, too.
            _ => {}
        }
    }
}

/// What tells one checkpoint from the next.
#[derive(PartialEq)]
struct Checkpoint {
    /// Of the file.
    headers: Vec<u8>,
    /// Its logs by name, and which files they are.
    logs: Vec<(PathBuf, u64)>,
}

fn checkpoint(dir: &Path) -> io::Result<Checkpoint> {
    const HEADERS_BYTES: u64 = 3 * 4096;
    let mut headers = Vec::new();
    fs::File::open(dir.join("footfall.duckdb"))?.take(HEADERS_BYTES).read_to_end(&mut headers)?;
    let mut logs = Vec::new();
    for path in files(dir)? {
        let number = path.metadata()?.ino();
        logs.push((path, number));
    }
    Ok(Checkpoint { headers, logs })
}
