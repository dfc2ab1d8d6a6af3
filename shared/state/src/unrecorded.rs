//! Engines that run without a state directory, because somebody has removed it.
use crate::{Directory, Instances, select};
use failure::{Code, Failure};
use owner::Owner;
use record::Engine;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use tree::KeptProcess;

/// What runs of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unrecorded {
    /// Where its state directory was.
    pub state_dir: PathBuf,
    /// The engine, from the path.
    pub engine: Engine,
    /// The instance's name, from the path.
    pub instance: String,
    /// Whose its processes are.
    pub owner: Owner,
    /// Its keeper, where that lives: it writes the state directory again within seconds, or ends.
    pub keeper: Option<u32>,
    /// Its processes.
    pub pids: Vec<u32>,
    /// Their instance ids.
    pub instance_ids: Vec<String>,
}

/// Every such instance, below `run_dir` where an option names it, else below AUTO_INFER_RUN_DIR where that is set, else
/// wherever it was.
///
/// # Errors
/// Processes cannot be looked at: code 69.
pub fn find_unrecorded(run_dir: Option<&Path>) -> Result<Vec<Unrecorded>, Failure> {
    let chosen = run_dir.map(Path::to_owned).or_else(select::variable);
    let chosen = chosen.map(|path| std::path::absolute(&path).unwrap_or(path));
    let mut groups: BTreeMap<(PathBuf, Owner), Vec<KeptProcess>> = BTreeMap::new();
    let unseen = |error| Failure::io(Code::Unmet, "cannot look at processes in /proc", &error);
    for kept in tree::find_kept().map_err(unseen)? {
        groups.entry((kept.state_dir.clone(), kept.owner.clone())).or_default().push(kept);
    }
    let among = |path: &Path| {
        let below = path.parent().and_then(Path::parent);
        chosen.as_deref().is_none_or(|chosen| below == Some(chosen))
    };
    let found = groups.into_iter().filter(|((path, _), _)| among(path));
    Ok(found.filter_map(|((path, owner), kept)| from_processes(path, owner, kept)).collect())
}

fn from_processes(state_dir: PathBuf, owner: Owner, mut kept: Vec<KeptProcess>) -> Option<Unrecorded> {
    let place = Directory::at(&state_dir);
    let (engine, instance) = (place.engine()?, place.instance()?.to_owned());
    // The path is what the process's user says: it is looked at with that user's rights.
    let known = owner.act(|| known(&place)).ok()??;
    kept.retain(|kept| Some(&kept.instance_id) != known.as_ref());
    let keeper = kept.iter().find_map(|kept| tree::keeper_of(kept.process)).map(|keeper| keeper.pid);
    let mut instance_ids: Vec<String> = kept.iter().map(|kept| kept.instance_id.clone()).collect();
    instance_ids.sort();
    instance_ids.dedup();
    let pids: Vec<u32> = kept.iter().map(|kept| kept.process.pid).collect();
    (!pids.is_empty()).then_some(Unrecorded {
        state_dir,
        engine,
        instance,
        owner,
        keeper,
        pids,
        instance_ids,
    })
}

/// The instance id in its state directory, if it is there and has one; `None` where it is not certain that the directory
/// records nothing that runs.
fn known(place: &Directory) -> Option<Option<String>> {
    match place.open() {
        // Something else stands in its place, or in that of a folder above it.
        Err(error) if is_missing(&error) || is_not_a_folder(&error) => return Some(None),
        _ => {}
    }
    if !matches!(place.keeper(), Ok(None)) {
        return None;
    }
    place.status().ok().map(|status| status.and_then(|status| status.instance_id))
}

fn is_missing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

/// A file, or a link where none is followed.
fn is_not_a_folder(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotADirectory | io::ErrorKind::InvalidData)
}

/// What a command line means: the state directories, and what runs without one.
///
/// # Errors
/// As [`crate::all`] and [`crate::named`].
pub fn find_named(run_dir: Option<&Path>, names: &[String]) -> Result<(Instances, Vec<Unrecorded>), Failure> {
    // Recorded instances are listed even where this search fails.
    let (mut unrecorded, unseen) = match find_unrecorded(run_dir) {
        Ok(found) => (found, None),
        Err(failure) => (Vec::new(), Some(failure)),
    };
    let mut all = match run_dir.map(Path::to_owned).or_else(select::variable) {
        // It was removed with all that ran in it, whatever stands there now.
        Some(gone) if !unrecorded.is_empty() && !owner::is_dir(&gone) => Instances::default(),
        _ => select::find_all(run_dir)?,
    };
    let matches_name =
        |found: &Unrecorded, name: &str| select::matches_name(&Directory::at(&found.state_dir), name);
    let others: Vec<String> = names
        .iter()
        .filter(|name| !unrecorded.iter().any(|found| matches_name(found, name)))
        .cloned()
        .collect();
    select::check_names(&mut all, &others)?;
    unrecorded.retain(|found| names.is_empty() || names.iter().any(|name| matches_name(found, name)));
    let mut meant = select::retain_named(all, names);
    meant.unread.extend(unseen);
    Ok((meant, unrecorded))
}
