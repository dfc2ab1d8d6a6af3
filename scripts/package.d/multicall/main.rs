//! All tools but `ikeep` in one program, which is the tool by whose name it is called, as busybox does it: what they have in
//! common is on the medium once. Every name is a hard link of it, and so `/proc/self/exe` tells the name also where the caller
//! gave another. A keeper stays in memory for weeks, and of a program four times as large it would hold twice as much.
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A name and what it runs.
type Tool = (&'static str, fn() -> ExitCode);

const TOOLS: [Tool; 17] = [
    ("ibridge", ibridge::main),
    ("icache", icache::main),
    ("ichat", ichat::main),
    ("ienv", ienv::main),
    ("iinstall", iinstall::main),
    ("ijoin", ijoin::main),
    ("ilaunch", ilaunch::main),
    ("imodel", imodel::main),
    ("ipack", ipack::main),
    ("iplan", iplan::main),
    ("iprobe", iprobe::main),
    ("ireport", ireport::main),
    ("iseal", iseal::main),
    ("isplit", isplit::main),
    ("istat", istat::main),
    ("istop", istop::main),
    ("iwarm", iwarm::main),
];

fn main() -> ExitCode {
    let called = std::env::args_os().next().map(PathBuf::from);
    let paths = [std::env::current_exe().ok(), called].into_iter().flatten();
    match paths.filter_map(|path| tool(&path)).next() {
        Some((_, main)) => main(),
        None => {
            let names = TOOLS.map(|(name, _)| name).join(", ");
            let told =
                "multicall: called by a name that is none of a tool\nmulticall: hint: link it as one of";
            writeln!(std::io::stderr(), "{told}: {names}").ok();
            ExitCode::from(2)
        }
    }
}

fn tool(path: &Path) -> Option<Tool> {
    TOOLS.into_iter().find(|(name, _)| path.file_name() == Some(OsStr::new(name)))
}
