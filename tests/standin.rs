//! The tests' own pixi, pixi-pack and pixi-unpack: they do what the real ones do, on what the real ones made.
use crate::kit::{Loopback, Output, Pixi, Sandbox, as_root, fixture};

/// A sandbox with the programs on PATH, and the variables of a cache below it.
fn with_programs() -> Sandbox {
    let mut sandbox = Sandbox::new();
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", Pixi::get().bin.display());
    sandbox.set("PATH", &path);
    for (name, folder) in [("PIXI_CACHE_DIR", "conda/rattler"), ("PIXI_CACHE_PYPI_WHEELS_DIR", "pypi/uv")] {
        let folder = sandbox.text(&format!("cache/{folder}"));
        sandbox.set(name, &folder);
    }
    sandbox
}

/// The same with the real template and cache; nothing may be downloaded.
fn offline() -> Sandbox {
    let mut sandbox = with_programs();
    fixture::tiny(&sandbox.path(""));
    sandbox.set("PIXI_OFFLINE", "1");
    sandbox
}

/// In a namespace without network.
fn install(sandbox: &Sandbox) -> Output {
    sandbox.sh("cd template; unshare -rn pixi install --frozen")
}

const IMPORTS: &str = "import six, idna, markupsafe._speedups; print(six.__version__, idna.__version__)";

fn imports(sandbox: &Sandbox, prefix: &str) {
    let python = sandbox.sh(&format!("{prefix}/bin/python -c '{IMPORTS}'")).exits(0);
    assert_eq!(python.stdout, "1.17.0 3.20\n");
}

#[test]
fn a_real_cache_installs_with_no_network() {
    let sandbox = offline();
    for _ in 0..2 {
        let output = install(&sandbox).exits(0);
        assert!(output.stderr.contains("The default environment has been installed"), "{}", output.stderr);
        imports(&sandbox, "template/.pixi/envs/default");
    }
    let marker = sandbox.read("template/.pixi/envs/default/conda-meta/pixi");
    assert!(marker.contains(r#""environment_name": "default""#), "{marker}");
}

/// The packed python was built on some machine; what it loads must not lie there.
#[test]
fn the_packed_python_loads_only_what_was_packed_with_it_and_the_systems_c_library() {
    let sandbox = with_programs();
    drop(sandbox.sh(&format!("pixi-unpack -o out '{}'", fixture::bundle().display())).exits(0));
    let script =
        "import math, select, sys, _struct; print(*sys.path, open('/proc/self/maps').read(), sep='\\n')";
    let output = sandbox.sh(&format!("out/env/bin/python -I -c \"{script}\"")).exits(0);
    let paths = output.stdout.lines().filter_map(|line| line.find(['/', '$']).map(|at| &line[at..]));
    let foreign: Vec<&str> = paths
        .filter(|path| !path.starts_with("$SANDBOX/out/env/"))
        .filter(|path| !["/libc.so.6", "/libm.so.6"].iter().any(|library| path.ends_with(library)))
        .filter(|path| !path.contains("/ld-linux") && !path.starts_with("/usr/lib/locale/"))
        .filter(|path| !path.ends_with("/gconv-modules.cache"))
        .collect();
    assert!(foreign.is_empty(), "{foreign:#?}");
    assert!(output.stdout.contains("$SANDBOX/out/env/lib/libpython3.11.so.1.0"), "{}", output.stdout);
}

#[test]
fn another_user_installs_and_unpacks_too() {
    if !as_root() {
        return;
    }
    let sandbox = offline();
    Pixi::get().copied(&sandbox.path("programs"));
    std::fs::copy(fixture::bundle(), sandbox.path("bundle.tar")).unwrap();
    let script = "chown -R nobody . && exec setpriv --reuid nobody --clear-groups unshare -rn bash -euc '
        PATH=$PWD/programs/bin:$PATH
        pixi install --frozen --manifest-path template/pixi.toml
        pixi-unpack -o out bundle.tar'";
    drop(sandbox.sh(script).exits(0));
    imports(&sandbox, "template/.pixi/envs/default");
    imports(&sandbox, "out/env");
}

/// What was said on one line: pixi breaks its lines at 80 columns.
fn flat(said: &str) -> String {
    let drawn = |word: &&str| !["│", "├─▶", "╰─▶", "|", "`->", "|->"].contains(word);
    said.split_whitespace().filter(drawn).collect::<Vec<_>>().join(" ")
}

#[test]
fn what_the_cache_lacks_is_named_as_pixi_names_it() {
    for (gone, words) in [
        (
            "conda/rattler/pkgs/tinylib-1.0-h1111111_0",
            ["failed to fetch tinylib-1.0-h1111111_0.tar.bz2", "network access is disabled by offline mode"],
        ),
        (
            "pypi/uv/wheels-v6/pypi/six",
            [
                "Failed to download `six==1.17.0`",
                "Network connectivity is disabled, but the requested data wasn't found in the cache",
            ],
        ),
    ] {
        let sandbox = offline();
        std::fs::remove_dir_all(sandbox.path("cache").join(gone)).unwrap();
        let output = install(&sandbox).exits(1);
        for word in words {
            assert!(flat(&output.stderr).contains(word), "{}", output.stderr);
        }
    }
}

#[test]
fn a_lock_that_lacks_a_dependency_is_not_up_to_date() {
    let sandbox = offline();
    drop(sandbox.sh("cd template; pixi lock --check; pixi install --locked").exits(0));
    drop(sandbox.sh("sed -i 's/^six = .*/six = \"==1.18\"/' template/pixi.toml").exits(0));
    for (command, word) in [
        ("lock --check", "there is no version of six==1.18"),
        ("install --locked", "lock file not up-to-date with the workspace"),
    ] {
        let output = sandbox.sh(&format!("cd template; pixi {command}")).exits(1);
        assert!(flat(&output.stderr).contains(word), "{}", output.stderr);
    }
    // Frozen asks for nothing.
    drop(install(&sandbox).exits(0));
}

#[test]
fn a_command_and_a_task_run_inside_and_their_exit_code_comes_out() {
    let sandbox = offline();
    let manifest = sandbox.read("template/pixi.toml") + "[tasks]\nanswer = \"python -c 'exit(42)'\"\n";
    sandbox.write("template/pixi.toml", manifest);
    drop(sandbox.sh("cd template; pixi run --frozen answer").exits(42));
    let which = sandbox.sh("pixi run --as-is --manifest-path template/pixi.toml which python").exits(0);
    assert_eq!(which.stdout, "$SANDBOX/template/.pixi/envs/default/bin/python\n");
    let hook = sandbox.sh("cd template; pixi shell-hook --as-is --json").exits(0);
    let hook: serde_json::Value = serde_json::from_str(&hook.stdout).unwrap();
    assert_eq!(hook["environment_variables"]["CONDA_PREFIX"], "$SANDBOX/template/.pixi/envs/default");
}

#[test]
fn a_real_bundle_unpacks_with_no_network_and_packs_to_the_same_bytes() {
    let sandbox = with_programs();
    let bundle = fixture::bundle();
    let (bundle, unpack) = (bundle.display(), Pixi::get().unpack());
    let unpack = unpack.display();
    drop(sandbox.sh(&format!("unshare -rn pixi-unpack -o out '{bundle}'")).exits(0));
    imports(&sandbox, "out/env");
    assert!(sandbox.read("out/activate.sh").contains("/out/env/bin"));

    fixture::tiny(&sandbox.path(""));
    drop(
        sandbox
            .sh(&format!(
                "mkdir packed; tar xf '{bundle}' -C packed; mv packed/channel keep; mv packed/pypi keep"
            ))
            .exits(0),
    );
    drop(sandbox.sh("unshare -rn pixi-pack template --use-cache keep -o again.tar").exits(0));
    drop(sandbox.sh(&format!("cmp again.tar '{bundle}'")).exits(0));
    let script = "pixi-pack template --use-cache keep --create-executable -o again.sh";
    drop(
        sandbox
            .sh(&format!("unshare -rn {script} --pixi-unpack-source '{unpack}'; ./again.sh -o sh -e e"))
            .exits(0),
    );
    imports(&sandbox, "sh/e");
    // Without that program the script stays without its end, and cannot be run.
    drop(sandbox.sh(&format!("rm again.sh; {script}")).exits(1));
    drop(sandbox.sh("test -s again.sh; ! test -x again.sh").exits(0));
}

#[test]
fn another_platform_and_another_format_do_not_unpack() {
    let sandbox = with_programs();
    for (metadata, word) in [
        (r#"{"version":"1","pixi-pack-version":"0.7.10","platform":"osx-64"}"#, "different platform"),
        (r#"{"version":"2","pixi-pack-version":"0.7.10","platform":"linux-64"}"#, "version: 2"),
    ] {
        sandbox.write("pack/pixi-pack.json", metadata);
        let output = sandbox.sh("pixi-unpack pack").exits(1);
        assert!(output.stderr.contains(word), "{}", output.stderr);
    }
}

#[test]
fn an_engine_of_a_channel_on_loopback_installs_and_is_cached() {
    let mut sandbox = with_programs();
    let channel = fixture::engine("sglang", &sandbox.path(""));
    let asked = channel.requests();
    assert_eq!(asked.len(), 2, "two wheels, and python was there: {asked:?}");
    let log = sandbox.text("log");
    for (name, value) in [("PIXI_OFFLINE", "1"), ("STANDIN_CUDA_DEVICES", "2"), ("STANDIN_LOG", &log)] {
        sandbox.set(name, value);
    }
    let recorder = Loopback::recorder();
    sandbox.set("HTTP_PROXY", &recorder.url());
    drop(sandbox.sh("pixi install --frozen --manifest-path template/pixi.toml").exits(0));
    let python = "template/.pixi/envs/default/bin/python";
    let report = "import torch, sglang; print(torch.__version__, torch.version.cuda, torch.cuda.device_count(), sglang.__version__)";
    let output = sandbox.sh(&format!("{python} -c '{report}'")).exits(0);
    assert_eq!(output.stdout, "2.9.1+cu128 12.8 2 0.5.7\n");
    drop(sandbox.sh(&format!("! STANDIN_BROKEN=torch {python} -c 'import sglang'")).exits(0));
    assert_eq!((channel.requests(), recorder.requests()), (asked, Vec::new()));
    assert!(
        Pixi::get().real
            || sandbox
                .read("log")
                .starts_with(r#"{"argv": ["pixi", "install", "--frozen", "--manifest-path""#)
    );
}

#[test]
fn a_lock_is_written_where_the_channel_answers() {
    let mut sandbox = with_programs();
    let _channel = fixture::template("vllm", &sandbox.path(""));
    let locked = sandbox.read("template/pixi.lock");
    drop(sandbox.sh("rm template/pixi.lock; cd template; ! pixi lock --check; pixi lock --check").exits(0));
    let written = sandbox.read("template/pixi.lock");
    for line in locked.lines().filter(|line| line.contains("sha256: ") || line.starts_with("- ")) {
        assert!(written.contains(line), "{line} is not in\n{written}");
    }
    sandbox.set("PIXI_OFFLINE", "1");
    drop(sandbox.sh("rm template/pixi.lock; cd template; pixi lock").exits(1));
}

#[test]
fn a_pack_is_downloaded_through_a_proxy_and_only_once() {
    let mut sandbox = with_programs();
    let channel = fixture::template("vllm", &sandbox.path(""));
    channel.fail(1);
    let pack = "pixi-pack template --use-cache keep -o vllm.tar";
    assert!(sandbox.sh(pack).exits(1).stderr.contains("503"));
    drop(sandbox.sh(pack).exits(0));
    let asked = channel.requests().len();
    // The real one asks for two of them once more.
    assert!(asked == 6 || Pixi::get().real && asked == 8, "five packages, one of them twice: {asked}");
    let recorder = Loopback::recorder();
    sandbox.set("http_proxy", &recorder.url());
    drop(sandbox.sh(pack).exits(0));
    assert_eq!((channel.requests().len(), recorder.requests().len()), (asked, 0));
    drop(sandbox.sh("rm -r keep").exits(0));
    assert!(sandbox.sh(pack).exits(1).stderr.contains("403"));
    assert!(recorder.requests()[0].starts_with("GET http://127.0.0.1:"), "{:?}", recorder.requests());
}
