//! Finding what is in a package's folder.
//!
//! A package has many small files in many folders: each folder is opened once, from the package's own, and what is in it is
//! looked at from there.
use super::tree::{Item, Kind, Stat};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, openat, readlinkat, statat};
use rustix::io::Errno;
use std::ffi::{CStr, CString, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// As long as the system takes a path.
const PATH_BYTES: usize = 4096;

/// More than any package has: what somebody goes on filling is not looked at without end.
const ITEMS: usize = 1_000_000;

/// Room for the entries of one read of a folder.
const ROOM_BYTES: usize = 32 << 10;

/// Everything below `root`, sorted by path, a folder before what is in it. No link is followed, but for `root` itself.
pub(super) fn walk(root: &Path) -> Vec<Item> {
    let mut walk = Walk { room: vec![MaybeUninit::uninit(); ROOM_BYTES], items: Vec::new() };
    match open_folder(CWD, root, OFlags::empty()) {
        Ok(top) => walk.descend(&top, &mut Vec::new()),
        Err(error) => walk.put(&[], unreadable(error)),
    }
    walk.items.shrink_to_fit();
    walk.items
}

/// Open a folder.
pub(super) fn open_folder<P: rustix::path::Arg>(
    at: impl AsFd,
    path: P,
    also: OFlags,
) -> rustix::io::Result<OwnedFd> {
    openat(at, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | also, Mode::empty())
}

struct Walk {
    room: Vec<MaybeUninit<u8>>,
    items: Vec<Item>,
}

impl Walk {
    /// Put what is in one folder, whose path from `top` this is.
    fn descend(&mut self, top: &OwnedFd, path: &mut Vec<u8>) {
        let entries = match self.entries(top, path) {
            Ok((entries, None)) => entries,
            Ok((entries, Some(cause))) => {
                self.put(path, cause);
                entries
            }
            Err(error) => return self.put(path, unreadable(error)),
        };
        let length = path.len();
        for (name, kind) in entries {
            if length > 0 {
                path.push(b'/');
            }
            path.extend_from_slice(name.as_bytes());
            let below = kind == Kind::Folder;
            self.put(path, kind);
            if below {
                self.descend(top, path);
            }
            path.truncate(length);
        }
    }

    /// What is in one folder, sorted by name; with it what kept us from seeing all. It is closed again before what is below
    /// is looked at: folders may lie deeper than a process may have files open.
    #[expect(clippy::type_complexity, reason = "a name would only repeat it")]
    fn entries(
        &mut self,
        top: &OwnedFd,
        path: &[u8],
    ) -> rustix::io::Result<(Vec<(CString, Kind)>, Option<Kind>)> {
        if path.len() >= PATH_BYTES {
            return Err(Errno::NAMETOOLONG);
        }
        let below = if path.is_empty() { b"." } else { path };
        let folder = open_folder(top, below, OFlags::NOFOLLOW)?;
        let mut entries = Vec::new();
        let mut cause = None;
        let mut listed = RawDir::new(&folder, &mut self.room);
        while let Some(entry) = listed.next() {
            if self.items.len() + entries.len() > ITEMS {
                cause = Some(Kind::Unreadable(format!("it holds more than {ITEMS} files and folders")));
                break;
            }
            match entry {
                Ok(entry) if matches!(entry.file_name().to_bytes(), b"." | b"..") => {}
                Ok(entry) => {
                    let kind = kind_of(folder.as_fd(), entry.file_name(), entry.file_type());
                    entries.push((entry.file_name().to_owned(), kind.unwrap_or_else(unreadable)));
                }
                Err(error) => {
                    cause = Some(unreadable(error));
                    break;
                }
            }
        }
        entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        Ok((entries, cause))
    }

    fn put(&mut self, path: &[u8], kind: Kind) {
        self.items.push(Item { path: PathBuf::from(OsString::from_vec(path.to_vec())), kind });
    }
}

fn unreadable(error: Errno) -> Kind {
    Kind::Unreadable(tool::io_text(&io::Error::from(error)))
}

/// What an entry is. That it is a folder, its folder has said already.
fn kind_of(folder: BorrowedFd<'_>, name: &CStr, told: FileType) -> rustix::io::Result<Kind> {
    if told == FileType::Directory {
        return Ok(Kind::Folder);
    }
    let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {
            let mode = stat.st_mode & 0o7777;
            Ok(Kind::File { stat: Stat::of(&stat), mode, program: None, sha256: None })
        }
        FileType::Directory => Ok(Kind::Folder),
        FileType::Symlink => {
            let target = readlinkat(folder, name, Vec::new())?;
            Ok(Kind::Link(OsString::from_vec(target.into_bytes()).into()))
        }
        _ => Ok(Kind::Unreadable("it is neither file nor folder nor link".to_owned())),
    }
}
