//! What is noted of our starts.
use record::{Engine, Instance, Plan, Record};
use state::Directory;
use state::audit::{Entry, Event, note_instance};
use std::collections::HashMap;
use tool::Io;

/// From now on note what is started of these plans, and what is not.
pub(crate) fn begin(plans: &[Plan], io: &mut Io) {
    let place = |plan: &Plan| ((plan.engine, plan.instance.clone()), Directory::at(&plan.state_dir));
    let places: HashMap<(Engine, String), Directory> = plans.iter().map(place).collect();
    let by = io.name();
    io.on_write(move |record| {
        let (Some(engine), Some(instance)) = record.subject() else { return None };
        let place = places.get(&(engine, instance.to_owned()))?;
        let entry = || Entry::new(by, Event::Start, engine).named().of(instance);
        match record {
            Record::Instance(Instance { reused: false, keeper_pid, .. }) => {
                note_instance(place, &entry().kept_by(*keeper_pid))
            }
            Record::Failed(failed) => note_instance(place, &entry().failed(failed)),
            _ => None,
        }
    });
}
