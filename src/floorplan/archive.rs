//! Zip archives of an upload: in memory only, with bounds on what they may unpack to.

use std::io::{Cursor, Read, Write};

use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

use super::{Problem, SourceFile};

/// Entries of an archive beyond which it is no set of floorplans.
const ENTRIES_MAX: usize = 10_000;

/// What an upload may hold once unpacked, bytes. Counted while unpacking: what an archive says of itself is not believed.
pub const UNPACKED_BYTES_MAX: u64 = 256 << 20;

/// The files of an upload: those of a zip archive, told by its first bytes, or else the one document itself.
pub fn unpack(name: Option<&str>, bytes: Vec<u8>) -> Result<Vec<SourceFile>, Vec<Problem>> {
    if !bytes.starts_with(b"PK\x03\x04") && !bytes.starts_with(b"PK\x05\x06") {
        return Ok(vec![SourceFile { name: name.unwrap_or_default().to_owned(), bytes }]);
    }
    let whole = |reason: String| vec![Problem { file: name.map(str::to_owned), feature: "archive".into(), reason }];
    let mut archive = ZipArchive::new(Cursor::new(bytes))
        .map_err(|error| whole(format!("is no zip archive that can be read: {error}")))?;
    if archive.len() > ENTRIES_MAX {
        return Err(whole(format!("has {} entries, more than the {ENTRIES_MAX} allowed", archive.len())));
    }
    let (mut files, mut problems, mut room) = (Vec::new(), Vec::new(), UNPACKED_BYTES_MAX);
    for index in 0..archive.len() {
        let name = match archive.name_for_index(index) {
            Some(Ok(name)) => name.replace('\\', "/"),
            _ => format!("entry {index}"),
        };
        let entry = match archive.by_index(index) {
            Ok(entry) => entry,
            Err(error) => {
                problems.push(damaged(&name, &error));
                continue;
            }
        };
        if entry.is_dir() || is_hidden(&name) {
            continue;
        }
        let mut bytes = Vec::new();
        match entry.take(room + 1).read_to_end(&mut bytes) {
            Ok(_) if bytes.len() as u64 > room => {
                problems.extend(whole(format!("unpacks to more than the {UNPACKED_BYTES_MAX} bytes allowed")));
                return Err(problems);
            }
            Ok(_) => {
                room -= bytes.len() as u64;
                files.push(SourceFile { name, bytes });
            }
            Err(error) => problems.push(damaged(&name, &error)),
        }
    }
    if problems.is_empty() { Ok(files) } else { Err(problems) }
}

fn damaged(name: &str, error: &dyn std::error::Error) -> Problem {
    let reason = format!("cannot be unpacked: {error}");
    Problem { file: Some(name.to_owned()), feature: "archive entry".into(), reason }
}

/// What operating systems leave lying about.
pub fn is_hidden(name: &str) -> bool {
    name.split('/').any(|part| part.starts_with('.') || part == "__MACOSX")
}

/// The reverse, for whoever has a directory to send.
pub fn pack(files: &[SourceFile]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    // Names that no archive can hold are longer than any system lets a path be, and writing to memory does not fail.
    let packed = files.iter().try_for_each(|file| {
        archive.start_file(file.name.as_str(), SimpleFileOptions::default())?;
        archive.write_all(&file.bytes).map_err(zip::result::ZipError::from)
    });
    packed.and_then(|()| archive.finish()).expect("files fit into an archive in memory").into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, bytes: &[u8]) -> SourceFile {
        SourceFile { name: name.into(), bytes: bytes.into() }
    }

    #[test]
    fn what_is_packed_is_unpacked_but_for_what_systems_leave_behind() {
        let files =
            [file("a/map.json", b"{}"), file("__MACOSX/map.json", b"x"), file("a/.DS_Store", b"x"), file("b.png", b"")];
        assert_eq!(unpack(None, pack(&files)).unwrap(), [files[0].clone(), files[3].clone()]);
        assert_eq!(unpack(Some("m.json"), b"{}".to_vec()).unwrap(), [file("m.json", b"{}")]);
    }

    #[test]
    fn an_archive_that_unpacks_without_end_is_refused_before_it_fills_the_memory() {
        let zeros = vec![0; 100 << 20];
        let bomb = pack(&[file("a", &zeros), file("b", &zeros), file("c", &zeros)]);
        assert!(bomb.len() < 1 << 20);
        let problems = unpack(None, bomb).unwrap_err();
        assert!(problems[0].reason.contains("more than the 268435456 bytes"), "{problems:?}");
    }

    #[test]
    fn a_damaged_entry_is_named() {
        let text: Vec<u8> = (0..=255).cycle().take(5000).collect();
        let mut bytes = pack(&[file("good.json", b"{}"), file("bad.json", &text)]);
        let name_at = bytes.windows(8).position(|window| window == b"bad.json").unwrap();
        bytes[name_at + 40] ^= 0xff;
        let problems = unpack(Some("plans.zip"), bytes).unwrap_err();
        assert_eq!((problems.len(), problems[0].file.as_deref()), (1, Some("bad.json")));
        let cut = pack(&[file("good.json", b"{}")]);
        assert_eq!(unpack(Some("plans.zip"), cut[..20].to_vec()).unwrap_err()[0].file.as_deref(), Some("plans.zip"));
    }
}
