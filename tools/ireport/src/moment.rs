//! Unix times, written in UTC.

/// As `2026-11-29 10:00:07 UTC`.
pub(crate) fn date(unix: Option<f64>) -> String {
    let Some(unix) = unix.filter(|unix| (0.0..1e11).contains(unix)) else {
        return "time not recorded".to_owned();
    };
    let ((year, month, day), (hour, minute, second)) = parts(unix as i64);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// As `20261129T100007Z`, for the name of a file.
pub(crate) fn compact(unix: f64) -> String {
    let ((year, month, day), (hour, minute, second)) = parts(unix as i64);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

type Three = (i64, i64, i64);

fn parts(seconds: i64) -> (Three, Three) {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    (civil(days), (second / 3600, second / 60 % 60, second % 60))
}

/// Year, month and day of a number of days since 1970, by Hinnant's `civil_from_days`.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
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
