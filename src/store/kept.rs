//! Answers kept from one question to the next, until what they are about changes.

use std::sync::{Mutex, MutexGuard};

use super::StoreError;

/// What is kept, and how often it changed.
#[derive(Default)]
pub(super) struct Kept<T> {
    state: Mutex<(T, u64)>,
}

impl<T> Kept<T> {
    fn state(&self) -> MutexGuard<'_, (T, u64)> {
        self.state.lock().expect("no one panics with what is kept")
    }

    /// What is `known`, or else is `read` and then kept; unless something changed since the reading began.
    pub fn get<A>(
        &self,
        known: impl FnOnce(&T) -> Option<A>,
        read: impl FnOnce() -> Result<A, StoreError>,
        keep: impl FnOnce(&mut T, &A),
    ) -> Result<A, StoreError> {
        let before = {
            let (kept, changes) = &*self.state();
            if let Some(answer) = known(kept) {
                return Ok(answer);
            }
            *changes
        };
        let answer = read()?;
        let (kept, changes) = &mut *self.state();
        if *changes == before {
            keep(kept, &answer);
        }
        Ok(answer)
    }

    /// To be called once something is committed that may concern it, and before anybody is told so.
    pub fn change(&self, forget: impl FnOnce(&mut T)) {
        let (kept, changes) = &mut *self.state();
        *changes += 1;
        forget(kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_while_it_was_read_is_read_again() {
        let kept = Kept::<Option<i32>>::default();
        let get = |read: &dyn Fn() -> i32| kept.get(|kept| *kept, || Ok(read()), |kept, found| *kept = Some(*found));
        let changed = || {
            kept.change(|kept| *kept = None);
            1
        };
        assert_eq!(get(&changed).unwrap(), 1);
        assert_eq!(get(&|| 2).unwrap(), 2);
        assert_eq!(get(&|| 3).unwrap(), 2);
        kept.change(|kept| *kept = None);
        assert_eq!(get(&|| 4).unwrap(), 4);
    }
}
