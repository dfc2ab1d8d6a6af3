//! The layout of a pixi cache, and what pixi is told.
use super::{env, set, with};
use crate::kit::Sandbox;
use insta::assert_snapshot;
use serde_json::Value;

/// An `env` record's layout and stores.
fn layout(sandbox: &Sandbox) -> [String; 4] {
    let record = env(sandbox, "ienv vllm");
    let text = |value: &Value| value.as_str().unwrap().replace("$SANDBOX/c/", "");
    let fields = ["cache_layout", "conda_pkgs_dir", "uv_cache_dir"].map(|field| text(&record[field]));
    let [name, pkgs, uv] = fields;
    let environment = &record["environment"];
    let root = pkgs.strip_suffix("/pkgs").unwrap();
    for (name, expected) in [
        ("PIXI_CACHE_DIR", root),
        ("RATTLER_CACHE_DIR", root),
        ("PIXI_CACHE_CONDA_PACKAGES_DIR", &pkgs),
        ("PIXI_CACHE_PYPI_WHEELS_DIR", &uv),
        ("UV_CACHE_DIR", &uv),
        ("PIP_CACHE_DIR", "pypi/pip"),
        ("XDG_CACHE_HOME", "xdg"),
    ] {
        assert_eq!(text(&environment[name]), expected, "{name}");
    }
    [name, pkgs, uv, text(&record["origin"]["cache_layout"])]
}

#[test]
fn a_cache_is_used_as_it_is_laid_out() {
    for (folders, expected) in [
        ("", ["split", "conda/rattler/pkgs", "pypi/uv", "default"]),
        ("conda/rattler/pkgs/six-1-0 pypi/uv/wheels-v6", ["split", "conda/rattler/pkgs", "pypi/uv", "disk"]),
        ("pixi/pkgs/six-1-0 pixi/uv-cache/wheels-v6", ["pixi", "pixi/pkgs", "pixi/uv-cache", "disk"]),
        (
            "conda/rattler/pkgs/six-1-0 conda/rattler/uv-cache/wheels-v5",
            ["rattler", "conda/rattler/pkgs", "conda/rattler/uv-cache", "disk"],
        ),
    ] {
        let sandbox = with(&[("VLLM_CACHE_ROOT", "$c")]);
        sandbox.sh(&format!("mkdir c; cd c; mkdir -p . {folders}")).exits(0).transcript();
        assert_eq!(layout(&sandbox), expected);
    }
}

#[test]
fn two_layouts_in_one_cache_warn_unless_no_install_looks_there() {
    let mut sandbox = with(&[("VLLM_CACHE_ROOT", "$c")]);
    sandbox
        .sh("mkdir -p c/pypi/uv/wheels-v6 c/pixi/pkgs/six-1-0 c/pixi/uv-cache/wheels-v6")
        .exits(0)
        .transcript();
    let output = sandbox.sh("ienv vllm").exits(0);
    assert_snapshot!(output.stderr, @r#"
    ienv: warning: $SANDBOX/c holds more than one cache layout; not used: $SANDBOX/c/pixi/pkgs, $SANDBOX/c/pixi/uv-cache
    ienv: hint: move what is missing to where the used layout has it, or delete the rest
    "#);
    assert_eq!(output.kinds(), ["warning", "env"]);
    set(&mut sandbox, "VLLM_BUNDLE_PATH", "/b.tar");
    assert_eq!(sandbox.sh("ienv vllm").exits(0).kinds(), ["env"]);
}

#[test]
fn a_store_that_cannot_be_read_is_named() {
    let sandbox = with(&[("VLLM_CACHE_ROOT", "$c")]);
    sandbox.sh("mkdir -p c/pypi; ln -s uv c/pypi/uv").exits(0).transcript();
    let output = sandbox.sh("ienv vllm").exits(0);
    assert_snapshot!(output.stderr, @r#"
    ienv: warning: cannot read $SANDBOX/c/pypi/uv: Too many levels of symbolic links
    ienv: hint: the cache is taken to have our own layout; let this user read it
    "#);
    assert_eq!(output.one("env")["cache_layout"], "split");
}

#[test]
fn what_conda_knows_of_the_machine_goes_on_to_pixi() {
    let output = Sandbox::new().sh("CONDA_OVERRIDE_CUDA=12.8 CONDA_OVERRIDE_GLIBC= ienv sglang").exits(0);
    let environment = &output.one("env")["environment"];
    assert_eq!(environment["CONDA_OVERRIDE_CUDA"], "12.8");
    assert_eq!(environment["CONDA_OVERRIDE_GLIBC"], "", "says that there is none");
}
