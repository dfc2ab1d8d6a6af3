//! A filter of system calls under which no socket that leads out of this machine can be made.
//!
//! It is a program of twenty instructions for the kernel's own small machine, written out here: a library that writes
//! such programs has no way to refuse the x32 calls as a whole.
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType};
use std::io;

/// What the kernel calls the calls of this architecture (`AUDIT_ARCH_*`); a call of another one has other numbers.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

/// x86_64 has a second set of calls, x32, under the same name and with this bit in their numbers.
const X32: u32 = 0x4000_0000;

/// Where `struct seccomp_data` has the number of the call, the architecture, and the lower half of the first argument:
/// the kernel itself looks at no more of an `int`.
const NUMBER: u32 = 0;
const ARCHITECTURE_OF_CALL: u32 = 4;
const FIRST_ARGUMENT: u32 = 16;

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
    // Without it only root may install one; with it setuid programs are no way round.
    rustix::thread::set_no_new_privs(true).map_err(|error| cannot(error.into()))?;
    load(&mut program()).map_err(cannot)?;
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
        load_word(FIRST_ARGUMENT),
    ]);
    for family in [AddressFamily::UNIX, AddressFamily::NETLINK] {
        program.extend([skip_unless(u32::from(family.as_raw()), 1), end(ALLOW)]);
    }
    program.push(end(NO_FAMILY));
    program
}

/// Numbers of calls are small.
fn number(call: libc::c_long) -> u32 {
    call as u32
}

fn load_word(offset: u32) -> libc::sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset, (0, 0))
}

fn end(action: u32) -> libc::sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, action, (0, 0))
}

fn skip_if(equal: u32, lines: u8) -> libc::sock_filter {
    instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, equal, (lines, 0))
}

fn skip_unless(equal: u32, lines: u8) -> libc::sock_filter {
    instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, equal, (0, lines))
}

fn skip_unless_bits(bits: u32, lines: u8) -> libc::sock_filter {
    instruction(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, bits, (0, lines))
}

/// `skip`: how many lines are jumped over where the comparison holds, and where it does not.
fn instruction(code: u32, k: u32, skip: (u8, u8)) -> libc::sock_filter {
    // Codes have 16 bits in the kernel's structure.
    libc::sock_filter { code: code as u16, jt: skip.0, jf: skip.1, k }
}

fn load(program: &mut [libc::sock_filter]) -> io::Result<()> {
    let len = u16::try_from(program.len()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    let filter = libc::sock_fprog { len, filter: program.as_mut_ptr() };
    // SAFETY: the kernel reads `len` instructions before the call returns; they live longer.
    #[expect(unsafe_code, reason = "no safe wrapper of seccomp(2) is at hand")]
    let answer =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const filter) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel's machine makes of a call.
    fn verdict(architecture: u32, number: u32, first_argument: u32) -> u32 {
        let program = program();
        let (mut at, mut word) = (0, 0);
        loop {
            let line = &program[at];
            at += 1;
            let code = u32::from(line.code);
            let holds = match code & !(libc::BPF_JMP | libc::BPF_K) {
                libc::BPF_JEQ => word == line.k,
                _ => word & line.k != 0,
            };
            match (code & 7, line.k) {
                (libc::BPF_LD, NUMBER) => word = number,
                (libc::BPF_LD, ARCHITECTURE_OF_CALL) => word = architecture,
                (libc::BPF_LD, FIRST_ARGUMENT) => word = first_argument,
                (libc::BPF_RET, action) => return action,
                (libc::BPF_JMP, _) => at += usize::from(if holds { line.jt } else { line.jf }),
                _ => panic!("instruction {code:#x}"),
            }
        }
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
