//! The command line of ipack.
use clap::Parser;
use std::path::PathBuf;

#[derive(Parser)]
#[command(version, about, args_override_self = true)]
pub(crate) struct Args {
    /// Folder with pixi.toml and pixi.lock
    #[arg(long, alias = "template-dir", value_name = "DIR")]
    pub(crate) template: PathBuf,
    /// The bundle [default: NAME-offline-bundle.tar, or .sh, here]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Platform to pack for [default: this machine's]
    #[arg(short, long, value_name = "NAME")]
    pub(crate) platform: Option<String>,
    /// pixi environment to pack
    #[arg(short, long, value_name = "NAME", default_value = "default")]
    pub(crate) environment: String,
    /// Make a self-extracting .sh
    #[arg(long)]
    pub(crate) create_executable: bool,
    /// Leave out Python packages that have no wheel
    #[arg(long)]
    pub(crate) ignore_pypi_non_wheel: bool,
    /// Put this package in too, a .conda, .tar.bz2 or .whl; may be given several times
    #[arg(short, long, value_name = "FILE")]
    pub(crate) inject: Vec<PathBuf>,
    /// Leave out what this list of another machine has
    #[arg(long, value_name = "FILE", conflicts_with = "create_executable")]
    pub(crate) have: Option<PathBuf>,
    /// Configuration with mirrors, for pixi-pack
    #[arg(long, value_name = "FILE")]
    pub(crate) rattler_config: Option<PathBuf>,
    /// pixi's cache, where --pixi-cache-dir is not given
    #[arg(long, value_name = "DIR")]
    pub(crate) rattler_cache_dir: Option<PathBuf>,
    /// pixi's cache
    #[arg(long, value_name = "DIR")]
    pub(crate) pixi_cache_dir: Option<PathBuf>,
    /// pixi-pack's cache
    #[arg(long, value_name = "DIR")]
    pub(crate) pixi_pack_cache_dir: Option<PathBuf>,
    /// pixi-unpack for the .sh [default: the one on PATH]
    #[arg(long, value_name = "PATH|URL", requires = "create_executable")]
    pub(crate) pixi_unpack_source: Option<String>,
    /// How often to try again when a download fails
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) retries: u32,
    /// Pause before that, doubled each time
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    pub(crate) retry_sleep: u32,
    /// Do not run the project's task verify
    #[arg(long)]
    pub(crate) skip_verify: bool,
    /// Run the project's task smoke too: a short server start
    #[arg(long)]
    pub(crate) warmup: bool,
    /// Bring the lock file up to date and write it back
    #[arg(long)]
    pub(crate) update_lock: bool,
}
