//! A keeper's life as one table: what it does when something happens in a state, and which state follows.
//!
//! |              | waiting         | running         | backoff          | asleep          | stopping        |
//! |--------------|-----------------|-----------------|------------------|-----------------|-----------------|
//! | told to stop | finish, stopped | end, stopping   | finish, stopped  | finish, stopped |                 |
//! | due          | start, running  |                 | restart, running |                 |                 |
//! | wanted       |                 |                 |                  | start, running  |                 |
//! | healthy      |                 | prove, running  |                  |                 |                 |
//! | idle         |                 | end, asleep     |                  |                 |                 |
//! | ended        |                 | end, running    |                  |                 |                 |
//! | hung         |                 | end, running    |                  |                 |                 |
//! | unrecorded   |                 | end, running    |                  |                 |                 |
//! | gone as told |                 | finish, stopped |                  | finish, stopped | finish, stopped |
//! | again        |                 | delay, backoff  |                  |                 |                 |
//! | no more      |                 | finish, failed  |                  |                 |                 |
//!
//! In an empty cell nothing is done and the state stays. `failed` and `stopped` are final, and `lost` is what others say of
//! an instance whose keeper is gone.
use record::{KeeperState as State, StopMethod};
use std::time::Duration;
use tool::Failure;

/// What happened to the instance.
#[derive(Debug)]
pub(crate) enum Event {
    /// We were told to stop.
    Stop,
    /// What the start waited for is over: the other instance's start, or the delay.
    Due,
    /// Somebody wants the engine that sleeps.
    Wanted,
    /// The engine has answered for the first time.
    Healthy,
    /// Nobody uses it.
    Idle,
    /// It ended by itself.
    Ended,
    /// It hangs; why.
    Hung(String),
    /// Its state directory is gone and cannot be made again.
    Unrecorded(Failure),
    /// It has been ended, and we have been told to stop by then.
    Gone(StopMethod),
    /// It failed, and is worth another start.
    Again { why: String, delay: Duration },
    /// It failed, and is worth no other start; why.
    NoMore(String),
}

/// What the keeper does then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Stay,
    Start,
    /// As `Start`, and counted.
    Restart,
    /// Write down that the engine can run.
    Prove,
    /// End the engine and all that is left of it. What follows is an event of its own.
    End,
    /// Wait for the next start.
    Delay,
    /// Say the last words.
    Finish,
}

/// What to do, and the state in which that happens or to which it leads.
pub(crate) fn step(state: State, event: &Event) -> (Action, State) {
    use {Action as A, Event as E, State as S};
    match (state, event) {
        (S::Waiting | S::Backoff | S::Asleep, E::Stop) => (A::Finish, S::Stopped),
        (S::Running, E::Stop) => (A::End, S::Stopping),
        (S::Waiting, E::Due) | (S::Asleep, E::Wanted) => (A::Start, S::Running),
        (S::Backoff, E::Due) => (A::Restart, S::Running),
        (S::Running, E::Healthy) => (A::Prove, S::Running),
        (S::Running, E::Idle) => (A::End, S::Asleep),
        (S::Running, E::Ended | E::Hung(_) | E::Unrecorded(_)) => (A::End, S::Running),
        (S::Running | S::Asleep | S::Stopping, E::Gone(_)) => (A::Finish, S::Stopped),
        (S::Running, E::Again { .. }) => (A::Delay, S::Backoff),
        (S::Running, E::NoMore(_)) => (A::Finish, S::Failed),
        _ => (A::Stay, state),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tool::Code;

    /// As the table names them, in its order.
    fn events() -> [(&'static str, Event); 11] {
        let failure = Failure::new(Code::Unmet, "", "");
        [
            ("told to stop", Event::Stop),
            ("due", Event::Due),
            ("wanted", Event::Wanted),
            ("healthy", Event::Healthy),
            ("idle", Event::Idle),
            ("ended", Event::Ended),
            ("hung", Event::Hung(String::new())),
            ("unrecorded", Event::Unrecorded(failure)),
            ("gone as told", Event::Gone(StopMethod::Term)),
            ("again", Event::Again { why: String::new(), delay: Duration::ZERO }),
            ("no more", Event::NoMore(String::new())),
        ]
    }

    #[test]
    fn every_cell_is_as_the_table_says() {
        let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect();
        let of_table = |line: &str| Some(cells(line.strip_prefix("//! |")?));
        let table: Vec<Vec<String>> = include_str!("life.rs").lines().filter_map(of_table).collect();
        let (head, rows) = (&table[0], &table[2..]);
        for (at, (name, event)) in events().iter().enumerate() {
            assert_eq!(rows[at][0], *name);
            for state in State::ALL {
                let cell = match step(state, event) {
                    (Action::Stay, next) => {
                        assert_eq!(next, state, "{name}");
                        String::new()
                    }
                    (action, next) => format!("{action:?}, {}", next.id()).to_lowercase(),
                };
                let column = head.iter().position(|of| of == state.id());
                assert_eq!(cell, column.map_or("", |column| &rows[at][column]), "{}, {name}", state.id());
            }
        }
        assert_eq!(rows.len(), events().len());
    }
}
