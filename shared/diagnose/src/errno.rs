//! What an error number of the system says, together with the path that it is about and the source line that met it.
use crate::Class;

/// Source lines that make or write a folder of the engine's own.
const FILE_CREATING_CALLS: [&str; 5] = ["mkdir(", "makedirs(", "mkdtemp(", "mkstemp(", "NamedTemporaryFile("];

/// Parts of paths that engines, compilers and libraries write below.
const CACHE_PATH_MARKS: [&str; 13] = [
    "/.cache",
    "/.config",
    "/.local",
    "/.triton",
    "/.nv",
    "/.dg_",
    "torchinductor",
    "torch_compile_cache",
    "flashinfer",
    "deep_gemm",
    "triton/",
    "__pycache__",
    "/tmp",
];

/// The number in `[Errno N]`, `(os error N)` or `(errno: N`, with the text behind it.
pub(crate) fn number(text: &str) -> Option<(i32, &str)> {
    ["[Errno ", "(os error ", "(errno: "].into_iter().find_map(|mark| {
        let (_, rest) = text.split_once(mark)?;
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '-')?;
        Some((rest[..end].parse().ok()?, &rest[end..]))
    })
}

/// The class, where the number alone or the text around it decides.
pub(crate) fn class(text: &str, quoted: &str) -> Option<Class> {
    let (number, rest) = number(text)?;
    let path = rest.split('\'').nth(1).unwrap_or_default();
    let cache = CACHE_PATH_MARKS.iter().any(|part| path.contains(part));
    let makes = FILE_CREATING_CALLS.iter().any(|call| quoted.contains(call));
    let binds =
        quoted.contains(".bind(") || text.contains("attempting to bind") || text.starts_with("[Errno -");
    let shared = quoted.contains("SemLock(") || quoted.contains("shm_open") || path.starts_with("/dev/shm");
    Some(match number {
        98 => Class::PortInUse,
        _ if quoted.contains("load_cert_chain(") => Class::Address,
        97 | 99 => Class::Address,
        1 | 13 | -2 | -3 | -5 | -8 if binds => Class::Address,
        -2 | -3 | -5 | -8 | 101 | 110 | 113 => Class::NetworkAttempt,
        11 | 23 | 24 | 28 | 122 => Class::Limit,
        12 => Class::OomHost,
        8 => Class::Abi,
        2 | 13 if shared => Class::Limit,
        13 if path.starts_with("/dev/") => Class::Driver,
        2 if is_program(path) => Class::MissingLibrary,
        2 if rest.contains("No usable temporary directory") => Class::CacheFolder,
        2 if (cache && !path.contains("/huggingface/") && !path.starts_with("/tmp")) || makes => {
            Class::CacheFolder
        }
        30 => Class::CacheFolder,
        1 | 13 if cache || makes => Class::CacheFolder,
        2 | 5 | 13 | 20 | 21 | 36 | 40 | 61 | 107 | 116 | 117 => Class::MissingFile,
        _ => return None,
    })
}

/// A command by its bare name, or below a folder of programs.
fn is_program(path: &str) -> bool {
    let bare = !path.is_empty() && !path.contains(['/', '.', ' ']);
    bare || path.rsplit('/').nth(1) == Some("bin")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said, the source line before it, and what that means.
    const SAID: &[(&str, &str, Option<Class>)] = &[
        ("OSError: [Errno 98] Address already in use", "sock.bind(addr)", Some(Class::PortInUse)),
        ("OSError: [Errno 99] Cannot assign requested address", "", Some(Class::Address)),
        ("PermissionError: [Errno 13] Permission denied", "sock.bind(addr)", Some(Class::Address)),
        ("socket.gaierror: [Errno -2] Name or service not known", "sock.bind(addr)", Some(Class::Address)),
        ("[Errno -2] Name or service not known", "", Some(Class::Address)),
        ("httpx.ConnectError: [Errno -3] Temporary failure", "raise exc", Some(Class::NetworkAttempt)),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'nvcc'", "", Some(Class::MissingLibrary)),
        ("FileNotFoundError: [Errno 2] No such: '/usr/local/cuda/bin/nvcc'", "", Some(Class::MissingLibrary)),
        ("FileNotFoundError: [Errno 2] No such: '/llm-models/a/config.json'", "", Some(Class::MissingFile)),
        ("FileNotFoundError: [Errno 2] No such: 'config.json'", "", Some(Class::MissingFile)),
        ("FileNotFoundError: [Errno 2] No such: '/h/.cache/flashinfer/a/tmp'", "", Some(Class::CacheFolder)),
        (
            "FileNotFoundError: [Errno 2] x: '/h/.cache/huggingface/hub/m/config.json'",
            "",
            Some(Class::MissingFile),
        ),
        (
            "FileNotFoundError: [Errno 2] x: '/srv/cert.pem'",
            "ctx.load_cert_chain(a, b)",
            Some(Class::Address),
        ),
        (
            "FileNotFoundError: [Errno 2] x",
            "sl = self._semlock = _multiprocessing.SemLock(",
            Some(Class::Limit),
        ),
        ("PermissionError: [Errno 13] Permission denied: '/app/.triton'", "", Some(Class::CacheFolder)),
        (
            "PermissionError: [Errno 13] Permission denied: '/workspace'",
            "mkdir(name, mode)",
            Some(Class::CacheFolder),
        ),
        ("PermissionError: [Errno 13] Permission denied: '/llm-models/a'", "", Some(Class::MissingFile)),
        ("PermissionError: [Errno 13] Permission denied: '/dev/kfd'", "", Some(Class::Driver)),
        ("BlockingIOError: [Errno 11] Resource temporarily unavailable", "", Some(Class::Limit)),
        ("Exception: No such file or directory (os error 2)", "", Some(Class::MissingFile)),
        ("ConnectionRefusedError: [Errno 111] Connection refused", "", None),
        ("ValueError: none", "", None),
    ];

    #[test]
    fn a_number_is_read_with_its_path_and_its_source_line() {
        for (text, quoted, expected) in SAID {
            assert_eq!(class(text, quoted), *expected, "{text}: {quoted}");
        }
    }
}
