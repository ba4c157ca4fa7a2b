//! Memory that people's statements may not take: what DuckDB asks of the system for them is refused beyond a bound.
//!
//! DuckDB's own limit counts its tables, sorts and joins, and not the texts and lists that functions make of single values;
//! and one call makes two thousand of them before it hears an interrupt. But all of it comes from the system by `mmap` or
//! C++'s `new`, and a program's own symbols of these names stand before the libraries'. Where the bound is reached they say
//! that there is no memory: DuckDB makes an error of that, the statement ends, and all else goes on. What Rust allocates
//! comes by another way and is never refused, since it would end the program.
//!
//! Refused are threads that ask for people, and DuckDB's workers, which are known by their name. A worker may do a piece of
//! the program's own questions at that moment: they fail, and are asked again. A checkpoint must not fail, the database could
//! not be used afterwards: while the program commits, workers have some more memory than people can take.

// Where nothing is refused, who works for whom is not asked.
#![cfg_attr(not(refuses_memory), allow(dead_code))]

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

#[cfg(refuses_memory)]
mod refusing;

/// Elsewhere nothing is refused.
#[cfg(not(refuses_memory))]
mod refusing {
    pub fn start() -> bool {
        false
    }

    pub fn resident() -> Option<usize> {
        None
    }
}

/// For whom a thread works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Unknown,
    Program,
    Worker,
    Person,
}

/// What DuckDB's workers are called: they inherit it from the thread that starts them.
const WORKER: &str = "duckdb-worker";

/// The most bytes that the process may have in memory when a person's statement asks for more.
static MOST: AtomicUsize = AtomicUsize::new(usize::MAX);

/// What workers may take beside while the program commits.
static RESERVE: AtomicUsize = AtomicUsize::new(0);

/// Commits of the program's that go on.
static COMMITS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    // No destructors: these are looked at whenever memory is asked for, also while a thread ends.
    static WHO: Cell<Who> = const { Cell::new(Who::Unknown) };
    /// Bytes that were asked for in small pieces since the bound was looked at.
    static SMALL: Cell<usize> = const { Cell::new(0) };
}

/// Requests from here on are looked at, and small ones whenever they make as much together.
const LARGE: usize = 1 << 20;
const SMALL_MOST: usize = 16 << 20;

/// Sets the bound, of the limit that DuckDB has: a GiB beside it and what the program has already. Where the limit is DuckDB's
/// own choice, four fifths of the machine, it is nine tenths of the machine.
pub fn bound(limit: usize, is_own_choice: bool) {
    let (most, reserve) = match is_own_choice {
        true => (limit / 8 * 9, limit / 16),
        false => (limit.saturating_add(refusing::resident().unwrap_or(0)).saturating_add(1 << 30), 512 << 20),
    };
    RESERVE.store(reserve, Ordering::Relaxed);
    MOST.store(most, Ordering::Relaxed);
    match refusing::start() {
        true => tracing::debug!(most_mib = most >> 20, "people's statements have a bound of memory"),
        false => tracing::warn!("people's statements in SQL have no bound of memory on this system but DuckDB's own"),
    }
}

/// Until it is dropped, its thread asks for a person.
pub struct ForPerson(Who);

pub fn for_person() -> ForPerson {
    ForPerson(WHO.replace(Who::Person))
}

impl Drop for ForPerson {
    fn drop(&mut self) {
        WHO.set(self.0);
    }
}

/// Until it is dropped, the program commits.
pub struct Commit(());

pub fn commit() -> Commit {
    COMMITS.fetch_add(1, Ordering::Relaxed);
    Commit(())
}

impl Drop for Commit {
    fn drop(&mut self) {
        COMMITS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Opens a database; its workers are known by their name.
pub fn with_workers<T>(open: impl FnOnce() -> T) -> T {
    const COMM: &str = "/proc/thread-self/comm";
    // Not to be taken for one of them.
    let who = WHO.replace(Who::Program);
    let own = std::fs::read(COMM);
    let named = own.as_ref().is_ok_and(|_| std::fs::write(COMM, WORKER).is_ok());
    let opened = open();
    if let (Ok(own), true) = (own, named) {
        // A name is all that is at stake.
        let _ = std::fs::write(COMM, own.trim_ascii_end());
    }
    WHO.set(who);
    opened
}

/// What is asked for in small pieces, so many bytes now, counts together.
fn counted(bytes: usize) -> usize {
    if bytes >= LARGE {
        return bytes;
    }
    let small = SMALL.get() + bytes;
    let is_due = small >= SMALL_MOST;
    SMALL.set(if is_due { 0 } else { small });
    if is_due { bytes } else { 0 }
}

/// Whether a thread that works for `who` may not have so many bytes more.
fn is_too_much(who: Who, bytes: usize, resident: usize) -> bool {
    let most = MOST.load(Ordering::Relaxed);
    let most = match who {
        Who::Unknown | Who::Program => return false,
        Who::Worker if COMMITS.load(Ordering::Relaxed) > 0 => most.saturating_add(RESERVE.load(Ordering::Relaxed)),
        Who::Worker | Who::Person => most,
    };
    resident.saturating_add(bytes) > most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_requests_are_looked_at_together() {
        assert_eq!(counted(LARGE), LARGE);
        let looks = (0..64 << 10).filter(|_| counted(1 << 10) > 0).count();
        assert_eq!(looks, (64 << 20) / SMALL_MOST);
    }

    #[test]
    fn the_program_is_refused_nothing() {
        for who in [Who::Unknown, Who::Program] {
            assert!(!is_too_much(who, usize::MAX, usize::MAX));
        }
        let most = MOST.load(Ordering::Relaxed);
        assert!(is_too_much(Who::Person, 1, most) || most == usize::MAX);
    }

    #[test]
    fn a_thread_asks_for_a_person_until_it_is_done() {
        let before = WHO.get();
        let asking = for_person();
        assert_eq!(WHO.get(), Who::Person);
        drop(asking);
        assert_eq!(WHO.get(), before);
    }
}
