//! What an instance needs in a container: the same paths as outside, its GPUs, its user.
use crate::name::name;
use crate::secret::{Reference, arguments, file, references};
use record::Plan;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Variables by which a container's runtime and not the server chooses the GPUs.
const VISIBLE: &str = "CUDA_VISIBLE_DEVICES";
/// Where secrets that are files lie.
const SECRETS: &str = "/run/secrets";

/// The image of the containers, and the machine that they run on.
#[derive(Clone, Debug)]
pub struct ContainerContext<'a> {
    /// The image; it has the C library and `iprobe`.
    pub image: &'a str,
    /// Whether this machine has GPUs: all of them are only then asked for.
    pub gpus: bool,
}

/// Which GPUs a container gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Gpus {
    None,
    All,
    These(Vec<String>),
}

pub(crate) struct Container {
    pub(crate) image: String,
    pub(crate) args: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) secrets: Vec<Reference>,
    /// The path at which the file with secrets is mounted, and its name.
    pub(crate) secret_file: Option<String>,
    /// Paths that are the same inside, and whether the server writes there.
    pub(crate) mounts: BTreeMap<PathBuf, bool>,
    pub(crate) gpus: Gpus,
    /// uid and gid; none: the image's.
    pub(crate) user: Option<(u32, u32)>,
}

impl Container {
    pub(crate) fn of(plan: &Plan, around: &ContainerContext<'_>) -> Self {
        let secrets = references(plan);
        let path = file(&secrets).map(|(path, _)| path.to_owned());
        let inside = format!("{SECRETS}/{}", file_name(plan));
        let gpus = match plan.gpu_ids.as_str() {
            "none" => Gpus::None,
            "all" if around.gpus => Gpus::All,
            "all" => Gpus::None,
            ids => Gpus::These(ids.split(',').map(|id| id.trim().to_owned()).collect()),
        };
        let mut env = plan.env_set.clone();
        if gpus != Gpus::None {
            // Inside, those that it gets are counted from 0.
            env.remove(VISIBLE);
        }
        Self {
            image: around.image.to_owned(),
            args: arguments(plan, path.as_deref(), &inside),
            env,
            secret_file: path.map(|_| inside),
            mounts: mounts(plan),
            gpus,
            user: plan.user.as_deref().and_then(ids_of),
            secrets,
        }
    }
}

/// What the file with secrets is called.
pub(crate) fn file_name(plan: &Plan) -> String {
    format!("{}.yaml", name(plan))
}

fn ids_of(user: &str) -> Option<(u32, u32)> {
    let found = match user.parse() {
        Ok(uid) => nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid)),
        Err(_) => nix::unistd::User::from_name(user),
    };
    found.ok().flatten().map(|user| (user.uid.as_raw(), user.gid.as_raw()))
}

/// All that the command line names and that is there, what it runs from, and where it writes.
fn mounts(plan: &Plan) -> BTreeMap<PathBuf, bool> {
    let mut paths: Vec<PathBuf> = plan.install_path.iter().cloned().collect();
    paths.extend(plan.program.parent().map(Path::to_owned));
    paths.extend(plan.ca_file.clone());
    for word in plan.args.iter().chain(plan.env_set.values()) {
        let value = word.split_once('=').map_or(word.as_str(), |(_, value)| value);
        let path = Path::new(value);
        if path.is_absolute() && path.parent().is_some() && owner::exists(path) {
            paths.push(whole(path));
            paths.extend(owner::canonicalize(path).ok().map(|real| whole(&real)));
        }
    }
    let written = plan.cache_dir.clone();
    let mut mounts: BTreeMap<PathBuf, bool> = paths.into_iter().map(|path| (path, false)).collect();
    let all: Vec<PathBuf> = mounts.keys().cloned().collect();
    mounts.retain(|path, _| {
        !all.iter().any(|other| other != path && path.starts_with(other))
            && !written.as_ref().is_some_and(|written| path.starts_with(written))
    });
    mounts.extend(written.map(|path| (path, true)));
    mounts
}

/// A model of several files is in one folder, and is mounted with all of them.
fn whole(path: &Path) -> PathBuf {
    let is_weights = path.extension().is_some_and(|end| end == "gguf");
    match path.parent() {
        Some(folder) if is_weights => folder.to_owned(),
        _ => path.to_owned(),
    }
}
