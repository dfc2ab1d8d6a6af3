//! Processes that a keeper has started, known by the state directory that their environment names, whoever they belong to.
use crate::Process;
use crate::instance_id::{environments, variable};
use crate::process::{pids, read_short};
use owner::Owner;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// What a keeper's program is called.
const KEEPER: &str = "ikeep";
/// How far up a keeper is looked for: engines do not nest deeper.
const GENERATIONS: usize = 64;

/// One such process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptProcess {
    /// Itself.
    pub process: Process,
    /// Whose it is.
    pub owner: Owner,
    /// The state directory that its environment names. Its user can have it name any.
    pub state_dir: PathBuf,
    /// Its instance id.
    pub instance_id: String,
}

/// `ENGINE/INSTANCE` of the start that a process belongs to, by the state directory that its environment names; `None` where it
/// names none, or may not be looked at.
#[must_use]
pub fn instance_of(pid: u32) -> Option<String> {
    let state_dir = |environ: &[u8]| variable(environ, variables::INFER_DEV_STATE_DIR).map(<[u8]>::to_vec);
    let (_, state_dir) = environments(vec![pid], state_dir, &mut None).pop()?;
    let mut parts = Path::new(std::ffi::OsStr::from_bytes(&state_dir)).components().rev();
    let (instance, engine) = (parts.next()?.as_os_str(), parts.next()?.as_os_str());
    Some(text::one_line(&format!("{}/{}", engine.to_string_lossy(), instance.to_string_lossy())))
}

/// Every process that a keeper has started and that sees the same files as we do, as far as we may look: root at
/// everybody's, others at their own. A container's processes see other files, so that theirs are never among them.
///
/// # Errors
/// /proc cannot be read, or not what it says of a process that is there.
pub fn find_kept() -> io::Result<Vec<KeptProcess>> {
    let own = Owner::current();
    let may_be_seen = |pid: &u32| own.uid() == 0 || Owner::of_process(*pid).is_ok_and(|owner| owner == own);
    find_kept_among(pids()?.into_iter().filter(may_be_seen).collect())
}

/// Of our own user's keepers, the one that is not ourselves and whose engine's environment names this state directory.
#[must_use]
pub fn other_keeper(state_dir: &Path) -> Option<u32> {
    let (own, us) = (std::process::id(), Owner::current());
    let theirs = |pid: &u32| *pid != own && Owner::of_process(*pid).is_ok_and(|owner| owner == us);
    // Most are not his: that is one system call, and the name three.
    let keepers =
        pids().unwrap_or_default().into_iter().filter(theirs).filter(|pid| is_named_like_a_keeper(*pid));
    let names_it = |process: &Process| {
        let named = |environ: &[u8]| {
            let named = variable(environ, variables::INFER_DEV_STATE_DIR)?;
            (named == state_dir.as_os_str().as_bytes()).then_some(())
        };
        !environments(vec![process.pid], named, &mut None).is_empty()
    };
    let mut keepers = keepers;
    keepers.find(|keeper| crate::family(*keeper).iter().any(names_it))
}

/// The keeper that a process descends from.
#[must_use]
pub fn keeper_of(process: Process) -> Option<Process> {
    let mut ancestor = process;
    for _ in 0..GENERATIONS {
        ancestor = Process::read(ancestor.parent)?;
        if !ancestor.zombie && is_named_like_a_keeper(ancestor.pid) {
            return Some(ancestor);
        }
    }
    None
}

fn is_named_like_a_keeper(pid: u32) -> bool {
    read_short(&format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim_ascii_end() == KEEPER)
}

fn find_kept_among(pids: Vec<u32>) -> io::Result<Vec<KeptProcess>> {
    let mut unread = None;
    let carried = |environ: &[u8]| {
        let state_dir = variable(environ, variables::INFER_DEV_STATE_DIR)?;
        let instance_id = variable(environ, variables::INFER_DEV_INSTANCE)?;
        let instance_id = String::from_utf8(instance_id.to_vec()).ok()?;
        Some((PathBuf::from(std::ffi::OsStr::from_bytes(state_dir)), instance_id))
    };
    let kept = |(process, (state_dir, instance_id)): (Process, (PathBuf, String))| {
        let owner = Owner::of_process(process.pid).ok()?;
        let sees_our_files = owner.act(|| sees_our_files(process.pid)).unwrap_or(false);
        sees_our_files.then_some(KeptProcess { process, owner, state_dir, instance_id })
    };
    let found = environments(pids, carried, &mut unread).into_iter().filter_map(kept).collect();
    unread.map_or(Ok(found), Err)
}

/// Whether a path means to it what it means to us: the same root, and the same mounts.
fn sees_our_files(pid: u32) -> bool {
    let root =
        |pid: &str| fs::metadata(format!("/proc/{pid}/root")).ok().map(|root| (root.dev(), root.ino()));
    let mounts = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
    let pid = pid.to_string();
    root(&pid).is_some_and(|root_of| root("self") == Some(root_of)) && mounts(&pid) == mounts("self")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;
    use variables::{INFER_DEV_INSTANCE, INFER_DEV_STATE_DIR};

    #[test]
    fn a_child_that_names_its_state_directory_is_found_and_has_no_keeper() {
        let mut command = Command::new("sleep");
        command.arg("60").env(INFER_DEV_INSTANCE, "kept-test").env(INFER_DEV_STATE_DIR, "/run/x/vllm/a");
        let mut child = command.spawn().unwrap();
        let found = find_kept().unwrap().into_iter().find(|kept| kept.process.pid == child.id());
        child.kill().unwrap();
        child.wait().unwrap();
        let found = found.unwrap();
        assert_eq!(
            (found.state_dir.as_path(), found.instance_id.as_str()),
            (Path::new("/run/x/vllm/a"), "kept-test")
        );
        assert_eq!(keeper_of(found.process), None);
        assert_eq!(other_keeper(Path::new("/run/x/vllm/a")), None);
    }
}
