//! Engines that run without a state directory.
use record::Warning;
use state::{Instances, Unrecorded};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};
use tool::Failure;

/// A keeper whose state directory was removed writes it again within a second.
const KEEPER_WRITES: Duration = Duration::from_secs(2);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// What the names mean, once those keepers that can write their state directory again have done so.
pub(crate) fn find_settled(
    run_dir: Option<&Path>,
    names: &[String],
) -> Result<(Instances, Vec<Unrecorded>), Failure> {
    let begun = Instant::now();
    loop {
        let (places, unrecorded) = state::find_named(run_dir, names)?;
        let kept = unrecorded.iter().any(|found| found.keeper.is_some());
        if !kept || begun.elapsed() >= KEEPER_WRITES {
            return Ok((places, unrecorded));
        }
        thread::sleep(POLL_INTERVAL);
    }
}

/// That it runs, and how it is stopped.
pub(crate) fn warning(found: &Unrecorded) -> Warning {
    let (engine, instance) = (found.engine, &found.instance);
    let pids: Vec<String> = found.pids.iter().map(u32::to_string).collect();
    let keeper = found.keeper.map_or("without a keeper".to_owned(), |pid| format!("kept by process {pid}"));
    Warning {
        engine: Some(engine),
        instance: Some(instance.clone()),
        rule: "unrecorded".to_owned(),
        what: format!(
            "{engine}/{instance} runs as process {}, {keeper}, but {} was removed",
            pids.join(", "),
            found.state_dir.display()
        ),
        hint: format!("istop {engine}/{instance} ends it"),
    }
}
