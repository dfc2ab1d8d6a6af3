//! What activating an environment changes, captured once so that no shell or pixi stands between a keeper and a server.
use crate::sealed::{Sealed, SealedCommand};
use record::Activation;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use tool::{Code, Failure};

/// What activation starts from; only the difference is kept.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Variables of the shell or of this very run, whatever they become.
const OURS: [&str; 8] = ["_", "PWD", "OLDPWD", "SHLVL", "PS1", "HOME", "TMPDIR", "PIXI_EXE"];
const WHAT: &str = "cannot learn how the environment is activated";

/// `pixi shell-hook --json`.
#[derive(Deserialize)]
struct Hook {
    environment_variables: BTreeMap<String, Option<String>>,
}

type Variables = BTreeMap<String, String>;

/// Take from the caller's environment all but what activation starts from, then add `variables`.
fn plain(sealed: &mut SealedCommand, variables: &Variables) {
    let install_root = std::env::var_os("HOME").unwrap_or_else(|| "/".into());
    sealed.command.env_clear().env("PATH", PATH).env("HOME", install_root).envs(variables);
}

/// The variables that a program finds in a shell that has run `script`.
fn printed(sealed: &Sealed<'_>, script: &[&OsStr], variables: &Variables) -> Result<Variables, Failure> {
    let mut command = sealed.command(Path::new("/bin/bash"))?.capture();
    command.command.args(["--noprofile", "--norc", "-c"]).args(script);
    plain(&mut command, variables);
    let ended = sealed.run(command, "activating the environment")?;
    if !ended.status.success() {
        return Err(ended.failure(WHAT));
    }
    let text = String::from_utf8_lossy(&ended.stdout);
    let pairs = text.split('\0').filter_map(|pair| pair.split_once('='));
    Ok(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// Before anything is activated.
fn before(sealed: &Sealed<'_>, variables: &Variables) -> Result<Variables, Failure> {
    printed(sealed, &[OsStr::new("exec env -0")], variables)
}

/// Ask pixi: `program shell-hook --json` with these arguments and variables.
pub(crate) fn from_hook(
    sealed: &Sealed<'_>,
    pixi: &Path,
    arguments: &[String],
    variables: &Variables,
) -> Result<Activation, Failure> {
    let mut command = sealed.command(pixi)?.capture();
    command.command.args(["shell-hook", "--json"]).args(arguments);
    plain(&mut command, variables);
    let ended = sealed.run(command, "asking pixi for the activation")?;
    if !ended.status.success() {
        return Err(ended.failure(WHAT));
    }
    let hook: Hook = serde_json::from_slice(&ended.stdout).map_err(|error| {
        Failure::new(Code::Unmet, WHAT, format!("pixi shell-hook --json says something else: {error}"))
    })?;
    let after = hook.environment_variables.into_iter().filter_map(|(name, value)| Some((name, value?)));
    Ok(difference(after.collect(), &before(sealed, variables)?))
}

/// Ask a shell that sources `script`. What the script prints is not the answer.
pub(crate) fn from_script(sealed: &Sealed<'_>, script: &Path) -> Result<Activation, Failure> {
    let none = Variables::new();
    let source = OsStr::new("exec 3>&1 >&2; . \"$1\"; exec env -0 >&3");
    let after = printed(sealed, &[source, OsStr::new("bash"), script.as_os_str()], &none)?;
    Ok(difference(after, &before(sealed, &none)?))
}

/// What is there after and was not before.
fn difference(after: Variables, before: &Variables) -> Activation {
    let mut activation = Activation::default();
    for (name, value) in after {
        if name == "PATH" {
            let known: Vec<&str> = before.get("PATH").map_or(PATH, String::as_str).split(':').collect();
            let added = value.split(':').filter(|folder| !folder.is_empty() && !known.contains(folder));
            activation.path = added.map(PathBuf::from).collect();
        } else if !OURS.contains(&name.as_str()) && before.get(&name) != Some(&value) {
            activation.variables.insert(name, value);
        }
    }
    activation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_difference_is_kept_and_path_as_what_is_prepended() {
        let text = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let path = format!("/e/bin:/e/more:{PATH}");
        let after = text(&[
            ("PATH", &path),
            ("CONDA_PREFIX", "/e"),
            ("HOME", "/h"),
            ("UV_OFFLINE", "1"),
            ("SHLVL", "1"),
            ("PIXI_CACHE_DIR", "/other"),
        ]);
        let before = text(&[("UV_OFFLINE", "1"), ("PIXI_CACHE_DIR", "/c"), ("PATH", PATH)]);
        let activation = difference(after, &before);
        assert_eq!(activation.path, [Path::new("/e/bin"), Path::new("/e/more")]);
        assert_eq!(activation.variables, text(&[("CONDA_PREFIX", "/e"), ("PIXI_CACHE_DIR", "/other")]));
    }
}
