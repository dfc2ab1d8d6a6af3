//! A file of a mirror: written beside its place, and what it is made of.
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What one read of a file asks for.
const BUFFER_BYTES: usize = 256 << 10;

/// A file that is being written. The library that packs completes what it has begun even where a write failed, and would tell
/// standard error that it could not: from then on nothing is written, as the file is removed, and nothing fails.
pub(super) struct Draft {
    file: File,
    failed: bool,
    /// Where the next write goes, and where the file ends.
    at: u64,
    end: u64,
}

impl Draft {
    fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { file: File::create(path)?, failed: false, at: 0, end: 0 })
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = if self.failed { Ok(bytes.len()) } else { self.file.write(bytes) };
        match &written {
            Ok(length) => self.at += *length as u64,
            Err(error) => self.failed = error.kind() != io::ErrorKind::Interrupted,
        }
        self.end = self.end.max(self.at);
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.failed { Ok(()) } else { self.file.flush() }
    }
}

impl Seek for Draft {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        let place = match to {
            io::SeekFrom::Start(place) => Some(place),
            io::SeekFrom::Current(by) => self.at.checked_add_signed(by),
            io::SeekFrom::End(by) => self.end.checked_add_signed(by),
        };
        self.at = place.ok_or(io::ErrorKind::InvalidInput)?;
        if !self.failed {
            self.file.seek(io::SeekFrom::Start(self.at))?;
        }
        Ok(self.at)
    }
}

/// The error, with the file that it is about.
pub(super) fn about(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {}", path.display(), tool::io_text(error)))
}

/// A file that was written: its hash, hex, and its size.
pub(super) struct Packed {
    pub(super) sha256: String,
    pub(super) size_bytes: u64,
}

/// Write a file beside its place, and give it its name when it is complete.
pub(super) fn publish(to: &Path, fill: impl FnOnce(Draft) -> io::Result<()>) -> io::Result<Packed> {
    let folder = to.parent().unwrap_or(to);
    std::fs::create_dir_all(folder)?;
    let mut name = std::ffi::OsString::from(".export-");
    name.push(to.file_name().unwrap_or_default());
    let draft = folder.join(name);
    let written = Draft::create(&draft).and_then(fill).and_then(|()| {
        let file = File::open(&draft)?;
        file.sync_all()?;
        let packed = Packed { size_bytes: file.metadata()?.len(), sha256: sha256_of(file)? };
        std::fs::rename(&draft, to)?;
        Ok(packed)
    });
    if written.is_err() {
        drop(std::fs::remove_file(&draft));
    }
    written.map_err(|error| about(to, &error))
}

pub(super) fn sha256_of(mut file: File) -> io::Result<String> {
    file.rewind()?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; BUFFER_BYTES]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(base16ct::lower::encode_string(&hash.finalize())),
            length => hash.update(&buffer[..length]),
        }
    }
}

/// Write a text in the same way.
pub(super) fn publish_text(to: &Path, text: &str) -> io::Result<()> {
    publish(to, |mut file| file.write_all(text.as_bytes())).map(drop)
}

/// Every file and link below a folder, by its path there, in a fixed order.
pub(super) fn files(root: &Path) -> io::Result<Vec<PathBuf>> {
    let (mut found, mut folders) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root.join(&folder))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    Ok(found)
}

/// All that is kept of a mode.
pub(super) fn mode(file: &File) -> io::Result<u32> {
    Ok(if file.metadata()?.permissions().mode() & 0o111 == 0 { 0o644 } else { 0o755 })
}
