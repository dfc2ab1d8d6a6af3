//! One question to nvidia-smi.
use child::Start;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::io::{self, Read};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A driver that is ill lets nvidia-smi hang; one that nobody has used yet takes seconds to wake.
const TIMEOUT: Duration = Duration::from_secs(10);
/// More than any machine's GPUs and their holders have to say.
const MAX_OUTPUT_BYTES: usize = 4 << 20;

/// The lines that answer `query`; `None` when none came.
pub(crate) fn query(fields: &str) -> Option<String> {
    run_with_timeout(&[fields, "--format=csv,noheader,nounits"], TIMEOUT)
}

/// What nvidia-smi prints for a person; `None` where it does not answer.
#[must_use]
pub fn full_output() -> Option<String> {
    run_with_timeout(&[], TIMEOUT)
}

fn run_with_timeout(arguments: &[&str], timeout: Duration) -> Option<String> {
    // Where it is not, as on every machine without such a GPU, no process is started to find that out.
    which::which("nvidia-smi").ok()?;
    let mut command = Command::new("nvidia-smi");
    command.args(arguments);
    let query = arguments.first().copied().unwrap_or_default();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    // One that hangs must hold nothing of ours open.
    Start::default().apply(&mut command);
    let until = Instant::now() + timeout;
    let mut child = command.spawn().ok()?;
    let output = child.stdout.take()?;
    let ended = read(output, until).and_then(|text| Some((text, end(&mut child, until)?)));
    let Some((text, ended)) = ended else {
        log::info!("nvidia-smi {query} said nothing within {} s", timeout.as_secs());
        drop(child.kill());
        // Not waited for here: a process that hangs in the driver does not even die.
        drop(threads::start("reap", move || drop(child.wait())));
        return None;
    };
    if !ended.success() {
        log::info!("nvidia-smi {query} failed: {}: {}", child::exit_words(ended), text.trim_end());
    }
    ended.success().then_some(text)
}

/// All that comes until the end of the pipe; `None` where it is too much, no text, or not over in time.
fn read(mut output: ChildStdout, until: Instant) -> Option<String> {
    let mut text = Vec::new();
    let mut chunk = [0; 8192];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).ok()?;
        match poll(&mut [PollFd::new(&output, PollFlags::IN)], Some(&timeout)) {
            Ok(0) => return None,
            Err(Errno::INTR) => continue,
            Err(_) => return None,
            Ok(_) => {}
        }
        match output.read(&mut chunk) {
            Ok(0) => return String::from_utf8(text).ok(),
            Ok(count) => text.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
        if text.len() > MAX_OUTPUT_BYTES {
            return None;
        }
    }
}

/// How it ended; `None` where it has not in time.
fn end(child: &mut Child, until: Instant) -> Option<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait().ok()? {
            return Some(status);
        }
        if Instant::now() >= until {
            return None;
        }
        thread::sleep(Duration::from_millis(2));
    }
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
