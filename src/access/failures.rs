//! Attempts that failed, by address: who fails too often in a minute waits until it is over.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;

use crate::clock::Clock;

/// Failures of one address that are let pass in a minute.
pub const FAILURES_MAX: u32 = 20;

const MINUTE_MS: i64 = 60_000;

/// Addresses that are remembered. Beyond it all others count as one, so that memory is bounded whoever knocks.
const ADDRESSES_MAX: usize = 10_000;

pub struct Failures {
    clock: Clock,
    /// When the minute of each address began, and its failures since.
    by_address: Mutex<HashMap<Option<IpAddr>, (i64, u32)>>,
}

impl Failures {
    pub fn new(clock: Clock) -> Failures {
        Failures { clock, by_address: Mutex::default() }
    }

    /// Seconds that this address has to wait, if it has failed too often.
    pub fn blocked(&self, peer: Option<IpAddr>) -> Option<u64> {
        let now_ms = self.clock.now().0;
        let by_address = self.by_address.lock().expect("no one panics with it");
        let key = if by_address.contains_key(&network(peer)) { network(peer) } else { None };
        wait_s(*by_address.get(&key)?, now_ms)
    }

    /// Notes a failure; gives the seconds to wait once there were too many.
    pub fn failed(&self, peer: Option<IpAddr>) -> Option<u64> {
        let now_ms = self.clock.now().0;
        let mut by_address = self.by_address.lock().expect("no one panics with it");
        let mut key = network(peer);
        if !by_address.contains_key(&key) && by_address.len() >= ADDRESSES_MAX {
            by_address.retain(|_, (begun_ms, _)| is_running(*begun_ms, now_ms));
            if by_address.len() >= ADDRESSES_MAX {
                key = None;
            }
        }
        let entry = by_address.entry(key).or_insert((now_ms, 0));
        if !is_running(entry.0, now_ms) {
            *entry = (now_ms, 0);
        }
        entry.1 = entry.1.saturating_add(1);
        wait_s(*entry, now_ms)
    }
}

/// Whether a minute goes on; a clock that was set back ends it.
fn is_running(begun_ms: i64, now_ms: i64) -> bool {
    (0..MINUTE_MS).contains(&(now_ms - begun_ms))
}

fn wait_s((begun_ms, failures): (i64, u32), now_ms: i64) -> Option<u64> {
    let is_blocked = failures > FAILURES_MAX && is_running(begun_ms, now_ms);
    is_blocked.then(|| (begun_ms + MINUTE_MS - now_ms).unsigned_abs().div_ceil(1000))
}

/// One customer's part of IPv6, which has as many addresses as anybody wants.
fn network(peer: Option<IpAddr>) -> Option<IpAddr> {
    peer.map(|peer| match peer.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        address => address,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_later_it_is_forgotten() {
        let clock = Clock::manual(0);
        let failures = Failures::new(clock.clone());
        let peer = Some(IpAddr::from([10, 0, 0, 1]));
        for _ in 0..FAILURES_MAX {
            assert_eq!(failures.failed(peer), None);
        }
        clock.set(30_000);
        assert_eq!(failures.failed(peer), Some(30));
        assert_eq!(failures.blocked(peer), Some(30));
        assert_eq!(failures.blocked(Some(IpAddr::from([10, 0, 0, 2]))), None);
        clock.set(60_000);
        assert_eq!(failures.blocked(peer), None);
        assert_eq!(failures.failed(peer), None);
    }

    #[test]
    fn addresses_without_end_take_bounded_memory() {
        let failures = Failures::new(Clock::manual(0));
        for n in 0..20_000u32 {
            failures.failed(Some(IpAddr::from(n.to_be_bytes())));
        }
        assert!(failures.by_address.lock().unwrap().len() <= ADDRESSES_MAX + 1);
        let [one, other] = ["2001:db8::1", "2001:db8::2"].map(|text| text.parse().ok());
        assert_eq!(network(one), network(other));
    }
}
