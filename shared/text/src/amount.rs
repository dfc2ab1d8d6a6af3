//! Amounts, with few digits.

/// Bytes in the largest unit that leaves one before the point: `1.5 GiB`, `300 MiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    scaled(bytes, 1024, &[" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"])
}

/// A number in thousands, millions and so on: `7.6B`.
#[must_use]
pub fn count(number: u64) -> String {
    scaled(number, 1000, &["", "K", "M", "B", "T", "P", "E"])
}

/// Rounded to one digit behind the point, which is left out where it is 0.
fn scaled(number: u64, base: u128, units: &[&str]) -> String {
    let (number, mut scale, mut unit) = (u128::from(number), 1, 0);
    let tenths = |scale: u128| (number * 20 / scale).div_ceil(2);
    while tenths(scale) >= base * 10 && unit + 1 < units.len() {
        scale *= base;
        unit += 1;
    }
    let (whole, tenth, unit) = (tenths(scale) / 10, tenths(scale) % 10, units[unit]);
    if tenth == 0 { format!("{whole}{unit}") } else { format!("{whole}.{tenth}{unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_told_with_few_digits() {
        let sizes = [0, 1023, 1024, 1536, 1997, 2_994_733_056, 300 << 30, u64::MAX].map(size);
        assert_eq!(sizes, ["0 B", "1023 B", "1 KiB", "1.5 KiB", "2 KiB", "2.8 GiB", "300 GiB", "16 EiB"]);
        assert_eq!(size((1 << 30) - 1), "1 GiB", "what rounds to the next unit is in it");
        assert_eq!([999, 7_615_616_512].map(count), ["999", "7.6B"]);
    }
}
