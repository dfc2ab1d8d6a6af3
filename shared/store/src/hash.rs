//! A sha256 as it is written in hex.
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

/// What each letter stands for; what is no digit has [`NONE`].
const DIGITS: [u8; 256] = {
    let mut digits = [NONE; 256];
    let mut value = 0;
    while value < 16 {
        digits[b"0123456789abcdef"[value] as usize] = value as u8;
        digits[b"0123456789ABCDEF"[value] as usize] = value as u8;
        value += 1;
    }
    digits
};
const NONE: u8 = 0x80;

/// The bytes of a sha256 in hex, of either case.
#[must_use]
pub fn hash_from_hex(hex: &[u8]) -> Option<[u8; 32]> {
    let (pairs, rest) = hex.as_chunks::<2>();
    let pairs: &[[u8; 2]; 32] = pairs.try_into().ok().filter(|_| rest.is_empty())?;
    let mut hash = [0; 32];
    let mut seen = 0;
    for (byte, [high, low]) in hash.iter_mut().zip(pairs) {
        let (high, low) = (DIGITS[usize::from(*high)], DIGITS[usize::from(*low)]);
        seen |= high | low;
        *byte = high << 4 | low;
    }
    (seen & NONE == 0).then_some(hash)
}

struct Hash([u8; 32]);

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Hex;
        impl Visitor<'_> for Hex {
            type Value = Hash;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a sha256 in hex")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Hash, E> {
                let wrong = || E::invalid_value(Unexpected::Str(text), &self);
                hash_from_hex(text.as_bytes()).map(Hash).ok_or_else(wrong)
            }
        }
        deserializer.deserialize_str(Hex)
    }
}

/// For a field that holds one or nothing.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<[u8; 32]>, D::Error> {
    Ok(Option::<Hash>::deserialize(deserializer)?.map(|Hash(hash)| hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_that_is_not_a_hash_is_told_from_a_hash() {
        assert_eq!(hash_from_hex("aB".repeat(32).as_bytes()), Some([0xab; 32]));
        for wrong in ["", "abc", &"ab".repeat(31), &"ab".repeat(33), &"+b".repeat(32), &"ag".repeat(32)] {
            assert_eq!(hash_from_hex(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
