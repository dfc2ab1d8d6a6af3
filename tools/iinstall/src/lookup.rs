//! What is installed already: as the markers say, or as an older tool left it.
use crate::home::{CEILING_BYTES, Home, Install};
use crate::package::SERVER;
use record::{Engine, Env, Installed, Seal};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;
use tool::Failure;

/// The engine's install; `None` where there is none.
pub(crate) fn installed(env: &Env, folder: &Path, begun: Instant) -> Result<Option<Installed>, Failure> {
    let Some(home) = Home::find(folder)? else { return Ok(None) };
    let found = match home.current()? {
        Some(install) if install.is_whole() => Some(install.record),
        Some(install) => {
            log::warn!("{}: its program is gone, or it was made elsewhere", install.path.display());
            None
        }
        None => marked(&home.path).or_else(|| left_by_an_older_tool(env.engine, &home.path)),
    };
    Ok(found.filter(|found| found.engine == env.engine).map(|mut found| {
        found.reused = true;
        found.seconds = begun.elapsed().as_secs_f64();
        found
    }))
}

/// Flip back to the install that was current before.
pub(crate) fn roll_back(home: &Home, lock: &crate::home::HomeLock) -> Result<Install, Failure> {
    let none = |cause: String| {
        let what = format!("cannot roll back {}", home.path.display());
        Failure::new(tool::Code::Unmet, what, cause).hint("install the version that you want")
    };
    let current = home.current()?.ok_or_else(|| none("nothing of ours is installed there".to_owned()))?;
    let name =
        current.previous().ok_or_else(|| none("nothing was installed before the current one".to_owned()))?;
    let complete = home.complete();
    let mut target: Install = complete
        .into_iter()
        .find(|install| install.name() == name)
        .ok_or_else(|| none(format!("the install before the current one ({name}) was removed")))?;
    if !target.is_whole() {
        return Err(none(format!(
            "{}: its program is gone, or it was made elsewhere",
            target.path.display()
        )));
    }
    home.activate(&target, lock)?;
    target.record.reused = true;
    Ok(target)
}

/// A whole record in `.installed-from.json` itself, without a `current` to go through.
fn marked(home: &Path) -> Option<Installed> {
    let bytes = owner::read_file(&home.join(".installed-from.json"), CEILING_BYTES).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// `bin/llama-server` without any of our folders, described by the old marker where there is one.
fn left_by_an_older_tool(engine: Engine, home: &Path) -> Option<Installed> {
    let executable = home.join(SERVER);
    if engine != Engine::LlamaCpp || !owner::is_file(&executable) {
        return None;
    }
    let marker: Value = owner::read_file(&home.join(".installed-from.json"), CEILING_BYTES)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    let hash = ["sha256", "bundle_sha256"].iter().find_map(|name| marker[*name].as_str());
    Some(Installed {
        engine,
        id: hash.unwrap_or("unknown").to_owned(),
        path: home.to_owned(),
        python: None,
        executable: Some(executable),
        library_dir: Some(home.join("bin")),
        activation: None,
        checks: BTreeMap::new(),
        previous: None,
        source: None,
        seal: Seal::None,
        seconds: 0.0,
        reused: true,
    })
}
