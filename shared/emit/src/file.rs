//! One file that is written, and what stands above all that is in it.
use record::Plan;

/// One file, and what it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name, without a folder.
    pub name: String,
    /// All of it.
    pub text: String,
}

/// What stands above what is written: what it is of, and what it lacks.
pub(crate) fn heading(plan: &Plan, more: &[String]) -> String {
    let mut text = format!(
        "# {} {}, planned by infer-dev from {}\n# plan {}\n",
        plan.engine,
        plan.instance,
        plan.config.display(),
        plan.hash
    );
    for line in more {
        text.push_str(&format!("# {line}\n"));
    }
    text.push_str(&lacks(plan));
    text
}

/// What our own keeper does and this one will not.
fn lacks(plan: &Plan) -> String {
    let control = &plan.control;
    let asked = [
        (control.idle_stop_s.is_some(), "idle_stop_s"),
        (control.watch_egress, "watch_egress"),
        (control.liveness == record::Liveness::Answer, "liveness = \"answer\""),
    ];
    let names: Vec<&str> = asked.into_iter().filter(|(asked, _)| *asked).map(|(_, name)| name).collect();
    if names.is_empty() { String::new() } else { format!("# only ikeep has: {}\n", names.join(", ")) }
}
