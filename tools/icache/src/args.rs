//! The command line of icache.
use clap::Parser;
use std::path::PathBuf;

#[derive(Parser)]
#[command(version, about)]
pub(crate) struct Args {
    /// Hash every file of every package, not only look it up
    #[arg(long)]
    pub(crate) deep: bool,
    /// After a deep pass without gaps, write the cache's manifest; the default for a cache that was filled just now
    #[arg(long)]
    pub(crate) record: bool,
    /// Deep, but hash only files that changed since the pass noted in FILE, and note this pass there
    #[arg(long, value_name = "FILE", conflicts_with = "record")]
    pub(crate) since: Option<PathBuf>,
    /// Move what is damaged out of the way, so that iwarm fetches it
    #[arg(long, conflicts_with_all = ["record", "bring"])]
    pub(crate) repair: bool,
    /// Take files that were fetched into DIR into the cache, where it lacks them
    #[arg(long, value_name = "DIR")]
    pub(crate) bring: Option<PathBuf>,
    /// Write to FILE what has to be fetched, and to FILE.curl and FILE.aria2 the same for these programs
    #[arg(long, value_name = "FILE")]
    pub(crate) missing: Option<PathBuf>,
    /// Leave out of that what this list of the other side has
    #[arg(long, value_name = "FILE", requires = "missing")]
    pub(crate) known: Option<PathBuf>,
    /// Write to FILE a list of what is here
    #[arg(long, value_name = "FILE")]
    pub(crate) have: Option<PathBuf>,
    /// Make a conda channel and an index of wheels in DIR of a cache that is whole, for a mirror
    #[arg(long, value_name = "DIR", conflicts_with_all = ["repair", "since"])]
    pub(crate) export_channel: Option<PathBuf>,
    /// What cannot be proved blocks too
    #[arg(long)]
    pub(crate) strict: bool,
    /// Platform of the lock file, where it has several for this machine
    #[arg(long, value_name = "NAME")]
    pub(crate) platform: Option<String>,
    /// Threads that hash [default: one per processor]
    #[arg(short, long, value_name = "N")]
    pub(crate) jobs: Option<usize>,
}
