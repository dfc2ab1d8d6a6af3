//! From a path to a folder, one component at a time, for what we use ourselves; what is handed to a user is found by
//! `privsep::PathWalk`, which says why there are two.
use crate::dir::{Dir, one_name, read_capped, refused};
use crate::owner::{Owner, is_trusted};
use rustix::fs::{CWD, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

/// As many links as the kernel follows in one path.
const LINKS: usize = 40;
pub(crate) const LOOK: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// What a name leads to.
pub(crate) enum Step {
    /// A folder.
    Folder(Dir),
    /// A link to this path, to be followed with these rights.
    Link(PathBuf, Owner),
    /// A file or anything else, held but not opened.
    Other(OwnedFd),
}

/// How folders are made that are missing on a way. Each is whoever's the folder is that it is made in.
#[derive(Clone, Copy)]
pub(crate) struct Missing<'a> {
    /// Whose the last one is instead.
    pub(crate) last: Option<&'a Owner>,
    pub(crate) mode: u32,
}

impl Dir {
    /// Open a folder by its path. Root's rights lead as far as nobody but root can have made a step of it; from the first
    /// folder or link that a user owns, that user's rights do. Who is not root uses his own all the way.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        walk(&Owner::current(), path, None)
    }

    /// Open a folder by a path that a user chose: with that user's rights from the beginning. Files in it are expected
    /// to be that user's.
    ///
    /// # Errors
    /// What the system says, and as [`Owner::act`].
    pub fn open_as(owner: &Owner, path: &Path) -> io::Result<Self> {
        let dir = walk(owner, path, None)?;
        Ok(Self { actor: owner.clone(), expected: owner.uid(), ..dir })
    }

    /// The folder of this name in it, which is no link.
    ///
    /// # Errors
    /// What the system says; that it is no folder.
    pub fn below(&self, name: impl AsRef<OsStr>) -> io::Result<Self> {
        match step(self, one_name(name.as_ref())?)? {
            Step::Folder(dir) => Ok(dir),
            Step::Link(..) => Err(refused("it is a symbolic link")),
            Step::Other(_) => Err(Errno::NOTDIR.into()),
        }
    }

    /// What stands in a file of at most `cap` bytes, whoever's it is, where a link in its place is followed as [`Dir::open`]
    /// follows one: it leads nowhere that its owner could not go.
    ///
    /// # Errors
    /// As [`Dir::open_file`]; that it is larger.
    pub fn read_through_links(&self, name: impl AsRef<OsStr>, cap: usize) -> io::Result<Vec<u8>> {
        let name = one_name(name.as_ref())?;
        read_capped(open_through_links(self, name)?, cap)
    }
}

/// Go to the folder at `path`, with the rights of `actor` or less, and make what is missing.
pub(crate) fn walk(actor: &Owner, path: &Path, missing: Option<Missing<'_>>) -> io::Result<Dir> {
    let dir = walk_on(start(path, actor)?, components(path), missing)?;
    Ok(Dir { path: path.to_owned(), ..dir })
}

/// Open the regular file of this name, or what a link of that name leads to, with rights that become less on the way.
pub(crate) fn open_through_links(from: &Dir, name: &OsStr) -> io::Result<File> {
    match find(from.reopen()?, name.to_owned())? {
        Found::Entry(at, name, _) => at.open_file(&name),
        Found::Folder(_) => Err(refused("it is no regular file")),
    }
}

/// Hold what a path leads to, links followed, as [`walk`] goes; it is not opened.
pub(crate) fn hold(path: &Path) -> io::Result<OwnedFd> {
    let begin = start(path, &Owner::current())?;
    let Some(name) = path.file_name() else { return Ok(walk_on(begin, components(path), None)?.fd) };
    let parent = walk_on(begin, components(path.parent().unwrap_or(Path::new(""))), None)?;
    Ok(match find(parent, name.to_owned())? {
        Found::Entry(_, _, entry) => entry,
        Found::Folder(folder) => folder.fd,
    })
}

/// What a name leads to in the end.
enum Found {
    Folder(Dir),
    /// The folder that it is in, its name there, and itself.
    Entry(Dir, OsString, OwnedFd),
}

fn find(mut at: Dir, mut name: OsString) -> io::Result<Found> {
    for _ in 0..LINKS {
        let (target, actor) = match step(&at, &name)? {
            Step::Folder(folder) => return Ok(Found::Folder(folder)),
            Step::Other(entry) => return Ok(Found::Entry(at, name, entry)),
            Step::Link(target, actor) => (target, actor),
        };
        let begin = if target.is_absolute() { start(&target, &actor)? } else { Dir { actor, ..at } };
        let Some(last) = target.file_name() else {
            return Ok(Found::Folder(walk_on(begin, components(&target), None)?));
        };
        name = last.to_owned();
        at = walk_on(begin, components(target.parent().unwrap_or(Path::new(""))), None)?;
    }
    Err(Errno::LOOP.into())
}

fn walk_on(mut at: Dir, mut names: Vec<OsString>, missing: Option<Missing<'_>>) -> io::Result<Dir> {
    let mut links = 0;
    while let Some(name) = names.pop() {
        let found = match (step(&at, &name), missing) {
            (Err(error), Some(missing)) if error.kind() == io::ErrorKind::NotFound => {
                let last = missing.last.filter(|_| names.is_empty());
                let whose = last.unwrap_or(&at.actor).clone();
                at.make(&name, missing.mode, &whose)?;
                step(&at, &name)?
            }
            (found, _) => found?,
        };
        match found {
            Step::Folder(folder) => at = folder,
            Step::Link(target, actor) => {
                links += 1;
                if links > LINKS {
                    return Err(Errno::LOOP.into());
                }
                if target.is_absolute() {
                    at = start(&target, &actor)?;
                }
                at.actor = actor;
                names.extend(components(&target));
            }
            Step::Other(_) => return Err(Errno::NOTDIR.into()),
        }
    }
    Ok(at)
}

/// Look at one entry of a folder.
pub(crate) fn step(at: &Dir, name: &OsStr) -> io::Result<Step> {
    let entry = at.actor.act(|| openat(&at.fd, name, LOOK, Mode::empty()))??;
    let stat = fstat(&entry)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            let actor = rights(at, &stat);
            Ok(Step::Folder(Dir::new(entry, stat, at.path.join(name), actor)))
        }
        FileType::Symlink => {
            if at.is_open_to_others() && stat.st_nlink > 1 && is_trusted(stat.st_uid) {
                return Err(refused("it is a link that has another name elsewhere"));
            }
            let target = readlinkat(&entry, "", Vec::new())?.into_bytes();
            Ok(Step::Link(PathBuf::from(OsString::from_vec(target)), rights(at, &stat)))
        }
        _ => Ok(Step::Other(entry)),
    }
}

/// Those of the owner of what was found, once it is not root's. Rights that were lost do not come back.
fn rights(at: &Dir, stat: &Stat) -> Owner {
    let as_good = is_trusted(stat.st_uid) || (is_unmapped(stat.st_uid) && !at.is_open_to_others());
    if at.actor.uid() != 0 || as_good { at.actor.clone() } else { Owner::of_stat(stat) }
}

/// Whether this number stands for all users whom our user namespace does not know. Whoever made the namespace owns its
/// root folder, and may do what he likes with us.
fn is_unmapped(uid: u32) -> bool {
    // What it is does not change while we run.
    static UNMAPPED: OnceLock<Option<u32>> = OnceLock::new();
    *UNMAPPED.get_or_init(unmapped) == Some(uid)
}

/// That number; `None` where it is a user's.
fn unmapped() -> Option<u32> {
    let number = |path| std::fs::read_to_string(path).ok()?.trim().parse::<u32>().ok();
    let uid = number("/proc/sys/kernel/overflowuid").unwrap_or(65_534);
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let covers = |line: &str| {
        let mut fields = line.split_ascii_whitespace().map(|field| field.parse::<u64>().unwrap_or(0));
        let (first, _, count) = (fields.next()?, fields.next()?, fields.next()?);
        (first..first + count).contains(&u64::from(uid)).then_some(())
    };
    (!map.lines().any(|line| covers(line).is_some())).then_some(uid)
}

fn start(path: &Path, actor: &Owner) -> io::Result<Dir> {
    let from = if path.is_absolute() { "/" } else { "." };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = actor.act(|| openat(CWD, from, flags, Mode::empty()))??;
    let stat = fstat(&fd)?;
    let dir = Dir::new(fd, stat, PathBuf::from(from), actor.clone());
    // The root folder is as good as the machine.
    let actor = if path.is_absolute() { actor.clone() } else { rights(&dir, &dir.stat) };
    Ok(Dir { actor, ..dir })
}

/// The components, the last one first.
fn components(path: &Path) -> Vec<OsString> {
    let kept = |part: &Component<'_>| matches!(part, Component::Normal(_) | Component::ParentDir);
    path.components().filter(kept).map(|part| part.as_os_str().to_owned()).rev().collect()
}
