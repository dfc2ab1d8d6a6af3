//! An abort ends a tool with a code of the suite's table: the system gave no memory, or no way was left to go on safely.
use crate::Code;
use signal_hook::consts::{SIGABRT, SIGXFSZ};
use signal_hook::low_level;
use std::sync::Arc;

/// A file that would grow above the limit (ulimit -f) fails to be written, as on a full disk: the signal's default action would end
/// the tool in the middle of its work. A handler, and not SIG_IGN: programs that we start inherit none.
pub(crate) fn outlive_file_size_limit() {
    let registered = signal_hook::flag::register(SIGXFSZ, Arc::default());
    if let Err(error) = registered {
        log::debug!("cannot handle SIGXFSZ: {error}");
    }
}

/// From here on. Whoever aborts has said why by then, the standard library of memory too, which has no other way to fail.
#[expect(unsafe_code, reason = "what a signal handler does must not allocate or lock")]
pub(crate) fn end_with_a_code(name: &'static str) {
    let text = format!(
        "{name}: cannot go on\n{name}: hint: where memory is short, raise its limit (ulimit -v, or the container's)\n"
    );
    let text: &'static str = text.leak();
    let end = move || {
        rustix::io::write(rustix::stdio::stderr(), text.as_bytes()).ok();
        low_level::exit(Code::Unmet.number().into());
    };
    // SAFETY: it makes two system calls and uses what is there already.
    let registered = unsafe { low_level::register(SIGABRT, end) };
    if let Err(error) = registered {
        log::debug!("cannot handle SIGABRT: {error}");
    }
}
