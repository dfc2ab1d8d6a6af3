//! Unix times, written in UTC.

/// As `2026-11-29 10:00:07 UTC`.
pub(crate) fn date(unix: Option<f64>) -> String {
    let Some(unix) = unix.filter(|unix| (0.0..1e11).contains(unix)) else {
        return "time not recorded".to_owned();
    };
    tool::utc(unix as u64).replace('T', " ").replace('Z', " UTC")
}

/// As `20261129T100007Z`, for the name of a file.
pub(crate) fn compact(unix: f64) -> String {
    tool::utc(unix as u64).replace(['-', ':'], "")
}

#[cfg(test)]
mod tests {
    use super::{compact, date};

    #[test]
    fn times_are_utc_and_what_is_none_is_said() {
        assert_eq!(date(Some(0.0)), "1970-01-01 00:00:00 UTC");
        assert_eq!(date(Some(951_782_399.9)), "2000-02-28 23:59:59 UTC");
        assert_eq!(date(Some(951_868_799.0)), "2000-02-29 23:59:59 UTC");
        assert_eq!(date(Some(1_795_999_800.6)), "2026-11-30 00:50:00 UTC");
        assert_eq!(date(Some(f64::NAN)), "time not recorded");
    }

    #[test]
    fn a_moment_names_a_file() {
        assert_eq!(compact(951_827_696.9), "20000229T123456Z");
    }
}
