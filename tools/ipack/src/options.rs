//! What was ordered: the command line with its defaults, every path absolute.
use crate::args::Args;
use crate::injected::{self, Injected};
use bundle::{Inventory, Manifest};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tool::vars::WORKSPACE_DIR;
use tool::{Code, Failure};

/// The command line, checked.
pub(crate) struct PackOptions {
    pub(crate) template: PathBuf,
    pub(crate) output: PathBuf,
    pub(crate) platform: String,
    pub(crate) environment: String,
    pub(crate) create_executable: bool,
    pub(crate) ignore_pypi_non_wheel: bool,
    pub(crate) rattler_config: Option<PathBuf>,
    /// pixi's cache, and rattler's where that is another.
    pub(crate) pixi_cache: PathBuf,
    pub(crate) rattler_cache: PathBuf,
    pub(crate) pack_cache: PathBuf,
    /// A path or a URL.
    pub(crate) unpack: Option<String>,
    pub(crate) retries: u32,
    pub(crate) retry_sleep: Duration,
    pub(crate) verify: bool,
    pub(crate) warmup: bool,
    pub(crate) update_lock: bool,
    /// What goes in beside what is locked.
    pub(crate) injected: Vec<Injected>,
    /// What another machine has, and is left out.
    pub(crate) have: Option<Inventory>,
}

impl PackOptions {
    pub(crate) fn of(args: Args) -> Result<Self, Failure> {
        let template = absolute(&args.template)?;
        let here = lock::host_platform();
        let platform = args.platform.unwrap_or_else(|| here.to_owned());
        let output = output(args.output, &template, args.create_executable)?;
        if platform != here && (!args.skip_verify || args.warmup) {
            let what = format!("cannot run tasks of an environment for {platform}");
            let cause = format!("this machine is {here}");
            return Err(Failure::new(Code::Unmet, what, cause).hint("pack it with --skip-verify"));
        }
        let given = |dir: Option<PathBuf>| dir.map(|dir| absolute(&dir)).transpose();
        let (rattler, pixi) = (given(args.rattler_cache_dir)?, given(args.pixi_cache_dir)?);
        let (pixi_cache, pack) = match (pixi.or_else(|| rattler.clone()), given(args.pixi_pack_cache_dir)?) {
            (Some(pixi), Some(pack)) => (pixi, pack),
            (pixi, pack) => {
                let own = own_cache()?;
                (pixi.unwrap_or_else(|| own.join("pixi")), pack.unwrap_or_else(|| own.join("pixi-pack")))
            }
        };
        let unpack = args.pixi_unpack_source.map(|source| program(&source, &platform)).transpose()?;
        let default = || on_path_for(&platform, here);
        Ok(Self {
            unpack: unpack.or_else(|| args.create_executable.then(default).flatten()),
            rattler_config: args.rattler_config.map(|file| readable(&file)).transpose()?,
            rattler_cache: rattler.unwrap_or_else(|| pixi_cache.clone()),
            template,
            output,
            platform,
            environment: args.environment,
            create_executable: args.create_executable,
            ignore_pypi_non_wheel: args.ignore_pypi_non_wheel,
            pixi_cache,
            pack_cache: pack,
            retries: args.retries,
            retry_sleep: Duration::from_secs(args.retry_sleep.into()),
            verify: !args.skip_verify,
            warmup: args.warmup,
            update_lock: args.update_lock,
            injected: injected::all(&args.inject)?,
            have: args.have.map(|path| Inventory::read(&path)).transpose()?,
        })
    }

    /// The bundle's file name.
    pub(crate) fn name(&self) -> String {
        self.output.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The project's tasks that are run, in their order.
    pub(crate) fn tasks(&self) -> Vec<&'static str> {
        let tasks = [("verify", self.verify), ("smoke", self.warmup)];
        tasks.into_iter().filter(|(_, runs)| *runs).map(|(task, _)| task).collect()
    }

    /// Whether the program for the `.sh` is downloaded, as it is every time.
    pub(crate) fn fetches_program(&self) -> bool {
        self.create_executable && self.unpack.as_deref().is_none_or(is_url)
    }
}

fn is_url(source: &str) -> bool {
    source.contains("://")
}

/// Where the bundle goes. pixi-pack gives every script its ending, and so do we.
fn output(given: Option<PathBuf>, template: &Path, executable: bool) -> Result<PathBuf, Failure> {
    let ending = if executable { "sh" } else { "tar" };
    let output = match given {
        None => format!("{}-offline-bundle.{ending}", name_of(template)).into(),
        Some(path) if executable && path.extension().is_none_or(|e| e != "sh") => path.with_extension("sh"),
        Some(path) => path,
    };
    let refused = |cause: &str| {
        Err(Failure::new(Code::Usage, format!("cannot write a bundle to {}", output.display()), cause))
    };
    let other = |path: &Path| std::fs::metadata(path).is_ok_and(|there| !there.is_file());
    let other = other(&output) || other(&Manifest::path_for(&output));
    if output.file_name().is_none() || output.as_os_str() == "-" || other {
        return refused("it must be the name of a file").map_err(|f| f.hint("end --output with a file name"));
    }
    if !executable && output.extension().is_some_and(|extension| extension == "sh") {
        return refused("it is named as a script").map_err(|f| f.hint("add --create-executable"));
    }
    if output.extension().is_some_and(|extension| extension == "gz" || extension == "tgz") {
        let hint = "end it with .tar: the packages in it are compressed already";
        return refused("it is named as a compressed tar").map_err(|f| f.hint(hint));
    }
    absolute(&output)
}

/// The workspace's name in pixi.toml, else the folder's.
fn name_of(template: &Path) -> String {
    let said = std::fs::read_to_string(template.join(pixi::manifest_of(template))).ok().and_then(|text| {
        let table: toml::Table = text.parse().ok()?;
        let pixi = table.get("tool").and_then(|tool| tool.get("pixi"));
        let workspace =
            |table: &toml::Value| table.get("workspace").and_then(|found| found.get("name")).cloned();
        let name = pixi.and_then(workspace).or_else(|| workspace(&toml::Value::Table(table.clone())));
        let name = name.or_else(|| table.get("project")?.get("name").cloned())?;
        Some(name.as_str()?.to_owned())
    });
    let usable = said.filter(|name| !name.is_empty() && !name.starts_with('.') && !name.contains('/'));
    usable.unwrap_or_else(|| {
        template.file_name().map_or_else(|| "pixi".into(), |name| name.to_string_lossy().into_owned())
    })
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| {
        Failure::io(Code::Usage, format!("cannot use the path '{}'", path.display()), &error)
    })
}

/// `infer-dev/pack` in the workspace's `.cache`, as a container's home goes away with it, else in the user's, so that a second
/// run finds what the first has downloaded.
fn own_cache() -> Result<PathBuf, Failure> {
    let base = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let hidden = |name: &str| base(name).map(|folder| folder.join(".cache"));
    let cache = hidden(WORKSPACE_DIR).or_else(|| base("XDG_CACHE_HOME")).or_else(|| hidden("HOME"));
    cache.map(|cache| cache.join("infer-dev/pack")).ok_or_else(|| {
        Failure::new(Code::Unmet, "no place for the caches", "neither HOME nor XDG_CACHE_HOME is set")
            .hint("set one, or give --pixi-cache-dir and --pixi-pack-cache-dir")
    })
}

fn readable(file: &Path) -> Result<PathBuf, Failure> {
    let file = absolute(file)?;
    std::fs::read(&file)
        .map_err(|error| Failure::io(Code::Unmet, format!("cannot read {}", file.display()), &error))?;
    Ok(file)
}

/// The pixi-unpack to put into the script. It is looked at before anything is downloaded: where the bundle is installed,
/// nobody can bring another.
fn program(source: &str, platform: &str) -> Result<String, Failure> {
    if is_url(source) {
        return Ok(source.to_owned());
    }
    let path = absolute(Path::new(source))?;
    let cannot =
        |error: io::Error| Failure::io(Code::Unmet, format!("cannot take {}", path.display()), &error);
    let stat = std::fs::metadata(&path).map_err(cannot)?;
    if !stat.is_file() || stat.len() == 0 {
        return Err(cannot(io::Error::other("not a program")));
    }
    let mut head = Vec::new();
    let file = std::fs::File::open(&path).map_err(cannot)?;
    file.take(ELF_HEAD).read_to_end(&mut head).map_err(cannot)?;
    if elf::is_for_another(&head, platform) {
        let other = io::Error::other(format!("it is for another machine than {platform}"));
        return Err(cannot(other).hint("name the pixi-unpack of the bundle's platform"));
    }
    Ok(path.to_string_lossy().into_owned())
}

/// Bytes of an ELF file's first header.
const ELF_HEAD: u64 = 64;

/// The pixi-unpack on PATH, where it is for the bundle's platform. Without one pixi-pack downloads its own.
fn on_path_for(platform: &str, here: &str) -> Option<String> {
    let found = (platform == here).then(|| pixi::on_path("pixi-unpack", "").ok()).flatten()?;
    Some(found.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_gets_its_ending_and_a_tar_is_not_named_as_one() {
        let of = |path: &str, executable| output(Some(path.into()), Path::new("/t"), executable);
        assert_eq!(of("/x/b.tar", false).unwrap(), Path::new("/x/b.tar"));
        assert_eq!(of("/x/b.tar", true).unwrap(), Path::new("/x/b.sh"));
        assert_eq!(of("/x/b.sh", true).unwrap(), Path::new("/x/b.sh"));
        let refused = ["/x/b.sh", "-", "/", "/tmp", "/dev/null", "/x/b.tar.gz", "/x/b.tgz"];
        for path in refused {
            assert_eq!(of(path, false).unwrap_err().code, Code::Usage, "{path}");
        }
        assert!(output(None, Path::new("/t"), true).unwrap().ends_with("t-offline-bundle.sh"));
    }

    #[test]
    fn the_program_of_another_machine_is_not_taken() {
        let own = std::env::current_exe().unwrap();
        let (own, here) = (own.to_str().unwrap(), lock::host_platform());
        let other = if here == "linux-64" { "linux-aarch64" } else { "linux-64" };
        assert_eq!(program(own, here).unwrap(), own);
        assert!(program(own, other).unwrap_err().cause.ends_with(other));
    }
}
