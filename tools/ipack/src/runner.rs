//! Running pixi and pixi-pack: what surrounds them, and patience with the network.
use crate::caches::Caches;
use crate::order::Order;
use crate::staging::Staging;
use pixi::{Ended, Job, Network, redact, surround};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tool::{Code, Failure};

/// The longest pause before a download is tried again.
const PAUSE_CEILING: Duration = Duration::from_secs(300);

/// What reqwest, rattler and uv say when the network or the other side is at fault.
const DOWNLOAD: [&str; 14] = [
    "error sending request",
    "error decoding response body",
    "connection",
    "timed out",
    "timeout",
    "dns error",
    "http status server error",
    "client error (408",
    "client error (429",
    "status: 5",
    "checksum mismatch",
    "incomplete message",
    "failed to download",
    "failed to fetch",
];
/// What no second try can change, whatever else is said.
const LASTING: [&str; 7] = [
    "client error (401",
    "client error (403",
    "client error (404",
    "client error (407",
    "status: 4",
    "no space left",
    "permission denied",
];

/// How programs are run.
pub(crate) struct Runner {
    variables: BTreeMap<String, String>,
    tmp: PathBuf,
    retries: u32,
    sleep: Duration,
}

impl Runner {
    pub(crate) fn new(order: &Order, caches: &Caches, staging: &Staging) -> Self {
        Self {
            variables: caches.variables(),
            tmp: staging.tmp(),
            retries: order.retries,
            sleep: order.retry_sleep,
        }
    }

    /// Run it to its end, to do `what`; it failing is a failure.
    pub(crate) fn run(&self, what: &str, command: &mut dyn FnMut() -> Command) -> Result<(), Failure> {
        let ended = self.once(what, command())?;
        if ended.status.success() { Ok(()) } else { Err(ended.failure(what)) }
    }

    /// The same for what downloads: where that is what failed it is tried again, after a pause that grows.
    pub(crate) fn download(&self, what: &str, command: &mut dyn FnMut() -> Command) -> Result<(), Failure> {
        let mut pause = self.sleep;
        for tried in 0.. {
            let ended = self.once(what, command())?;
            if ended.status.success() {
                break;
            }
            let mut failure = ended.failure(what);
            if !may_pass(&ended.tail) {
                return Err(failure);
            }
            if tried == self.retries {
                failure.code = Code::Later;
                let tries = format!("tried {} times", u64::from(tried) + 1);
                return Err(failure.hint(format!("{tries}; see that the network is there, and run it again")));
            }
            let left = self.retries - tried;
            log::warn!("{what}: {}; again in {} s, {left} tries left", failure.cause, pause.as_secs());
            std::thread::sleep(pause);
            pause = (pause * 2).min(PAUSE_CEILING.max(self.sleep));
        }
        Ok(())
    }

    fn once(&self, label: &str, mut command: Command) -> Result<Ended, Failure> {
        surround(&mut command, &self.variables, &self.tmp, Network::Connected);
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        log::info!("{} {}", command.get_program().display(), redact(&words.join(" ")));
        Job::new(command).run(label.strip_prefix("cannot ").unwrap_or(label))
    }
}

/// All that was said, on one line.
pub(crate) fn plain(tail: &[String]) -> String {
    tail.iter().flat_map(|line| line.split_whitespace()).collect::<Vec<_>>().join(" ")
}

/// Whether what a program said at its end reads as if a later try may succeed.
fn may_pass(tail: &[String]) -> bool {
    // An error may be broken into lines anywhere.
    let said = plain(tail).to_lowercase();
    DOWNLOAD.iter().any(|words| said.contains(words)) && !LASTING.iter().any(|words| said.contains(words))
}

#[cfg(test)]
mod tests {
    use super::may_pass;

    #[test]
    fn what_the_network_did_may_pass_and_the_rest_does_not() {
        for (line, expected) in [
            ("Error: could not download package: error sending request for url (http://x.invalid/a)", true),
            ("HTTP status server error (503 Service Unavailable) for url (http://x.invalid/a)", true),
            ("could not download package: Download a-1-0.conda failed, checksum mismatch", true),
            (
                "Failed to download pixi-unpack executable from http://x.invalid. Status: 502 Bad Gateway",
                true,
            ),
            ("HTTP status client error (404 Not Found) for url (http://x.invalid/a)", false),
            ("Failed to download pixi-unpack executable from http://x.invalid. Status: 404 Not Found", false),
            ("could not download package: No space left on device (os error 28)", false),
            ("package x is not a wheel", false),
        ] {
            assert_eq!(may_pass(&[line.to_owned(), "more".to_owned()]), expected, "{line}");
        }
    }
}
