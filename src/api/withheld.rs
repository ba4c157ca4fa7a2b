//! Counts of few people, kept from callers who may not see single ones (`privacy.counts_withheld_below`).
//!
//! A count below the threshold is null, nought too: else null would mean that somebody is there. What makes up a count that
//! is told (its kinds, its bands) is told only when every part may be, so that none follows from the others; a sum is not
//! told where a single part is not. Where a row as such tells of people (a cell of a heat map, a flow, a peak, an area that
//! is on no map), it is left out. Questions about some clients of a place, or some visits, are refused: beside the whole,
//! they tell of the others. Two answers about windows or areas that differ by little can still tell of whoever makes the
//! difference: this makes looking hard, not impossible.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;

use super::Api;
use super::error::ApiError;
use crate::access::Caller;

/// Parameters that ask of some clients or some visits, or for each group that anybody is in.
pub const PARTS: [&str; 5] = ["group_by", "kind", "randomised", "min_dwell", "flow_gap"];

/// What the caller is not told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Withheld {
    below: u64,
}

impl FromRequestParts<Api> for Withheld {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Withheld, ApiError> {
        let withheld = Withheld::from(api, parts.extensions.get::<Caller>());
        let given = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
        let given = given.map_err(|rejection| ApiError::BadRequest(rejection.body_text()))?;
        match given.iter().find(|(name, _)| withheld.is_any() && PARTS.contains(&name.as_str())) {
            Some((name, _)) => Err(ApiError::Forbidden(format!(
                "`{name}` needs the scope `sql`: counts of few clients are withheld from you, and parts tell of single ones"
            ))),
            None => Ok(withheld),
        }
    }
}

impl Withheld {
    pub fn from(api: &Api, caller: Option<&Caller>) -> Withheld {
        let may_see = caller.is_some_and(Caller::may_see_clients);
        Withheld { below: if may_see { 0 } else { api.access.policy().counts_withheld_below } }
    }

    /// The least count that is told, where some are not.
    pub fn least(self) -> Option<u64> {
        self.is_any().then_some(self.below)
    }

    /// Whether anything can be kept from the caller.
    pub fn is_any(self) -> bool {
        self.below > 1
    }

    /// Whether what `clients` make up together may be told.
    pub fn allows(self, clients: u64) -> bool {
        !self.is_any() || clients >= self.below
    }

    /// A count of clients, or of what they did.
    pub fn count(self, count: u64) -> Option<u64> {
        self.allows(count).then_some(count)
    }

    /// A count that is the sum of parts: of a single part that is not told it would leave just that.
    pub fn sum<T, P>(self, sum: Option<T>, parts: impl Iterator<Item = Option<P>>) -> Option<T> {
        sum.filter(|_| parts.filter(Option::is_none).count() != 1)
    }

    /// A count that was averaged.
    pub fn mean(self, mean: f64) -> Option<f64> {
        (!self.is_any() || mean >= self.below as f64).then_some(mean)
    }
}

#[cfg(test)]
impl Withheld {
    pub fn below(below: u64) -> Withheld {
        Withheld { below }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_withheld_like_somebody() {
        let some = Withheld { below: 5 };
        assert_eq!([0, 1, 4, 5].map(|count| some.count(count)), [None, None, None, Some(5)]);
        assert_eq!([0.0, 4.9, 5.0].map(|mean| some.mean(mean)), [None, None, Some(5.0)]);
        let sum = |parts: [u64; 3]| some.sum(Some(20), parts.into_iter().map(|part| some.count(part)));
        assert_eq!([sum([5, 6, 9]), sum([8, 8, 4]), sum([16, 4, 0])], [Some(20), None, Some(20)]);
        for none in [Withheld { below: 0 }, Withheld { below: 1 }] {
            assert_eq!([0, 1].map(|count| none.count(count)), [Some(0), Some(1)]);
        }
    }
}
