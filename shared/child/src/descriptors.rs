//! All descriptors of this process, also where close_range(2) is refused: before Linux 5.9, under some container filters.
#![expect(clippy::disallowed_methods, reason = "/proc is the kernel's")]
use rustix::fs::{Mode, OFlags, RawDir};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, RawFd};

/// What happens to them.
#[derive(Clone, Copy)]
pub(crate) enum CloseMode {
    Closed,
    /// Closed by the next exec.
    ClosedOnExec,
}

/// Without /proc every number up to the limit is tried, and that only so far.
const MAX_DESCRIPTORS: RawFd = 1 << 20;

/// Close all descriptors from `first` to `last`, now or on exec.
///
/// It makes only system calls and uses no heap, so that it may run between fork and exec.
pub(crate) fn close(first: u32, last: u32, mode: CloseMode) {
    let flags = match mode {
        CloseMode::Closed => 0,
        // From Linux 5.11 on; EINVAL before.
        CloseMode::ClosedOnExec => libc::CLOSE_RANGE_CLOEXEC,
    };
    // SAFETY: plain numbers; whose the descriptors are is the caller's business.
    #[expect(unsafe_code, reason = "no safe wrapper of close_range(2) is at hand")]
    let closed = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    if closed == 0 {
        return;
    }
    let (first, last) = (number(first), number(last));
    if close_listed(first, last, mode).is_err() {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let limit = limit
            .and_then(|limit| RawFd::try_from(limit).ok())
            .unwrap_or(MAX_DESCRIPTORS)
            .min(MAX_DESCRIPTORS);
        for descriptor in first..=last.min(limit) {
            close_one(descriptor, mode);
        }
    }
}

fn number(descriptor: u32) -> RawFd {
    RawFd::try_from(descriptor).unwrap_or(RawFd::MAX)
}

/// Those that /proc lists. It goes by number, so none is passed over because another was closed.
fn close_listed(first: RawFd, last: RawFd, mode: CloseMode) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::open("/proc/self/fd", flags, Mode::empty())?;
    let mut buffer = [const { MaybeUninit::<u8>::uninit() }; 4096];
    let mut entries = RawDir::new(&folder, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        let Some(descriptor) = std::str::from_utf8(name).ok().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if (first..=last).contains(&descriptor) && descriptor != folder.as_raw_fd() {
            close_one(descriptor, mode);
        }
    }
    Ok(())
}

fn close_one(descriptor: RawFd, mode: CloseMode) {
    // SAFETY: as above. One that is not open is an error that means nothing.
    #[expect(unsafe_code, reason = "descriptors that nobody owns have no safe wrapper")]
    unsafe {
        match mode {
            CloseMode::Closed => libc::close(descriptor),
            CloseMode::ClosedOnExec => libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC),
        };
    }
}
