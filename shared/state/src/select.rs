//! Which instances a command line means.
use crate::run_dir::existing_run_dirs;
use crate::{Directory, Instances, instances};
use failure::{Code, Failure};
use record::Engine;
use std::path::{Path, PathBuf};

/// Every instance that is kept or remembered: below `run_dir` where an option names it, else below AUTO_INFER_RUN_DIR where
/// that is set, else below every usual run directory that exists. A run directory that was chosen is not mixed with others.
///
/// # Errors
/// Code 69 for a run directory that was named and is none.
pub fn find_all(run_dir: Option<&Path>) -> Result<Instances, Failure> {
    let places = match (run_dir, variable()) {
        (Some(option), _) => {
            let found = owner::metadata(option).map(drop);
            found.map_err(|error| {
                Failure::io(Code::Unmet, format!("cannot look into {}", option.display()), &error)
            })?;
            vec![option.to_owned()]
        }
        (None, Some(variable)) if !variable.is_absolute() => {
            let what = format!("cannot use {}={}", variables::RUN_DIR, variable.display());
            return Err(Failure::new(Code::Unmet, what, "not an absolute path"));
        }
        (None, Some(variable)) => vec![variable],
        (None, None) => existing_run_dirs(),
    };
    let mut found = Instances::default();
    for below in places.iter().map(|place| instances(place)) {
        found.places.extend(below.places);
        found.unread.extend(below.unread);
    }
    found.places.retain(Directory::is_known);
    found.places.sort_by_key(Directory::engine);
    Ok(found)
}

/// AUTO_INFER_RUN_DIR, where it is set.
pub(crate) fn variable() -> Option<PathBuf> {
    std::env::var_os(variables::RUN_DIR).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Those of `found` that the names mean, all where there are none: ENGINE, ENGINE/INSTANCE or INSTANCE.
///
/// # Errors
/// Code 65 for a name that means nothing, with the nearest one; where not everything could be read, why not.
pub fn filter(mut found: Instances, names: &[String]) -> Result<Instances, Failure> {
    check_names(&mut found, names)?;
    Ok(retain_named(found, names))
}

/// Names of all instances, for a shell to offer: with the engine where the name alone means something else, too.
#[must_use]
pub fn instance_names() -> Vec<String> {
    names_of(&find_all(None).unwrap_or_default().places)
}

/// What a command line may name: the engines that have instances, and these.
#[must_use]
pub fn names() -> Vec<String> {
    let places = find_all(None).unwrap_or_default().places;
    let of = |engine: &Engine| places.iter().any(|place| place.engine() == Some(*engine));
    let engines = Engine::ENGINES.into_iter().filter(of).map(|engine| engine.id().to_owned());
    engines.chain(names_of(&places)).collect()
}

fn names_of(places: &[Directory]) -> Vec<String> {
    let means_it_alone = |name: &str| places.iter().filter(|place| matches_name(place, name)).count() == 1;
    let name = |place: &Directory| match (place.engine()?, place.instance()?) {
        (_, name) if means_it_alone(name) && name.parse::<Engine>().is_err() => Some(name.to_owned()),
        (engine, name) => Some(format!("{engine}/{name}")),
    };
    places.iter().filter_map(name).collect()
}

/// Whether every name means something.
pub(crate) fn check_names(found: &mut Instances, names: &[String]) -> Result<(), Failure> {
    let known = |name: &str| {
        name.parse::<Engine>().is_ok() || found.places.iter().any(|place| matches_name(place, name))
    };
    let Some(name) = names.iter().find(|name| !known(name)) else { return Ok(()) };
    Err(if found.unread.is_empty() { unknown(&found.places, name) } else { found.unread.remove(0) })
}

/// Those that the names mean, all where there are none.
pub(crate) fn retain_named(mut found: Instances, names: &[String]) -> Instances {
    if !names.is_empty() && names.iter().all(|name| name.parse::<Engine>().is_err()) {
        // Every instance that was asked for is there: what could not be read is not asked for.
        found.unread.clear();
    }
    found.places.retain(|place| names.is_empty() || names.iter().any(|name| matches_name(place, name)));
    found
}

pub(crate) fn matches_name(place: &Directory, name: &str) -> bool {
    let engine = place.engine().map(Engine::id);
    match name.split_once('/') {
        Some((of, instance)) => engine == Some(of) && place.instance() == Some(instance),
        // An engine's id comes first: an instance that is called like one is named with its engine.
        None if name.parse::<Engine>().is_ok() => engine == Some(name),
        None => place.instance() == Some(name),
    }
}

fn unknown(found: &[Directory], name: &str) -> Failure {
    let full = |place: &Directory| Some(format!("{}/{}", place.engine()?, place.instance()?));
    let short = |place: &Directory| place.instance().map(str::to_owned);
    let known: Vec<String> = found
        .iter()
        .filter_map(|place| if name.contains('/') { full(place) } else { short(place) })
        .chain(Engine::ENGINES.map(|engine| engine.id().to_owned()))
        .collect();
    let failure = Failure::new(Code::Input, format!("no instance '{name}'"), "nothing of that name was kept");
    match text::nearest(name, known) {
        Some(nearest) => failure.hint(format!("did you mean '{nearest}'")),
        None => failure.hint("istat lists all instances"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(names: &[&str]) -> Result<Vec<String>, Failure> {
        let place = |name: &str| Directory::at(Path::new("/run/x").join(name));
        let places = ["llama-cpp/a", "llama-cpp/vllm", "vllm/a", "vllm/glm"].map(place).to_vec();
        let found = Instances { places, unread: Vec::new() };
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let full = |place: &Directory| format!("{}/{}", place.engine().unwrap(), place.instance().unwrap());
        filter(found, &names).map(|found| found.places.iter().map(full).collect())
    }

    #[test]
    fn engines_instances_and_both_are_understood() {
        assert_eq!(select(&[]).unwrap().len(), 4);
        assert_eq!(select(&["a"]).unwrap(), ["llama-cpp/a", "vllm/a"]);
        assert_eq!(select(&["vllm"]).unwrap(), ["vllm/a", "vllm/glm"]);
        assert_eq!(select(&["llama-cpp/vllm", "glm"]).unwrap(), ["llama-cpp/vllm", "vllm/glm"]);
        assert!(select(&["sglang"]).unwrap().is_empty());
    }

    #[test]
    fn a_name_that_is_offered_means_one_instance() {
        let place = |name: &str| Directory::at(Path::new("/run/x").join(name));
        let places = ["llama-cpp/a", "llama-cpp/vllm", "vllm/a", "vllm/glm"].map(place).to_vec();
        let names = names_of(&places);
        assert_eq!(names, ["llama-cpp/a", "llama-cpp/vllm", "vllm/a", "glm"]);
        for (place, name) in places.iter().zip(&names) {
            assert_eq!(select(&[name]).unwrap().len(), 1, "{}", place.path().display());
        }
    }

    #[test]
    fn a_name_that_means_nothing_is_refused_with_the_nearest() {
        let failure = select(&["a", "glmm"]).unwrap_err();
        assert_eq!(failure.what, "no instance 'glmm'");
        assert_eq!(failure.hint.as_deref(), Some("did you mean 'glm'"));
        assert_eq!(select(&["vllm/gml"]).unwrap_err().hint.as_deref(), Some("did you mean 'vllm/glm'"));
    }
}
