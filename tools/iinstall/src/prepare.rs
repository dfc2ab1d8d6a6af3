//! The install directory made ready and nothing installed: the folder is there, and on the cache road the template in it.
use install::{InstallRoot, refused, sync_tree, with_install_root};
use pixi::Template;
use record::{Env, Road, Warning};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::path::Path;
use std::time::Duration;
use tool::{Code, Failure, vars};

/// The copy of the template, in the install directory.
const TEMPLATE: &str = "template";
/// A copy that is being made or removed.
const DRAFT: &str = ".template-draft";

/// Make the folder, and copy the template into it; what was done, and what an operator should know.
pub(crate) fn prepare(
    env: &Env,
    folder: &Path,
    timeout: Duration,
) -> Result<(String, Option<Warning>), Failure> {
    if env.road != Some(Road::Cache) {
        let done = format!("only {} was to be prepared", folder.display());
        return with_install_root(folder, timeout, |_, _| Ok((done, None)));
    }
    let dir = env.template_dir.as_deref().ok_or_else(|| unset(env, "copy the template of"))?;
    let template = Template::open(dir)?;
    with_install_root(folder, timeout, |root, _| copy(env, &template, root))
}

/// The failure to go on without a template; `act` is what cannot be done.
pub(crate) fn unset(env: &Env, act: &str) -> Failure {
    let (what, name) = (format!("cannot {act} {}", env.engine), vars::of(env.engine, "TEMPLATE_DIR"));
    Failure::new(Code::Unmet, what, format!("{name} is not set"))
        .hint("it names the folder that holds pixi.toml and pixi.lock")
}

/// Copy the template where none is; one that is there is the operator's, who may have changed it.
fn copy(env: &Env, template: &Template, root: &InstallRoot) -> Result<(String, Option<Warning>), Failure> {
    let (copy, draft) = (root.path.join(TEMPLATE), root.path.join(DRAFT));
    let there = copy.symlink_metadata().is_ok();
    if there && Template::open(&copy).is_ok_and(|copy| copy.hash() == template.hash()) {
        return Ok((format!("the template is in {} already", copy.display()), None));
    }
    if there && !env.force {
        let what = format!("{} is not as {} and stays", copy.display(), template.dir().display());
        let hint = format!("set {}=1 to take the template afresh", vars::of(env.engine, "FORCE_RECOPY"));
        let rule = "template_differs".to_owned();
        let warning = Warning { engine: Some(env.engine), instance: None, rule, what, hint };
        return Ok((format!("a template is in {} already", copy.display()), Some(warning)));
    }
    remove(&draft)?;
    write(template, &draft, &copy, there).inspect_err(|_| drop(remove(&draft)))?;
    remove(&draft)?;
    Ok((format!("the template was only to be copied: it is in {}", copy.display()), None))
}

/// The copy is there as a whole or not at all; what had its place is the draft then.
fn write(template: &Template, draft: &Path, copy: &Path, there: bool) -> Result<(), Failure> {
    std::fs::create_dir(draft).map_err(|error| refused(draft, &error))?;
    template.copy_to(draft).map_err(|(path, error)| refused(&path, &error))?;
    sync_tree(draft).map_err(|error| refused(draft, &error))?;
    let flags = if there { RenameFlags::EXCHANGE } else { RenameFlags::NOREPLACE };
    renameat_with(CWD, draft, CWD, copy, flags).map_err(|error| refused(copy, &error.into()))
}

/// Remove a draft, the folder or whatever else an operator had in the copy's place.
fn remove(draft: &Path) -> Result<(), Failure> {
    let removed = match draft.symlink_metadata() {
        Err(_) => return Ok(()),
        Ok(stat) if stat.is_dir() => std::fs::remove_dir_all(draft),
        Ok(_) => std::fs::remove_file(draft),
    };
    removed.map_err(|error| refused(draft, &error))
}
