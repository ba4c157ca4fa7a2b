//! How much memory the process takes while people's statements run.
//!
//! DuckDB's limit leaves out what functions make of single values. So the whole process is looked at: above the bound all
//! statements are given up, and the system gives it hardly any more, so that those that hear no interrupt fail, too.
//! What goes on growing all the same ends the program, before the system ends it or another one: what was acknowledged
//! is in the file.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::sql::Interrupt;

const MIB: u64 = 1 << 20;

/// How often it is looked.
const EVERY: Duration = Duration::from_millis(10);

/// Beside what DuckDB may take: for values in the making, and for answers.
const SPARE: u64 = 1024 * MIB;

/// What the system gives in any case: others need memory, too.
const LAST: u64 = 128 * MIB;

/// Above the bound, where the program ends.
const BEYOND: u64 = 2048 * MIB;

/// Looks after statements were given up, until what they left counts as what the program needs.
const SETTLING: u32 = 3000;

/// The exit status of sysexits.h for an internal software error.
const EXIT_SOFTWARE: i32 = 70;

struct Watch {
    next: u64,
    running: BTreeMap<u64, Arc<Interrupt>>,
    /// The most that DuckDB may take, of the files that were opened.
    duckdb_bytes: u64,
    /// What the process took before statements ran.
    base: u64,
    /// The limit to go back to, while the system is to give no more than is left.
    loose: Option<Rlimit>,
    /// Looks that are left until it has settled.
    settling: u32,
    is_looking: bool,
}

static WATCH: Mutex<Watch> = Mutex::new(Watch {
    next: 0,
    running: BTreeMap::new(),
    duckdb_bytes: 0,
    base: 0,
    loose: None,
    settling: 0,
    is_looking: false,
});

fn watch() -> MutexGuard<'static, Watch> {
    WATCH.lock().expect("no one panics with the watch")
}

/// Says what DuckDB may take for a file.
pub(super) fn allow(duckdb_bytes: u64) {
    let mut watch = watch();
    watch.duckdb_bytes = watch.duckdb_bytes.max(duckdb_bytes);
}

/// A statement that is looked after, until it is dropped.
pub(super) struct Watched(u64);

impl Watched {
    /// Where the system does not tell how much memory is taken, nothing comes of it.
    pub(super) fn new(statement: &Arc<Interrupt>) -> Watched {
        let mut watch = watch();
        if watch.running.is_empty()
            && watch.settling == 0
            && let Some(taken) = taken()
        {
            watch.base = taken.resident;
        }
        if !watch.is_looking {
            watch.is_looking = true;
            thread::spawn(look);
        }
        let number = watch.next;
        watch.next += 1;
        watch.running.insert(number, statement.clone());
        Watched(number)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let mut watch = watch();
        watch.running.remove(&self.0);
        if watch.running.is_empty() {
            watch.loosen();
        }
    }
}

/// Looks until there is nothing to look after.
fn look() {
    while watch().look() {
        thread::sleep(EVERY);
    }
}

impl Watch {
    fn look(&mut self) -> bool {
        let bound = self.base + self.duckdb_bytes + SPARE;
        let found = taken();
        match &found {
            Some(taken) if self.running.is_empty() && taken.resident > self.base + LAST => {
                self.settling = self.settling.saturating_sub(1);
            }
            Some(taken) if !self.running.is_empty() => {
                // From half way on: what the system has given once may be filled later.
                if taken.resident > self.base + (bound - self.base) / 2 {
                    self.tighten(taken, bound);
                } else {
                    self.loosen();
                }
                if taken.resident > bound {
                    self.give_up(taken, bound);
                }
            }
            _ => self.settling = 0,
        }
        self.is_looking = found.is_some() && (self.settling > 0 || !self.running.is_empty());
        self.is_looking
    }

    fn give_up(&mut self, taken: &Taken, bound: u64) {
        let (resident_mib, bound_mib) = (taken.resident / MIB, bound / MIB);
        if taken.resident > bound + BEYOND {
            tracing::error!(
                resident_mib,
                "a statement takes memory without end and cannot be stopped; stopping: start again to go on"
            );
            std::process::exit(EXIT_SOFTWARE);
        }
        if self.settling == 0 {
            tracing::warn!(resident_mib, bound_mib, "statements take too much memory: they are given up");
        }
        self.settling = SETTLING;
        self.running.values().for_each(Interrupt::stop_growing);
    }

    /// Lets the process have what is left up to the bound.
    fn tighten(&mut self, taken: &Taken, bound: u64) {
        let now = getrlimit(Resource::Data);
        let loose = self.loose.get_or_insert(now);
        let left = bound.saturating_sub(taken.resident).max(LAST);
        let tight = (taken.data + left).min(loose.current.unwrap_or(u64::MAX));
        if let Err(error) = setrlimit(Resource::Data, Rlimit { current: Some(tight), ..now }) {
            tracing::debug!(error = &error as &dyn std::error::Error, "the limit of memory stays where it is");
        }
    }

    fn loosen(&mut self) {
        if let Some(loose) = self.loose.take()
            && let Err(error) = setrlimit(Resource::Data, loose)
        {
            tracing::error!(error = &error as &dyn std::error::Error, "the limit of memory stays where it is");
        }
    }
}

/// Bytes of the process that are in memory, and those that it may write.
struct Taken {
    resident: u64,
    data: u64,
}

fn taken() -> Option<Taken> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
    };
    Some(Taken { resident: bytes("VmRSS:")?, data: bytes("VmData:")? })
}
