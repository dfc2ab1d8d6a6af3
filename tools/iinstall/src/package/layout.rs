//! The layouts that packages come in, and the one that an install has: `bin/llama-server` with its libraries in `bin/`.
use crate::package::SERVER;
use archive::ArchiveError;
use install::{MARKER, MARKER_DRAFT};
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const NAME: &str = "llama-server";

/// As deep as a program is looked for: `opt/NAME/VERSION/build/bin` is five.
const DEPTH: usize = 8;
/// Where libraries are, that are not beside the program.
const LIBRARIES: [&str; 3] = ["lib", "lib64", "lib/x86_64-linux-gnu"];

/// Where the program is in what was unpacked.
#[derive(Debug, PartialEq, Eq)]
enum Layout {
    /// `FOLDER/bin/llama-server`: at the root, below one folder, or below `usr/local` or `build`.
    Prefix(PathBuf),
    /// `FOLDER/llama-server` and all else beside it: at the root, or below one folder as llama.cpp's own releases.
    Flat(PathBuf),
}

/// Bring what was unpacked into `from` into the one layout, and return the folder that holds it. Both that and `from` are
/// below `attempt`.
pub(crate) fn normalise(attempt: &Path, from: &Path) -> Result<PathBuf, ArchiveError> {
    let layout = find(from)?;
    log::info!("layout: {layout:?}");
    let to = attempt.join("install");
    arrange(&layout, from, &to)
        .and_then(|()| forget_marker(&to))
        .map_err(|error| ArchiveError::system("cannot arrange the files", error))?;
    Ok(to)
}

/// Only we say that an install is complete: a package that was packed from an install brings an old marker with it.
fn forget_marker(install: &Path) -> io::Result<()> {
    for name in [MARKER, MARKER_DRAFT] {
        let path = install.join(name);
        let removed = match path.symlink_metadata() {
            Ok(metadata) if metadata.is_dir() => std::fs::remove_dir_all(&path),
            Ok(_) => std::fs::remove_file(&path),
            Err(error) => Err(error),
        };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn find(from: &Path) -> Result<Layout, ArchiveError> {
    let (mut found, mut unified) = (Vec::new(), None);
    let mut folders = vec![(PathBuf::new(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let names = entries(&from.join(&folder));
        for name in names.map_err(|error| ArchiveError::system("cannot list what was unpacked", error))? {
            let path = folder.join(&name);
            let is_folder = from.join(&path).symlink_metadata().is_ok_and(|stat| stat.is_dir());
            if name == NAME && !is_folder {
                found.push(folder.clone());
            } else if name == "llama" && !is_folder {
                unified.get_or_insert(path);
            } else if is_folder && depth < DEPTH {
                folders.push((path, depth + 1));
            }
        }
    }
    found.sort();
    if found.iter().any(|folder| is_our_own(from, folder)) {
        return Err(ArchiveError::bad("it is infer-dev's own package, not llama.cpp's")
            .hint("name an archive of llama.cpp; this package is for scripts/install, which lies in it"));
    }
    match (found.pop(), found.pop(), unified) {
        (Some(folder), None, _) if folder.ends_with("bin") => {
            Ok(Layout::Prefix(folder.parent().unwrap_or(Path::new("")).to_owned()))
        }
        (Some(folder), None, _) => Ok(Layout::Flat(folder)),
        (Some(one), Some(other), _) => {
            let [one, other] = [other, one].map(|folder| crate::package::shown(&folder.join(NAME)));
            Err(ArchiveError::bad(format!("it holds llama-server more than once: {one}, {other}")))
        }
        (None, _, Some(path)) => {
            let path = crate::package::shown(&path);
            Err(ArchiveError::bad(format!("it holds no llama-server, but {path}, which serves as 'llama serve'")).hint(
                "pack llama-server with it: a script bin/llama-server that runs 'llama serve' with its arguments will do",
            ))
        }
        (None, ..) => Err(ArchiveError::bad("it holds no llama-server")
            .hint("it must be in a folder bin, or in one with its libraries, as llama.cpp releases it")),
    }
}

/// Whether the program in this folder is the script that our own package, and our repository, pack another llama.cpp with.
fn is_our_own(from: &Path, folder: &Path) -> bool {
    let scripts = folder.parent().filter(|_| folder.ends_with("scripts/tiny"));
    scripts.is_some_and(|scripts| exists(&from.join(scripts).join("infer-dev")))
}

fn arrange(layout: &Layout, from: &Path, to: &Path) -> io::Result<()> {
    match layout {
        Layout::Prefix(folder) if folder.as_os_str().is_empty() => std::fs::rename(from, to),
        Layout::Flat(folder) if folder.as_os_str().is_empty() => {
            std::fs::create_dir(to)?;
            std::fs::rename(from, to.join("bin"))
        }
        Layout::Prefix(folder) => {
            std::fs::rename(from.join(folder), to)?;
            rest(from, to)
        }
        Layout::Flat(folder) => {
            std::fs::create_dir(to)?;
            std::fs::rename(from.join(folder), to.join("bin"))?;
            rest(from, to)
        }
    }?;
    link_libraries(to)
}

/// A server finds its libraries in `bin` whatever it was linked to look for: those in `lib` get a name there.
fn link_libraries(install: &Path) -> io::Result<()> {
    for folder in LIBRARIES {
        let folder = Path::new(folder);
        if !install.join(folder).symlink_metadata().is_ok_and(|stat| stat.is_dir()) {
            continue;
        }
        for name in entries(&install.join(folder))? {
            let link = install.join("bin").join(&name);
            let library = name.to_str().is_some_and(|name| name.starts_with("lib") && name.contains(".so"));
            if library && !exists(&link) {
                std::os::unix::fs::symlink(Path::new("..").join(folder).join(&name), link)?;
            }
        }
    }
    Ok(())
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
pub(crate) fn resolve_links(install: &Path) -> Result<u64, ArchiveError> {
    let unreadable = |error| ArchiveError::system("cannot look through what was unpacked", error);
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
        return Err(ArchiveError::bad(format!("{SERVER} in it is no file")));
    }
    if stat.permissions().mode() & 0o111 == 0 {
        std::fs::set_permissions(&server, std::fs::Permissions::from_mode(0o755)).map_err(unreadable)?;
    }
    Ok(links)
}

fn check_link(root: &Path, link: &Path) -> Result<(), ArchiveError> {
    let shown = crate::package::shown(link.strip_prefix(root).unwrap_or(link));
    let target = std::fs::read_link(link).unwrap_or_default();
    let refuse = |why: &str| {
        let target = crate::package::shown(&target);
        Err(ArchiveError::bad(format!("symbolic link '{shown}' to '{target}' {why}")))
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
            (
                &["llama.cpp/build/bin/llama-server", "llama.cpp/build/bin/libllama.so", "LICENSE"],
                Some("LICENSE"),
            ),
            (&["usr/local/bin/llama-server", "usr/local/lib/libllama.so"], Some("lib/libllama.so")),
            (&["opt/llama/bin/llama-server", "opt/llama/lib64/libllama.so"], None),
            (&["bin/llama-server", "lib/x86_64-linux-gnu/libllama.so"], None),
            (&["a/b/c/llama-server", "a/b/c/libllama.so"], None),
        ] {
            let (attempt, content) = unpacked(files);
            let install = normalise(&attempt, &content).unwrap();
            for name in ["bin/llama-server", "bin/libllama.so"].into_iter().chain(beside) {
                assert!(install.join(name).exists(), "{files:?}: no {name}");
            }
            let linked = !files.contains(&"bin/libllama.so")
                && files.iter().any(|file| file.contains("lib/") || file.contains("lib64/"));
            assert_eq!(resolve_links(&install).unwrap(), u64::from(linked), "{files:?}");
            std::fs::remove_dir_all(attempt).unwrap();
        }
    }

    #[test]
    fn a_package_does_not_bring_a_marker_of_its_own() {
        let (attempt, content) = unpacked(&["bin/llama-server", "installed.json"]);
        std::os::unix::fs::symlink("bin/llama-server", content.join(".installed.json.new")).unwrap();
        let install = normalise(&attempt, &content).unwrap();
        for name in ["installed.json", ".installed.json.new"] {
            assert!(install.join(name).symlink_metadata().is_err(), "{name}");
        }
        assert!(install.join("bin/llama-server").exists());
        std::fs::remove_dir_all(attempt).unwrap();
    }

    #[test]
    fn no_server_and_two_servers_are_refused() {
        for (files, told) in [
            (&["bin/other"][..], "no llama-server"),
            (&["usr/bin/llama", "usr/lib/libllama.so"], "usr/bin/llama"),
            (&["a/llama-server", "b/bin/llama-server"], "a/llama-server, b/bin/llama-server"),
        ] {
            let (attempt, content) = unpacked(files);
            let error = find(&content).unwrap_err().failure(String::new());
            assert!(error.cause.contains(told), "{files:?}: {}", error.cause);
            std::fs::remove_dir_all(attempt).unwrap();
        }
    }
}
