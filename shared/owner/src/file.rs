//! A file by its path, for whoever has the right to it anyway.
use crate::dir::{one_name, read_capped};
use crate::owner::may_name;
use crate::{Dir, Owner, walk};
use rustix::fs::{CWD, Mode, OFlags, fstat, openat};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::path::Path;

/// Open a regular file to read, links followed, with the rights that the calling thread has. A pipe in its place is not
/// waited for, and neither is it read.
///
/// # Errors
/// What the system says; that it is no regular file.
pub fn open_file(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let not_regular = || io::Error::other("it is not a regular file");
    // A socket cannot be opened, and a device may have nothing behind it.
    let file = File::from(openat(CWD, path, flags, Mode::empty()).map_err(|error| match error {
        Errno::NXIO | Errno::NODEV => not_regular(),
        other => other.into(),
    })?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_regular()) }
}

/// What stands in a file of at most `cap` bytes, opened as [`open_file`] does.
///
/// # Errors
/// As [`open_file`]; that it is larger.
pub fn read_file(path: &Path, cap: usize) -> io::Result<Vec<u8>> {
    read_capped(open_file(path)?, cap)
}

/// What stands in a file of at most `cap` bytes that the operator has named, links followed: with our rights as far as nobody
/// but root can have made a step of the path, then with those of whoever could have. Who is not root uses his own.
///
/// # Errors
/// What the system says; that it is no regular file, or larger.
pub fn read_named(path: &Path, cap: usize) -> io::Result<Vec<u8>> {
    let name = path.file_name().ok_or(Errno::ISDIR)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Dir::open(parent)?.read_through_links(name, cap)
}

/// The same of a path that a user chose, such as one in a file of that user's: with the user's rights from
/// the beginning. A caller who is not root reads for another user only what is that user's or open to all.
///
/// # Errors
/// As [`read_named`], and as [`Owner::act`].
pub fn read_as(owner: &Owner, path: &Path, cap: usize) -> io::Result<Vec<u8>> {
    let name = path.file_name().ok_or(Errno::ISDIR)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = walk::open_through_links(&Dir::open_as(owner, parent)?, one_name(name)?)?;
    if !may_name(owner.uid(), &fstat(&file)?) {
        return Err(Errno::ACCESS.into());
    }
    read_capped(file, cap)
}

#[cfg(test)]
mod tests {
    use super::read_file;
    use std::fs::File;

    #[test]
    fn what_is_no_file_or_too_large_is_refused_at_once() {
        let dir = std::env::temp_dir().join(format!("owner-file-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("file");
        File::create(&path).unwrap().set_len(1 << 34).unwrap();
        assert!(read_file(&path, 100).unwrap_err().to_string().contains("larger than 100 bytes"));
        std::fs::write(&path, "four").unwrap();
        assert_eq!((read_file(&path, 4).unwrap(), read_file(&path, 3).is_err()), (b"four".to_vec(), true));
        let pipe = dir.join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from(0o644)).unwrap();
        for other in [&pipe, &dir] {
            assert_eq!(read_file(other, 4).unwrap_err().to_string(), "it is not a regular file");
        }
        std::fs::remove_dir_all(dir).unwrap();
    }
}
