//! Passwords: Argon2id with the parameters of OWASP's recommendation that the crate has as its defaults.

use std::sync::LazyLock;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};

/// Bytes of a password.
pub const PASSWORD_BYTES_MIN: usize = 10;
pub const PASSWORD_BYTES_MAX: usize = 1000;

/// A PHC string. Takes some tens of milliseconds and 19 MiB.
pub fn hash(word: &str) -> String {
    Argon2::default().hash_password(word.as_bytes()).expect("a salt can be drawn, and lengths are bounded").to_string()
}

/// What nobody's password is checked against.
static NOBODYS: LazyLock<String> = LazyLock::new(|| hash("nobody has this password"));

/// Whether it is the password that was hashed; without one, no, after as long.
pub fn is_right(stored: Option<&str>, word: &str) -> bool {
    let checked = PasswordHash::new(stored.unwrap_or(&NOBODYS))
        .is_ok_and(|stored| Argon2::default().verify_password(word.as_bytes(), &stored).is_ok());
    checked && stored.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_itself_is_right() {
        let stored = hash("correct horse");
        assert!(stored.starts_with("$argon2id$"), "{stored}");
        assert!(is_right(Some(&stored), "correct horse"));
        assert!(!is_right(Some(&stored), "correct horse "));
        assert!(!is_right(None, "nobody has this password"));
        assert!(!is_right(Some("no hash"), "x"));
    }
}
