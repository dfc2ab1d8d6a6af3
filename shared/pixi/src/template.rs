//! What is taken of a template: the manifest, the lock file and the scripts, read once.
use crate::manifest::{manifest_of, unusable};
use base16ct::lower::encode_string as hex;
use failure::Failure;
use sha2::{Digest, Sha256};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

/// The file without which a folder is no template, beside the manifest.
const LOCK: &str = "pixi.lock";
const SCRIPTS: &str = "scripts";
/// Of all files together. A lock file has a few megabytes; weights in `scripts` are a mistake.
const CEILING_BYTES: usize = 256 << 20;
const DEPTH_CEILING: usize = 16;
/// What is no part of a template wherever it lies.
const ALWAYS_SKIPPED: [&str; 3] = [".pixi", ".pkg-cache", ".git"];
/// What stands beside the files of any project and is missed by nobody.
const SKIPPED_SILENTLY: [&str; 6] =
    ["README.md", "README", "LICENSE", ".gitignore", ".gitattributes", ".editorconfig"];

/// A template, as it was when it was read: what is hashed is what is copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    dir: PathBuf,
    manifest: &'static str,
    files: Vec<TemplateFile>,
    skipped: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct TemplateFile {
    /// Relative to the template.
    path: PathBuf,
    executable: bool,
    content: Vec<u8>,
}

impl Template {
    /// Read the template in `dir`. Links are followed: a mounted configuration consists of them.
    ///
    /// # Errors
    /// A needed file is missing or cannot be read, or it holds far more than a template does.
    pub fn open(dir: &Path) -> Result<Self, Failure> {
        Self::open_with(dir, true)
    }

    /// The same of a folder that is to be locked: its lock file may be missing.
    ///
    /// # Errors
    /// As [`Template::open`].
    pub fn open_to_lock(dir: &Path) -> Result<Self, Failure> {
        Self::open_with(dir, dir.join(LOCK).symlink_metadata().is_ok())
    }

    fn open_with(dir: &Path, locked: bool) -> Result<Self, Failure> {
        let manifest = manifest_of(dir);
        let mut template = Self { dir: dir.to_owned(), manifest, files: Vec::new(), skipped: Vec::new() };
        for name in std::iter::once(manifest).chain(locked.then_some(LOCK)) {
            template.take(Path::new(name)).map_err(|(path, error)| unusable(dir, &path, &error))?;
        }
        if dir.join(SCRIPTS).is_dir() {
            template.walk(Path::new(SCRIPTS), 0).map_err(|(path, error)| unusable(dir, &path, &error))?;
        }
        template.files.sort_by(|a, b| a.path.cmp(&b.path));
        template.skipped.extend(rest(dir, manifest).map_err(|error| unusable(dir, dir, &error))?);
        template.skipped.sort();
        Ok(template)
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What is not taken, sorted: names at its top, and paths below `scripts`.
    #[must_use]
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }

    /// Hash of every file taken: its path, whether it is executable, and its content; hex.
    #[must_use]
    pub fn hash(&self) -> String {
        let mut hash = Sha256::new();
        for file in &self.files {
            let path = file.path.as_os_str().as_encoded_bytes();
            for part in [path, &[u8::from(file.executable)], &file.content] {
                hash.update((part.len() as u64).to_le_bytes());
                hash.update(part);
            }
        }
        hex(&hash.finalize())
    }

    /// Every file taken: its path and the sha256 of its content, hex.
    pub fn hashes(&self) -> impl Iterator<Item = (String, String)> {
        let hash =
            |file: &TemplateFile| (file.path.display().to_string(), hex(&Sha256::digest(&file.content)));
        self.files.iter().map(hash)
    }

    /// Whether the file `path`, relative to the template, or something of that folder is taken.
    #[must_use]
    pub fn takes(&self, path: &Path) -> bool {
        let path: PathBuf = path.components().filter(|part| *part != Component::CurDir).collect();
        !path.as_os_str().is_empty() && self.files.iter().any(|file| file.path.starts_with(&path))
    }

    /// The manifest's name: `pixi.toml`, or `pyproject.toml`.
    #[must_use]
    pub fn manifest_name(&self) -> &'static str {
        self.manifest
    }

    /// The bytes of the manifest.
    #[must_use]
    pub fn manifest(&self) -> &[u8] {
        self.content(self.manifest)
    }

    /// The bytes of `pixi.lock`; none where that is yet to be made.
    #[must_use]
    pub fn lock(&self) -> &[u8] {
        self.content(LOCK)
    }

    fn content(&self, name: &str) -> &[u8] {
        let file = self.files.iter().find(|file| file.path == Path::new(name));
        file.map_or(&[], |file| &file.content)
    }

    /// sha256 of `pixi.lock`, hex.
    #[must_use]
    pub fn lock_sha256(&self) -> String {
        hex(&Sha256::digest(self.lock()))
    }

    /// Write all files into `folder`, which is there and has none of them.
    ///
    /// # Errors
    /// The path that could not be written, and what the system said.
    pub fn copy_to(&self, folder: &Path) -> Result<(), (PathBuf, io::Error)> {
        self.files.iter().try_for_each(|file| {
            let path = folder.join(&file.path);
            write(&path, file).map_err(|error| (path, error))
        })
    }

    fn walk(&mut self, folder: &Path, depth: usize) -> Result<(), (PathBuf, io::Error)> {
        let at = |error| (folder.to_owned(), error);
        if depth > DEPTH_CEILING {
            return Err(at(io::Error::other("too many folders in one another")));
        }
        for entry in std::fs::read_dir(self.dir.join(folder)).map_err(at)? {
            let entry = entry.map_err(at)?;
            let path = folder.join(entry.file_name());
            let never = ALWAYS_SKIPPED.iter().any(|name| path.ends_with(name));
            // A linked folder may lead back here; a linked file is taken as what it is.
            match entry.file_type().map_err(at)? {
                kind if kind.is_dir() && !never => self.walk(&path, depth + 1)?,
                _ if self.dir.join(&path).is_file() && !never => self.take(&path)?,
                _ => self.skipped.push(path.display().to_string()),
            }
        }
        Ok(())
    }

    fn take(&mut self, path: &Path) -> Result<(), (PathBuf, io::Error)> {
        let file = self.dir.join(path);
        let read = || -> io::Result<TemplateFile> {
            let held: usize = self.files.iter().map(|file| file.content.len()).sum();
            let content =
                owner::read_file(&file, CEILING_BYTES - held).map_err(|error| match error.kind() {
                    io::ErrorKind::FileTooLarge => io::Error::other(format!(
                        "with it the template has more than {} MiB",
                        CEILING_BYTES >> 20
                    )),
                    _ => error,
                })?;
            let executable = std::fs::metadata(&file)?.permissions().mode() & 0o111 != 0;
            Ok(TemplateFile { path: path.to_owned(), executable, content })
        };
        let taken = read().map_err(|error| (path.to_owned(), error))?;
        self.files.push(taken);
        Ok(())
    }
}

/// What else is at the top.
fn rest(dir: &Path, manifest: &str) -> io::Result<Vec<String>> {
    let mut rest = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        // Kubernetes mounts a folder of files as links into folders that begin with two dots.
        let taken = [manifest, LOCK, SCRIPTS].contains(&name.as_str()) || name.starts_with("..");
        if !taken && !SKIPPED_SILENTLY.contains(&name.as_str()) {
            rest.push(name);
        }
    }
    Ok(rest)
}

fn write(path: &Path, file: &TemplateFile) -> io::Result<()> {
    use std::io::Write;
    if let Some(parent) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o755).create(parent)?;
    }
    let mode = if file.executable { 0o755 } else { 0o644 };
    let mut new = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    new.write_all(&file.content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use failure::Code;
    use std::fs;

    /// A folder of the test's own, with these files.
    fn folder(test: &str, files: &[(&str, &str)]) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("pixi-{test}-{}", std::process::id()));
        drop(fs::remove_dir_all(&dir));
        fs::create_dir_all(&dir).unwrap();
        for (path, content) in files {
            fs::create_dir_all(dir.join(path).parent().unwrap()).unwrap();
            fs::write(dir.join(path), content).unwrap();
        }
        dir
    }

    const FILES: [(&str, &str); 6] = [
        ("pixi.toml", "[workspace]"),
        ("pixi.lock", "version: 7"),
        ("scripts/a/smoke.sh", "#!/bin/sh"),
        (".pixi/envs/default/x", ""),
        ("scripts/a/.git", "gitdir: elsewhere"),
        ("README.md", ""),
    ];

    #[test]
    fn three_things_are_taken_and_the_rest_is_named() {
        let dir = folder("taken", &FILES);
        std::os::unix::fs::symlink("/", dir.join("scripts/everything")).unwrap();
        let template = Template::open(&dir).unwrap();
        assert_eq!(template.skipped(), [".pixi", "scripts/a/.git", "scripts/everything"]);
        for (path, takes) in [
            ("./scripts/a", true),
            ("scripts/a/smoke.sh", true),
            (".", false),
            ("../x", false),
            (".pixi", false),
        ] {
            assert_eq!(template.takes(Path::new(path)), takes, "{path}");
        }
        let copy = folder("taken-copy", &[]);
        template.copy_to(&copy).unwrap();
        assert_eq!(fs::read(copy.join("scripts/a/smoke.sh")).unwrap(), b"#!/bin/sh");
        assert_eq!(fs::read_dir(&copy).unwrap().count(), 3);
        let paths: Vec<String> = template.hashes().map(|(path, _)| path).collect();
        assert_eq!(paths, ["pixi.lock", "pixi.toml", "scripts/a/smoke.sh"]);
        for dir in [dir, copy] {
            fs::remove_dir_all(dir).unwrap();
        }
    }

    #[test]
    fn the_hash_is_of_paths_modes_and_contents() {
        let dir = folder("hash", &FILES);
        let hash = || Template::open(&dir).unwrap().hash();
        let first = hash();
        assert_eq!(first, hash());
        fs::set_permissions(dir.join("scripts/a/smoke.sh"), fs::Permissions::from_mode(0o755)).unwrap();
        let executable = hash();
        fs::rename(dir.join("scripts/a"), dir.join("scripts/b")).unwrap();
        let elsewhere = hash();
        fs::write(dir.join("pixi.lock"), "version: 6").unwrap();
        let hashes = std::collections::BTreeSet::from([first, executable, elsewhere, hash()]);
        assert_eq!(hashes.len(), 4);
        fs::write(dir.join(".pixi/more"), "").unwrap();
        assert!(hashes.contains(&hash()), "what is not taken does not count");
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_folder_without_the_two_files_is_no_template() {
        let dir = folder("none", &FILES[..1]);
        let failure = Template::open(&dir).unwrap_err();
        assert_eq!(
            (failure.code, failure.cause.as_str()),
            (Code::Unmet, "pixi.lock: No such file or directory")
        );
        assert!(failure.hint.is_some());
        fs::remove_dir_all(dir).unwrap();
    }
}
