//! Signatures of Standard Webhooks 1.0: HMAC-SHA256 over `id.timestamp.body`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The key shared with one endpoint: 24 to 64 octets, spelled `whsec_<base64>`.
pub(in crate::api) struct SigningKey(Zeroizing<Vec<u8>>);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

impl SigningKey {
    /// The key in this text; `None` where it is none.
    pub(in crate::api) fn parse(text: &str) -> Option<Self> {
        let octets = Zeroizing::new(STANDARD.decode(text.strip_prefix("whsec_")?).ok()?);
        (24..=64).contains(&octets.len()).then_some(Self(octets))
    }

    /// The value of `webhook-signature` for one attempt: `id` names the event, `timestamp` is the attempt's unix time
    /// in seconds, `body` the octets that are sent.
    pub(in crate::api) fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        // HMAC takes keys of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        mac.update(id.as_bytes());
        mac.update(format!(".{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example that the scheme's libraries are tested with; computed again with another HMAC implementation.
    #[test]
    fn the_published_example_has_its_signature() {
        let key = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert_eq!(
            key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn every_part_is_signed() {
        let key = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let right = key.sign("a", 1, b"x");
        assert_ne!(right, key.sign("b", 1, b"x"));
        assert_ne!(right, key.sign("a", 2, b"x"));
        assert_ne!(right, key.sign("a", 1, b"y"));
    }

    #[test]
    fn keys_have_their_spelling_and_length_and_are_not_shown() {
        let spelled = |octets: usize| format!("whsec_{}", STANDARD.encode(vec![7; octets]));
        assert!(SigningKey::parse(&spelled(24)).is_some() && SigningKey::parse(&spelled(64)).is_some());
        assert!(SigningKey::parse(&spelled(23)).is_none() && SigningKey::parse(&spelled(65)).is_none());
        assert!(SigningKey::parse("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").is_none());
        assert!(SigningKey::parse("whsec_*").is_none());
        assert_eq!(format!("{:?}", SigningKey::parse(&spelled(24))), "Some(SigningKey(..))");
    }
}
