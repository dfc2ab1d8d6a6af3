//! The plans as files of another keeper's, on standard output or in a folder.
use emit::{ContainerContext, File, Keeper};
use owner::Dir;
use record::{Engine, Plan};
use std::path::Path;
use tool::{Code, Failure, Io};

/// Readable by all: no secret is in them.
const MODE: u32 = 0o644;

/// A keeper by its name on the command line.
pub(crate) fn keeper(word: &str) -> Result<Keeper, String> {
    let found = Keeper::ALL.into_iter().find(|keeper| keeper.id() == word);
    found.ok_or_else(|| format!("the keepers are {}", keepers().join(", ")))
}

/// What a shell offers.
pub(crate) fn keepers() -> Vec<String> {
    Keeper::ALL.map(|keeper| keeper.id().to_owned()).to_vec()
}

/// Write all plans of engines; the bridge finds the instances of our own keeper and of no other.
///
/// # Errors
/// Code 69 where the folder cannot be written.
pub(crate) fn write(
    keeper: Keeper,
    plans: &[Plan],
    (image, into): (&str, Option<&Path>),
    io: &mut Io,
) -> Result<(), Failure> {
    let plans: Vec<Plan> = plans.iter().filter(|plan| plan.engine != Engine::Bridge).cloned().collect();
    let gpus = gpu::devices().is_some_and(|devices| !devices.is_empty());
    let files = emit::emit(keeper, &plans, &ContainerContext { image, gpus });
    let Some(folder) = into else {
        return io.print(&together(&files));
    };
    let what = |file: &str| format!("cannot write {}", folder.join(file).display());
    let dir = Dir::open(folder).map_err(|error| {
        Failure::io(Code::Unmet, format!("cannot open the folder {}", folder.display()), &error)
    })?;
    for File { name, text } in &files {
        dir.replace(name, MODE, text.as_bytes())
            .map_err(|error| Failure::io(Code::Unmet, what(name), &error))?;
        log::info!("wrote {}", folder.join(name).display());
    }
    Ok(())
}

/// One after the other; where there are several, each with its name above it.
fn together(files: &[File]) -> String {
    match files {
        [only] => only.text.clone(),
        files => files.iter().map(|File { name, text }| format!("# {name}\n{text}\n")).collect(),
    }
}
