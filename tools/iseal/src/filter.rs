//! A filter of system calls under which no socket that leads out of this machine can be made.
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType};
use seccomp::{ARCHITECTURE, ARCHITECTURE_OF_CALL, NUMBER, X32};
use seccomp::{argument, end, load_word, number, skip_if, skip_unless, skip_unless_bits};
use std::io;

/// What becomes of a call.
const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;
/// As on a kernel without that family: programs go on without it, as they do without IPv6.
const NO_FAMILY: u32 = libc::SECCOMP_RET_ERRNO | libc::EAFNOSUPPORT as u32;
/// As where the administrator has turned io_uring off. It opens sockets by no system call that could be filtered.
const NO_PERMISSION: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;

/// Keep this process, and all that come of it, from making any socket but local ones, for ever; and try it.
pub(crate) fn install() -> Result<(), String> {
    let cannot = |error: io::Error| format!("cannot install a seccomp filter: {}", tool::io_text(&error));
    seccomp::load(&mut program(), 0).map_err(cannot)?;
    for (family, name) in [(AddressFamily::INET, "AF_INET"), (AddressFamily::INET6, "AF_INET6")] {
        match rustix::net::socket(family, SocketType::DGRAM, None) {
            Err(Errno::AFNOSUPPORT) => {}
            Ok(_) => return Err(format!("the seccomp filter does not hold: it lets {name} sockets through")),
            Err(error) => {
                let error = tool::io_text(&error.into());
                return Err(format!("the seccomp filter does not hold: {name} sockets: {error}"));
            }
        }
    }
    Ok(())
}

/// From the top: what is compared jumps to the end of its block, or falls to the next line.
fn program() -> Vec<libc::sock_filter> {
    let mut program =
        vec![load_word(ARCHITECTURE_OF_CALL), skip_if(ARCHITECTURE, 1), end(KILL), load_word(NUMBER)];
    if cfg!(target_arch = "x86_64") {
        program.extend([skip_unless_bits(X32, 1), end(KILL)]);
    }
    for call in [libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register] {
        program.extend([skip_unless(number(call), 1), end(NO_PERMISSION)]);
    }
    program.extend([
        skip_if(number(libc::SYS_socket), 2),
        skip_if(number(libc::SYS_socketpair), 1),
        end(ALLOW),
        load_word(argument(0)),
    ]);
    for family in [AddressFamily::UNIX, AddressFamily::NETLINK] {
        program.extend([skip_unless(u32::from(family.as_raw()), 1), end(ALLOW)]);
    }
    program.push(end(NO_FAMILY));
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(architecture: u32, number: u32, first_argument: u32) -> u32 {
        seccomp::verdict(&program(), architecture, number, &[first_argument])
    }

    #[test]
    fn sockets_are_local_or_refused_and_io_uring_is_denied() {
        let ours = |call, argument| verdict(ARCHITECTURE, number(call), argument);
        for call in [libc::SYS_socket, libc::SYS_socketpair] {
            for family in 0..60 {
                let local = [libc::AF_UNIX as u32, libc::AF_NETLINK as u32].contains(&family);
                assert_eq!(ours(call, family), if local { ALLOW } else { NO_FAMILY }, "{call} {family}");
            }
        }
        for call in [425, 426, 427] {
            assert_eq!(ours(call, 1), NO_PERMISSION, "{call}");
        }
        for call in [libc::SYS_connect, libc::SYS_bind, libc::SYS_execve, libc::SYS_openat, 424, 428] {
            assert_eq!(ours(call, libc::AF_INET as u32), ALLOW, "{call}");
        }
    }

    #[test]
    fn calls_of_another_architecture_kill() {
        let (i386, arm) = (0x4000_0003, 0x4000_0028);
        for other in [i386, arm, 0] {
            assert_eq!(verdict(other, number(libc::SYS_getpid), 0), KILL);
        }
        let x32 = verdict(ARCHITECTURE, X32 | number(libc::SYS_getpid), 0);
        assert_eq!(x32, if cfg!(target_arch = "x86_64") { KILL } else { ALLOW });
    }
}
