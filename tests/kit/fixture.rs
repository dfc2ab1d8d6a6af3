//! Templates, caches and bundles for tests.
use super::pixi::copy;
use super::{Loopback, Pixi, root};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// `template` and `cache` (`conda/rattler` and `pypi/uv`) below a folder: what pixi 0.77.0 wrote of a workspace of three
/// conda packages and three wheels. All the caller's own.
pub(crate) fn tiny(into: &Path) {
    for part in ["template", "cache"] {
        copy(&Pixi::get().tiny.join(part), into);
    }
}

/// The bundle that pixi-pack 0.7.10 made of that workspace.
pub(crate) fn bundle() -> PathBuf {
    root().join("tests/data/bundle-tiny.tar")
}

/// `template` of an engine, `sglang` or `vllm`, below a folder, and the channel that it is installed from: Python 3.11, a
/// `torch` and the engine, which import, tell their versions and start a server that answers, and hold no more.
/// See `tests/standin/channel` for the variables that make them fail.
pub(crate) fn template(engine: &str, into: &Path) -> Loopback {
    let channel = Loopback::channel(&into.join("www"));
    let mut generator = Command::new(root().join("tests/standin/channel"));
    run(generator.arg(engine).arg(bundle()).arg(channel.url()).arg(into));
    channel
}

/// The same, and `cache` with all that it needs, written by pixi.
pub(crate) fn engine(name: &str, into: &Path) -> Loopback {
    let channel = template(name, into);
    let (cache, pixi) = (into.join("cache"), Pixi::get());
    // Python is large and in every cache: where it is, pixi leaves it as it is.
    copy(&pixi.tiny.join("cache/conda"), &cache);
    let uv = cache.join("pypi/uv");
    let mut install = Command::new(pixi.pixi());
    install.args(["install", "--frozen", "--manifest-path"]).arg(into.join("template/pixi.toml"));
    install.env_clear().env("HOME", into).env("PATH", "/usr/bin:/bin");
    install.env("PIXI_CACHE_DIR", cache.join("conda/rattler")).env("PIXI_CACHE_PYPI_WHEELS_DIR", &uv);
    run(&mut install);
    std::fs::remove_dir_all(into.join("template/.pixi")).unwrap();
    // pixi leaves only wheels; the rest is uv's own, or of an environment that is gone.
    for entry in std::fs::read_dir(&uv).unwrap().map(Result::unwrap) {
        if entry.file_name() != "wheels-v6" && entry.file_name() != "archive-v0" {
            let path = entry.path();
            if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }.unwrap();
        }
    }
    channel
}

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
}
