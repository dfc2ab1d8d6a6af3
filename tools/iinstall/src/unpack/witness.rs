//! What was written, hashed on a thread of its own while the next bytes are on their way.
use base16ct::lower::encode_string as hex;
use bundle::Member;
use sha2::{Digest, Sha256};
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Pieces on their way: some MiB.
const AHEAD: usize = 8;

enum Seen {
    File(String, u64),
    Bytes(Vec<u8>),
}

/// The thread. Not one of a scope: whoever writes may fail and leave, and the thread then ends by itself.
#[derive(Debug)]
pub(crate) struct Witness {
    send: SyncSender<Seen>,
    thread: JoinHandle<Vec<Member>>,
}

impl Witness {
    pub(crate) fn start() -> io::Result<Self> {
        let (send, receive) = sync_channel(AHEAD);
        let thread = std::thread::Builder::new().name("witness".to_owned()).spawn(|| watch(receive))?;
        Ok(Self { send, thread })
    }

    /// The next file begins.
    pub(crate) fn file(&self, path: &str, size: u64) {
        drop(self.send.send(Seen::File(path.to_owned(), size)));
    }

    /// More of it.
    pub(crate) fn bytes(&self, bytes: &[u8]) {
        drop(self.send.send(Seen::Bytes(bytes.to_vec())));
    }

    /// All files, in their order.
    pub(crate) fn finish(self) -> Vec<Member> {
        drop(self.send);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

fn watch(receive: Receiver<Seen>) -> Vec<Member> {
    let mut members: Vec<Member> = Vec::new();
    let mut state = Sha256::new();
    let close = |members: &mut Vec<Member>, state: &mut Sha256| {
        if let Some(last) = members.last_mut() {
            last.sha256 = hex(&std::mem::take(state).finalize());
        }
    };
    for seen in receive {
        match seen {
            Seen::Bytes(bytes) => state.update(&bytes),
            Seen::File(path, size_bytes) => {
                close(&mut members, &mut state);
                members.push(Member { path, sha256: String::new(), size_bytes });
            }
        }
    }
    close(&mut members, &mut state);
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_its_own_hash() {
        let witness = Witness::start().unwrap();
        witness.file("a", 3);
        witness.bytes(b"a");
        witness.bytes(b"bc");
        witness.file("b", 0);
        let members = witness.finish();
        assert_eq!(members[0].sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(members[1].sha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!((members[0].path.as_str(), members[0].size_bytes), ("a", 3));
        assert!(Witness::start().unwrap().finish().is_empty());
    }
}
