//! The table for a person.
use crate::inspect::Inspected;
use crate::why;
use record::{KeeperState, Status};
use std::io::{self, IsTerminal};

const HEAD: [&str; 10] =
    ["ENGINE", "INSTANCE", "STATE", "RUNG", "URL", "PID", "RESTARTS", "UP", "MEMORY", "GPU MEMORY"];
const STATE: usize = 2;
/// Columns that a narrow terminal does without, the first of them first; the records have them.
const DISPENSABLE: [&str; 6] = ["GPU MEMORY", "PID", "RESTARTS", "RUN DIRECTORY", "MEMORY", "UP"];

const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const RED: &str = "\x1b[31m";
const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// How a table is drawn.
#[derive(Clone, Copy)]
pub(crate) struct Style {
    pub(crate) colour: bool,
    /// Columns of characters that a line may take; `None` where nothing limits it.
    pub(crate) width: Option<usize>,
}

/// When a table is in colour.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    Always,
    Never,
}

impl Style {
    /// What stdout is good for.
    pub(crate) fn of_stdout(colour: Colour) -> Self {
        let stdout = io::stdout();
        let terminal = stdout.is_terminal();
        let colour = match colour {
            Colour::Always => true,
            Colour::Never => false,
            // https://no-color.org: set, and not empty.
            Colour::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        };
        let size = rustix::termios::tcgetwinsize(&stdout).ok();
        let width = size.map(|size| usize::from(size.ws_col)).filter(|width| *width > 0);
        Self { colour, width: width.filter(|_| terminal) }
    }
}

/// One line each under a head, columns as wide as their widest cell, and below one that does not run a line that says why.
/// The run directory is a column where there are several.
pub(crate) fn of(inspected: &[Inspected], style: Style) -> String {
    let several = inspected.windows(2).any(|two| two[0].run_dir != two[1].run_dir);
    let with_dir = |mut row: Vec<String>, dir: &str| {
        row.extend(several.then(|| dir.to_owned()));
        row
    };
    let head = with_dir(HEAD.map(str::to_owned).to_vec(), "RUN DIRECTORY");
    let rows = inspected.iter().map(|inspected| {
        let row = with_dir(row(&inspected.status).to_vec(), &inspected.run_dir.to_string_lossy());
        // The plan and the status are what the instance's user says.
        row.iter().map(|cell| tool::one_line(cell)).collect()
    });
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let columns = columns(&rows, style.width);
    let colours = std::iter::once(None).chain(inspected.iter().map(|inspected| Some(colour(inspected))));
    let whys = std::iter::once(None).chain(inspected.iter().map(|inspected| why::line(&inspected.status)));
    let mut text = String::new();
    for ((row, colour), why) in rows.iter().zip(colours).zip(whys) {
        text.push_str(&line(row, &columns, colour.filter(|_| style.colour)));
        if let Some(why) = why {
            let (dim, plain) = if style.colour { (DIM, PLAIN) } else { ("", "") };
            text.push_str(&format!("  {dim}{why}{plain}\n"));
        }
    }
    text
}

/// Which columns are shown, and how wide each is: all, or as few less as it takes to stay within `limit`. One that says
/// nothing of any row goes first.
fn columns(rows: &[Vec<String>], limit: Option<usize>) -> Vec<(usize, usize)> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let mut columns: Vec<(usize, usize)> = (0..rows[0].len()).map(|column| (column, width(column))).collect();
    let is_empty = |column: usize| rows[1..].iter().all(|row| row[column] == "-");
    let named = |name: &&str| rows[0].iter().position(|head| head == name);
    let dispensable: Vec<usize> = DISPENSABLE.iter().filter_map(named).collect();
    let (empty, rest): (Vec<usize>, Vec<usize>) =
        dispensable.into_iter().partition(|column| is_empty(*column));
    let total =
        |columns: &[(usize, usize)]| columns.iter().map(|(_, width)| width + GAP.len()).sum::<usize>();
    for leave_out in empty.into_iter().chain(rest) {
        if limit.is_none_or(|limit| total(&columns) <= limit + GAP.len()) {
            break;
        }
        columns.retain(|(column, _)| *column != leave_out);
    }
    columns
}

const GAP: &str = "  ";

fn line(row: &[String], columns: &[(usize, usize)], colour: Option<&str>) -> String {
    let cells = columns.iter().map(|(column, width)| {
        let cell = format!("{:width$}", row[*column]);
        match colour.filter(|_| *column == STATE) {
            Some(colour) => format!("{colour}{cell}{PLAIN}"),
            None => cell,
        }
    });
    format!("{}\n", cells.collect::<Vec<_>>().join(GAP).trim_end())
}

/// Green is where its plan wants it, red is what does not come back by itself.
fn colour(inspected: &Inspected) -> &'static str {
    match inspected.status.state {
        KeeperState::Failed | KeeperState::Lost => RED,
        KeeperState::Stopped => DIM,
        _ if inspected.ready => GREEN,
        _ => YELLOW,
    }
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
        or_dash(status.rss_bytes.map(tool::size)),
        or_dash(status.gpu_bytes.map(tool::size)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_two_units() {
        assert_eq!([5.9, 61.0, 7260.0, 90_000.0].map(up), ["5 s", "1 m 1 s", "2 h 1 m", "1 d 1 h"]);
    }

    fn rows(rows: &[&[&str]]) -> Vec<Vec<String>> {
        rows.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).collect()
    }

    #[test]
    fn a_narrow_terminal_does_without_empty_columns_first() {
        let rows = rows(&[&["ENGINE", "PID", "UP", "GPU MEMORY"], &["vllm", "77", "-", "1.5 GiB"]]);
        let shown = |limit| columns(&rows, limit).iter().map(|(column, _)| *column).collect::<Vec<_>>();
        assert_eq!(shown(None), [0, 1, 2, 3]);
        assert_eq!(shown(Some(27)), [0, 1, 2, 3]);
        assert_eq!(shown(Some(26)), [0, 1, 3]);
        assert_eq!(shown(Some(22)), [0, 1]);
        assert_eq!(shown(Some(1)), [0]);
    }

    #[test]
    fn only_the_state_is_in_colour() {
        let rows = rows(&[&["a", "b", "running"]]);
        assert_eq!(line(&rows[0], &[(0, 1), (2, 7)], Some(GREEN)), "a  \u{1b}[32mrunning\u{1b}[0m\n");
    }
}
