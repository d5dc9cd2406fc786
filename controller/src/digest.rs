//! The digest of a policy: SHA-256 over its canonical ruleset.
//!
//! Promises: two policies that mean the same, whatever their layout, comments and line numbers, have the same digest; the
//! digest in the kernel's info record is this one.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};

use crate::ruleset::Ruleset;

/// SHA-256 of the canonical JSON of a ruleset. Displayed as 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of `ruleset`.
    pub fn of(ruleset: &Ruleset) -> Digest {
        Digest::of_bytes(&canonical(ruleset))
    }

    /// SHA-256 of `bytes`.
    pub fn of_bytes(bytes: &[u8]) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }

    /// The first eight digits, enough for people.
    pub fn short(&self) -> String {
        self.to_string()[..8].to_owned()
    }
}

/// The canonical JSON of a ruleset: fields in the order of the types, no white space, no line numbers.
pub fn canonical(ruleset: &Ruleset) -> Vec<u8> {
    serde_json::to_vec(ruleset).expect("a ruleset has only string keys and finite numbers")
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A reader that digests what passes through it.
pub struct Digesting<R> {
    inner: R,
    state: Sha256,
    bytes: u64,
}

impl<R: Read> Digesting<R> {
    /// Nothing has been read yet.
    pub fn new(inner: R) -> Self {
        Digesting { inner, state: Sha256::new(), bytes: 0 }
    }

    /// Reads what is left; gives the digest and the number of all bytes.
    ///
    /// # Errors
    /// The rest cannot be read.
    pub fn finish(mut self) -> io::Result<(Digest, u64)> {
        io::copy(&mut self, &mut io::sink())?;
        Ok((Digest(self.state.finalize().into()), self.bytes))
    }
}

impl<R: Read> Read for Digesting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.state.update(&buffer[..count]);
        self.bytes += count as u64;
        Ok(count)
    }
}

/// The text is not 64 hexadecimal digits.
#[derive(Debug, thiserror::Error)]
#[error("\"{0}\" is not a digest (64 hexadecimal digits)")]
pub struct NotADigest(String);

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        let digit = |at: usize| char::from(text.as_bytes()[at]).to_digit(16);
        let byte = |at: usize| Some((digit(2 * at)? << 4 | digit(2 * at + 1)?) as u8);
        let mut bytes = [0; 32];
        if text.len() != 64 {
            return Err(NotADigest(text.to_owned()));
        }
        for (at, slot) in bytes.iter_mut().enumerate() {
            *slot = byte(at).ok_or_else(|| NotADigest(text.to_owned()))?;
        }
        Ok(Digest(bytes))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes_are_the_same_digest() {
        let digest = Digest::of(&Ruleset::default());
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        assert!("zz".repeat(32).parse::<Digest>().is_err());
        assert!("ab".parse::<Digest>().is_err());
    }
}
