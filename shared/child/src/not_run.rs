//! What to say of a program that the system does not start.
use failure::{Code, Failure};
use std::io;
use std::path::Path;

/// The failure to run `program`, as [`refused`] explains it.
#[must_use]
pub fn not_run(code: Code, program: &Path, error: &io::Error) -> Failure {
    refused(code, format!("cannot run {}", program.display()), program, error)
}

/// Why the system did not start `program`, and what to do about it where the error shows that. Where the system has no process to
/// give the code is 75, whatever `code` says.
#[must_use]
pub fn refused(code: Code, what: String, program: &Path, error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::WouldBlock {
        return threads::unavailable(what, error);
    }
    let failure = Failure::io(code, what, error);
    match error.raw_os_error() {
        Some(libc::EACCES) => failure.hint("it must be executable, and on a disk without noexec"),
        Some(libc::ENOEXEC) => {
            failure.hint(format!("it must be a program for this machine, {}", std::env::consts::ARCH))
        }
        // A bare name was looked for on PATH.
        Some(libc::ENOENT) if program.components().count() > 1 && owner::exists(program) => {
            // The kernel says the same of a program that is missing and of one whose interpreter is.
            let missing = match elf::interpreter(program) {
                Some(interpreter) => format!("its interpreter {interpreter} does not exist"),
                None => "it is there; the loader that it names is not".to_owned(),
            };
            let hint = "install that, or put a program for this machine in its place";
            Failure { cause: missing, ..failure }.hint(hint)
        }
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_and_does_not_start_is_told_with_what_to_do() {
        let told = |program: &str, number| {
            let failure = not_run(Code::Unmet, Path::new(program), &io::Error::from_raw_os_error(number));
            (failure.cause, failure.hint.unwrap_or_default())
        };
        assert!(told("/x", libc::EACCES).1.contains("noexec"));
        assert!(told("/x", libc::ENOEXEC).1.ends_with(std::env::consts::ARCH));
        assert!(told("/etc/passwd", libc::ENOENT).0.contains("the loader that it names"));
        for absent in ["/no/such", "nosuch"] {
            assert_eq!(told(absent, libc::ENOENT), ("No such file or directory".to_owned(), String::new()));
        }
        let odd = not_run(Code::Unmet, Path::new("/x"), &io::Error::other("it is odd"));
        assert_eq!((odd.cause.as_str(), odd.hint), ("it is odd", None));
    }
}
