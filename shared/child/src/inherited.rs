//! What a process of ours was handed down.
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// Close every descriptor above 2 but `keep`, and own that one, close-on-exec. To be called first thing in a process,
/// before it has opened anything itself.
///
/// # Errors
/// `keep` is not an open descriptor above 2.
pub fn only_inherited(keep: Option<RawFd>) -> io::Result<Option<OwnedFd>> {
    let first = 3;
    let Some(fd) = keep else {
        close(first, u32::MAX);
        return Ok(None);
    };
    let number = u32::try_from(fd).ok().filter(|number| *number >= first).ok_or_else(bad_descriptor)?;
    if number > first {
        close(first, number - 1);
    }
    close(number + 1, u32::MAX);
    // SAFETY: fcntl takes plain numbers; the descriptor is owned by nobody else in this process, which has only begun.
    #[expect(unsafe_code, reason = "a descriptor's number becomes its owner")]
    unsafe {
        if libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) == -1 {
            return Err(io::Error::last_os_error());
        }
        Ok(Some(OwnedFd::from_raw_fd(fd)))
    }
}

fn bad_descriptor() -> io::Error {
    io::Error::from_raw_os_error(libc::EBADF)
}

fn close(first: u32, last: u32) {
    // SAFETY: plain numbers; nothing in this process has opened any of these descriptors.
    #[expect(unsafe_code, reason = "no safe wrapper of close_range(2) is at hand")]
    unsafe {
        libc::syscall(libc::SYS_close_range, first, last, 0);
    }
}
