//! A keeper that is killed at any moment of a whole life: its start, its engine's health, death and second start, the stop.
use super::LIMIT;
use crate::fuzz::SeededRng;
use crate::kit::{Fake, Keeping, full, send, wait_for};
use rustix::process::Signal;
use std::time::Instant;

/// Launch it, wait until it is healthy, let its engine die, wait until it is healthy again, and stop it. Goes on without a
/// keeper that was killed.
fn live(keeping: &Keeping) {
    drop(keeping.sandbox.sh("ilaunch < plan || true").exits(0));
    healthy(keeping, 0);
    if let Some(pid) = keeping.status("a")["pid"].as_u64() {
        send(u32::try_from(pid).unwrap(), Signal::KILL);
    }
    healthy(keeping, 1);
    if let Some(keeper) = keeping.keeper("a") {
        send(keeper, Signal::TERM);
    }
    keeping.wait_until_left("a");
}

/// Wait until it is, after so many restarts, or has no keeper any more.
fn healthy(keeping: &Keeping, restarts: u64) {
    let is = || {
        let status = keeping.status("a");
        let again = status["restarts"].as_u64().unwrap_or(0) >= restarts;
        (again && status["state"] == "running" && status["healthy_unix"].is_f64())
            || keeping.keeper("a").is_none()
    };
    wait_for("it to be healthy", LIMIT, is);
}

#[test]
fn whenever_in_its_life_a_keeper_is_killed_the_next_start_and_stop_are_whole() {
    let rounds = if full() { 100 } else { 2 };
    let (keeping, mut seeded_rng) = (Keeping::new(), SeededRng::new());
    let mut fake = Fake::plan(&keeping, "a").says("healthy", "");
    fake.plan["control"]["backoff_ms"] = 50.into();
    keeping.sandbox.write("plan", format!("{}\n", fake.plan));
    let begun = Instant::now();
    live(&keeping);
    let (whole, mut alive) = (begun.elapsed(), 0);
    for round in 0..rounds {
        let moment = seeded_rng.moment(whole);
        std::thread::scope(|scope| {
            let living = scope.spawn(|| live(&keeping));
            std::thread::sleep(moment);
            if let Some(keeper) = keeping.keeper("a") {
                send(keeper, Signal::KILL);
                alive += 1;
            }
            living.join().unwrap();
        });
        drop(keeping.sandbox.sh("ilaunch < plan").exits(0).one("instance"));
        healthy(&keeping, 0);
        let alone = || keeping.processes().len() == 2 && keeping.marked("a").len() == 1;
        wait_for(&format!("a keeper and its engine, after kill {round} at {moment:?}"), LIMIT, alone);
        assert_eq!(keeping.sandbox.sh("istat").exits(0).one("status")["state"], "running");
        let stopped = keeping.sandbox.sh("istop").exits(0).one("stopped");
        assert_eq!((&stopped["how"], &stopped["orphans"]), (&"term".into(), &0.into()), "{round}: {stopped}");
        assert_eq!(keeping.status("a")["state"], "stopped");
        wait_for("everything to go", LIMIT, || keeping.processes().is_empty());
    }
    println!("{alive} of {rounds} keepers were alive when they were killed, a life takes {whole:?}");
    assert!(alive > 0 || !full());
}
