//! Killed at any moment: the same command afterwards does the work, and nothing half done is in its way.
use super::sweep::cases;
use crate::fuzz::SeededRng;
use crate::kit::{full, tools};
use std::fs::File;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Those that change something. What ilaunch, ikeep, iwarm, ipack and the two roads of iinstall come to is in their own files.
const CHANGING: [&str; 8] = [
    "istop",
    "iinstall",
    "icache --record",
    "icache --repair",
    "icache --bring",
    "imodel --record",
    "isplit",
    "ijoin --into",
];

#[test]
fn whenever_a_tool_is_killed_the_next_run_does_the_work() {
    let rounds = if full() { 100 } else { 6 };
    let mut seeded_rng = SeededRng::new();
    for case in cases::all().into_iter().filter(|case| CHANGING.contains(&case.name)) {
        let sandbox = case.world.sandbox();
        let begun = Instant::now();
        (case.before)(&case.world);
        let prepared = Instant::now();
        drop(sandbox.sh(case.command).exits(0));
        let whole = prepared.elapsed();
        (case.after)(&case.world);
        let mut early = 0;
        for round in 0..rounds {
            (case.before)(&case.world);
            let mut words = case.command.split_whitespace();
            let mut command = sandbox.command(tools().join(words.next().unwrap()));
            while let Some(word) = words.next() {
                match word {
                    "<" => drop(command.stdin(File::open(sandbox.path(words.next().unwrap())).unwrap())),
                    word => drop(command.arg(word)),
                }
            }
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(seeded_rng.moment(whole));
            early += u32::from(child.try_wait().unwrap().is_none());
            child.kill().unwrap();
            child.wait().unwrap();
            let again = sandbox.sh(case.command);
            let done =
                if again.code == 0 { (case.finished)(&case.world, &again) } else { Err(String::new()) };
            done.unwrap_or_else(|why| panic!("{}, kill {round}: {why}: {}", case.name, again.transcript()));
            (case.after)(&case.world);
        }
        println!("{}: {early} of {rounds} were killed before their end, {:?}", case.name, begun.elapsed());
        assert!(early > 0 && begun.elapsed() < Duration::from_secs(3600));
    }
}
