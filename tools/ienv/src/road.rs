//! How a pixi engine is installed: the road, and the place that depends on it.
use crate::ledger::{Ledger, Row};
use install::InstallLink;
use record::{Engine, Origin, Road};
use std::path::{Path, PathBuf};
use tool::{Code, Failure, vars};

const CHOICES: [Road; 2] = [Road::Bundle, Road::Cache];

/// What a shell offers.
pub(crate) fn names() -> Vec<String> {
    CHOICES.map(|road| road.id().to_owned()).to_vec()
}

/// A road by its id on the command line; that of llama.cpp cannot be chosen.
pub(crate) fn named(word: &str) -> Result<Road, String> {
    CHOICES
        .into_iter()
        .find(|road| road.id() == word)
        .ok_or_else(|| "the roads are bundle and cache".to_owned())
}

/// Something that says which road to take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RoadChoice {
    road: Road,
    origin: Origin,
    source: String,
    /// It only names what to install from.
    of_source: bool,
}

/// The road that the command line or a variable chooses: the first sign holds. Two `ON_BOOT` flags are a failure.
pub(crate) fn chosen(option: Option<Road>, ledger: &mut Ledger<'_>) -> Option<RoadChoice> {
    let mut sign_of = |field, road| {
        let row = ledger.row(field).filter(|row| row.value.as_deref().is_some_and(|value| value != "0"))?;
        let of_source = matches!(field, "bundle" | "template_dir");
        Some(RoadChoice { road, origin: Origin::Variable, source: row.source.clone(), of_source })
    };
    let said = [
        sign_of("install_on_boot", Road::Cache),
        sign_of("bundle_on_boot", Road::Bundle),
        sign_of("bundle", Road::Bundle),
        sign_of("template_dir", Road::Cache),
    ];
    let option = option.map(|road| RoadChoice {
        road,
        origin: Origin::Option,
        source: "--road".to_owned(),
        of_source: false,
    });
    if let (None, [Some(install), Some(bundle), ..]) = (&option, &said) {
        let cause = format!("{} is set as well, and an install takes one road", install.source);
        ledger.refuse(&bundle.source, cause, "set one of them, or choose with --road");
    }
    let mut signs = option.into_iter().chain(said.into_iter().flatten());
    let sign = signs.next()?;
    let mut row = Row::given("road", sign.road.id(), sign.origin, &sign.source);
    let other = signs.find(|other| other.road != sign.road);
    row.overrode = other.map(|other| format!("{} ({})", other.road.id(), other.source));
    ledger.rows.push(row);
    Some(sign)
}

/// The same sign, or none where only a source's variable says it, nothing was installed by that road, and by the other
/// something was: what is on disk then says the road.
pub(crate) fn taken(
    engine: Engine,
    workspace: &Path,
    chosen: Option<RoadChoice>,
    ledger: &mut Ledger<'_>,
) -> Option<RoadChoice> {
    let sign = chosen?;
    let there = |road| installed(&workspace.join(default_folder(engine, road))).is_some();
    let other = if sign.road == Road::Bundle { Road::Cache } else { Road::Bundle };
    if sign.of_source && !there(sign.road) && there(other) {
        ledger.rows.retain(|row| row.field != "road");
        return None;
    }
    Some(sign)
}

/// Where the engine is installed, or will be, and by which road.
pub(crate) struct Place {
    pub(crate) road: Option<Road>,
    pub(crate) dir: PathBuf,
}

/// The place: the variable's or the road's own; with neither, where an install is.
pub(crate) fn place(
    engine: Engine,
    workspace: &Path,
    chosen: Option<RoadChoice>,
    named: Option<PathBuf>,
    ledger: &mut Ledger<'_>,
) -> Place {
    let default = |road| workspace.join(default_folder(engine, road));
    let road = chosen.map(|sign| sign.road);
    if let Some(dir) = named {
        let default = default(road.unwrap_or(Road::Cache)).display().to_string();
        if let Some(row) = ledger.row("project_dir") {
            row.overrode = Some(default).filter(|default| row.value.as_ref() != Some(default));
        }
        let road = road.or_else(|| installed(&dir).map(|found| note_road(&found, ledger)));
        return Place { road, dir };
    }
    if let Some(road) = road {
        return Place { road: Some(road), dir: put_dir(default(road), None, ledger) };
    }
    let installs =
        [Road::Cache, Road::Bundle].map(|road| installed(&default(road)).map(|found| (default(road), found)));
    match installs {
        [Some((cache, _)), Some((bundle, _))] => {
            let what = format!("cannot choose between two installs of {engine}");
            let cause = format!("there is one in {} and one in {}", cache.display(), bundle.display());
            let hint =
                format!("set {} to one of them, or choose with --road", vars::of(engine, "PROJECT_DIR"));
            ledger.failures.push(Failure::new(Code::Unmet, what, cause).hint(hint));
            Place { road: None, dir: cache }
        }
        [Some((dir, found)), None] | [None, Some((dir, found))] => {
            let road = note_road(&found, ledger);
            Place { road: Some(road), dir: put_dir(dir, Some(&found.1), ledger) }
        }
        [None, None] => Place { road: None, dir: put_dir(default(Road::Cache), None, ledger) },
    }
}

/// The folder of the workspace that a road installs to.
fn default_folder(engine: Engine, road: Road) -> String {
    match road {
        Road::Bundle => format!("{engine}-pixi-offline"),
        _ => format!("{engine}-infer"),
    }
}

fn note_road(found: &(Road, PathBuf), ledger: &mut Ledger<'_>) -> Road {
    let (road, evidence) = found;
    ledger.rows.push(Row::given("road", road.id(), Origin::Disk, &evidence.display().to_string()));
    *road
}

/// Write a place that no variable named into the row of `project_dir`.
fn put_dir(dir: PathBuf, evidence: Option<&Path>, ledger: &mut Ledger<'_>) -> PathBuf {
    if let Some(row) = ledger.row("project_dir") {
        row.value = Some(dir.display().to_string());
        if let Some(evidence) = evidence {
            row.origin = Origin::Disk;
            row.source = evidence.display().to_string();
        }
    }
    dir
}

/// The road that the install in a directory took and the file or folder that says so; `None` where there is none.
pub(crate) fn installed(dir: &Path) -> Option<(Road, PathBuf)> {
    let (marker, env, pixi) = (dir.join(install::LINK), dir.join("env"), dir.join(".pixi"));
    if let Some(road) = InstallLink::road(dir).filter(|road| *road != Road::Archive) {
        return Some((road, marker));
    }
    if owner::is_dir(&env) {
        return Some((Road::Bundle, env));
    }
    owner::is_dir(&pixi).then_some((Road::Cache, pixi))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Environment;
    use std::fs;

    /// A fresh folder of the test's own, with these folders in it.
    fn folders(names: &[&str]) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("ienv-road-{}", std::process::id()));
        drop(fs::remove_dir_all(&dir));
        for name in names {
            fs::create_dir_all(dir.join(name)).unwrap();
        }
        dir
    }

    /// The road chosen where these variables are set, and whether there was a failure.
    fn choice(option: Option<Road>, set: &[&'static str]) -> (Option<Road>, bool) {
        let environment = Environment::of_this_process();
        let mut ledger = Ledger::new(&environment);
        let values =
            [("install_on_boot", "1"), ("bundle_on_boot", "1"), ("bundle", "/b"), ("template_dir", "/t")];
        for (field, value) in values {
            let value = if set.contains(&field) { value } else { "0" };
            ledger.rows.push(Row::given(field, value, Origin::Variable, field));
        }
        let sign = chosen(option, &mut ledger);
        (sign.map(|sign| sign.road), !ledger.failures.is_empty())
    }

    #[test]
    fn the_first_sign_chooses_the_road() {
        let (install, bundle, path, template) =
            ("install_on_boot", "bundle_on_boot", "bundle", "template_dir");
        let check = |option, set: &[&'static str], road, fails| {
            assert_eq!(choice(option, set), (road, fails), "{option:?} {set:?}");
        };
        check(None, &[], None, false);
        check(None, &[template], Some(Road::Cache), false);
        check(None, &[path], Some(Road::Bundle), false);
        check(None, &[path, template], Some(Road::Bundle), false);
        check(None, &[install, path], Some(Road::Cache), false);
        check(None, &[bundle, template], Some(Road::Bundle), false);
        check(None, &[install, bundle], Some(Road::Cache), true);
        check(Some(Road::Bundle), &[install, template], Some(Road::Bundle), false);
        check(Some(Road::Cache), &[install, bundle, path], Some(Road::Cache), false);
        check(Some(Road::Cache), &[], Some(Road::Cache), false);
    }

    #[test]
    fn an_install_names_its_road() {
        let dir = folders(&["marked/.pixi", "bundle/env", "cache/.pixi", "empty"]);
        fs::write(
            dir.join("marked/.installed-from.json"),
            r#"{"archive_name":"x.tar","bundle_sha256":"00"}"#,
        )
        .unwrap();
        fs::write(dir.join("cache/.installed-from.json"), "{").unwrap();
        let road = |name: &str| installed(&dir.join(name)).map(|(road, _)| road);
        assert_eq!(road("marked"), Some(Road::Bundle));
        assert_eq!(road("bundle"), Some(Road::Bundle));
        assert_eq!(road("cache"), Some(Road::Cache), "a torn marker does not hide the install");
        assert_eq!((road("empty"), road("absent")), (None, None));
        fs::write(dir.join("empty/.installed-from.json"), r#"{"road":"cache","format":1}"#).unwrap();
        assert_eq!(road("empty"), Some(Road::Cache));
        fs::remove_dir_all(dir).unwrap();
    }
}
