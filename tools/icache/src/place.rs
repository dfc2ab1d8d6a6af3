//! A file of ours: where it is, and how it is written.
use owner::Dir;
use rustix::fs::{Access, AtFlags, FileType};
use std::path::Path;

/// The folder that a file is in, and its name there. It is touched with the rights of whoever has it.
pub(crate) fn place(path: &Path) -> std::io::Result<(Dir, &std::ffi::OsStr)> {
    let name = path.file_name().ok_or(rustix::io::Errno::ISDIR)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((Dir::open(folder)?, name))
}

/// Whether [`replace`] could begin, as far as is known without writing anything.
pub(crate) fn replaceable(path: &Path) -> std::io::Result<()> {
    let (folder, name) = place(path)?;
    let refused = folder.act(|| {
        if rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
        {
            return Err(rustix::io::Errno::ISDIR);
        }
        child::permitted(folder.path(), Access::WRITE_OK | Access::EXEC_OK)
    })?;
    Ok(refused?)
}

/// Write a file beside its place, for good, and rename it there.
pub(crate) fn replace(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let (folder, name) = place(path)?;
    folder.replace_for_good(name, 0o644, content)
}
