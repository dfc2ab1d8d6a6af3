//! Running pixi and pixi-pack: what surrounds them, and patience with the network.
use crate::caches::Caches;
use crate::options::PackOptions;
use crate::staging::Staging;
use pixi::{Job, JobOutput, Kind, Network, redact, set_environment};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tool::{Code, Failure};

/// The longest pause before a download is tried again.
const PAUSE_CEILING: Duration = Duration::from_secs(300);

/// How programs are run.
pub(crate) struct Runner {
    variables: BTreeMap<String, String>,
    tmp: PathBuf,
    retries: u32,
    sleep: Duration,
}

impl Runner {
    pub(crate) fn new(options: &PackOptions, caches: &Caches, staging: &Staging) -> Self {
        Self {
            variables: caches.variables(),
            tmp: staging.tmp(),
            retries: options.retries,
            sleep: options.retry_sleep,
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
            if !matches!(ended.why().kind, Kind::Download(download) if download.is_transient()) {
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

    fn once(&self, label: &str, mut command: Command) -> Result<JobOutput, Failure> {
        set_environment(&mut command, &self.variables, &self.tmp, Network::Connected);
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        log::info!("{} {}", command.get_program().display(), redact(&words.join(" ")));
        Job::new(command).adopting().run(label.strip_prefix("cannot ").unwrap_or(label))
    }
}
