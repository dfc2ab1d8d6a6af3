//! Instances that no plan names any more: which they are.
use crate::input::Input;
use record::Step;
use state::Directory;
use stop::{Expected, Request};
use tool::{Code, Failure, Io};

/// Those that the configuration does not want, as far as they are of the workspace of their engine's `env` record: they
/// are to be stopped, and forgotten.
///
/// Only what `iplan` has spoken of counts, never what is merely missing: a stream that was cut looks like one that names
/// nobody.
pub(crate) fn find(input: &Input, io: &Io) -> Result<Vec<Request>, Failure> {
    if input.envs.is_empty() {
        let what = "cannot tell which instances are this workspace's";
        let failure = Failure::new(Code::Input, what, "no 'env' record came on standard input");
        return Err(failure.hint("pipe the whole stream in, as in: ienv llama-cpp | iplan | ilaunch --prune"));
    }
    let mut requests: Vec<Request> = Vec::new();
    for (engine, name) in &input.unwanted {
        let planned = input.plans.iter().any(|plan| plan.engine == *engine && plan.instance == *name);
        let env = input.envs.iter().find(|env| env.engine == *engine);
        let Some(env) = env.filter(|_| !planned && io.wants(*engine, Step::Serve)) else { continue };
        let place = Directory::of(&env.run_dir, *engine, name);
        let keeper = place.keeper();
        // Whose it is has to be known: what cannot be read is left alone.
        let (Ok(keeper), Ok(Some(status))) = (keeper, place.status()) else { continue };
        if status.workspace == env.workspace && requests.iter().all(|request| request.place != place) {
            let expected = keeper.map_or(Expected::Nobody, Expected::Keeper);
            requests.push(Request { place, expected, forget: true });
        }
    }
    Ok(requests)
}
