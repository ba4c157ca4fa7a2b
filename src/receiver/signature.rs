//! Who sent a delivery: HMAC over the raw body bytes, checked in constant time before anything is parsed.

use axum::http::HeaderMap;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;

/// HMAC-SHA256 of the body, lower-case hex.
pub const HEADER_V2: &str = "x-mist-signature-v2";
/// HMAC-SHA1 of the body, lower-case hex.
pub const HEADER_V1: &str = "x-mist-signature";

/// A shared secret. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The `X-Mist-Signature-v2` of `body`, as the vendor would send it.
    pub fn sign_v2(&self, body: &[u8]) -> String {
        let mut mac = self.mac::<Hmac<Sha256>>();
        mac.update(body);
        hex::encode(mac.finalize().into_bytes())
    }

    /// The older `X-Mist-Signature` of `body`, which the vendor sends beside the newer one.
    pub fn sign_v1(&self, body: &[u8]) -> String {
        let mut mac = self.mac::<Hmac<Sha1>>();
        mac.update(body);
        hex::encode(mac.finalize().into_bytes())
    }

    fn mac<M: Mac + KeyInit>(&self) -> M {
        <M as KeyInit>::new_from_slice(self.0.as_bytes()).expect("an HMAC takes a key of any length")
    }

    fn verifies<M: Mac + KeyInit>(&self, body: &[u8], signature: &[u8]) -> bool {
        let mut mac = self.mac::<M>();
        mac.update(body);
        mac.verify_slice(signature).is_ok()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What a source demands of its deliveries.
#[derive(Clone, Debug)]
pub enum Demand {
    /// Any one of these secrets; several are valid at once while one is being replaced.
    Signed { secrets: Vec<Secret>, is_v1_allowed: bool },
    /// Nothing: the configuration says so in so many words.
    Unsigned,
}

/// Why a delivery is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SignatureError {
    #[error("the delivery carries no X-Mist-Signature-v2 header: set the webhook's secret to this source's secret")]
    Missing,
    #[error("the signature does not match the body: is the webhook's secret this source's secret?")]
    Wrong,
    #[error("the signature header is not lower-case hex of the right length")]
    Malformed,
}

impl Demand {
    /// Checks the headers against the raw bytes. v1 counts only where it is allowed and v2 is absent: a wrong v2 is
    /// never saved by a good v1.
    pub fn check(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), SignatureError> {
        let Demand::Signed { secrets, is_v1_allowed } = self else {
            return Ok(());
        };
        if let Some(header) = headers.get(HEADER_V2) {
            return check_any::<Hmac<Sha256>, 32>(secrets, header.as_bytes(), body);
        }
        match headers.get(HEADER_V1) {
            Some(header) if *is_v1_allowed => check_any::<Hmac<Sha1>, 20>(secrets, header.as_bytes(), body),
            _ => Err(SignatureError::Missing),
        }
    }
}

fn check_any<M: Mac + KeyInit, const LEN: usize>(
    secrets: &[Secret],
    header: &[u8],
    body: &[u8],
) -> Result<(), SignatureError> {
    let mut signature = [0u8; LEN];
    hex::decode_to_slice(header, &mut signature).map_err(|_| SignatureError::Malformed)?;
    match secrets.iter().any(|secret| secret.verifies::<M>(body, &signature)) {
        true => Ok(()),
        false => Err(SignatureError::Wrong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"topic":"ping","events":[{"site_id":"4ac1dcf4-9d8b-7211-65c4-057819f0862b","id":"18ff1f91-a9e0-c3b7-74ea-2ce4ea372f72","name":"my webhook","timestamp":1461220784}]}"#;
    const V2: &str = "307ae6b84705800dab747439bfc2311d70c1d3d3684859a7c6370945effe8c3a";
    const V1: &str = "3eb53ad1655fba7a80a305aa132030a1d0a23b92";

    fn demand(secrets: &[&str], is_v1_allowed: bool) -> Demand {
        Demand::Signed { secrets: secrets.iter().map(|s| Secret::new(*s)).collect(), is_v1_allowed }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn the_published_vector_verifies_and_is_what_we_sign() {
        assert_eq!(demand(&["secret"], false).check(&headers(&[(HEADER_V2, V2)]), BODY), Ok(()));
        assert_eq!(Secret::new("secret").sign_v2(BODY), V2);
    }

    #[test]
    fn either_of_two_secrets_will_do_while_one_is_replaced() {
        assert_eq!(demand(&["new", "secret"], false).check(&headers(&[(HEADER_V2, V2)]), BODY), Ok(()));
        assert_eq!(demand(&["new"], false).check(&headers(&[(HEADER_V2, V2)]), BODY), Err(SignatureError::Wrong));
    }

    #[test]
    fn one_changed_byte_is_refused() {
        let mut body = BODY.to_vec();
        body[20] ^= 1;
        assert_eq!(demand(&["secret"], false).check(&headers(&[(HEADER_V2, V2)]), &body), Err(SignatureError::Wrong));
    }

    #[test]
    fn v1_counts_only_where_allowed_and_v2_is_absent() {
        let v1_only = headers(&[(HEADER_V1, V1)]);
        assert_eq!(demand(&["secret"], true).check(&v1_only, BODY), Ok(()));
        assert_eq!(demand(&["secret"], false).check(&v1_only, BODY), Err(SignatureError::Missing));
        let bad_v2 = headers(&[(HEADER_V1, V1), (HEADER_V2, &"0".repeat(64))]);
        assert_eq!(demand(&["secret"], true).check(&bad_v2, BODY), Err(SignatureError::Wrong));
    }

    #[test]
    fn what_is_no_signature_is_called_malformed() {
        for text in ["", "zz", &"0".repeat(63), &"g".repeat(64)] {
            let found = demand(&["secret"], false).check(&headers(&[(HEADER_V2, text)]), BODY);
            assert_eq!(found, Err(SignatureError::Malformed));
        }
    }

    #[test]
    fn a_secret_is_not_printed() {
        assert!(!format!("{:?}", demand(&["hunter2"], true)).contains("hunter2"));
    }
}
