//! Where the seconds of an instance's last start went, as its log shows.
use crate::stamp::Clock;
use crate::{inspect, since};
use record::Engine;
use state::{Directory, Note, Status};
use std::io::{self, BufRead, BufReader, Read};
use std::time::{SystemTime, UNIX_EPOCH};
use tool::{Code, Failure};

/// As much of a log as is read, from the start on: engines are loud once they serve, not before.
const MOST_BYTES: u64 = 8 << 20;
/// As much of one line as is looked at.
const LINE_BYTES: u64 = 4096;
/// Columns of the longest bar.
const BAR: f64 = 40.0;

/// What the engine did from a moment on, in seconds from its start.
#[derive(Clone, Debug, PartialEq)]
struct Phase {
    at_s: f64,
    name: &'static str,
}

/// A line for each phase of the last start, under one that names the instance; `None` where nothing was ever started.
pub(crate) fn of(place: &Directory) -> Result<Option<String>, Failure> {
    let what = || format!("cannot read the log of {}", place.path().display());
    let cannot = |error: io::Error| Failure::io(Code::Unmet, what(), &error);
    let (Some(engine), Some(instance)) = (place.engine(), place.instance()) else { return Ok(None) };
    let Some((_, _, status)) = inspect::state(place)? else { return Ok(None) };
    let Some(started) = status.started_unix else { return Ok(None) };
    let phases = read(place, &status, engine, started).map_err(cannot)?;
    let end_s = status.healthy_unix.unwrap_or_else(|| ended(&status)) - started;
    let how = match status.healthy_unix {
        Some(_) => "from its start to the first 200 of /health",
        None => "since its start, and not healthy yet",
    };
    let again = if status.restarts == 0 { String::new() } else { format!(", restart {}", status.restarts) };
    let head = tool::one_line(&format!("{engine}/{instance}: {:.1} s {how}{again}", end_s.max(0.0)));
    Ok(Some(format!("{head}\n{}", drawn(&phases, end_s))))
}

/// When the last start ended that never was healthy: now, or when its keeper saw it end.
fn ended(status: &Status) -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |now| now.as_secs_f64());
    if status.pid.is_some() { now } else { status.since_unix }
}

/// The phases that the log of the last start shows.
fn read(place: &Directory, status: &Status, engine: Engine, started: f64) -> io::Result<Vec<Phase>> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "unix seconds")]
    let start = started as u64;
    let (log, older) = since::files((place.user()?, &status.log_file), start)?;
    let files = older.into_iter().chain(std::iter::once(log.file));
    let mut phases = Phases::new(engine, start);
    for file in files {
        let mut input = BufReader::new(file.take(MOST_BYTES));
        let mut line = Vec::new();
        while (&mut input).take(LINE_BYTES).read_until(b'\n', &mut line)? > 0 {
            phases.take(&String::from_utf8_lossy(&line));
            line.clear();
        }
    }
    Ok(phases.found)
}

/// Phases as lines come by.
struct Phases {
    known: &'static [(&'static str, &'static str)],
    start_unix: u64,
    /// The line that marks the start was seen.
    begun: bool,
    clock: Clock,
    found: Vec<Phase>,
}

impl Phases {
    fn new(engine: Engine, start_unix: u64) -> Self {
        let known = engine::of(engine).phases;
        Self { known, start_unix, begun: false, clock: Clock::new(start_unix), found: Vec::new() }
    }

    fn take(&mut self, line: &str) {
        if let Some(note) = Note::read(line) {
            // Written just before the start, to the second.
            let is_ours = note.at_unix.is_some_and(|at| at + 1 >= self.start_unix);
            if note.is_start() && is_ours && !self.begun {
                self.begun = true;
                self.found.push(Phase { at_s: 0.0, name: "starting the program" });
            }
            return;
        }
        if !self.begun {
            return;
        }
        let Some(at_s) = self.clock.read(line) else { return };
        let Some(name) = self.known.iter().find(|(words, _)| line.contains(words)).map(|(_, name)| *name)
        else {
            return;
        };
        // The first line of a phase begins it: each worker writes one.
        if self.found.iter().all(|phase| phase.name != name) {
            self.found.push(Phase { at_s, name });
        }
    }
}

/// One line a phase: when it began, how long it took, a bar.
fn drawn(phases: &[Phase], end_s: f64) -> String {
    // What the engine did once it was healthy is no part of its start.
    let phases: Vec<&Phase> = phases.iter().filter(|phase| phase.at_s <= end_s).collect();
    let ends = phases.iter().skip(1).map(|phase| phase.at_s).chain(std::iter::once(end_s));
    let rows: Vec<(&Phase, f64)> =
        phases.iter().zip(ends).map(|(phase, end)| (*phase, (end - phase.at_s).max(0.0))).collect();
    let longest = rows.iter().map(|(_, took)| *took).fold(f64::MIN_POSITIVE, f64::max);
    let width = rows.iter().map(|(phase, _)| phase.name.len()).max().unwrap_or(0);
    let line = |(phase, took): &(&Phase, f64)| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "columns")]
        let bar = "#".repeat((took / longest * BAR).round() as usize);
        let line = format!("  {:8.1} s {took:8.1} s  {:width$}  {bar}", phase.at_s, phase.name);
        format!("{}\n", line.trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phases_of_a_start_come_from_its_log() {
        let mut phases = Phases::new(Engine::Sglang, 1_795_946_400);
        for line in [
            "[2026-11-29 09:00:00] Load weight begin.",
            "ikeep: 2026-11-29T10:00:00Z starting /env/bin/python",
            "loading modules",
            "[2026-11-29 10:00:09] server_args={}",
            "[2026-11-29 10:01:05 TP0] Load weight begin. avail mem=19.87 GB",
            "[2026-11-29 10:01:06 TP1] Load weight begin. avail mem=19.87 GB",
            "[2026-11-29 10:01:35 TP0] Load weight end. elapsed=30 s",
        ] {
            phases.take(line);
        }
        let at: Vec<(&str, f64)> = phases.found.iter().map(|phase| (phase.name, phase.at_s)).collect();
        let expected = [
            ("starting the program", 0.0),
            ("starting workers", 9.0),
            ("loading weights", 65.0),
            ("allocating the KV cache", 95.0),
        ];
        assert_eq!(at, expected);
    }

    #[test]
    fn each_phase_lasts_until_the_next() {
        let phases = [Phase { at_s: 0.0, name: "a" }, Phase { at_s: 9.0, name: "bc" }];
        let bar = "#".repeat(40);
        let expected = format!("       0.0 s      9.0 s  a   {bar}\n       9.0 s      1.0 s  bc  ####\n");
        assert_eq!(drawn(&phases, 10.0), expected);
        assert_eq!(drawn(&[], 10.0), "");
    }
}
