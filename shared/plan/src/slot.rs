//! What planning has to say, while it is not all said.
use crate::draft::Draft;
use crate::item::Item;
use crate::leftover::Leftover;
use config::rules;
use record::{Engine, Warning};

/// What is still to be checked, and what is said already.
pub(crate) enum Slot {
    Draft(Box<Draft>),
    Item(Item),
    Leftover(Leftover),
}

pub(crate) fn skipped(engine: Engine, instance: Option<&str>, why: &str) -> Slot {
    Slot::Item(Item::Skipped { engine, instance: instance.map(str::to_owned), why: why.to_owned() })
}

pub(crate) fn unknown_key(engine: Engine, (what, hint): &(String, String)) -> Slot {
    Slot::Item(Item::Warning(Warning {
        engine: Some(engine),
        instance: None,
        rule: rules::UNKNOWN_KEY.to_owned(),
        what: what.clone(),
        hint: hint.clone(),
    }))
}
