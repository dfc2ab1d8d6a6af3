//! The tests' own pixi, pixi-pack and pixi-unpack: they do what the real ones do with real data.
use crate::kit::{Output, Pixi, Sandbox, fixture};

/// A sandbox with the programs on PATH and the real template and cache; nothing may be downloaded.
fn offline() -> Sandbox {
    let mut sandbox = Sandbox::new();
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", Pixi::get().bin.display());
    sandbox.set("PATH", &path);
    fixture::tiny(&sandbox.path(""));
    for (name, folder) in [("PIXI_CACHE_DIR", "conda/rattler"), ("PIXI_CACHE_PYPI_WHEELS_DIR", "pypi/uv")] {
        let folder = sandbox.text(&format!("cache/{folder}"));
        sandbox.set(name, &folder);
    }
    sandbox.set("PIXI_OFFLINE", "1");
    sandbox
}

fn install(sandbox: &Sandbox) -> Output {
    sandbox.sh("cd template; unshare -rn pixi install --frozen")
}

const IMPORTS: &str = "import six, idna, markupsafe._speedups; print(six.__version__, idna.__version__)";

#[test]
fn a_real_cache_installs_with_no_network() {
    let sandbox = offline();
    install(&sandbox).exits(0);
    let python = sandbox.sh(&format!("template/.pixi/envs/default/bin/python -c '{IMPORTS}'"));
    assert_eq!(python.exits(0).stdout, "1.17.0 3.20\n");
    install(&sandbox).exits(0);
}
