//! What has reached the disk.
use std::fs::File;
use std::io;
use std::path::Path;

/// Make a folder's entries durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Make a folder and all below it durable. A few files are synced one by one: syncfs(2) would wait for whatever else is on
/// its way to this disk, as a model of 100 GB. For many files that is still the lesser wait.
///
/// # Errors
/// What the system says.
pub fn sync_tree(folder: &Path) -> io::Result<()> {
    const FEW: usize = 512;
    let mut folders = vec![folder.to_owned()];
    let mut files = Vec::new();
    let mut next = 0;
    while let Some(folder) = folders.get(next).cloned() {
        next += 1;
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            }
        }
        if files.len() + folders.len() > FEW {
            return Ok(rustix::fs::syncfs(File::open(&folders[0])?)?);
        }
    }
    files.iter().chain(&folders).try_for_each(|path| File::open(path)?.sync_all())
}
