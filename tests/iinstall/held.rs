//! iinstall for another user, told to end while somebody holds it up.
use super::{Pack, Site};
use crate::kit::{as_root, tools};
use std::time::{Duration, Instant};

/// Runs as root: starts iinstall, holds it up in a way, sends TERM, and ends with the signal that ended it, in 30 s at most.
const HOLD: &str = r#"
import ctypes, fcntl, os, pathlib, signal, subprocess, sys, time
tool, way, env = sys.argv[1:]
reader, writer = os.pipe()
fcntl.fcntl(writer, 1031, 4096)
if way == "full":
    os.write(writer, b"x" * 3500)
process = subprocess.Popen([tool], stdin=open(env), stdout=writer if way == "full" else subprocess.DEVNULL, stderr=subprocess.DEVNULL)

def child():
    path = pathlib.Path("/proc/%d/task/%d/children" % (process.pid, process.pid))
    while not path.read_text():
        time.sleep(0.001)
    return int(path.read_text().split()[0])

if way == "traced":
    # As the user whose it is; the kernel may not let him.
    if os.fork() == 0:
        for output in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), output)
        os.setgid(65534)
        os.setuid(65534)
        libc = ctypes.CDLL(None, use_errno=True)
        pid = child()
        while libc.ptrace(16, pid, 0, 0) != 0 and os.path.exists("/proc/%d" % pid):
            time.sleep(0.001)
        time.sleep(60)
        os._exit(0)
time.sleep(1)
process.terminate()
try:
    print(process.wait(30))
except subprocess.TimeoutExpired:
    process.kill()
    print("it did not end")
"#;

#[test]
fn root_ends_when_it_is_told_to_whoever_holds_what_it_waits_for() {
    if !as_root() {
        return;
    }
    for way in ["full", "traced"] {
        let mut site = Site::new();
        let archive = site.save("a.tar", Pack::good().file("large", vec![7; 100 << 20]));
        site.sandbox.set("AUTO_INFER_LLAMA_CPP_PKG_PATH", archive.to_str().unwrap());
        site.sandbox.set("AUTO_INFER_LLAMA_CPP_USER", "nobody");
        drop(site.sandbox.sh("chmod 755 . home; ienv llama-cpp > env.jsonl").exits(0));
        let begun = Instant::now();
        let hold = site.sandbox.write("hold.py", HOLD);
        let mut command = site.sandbox.command("python3");
        let output =
            site.sandbox.finish(command.arg(hold).arg(tools().join("iinstall")).args([way, "env.jsonl"]));
        let output = output.exits(0);
        assert!(output.stdout.ends_with("-15\n"), "{way}: {output:?}");
        assert!(begun.elapsed() < Duration::from_secs(25), "{way}");
    }
}
