//! The members that are written, hashed on a thread of its own while the next bytes are on their way.
use sha2::{Digest, Sha256};
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Pieces on their way: some MiB.
const AHEAD: usize = 8;

enum Piece {
    File(String, u64),
    Bytes(Vec<u8>),
}

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashedFile {
    /// Its path in the archive.
    pub path: String,
    /// sha256 of its bytes, lower-case hex.
    pub sha256: String,
    /// Its size.
    pub size_bytes: u64,
}

/// The thread. Not one of a scope: whoever writes may fail and leave, and the thread then ends by itself.
#[derive(Debug)]
pub(crate) struct MemberHasher {
    send: SyncSender<Piece>,
    thread: JoinHandle<Vec<HashedFile>>,
}

impl MemberHasher {
    pub(crate) fn start() -> io::Result<Self> {
        let (send, receive) = sync_channel(AHEAD);
        let thread = std::thread::Builder::new().name("members".to_owned()).spawn(|| hash_all(receive))?;
        Ok(Self { send, thread })
    }

    /// The next file begins.
    pub(crate) fn file(&self, path: &str, size: u64) {
        drop(self.send.send(Piece::File(path.to_owned(), size)));
    }

    /// More of it.
    pub(crate) fn bytes(&self, bytes: &[u8]) {
        drop(self.send.send(Piece::Bytes(bytes.to_vec())));
    }

    /// All files, in their order.
    pub(crate) fn finish(self) -> Vec<HashedFile> {
        drop(self.send);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

fn hash_all(receive: Receiver<Piece>) -> Vec<HashedFile> {
    let mut files: Vec<HashedFile> = Vec::new();
    let mut state = Sha256::new();
    let close = |files: &mut Vec<HashedFile>, state: &mut Sha256| {
        if let Some(last) = files.last_mut() {
            last.sha256 = base16ct::lower::encode_string(&std::mem::take(state).finalize());
        }
    };
    for piece in receive {
        match piece {
            Piece::Bytes(bytes) => state.update(&bytes),
            Piece::File(path, size_bytes) => {
                close(&mut files, &mut state);
                files.push(HashedFile { path, sha256: String::new(), size_bytes });
            }
        }
    }
    close(&mut files, &mut state);
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_its_own_hash() {
        let hasher = MemberHasher::start().unwrap();
        hasher.file("a", 3);
        hasher.bytes(b"a");
        hasher.bytes(b"bc");
        hasher.file("b", 0);
        let files = hasher.finish();
        assert_eq!(files[0].sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(files[1].sha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!((files[0].path.as_str(), files[0].size_bytes), ("a", 3));
        assert!(MemberHasher::start().unwrap().finish().is_empty());
    }
}
