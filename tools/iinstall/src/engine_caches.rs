//! What engines wrote while they ran from installs that are gone.
use install::InstallRoot;
use owner::Dir;
use record::Env;

/// Remove the folders of these installs, whoever ran from them, as far as we may.
pub(crate) fn sweep(env: &Env, root: &InstallRoot, retired: &[String]) {
    let complete = root.complete();
    for id in retired.iter().filter(|id| !complete.iter().any(|install| install.record.id == **id)) {
        let written = env.engine_cache(id);
        let (Some(caches), Some(stem)) =
            (written.parent(), written.file_name().and_then(|name| name.to_str()))
        else {
            continue;
        };
        let Ok(caches) = Dir::open(caches) else { return };
        let of_install = |name: &std::ffi::OsString| {
            let user = name.to_str().and_then(|name| name.strip_prefix(stem)?.strip_prefix('.'));
            user.is_some_and(|user| !user.is_empty() && user.bytes().all(|byte| byte.is_ascii_digit()))
        };
        for name in caches.names().unwrap_or_default().iter().filter(|name| of_install(name)) {
            let path = caches.path().join(name);
            log::info!("removing {}, which was written from an install that is gone", path.display());
            if let Err(error) = caches.remove_all(name) {
                log::info!("cannot remove {}: {}", path.display(), tool::io_text(&error));
            }
        }
    }
}
