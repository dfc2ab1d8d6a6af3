//! Instances of this workspace that the configuration no longer wants, and that still run or are still remembered.
use config::{is_instance_name, rules};
use record::{Engine, Env, KeeperState, Warning};
use state::Directory;
use std::path::Path;

/// One of them.
#[derive(Clone, Debug)]
pub(crate) struct Leftover {
    pub(crate) engine: Engine,
    pub(crate) instance: String,
    pub(crate) place: Directory,
    /// It runs, or what a killed keeper has left of it does.
    pub(crate) runs: bool,
    /// Why it is not wanted.
    pub(crate) why: String,
}

impl Leftover {
    /// What an operator should know of it, where it runs.
    pub(crate) fn warning(&self) -> Option<Warning> {
        let Self { engine, instance, runs, why, .. } = self;
        runs.then(|| Warning {
            engine: Some(*engine),
            instance: Some(instance.clone()),
            rule: rules::UNPLANNED.to_owned(),
            what: format!("{engine} {instance} still runs, and {why}"),
            hint: format!("ilaunch --prune stops it, and so does: istop {engine}/{instance}"),
        })
    }
}

/// Those in the run directory of `env`. `unwanted` says of a name why it is not wanted; `None`: it is.
pub(crate) fn find(env: &Env, unwanted: impl Fn(&str) -> Option<String>) -> Vec<Leftover> {
    let of_engine = |place: &Directory| place.engine() == Some(env.engine);
    let places = state::instances(&env.run_dir).places.into_iter().filter(of_engine);
    let leftover = |place: Directory| {
        let instance = place.instance().filter(|name| is_instance_name(name))?.to_owned();
        let why = unwanted(&instance)?;
        // Another workspace's instances are its own business, and so is what cannot be read.
        let (state, status) = place.state().ok()??;
        if status.workspace != env.workspace {
            return None;
        }
        let kept = place.keeper().is_ok_and(|keeper| keeper.is_some());
        let runs = kept || (state == KeeperState::Lost && left_behind(place.path()));
        Some(Leftover { engine: env.engine, instance, place, runs, why })
    };
    places.filter_map(leftover).collect()
}

/// Whether a keeper that was killed has left processes of this very instance. They may hold its port; whoever launches
/// ends them first.
pub(crate) fn left_behind(state_dir: &Path) -> bool {
    let directory = Directory::at(state_dir);
    let Ok(Some((KeeperState::Lost, status))) = directory.state() else { return false };
    let user = directory.user().ok();
    status.instance_id.zip(user).is_some_and(|(id, user)| !tree::find_by_instance_id(&id, &user).is_empty())
}
