//! The folder that an archive is unpacked into, and the only way anything gets into it.
//!
//! Every member is reached from the folder's descriptor, one component at a time, through no symbolic link, and every file
//! is new: whatever an archive says, nothing outside is written and nothing inside is written twice.
use crate::folders::{Folders, refused};
use crate::hasher::{HashedFile, MemberHasher};
use crate::name::{TARGET_CEILING, components, shown};
use crate::{ArchiveError, Space};
use rustix::fs::{AtFlags, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;
use std::fs::File;
use std::io::{BufRead, Write};
use std::os::fd::BorrowedFd;
use std::path::Path;

const MEMBER_CEILING: u64 = 1_000_000;

/// What a file keeps of what the archive says of it. Owners and setuid, setgid and sticky bits it never keeps.
#[derive(Clone, Copy, Debug)]
pub struct Attributes {
    /// The permission bits, as far as they are known; 0 where they are not.
    pub mode: u32,
    /// Unix seconds: Python compares them with those in its caches.
    pub mtime: Option<u64>,
}

/// What is done beyond the rules that hold for every archive.
#[derive(Clone, Copy, Debug)]
enum Policy {
    /// Files may be run or not, and that is all of their modes; no member replaces another.
    Strict,
    /// The same, and links are refused, for this reason.
    FilesAlone(&'static str),
    /// As tar(1) does: modes are kept, and a later member replaces an earlier one of its name.
    LikeTar,
    /// A symbolic link becomes a file that holds its target.
    LinksAsFiles,
}

/// The folder, and what was put there.
#[derive(Debug)]
pub struct Root {
    folders: Folders,
    space: Space,
    members: u64,
    policy: Policy,
    /// Hashes what is written, where somebody wants to know.
    hasher: Option<MemberHasher>,
    /// Files written.
    pub files: u64,
    /// Bytes written.
    pub bytes: u64,
}

const NEW_FILE: OFlags =
    OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Root {
    /// An existing, empty folder. Where its disk is full, `disk` is named.
    ///
    /// # Errors
    /// What the system says.
    pub fn at(path: &Path, disk: &Path) -> Result<Self, ArchiveError> {
        let open = |error| ArchiveError::system(&format!("cannot open {}", path.display()), error);
        let folders = Folders::open(path).map_err(open)?;
        let space = Space::of(disk, folders.top()).map_err(open)?;
        Ok(Self { folders, space, members: 0, policy: Policy::Strict, hasher: None, files: 0, bytes: 0 })
    }

    /// The same for regular files alone, each of them hashed. `why` says why links are refused.
    ///
    /// # Errors
    /// There is no thread for hashing.
    pub fn of_hashed_files(self, why: &'static str) -> Result<Self, ArchiveError> {
        let hasher =
            MemberHasher::start().map_err(|error| ArchiveError::no_thread(tool::thread::refused(&error)))?;
        Ok(Self { hasher: Some(hasher), policy: Policy::FilesAlone(why), ..self })
    }

    /// The same, unpacking as tar(1) does: modes are kept, and a later member replaces an earlier one of its name.
    #[must_use]
    pub fn like_tar(self) -> Self {
        Self { policy: Policy::LikeTar, ..self }
    }

    /// The files that were written, in their order, where they are hashed.
    pub fn take_hashed(&mut self) -> Vec<HashedFile> {
        self.hasher.take().map(MemberHasher::finish).unwrap_or_default()
    }

    /// Refuse what the disk has no room for.
    ///
    /// # Errors
    /// It has none.
    pub fn admit(&self, bytes: u64) -> Result<(), ArchiveError> {
        self.space.admit(bytes)
    }

    /// The same, unpacking as pip and uv do: a link becomes a file that holds its target.
    #[must_use]
    pub fn with_links_as_files(self) -> Self {
        Self { policy: Policy::LinksAsFiles, ..self }
    }

    pub(crate) fn takes_links_as_files(&self) -> bool {
        matches!(self.policy, Policy::LinksAsFiles)
    }

    /// A folder; one that is there already is no contradiction.
    pub(crate) fn directory(&mut self, name: &[u8], mode: u32) -> Result<(), ArchiveError> {
        let parts = self.begin(name)?;
        let folder = self.folders.make(&parts, name)?;
        if let Policy::LikeTar = self.policy {
            // What is to be unpacked into it still has to be made there.
            let mode = Mode::from(mode & 0o777 | 0o700);
            rustix::fs::fchmod(&folder, mode).map_err(|error| refused(name, error))?;
        }
        Ok(())
    }

    /// A file of exactly `size` bytes from `content`.
    pub(crate) fn file(
        &mut self,
        name: &[u8],
        attributes: Attributes,
        size: u64,
        content: &mut impl BufRead,
    ) -> Result<(), ArchiveError> {
        let parts = self.begin(name)?;
        self.space.admit(size)?;
        if let Some(hasher) = &self.hasher {
            let path = String::from_utf8(parts.join(&b'/'));
            hasher.file(&path.map_err(|_| ArchiveError::member(name, "a name that is not UTF-8"))?, size);
        }
        let mut file = self.create(&parts, name, attributes.mode)?;
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
    pub(crate) fn symlink(&mut self, name: &[u8], target: &[u8]) -> Result<(), ArchiveError> {
        self.admit_link(name)?;
        let parts = self.begin(name)?;
        if target.is_empty() || target.contains(&0) {
            return Err(ArchiveError::member(name, "a link that names no target"));
        }
        if target.len() > TARGET_CEILING {
            return Err(ArchiveError::member(name, "a link whose target is longer than Linux allows"));
        }
        self.make(&parts, name, |parent, base| rustix::fs::symlinkat(target, parent, base))
    }

    /// A second name of a file that was unpacked before.
    pub(crate) fn hard_link(&mut self, name: &[u8], target: &[u8]) -> Result<(), ArchiveError> {
        self.admit_link(name)?;
        let parts = self.begin(name)?;
        let escapes =
            || ArchiveError::member(name, "a hard link to something that is not in the archive before it");
        let target_parts = components(target).ok().filter(|parts| !parts.is_empty()).ok_or_else(escapes)?;
        let (base, folders) = target_parts.split_last().ok_or_else(escapes)?;
        let from = self.folders.find(folders)?.ok_or_else(escapes)?;
        let made = self.make(&parts, name, |parent, link| {
            match rustix::fs::linkat(&from, *base, parent, link, AtFlags::empty()) {
                Err(Errno::NOENT | Errno::PERM | Errno::LOOP) => Ok(false),
                other => other.map(|()| true),
            }
        });
        if made? { Ok(()) } else { Err(escapes()) }
    }

    /// A new file, not yet filled.
    fn create(&mut self, parts: &[&[u8]], name: &[u8], mode: u32) -> Result<File, ArchiveError> {
        let may_run = mode & 0o111 != 0;
        let new = Mode::from(if may_run { 0o777 } else { 0o666 });
        let fd = self.make(parts, name, |parent, base| rustix::fs::openat(parent, base, NEW_FILE, new))?;
        if let Policy::LikeTar = self.policy {
            rustix::fs::fchmod(&fd, Mode::from(mode & 0o777)).map_err(|error| refused(name, error))?;
        }
        Ok(File::from(fd))
    }

    /// Let `act` make something in the member's folder under its last name, once more where that replaces what has it.
    fn make<T>(
        &mut self,
        parts: &[&[u8]],
        name: &[u8],
        act: impl Fn(BorrowedFd<'_>, &[u8]) -> Result<T, Errno>,
    ) -> Result<T, ArchiveError> {
        let replaces = matches!(self.policy, Policy::LikeTar);
        let (parent, base) = self.folders.parent(parts, name)?;
        let made = match act(parent, base) {
            Err(Errno::EXIST) if replaces => {
                rustix::fs::unlinkat(parent, base, AtFlags::empty()).and_then(|()| act(parent, base))
            }
            other => other,
        };
        made.map_err(|error| refused(name, error))
    }

    fn fill(
        &mut self,
        file: &mut File,
        name: &[u8],
        size: u64,
        content: &mut impl BufRead,
    ) -> Result<(), ArchiveError> {
        let mut left = size;
        while left > 0 {
            let chunk = content.fill_buf().map_err(|error| ArchiveError::reading(&error))?;
            if chunk.is_empty() {
                return Err(ArchiveError::truncated());
            }
            let length = usize::try_from(left).map_or(chunk.len(), |left| left.min(chunk.len()));
            let written = file.write_all(&chunk[..length]);
            written.map_err(|error| ArchiveError::system(&format!("cannot write {}", shown(name)), error))?;
            if let Some(hasher) = &self.hasher {
                hasher.bytes(&chunk[..length]);
            }
            content.consume(length);
            left -= length as u64;
            self.bytes += length as u64;
            self.space.wrote(length as u64)?;
        }
        Ok(())
    }

    fn admit_link(&self, name: &[u8]) -> Result<(), ArchiveError> {
        match self.policy {
            Policy::FilesAlone(why) => Err(ArchiveError::member(name, why)),
            Policy::Strict | Policy::LikeTar | Policy::LinksAsFiles => Ok(()),
        }
    }

    /// Count a member and take its name apart.
    fn begin<'n>(&mut self, name: &'n [u8]) -> Result<Vec<&'n [u8]>, ArchiveError> {
        self.members += 1;
        if self.members > MEMBER_CEILING {
            return Err(ArchiveError::bad(format!("it has more than {MEMBER_CEILING} members")));
        }
        if self.members.is_multiple_of(1024) {
            self.space.admit_files(1024)?;
        }
        components(name).map_err(|why| ArchiveError::member(name, why))
    }
}
