//! Programs for the kernel's filter of system calls, written out instruction by instruction, and how they are loaded.
//!
//! Libraries that write such programs have no way to refuse the x32 calls as a whole, or to look at one half of an argument.
use std::io;

/// What the kernel calls the calls of this architecture (`AUDIT_ARCH_*`); a call of another one has other numbers.
#[cfg(target_arch = "x86_64")]
pub const ARCHITECTURE: u32 = 0xc000_003e;
/// What the kernel calls the calls of this architecture (`AUDIT_ARCH_*`); a call of another one has other numbers.
#[cfg(target_arch = "aarch64")]
pub const ARCHITECTURE: u32 = 0xc000_00b7;

/// x86_64 has a second set of calls, x32, under the same name and with this bit in their numbers.
pub const X32: u32 = 0x4000_0000;

/// Where `struct seccomp_data` has the number of the call.
pub const NUMBER: u32 = 0;
/// Where `struct seccomp_data` has the architecture.
pub const ARCHITECTURE_OF_CALL: u32 = 4;

/// Where `struct seccomp_data` has the lower half of an argument, counted from 0: the kernel itself looks at no more of an
/// `int`.
#[must_use]
pub fn argument(index: u32) -> u32 {
    16 + 8 * index
}

/// The number of a call as the filter sees it: they are small.
#[must_use]
pub fn number(call: libc::c_long) -> u32 {
    call as u32
}

/// Load the word at an offset of `struct seccomp_data`.
#[must_use]
pub fn load_word(offset: u32) -> libc::sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset, (0, 0))
}

/// End with what becomes of the call (`SECCOMP_RET_*`).
#[must_use]
pub fn end(action: u32) -> libc::sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, action, (0, 0))
}

/// Jump over lines where the word is this.
#[must_use]
pub fn skip_if(equal: u32, lines: u8) -> libc::sock_filter {
    instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, equal, (lines, 0))
}

/// Jump over lines unless the word is this.
#[must_use]
pub fn skip_unless(equal: u32, lines: u8) -> libc::sock_filter {
    instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, equal, (0, lines))
}

/// Jump over lines unless the word has any of these bits.
#[must_use]
pub fn skip_unless_bits(bits: u32, lines: u8) -> libc::sock_filter {
    instruction(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, bits, (0, lines))
}

/// `skip`: how many lines are jumped over where the comparison holds, and where it does not.
fn instruction(code: u32, k: u32, skip: (u8, u8)) -> libc::sock_filter {
    // Codes have 16 bits in the kernel's structure.
    libc::sock_filter { code: code as u16, jt: skip.0, jf: skip.1, k }
}

/// Load a program for this thread, and all that it starts, for ever. `flags` are those of seccomp(2); the answer is the
/// kernel's, a descriptor where `SECCOMP_FILTER_FLAG_NEW_LISTENER` is among them.
///
/// # Errors
/// What the system says.
pub fn load(program: &mut [libc::sock_filter], flags: libc::c_ulong) -> io::Result<libc::c_long> {
    // Without it only root may install one; with it setuid programs are no way round.
    rustix::thread::set_no_new_privs(true)?;
    let len = u16::try_from(program.len()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    let filter = libc::sock_fprog { len, filter: program.as_mut_ptr() };
    // SAFETY: the kernel reads `len` instructions before the call returns; they live longer.
    #[expect(unsafe_code, reason = "no safe wrapper of seccomp(2) is at hand")]
    let answer =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const filter) };
    if answer == -1 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

/// What the kernel's machine makes of a call: its architecture, its number, and its arguments' lower halves. For tests of
/// programs made of the instructions here.
///
/// # Panics
/// On any other instruction.
#[must_use]
pub fn verdict(program: &[libc::sock_filter], architecture: u32, call: u32, arguments: &[u32]) -> u32 {
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
            (libc::BPF_LD, NUMBER) => word = call,
            (libc::BPF_LD, ARCHITECTURE_OF_CALL) => word = architecture,
            // Of an argument that is not given both halves are zero.
            (libc::BPF_LD, offset) if (offset - 16) % 8 == 0 => {
                word = arguments.get((offset as usize - 16) / 8).copied().unwrap_or(0);
            }
            (libc::BPF_LD, _) => word = 0,
            (libc::BPF_RET, action) => return action,
            (libc::BPF_JMP, _) => at += usize::from(if holds { line.jt } else { line.jf }),
            _ => panic!("instruction {code:#x}"),
        }
    }
}
