//! The command line of iinstall.
use crate::inherited::{Descriptors, Inherited};
use std::time::Duration;

#[derive(clap::Parser)]
#[command(version, about)]
pub(crate) struct Args {
    /// Hash the archive again even where it looks as it did
    #[arg(long)]
    pub(crate) rehash: bool,
    /// Flip back to the install that was current before
    #[arg(long, conflicts_with = "rehash")]
    pub(crate) rollback: bool,
    /// Previous installs to keep
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) keep: usize,
    /// How long to wait for another iinstall on the same folder
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub(crate) wait: u64,
    /// Let a bundle's script that we cannot read run itself, sealed
    #[arg(long)]
    pub(crate) run_sh: bool,
    /// Make the install directory, copy the template into it, and install nothing
    #[arg(long, conflicts_with_all = ["rehash", "rollback", "run_sh"])]
    pub(crate) prepare: bool,
    /// Fail where nothing says what to install, whatever is installed already
    #[arg(long, conflicts_with = "rollback")]
    pub(crate) insist: bool,
    /// Print what the installed engine is made of instead, as CycloneDX
    #[arg(long, conflicts_with_all = ["rehash", "rollback", "run_sh", "prepare", "insist", "keep", "wait"])]
    pub(crate) sbom: bool,
    #[command(flatten)]
    pub(crate) inherited: Descriptors,
}

impl Args {
    /// How long to wait for whoever holds a lock.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.wait)
    }

    /// The same for ourselves as another user.
    pub(crate) fn inherited_arguments(&self, inherited: &Inherited) -> Vec<String> {
        let mut args = vec![format!("--keep={}", self.keep), format!("--wait={}", self.wait)];
        args.extend(self.rehash.then(|| "--rehash".to_owned()));
        args.extend(self.rollback.then(|| "--rollback".to_owned()));
        args.extend(self.run_sh.then(|| "--run-sh".to_owned()));
        args.extend(self.prepare.then(|| "--prepare".to_owned()));
        args.extend(self.insist.then(|| "--insist".to_owned()));
        args.extend(inherited.arguments());
        args
    }
}
