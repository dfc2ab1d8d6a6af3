//! What is around a cache and not in it: who may use it, what it lies on, and what else points pixi somewhere.
use crate::cache_entry::CacheEntry;
use crate::reader::Reader;
use record::{Env, Warning};
use rustix::fs::Access;
use std::io;
use std::path::{Path, PathBuf};

/// pixi's variables that say where its packages are; what it installs with says the same under the same names.
const VARIABLES: [&str; 4] =
    ["PIXI_CACHE_DIR", "RATTLER_CACHE_DIR", "PIXI_CACHE_CONDA_PACKAGES_DIR", "PIXI_CACHE_PYPI_WHEELS_DIR"];

/// More than any configuration of pixi has.
const CONFIG_BYTES: usize = 4 << 20;

/// Keys of `[cache]` in pixi's configuration that do.
const KEYS: [&str; 3] = ["root", "conda-packages", "pypi-wheels"];

/// The cache's surroundings, and what an operator should know of them.
pub(crate) struct CacheSettings<'a> {
    env: &'a Env,
    reader: &'a Reader,
    warnings: Vec<Warning>,
}

impl<'a> CacheSettings<'a> {
    /// Look around, with the reader's rights.
    pub(crate) fn of(env: &'a Env, reader: &'a Reader, cache_root: &Path) -> Self {
        let mut setting = Self { env, reader, warnings: Vec::new() };
        setting.layer(cache_root);
        setting.variables();
        setting.configurations();
        setting
    }

    pub(crate) fn warnings(self) -> Vec<Warning> {
        self.warnings
    }

    fn warn(&mut self, rule: &str, what: String, hint: impl Into<String>) {
        let (engine, hint) = (Some(self.env.engine), hint.into());
        self.warnings.push(Warning { engine, instance: None, rule: rule.to_owned(), what, hint });
    }

    fn layer(&mut self, cache_root: &Path) {
        // Each store may lie elsewhere, behind a link.
        let stores = [self.env.conda_pkgs_dir.as_deref(), self.env.uv_cache_dir.as_deref()];
        let mut folders = std::iter::once(cache_root).chain(stores.into_iter().flatten());
        let lost = folders.find(|folder| owner::exists(folder) && store::on_container_layer(folder));
        if let Some(folder) = lost {
            let what = format!("{} is on the container's own layer", folder.display());
            let hint = "it goes away with the container; mount a volume there";
            self.warn("cache_on_container_layer", what, hint);
        }
    }

    fn variables(&mut self) {
        for name in VARIABLES {
            let Some(value) = std::env::var_os(name).filter(|value| !value.is_empty()) else { continue };
            let Some(ours) = self.env.environment.get(name).filter(|ours| value != ours.as_str()) else {
                continue;
            };
            let what = format!("{name} is set to {}, the cache's is {ours}", Path::new(&value).display());
            let hint = "iinstall and iwarm set it for pixi; for pixi by hand evaluate ienv --export first";
            self.warn("pixi_cache_variable", what, hint);
        }
    }

    fn configurations(&mut self) {
        let home = |name: &str, below: &str| std::env::var_os(name).map(|home| Path::new(&home).join(below));
        let files = [
            self.env.template_dir.as_ref().map(|template| template.join(".pixi/config.toml")),
            Some(PathBuf::from("/etc/pixi/config.toml")),
            home("XDG_CONFIG_HOME", "pixi/config.toml").or_else(|| home("HOME", ".config/pixi/config.toml")),
            home("PIXI_HOME", "config.toml").or_else(|| home("HOME", ".pixi/config.toml")),
        ];
        for file in files.into_iter().flatten() {
            // What cannot be read or is not TOML is pixi's to complain of.
            let Ok(bytes) = owner::read_file(&file, CONFIG_BYTES) else { continue };
            let text = String::from_utf8_lossy(&bytes);
            let Ok(config) = text.parse::<toml::Table>() else { continue };
            let Some(cache) = config.get("cache").and_then(toml::Value::as_table) else { continue };
            let keys: Vec<&str> = KEYS.into_iter().filter(|key| cache.contains_key(*key)).collect();
            if !keys.is_empty() {
                let what = format!("{} has a [cache] table with {}", file.display(), keys.join(", "));
                let hint = "pixi started by iinstall and iwarm does not follow it, pixi by hand does unless ienv \
                            --export is evaluated first";
                self.warn("pixi_cache_config", what, hint);
            }
        }
    }

    /// Whether who installs may use the stores and what was found in them.
    pub(crate) fn places<'f>(&mut self, found: impl Iterator<Item = &'f CacheEntry>) {
        let stores = [self.env.conda_pkgs_dir.clone(), self.env.uv_cache_dir.clone()];
        let mut written: Vec<PathBuf> = stores.into_iter().flatten().collect();
        written.extend(self.env.conda_pkgs_dir.as_ref().map(|pkgs| pkgs.join(".cache.lock")));
        for found in found {
            // Up to rattler_cache 0.10 it opens these to write, even to read them.
            written.extend(matches!(found, CacheEntry::Conda(_)).then(|| found.label().to_owned()));
        }
        if let Some((what, because)) = self.refused("write", written, Access::WRITE_OK) {
            let hint = "pixi fails on a cache that it cannot write to, even when all is there; iinstall goes round \
                        that with a shadow of it beside the install, which takes space";
            let hint = match because {
                io::ErrorKind::ReadOnlyFilesystem => hint.to_owned(),
                _ => format!("{hint}; or give the cache to who installs, with chown -R"),
            };
            self.warn("cache_not_writable", what, hint);
        }
    }

    /// The first path that who installs may not use like this, in words with how many more, and why. What is not there
    /// is not refused.
    fn refused(&self, verb: &str, paths: Vec<PathBuf>, wanted: Access) -> Option<(String, io::ErrorKind)> {
        let check = move || {
            // rattler goes by the mode of its folder, whoever it is that asks.
            let closed = |path: &Path| {
                wanted.contains(Access::WRITE_OK)
                    && owner::metadata(path).is_ok_and(|stat| stat.is_dir() && stat.permissions().readonly())
            };
            let refusal = |path: &PathBuf| match child::permitted(path, wanted) {
                Ok(()) if closed(path) => Some((path.clone(), rustix::io::Errno::ACCESS.into())),
                Ok(()) | Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => None,
                Err(error) => Some((path.clone(), io::Error::from(error))),
            };
            let mut refusals = paths.iter().filter_map(refusal);
            refusals.next().map(|(path, error)| (path, error, refusals.count()))
        };
        let who =
            self.reader.user().map_or_else(|| "this user".to_owned(), |user| format!("user {}", user.name));
        // A caller who may not become the user has had that failure.
        let refused = self.reader.act(check).ok()?;
        let (path, error, others) = refused?;
        let more = if others == 0 { String::new() } else { format!(", nor {others} more") };
        let what = format!("{who} cannot {verb} {}{more}: {}", path.display(), tool::io_text(&error));
        Some((what, error.kind()))
    }

    pub(crate) fn manifest_old(&mut self, manifest: &Path) {
        let what = format!("the manifest {} does not know which files may be run", manifest.display());
        let hint = "an older icache wrote it; where the cache is known to be whole, run icache --record";
        self.warn("manifest_old", what, hint);
    }

    pub(crate) fn manifest_lacks(&mut self, manifest: &Path, count: usize) {
        let what = format!("the manifest {} does not have {count} of the packages", manifest.display());
        let hint =
            "it was recorded for another environment or platform; run icache --record for this one too";
        self.warn("manifest_incomplete", what, hint);
    }
}
