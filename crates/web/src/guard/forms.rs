//! Forms are answered only if this server showed them to the same reader.
//!
//! A reader's cookie (`SameSite=Strict`, not readable by scripts) holds a random number; each form
//! holds that number's hash with a secret of this process, or of all servers of one board. Another
//! site can make a browser send a form, but neither the cookie nor the hash.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// Makes and checks the hidden fields of forms.
pub(crate) struct FormKeys {
    secret: [u8; 32],
}

impl FormKeys {
    /// With the secret that servers of one board share, or with one of its own.
    pub(crate) fn new(shared: Option<&str>) -> Self {
        Self { secret: shared.map_or_else(random, |secret| Sha256::digest(secret).into()) }
    }

    /// A new reader's cookie.
    pub(crate) fn cookie() -> String {
        hex(&random()[..16])
    }

    /// The hidden field that belongs to a cookie.
    pub(crate) fn field(&self, cookie: &str) -> String {
        let mut hash = Sha256::new();
        hash.update(self.secret);
        hash.update(cookie.as_bytes());
        hash.update(self.secret);
        hex(&hash.finalize())
    }

    /// Whether field and cookie belong together.
    pub(crate) fn fits(&self, cookie: Option<&str>, field: &str) -> bool {
        let Some(cookie) = cookie.filter(|c| c.len() == 32) else { return false };
        let expected = self.field(cookie);
        // Every byte is looked at, so that time tells nothing.
        let differ = expected.bytes().zip(field.bytes()).fold(0, |differ, (a, b)| differ | (a ^ b));
        differ == 0 && field.len() == expected.len()
    }
}

fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    #[expect(clippy::expect_used, reason = "a server without random numbers must not run")]
    getrandom::fill(&mut bytes).expect("the system gives random numbers");
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, b| {
        let _ = write!(text, "{b:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_fits_its_cookie_and_server_only() {
        let (ours, other) = (FormKeys::new(None), FormKeys::new(None));
        let cookie = FormKeys::cookie();
        let field = ours.field(&cookie);
        assert!(ours.fits(Some(&cookie), &field));
        assert!(!other.fits(Some(&cookie), &field));
        assert!(!ours.fits(Some(&FormKeys::cookie()), &field));
        assert!(
            !ours.fits(None, &field)
                && !ours.fits(Some(&cookie), "")
                && !ours.fits(Some(""), &ours.field(""))
        );
        assert!(!ours.fits(Some(&cookie), &format!("{field}0")));
        let [first, second] = [FormKeys::new(Some("a")), FormKeys::new(Some("a"))];
        assert!(second.fits(Some(&cookie), &first.field(&cookie)));
        assert!(!FormKeys::new(Some("b")).fits(Some(&cookie), &first.field(&cookie)));
    }
}
