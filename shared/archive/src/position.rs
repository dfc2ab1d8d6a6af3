//! A file read from a position of our own, whoever else reads it: the descriptor's position is not touched.
use std::fs::File;
use std::io::{self, Read, Seek};

/// The reader, at the file's beginning.
#[derive(Debug)]
pub struct PositionedReader<'a> {
    file: &'a File,
    position: u64,
    size: u64,
}

impl<'a> PositionedReader<'a> {
    /// For a file of `size` bytes, which only seeking from its end asks for.
    #[must_use]
    pub fn new(file: &'a File, size: u64) -> Self {
        Self { file, position: 0, size }
    }
}

impl Read for PositionedReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = std::os::unix::fs::FileExt::read_at(self.file, buffer, self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for PositionedReader<'_> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        let position = match to {
            io::SeekFrom::Start(position) => Some(position),
            io::SeekFrom::End(offset) => self.size.checked_add_signed(offset),
            io::SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
