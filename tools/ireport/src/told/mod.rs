//! What a run's stream tells, in the order in which somebody asks: did it serve, what was asked for, what was made of it, what
//! went wrong, where and from what.
mod inputs;
mod made;
mod other;
mod place;
mod served;
mod summary;
mod times;
mod trouble;

pub(crate) use served::last_ms;

use crate::page::{Cell, Page, Section, code, text};
use crate::run::{Entry, Run};

/// The whole report.
pub(crate) fn page(run: &Run) -> Page {
    let sections = [
        summary::section(run),
        trouble::section(run),
        made::asked(run),
        made::resolved(run),
        made::verified(run),
        made::installed(run),
        served::launched(run),
        served::rungs(run),
        served::answers(run),
        times::section(run),
        place::host(run),
        place::network(run),
        inputs::section(run),
        other::section(run),
    ];
    Page { title: title(run), sections: sections.into_iter().filter(|one| !one.blocks.is_empty()).collect() }
}

fn title(run: &Run) -> String {
    match run.all("host").next() {
        Some(host) => {
            format!("infer-dev: a run on {}, {}", host.text("hostname"), date(host.number("at_unix")))
        }
        None => "infer-dev: a run".to_owned(),
    }
}

/// A time in UTC, as `2026-11-29 10:00:07 UTC`.
fn date(unix: Option<f64>) -> String {
    let Some(unix) = unix.filter(|unix| (0.0..1e11).contains(unix)) else {
        return "time not recorded".to_owned();
    };
    let seconds = unix as i64;
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
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

/// Rows `member | value` of what is there.
fn facts(entry: &Entry, names: &[&str]) -> Vec<Vec<Cell>> {
    let there = names.iter().filter(|name| entry.value(name).is_some());
    there.map(|name| vec![text(*name), code(entry.text(name))]).collect()
}

/// A size for a person, with the exact one where it is short of it.
pub(crate) fn size(bytes: Option<f64>) -> String {
    let Some(bytes) = bytes else { return String::new() };
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let unit = units.into_iter().find(|(_, bits)| bytes >= f64::from(1_u32 << bits));
    match unit {
        Some((name, bits)) => format!("{:.1} {name}", bytes / f64::from(1_u32 << bits)),
        None => format!("{bytes:.0} bytes"),
    }
}

fn seconds(entry: &Entry) -> Cell {
    text(entry.number("seconds").map(|time| format!("{time:.3}")).unwrap_or_default())
}

fn yes(flag: bool) -> Cell {
    text(if flag { "yes" } else { "no" })
}

/// A section with one table.
fn tabled(title: &'static str, head: &[&'static str], rows: Vec<Vec<Cell>>) -> Section {
    let mut section = Section::new(title);
    section.table(head, rows);
    section
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_and_what_is_none_is_said() {
        assert_eq!(date(Some(0.0)), "1970-01-01 00:00:00 UTC");
        assert_eq!(date(Some(951_782_399.9)), "2000-02-28 23:59:59 UTC");
        assert_eq!(date(Some(951_868_799.0)), "2000-02-29 23:59:59 UTC");
        assert_eq!(date(Some(1_795_999_800.6)), "2026-11-30 00:50:00 UTC");
        assert_eq!(date(Some(f64::NAN)), "time not recorded");
    }

    #[test]
    fn sizes_are_for_a_person() {
        let shown = [Some(10.0), Some(2048.0), Some(3e9), None].map(size);
        assert_eq!(shown, ["10 bytes", "2.0 KiB", "2.8 GiB", ""]);
    }
}
