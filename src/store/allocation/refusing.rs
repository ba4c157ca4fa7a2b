//! The symbols that stand before the system's, and what they refuse.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::os::fd::OwnedFd;
use std::ptr::null_mut;
use std::sync::OnceLock;

use duckdb::ffi;
use rustix::fs::{Mode, OFlags};

use super::{WHO, WORKER, Who, counted, is_too_much};

// Of glibc: these stand behind names that are taken here, or are not refused.
unsafe extern "C" {
    fn mmap64(at: *mut c_void, bytes: usize, access: c_int, flags: c_int, file: c_int, offset: i64) -> *mut c_void;
    fn __sbrk(bytes: isize) -> *mut c_void;
    fn malloc(bytes: usize) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
    fn __errno_location() -> *mut c_int;
    safe fn getpagesize() -> c_int;
}

const MAP_ANONYMOUS: c_int = 0x20;
const FAILED: *mut c_void = usize::MAX as *mut c_void;
const ENOMEM: c_int = 12;
/// For `dlsym`: what comes after the program itself.
const RTLD_NEXT: *mut c_void = usize::MAX as *mut c_void;

type Throw = unsafe extern "C-unwind" fn() -> !;
type ToArrow = unsafe extern "C" fn(
    ffi::duckdb_arrow_options,
    ffi::duckdb_data_chunk,
    *mut ffi::ArrowArray,
) -> ffi::duckdb_error_data;

/// Says how much memory the process has. Open, since asking must need none.
static STATM: OnceLock<OwnedFd> = OnceLock::new();

/// C++'s `std::bad_alloc`.
static THROW: OnceLock<Throw> = OnceLock::new();

/// Without effect where the system has not what it takes; tells whether it has.
pub fn start() -> bool {
    if THROW.get().is_none()
        && let Some(found) = next(c"_ZSt17__throw_bad_allocv")
    {
        // SAFETY: that is its type, by its mangled name and libstdc++'s headers.
        let _ = THROW.set(unsafe { std::mem::transmute::<*mut c_void, Throw>(found) });
    }
    THROW.get().is_some() && resident().is_some()
}

fn next(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: looks a name up, and runs nothing.
    let found = unsafe { dlsym(RTLD_NEXT, name.as_ptr()) };
    (!found.is_null()).then_some(found)
}

/// Bytes of the process that are in memory.
pub fn resident() -> Option<usize> {
    let file = match STATM.get() {
        Some(file) => file,
        None => {
            let opened = rustix::fs::open("/proc/self/statm", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
            STATM.get_or_init(|| opened)
        }
    };
    let mut text = [0; 128];
    let read = rustix::io::pread(file, &mut text, 0).ok()?;
    let second = text[..read].split(u8::is_ascii_whitespace).nth(1)?;
    let pages = second.iter().try_fold(0usize, |sum, digit| Some(sum * 10 + usize::from(digit.checked_sub(b'0')?)))?;
    Some(pages * usize::try_from(getpagesize()).ok()?)
}

/// For whom this thread works. Needs no memory.
fn who() -> Who {
    if WHO.get() == Who::Unknown {
        WHO.set(if is_worker() { Who::Worker } else { Who::Program });
    }
    WHO.get()
}

fn is_worker() -> bool {
    let mut name = [0; 32];
    let opened = rustix::fs::open("/proc/thread-self/comm", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    let read = opened.and_then(|file| rustix::io::pread(&file, &mut name, 0));
    read.is_ok_and(|read| name[..read].trim_ascii_end() == WORKER.as_bytes())
}

fn is_refused(bytes: usize) -> bool {
    if WHO.get() == Who::Program {
        return false;
    }
    let counted = counted(bytes);
    counted > 0
        && who() != Who::Program
        // Without these there is nothing to refuse by.
        && THROW.get().is_some()
        && resident().is_some_and(|resident| is_too_much(who(), counted, resident))
}

fn no_memory() -> *mut c_void {
    // SAFETY: every thread has one.
    unsafe { *__errno_location() = ENOMEM };
    FAILED
}

/// By this DuckDB's allocator grows.
///
/// # Safety
/// As the system's.
#[unsafe(no_mangle)]
unsafe extern "C" fn mmap(
    at: *mut c_void,
    bytes: usize,
    access: c_int,
    flags: c_int,
    file: c_int,
    offset: i64,
) -> *mut c_void {
    if flags & MAP_ANONYMOUS != 0 && is_refused(bytes) {
        return no_memory();
    }
    // SAFETY: the caller's; it is the same function by its other name.
    unsafe { mmap64(at, bytes, access, flags, file, offset) }
}

/// And by this, where `mmap` has nothing.
///
/// # Safety
/// As the system's.
#[unsafe(no_mangle)]
unsafe extern "C" fn sbrk(bytes: isize) -> *mut c_void {
    if is_refused(usize::try_from(bytes).unwrap_or(0)) {
        return no_memory();
    }
    // SAFETY: the caller's; it is the same function by its other name.
    unsafe { __sbrk(bytes) }
}

/// C++'s `new`, as libstdc++ has it: what it gives is freed by `free`.
///
/// # Safety
/// As `malloc`.
unsafe fn new(bytes: usize) -> *mut c_void {
    if is_refused(bytes) {
        return null_mut();
    }
    // SAFETY: the caller's.
    unsafe { malloc(bytes) }
}

/// # Safety
/// As C++'s `new`: throws where there is no memory.
#[unsafe(export_name = "_Znwm")]
unsafe extern "C-unwind" fn new_or_throw(bytes: usize) -> *mut c_void {
    // SAFETY: the caller's.
    let given = unsafe { new(bytes) };
    if given.is_null() {
        match THROW.get() {
            // SAFETY: nothing in this function or above it is to be cleaned up; the caller is C++.
            Some(throw) => unsafe { throw() },
            None => std::process::abort(),
        }
    }
    given
}

/// # Safety
/// As C++'s `new[]`.
#[unsafe(export_name = "_Znam")]
unsafe extern "C-unwind" fn new_array_or_throw(bytes: usize) -> *mut c_void {
    // SAFETY: the caller's.
    unsafe { new_or_throw(bytes) }
}

/// # Safety
/// As C++'s `new` that does not throw.
#[unsafe(export_name = "_ZnwmRKSt9nothrow_t")]
unsafe extern "C" fn new_or_null(bytes: usize, _: *const c_void) -> *mut c_void {
    // SAFETY: the caller's.
    unsafe { new(bytes) }
}

/// # Safety
/// As C++'s `new[]` that does not throw.
#[unsafe(export_name = "_ZnamRKSt9nothrow_t")]
unsafe extern "C" fn new_array_or_null(bytes: usize, _: *const c_void) -> *mut c_void {
    // SAFETY: the caller's.
    unsafe { new(bytes) }
}

/// The most bytes of texts in a piece of an answer, 2048 rows.
const PIECE_BYTES_MAX: u64 = 256 << 20;

/// Copies a piece of an answer for Arrow, unless it is too large: DuckDB does not look whether it got the memory for that. Of a
/// text that all rows share it makes a copy for each.
///
/// # Safety
/// As DuckDB's function of this name, which it stands before.
#[unsafe(no_mangle)]
unsafe extern "C" fn duckdb_data_chunk_to_arrow(
    options: ffi::duckdb_arrow_options,
    chunk: ffi::duckdb_data_chunk,
    array: *mut ffi::ArrowArray,
) -> ffi::duckdb_error_data {
    static TO_ARROW: OnceLock<Option<ToArrow>> = OnceLock::new();
    let found = TO_ARROW.get_or_init(|| {
        // SAFETY: that is its type, as the bindings have it.
        next(c"duckdb_data_chunk_to_arrow").map(|found| unsafe { std::mem::transmute::<*mut c_void, ToArrow>(found) })
    });
    let out_of_memory = ffi::duckdb_error_type_DUCKDB_ERROR_OUT_OF_MEMORY;
    let Some(to_arrow) = found else {
        // SAFETY: the text is a constant.
        return unsafe { ffi::duckdb_create_error_data(out_of_memory, c"DuckDB lacks a function".as_ptr()) };
    };
    // SAFETY: the chunk is the caller's, and whole; its vectors are flat, as all that DuckDB hands out are.
    unsafe {
        let rows = ffi::duckdb_data_chunk_get_size(chunk);
        let columns = 0..ffi::duckdb_data_chunk_get_column_count(chunk);
        let bytes = columns.map(|place| text_bytes(ffi::duckdb_data_chunk_get_vector(chunk, place), rows)).sum::<u64>();
        if WHO.get() == Who::Person && bytes > PIECE_BYTES_MAX {
            let text = c"Out of Memory Error: 2048 rows of the answer are larger than 256 MiB: ask for shorter values";
            return ffi::duckdb_create_error_data(out_of_memory, text.as_ptr());
        }
        to_arrow(options, chunk, array)
    }
}

/// Bytes of the texts in a vector, and in what it holds; eight for every other value.
///
/// # Safety
/// The vector must be flat, and have so many rows.
unsafe fn text_bytes(vector: ffi::duckdb_vector, rows: u64) -> u64 {
    // SAFETY: each is asked what its type has, of rows that it has.
    unsafe {
        let mut column_type = ffi::duckdb_vector_get_column_type(vector);
        let kind = ffi::duckdb_get_type_id(column_type);
        let bytes = match kind {
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_VARCHAR
            | ffi::DUCKDB_TYPE_DUCKDB_TYPE_BLOB
            | ffi::DUCKDB_TYPE_DUCKDB_TYPE_BIT
            | ffi::DUCKDB_TYPE_DUCKDB_TYPE_BIGNUM
            | ffi::DUCKDB_TYPE_DUCKDB_TYPE_GEOMETRY => {
                let texts = ffi::duckdb_vector_get_data(vector).cast::<ffi::duckdb_string_t>();
                let valid = ffi::duckdb_vector_get_validity(vector);
                (0..rows)
                    .filter(|row| valid.is_null() || ffi::duckdb_validity_row_is_valid(valid, *row))
                    .map(|row| u64::from((*texts.add(row as usize)).value.inlined.length))
                    .sum()
            }
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_LIST | ffi::DUCKDB_TYPE_DUCKDB_TYPE_MAP => {
                text_bytes(ffi::duckdb_list_vector_get_child(vector), ffi::duckdb_list_vector_get_size(vector))
            }
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_ARRAY => {
                let members = rows.saturating_mul(ffi::duckdb_array_type_array_size(column_type));
                text_bytes(ffi::duckdb_array_vector_get_child(vector), members)
            }
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_STRUCT | ffi::DUCKDB_TYPE_DUCKDB_TYPE_VARIANT => {
                let members = 0..ffi::duckdb_struct_type_child_count(column_type);
                members.map(|place| text_bytes(ffi::duckdb_struct_vector_get_child(vector, place), rows)).sum()
            }
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_UNION => {
                // Its tag is its first member.
                let members = 1..=ffi::duckdb_union_type_member_count(column_type);
                members.map(|place| text_bytes(ffi::duckdb_struct_vector_get_child(vector, place), rows)).sum()
            }
            _ => rows.saturating_mul(8),
        };
        ffi::duckdb_destroy_logical_type(&mut column_type);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn these_stand_before_the_libraries() {
        for (name, own) in [
            (c"mmap", mmap as *const () as usize),
            (c"sbrk", sbrk as *const () as usize),
            (c"_Znwm", new_or_throw as *const () as usize),
            (c"_Znam", new_array_or_throw as *const () as usize),
            (c"_ZnwmRKSt9nothrow_t", new_or_null as *const () as usize),
            (c"_ZnamRKSt9nothrow_t", new_array_or_null as *const () as usize),
            (c"duckdb_data_chunk_to_arrow", duckdb_data_chunk_to_arrow as *const () as usize),
        ] {
            // SAFETY: looks a name up, and runs nothing.
            let found = unsafe { dlsym(null_mut(), name.as_ptr()) };
            assert_eq!(found as usize, own, "{name:?}");
        }
        assert!(start());
    }

    #[test]
    fn what_is_in_memory_is_known() {
        let before = resident().unwrap();
        let large = std::hint::black_box(vec![1u8; 64 << 20]);
        let after = resident().unwrap();
        assert!(before > 1 << 20 && after > large.len(), "{before} {after}");
    }

    #[test]
    fn workers_are_known_by_their_name() {
        let worker = std::thread::Builder::new().name(WORKER.into()).spawn(who).unwrap().join().unwrap();
        let other = std::thread::spawn(who).join().unwrap();
        assert_eq!((worker, other), (Who::Worker, Who::Program));
        let _conn = crate::store::allocation::with_workers(duckdb::Connection::open_in_memory).unwrap();
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
        let workers = names.filter(|name| name.trim_end() == WORKER).count();
        assert!(workers > 0 || std::thread::available_parallelism().unwrap().get() == 1);
        assert_ne!(std::fs::read_to_string("/proc/thread-self/comm").unwrap().trim_end(), WORKER);
    }
}
