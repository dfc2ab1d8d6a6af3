//! Moments, as RFC 3339 writes them.

const DAY_S: u64 = 86_400;

/// RFC 3339 in UTC, to the second.
#[must_use]
pub fn utc(unix_s: u64) -> String {
    let (year, month, day) = date(unix_s / DAY_S);
    let second = unix_s % DAY_S;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The unix seconds of a time that [`utc`] wrote; `None` for any other text.
#[must_use]
pub fn unix_of(text: &str) -> Option<u64> {
    let digits = |range: std::ops::Range<usize>| -> Option<u64> {
        let part = text.get(range)?;
        part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())?
    };
    let day = day_of(digits(0..4)?, digits(5..7)?, digits(8..10)?)?;
    let unix_s = day * DAY_S + digits(11..13)? * 3600 + digits(14..16)? * 60 + digits(17..19)?;
    // Written again it is the same text, or it was none of these times.
    (utc(unix_s) == text).then_some(unix_s)
}

/// Year, month and day of a day since 1970, by counting in eras of 400 years that begin on the first of March: a leap day
/// is then the last day of its year.
fn date(day: u64) -> (u64, u64, u64) {
    let day = day + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

/// The same back; `None` before 1970 and for a month that is none.
fn day_of(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = year - u64::from(month <= 2).min(year);
    let month = (1..=12).contains(&month).then(|| (month + 9) % 12)?;
    let in_year = (153 * month + 2) / 5 + day.checked_sub(1)?;
    let (era, in_era) = (year / 400, year % 400);
    let days = era * 146_097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year;
    days.checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        let times = [
            (0, "1970-01-01T00:00:00Z"),
            (68_169_599, "1972-02-28T23:59:59Z"),
            (68_169_600, "1972-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (4_102_444_799, "2099-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ];
        for (unix_s, text) in times {
            assert_eq!((utc(unix_s).as_str(), unix_of(text)), (text, Some(unix_s)));
        }
        for day in 0..100_000 {
            let (year, month, of_month) = date(day);
            assert_eq!(day_of(year, month, of_month), Some(day));
        }
    }
}
