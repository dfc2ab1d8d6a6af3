//! iwarm: a cache filled from a channel and an index on loopback, and what keeps it from being filled.
mod killed;
mod refused;
mod rights;
mod served;

use crate::kit::{Output, Pixi, Sandbox, as_root, fixture, is_root, left_out, root, tools};
use served::Served;
use std::path::Path;

const CHANNEL: &str = "http://127.0.0.1:8899/conda-forge";
const WHEELS: &str = "https://files.pythonhosted.org/packages/";

/// A connected machine: a template whose packages are served on loopback, and a cache on a volume of its own that has
/// nothing yet.
struct Connected {
    sandbox: Sandbox,
    served: Served,
}

impl Connected {
    fn new() -> Self {
        let mut sandbox = Sandbox::new();
        let me = sandbox.sh("id -un").exits(0).stdout;
        let path = sandbox.sh("echo $PATH").exits(0).stdout;
        let path = format!("{}:{}", Pixi::get().bin.display(), path.trim());
        let (template, cache) = (sandbox.text("template"), sandbox.text("volume/cache"));
        for (name, value) in [
            ("PATH", path.as_str()),
            ("AUTO_INFER_SGLANG_TEMPLATE_DIR", &template),
            ("AUTO_INFER_SGLANG_CACHE_ROOT", &cache),
            ("AUTO_INFER_SGLANG_USER", me.trim()),
        ] {
            sandbox.set(name, value);
        }
        std::fs::create_dir(sandbox.path("volume")).unwrap();
        let bundle = fixture::bundle();
        let unpack = format!(
            "mkdir served; tar xf '{}' -C served; tar xJf '{}' template",
            bundle.display(),
            root().join("tests/data/pixi-cache-mini.tar.xz").display()
        );
        assert_eq!(sandbox.sh(&unpack).exits(0).stderr, "");
        let served = Served::new(&sandbox.path("served"));
        let connected = Self { sandbox, served };
        connected.locked_for(&format!("http://127.0.0.1:{}", connected.served.port));
        connected
    }

    /// Let the template's packages come from this host.
    fn locked_for(&self, host: &str) {
        let lock = std::process::Command::new("tar")
            .args(["xJOf", "tests/data/pixi-cache-mini.tar.xz", "template/pixi.lock"])
            .current_dir(root())
            .output()
            .unwrap();
        let mut lines = Vec::new();
        for line in
            String::from_utf8(lock.stdout).unwrap().replace(CHANNEL, &format!("{host}/channel")).lines()
        {
            let Some((before, path)) = line.split_once(WHEELS) else {
                lines.push(line.to_owned());
                continue;
            };
            let file = path.rsplit('/').next().unwrap();
            lines.push(format!("{before}{host}/pypi/{file}"));
            lines.extend(line.starts_with("- pypi:").then(|| format!("  index: {host}/simple")));
        }
        self.sandbox.write("template/pixi.lock", lines.join("\n") + "\n");
    }

    /// Change the template's lock file.
    fn relocked(&self, from: &str, to: &str) {
        let lock = self.sandbox.read("template/pixi.lock");
        assert!(lock.contains(from));
        self.sandbox.write("template/pixi.lock", lock.replacen(from, to, 1));
    }

    /// What runs a script where `volume` is mounted by these commands: seen by nobody else.
    fn mounted(&self, mount: &str, script: &str) -> std::process::Command {
        self.sandbox.write("inner", format!("{mount}\n{script}\n"));
        let mut command = self.sandbox.command("unshare");
        let user: &[&str] = if is_root() { &["-m"] } else { &["-rm"] };
        command.args(user).args(["bash", "-euo", "pipefail", "inner"]);
        command
    }

    /// Run a script where `volume` is a volume.
    fn sh(&self, script: &str) -> Output {
        self.sandbox.finish(&mut self.mounted(VOLUME, script))
    }

    fn warm(&self) -> Output {
        self.sh("ienv sglang | iwarm")
    }

    /// Names in the cache's root, sorted.
    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.sandbox.path("volume/cache")).unwrap();
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Every process that works in a folder of iwarm's.
    fn at_work(&self) -> usize {
        let inside = self.sandbox.path("volume/cache/.warm-");
        let works = |process: &std::fs::DirEntry| {
            let cwd = std::fs::read_link(process.path().join("cwd")).unwrap_or_default();
            cwd.as_os_str().as_encoded_bytes().starts_with(inside.as_os_str().as_encoded_bytes())
        };
        std::fs::read_dir("/proc").unwrap().flatten().filter(works).count()
    }
}

const VOLUME: &str = "mount --bind volume volume";

fn cause(output: &Output) -> String {
    output.one("failed")["cause"].as_str().unwrap().to_owned()
}

#[test]
fn what_was_warmed_installs_with_no_network() {
    let mut connected = Connected::new();
    // Of the caller's settings for pixi, those that would have it look elsewhere do not count.
    connected.sandbox.set("PIXI_OFFLINE", "1");
    connected.sandbox.set("PIXI_CACHE_DIR", &connected.sandbox.text("elsewhere"));
    let output = connected.sh("ienv sglang | iwarm | icache --deep --record").exits(0);
    let kinds: Vec<String> = output.kinds().into_iter().filter(|kind| kind != "warning").collect();
    assert_eq!(kinds, ["env", "warmed", "cache"], "{}", output.transcript());
    let (warmed, cache) = (output.one("warmed"), output.one("cache"));
    assert_eq!((cache["gaps"].as_u64(), cache["packages"].as_u64()), (Some(0), Some(6)));
    let sha256 = connected.sandbox.sh("sha256sum < template/pixi.lock | cut -d' ' -f1").exits(0).stdout;
    assert_eq!(
        (warmed["lock_sha256"].as_str(), &warmed["lock_sha256"]),
        (Some(sha256.trim()), &cache["lock_sha256"])
    );
    let manifest = format!("infer-dev-manifest-{}.json", sha256.trim());
    let recorded = connected.sandbox.read(&format!("volume/cache/{manifest}"));
    let recorded: serde_json::Value = serde_json::from_str(&recorded).unwrap();
    assert_eq!(recorded["pixi_version"], warmed["pixi_version"]);
    let mut names = connected.names();
    names.retain(|name| name != "xdg");
    assert_eq!(names, [".warm.lock", "conda", &manifest, "pypi"]);
    assert!(!connected.sandbox.path("elsewhere").exists());

    let asked = connected.served.heads().len();
    connected.warm().exits(0).one("warmed");
    let again: Vec<String> = connected.served.heads().split_off(asked);
    assert!(again.is_empty(), "what is there is not fetched again: {again:?}");

    let Connected { mut sandbox, served } = connected;
    drop(served);
    assert_eq!(sandbox.sh("ienv sglang | icache --deep").exits(0).one("cache")["gaps"], 0);
    sandbox.unset("PIXI_CACHE_DIR");
    let script = "eval \"$(ienv --export sglang)\"; cd template; unshare -rn pixi install --frozen >&2
                  .pixi/envs/default/bin/python -c 'import six, idna, markupsafe; print(six.__version__)'";
    assert_eq!(sandbox.sh(script).exits(0).stdout, "1.17.0\n");
}

#[test]
fn a_proxy_is_used_and_its_password_shown_to_nobody_else() {
    let mut connected = Connected::new();
    // A host that does not exist: only a proxy gets there.
    connected.locked_for("http://channel.invalid");
    let proxy = format!("http://me:tacit-word@127.0.0.1:{}", connected.served.port);
    for name in ["http_proxy", "HTTP_PROXY"] {
        connected.sandbox.set(name, &proxy);
    }
    let told = |output: &Output| {
        let said = output.transcript();
        let named = said.replace(&format!("127.0.0.1:{}", connected.served.port), "PROXY");
        assert!(!said.contains("tacit-word") && !named.contains("me:"), "{said}");
    };
    connected.served.fail(Some("pypi/six"));
    let output = connected.sh("ienv sglang | iwarm -vv").exits(69);
    told(&output);
    let hint = output.one("failed")["hint"].as_str().unwrap().to_owned();
    assert!(hint.contains("pixi was given HTTP_PROXY, http_proxy;"), "{hint}");
    connected.served.fail(None);
    let output = connected.sh("ienv sglang | iwarm -vv").exits(0);
    output.one("warmed");
    told(&output);
    let heads = connected.served.heads();
    let given =
        |head: &&String| head.to_lowercase().contains("proxy-authorization: basic bwu6dgfjaxqtd29yza==");
    let strangers: Vec<&String> = heads.iter().filter(|head| !given(head)).collect();
    assert!(strangers.is_empty() && heads[0].contains(" http://channel.invalid/"), "{strangers:?}");
}

#[test]
fn a_server_that_fails_is_reported_in_pixis_words_and_leaves_nothing() {
    let connected = Connected::new();
    for broken in ["tinylib", "pypi/idna"] {
        connected.served.fail(Some(broken));
        let output = connected.warm().exits(69);
        assert_eq!(output.kinds(), ["env", "failed"]);
        let failed = output.one("failed");
        let tail = failed["log_tail"].to_string();
        assert!(tail.contains("403"), "{tail}");
        assert_eq!(failed["exit"], "exit 1");
        assert!(failed["hint"].as_str().unwrap().starts_with("no proxy variable is set"), "{failed}");
        assert!(connected.names().iter().all(|name| !name.starts_with(".warm-")), "{:?}", connected.names());
    }
    connected.served.fail(None);
    assert_eq!(connected.sh("ienv sglang | iwarm | icache --deep").exits(0).one("cache")["gaps"], 0);
}

#[test]
fn for_another_user_the_cache_is_that_users() {
    if !as_root() {
        return;
    }
    let mut connected = Connected::new();
    let bin = Pixi::get().copied(&connected.sandbox.path("programs"));
    let path = format!("{}:{}:/usr/bin:/bin", tools().display(), bin.display());
    connected.sandbox.set("PATH", &path);
    connected.sandbox.set("AUTO_INFER_SGLANG_USER", "nobody");
    connected.sandbox.set("AUTO_INFER_SGLANG_CACHE_ROOT", &connected.sandbox.text("volume/made/cache"));
    connected.sandbox.set("XDG_CONFIG_HOME", &connected.sandbox.text("home/secret"));
    assert_eq!(connected.sandbox.sh("chmod 755 . ; chmod -R a+rX template").exits(0).stderr, "");
    let output = connected.sh("umask 077; ienv sglang | iwarm").exits(0);
    output.one("warmed");
    let others = "find volume/made/cache ! -user nobody; stat -c '%U %a' volume/made volume/made/cache";
    assert_eq!(connected.sandbox.sh(others).exits(0).stdout, "root 755\nnobody 755\n");
    assert_eq!(connected.sandbox.sh("ienv sglang | icache --deep").exits(0).one("cache")["gaps"], 0);

    // What is damaged is moved and fetched as that user, too.
    let damage = "for file in volume/made/cache/conda/rattler/pkgs/tinylib-*/lib/libtiny.so.1.0; do echo >> $file; done";
    assert_eq!(connected.sandbox.sh(damage).exits(0).stderr, "");
    let output = connected.sh("set +o pipefail; ienv sglang | icache --deep | iwarm | icache").exits(0);
    let found: Vec<_> = output.all("cache").iter().map(|cache| cache["gaps"].clone()).collect();
    assert_eq!(found, [1, 0], "{}", output.transcript());
    let others = "find volume/made/cache ! -user nobody; ls -d volume/made/cache/.damaged-* | wc -l";
    assert_eq!(connected.sandbox.sh(others).exits(0).stdout, "1\n");

    // Nor does the user reach everything that root does.
    assert_eq!(connected.sandbox.sh("chmod 700 programs").exits(0).stderr, "");
    let failed = connected.warm().exits(69).one("failed");
    let cause = failed["cause"].as_str().unwrap();
    assert!(cause.starts_with("it is not on PATH: this user cannot reach $SANDBOX/programs/"), "{failed}");

    // A folder that is there already is not given away.
    connected.sandbox.set("AUTO_INFER_SGLANG_CACHE_ROOT", &connected.sandbox.text("volume/theirs"));
    assert_eq!(connected.sandbox.sh("chmod 755 programs; mkdir volume/theirs").exits(0).stderr, "");
    let failed = connected.warm().exits(69).one("failed");
    assert_eq!(failed["cause"], "Permission denied");
    let nobody = connected.sandbox.sh("id -u nobody").exits(0).stdout;
    let hint = format!("belongs to uid 0 with mode 0755, and this runs as uid {}; give it", nobody.trim());
    assert!(failed["hint"].as_str().unwrap().contains(&hint), "{failed}");
    // Nor are the stores in it.
    let stores = "chown nobody volume/theirs; mkdir -p volume/theirs/conda/rattler/pkgs; touch volume/theirs/conda/rattler/pkgs/.cache.lock";
    assert_eq!(connected.sandbox.sh(stores).exits(0).stderr, "");
    let failed = connected.warm().exits(69).one("failed");
    assert!(failed["what"].as_str().unwrap().ends_with("/theirs/conda/rattler/pkgs"), "{failed}");
    assert!(connected.sandbox.path("volume/theirs").read_dir().unwrap().count() == 2);
}

#[test]
fn an_old_pixi_is_refused_or_what_it_cannot_promise_is_said() {
    if Pixi::get().real {
        left_out("only the stand-in is of any version");
        return;
    }
    let mut connected = Connected::new();
    connected.sandbox.set("STANDIN_PIXI_VERSION", "0.67.2");
    let output = connected.warm().exits(69);
    assert_eq!(cause(&output), "it is pixi 0.67.2, and lock files of version 7 need 0.68.0 or newer");
    connected.sandbox.set("STANDIN_PIXI_VERSION", "0.69.0");
    let output = connected.warm().exits(0);
    assert_eq!(output.kinds(), ["env", "warning", "warning", "warmed"]);
    assert!(output.all("warning").iter().all(|warning| warning["rule"] == "pixi_old"));
    assert_eq!(output.one("warmed")["pixi_version"], "0.69.0");
}

#[test]
fn without_a_gpu_a_hint_says_how_to_warm_for_one() {
    let mut connected = Connected::new();
    connected.relocked("  depends:\n  - cuda-version\n", "  depends:\n  - cuda-version\n  - __cuda >=12\n");
    connected.sandbox.set("CONDA_OVERRIDE_CUDA", "");
    let output = connected.warm().exits(69);
    assert!(cause(&output).contains("__cuda"), "{}", output.transcript());
    let failed = output.one("failed");
    let hint = "set CONDA_OVERRIDE_CUDA to the version that the target has, as in CONDA_OVERRIDE_CUDA=12.8";
    assert!(failed["hint"].as_str().unwrap().ends_with(hint), "{failed}");
    connected.sandbox.set("CONDA_OVERRIDE_CUDA", "12.8");
    connected.warm().exits(0).one("warmed");
}

/// Whether a path is one that the tests' machine has.
fn there(path: &str) -> bool {
    Path::new(path).exists()
}
