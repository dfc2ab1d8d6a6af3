//! The folder that an archive is unpacked into, and the only way anything gets into it.
//!
//! Every member is reached from the folder's descriptor, one component at a time, through no symbolic link, and every file
//! is new: whatever an archive says, nothing outside is written and nothing inside is written twice.
use crate::unpack::{Space, Trouble, Witness};
use bundle::Member;
use rustix::fs::{AtFlags, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;
use std::fs::File;
use std::io::{BufRead, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

const NAME_CEILING: usize = 1024;
/// As Linux has it, for one part of a path and for a whole one with its end mark.
const PART_CEILING: usize = 255;
pub(super) const TARGET_CEILING: usize = 4095;
const DEPTH_CEILING: usize = 64;
const MEMBER_CEILING: u64 = 1_000_000;

/// What a file keeps of what the archive says of it. Owners and setuid, setgid and sticky bits it never keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attributes {
    pub(crate) executable: bool,
    /// Unix seconds: Python compares them with those in its caches.
    pub(crate) mtime: Option<u64>,
}

/// The folder, and what was put there.
#[derive(Debug)]
pub(crate) struct Root {
    dir: OwnedFd,
    space: Space,
    /// The folder that was written to last, as most members follow one of the same folder.
    last: Option<(Vec<u8>, OwnedFd)>,
    members: u64,
    /// Who hashes what is written, where somebody wants to know.
    witness: Option<Witness>,
    /// Files written.
    pub(crate) files: u64,
    /// Bytes written.
    pub(crate) bytes: u64,
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const NEW_FILE: OFlags =
    OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Root {
    /// An existing, empty folder, which is on the disk of `home`.
    pub(crate) fn at(path: &Path, home: &Path) -> Result<Self, Trouble> {
        let open = |error| Trouble::system(&format!("cannot open {}", path.display()), error);
        let dir = rustix::fs::open(path, FOLDER, Mode::empty()).map_err(open)?;
        let space = Space::of(home, dir.as_fd()).map_err(open)?;
        Ok(Self { dir, space, last: None, members: 0, witness: None, files: 0, bytes: 0 })
    }

    /// The same for regular files alone, each of them hashed.
    pub(crate) fn witnessed(self) -> Result<Self, Trouble> {
        let witness = Witness::start().map_err(|error| Trouble::no_thread(tool::thread::refused(&error)))?;
        Ok(Self { witness: Some(witness), ..self })
    }

    /// The files that were written, in their order, where they were hashed.
    pub(crate) fn seen(&mut self) -> Vec<Member> {
        self.witness.take().map(Witness::finish).unwrap_or_default()
    }

    /// Refuse what the disk has no room for.
    pub(crate) fn admit(&self, bytes: u64) -> Result<(), Trouble> {
        self.space.admit(bytes)
    }

    /// A folder; one that is there already is no contradiction.
    pub(crate) fn directory(&mut self, name: &[u8]) -> Result<(), Trouble> {
        let parts = self.begin(name)?;
        drop(self.folder(&parts, name)?);
        Ok(())
    }

    /// A file of exactly `size` bytes from `content`.
    pub(crate) fn file(
        &mut self,
        name: &[u8],
        attributes: Attributes,
        size: u64,
        content: &mut impl BufRead,
    ) -> Result<(), Trouble> {
        let parts = self.begin(name)?;
        self.space.admit(size)?;
        if let Some(witness) = &self.witness {
            let path = String::from_utf8(parts.join(&b'/'));
            witness.file(&path.map_err(|_| Trouble::member(name, "a name that is not UTF-8"))?, size);
        }
        let (parent, base) = self.parent(&parts, name)?;
        let mode = Mode::from(if attributes.executable { 0o755 } else { 0o644 });
        let file = rustix::fs::openat(parent, base, NEW_FILE, mode);
        let mut file = File::from(file.map_err(|error| refused(name, error))?);
        self.fill(&mut file, name, size, content)?;
        if let Some(seconds) = attributes.mtime.and_then(|seconds| i64::try_from(seconds).ok()) {
            let time = Timespec { tv_sec: seconds, tv_nsec: 0 };
            let times = Timestamps { last_access: time, last_modification: time };
            rustix::fs::futimens(&file, &times).map_err(|error| refused(name, error))?;
        }
        self.files += 1;
        Ok(())
    }

    /// A symbolic link, its target taken as it is: nothing of ours follows it before all of them are checked.
    pub(crate) fn symlink(&mut self, name: &[u8], target: &[u8]) -> Result<(), Trouble> {
        self.admit_link(name)?;
        let parts = self.begin(name)?;
        if target.is_empty() || target.contains(&0) {
            return Err(Trouble::member(name, "a link that names no target"));
        }
        if target.len() > TARGET_CEILING {
            return Err(Trouble::member(name, "a link to a path that is longer than any path"));
        }
        let (parent, base) = self.parent(&parts, name)?;
        rustix::fs::symlinkat(target, parent, base).map_err(|error| refused(name, error))
    }

    /// A second name of a file that was unpacked before.
    pub(crate) fn hard_link(&mut self, name: &[u8], target: &[u8]) -> Result<(), Trouble> {
        self.admit_link(name)?;
        let parts = self.begin(name)?;
        let escapes =
            || Trouble::member(name, "a hard link to something that is not in the archive before it");
        let target_parts = components(target).ok().filter(|parts| !parts.is_empty()).ok_or_else(escapes)?;
        let (base, folders) = target_parts.split_last().ok_or_else(escapes)?;
        let mut from =
            self.dir.try_clone().map_err(|error| Trouble::system("cannot copy a descriptor", error))?;
        for part in folders {
            from = rustix::fs::openat(&from, *part, FOLDER, Mode::empty()).map_err(|_| escapes())?;
        }
        let (parent, link) = self.parent(&parts, name)?;
        match rustix::fs::linkat(&from, *base, parent, link, AtFlags::empty()) {
            Err(Errno::NOENT | Errno::PERM | Errno::LOOP) => Err(escapes()),
            other => other.map_err(|error| refused(name, error)),
        }
    }

    fn fill(
        &mut self,
        file: &mut File,
        name: &[u8],
        size: u64,
        content: &mut impl BufRead,
    ) -> Result<(), Trouble> {
        let mut left = size;
        while left > 0 {
            let chunk = content.fill_buf().map_err(|error| Trouble::reading(&error))?;
            if chunk.is_empty() {
                return Err(Trouble::truncated());
            }
            let length = usize::try_from(left).map_or(chunk.len(), |left| left.min(chunk.len()));
            let written = file.write_all(&chunk[..length]);
            written.map_err(|error| Trouble::system(&format!("cannot write {}", shown(name)), error))?;
            if let Some(witness) = &self.witness {
                witness.bytes(&chunk[..length]);
            }
            content.consume(length);
            left -= length as u64;
            self.bytes += length as u64;
            self.space.wrote(length as u64)?;
        }
        Ok(())
    }

    fn admit_link(&self, name: &[u8]) -> Result<(), Trouble> {
        match self.witness {
            None => Ok(()),
            Some(_) => Err(Trouble::member(name, "a link, which no bundle has")),
        }
    }

    /// Count a member and take its name apart.
    fn begin<'n>(&mut self, name: &'n [u8]) -> Result<Vec<&'n [u8]>, Trouble> {
        self.members += 1;
        if self.members > MEMBER_CEILING {
            return Err(Trouble::bad(format!("it has more than {MEMBER_CEILING} members")));
        }
        if self.members.is_multiple_of(1024) {
            self.space.admit_files(1024)?;
        }
        components(name).map_err(|why| Trouble::member(name, why))
    }

    /// The member's folder, made where it is missing, and its last component.
    fn parent<'n>(&mut self, parts: &[&'n [u8]], name: &[u8]) -> Result<(BorrowedFd<'_>, &'n [u8]), Trouble> {
        let (base, folders) = parts.split_last().ok_or_else(|| Trouble::member(name, "it has no name"))?;
        let key = folders.join(&b'/');
        if self.last.as_ref().is_none_or(|(last, _)| *last != key) {
            self.last = Some((key, self.folder(folders, name)?));
        }
        let fd = self.last.as_ref().map_or(self.dir.as_fd(), |(_, fd)| fd.as_fd());
        Ok((fd, base))
    }

    fn folder(&self, parts: &[&[u8]], name: &[u8]) -> Result<OwnedFd, Trouble> {
        let mut dir =
            self.dir.try_clone().map_err(|error| Trouble::system("cannot copy a descriptor", error))?;
        for part in parts {
            match rustix::fs::mkdirat(&dir, *part, Mode::from(0o755)) {
                Err(Errno::EXIST) => {}
                other => other.map_err(|error| refused(name, error))?,
            }
            dir = match rustix::fs::openat(&dir, *part, FOLDER, Mode::empty()) {
                Err(Errno::LOOP | Errno::NOTDIR) => {
                    let why = format!("'{}' on its way is a link or a file", shown(part));
                    return Err(Trouble::member(name, &why));
                }
                other => other.map_err(|error| refused(name, error))?,
            };
        }
        Ok(dir)
    }
}

/// The parts of a member's name, or why it has none that may be used.
fn components(name: &[u8]) -> Result<Vec<&[u8]>, &'static str> {
    if name.starts_with(b"/") {
        return Err("an absolute path");
    }
    if name.len() > NAME_CEILING || name.contains(&0) {
        return Err("a name that no file has");
    }
    let parts: Vec<&[u8]> =
        name.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
    if parts.iter().any(|part| part.len() > PART_CEILING) {
        return Err("a name that no file has");
    }
    if parts.iter().any(|part| *part == b"..") {
        return Err("a path that leads out of the archive");
    }
    if parts.len() > DEPTH_CEILING {
        return Err("too many folders in one another");
    }
    Ok(parts)
}

fn refused(name: &[u8], error: Errno) -> Trouble {
    match error {
        Errno::EXIST => Trouble::member(name, "two members have this name"),
        error => Trouble::system(&format!("cannot write {}", shown(name)), error),
    }
}

fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_the_folder_have_no_components() {
        for name in ["/bin/x", "..", "../x", "a/../../x", "a/..", "a/../b"] {
            assert!(components(name.as_bytes()).is_err(), "{name}");
        }
        assert_eq!(components(b"./a//b/").unwrap(), [b"a", b"b"]);
        assert!(components(b"./").unwrap().is_empty());
        assert!(components(&[b'a'; 1025]).is_err());
        assert!(components(&[b'a'; 256]).is_err() && components(&[b'a'; 255]).is_ok());
    }
}
