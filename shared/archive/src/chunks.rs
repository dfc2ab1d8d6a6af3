//! Bytes on their way from a file to who hashes and who unpacks them: in large pieces, read once, shared.
use crate::PositionedReader;
use indicatif::ProgressBar;
use std::fs::File;
use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};

/// Bytes that travel together, shared by those who read them.
pub type Chunk = Arc<Vec<u8>>;

const CHUNK: usize = 256 << 10;

/// A full chunk, or what is left.
pub(crate) fn fill(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; CHUNK];
    let mut length = 0;
    while length < CHUNK {
        match input.read(&mut bytes[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}

/// The file from its beginning, each chunk also sent to the hash.
#[derive(Debug)]
pub struct Tee<'a> {
    file: PositionedReader<'a>,
    to_hash: Option<SyncSender<Chunk>>,
    bar: &'a ProgressBar,
    chunk: Chunk,
    at: usize,
}

impl<'a> Tee<'a> {
    pub(crate) fn new(file: &'a File, to_hash: Option<SyncSender<Chunk>>, bar: &'a ProgressBar) -> Self {
        Self { file: PositionedReader::new(file, 0), to_hash, bar, chunk: Chunk::default(), at: 0 }
    }

    /// The next chunk; an empty one is the end.
    pub(crate) fn next(&mut self) -> io::Result<Chunk> {
        let bytes = fill(&mut self.file)?;
        self.bar.inc(bytes.len() as u64);
        let chunk = Arc::new(bytes);
        if let Some(to_hash) = self.to_hash.as_ref().filter(|_| !chunk.is_empty()) {
            drop(to_hash.send(Arc::clone(&chunk)));
        }
        Ok(chunk)
    }
}

impl BufRead for Tee<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.chunk.len() {
            self.chunk = self.next()?;
            self.at = 0;
        }
        Ok(&self.chunk[self.at..])
    }

    fn consume(&mut self, length: usize) {
        self.at += length;
    }
}

impl Read for Tee<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(buffer)?;
        self.consume(length);
        Ok(length)
    }
}

/// What the decompressing thread sends.
pub(crate) struct Chunks {
    receive: Receiver<io::Result<Chunk>>,
    chunk: Chunk,
    at: usize,
}

impl Chunks {
    pub(crate) fn new(receive: Receiver<io::Result<Chunk>>) -> Self {
        Self { receive, chunk: Chunk::default(), at: 0 }
    }
}

impl BufRead for Chunks {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.chunk.len() {
            self.chunk = self.receive.recv().unwrap_or_else(|_| Ok(Chunk::default()))?;
            self.at = 0;
        }
        Ok(&self.chunk[self.at..])
    }

    fn consume(&mut self, length: usize) {
        self.at += length;
    }
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(buffer)?;
        self.consume(length);
        Ok(length)
    }
}
