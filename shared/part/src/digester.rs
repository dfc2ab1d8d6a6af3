//! SHA-256 beside the reading and writing: a thread of its own.
use crate::Chunk;
use sha2::{Digest, Sha256};
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};

/// How many chunks may wait to be hashed.
const QUEUE_LENGTH: usize = 4;

/// SHA-256 in the thread that asks.
#[derive(Clone, Debug, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// Take in more.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all that was taken in, in lower-case hex.
    #[must_use]
    pub fn digest(&self) -> String {
        base16ct::lower::encode_string(&self.0.clone().finalize())
    }
}

enum Command {
    Feed(Chunk),
    Digest,
    Accept,
    Rewind,
    Restart,
}

/// SHA-256 in a thread of its own, which can go back to where all was well.
///
/// Were the thread to die, every digest would be empty, and so equal to none.
#[derive(Debug)]
pub struct Digester {
    orders: SyncSender<Command>,
    answers: Receiver<String>,
}

impl Digester {
    /// Start the thread; it ends when this is dropped.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn start() -> io::Result<Self> {
        let (orders, taken) = sync_channel(QUEUE_LENGTH);
        let (answer, answers) = channel();
        std::thread::Builder::new().name("digester".to_owned()).spawn(move || {
            let (mut hasher, mut accepted) = (Hasher::default(), Hasher::default());
            for send in taken {
                match send {
                    Command::Feed(chunk) => hasher.feed(chunk.bytes()),
                    Command::Digest => drop(answer.send(hasher.digest())),
                    Command::Accept => accepted.clone_from(&hasher),
                    Command::Rewind => hasher.clone_from(&accepted),
                    Command::Restart => hasher = Hasher::default(),
                }
            }
        })?;
        Ok(Self { orders, answers })
    }

    /// Take in more.
    pub fn feed(&self, chunk: &Chunk) {
        self.send(Command::Feed(chunk.clone()));
    }

    /// The digest of all that was taken in, in lower-case hex. Waits until it is known.
    #[must_use]
    pub fn digest(&self) -> String {
        self.send(Command::Digest);
        self.answers.recv().unwrap_or_default()
    }

    /// What was taken in so far is right: [`Digester::rewind`] goes back to here.
    pub fn accept(&self) {
        self.send(Command::Accept);
    }

    /// Forget what was taken in since the last [`Digester::accept`].
    pub fn rewind(&self) {
        self.send(Command::Rewind);
    }

    /// Forget everything but what was accepted.
    pub fn restart(&self) {
        self.send(Command::Restart);
    }

    fn send(&self, send: Command) {
        drop(self.orders.send(send));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Chunks;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn it_goes_back_to_what_was_accepted() {
        let mut chunks = Chunks::default();
        let mut chunk = |text: &str| chunks.read(&mut text.as_bytes(), u64::MAX).unwrap();
        let digester = Digester::start().unwrap();
        assert_eq!(digester.digest(), EMPTY);
        digester.feed(&chunk("ab"));
        digester.accept();
        digester.feed(&chunk("x"));
        assert_ne!(digester.digest(), ABC);
        digester.rewind();
        digester.feed(&chunk("c"));
        assert_eq!(digester.digest(), ABC);
        digester.restart();
        assert_eq!(digester.digest(), EMPTY);
    }

    #[test]
    fn more_chunks_than_buffers_are_all_hashed() {
        let data: Vec<u8> =
            (0..40 << 20).map(|number: u32| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let (mut chunks, digester) = (Chunks::default(), Digester::start().unwrap());
        let (mut reader, mut hasher) = (&data[..], Hasher::default());
        loop {
            let chunk = chunks.read(&mut reader, u64::MAX).unwrap();
            if chunk.bytes().is_empty() {
                break;
            }
            digester.feed(&chunk);
        }
        hasher.feed(&data);
        assert_eq!(digester.digest(), hasher.digest());
    }
}
