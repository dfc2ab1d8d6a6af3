//! What to do about a program that the system does not start.
use failure::{Code, Failure};
use std::io;
use std::path::Path;

/// The failure to start `program`, with what to do about it where the system's error shows that. Where the
/// system has no process to give the code is 75, whatever `code` says.
#[must_use]
pub fn not_run(code: Code, program: &Path, error: &io::Error) -> Failure {
    let what = format!("cannot run {}", program.display());
    if error.kind() == io::ErrorKind::WouldBlock {
        return threads::unavailable(what, error);
    }
    let failure = Failure::io(code, what, error);
    Failure { hint: not_run_hint(program, error), ..failure }
}

fn not_run_hint(program: &Path, error: &io::Error) -> Option<String> {
    match error.raw_os_error()? {
        libc::EACCES => Some("it must be executable, and on a disk without noexec".to_owned()),
        libc::ENOEXEC => Some(format!("it must be a program for this machine, {}", std::env::consts::ARCH)),
        // A bare name was looked for on PATH.
        libc::ENOENT if program.components().count() > 1 && owner::exists(program) => {
            Some(format!("{} is there; the interpreter or loader that it names is not", program.display()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_and_does_not_start_has_a_hint() {
        let hint = |program: &str, number| {
            not_run_hint(Path::new(program), &io::Error::from_raw_os_error(number)).unwrap_or_default()
        };
        assert!(hint("/x", libc::EACCES).contains("noexec"));
        assert!(hint("/x", libc::ENOEXEC).ends_with(std::env::consts::ARCH));
        assert!(hint("/etc/passwd", libc::ENOENT).starts_with("/etc/passwd is there"));
        assert_eq!(hint("/no/such", libc::ENOENT) + &hint("nosuch", libc::ENOENT), "");
        assert_eq!(not_run_hint(Path::new("/x"), &io::Error::other("it is odd")), None);
    }
}
