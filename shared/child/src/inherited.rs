//! What a process of ours was handed down.
use crate::descriptors::{CloseMode, close};
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

const FIRST: u32 = 3;

/// Close every descriptor above 2 but `keep`, and own that one, close-on-exec. To be called first thing in a process,
/// before it has opened anything itself.
///
/// # Errors
/// `keep` is not an open descriptor above 2.
pub fn only_inherited(keep: Option<RawFd>) -> io::Result<Option<OwnedFd>> {
    only_inherited_and(keep, &[])
}

/// As [`only_inherited`], and leave the descriptors `pass` open for the program that this process becomes.
///
/// # Errors
/// One of them is not an open descriptor above 2.
pub fn only_inherited_and(keep: Option<RawFd>, pass: &[RawFd]) -> io::Result<Option<OwnedFd>> {
    Ok(inherited(keep.as_slice(), pass)?.pop())
}

/// As [`only_inherited`], for several: they are owned in the order of `keep`, each of which is there once.
///
/// # Errors
/// One of them is not an open descriptor above 2, or is there twice.
pub fn only_inherited_all(keep: &[RawFd]) -> io::Result<Vec<OwnedFd>> {
    inherited(keep, &[])
}

fn inherited(keep: &[RawFd], pass: &[RawFd]) -> io::Result<Vec<OwnedFd>> {
    let mut stay = Vec::new();
    for fd in keep.iter().chain(pass) {
        let number = u32::try_from(*fd).ok().filter(|number| *number >= FIRST);
        stay.push(number.ok_or_else(|| io::Error::from_raw_os_error(libc::EBADF))?);
    }
    stay.sort_unstable();
    // Two owners of one descriptor would close what somebody else has opened since.
    if !keep.is_empty() && stay.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    let mut next = FIRST;
    for number in stay {
        if number > next {
            close(next, number - 1, CloseMode::Closed);
        }
        next = number + 1;
    }
    close(next, u32::MAX, CloseMode::Closed);
    // SAFETY: fcntl takes plain numbers; each descriptor is there once, and owned by nobody else in this process, which
    // has only begun.
    #[expect(unsafe_code, reason = "a descriptor's number becomes its owner")]
    unsafe {
        if pass.iter().any(|fd| libc::fcntl(*fd, libc::F_GETFD) == -1)
            || keep.iter().any(|fd| libc::fcntl(*fd, libc::F_SETFD, libc::FD_CLOEXEC) == -1)
        {
            return Err(io::Error::last_os_error());
        }
        Ok(keep.iter().map(|fd| OwnedFd::from_raw_fd(*fd)).collect())
    }
}
