//! Brings what belongs to each client together.

use std::borrow::Cow;
use std::panic::resume_unwind;

/// Fewer items than this are not worth a second thread. Tests have both ways.
pub const SHARED_MIN: usize = if cfg!(test) { 8 } else { 100_000 };

/// Does both at once, the second in a thread of its own.
pub fn both<A, B: Send>(one: impl FnOnce() -> A, other: impl FnOnce() -> B + Send) -> (A, B) {
    std::thread::scope(|scope| {
        let other = scope.spawn(other);
        let one = one();
        (one, other.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

/// Items by client, and those of a client by `order`. O(n) where clients' numbers lie close together and each client's
/// items come almost in order, as they do from a store; O(n log n) otherwise. Many are shared between two threads.
pub fn by_client<T, O>(items: &[T], client: impl Fn(&T) -> u32 + Sync, order: impl Fn(&T) -> O + Sync) -> Cow<'_, [T]>
where
    T: Copy + Send + Sync,
    O: Ord,
{
    let is_shared = items.len() >= SHARED_MIN;
    arranged(items, client, order, is_shared).map_or(Cow::Borrowed(items), Cow::Owned)
}

/// The same in this thread alone.
pub fn by_client_alone<T, O>(items: Vec<T>, client: impl Fn(&T) -> u32 + Sync, order: impl Fn(&T) -> O + Sync) -> Vec<T>
where
    T: Copy + Send + Sync,
    O: Ord,
{
    arranged(&items, client, order, false).unwrap_or(items)
}

/// `None` where they are in that order already.
fn arranged<T, O>(
    items: &[T],
    client: impl Fn(&T) -> u32 + Sync,
    order: impl Fn(&T) -> O + Sync,
    is_shared: bool,
) -> Option<Vec<T>>
where
    T: Copy + Send + Sync,
    O: Ord,
{
    if items.is_sorted_by_key(|item| (client(item), order(item))) {
        return None;
    }
    let (least, most) = (items.iter().map(&client).min()?, items.iter().map(&client).max()?);
    let mut sorted = items.to_vec();
    let clients = (most - least) as usize + 1;
    if clients > 4 * items.len() + 1_000_000 {
        sorted.sort_by_key(|item| (client(item), order(item)));
        return Some(sorted);
    }
    // Where each client's begin; then they are put there one after the other.
    let mut begins = vec![0u32; clients + 1];
    for item in items {
        begins[(client(item) - least) as usize + 1] += 1;
    }
    for client in 0..clients {
        begins[client + 1] += begins[client];
    }
    let place = |from: usize, begins: &mut [u32], sorted: &mut [T]| {
        let (Some(&first), own) = (begins.first(), from..from + begins.len()) else { return };
        for item in items {
            let client = (client(item) - least) as usize;
            if own.contains(&client) {
                let place = &mut begins[client - from];
                sorted[(*place - first) as usize] = *item;
                *place += 1;
            }
        }
        for own in sorted.chunk_by_mut(|one, next| client(one) == client(next)) {
            if !own.is_sorted_by_key(&order) {
                own.sort_by_key(&order);
            }
        }
    };
    let begins = &mut begins[..clients];
    if !is_shared {
        place(0, begins, &mut sorted);
    } else {
        // The client at whose items the second half begins.
        let half = begins.partition_point(|begin| (*begin as usize) < items.len() / 2);
        let at = begins.get(half).map_or(items.len(), |begin| *begin as usize);
        let ((first_begins, second_begins), (first, second)) = (begins.split_at_mut(half), sorted.split_at_mut(at));
        std::thread::scope(|scope| {
            scope.spawn(|| place(0, first_begins, first));
            place(half, second_begins, second);
        });
    }
    Some(sorted)
}

/// Numbers, ascending; O(n). Many are shared between two threads.
pub fn ascending(mut values: Vec<i64>) -> Vec<i64> {
    if values.len() < SHARED_MIN {
        return sorted_by_digits(values);
    }
    let second = values.split_off(values.len() / 2);
    let (first, second) = both(|| sorted_by_digits(values), || sorted_by_digits(second));
    let mut sorted = Vec::with_capacity(first.len() + second.len());
    let mut rest = &second[..];
    for value in first {
        let before = rest.iter().take_while(|other| **other < value).count();
        sorted.extend_from_slice(&rest[..before]);
        sorted.push(value);
        rest = &rest[before..];
    }
    sorted.extend_from_slice(rest);
    sorted
}

/// A radix sort: comparing takes longer than all the rest of a month's series.
fn sorted_by_digits(mut values: Vec<i64>) -> Vec<i64> {
    const DIGIT_BITS: u32 = 11;
    let (Some(&least), Some(&most)) = (values.iter().min(), values.iter().max()) else { return values };
    if values.is_sorted() {
        return values;
    }
    // How far above the least, which has no sign and few digits.
    let above = |value: i64| value.wrapping_sub(least).cast_unsigned();
    let mut other = vec![0; values.len()];
    let mut shift = 0;
    while shift < u64::BITS && above(most) >> shift > 0 {
        let digit = |value: i64| (above(value) >> shift) as usize & ((1 << DIGIT_BITS) - 1);
        let mut places = vec![0u32; 1 << DIGIT_BITS];
        values.iter().for_each(|value| places[digit(*value)] += 1);
        let mut next = 0;
        for place in &mut places {
            next += std::mem::replace(place, next);
        }
        for value in &values {
            let place = &mut places[digit(*value)];
            other[*place as usize] = *value;
            *place += 1;
        }
        std::mem::swap(&mut values, &mut other);
        shift += DIGIT_BITS;
    }
    values
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_are_sorted(numbers in prop::collection::vec(prop_oneof![-50i64..50, any::<i64>()], 0..300)) {
            let mut expected = numbers.clone();
            expected.sort();
            prop_assert_eq!(ascending(numbers), expected);
        }

        #[test]
        fn it_is_a_sort(
            items in prop::collection::vec((prop_oneof![0u32..20, Just(u32::MAX), Just(3_000_000)], 0i64..50, any::<u8>()), 0..200),
        ) {
            let mut expected = items.clone();
            expected.sort_by_key(|(client, at, _)| (*client, *at));
            prop_assert_eq!(&by_client(&items, |item| item.0, |item| item.1).into_owned(), &expected);
            prop_assert_eq!(by_client_alone(items, |item| item.0, |item| item.1), expected);
        }
    }

    #[test]
    fn two_threads_sort_as_one() {
        for clients in [1, 2, 3, 1000, 90_000] {
            let items: Vec<(u32, i64)> =
                (0..100_000).map(|n| ((n * 7919 % clients) as u32 + 5, n / 3 * 31 % 5_000)).collect();
            let mut expected = items.clone();
            expected.sort();
            assert_eq!(by_client(&items, |item| item.0, |item| item.1).into_owned(), expected);
        }
    }
}
