//! An abort (no memory, or no safe way to go on) ends a tool with one of the suite's exit codes.
use crate::Code;
use signal_hook::consts::{SIGABRT, SIGXFSZ};
use signal_hook::low_level;
use std::sync::Arc;

/// Makes a write above the file size limit (ulimit -f) fail as on a full disk does; SIGXFSZ would otherwise end the tool. A
/// handler, and not SIG_IGN: programs that we start inherit no handler.
pub(crate) fn outlive_file_size_limit() {
    let registered = signal_hook::flag::register(SIGXFSZ, Arc::default());
    if let Err(error) = registered {
        log::debug!("cannot handle SIGXFSZ: {error}");
    }
}

/// From this call on, SIGABRT ends the tool with exit code 69. The reason stands on standard error by then, also where the
/// standard library aborts for want of memory.
#[expect(unsafe_code, reason = "what a signal handler does must not allocate or lock")]
pub(crate) fn end_with_a_code(name: &'static str) {
    let text = format!(
        "{name}: aborted\n{name}: hint: where memory is short, raise its limit (ulimit -v, or the container's)\n"
    );
    let text: &'static str = text.leak();
    let end = move || {
        rustix::io::write(rustix::stdio::stderr(), text.as_bytes()).ok();
        low_level::exit(Code::Unmet.number().into());
    };
    // SAFETY: it makes two system calls, and uses only memory that was allocated before.
    let registered = unsafe { low_level::register(SIGABRT, end) };
    if let Err(error) = registered {
        log::debug!("cannot handle SIGABRT: {error}");
    }
}
