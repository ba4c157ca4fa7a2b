//! How callbacks are signed: the Standard Webhooks scheme, symmetric (`v1`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

pub const HEADER_ID: &str = "webhook-id";
pub const HEADER_TIMESTAMP: &str = "webhook-timestamp";
pub const HEADER_SIGNATURE: &str = "webhook-signature";

const PREFIX: &str = "whsec_";

/// The key of a secret such as `whsec_MfKQ...`; `None` unless it is base64 of 24 to 64 bytes.
fn key(secret: &str) -> Option<Vec<u8>> {
    let key = STANDARD.decode(secret.strip_prefix(PREFIX)?).ok()?;
    (24..=64).contains(&key.len()).then_some(key)
}

pub fn is_secret(secret: &str) -> bool {
    key(secret).is_some()
}

/// A new secret of 32 random bytes.
pub fn new_secret() -> String {
    let key: [u8; 32] = rand::random();
    format!("{PREFIX}{}", STANDARD.encode(key))
}

/// The value of `webhook-signature`: one signature for each secret, with blanks between.
pub fn sign(secrets: &[String], id: &str, timestamp_s: i64, body: &[u8]) -> String {
    let keys = secrets.iter().filter_map(|secret| key(secret));
    let signatures = keys.map(|key| {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&key).expect("an HMAC takes a key of any length");
        mac.update(format!("{id}.{timestamp_s}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    });
    signatures.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_signs_as_openssl_does() {
        // printf %s 'msg_1.1614265330.{"test": 2432232314}' | openssl dgst -sha256 -binary -mac HMAC \
        //     -macopt hexkey:$(printf 'an example key of 32 bytes......' | xxd -p -c 99) | base64
        let secret = format!("whsec_{}", STANDARD.encode("an example key of 32 bytes......"));
        let signed = sign(std::slice::from_ref(&secret), "msg_1", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,t/b4bFxYJOKMSppONFn9ffptRWxOzSIwNBbkrNDkHS4=");
        let both = sign(&[new_secret(), secret], "msg_1", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert!(both.ends_with(&format!(" {signed}")), "{both}");
    }

    #[test]
    fn a_secret_is_base64_of_enough_bytes() {
        assert!(is_secret(&new_secret()));
        for secret in ["", "whsec_", "whsec_c2hvcnQ=", "plain text", &STANDARD.encode([7; 32])] {
            assert!(!is_secret(secret), "{secret}");
        }
    }
}
