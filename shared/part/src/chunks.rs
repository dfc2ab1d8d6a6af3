//! Pieces of data that several threads look at, in buffers that are used again.
use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;

/// How much is read at a time.
pub const CHUNK_BYTES: usize = 1 << 20;
/// Enough for what a [`crate::Digester`] holds and what its feeder has in hand.
const BUFFERS: usize = 8;

/// A piece of data; a clone is the same piece.
#[derive(Clone, Debug)]
pub struct Chunk {
    buffer: Arc<Vec<u8>>,
    length: usize,
}

impl Chunk {
    /// The data.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[..self.length]
    }
}

/// A reader of chunks.
#[derive(Debug, Default)]
pub struct Chunks {
    buffers: VecDeque<Arc<Vec<u8>>>,
}

impl Chunks {
    /// Read as much as a chunk takes, and at most `limit`. Shorter than that is the end of the input.
    ///
    /// # Errors
    /// What the reader says.
    pub fn read(&mut self, reader: &mut impl Read, limit: u64) -> io::Result<Chunk> {
        let wanted = usize::try_from(limit).map_or(CHUNK_BYTES, |limit| limit.min(CHUNK_BYTES));
        let oldest = if self.buffers.len() < BUFFERS { None } else { self.buffers.pop_front() };
        // A buffer that somebody still looks at is left to him.
        let free = oldest.filter(|buffer| Arc::strong_count(buffer) == 1);
        let mut buffer = free.unwrap_or_else(|| Arc::new(vec![0; CHUNK_BYTES]));
        let mut length = 0;
        if let Some(space) = Arc::get_mut(&mut buffer) {
            while length < wanted {
                match reader.read(&mut space[length..wanted]) {
                    Ok(0) => break,
                    Ok(count) => length += count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        }
        self.buffers.push_back(Arc::clone(&buffer));
        Ok(Chunk { buffer, length })
    }
}
