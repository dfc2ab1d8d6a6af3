//! One read: the file's bytes go to the hash, on a thread of its own, and to the unpacker; decompressing and writing are
//! two threads more.
use crate::chunks::{Chunk, Chunks, Tee, fill};
use crate::{ArchiveError, HEAD, Kind, PositionedReader, Root, tar, xz, zip};
use base16ct::lower::encode_string as hex;
use flate2::bufread::GzDecoder;
use indicatif::ProgressBar;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};
use tool::thread::start_scoped;

/// Chunks on their way between two threads: enough to bridge a file's creation, not more.
const AHEAD: usize = 8;

/// Where decompressed bytes are sent to be unpacked. It is closed once nobody wants more.
pub type Sink = SyncSender<io::Result<Chunk>>;

/// sha256 of a file, lower-case hex.
///
/// # Errors
/// It cannot be read.
pub fn hash(file: &File, bar: &ProgressBar) -> Result<String, ArchiveError> {
    let mut tee = Tee::new(file, None, bar);
    let mut state = Sha256::new();
    loop {
        let chunk = tee.next().map_err(|error| ArchiveError::reading(&error))?;
        if chunk.is_empty() {
            return Ok(hex(&state.finalize()));
        }
        state.update(&*chunk);
    }
}

/// Unpack `file` into `root`, and return its sha256.
///
/// # Errors
/// The archive is damaged or hostile, or this machine lacks something.
pub fn unpack(file: &File, root: &mut Root, bar: &ProgressBar) -> Result<String, ArchiveError> {
    let kind = Kind::of(&head(file)?)?;
    std::thread::scope(|scope| {
        let (to_hash, hasher) = hasher(scope)?;
        match kind {
            Kind::Zip => unpack_zip(file, root, Tee::new(file, Some(to_hash), bar), scope)?,
            _ => unpack_tar(kind, root, Tee::new(file, Some(to_hash), bar), scope)?,
        }
        Ok(join(hasher))
    })
}

/// Unpack the tar that `decode` makes of `file`, and return the file's sha256. `decode` reads all of it.
///
/// # Errors
/// As [`unpack`], and those of `decode`.
pub fn unpack_with(
    file: &File,
    root: &mut Root,
    bar: &ProgressBar,
    decode: impl FnOnce(Tee<'_>, &Sink) -> io::Result<()> + Send,
) -> Result<String, ArchiveError> {
    std::thread::scope(|scope| {
        let (to_hash, hasher) = hasher(scope)?;
        let tee = Tee::new(file, Some(to_hash), bar);
        walk(scope, root, move |send| decode(tee, send))?;
        Ok(join(hasher))
    })
}

/// The first bytes of the file, as many as show its format.
///
/// # Errors
/// It cannot be read.
pub fn head(file: &File) -> Result<Vec<u8>, ArchiveError> {
    let mut head = Vec::with_capacity(HEAD);
    let start = PositionedReader::new(file, 0);
    start.take(HEAD as u64).read_to_end(&mut head).map_err(|error| ArchiveError::reading(&error))?;
    Ok(head)
}

/// Whose channel is closed ends.
type Hasher<'scope> = (SyncSender<Chunk>, ScopedJoinHandle<'scope, String>);

fn hasher<'scope>(scope: &'scope Scope<'scope, '_>) -> Result<Hasher<'scope>, ArchiveError> {
    let (send, receive) = sync_channel::<Chunk>(AHEAD);
    let hash = move || {
        let mut state = Sha256::new();
        for chunk in receive {
            state.update(&*chunk);
        }
        hex(&state.finalize())
    };
    let hasher = start_scoped(scope, "hasher", hash).map_err(ArchiveError::no_thread)?;
    Ok((send, hasher))
}

/// A zip is read where its directory points; the hash reads the file from front to back beside it, out of the same cache.
fn unpack_zip<'scope>(
    file: &File,
    root: &mut Root,
    mut tee: Tee<'scope>,
    scope: &'scope Scope<'scope, '_>,
) -> Result<(), ArchiveError> {
    let size = file.metadata().map_err(|error| ArchiveError::reading(&error))?.len();
    let front_to_back =
        start_scoped(scope, "reader", move || drain(&mut tee)).map_err(ArchiveError::no_thread)?;
    zip::unpack(BufReader::new(PositionedReader::new(file, size)), root)?;
    join(front_to_back).map_err(|error| ArchiveError::reading(&error))
}

fn unpack_tar<'scope>(
    kind: Kind,
    root: &mut Root,
    mut tee: Tee<'scope>,
    scope: &'scope Scope<'scope, '_>,
) -> Result<(), ArchiveError> {
    walk(scope, root, move |send| decompress(kind, &mut tee, send))
}

/// Unpack the tar that `produce` sends, on a thread of its own.
fn walk<'scope>(
    scope: &'scope Scope<'scope, '_>,
    root: &mut Root,
    produce: impl FnOnce(&Sink) -> io::Result<()> + Send + 'scope,
) -> Result<(), ArchiveError> {
    let (send, receive) = sync_channel(AHEAD);
    // Whoever reads the chunks and gives up closes the channel; the thread then ends at its next chunk.
    let run = move || {
        if let Err(error) = produce(&send) {
            drop(send.send(Err(error)));
        }
    };
    start_scoped(scope, "producer", run).map_err(ArchiveError::no_thread)?;
    let mut chunks = Chunks::new(receive);
    tar::unpack(&mut chunks, root)?;
    // To the end, so that a checksum there is compared and every byte is hashed.
    drain(&mut chunks).map_err(|error| ArchiveError::reading(&error))
}

fn decompress(kind: Kind, tee: &mut Tee<'_>, send: &Sink) -> io::Result<()> {
    let wanted = match kind {
        Kind::Tar | Kind::Zip => loop {
            let chunk = tee.next()?;
            if chunk.is_empty() || send.send(Ok(chunk)).is_err() {
                break false;
            }
        },
        Kind::Xz => pump(&mut xz::decoder(&mut *tee)?, send)?,
        Kind::Zstd => pump(&mut zstd::stream::read::Decoder::with_buffer(&mut *tee)?, send)?,
        Kind::Gzip => {
            let mut wanted = pump(&mut GzDecoder::new(&mut *tee), send)?;
            // Further members are part of the file (pigz writes them); anything else after one is not, as gzip has it.
            while wanted && tee.fill_buf()?.starts_with(b"\x1f\x8b") {
                wanted = pump(&mut GzDecoder::new(&mut *tee), send)?;
            }
            wanted
        }
    };
    if wanted { drain(tee) } else { Ok(()) }
}

/// Send all of it on; false once nobody wants more.
///
/// # Errors
/// It cannot be read.
pub fn pump(input: &mut impl Read, send: &Sink) -> io::Result<bool> {
    loop {
        let chunk = fill(input)?;
        if chunk.is_empty() {
            return Ok(true);
        }
        if send.send(Ok(Arc::new(chunk))).is_err() {
            return Ok(false);
        }
    }
}

fn drain(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let length = input.fill_buf()?.len();
        if length == 0 {
            return Ok(());
        }
        input.consume(length);
    }
}

/// A thread's result; its panic is ours.
fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
