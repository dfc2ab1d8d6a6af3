//! Reading a file of a cache, which may be full of anything, and be changed by anybody.
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Its bytes, at most `cap` of them. A pipe in its place is not waited for, a size that is only claimed costs nothing.
///
/// # Errors
/// What the system says, that it is no regular file, or that it is larger.
pub fn read(path: &Path, cap: u64) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = openat(CWD, path, flags, Mode::empty());
    let not_regular = || io::Error::other("it is not a regular file");
    // A socket cannot be opened, a device may have nothing behind it.
    let file = File::from(opened.map_err(|error| match error {
        Errno::NXIO | Errno::NODEV => not_regular(),
        error => error.into(),
    })?);
    let stat = file.metadata()?;
    if !stat.is_file() {
        return Err(not_regular());
    }
    let too_large =
        || io::Error::other(format!("it has more than the {cap} bytes that such a file may have"));
    if stat.len() > cap {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    file.take(cap.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > cap { Err(too_large()) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::read;
    use std::fs::File;

    #[test]
    fn what_is_no_file_or_too_large_is_refused_at_once() {
        let dir = std::env::temp_dir().join(format!("store-read-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("file");
        File::create(&path).unwrap().set_len(1 << 44).unwrap();
        assert!(read(&path, 100).unwrap_err().to_string().contains("more than the 100 bytes"));
        std::fs::write(&path, "four").unwrap();
        assert_eq!((read(&path, 4).unwrap(), read(&path, 3).is_err()), (b"four".to_vec(), true));
        let pipe = dir.join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from(0o644)).unwrap();
        for other in [&pipe, &dir] {
            assert_eq!(read(other, 4).unwrap_err().to_string(), "it is not a regular file");
        }
        std::fs::remove_dir_all(dir).unwrap();
    }
}
