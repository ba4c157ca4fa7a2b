//! Brings what belongs to each client together.

/// Items by client, and those of a client by `order`. O(n) where clients' numbers lie close together and each client's
/// items come almost in order, as they do from a store; O(n log n) otherwise.
pub fn by_client<T: Copy, O: Ord>(items: &[T], client: impl Fn(&T) -> u32, order: impl Fn(&T) -> O) -> Vec<T> {
    let mut sorted = items.to_vec();
    if items.is_sorted_by_key(|item| (client(item), order(item))) {
        return sorted;
    }
    let (Some(least), Some(most)) = (items.iter().map(&client).min(), items.iter().map(&client).max()) else {
        return sorted;
    };
    let clients = (most - least) as usize + 1;
    if clients > 4 * items.len() + 1_000_000 {
        sorted.sort_by_key(|item| (client(item), order(item)));
        return sorted;
    }
    // Where each client's begin; then they are put there one after the other.
    let mut places = vec![0u32; clients + 1];
    for item in items {
        places[(client(item) - least) as usize + 1] += 1;
    }
    for client in 0..clients {
        places[client + 1] += places[client];
    }
    for item in items {
        let place = &mut places[(client(item) - least) as usize];
        sorted[*place as usize] = *item;
        *place += 1;
    }
    for own in sorted.chunk_by_mut(|one, next| client(one) == client(next)) {
        if !own.is_sorted_by_key(&order) {
            own.sort_by_key(&order);
        }
    }
    sorted
}

/// Instants, ascending. O(n) where they are spread evenly, as people come and go; O(n log n) at worst.
pub fn sorted_instants(instants: Vec<i64>) -> Vec<i64> {
    /// Instants that share a place, about.
    const TOGETHER: usize = 32;
    let (Some(&least), Some(&most)) = (instants.iter().min(), instants.iter().max()) else { return instants };
    if instants.is_sorted() {
        return instants;
    }
    let count = instants.len() / TOGETHER + 1;
    let scale = count as f64 / ((most as f64 - least as f64) + 1.0);
    // Later instants have no earlier places, whatever rounding does.
    let place_of = |at: i64| (((at as f64 - least as f64) * scale) as usize).min(count - 1);
    let mut places = vec![0u32; count + 1];
    for at in &instants {
        places[place_of(*at) + 1] += 1;
    }
    for place in 0..count {
        places[place + 1] += places[place];
    }
    let mut sorted = instants.clone();
    let mut next = places.clone();
    for at in &instants {
        let place = &mut next[place_of(*at)];
        sorted[*place as usize] = *at;
        *place += 1;
    }
    for pair in places.windows(2) {
        sorted[pair[0] as usize..pair[1] as usize].sort_unstable();
    }
    sorted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn instants_are_sorted(instants in prop::collection::vec(prop_oneof![-50i64..50, any::<i64>()], 0..300)) {
            let mut expected = instants.clone();
            expected.sort();
            prop_assert_eq!(sorted_instants(instants), expected);
        }

        #[test]
        fn it_is_a_sort(
            items in prop::collection::vec((prop_oneof![0u32..20, Just(u32::MAX), Just(3_000_000)], 0i64..50, any::<u8>()), 0..200),
        ) {
            let mut expected = items.clone();
            expected.sort_by_key(|(client, at, _)| (*client, *at));
            prop_assert_eq!(by_client(&items, |item| item.0, |item| item.1), expected);
        }
    }
}
