//! A configuration that is there already: it is the user's own, and is never written again.
//!
//! It is read as every file that an operator names: in a user's folder root does that with the user's rights.
use config::{Document, Instance};
use engine::Profile;
use record::Engine;
use std::path::{Path, PathBuf};
use tool::{Code, Failure};

/// Whether it is of this engine and serves these models: what else it serves is not what was asked for.
///
/// # Errors
/// It cannot be read (69), is no configuration (65), or is of another engine or model (69).
pub(crate) fn check(file: &Path, engine: Engine, models: &[&Path]) -> Result<(), Vec<Failure>> {
    let hint = || {
        let ours = format!("infer-dev up {engine} -c {}", file.display());
        format!("work in another folder, remove the file, or use what it says: {ours}")
    };
    let document = Document::read(file, None).map_err(|failure| vec![failure.hint(hint())])?;
    // What it has of keys that nobody knows is for iplan to say.
    let config = config::read(&document, engine, true)?;
    let refuse = |cause: String| {
        let failure = Failure::new(Code::Unmet, format!("cannot write {}", file.display()), cause);
        vec![failure.hint(hint())]
    };
    let profile = engine::of(engine);
    let foreign = config.instances.iter().find_map(|instance| foreign_key(instance, engine));
    let named: Vec<PathBuf> =
        config.instances.iter().filter_map(|instance| model_of(instance, profile)).collect();
    if let Some(key) = foreign {
        return Err(refuse(format!("it is there, and {key} is no key of {engine}")));
    }
    match models.iter().find(|model| !named.iter().any(|named| are_same(named, model))) {
        None => Ok(()),
        Some(_) if named.is_empty() => {
            let key = profile.model.replace('-', "_");
            Err(refuse(format!("it is there, and names no model of {engine}: none is in server.{key}")))
        }
        Some(_) => {
            let names: Vec<String> = named.iter().map(|named| named.display().to_string()).collect();
            Err(refuse(format!("it is there, and names another model: {}", names.join(", "))))
        }
    }
}

/// What only other engines call the model or its name.
fn foreign_key(instance: &Instance, engine: Engine) -> Option<String> {
    let ours = [engine::of(engine).model, engine::of(engine).served_name];
    let of = |other: Engine| [engine::of(other).model, engine::of(other).served_name];
    let others = [Engine::LlamaCpp, Engine::Vllm, Engine::Sglang].into_iter().flat_map(of);
    let mut keys = others.filter(|key| !ours.contains(key)).map(|key| key.replace('-', "_"));
    keys.find(|key| instance.server.get(key).is_some())
}

/// The model of an instance: relative to the outermost folder, in which servers run.
fn model_of(instance: &Instance, profile: &Profile) -> Option<PathBuf> {
    let model = instance.server.get(&profile.model.replace('-', "_"))?;
    Some(Path::new("/").join(model.value.word()?))
}

/// Whether two absolute paths are one, or lead to one thing.
fn are_same(one: &Path, other: &Path) -> bool {
    let leads = |path: &Path| owner::canonicalize(path).ok();
    one == other || leads(one).is_some_and(|place| leads(other) == Some(place))
}
