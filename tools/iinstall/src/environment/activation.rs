//! What activating an environment changes, captured once so that no shell or pixi stands between a keeper and a server.
use crate::sealed::{Sealed, SealedCommand};
use record::Activation;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tool::{Code, Failure};

/// What activation starts from; only the difference is kept.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Variables of the shell or of this very run, whatever they become.
const OURS: [&str; 9] =
    ["_", "PWD", "OLDPWD", "SHLVL", "PS1", "TMPDIR", "PIXI_EXE", "PIXI_OFFLINE", "PIXI_NO_CONFIG"];

/// `pixi shell-hook --json`.
#[derive(Deserialize)]
struct Hook {
    environment_variables: BTreeMap<String, Option<String>>,
}

/// Take from the caller's environment all but what activation starts from, then add `variables`.
fn plain(sealed: &mut SealedCommand, variables: &BTreeMap<String, String>) {
    let home = std::env::var_os("HOME").unwrap_or_else(|| "/".into());
    // The first program is iseal, which reads its log filter only.
    sealed.command.env_clear().env("PATH", PATH).env("HOME", home).envs(variables);
}

/// Ask pixi: `program shell-hook --json` with these arguments and variables.
pub(crate) fn from_hook(
    sealed: &Sealed<'_>,
    pixi: &Path,
    arguments: &[String],
    variables: &BTreeMap<String, String>,
) -> Result<Activation, Failure> {
    let mut command = sealed.command(pixi)?.capture();
    command.command.args(["shell-hook", "--json"]).args(arguments);
    plain(&mut command, variables);
    let ended = sealed.run(command, "asking pixi for the activation")?;
    let what = "cannot learn how the environment is activated";
    if !ended.status.success() {
        return Err(ended.failure(what));
    }
    let hook: Hook = serde_json::from_slice(&ended.stdout).map_err(|error| {
        Failure::new(Code::Unmet, what, format!("pixi shell-hook --json says something else: {error}"))
    })?;
    let after = hook.environment_variables.into_iter().filter_map(|(name, value)| Some((name, value?)));
    Ok(difference(after.collect(), variables))
}

/// Ask a shell that sources `script`.
pub(crate) fn from_script(sealed: &Sealed<'_>, script: &Path) -> Result<Activation, Failure> {
    let mut command = sealed.command(Path::new("/bin/bash"))?.capture();
    // What the script prints is not the answer.
    command.command.args(["--noprofile", "--norc", "-c", "exec 3>&1 >&2; . \"$1\"; exec env -0 >&3", "bash"]);
    command.command.arg(script);
    plain(&mut command, &BTreeMap::new());
    let ended = sealed.run(command, "activating the environment")?;
    if !ended.status.success() {
        return Err(ended.failure(format!("cannot activate the environment with {}", script.display())));
    }
    let text = String::from_utf8_lossy(&ended.stdout);
    let pairs = text.split('\0').filter_map(|pair| pair.split_once('='));
    Ok(difference(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(), &BTreeMap::new()))
}

/// What is there after and was not before.
fn difference(after: BTreeMap<String, String>, given: &BTreeMap<String, String>) -> Activation {
    let mut activation = Activation::default();
    for (name, value) in after {
        if name == "PATH" {
            let before: Vec<&str> = PATH.split(':').collect();
            let added = value.split(':').filter(|folder| !folder.is_empty() && !before.contains(folder));
            activation.path = added.map(PathBuf::from).collect();
        } else if name != "HOME" && !OURS.contains(&name.as_str()) && given.get(&name) != Some(&value) {
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
            ("UV_CACHE_DIR", "/c"),
            ("SHLVL", "1"),
            ("PIXI_CACHE_DIR", "/other"),
        ]);
        let given = text(&[("UV_CACHE_DIR", "/c"), ("PIXI_CACHE_DIR", "/c")]);
        let activation = difference(after, &given);
        assert_eq!(activation.path, [Path::new("/e/bin"), Path::new("/e/more")]);
        assert_eq!(activation.variables, text(&[("CONDA_PREFIX", "/e"), ("PIXI_CACHE_DIR", "/other")]));
    }
}
