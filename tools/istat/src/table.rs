//! The table for a person.
use crate::look::Looked;
use crate::why;
use record::Status;

const HEAD: [&str; 10] =
    ["ENGINE", "INSTANCE", "STATE", "RUNG", "URL", "PID", "RESTARTS", "UP", "MEMORY", "GPU MEMORY"];

/// One line each under a head, columns as wide as their widest cell, and below one that does not run a line that says why.
/// The run directory is told where there are several.
pub(crate) fn of(looked: &[Looked]) -> String {
    let several = looked.windows(2).any(|two| two[0].run_dir != two[1].run_dir);
    let with_dir = |mut row: Vec<String>, dir: &str| {
        row.extend(several.then(|| dir.to_owned()));
        row
    };
    let head = with_dir(HEAD.map(str::to_owned).to_vec(), "RUN DIRECTORY");
    let rows = looked.iter().map(|looked| {
        let row = with_dir(row(&looked.status).to_vec(), &looked.run_dir.to_string_lossy());
        // The plan and the status are what the instance's user says.
        let row = row.iter().map(|cell| tool::one_line(cell)).collect();
        (row, why::line(&looked.status))
    });
    let rows: Vec<(Vec<String>, Option<String>)> = std::iter::once((head, None)).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|(row, _)| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].0.len()).map(width).collect();
    let mut text = String::new();
    for (row, why) in &rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(&format!("{}\n", cells.join("  ").trim_end()));
        if let Some(why) = why {
            text.push_str(&format!("  {why}\n"));
        }
    }
    text
}

fn row(status: &Status) -> [String; 10] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let stale = if status.stale { " (stale)" } else { "" };
    [
        status.engine.to_string(),
        status.instance.clone(),
        format!("{}{stale}", status.state.id()),
        or_dash(status.rung.map(|rung| rung.id().to_owned())),
        status.url.clone(),
        or_dash(status.pid.map(|pid| pid.to_string())),
        status.restarts.to_string(),
        or_dash(status.up_s.map(up)),
        or_dash(status.rss_bytes.map(bytes)),
        or_dash(status.gpu_bytes.map(bytes)),
    ]
}

/// The two largest units.
fn up(seconds: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "never negative nor that long"
    )]
    let seconds = seconds as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} m {} s", seconds / 60, seconds % 60),
        3600..86400 => format!("{} h {} m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86400, seconds % 86400 / 3600),
    }
}

fn bytes(count: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let gib = count as f64 / f64::from(1 << 30);
    if gib >= 1.0 { format!("{gib:.1} GiB") } else { format!("{} MiB", count >> 20) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_two_units() {
        assert_eq!([5.9, 61.0, 7260.0, 90_000.0].map(up), ["5 s", "1 m 1 s", "2 h 1 m", "1 d 1 h"]);
    }

    #[test]
    fn memory_is_told_in_mib_and_gib() {
        assert_eq!(bytes(300 << 20), "300 MiB");
        assert_eq!(bytes(3 << 29), "1.5 GiB");
    }
}
