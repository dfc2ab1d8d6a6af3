//! What is running, as measures for a monitor.
use crate::inspect::Inspected;
use openmetrics::Text;
use record::{KeeperState, Rung};

/// A measure of an instance, as text; `None` where it is unknown or does not apply.
type Measure = fn(&Inspected) -> Option<String>;

const MEASURES: [(&str, &str, &str, Measure); 8] = [
    ("ready", "gauge", "Whether the instance is where its plan wants it", |inspected| {
        Some(flag(inspected.ready))
    }),
    ("stale", "gauge", "Whether the instance runs from an install that is no longer current", |inspected| {
        Some(flag(inspected.status.stale))
    }),
    ("restarts", "counter", "How often the engine was started again", |inspected| {
        Some(inspected.status.restarts.to_string())
    }),
    ("up_seconds", "gauge", "How long the engine has run", |inspected| number(inspected.status.up_s)),
    ("start_to_healthy_seconds", "gauge", "From the last start to the first 200 of /health", |inspected| {
        number(inspected.start_to_healthy_s)
    }),
    ("resident_memory_bytes", "gauge", "Resident memory of the process tree", |inspected| {
        inspected.status.rss_bytes.map(|bytes| bytes.to_string())
    }),
    ("gpu_memory_bytes", "gauge", "GPU memory of the process tree", |inspected| {
        inspected.status.gpu_bytes.map(|bytes| bytes.to_string())
    }),
    ("egress_attempts", "counter", "What the engine tried to reach beyond this machine", |inspected| {
        inspected.status.egress.as_ref().map(|egress| egress.attempts.to_string())
    }),
];

/// The whole text: the state and the rung of each instance, and all measures that are known of it.
pub(crate) fn of(inspected: &[Inspected]) -> String {
    let mut text = Text::default();
    text.family("infer_dev_instance_state", "gauge", "The state of the instance: 1 at the one that it is in");
    for inspected in inspected {
        for state in KeeperState::ALL {
            let value = flag(inspected.status.state == state);
            sample(&mut text, "infer_dev_instance_state", inspected, Some(("state", state.id())), &value);
        }
    }
    text.family(
        "infer_dev_instance_rung",
        "gauge",
        "The rungs of the readiness ladder: 1 at each that is reached",
    );
    for inspected in inspected {
        // Higher ones cannot be told without having an engine generate.
        for rung in Rung::ALL.into_iter().filter(|rung| *rung <= Rung::Listed) {
            let value = flag(inspected.status.rung.is_some_and(|reached| reached >= rung));
            sample(&mut text, "infer_dev_instance_rung", inspected, Some(("rung", rung.id())), &value);
        }
    }
    for (name, kind, help, measure) in MEASURES {
        let name = format!("infer_dev_instance_{name}");
        text.family(&name, kind, help);
        let total = if kind == "counter" { "_total" } else { "" };
        for inspected in inspected {
            if let Some(value) = measure(inspected) {
                sample(&mut text, &format!("{name}{total}"), inspected, None, &value);
            }
        }
    }
    text.end()
}

fn sample(text: &mut Text, name: &str, inspected: &Inspected, further: Option<(&str, &str)>, value: &str) {
    let engine = inspected.status.engine.to_string();
    let instance = tool::one_line(&inspected.status.instance);
    let run_dir = inspected.run_dir.to_string_lossy();
    let mut labels = vec![("engine", engine.as_str()), ("instance", &instance), ("run_dir", &run_dir)];
    labels.extend(further);
    text.sample(name, &labels, value);
}

fn flag(yes: bool) -> String {
    u8::from(yes).to_string()
}

fn number(value: Option<f64>) -> Option<String> {
    value.map(|value| value.to_string())
}
