//! One question to nvidia-smi.
use child::Start;
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// A driver that is ill lets nvidia-smi hang; one that nobody has used yet takes seconds to wake.
const PATIENCE: Duration = Duration::from_secs(10);

/// The lines that answer `query`; `None` when none came.
pub(crate) fn ask(query: &str) -> Option<String> {
    ask_within(query, PATIENCE)
}

fn ask_within(query: &str, patience: Duration) -> Option<String> {
    let mut command = Command::new("nvidia-smi");
    command.args([query, "--format=csv,noheader,nounits"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    // One that hangs must hold nothing of ours open.
    Start::default().apply(&mut command);
    let mut child = command.spawn().ok()?;
    let mut output = child.stdout.take()?;
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        let read = output.read_to_string(&mut text);
        // Nobody waits any more after the patience is over.
        drop(send.send(read.map(|_| text)));
    });
    let Ok(Ok(text)) = receive.recv_timeout(patience) else {
        log::info!("nvidia-smi {query} said nothing within {} s", patience.as_secs());
        drop(child.kill());
        // Not waited for here: a process that hangs in the driver does not even die.
        thread::spawn(move || drop(child.wait()));
        return None;
    };
    let ended = child.wait().ok()?;
    if !ended.success() {
        log::info!("nvidia-smi {query} failed: {ended}: {}", text.trim_end());
    }
    ended.success().then_some(text)
}

/// The fields of a line.
pub(crate) fn fields<const COUNT: usize>(line: &str) -> Option<[&str; COUNT]> {
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    fields.try_into().ok()
}

/// MiB in bytes; `None` for `[N/A]` and the like.
pub(crate) fn bytes(mib: &str) -> Option<u64> {
    mib.parse::<u64>().ok().map(|mib| mib << 20)
}
