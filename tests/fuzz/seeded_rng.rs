//! Chance that can be repeated, and what it does to an input.
use crate::kit::full;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Numbers from a seed (xorshift).
pub(crate) struct SeededRng(u64);

impl SeededRng {
    /// From `INFER_DEV_TEST_SEED`. Without it a long run takes the clock, to meet what nobody has met, and an everyday run is
    /// always the same, so that what fails in it is the fault of what was changed. Printed, so that it can be had again.
    pub(crate) fn new() -> Self {
        const EVERYDAY: u64 = 0x9e37_79b9_7f4a_7c15;
        let clock =
            || u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap();
        let unsaid = || if full() { clock() } else { EVERYDAY };
        let seed =
            std::env::var("INFER_DEV_TEST_SEED").map_or_else(|_| unsaid(), |seed| seed.parse().unwrap());
        println!("INFER_DEV_TEST_SEED={seed}");
        Self(seed | 1)
    }

    /// Below a bound; 0 where that is 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap().checked_rem(bound).unwrap_or_default()
    }

    /// Once in so many times.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// A moment of what takes so long, a little after its end too.
    pub(crate) fn moment(&mut self, whole: Duration) -> Duration {
        whole.mul_f64(self.below(1200) as f64 / 1000.0)
    }

    pub(crate) fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// A stretch of an input, short ones above all.
    fn stretch(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        let most = if self.once_in(4) { length - start } else { (length - start).min(16) };
        start..start + self.below(most + 1)
    }

    /// A few changes: bits, bytes, stretches that go, come twice, change places or are from another input, tokens, an end.
    pub(crate) fn change(&mut self, input: &[u8], other: &[u8], tokens: &[&str]) -> Vec<u8> {
        let mut bytes = input.to_vec();
        for _ in 0..1 + self.below(4) {
            let at = self.stretch(bytes.len());
            match self.below(9) {
                0 if !bytes.is_empty() => {
                    let place = self.below(bytes.len());
                    bytes[place] ^= 1 << self.below(8);
                }
                1 if !bytes.is_empty() => {
                    let place = self.below(bytes.len());
                    bytes[place] =
                        *self.one(&[0, 1, 0x7f, 0x80, 0xff, b'"', b'{', b'[', b'-', b'9', b':', b',']);
                }
                2 => drop(bytes.drain(at)),
                3 => {
                    let again = bytes[at.clone()].to_vec();
                    bytes.splice(at.start..at.start, again);
                }
                4 => {
                    let moved: Vec<u8> = bytes.drain(at).collect();
                    let place = self.below(bytes.len() + 1);
                    bytes.splice(place..place, moved);
                }
                5 => {
                    let from = self.stretch(other.len());
                    bytes.splice(at, other[from].iter().copied());
                }
                6 => {
                    let at = if self.once_in(2) { at } else { at.start..at.start };
                    bytes.splice(at, self.one(tokens).bytes());
                }
                7 if self.once_in(3) => bytes.truncate(at.start),
                _ => self.change_number(&mut bytes),
            }
        }
        bytes
    }

    /// Put another number where one stands.
    fn change_number(&mut self, bytes: &mut Vec<u8>) {
        let starts: Vec<usize> = (0..bytes.len())
            .filter(|at| bytes[*at].is_ascii_digit() && (*at == 0 || !bytes[at - 1].is_ascii_digit()))
            .collect();
        if starts.is_empty() {
            return;
        }
        let start = *self.one(&starts);
        let length = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let numbers = [
            "0",
            "1",
            "-1",
            "255",
            "65536",
            "4294967296",
            "9223372036854775807",
            "18446744073709551615",
            "1e308",
            "00",
            "0.5",
        ];
        bytes.splice(start..start + length, self.one(&numbers).bytes());
    }

    /// The same to a JSON value: something in it is of another type or size, or gone.
    pub(crate) fn change_value(&mut self, value: &mut Value) {
        match value {
            Value::Object(fields) if !fields.is_empty() && !self.once_in(12) => {
                let name = fields.keys().nth(self.below(fields.len())).cloned().unwrap();
                if self.once_in(10) {
                    fields.remove(&name);
                } else if let Some(field) = fields.get_mut(&name).filter(|_| name != "kind") {
                    self.change_value(field);
                }
            }
            Value::Array(items) if !items.is_empty() && !self.once_in(6) => {
                let at = self.below(items.len());
                self.change_value(&mut items[at]);
            }
            other => *other = self.any_value(other),
        }
    }

    fn any_value(&mut self, was: &Value) -> Value {
        let text = was.as_str().unwrap_or_default();
        match self.below(14) {
            0 => Value::Null,
            1 => json!(true),
            2 => json!(-1),
            3 => json!(u64::MAX),
            4 => json!(1e308),
            5 => json!(""),
            6 => json!([]),
            7 => json!({}),
            8 => json!(["", {"a": [was]}]),
            9 => json!("x".repeat(1 << self.below(17))),
            10 => json!(format!("{text}\n{text}\u{0}")),
            11 => json!(format!("{text}/../{text}é\u{1f600}")),
            12 => json!(text.chars().take(text.chars().count() / 2).collect::<String>()),
            _ => json!(self.below(70_000)),
        }
    }
}
