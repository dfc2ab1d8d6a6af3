//! Whether an engine says that it is busy when its keeper asks.
use crate::arguments::Arguments;
use config::rules;
use engine::Profile;
use record::{Liveness, Plan, Warning};

/// A warning for an instance that is to sleep, or to show that it lives, while its engine keeps to itself whether it is busy.
pub(crate) fn untold(plan: &Plan, arguments: &Arguments, profile: &Profile) -> Option<Warning> {
    let control = &plan.control;
    let wanted = [
        (control.idle_stop_s.is_some(), "idle_stop_s"),
        (control.liveness == Liveness::Answer, "liveness = \"answer\""),
    ];
    let wanted: Vec<&str> = wanted.iter().filter(|(wanted, _)| *wanted).map(|(_, key)| *key).collect();
    let busy_switch = profile.busy_switch?;
    let negative = |token: &String| token.starts_with("--no-");
    let last = arguments.all(busy_switch.flag).next_back();
    let is_on = last.map_or(busy_switch.default, |argument| !argument.tokens.first().is_some_and(negative));
    if wanted.is_empty() || is_on == busy_switch.on {
        return None;
    }
    let key = busy_switch.flag.replace('-', "_");
    Some(Warning {
        engine: Some(plan.engine),
        instance: Some(plan.instance.clone()),
        rule: rules::BUSY_UNTOLD.to_owned(),
        what: format!(
            "{} has {}, and its engine does not say whether it is busy",
            plan.instance,
            wanted.join(" and ")
        ),
        hint: match busy_switch.on {
            true => format!("set {key} = true in its server table"),
            false => format!("leave {key} out of its server table"),
        },
    })
}
