//! The layouts that packages come in, and the one that an install has: `bin/llama-server` with its libraries in `bin/`.
use crate::package::SERVER;
use crate::unpack::Trouble;
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const NAME: &str = "llama-server";

/// Where the program is in what was unpacked.
#[derive(Debug, PartialEq, Eq)]
enum Layout {
    /// `bin/llama-server`.
    Prefix,
    /// `llama-server` and all else beside it.
    Flat,
    /// `TOP/bin/llama-server`.
    PrefixBelow(OsString),
    /// `TOP/llama-server`, libraries beside it: llama.cpp's own releases.
    FlatBelow(OsString),
}

/// Bring what was unpacked into `from` into the one layout, and return the folder that holds it. Both that and `from` are
/// below `attempt`.
pub(crate) fn normalise(attempt: &Path, from: &Path) -> Result<PathBuf, Trouble> {
    let layout = find(from)?;
    log::info!("layout: {layout:?}");
    let to = attempt.join("install");
    arrange(&layout, from, &to).map_err(|error| Trouble::system("cannot arrange the files", error))?;
    Ok(to)
}

fn find(from: &Path) -> Result<Layout, Trouble> {
    if exists(&from.join(SERVER)) {
        return Ok(Layout::Prefix);
    }
    if exists(&from.join(NAME)) {
        return Ok(Layout::Flat);
    }
    let mut found = Vec::new();
    for top in entries(from).map_err(|error| Trouble::system("cannot list what was unpacked", error))? {
        if exists(&from.join(&top).join(SERVER)) {
            found.push(Layout::PrefixBelow(top));
        } else if exists(&from.join(&top).join(NAME)) {
            found.push(Layout::FlatBelow(top));
        }
    }
    match found.len() {
        0 => Err(Trouble::bad("it holds no llama-server").hint(
            "it must be bin/llama-server, at the root or below one folder, or one folder as llama.cpp releases it",
        )),
        1 => Ok(found.remove(0)),
        _ => Err(Trouble::bad("it holds llama-server more than once")),
    }
}

fn arrange(layout: &Layout, from: &Path, to: &Path) -> io::Result<()> {
    match layout {
        Layout::Prefix => std::fs::rename(from, to),
        Layout::Flat => {
            std::fs::create_dir(to)?;
            std::fs::rename(from, to.join("bin"))
        }
        Layout::PrefixBelow(top) => {
            std::fs::rename(from.join(top), to)?;
            rest(from, to)
        }
        Layout::FlatBelow(top) => {
            std::fs::create_dir(to)?;
            std::fs::rename(from.join(top), to.join("bin"))?;
            rest(from, to)
        }
    }
}

/// What lay beside the top folder (a README, licences) comes along, where nothing of that name is there.
fn rest(from: &Path, to: &Path) -> io::Result<()> {
    for name in entries(from)? {
        if exists(&to.join(&name)) {
            log::info!("left out, as its name is taken: {}", name.display());
        } else {
            std::fs::rename(from.join(&name), to.join(&name))?;
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        names.push(entry?.file_name());
    }
    names.sort();
    Ok(names)
}

/// A link counts: where it leads is checked when all of them are.
fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Check that every symbolic link leads to something inside, that the server is a file, and make it executable (a zip may
/// not say so). Returns how many links there are.
pub(crate) fn resolve_links(install: &Path) -> Result<u64, Trouble> {
    let unreadable = |error| Trouble::system("cannot look through what was unpacked", error);
    let root = install.canonicalize().map_err(unreadable)?;
    let mut links = 0;
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for name in entries(&folder).map_err(unreadable)? {
            let path = folder.join(name);
            let kind = path.symlink_metadata().map_err(unreadable)?.file_type();
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_symlink() {
                links += 1;
                check_link(&root, &path)?;
            }
        }
    }
    let server = root.join(SERVER).canonicalize().map_err(unreadable)?;
    let stat = server.metadata().map_err(unreadable)?;
    if !stat.is_file() {
        return Err(Trouble::bad(format!("{SERVER} in it is no file")));
    }
    if stat.permissions().mode() & 0o111 == 0 {
        std::fs::set_permissions(&server, std::fs::Permissions::from_mode(0o755)).map_err(unreadable)?;
    }
    Ok(links)
}

fn check_link(root: &Path, link: &Path) -> Result<(), Trouble> {
    let shown = crate::package::shown(link.strip_prefix(root).unwrap_or(link));
    let target = std::fs::read_link(link).unwrap_or_default();
    let refuse = |why: &str| {
        let target = crate::package::shown(&target);
        Err(Trouble::bad(format!("symbolic link '{shown}' to '{target}' {why}")))
    };
    match link.canonicalize() {
        _ if target.is_absolute() => refuse("leads out of the archive"),
        Ok(end) if end.starts_with(root) => Ok(()),
        Ok(_) => refuse("leads out of the archive"),
        Err(_) => refuse("leads nowhere"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpacked(files: &[&str]) -> (PathBuf, PathBuf) {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let attempt = std::env::temp_dir().join(format!("iinstall-layout-{}-{count}", std::process::id()));
        for file in files {
            let path = attempt.join("content").join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        (attempt.clone(), attempt.join("content"))
    }

    #[test]
    fn every_layout_becomes_the_one() {
        for (files, beside) in [
            (&["bin/llama-server", "bin/libllama.so", "README.md"][..], Some("README.md")),
            (&["llama-server", "libllama.so"], None),
            (&["pkg/bin/llama-server", "pkg/bin/libllama.so", "README.md"], Some("README.md")),
            (&["llama-b1/llama-server", "llama-b1/libllama.so", "LICENSE"], Some("LICENSE")),
        ] {
            let (attempt, content) = unpacked(files);
            let install = normalise(&attempt, &content).unwrap();
            for name in ["bin/llama-server", "bin/libllama.so"].into_iter().chain(beside) {
                assert!(install.join(name).exists(), "{files:?}: no {name}");
            }
            assert_eq!(resolve_links(&install).unwrap(), 0);
            std::fs::remove_dir_all(attempt).unwrap();
        }
    }

    #[test]
    fn no_server_and_two_servers_are_refused() {
        for files in [&["bin/other"][..], &["a/b/c/llama-server"], &["a/llama-server", "b/bin/llama-server"]]
        {
            let (attempt, content) = unpacked(files);
            assert!(find(&content).is_err(), "{files:?}");
            std::fs::remove_dir_all(attempt).unwrap();
        }
    }
}
