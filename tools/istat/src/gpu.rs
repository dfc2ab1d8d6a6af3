//! GPU memory by process, where nvidia-smi answers.
use std::collections::HashMap;
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// A driver in trouble never answers.
const LIMIT: Duration = Duration::from_secs(5);

/// Bytes held by each process that can be seen; nothing where there is no GPU. In a container most are not.
pub(crate) fn held() -> HashMap<u32, u64> {
    let mut command = Command::new("nvidia-smi");
    command.args(["--query-compute-apps=pid,used_gpu_memory", "--format=csv,noheader,nounits"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let Ok(mut child) = command.spawn() else { return HashMap::new() };
    let (sender, answer) = channel();
    if let Some(mut stdout) = child.stdout.take() {
        thread::spawn(move || {
            let mut text = String::new();
            if stdout.read_to_string(&mut text).is_ok() {
                drop(sender.send(text));
            }
        });
    }
    let text = answer.recv_timeout(LIMIT).unwrap_or_default();
    drop(child.kill());
    // One that hangs in the driver cannot be waited for; it becomes nobody's child when we end.
    drop(child.try_wait());
    parse(&text)
}

/// Lines of `PID, MIB`. One process stands there once per GPU.
fn parse(text: &str) -> HashMap<u32, u64> {
    let mut held = HashMap::new();
    for line in text.lines() {
        let Some((pid, mib)) = line.split_once(',') else { continue };
        if let (Ok(pid), Ok(mib)) = (pid.trim().parse::<u32>(), mib.trim().parse::<u64>()) {
            *held.entry(pid).or_default() += mib << 20;
        }
    }
    held
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_on_two_gpus_is_summed_and_what_is_no_number_is_passed_over() {
        let held = parse("7, 100\n8, [N/A]\n7, 28\n\nNo devices were found\n");
        assert_eq!(held, HashMap::from([(7, 128 << 20)]));
    }
}
