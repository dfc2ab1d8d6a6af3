//! The kernel's questions about system calls, seccomp_unotify(2): asked before a call, answered with "go on".
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use seccomp::{
    ARCHITECTURE, ARCHITECTURE_OF_CALL, NUMBER, argument, end, load_word, number, skip_if, skip_unless,
};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const ASK: u32 = libc::SECCOMP_RET_USER_NOTIF;

/// `SECCOMP_IOCTL_NOTIF_RECV`, `_SEND` and `_ID_VALID` of linux/seccomp.h; the same on all our architectures.
const RECEIVE: libc::c_ulong = 0xc050_2100;
const ANSWER: libc::c_ulong = 0xc018_2101;
const IS_VALID: libc::c_ulong = 0x4008_2102;
/// `SECCOMP_USER_NOTIF_FLAG_CONTINUE`: the call goes on as if nobody had asked. From Linux 5.5 on.
const CONTINUE: u32 = 1;
const NEEDED: (u32, u32) = (5, 5);

/// `struct seccomp_notif`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct TrappedCall {
    id: u64,
    /// The thread that calls.
    pub(crate) thread: u32,
    flags: u32,
    /// Number of the call.
    pub(crate) call: i32,
    architecture: u32,
    instruction: u64,
    pub(crate) arguments: [u64; 6],
}

/// `struct seccomp_notif_resp`.
#[repr(C)]
struct Answer {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

/// The end at which the questions come.
pub(crate) struct Listener {
    questions: OwnedFd,
}

/// Whether this kernel knows the answer that we give. One that does not would leave the engine waiting.
pub(crate) fn can_continue_calls() -> Result<(), String> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    match version(&release) {
        Some(version) if version >= NEEDED => Ok(()),
        _ => Err(format!(
            "the kernel is {}, and {}.{} is the first that can",
            release.trim(),
            NEEDED.0,
            NEEDED.1
        )),
    }
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// What is asked about: connect(2); sendto(2) where it names a destination; sendmsg(2) and sendmmsg(2), whose destination a
/// filter cannot see; and io_uring, whose sockets can be seen by nobody. Calls of another architecture are let through.
fn program() -> Vec<libc::sock_filter> {
    let mut program =
        vec![load_word(ARCHITECTURE_OF_CALL), skip_if(ARCHITECTURE, 1), end(ALLOW), load_word(NUMBER)];
    for call in [libc::SYS_connect, libc::SYS_sendmsg, libc::SYS_sendmmsg, libc::SYS_io_uring_setup] {
        program.extend([skip_unless(number(call), 1), end(ASK)]);
    }
    // The address of the destination, in two halves: both are zero where there is none.
    let (low, high) = (argument(4), argument(4) + 4);
    program.extend([skip_if(number(libc::SYS_sendto), 1), end(ALLOW)]);
    program.extend([
        load_word(low),
        skip_if(0, 1),
        end(ASK),
        load_word(high),
        skip_if(0, 1),
        end(ASK),
        end(ALLOW),
    ]);
    program
}

impl Listener {
    /// Have the kernel ask about this thread and all that it starts from now on.
    pub(crate) fn of_this_thread() -> io::Result<Self> {
        let questions = seccomp::load(&mut program(), libc::SECCOMP_FILTER_FLAG_NEW_LISTENER)?;
        let questions = i32::try_from(questions).map_err(|_| io::Error::from_raw_os_error(libc::EBADF))?;
        // SAFETY: the kernel has just made it for us.
        #[expect(unsafe_code, reason = "seccomp(2) answers with a number")]
        Ok(Self { questions: unsafe { OwnedFd::from_raw_fd(questions) } })
    }

    /// Answer until the last of those who are asked about has gone.
    pub(crate) fn serve(&self, count: &mut dyn FnMut(&TrappedCall)) {
        loop {
            let mut watched = [PollFd::new(&self.questions, PollFlags::IN)];
            match poll(&mut watched, None) {
                Err(Errno::INTR) => continue,
                Err(_) => return,
                Ok(_) => {}
            }
            let ready = watched[0].revents();
            if ready.contains(PollFlags::IN) {
                self.answer_one(count);
            } else if ready.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
                return;
            }
        }
    }

    fn answer_one(&self, count: &mut dyn FnMut(&TrappedCall)) {
        let mut asked = TrappedCall::default();
        // The caller may have been ended meanwhile: then there is no question.
        if self.control(RECEIVE, (&raw mut asked).cast()).is_err() {
            return;
        }
        count(&asked);
        let mut answer = Answer { id: asked.id, value: 0, error: 0, flags: CONTINUE };
        if self.control(IS_VALID, (&raw mut asked.id).cast()).is_ok() {
            self.control(ANSWER, (&raw mut answer).cast()).ok();
        }
    }

    fn control(&self, command: libc::c_ulong, structure: *mut libc::c_void) -> io::Result<()> {
        // SAFETY: each command reads and writes the one structure that it is given, which outlives the call.
        #[expect(unsafe_code, reason = "no safe wrapper of these ioctls is at hand")]
        let answer = unsafe { libc::ioctl(self.questions.as_raw_fd(), command as _, structure) };
        if answer == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

impl TrappedCall {
    /// The process of the thread that calls.
    pub(crate) fn process(&self) -> u32 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.thread)).unwrap_or_default();
        let group = status.lines().find_map(|line| line.strip_prefix("Tgid:")?.trim().parse().ok());
        group.unwrap_or(self.thread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(call: libc::c_long, arguments: &[u32]) -> u32 {
        seccomp::verdict(&program(), ARCHITECTURE, number(call), arguments)
    }

    #[test]
    fn only_what_may_lead_out_is_asked_about() {
        for call in [libc::SYS_connect, libc::SYS_sendmsg, libc::SYS_sendmmsg, libc::SYS_io_uring_setup] {
            assert_eq!(verdict(call, &[]), ASK);
        }
        assert_eq!(verdict(libc::SYS_sendto, &[3, 1, 1, 0, 0x1000, 16]), ASK);
        assert_eq!(verdict(libc::SYS_sendto, &[3, 1, 1, 0, 0, 0]), ALLOW, "send(2)");
        for call in [libc::SYS_read, libc::SYS_write, libc::SYS_accept4, libc::SYS_socket, libc::SYS_recvfrom]
        {
            assert_eq!(verdict(call, &[3, 1, 1, 0, 0x1000]), ALLOW);
        }
        assert_eq!(seccomp::verdict(&program(), 0x4000_0003, 3, &[]), ALLOW);
    }

    #[test]
    fn kernels_are_told_apart_by_their_release() {
        let can = |release| version(release).is_some_and(|version| version >= NEEDED);
        assert_eq!(
            ["4.18.0-553.el8", "5.4.0-1", "5.5", "5.15.0", "6.18.44-x", "?"].map(can),
            [false, false, true, true, true, false]
        );
    }

    #[test]
    fn the_structures_have_the_kernels_sizes() {
        assert_eq!((size_of::<TrappedCall>(), size_of::<Answer>()), (80, 24));
    }
}
