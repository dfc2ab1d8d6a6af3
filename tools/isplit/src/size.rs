//! Sizes as people write them.

/// One block of description and one of data fit into a file smaller than this.
pub(crate) const SMALLEST: u64 = 2 * 4096 + 1;

/// Bytes: `1000`, `4GiB`, `4G` (powers of 1024), `4GB` (powers of 1000).
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor =
        factor_of(unit).ok_or("a size is a number, and K, M, G, T, KiB, MiB, GiB, TiB, KB, MB, GB or TB")?;
    let number: u64 = number.parse().map_err(|_| "a size begins with a whole number")?;
    let size = number.checked_mul(factor).ok_or("too large")?;
    if size < SMALLEST { Err(format!("at least {SMALLEST} bytes")) } else { Ok(size) }
}

fn factor_of(unit: &str) -> Option<u64> {
    let Some((letter, rest)) = unit.split_at_checked(1) else { return Some(1) };
    let power = 1 + "KMGT".find(&letter.to_ascii_uppercase())?;
    let base: u64 = match rest {
        "" | "iB" => 1024,
        "B" => 1000,
        _ => return None,
    };
    base.checked_pow(u32::try_from(power).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        assert_eq!(parse("4GiB"), Ok(4 << 30));
        assert_eq!(parse("4G"), Ok(4 << 30));
        assert_eq!(parse("700MB"), Ok(700_000_000));
        assert_eq!(parse("64k"), Ok(65_536));
        assert_eq!(parse("1T"), Ok(1 << 40));
        assert_eq!(parse("9000"), Ok(9000));
        for bad in ["", "G", "4X", "4GiBs", "-1", "4.5G", "8192", "99999999999T", "é"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
