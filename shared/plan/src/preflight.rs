//! What is checked before anything starts.
use crate::draft::Draft;
use crate::leftover::{Leftover, left_behind};
use crate::port::Refused;
use crate::stopping::{self, Stopping};
use crate::{changes, model, port, running};
use child::{User, permitted};
use config::rules;
use failure::{Code, Failure};
use gpu::{Device, Selection};
use record::{Engine, Plan};
use rustix::fs::Access;
use state::Directory;
use std::io;
use std::path::Path;

/// Check all drafts, each by itself and against the ones before it.
pub(crate) fn check(drafts: &mut [&mut Draft], leftovers: &[&Leftover]) {
    let foreground = drafts.iter().any(|draft| !draft.plan.control.background);
    let total = drafts.len();
    for draft in drafts.iter_mut() {
        if foreground && total > 1 && !draft.plan.control.background {
            let what = format!("instance {} has background = false", draft.plan.instance);
            let cause = format!("{total} instances are enabled, and only one can run in the foreground");
            draft.failures.push(Failure::new(Code::Input, what, cause));
        }
        if let Err(failure) = find_running(draft) {
            draft.failures.push(failure);
        }
    }
    let leaving = stopping::all(drafts, leftovers);
    for at in 0..drafts.len() {
        let (before, rest) = drafts.split_at_mut(at);
        if let [draft, ..] = rest {
            check_against(draft, before);
            if !draft.plan.reused {
                check_alone(draft, &leaving);
            }
        }
    }
    check_gpus(drafts);
}

/// Whether a keeper has an instance of this name already, and whether it keeps what is planned.
fn find_running(draft: &mut Draft) -> Result<(), Failure> {
    let Plan { engine, instance, state_dir, workspace, hash, .. } = &draft.plan;
    let directory = Directory::at(state_dir);
    let what = || format!("cannot read {}", state_dir.display());
    let unreadable = |error: io::Error| {
        let failure = Failure::io(Code::Unmet, what(), &error);
        match error.kind() {
            io::ErrorKind::NotADirectory => {
                failure.hint("a run directory is a folder: correct AUTO_INFER_RUN_DIR")
            }
            io::ErrorKind::PermissionDenied => {
                failure.hint("run as root or as its owner, or set AUTO_INFER_RUN_DIR to another folder")
            }
            _ => failure,
        }
    };
    if directory.keeper().map_err(unreadable)?.is_none() {
        return Ok(());
    }
    let status = directory.status().map_err(unreadable)?;
    let (theirs, running) = match status {
        Some(status) => (Some(status.workspace), Some(status.plan_hash)),
        None => (None, None),
    };
    if let Some(theirs) = theirs.filter(|theirs| theirs != workspace) {
        let what = format!("{engine} {instance} runs already");
        let cause = format!("the workspace {} has an instance of this name", theirs.display());
        let hint = "choose another name, or another AUTO_INFER_RUN_DIR for this workspace";
        return Err(Failure::new(Code::Later, what, cause).hint(hint));
    }
    let stale = running.is_some_and(|running| running != *hash);
    let mut what = format!("{engine} {instance} runs already, from another plan");
    if stale && let Ok(Some(theirs)) = directory.plan() {
        for change in changes::changes(&theirs, &draft.plan) {
            what.push_str(&format!("; {change}"));
        }
    }
    draft.plan.reused = true;
    draft.plan.stale = stale;
    if stale {
        draft.warn(rules::STALE, what, "only ilaunch --replace restarts it from the new plan");
    }
    Ok(())
}

/// Ports and log files that an earlier instance has.
fn check_against(draft: &mut Draft, before: &[&mut Draft]) {
    for other in before {
        let (own, theirs) = (&draft.plan, &other.plan);
        let name = || format!("{} {}", theirs.engine, theirs.instance);
        let (log_shared, same_port) = (
            own.log_file == theirs.log_file,
            own.port == theirs.port && port::overlap(&own.host, &theirs.host),
        );
        if same_port {
            let what = format!("port {} of {} {} is taken", own.port, own.engine, own.instance);
            let failure = Failure::new(Code::Input, what, format!("{} is planned on it", name()));
            draft.object(rules::PORT_SHARED, failure.hint("give each instance a port of its own"));
        }
        if log_shared {
            let what = format!("log file {} is taken", draft.plan.log_file.display());
            let failure = Failure::new(Code::Input, what, format!("{} is planned to write it", name()));
            draft.object(rules::LOG_SHARED, failure.hint("set log_dir for all, or log_file for each"));
        }
    }
}

/// What to do about a port that somebody else has, and where.
fn another_port(plan: &Plan) -> String {
    let place = match plan.engine {
        Engine::Bridge => "choose another port".to_owned(),
        _ => format!("set port = N under [instance.{}.server] in {}", plan.instance, plan.config.display()),
    };
    format!("stop it, or {place}; a server of ours is stopped by istop")
}

/// What starting this one instance would stumble over.
pub(crate) fn check_alone(draft: &mut Draft, leaving: &[Stopping]) {
    let refused = port::check(&draft.plan.host, draft.plan.port).err();
    if let Some(Refused::Host(failure)) = refused {
        draft.object(rules::ADDRESS, failure);
    } else if let Some(Refused::Taken(failure)) = refused
        && !left_behind(&draft.plan.state_dir)
    {
        match leaving.iter().find(|other| other.holds_port_of(&draft.plan)) {
            Some(other) => {
                let Plan { engine, instance, port, .. } = &draft.plan;
                let what = format!("port {port} of {engine} {instance} is still held by {}", other.name);
                draft.warn(rules::PORT_IN_USE, what, other.hint);
            }
            None => {
                let ours = running::holder(&draft.plan);
                let failure = ours.unwrap_or_else(|| failure.hint(another_port(&draft.plan)));
                draft.object(rules::PORT_IN_USE, failure);
            }
        }
    }
    model::check(draft);
    if let Err(failure) = check_log(&draft.plan) {
        draft.object(rules::LOG_NOT_WRITABLE, failure);
    }
}

/// A log folder that exists has to be writable for the instance's user, and so has the log. A missing one is made by
/// whoever launches or by the user, so the rights of either will do.
fn check_log(plan: &Plan) -> Result<(), Failure> {
    let cannot = |error: &io::Error| {
        Failure::io(Code::Unmet, format!("cannot write log file {}", plan.log_file.display()), error)
    };
    let user = User::other(plan.user.as_deref(), &variables::user(plan.engine))?;
    let folder = plan.log_file.parent().unwrap_or(Path::new("/"));
    let file = plan.log_file.as_path();
    let elsewhere = format!("set log_dir or {} to a folder that can be made and written", variables::LOG_DIR);
    if owner::is_dir(file) {
        let hint = "it is a folder: name a file in it, or set log_dir to it";
        return Err(cannot(&rustix::io::Errno::ISDIR.into()).hint(hint));
    }
    if owner::exists(folder) {
        let try_it = || {
            let target = if owner::exists(file) {
                (file, Access::WRITE_OK)
            } else {
                (folder, Access::WRITE_OK | Access::EXEC_OK)
            };
            permitted(target.0, target.1).and_then(|()| permitted(folder, Access::WRITE_OK | Access::EXEC_OK))
        };
        let tried = match &user {
            Some(user) => user.act(try_it).map_err(|error| cannot(&error))?,
            None => try_it(),
        };
        return tried.map_err(|error| {
            let who = plan.user.as_deref().unwrap_or("this user");
            cannot(&error.into()).hint(format!("let {who} write in {}, or {elsewhere}", folder.display()))
        });
    }
    let above = folder.ancestors().find(|path| owner::exists(path)).unwrap_or(Path::new("/"));
    if !owner::is_dir(above) {
        let hint = format!("{} is not a folder; {elsewhere}", above.display());
        return Err(cannot(&rustix::io::Errno::NOTDIR.into()).hint(hint));
    }
    // Below a folder of his own the user makes it, wherever root may not (a container that has not all capabilities).
    let try_it = || permitted(above, Access::WRITE_OK | Access::EXEC_OK);
    let tried = try_it().or_else(|error| match &user {
        Some(user) => user.act(try_it).unwrap_or(Err(error)),
        None => Err(error),
    });
    tried.map_err(|error| {
        cannot(&error.into()).hint(format!(
            "{} cannot be made in {}; {elsewhere}",
            folder.display(),
            above.display()
        ))
    })
}

/// GPUs, where nvidia-smi answers. It takes its time, so it is asked once and only where the answer matters.
fn check_gpus(drafts: &mut [&mut Draft]) {
    let uses = |draft: &&mut Draft| draft.plan.gpu_ids != "none" && draft.failures.is_empty();
    let asks =
        |draft: &&mut Draft| draft.plan.gpu_ids != "all" || draft.gpus_needed.is_some_and(|count| count > 1);
    let users = drafts.iter().filter(|draft| uses(draft)).count();
    if users == 0 || (users == 1 && !drafts.iter().any(|draft| uses(draft) && asks(draft))) {
        return;
    }
    let Some(gpus) = gpu::devices() else { return };
    let mut before: Vec<(Selection, std::path::PathBuf)> = Vec::new();
    for draft in drafts.iter_mut().filter(|draft| uses(draft)) {
        let chosen = gpu::select(&draft.plan.gpu_ids, draft.visible.as_deref(), &gpus);
        if !draft.plan.reused {
            check_gpu_ids(draft, &chosen, &gpus);
        }
        if !draft.failures.is_empty() {
            continue;
        }
        let shares = |(other, _): &&(Selection, _)| !other.indices.is_disjoint(&chosen.indices);
        draft.plan.after = before.iter().rev().find(shares).map(|(_, state_dir)| state_dir.clone());
        before.push((chosen, draft.plan.state_dir.clone()));
    }
}

pub(crate) fn check_gpu_ids(draft: &mut Draft, chosen: &Selection, gpus: &[Device]) {
    let instance = draft.plan.instance.clone();
    if !chosen.unknown.is_empty() && draft.plan.gpu_ids != "all" {
        let what = format!("gpu_ids of instance {instance} name GPUs that are not there");
        let found: Vec<String> = gpus.iter().map(|gpu| format!("{} ({})", gpu.index, gpu.uuid)).collect();
        let failure = Failure::new(Code::Unmet, what, chosen.unknown.join(", "));
        draft.object(rules::GPU_MISSING, failure.hint(format!("nvidia-smi lists {}", found.join(", "))));
    }
    if let Some(needed) = draft.gpus_needed
        && needed > chosen.count as u64
    {
        let what = format!("instance {instance} needs {needed} GPUs");
        let cause = format!("it sees {}", chosen.count);
        let failure = Failure::new(Code::Unmet, what, cause);
        draft.object(
            rules::GPU_COUNT,
            failure.hint("tensor times pipeline parallel size is the number of GPUs"),
        );
    }
}
