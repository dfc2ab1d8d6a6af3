//! What is installed already: as the markers say, or as an older tool left it.
use crate::package::SERVER;
use crate::switch::Switch;
use install::{Install, InstallLink, InstallRoot, RootLock};
use record::{Engine, Env, Installed, Seal, Warning};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use tool::{Code, Failure};

/// The engine's install; `None` where there is none.
pub(crate) fn installed(env: &Env, folder: &Path, begun: Instant) -> Result<Option<Installed>, Failure> {
    let Some(root) = InstallRoot::find(folder)? else { return Ok(None) };
    let found = match root.current()? {
        Some(install) if install.is_complete() => Some(install.record),
        Some(install) => {
            log::warn!("{}: its program is gone, or it was made elsewhere", install.path.display());
            None
        }
        None => InstallLink::record(&root.path).or_else(|| left_by_an_older_tool(env.engine, &root.path)),
    };
    Ok(found.filter(|found| found.engine == env.engine).map(|mut found| {
        found.reused = true;
        found.seconds = begun.elapsed().as_secs_f64();
        found
    }))
}

/// Flip back to the install that was current before.
pub(crate) fn roll_back(
    folder: &Path,
    timeout: Duration,
    switch: &Switch<'_>,
) -> Result<(Installed, Vec<Warning>), Failure> {
    let begun = Instant::now();
    let Some(root) = InstallRoot::find(folder)?.filter(|root| owner::is_dir(root.installs())) else {
        let what = format!("cannot roll back {}", folder.display());
        return Err(Failure::new(Code::Unmet, what, "nothing of ours is installed there"));
    };
    let lock = RootLock::wait(&root, timeout)?;
    let mut target = before_current(&root)?;
    let noted = switch.to(&mut target, &root, &lock)?;
    let mut warnings = root.link(&target, &lock)?;
    warnings.extend(noted);
    let mut installed = target.record;
    installed.reused = true;
    installed.seconds = begun.elapsed().as_secs_f64();
    Ok((installed, warnings))
}

/// The install that was current before the one that is.
fn before_current(root: &InstallRoot) -> Result<Install, Failure> {
    let none = |cause: String| {
        let what = format!("cannot roll back {}", root.path.display());
        Failure::new(Code::Unmet, what, cause).hint("install the version that you want")
    };
    let current = root.current()?.ok_or_else(|| none("nothing of ours is installed there".to_owned()))?;
    let name =
        current.previous().ok_or_else(|| none("nothing was installed before the current one".to_owned()))?;
    let complete = root.complete();
    let target: Install = complete
        .into_iter()
        .find(|install| install.name() == name)
        .ok_or_else(|| none(format!("the install before the current one ({name}) was removed")))?;
    if !target.is_complete() {
        return Err(none(format!(
            "{}: its program is gone, or it was made elsewhere",
            target.path.display()
        )));
    }
    Ok(target)
}

/// `bin/llama-server` without any of our folders, described by the old marker where there is one.
fn left_by_an_older_tool(engine: Engine, root: &Path) -> Option<Installed> {
    let executable = root.join(SERVER);
    if engine != Engine::LlamaCpp || !owner::is_file(&executable) {
        return None;
    }
    let linked = InstallLink::read(root).ok().flatten().unwrap_or_default();
    Some(Installed {
        engine,
        id: linked.sha256.or(linked.bundle_sha256).unwrap_or_else(|| "unknown".to_owned()),
        path: root.to_owned(),
        python: None,
        executable: Some(executable),
        library_dir: Some(root.join("bin")),
        activation: None,
        checks: BTreeMap::new(),
        previous: None,
        source: None,
        seal: Seal::None,
        seconds: 0.0,
        reused: true,
        switched: false,
    })
}
