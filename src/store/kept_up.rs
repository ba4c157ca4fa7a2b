//! What is read from the file once, beside the writer, and then kept up with what the writer commits.
//!
//! What is committed while the file is read is kept aside: the reading may have seen it or not. Whatever makes it unknown what the
//! file has, has all of it forgotten, and a reading that began before that is in vain.

use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::StoreError;

/// A `T`, kept up with what a `C` says of each commit.
pub(super) struct KeptUp<T, C> {
    since_max: usize,
    state: RwLock<State<T, C>>,
}

struct State<T, C> {
    kept: Kept<T, C>,
    /// Commits happen of which nothing will be said.
    is_blocked: bool,
    /// Counts how often it was read.
    reads: u64,
}

enum Kept<T, C> {
    Nothing,
    /// It is being read; this was committed since that began.
    Awaited {
        read: u64,
        since: Vec<C>,
    },
    There(T),
}

impl<T, C> KeptUp<T, C> {
    /// What more than so many say while it is read is not kept aside: then it is read in vain.
    pub fn new(since_max: usize) -> KeptUp<T, C> {
        KeptUp { since_max, state: RwLock::new(State { kept: Kept::Nothing, is_blocked: false, reads: 0 }) }
    }

    fn read(&self) -> RwLockReadGuard<'_, State<T, C>> {
        self.state.read().expect("no one panics with what is kept up")
    }

    fn write(&self) -> RwLockWriteGuard<'_, State<T, C>> {
        self.state.write().expect("no one panics with what is kept up")
    }

    /// Looks at it where it is there. Nothing is taken in meanwhile, so commits wait.
    pub fn look<A>(&self, look: impl FnOnce(&T) -> A) -> Option<A> {
        match &self.read().kept {
            Kept::There(kept) => Some(look(kept)),
            Kept::Nothing | Kept::Awaited { .. } => None,
        }
    }

    /// Whether it is neither there nor being read.
    pub fn is_nothing(&self) -> bool {
        matches!(self.read().kept, Kept::Nothing)
    }

    /// Takes in what was committed, before anybody is told.
    pub fn came(&self, committed: impl Iterator<Item = C>, take: impl FnOnce(&mut T)) {
        let state = &mut *self.write();
        match &mut state.kept {
            Kept::Nothing => {}
            Kept::Awaited { since, .. } => {
                since.extend(committed);
                if since.len() > self.since_max {
                    state.kept = Kept::Nothing;
                }
            }
            Kept::There(kept) => take(kept),
        }
    }

    /// Changes it where it is there; `false`: it is to be forgotten.
    pub fn change(&self, change: impl FnOnce(&mut T) -> bool) {
        let state = &mut *self.write();
        if let Kept::There(kept) = &mut state.kept
            && !change(kept)
        {
            state.kept = Kept::Nothing;
        }
    }

    /// Forgets it, and has what is read just now read in vain; unless it is there and stays as it is.
    pub fn forget_unless(&self, stays: impl FnOnce(&T) -> bool) {
        let state = &mut *self.write();
        if !matches!(&state.kept, Kept::There(kept) if stays(kept)) {
            state.kept = Kept::Nothing;
        }
    }

    /// Forgets it, and has what is read just now read in vain.
    pub fn forget(&self) {
        self.forget_unless(|_| false);
    }

    /// Says whether commits happen of which nothing will be said: it is forgotten, and nothing is read meanwhile.
    pub fn block(&self, is_blocked: bool) {
        let state = &mut *self.write();
        state.is_blocked = is_blocked;
        state.kept = Kept::Nothing;
    }

    /// Reads it, unless it is there, or being read. `put` makes it of what was read and of what was committed since that began.
    pub fn load<R>(
        &self,
        read: impl FnOnce() -> Result<R, StoreError>,
        put: impl FnOnce(R, Vec<C>) -> T,
    ) -> Result<(), StoreError> {
        let Some(number) = self.begin() else { return Ok(()) };
        let found = read();
        let (found, done) = match found {
            Ok(found) => (Some(found), Ok(())),
            Err(error) => (None, Err(error)),
        };
        self.finish(number, found, put);
        done
    }

    /// The number of a read that begins now, if it may.
    pub fn begin(&self) -> Option<u64> {
        let state = &mut *self.write();
        if state.is_blocked || !matches!(state.kept, Kept::Nothing) {
            return None;
        }
        state.reads += 1;
        state.kept = Kept::Awaited { read: state.reads, since: Vec::new() };
        Some(state.reads)
    }

    /// Keeps what a read found, if it found anything; unless it was forgotten meanwhile.
    pub fn finish<R>(&self, number: u64, found: Option<R>, put: impl FnOnce(R, Vec<C>) -> T) {
        let state = &mut *self.write();
        let since = match &mut state.kept {
            Kept::Awaited { read, since } if *read == number => std::mem::take(since),
            _ => return,
        };
        state.kept = found.map_or(Kept::Nothing, |found| Kept::There(put(found, since)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_counts_unless_it_was_forgotten_meanwhile() {
        let kept: KeptUp<Vec<i32>, i32> = KeptUp::new(2);
        let put = |mut read: Vec<i32>, since: Vec<i32>| {
            read.extend(since);
            read
        };
        let came = |committed: i32| kept.came([committed].into_iter(), |kept| kept.push(committed));
        let known = || kept.look(Vec::clone);
        came(1);
        assert!(kept.is_nothing());
        let first = kept.begin().unwrap();
        assert_eq!((kept.begin(), kept.is_nothing(), known()), (None, false, None));
        came(2);
        kept.forget();
        let second = kept.begin().unwrap();
        came(3);
        kept.finish(first, Some(vec![1]), put);
        assert_eq!(known(), None);
        kept.finish(second, Some(vec![1, 2]), put);
        came(4);
        assert_eq!(known(), Some(vec![1, 2, 3, 4]));
        kept.load(|| unreachable!("it is there"), put).unwrap();
        kept.forget_unless(|kept| kept.contains(&4));
        assert!(known().is_some());
        kept.forget_unless(Vec::is_empty);
        assert_eq!(known(), None);
        kept.load(|| Ok(vec![5]), put).unwrap();
        assert_eq!(known(), Some(vec![5]));
        kept.forget();
        let third = kept.begin().unwrap();
        (6..9).for_each(came);
        assert!(kept.is_nothing(), "more came than is kept aside");
        kept.finish(third, Some(vec![5]), put);
        assert_eq!(known(), None);
    }

    #[test]
    fn nothing_is_read_while_it_is_blocked_or_kept_of_a_reading_that_failed() {
        let kept: KeptUp<i32, i32> = KeptUp::new(0);
        let put = |read: i32, _| read;
        kept.block(true);
        assert!(kept.begin().is_none());
        kept.block(false);
        assert!(kept.load(|| Err(StoreError::Newer { migration: "none".into() }), put).is_err());
        assert!(kept.is_nothing());
        kept.load(|| Ok(7), put).unwrap();
        kept.block(true);
        assert!(kept.is_nothing());
    }
}
