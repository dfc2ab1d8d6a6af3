//! Installing from a template and a cache: by the tests' pixi, on what the real one wrote.
mod killed;
mod refused;
mod rights;

use crate::kit::{Output, Pixi, Sandbox, fixture, left_out, tools};
use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A sandbox with a template, its cache, and pixi on PATH.
pub(super) struct Cached {
    pub(super) sandbox: Sandbox,
}

/// How long what is bound to come is waited for.
const LIMIT: Duration = Duration::from_secs(60);

const IMPORTS: &str = "import six, idna, markupsafe._speedups; print(six.__version__, idna.__version__)";

impl Cached {
    pub(super) fn new() -> Self {
        let mut sandbox = Sandbox::new();
        fixture::tiny(&sandbox.path(""));
        // A pixi that notes what it is asked, and is the one.
        let script = format!(
            "#!/bin/sh\necho \"$1\" >> {}\nexec {} \"$@\"\n",
            sandbox.text("pixi.log"),
            Pixi::get().pixi().display()
        );
        let program = sandbox.script("noting/pixi", &script);
        path(&mut sandbox, program.parent().unwrap());
        for (name, folder) in [("TEMPLATE_DIR", "template"), ("CACHE_ROOT", "cache")] {
            let folder = sandbox.text(folder);
            sandbox.set(&format!("AUTO_INFER_SGLANG_{name}"), &folder);
        }
        Self { sandbox }
    }

    pub(super) fn install(&self) -> Output {
        self.sandbox.sh("ienv sglang | icache | iinstall")
    }

    pub(super) fn home(&self) -> PathBuf {
        self.sandbox.path("w/sglang-infer")
    }

    /// Names below `.installs` but the lock.
    fn installs(&self) -> Vec<String> {
        let entries = fs::read_dir(self.home().join(".installs")).into_iter().flatten();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name != ".lock").collect()
    }

    /// What the current install's interpreter imports, which is all that was to be installed.
    pub(super) fn imports(&self) -> String {
        let python = self.home().join("current/.pixi/envs/default/bin/python");
        let output = self.sandbox.finish(self.sandbox.command(python).args(["-c", IMPORTS]));
        output.exits(0).stdout
    }

    /// How often pixi was asked to install.
    pub(super) fn pixi_installs(&self) -> usize {
        let log = fs::read_to_string(self.sandbox.path("pixi.log")).unwrap_or_default();
        log.lines().filter(|line| *line == "install").count()
    }
}

/// Put a folder first on PATH, behind our tools.
pub(super) fn path(sandbox: &mut Sandbox, folder: &Path) {
    let no_gpu = crate::kit::root().join("tests/data/no-gpu");
    let folders = [&tools(), folder, no_gpu.as_path()].map(|folder| folder.display().to_string());
    sandbox.set("PATH", &format!("{}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", folders.join(":")));
}

fn warns(output: &Output, rule: &str) -> bool {
    output.all("warning").iter().any(|warning| warning["rule"] == rule)
}

/// Every path below a folder with its size, times and mode: what has to be the same where nothing was changed.
fn tree(folder: &Path) -> BTreeMap<PathBuf, (u64, i64, u32)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let stat = path.symlink_metadata().unwrap();
            if stat.is_dir() {
                folders.push(path.clone());
            }
            found.insert(path, (stat.size(), stat.mtime_nsec(), stat.mode()));
        }
    }
    found
}

#[test]
fn it_installs_without_a_network_and_the_second_time_does_nothing() {
    let site = Cached::new();
    let before = tree(&site.sandbox.path("template"));
    let output = site.sandbox.sh("unshare -rn bash -c 'ienv sglang | icache --deep | iinstall'").exits(0);
    let installed = output.one("installed");
    assert_eq!(installed["checks"], serde_json::json!({"cache": "deep", "packages": 6}));
    assert_ne!(installed["seal"], "none");
    let folder = installed["path"].as_str().unwrap();
    assert_eq!(installed["python"], format!("{folder}/.pixi/envs/default/bin/python"));
    let prefix = format!("{folder}/.pixi/envs/default");
    assert_eq!(installed["activation"]["path"], serde_json::json!([format!("{prefix}/bin")]));
    assert_eq!(installed["activation"]["variables"]["CONDA_PREFIX"], prefix);
    for name in ["PIXI_OFFLINE", "UV_OFFLINE", "TMPDIR", "HOME"] {
        assert_eq!(installed["activation"]["variables"].get(name), None, "{name}");
    }
    assert_eq!(site.imports(), "1.17.0 3.20\n");
    let mut names: Vec<_> = fs::read_dir(site.home().join("current"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, [".pixi", "installed.json", "pixi.lock", "pixi.toml"]);
    assert_eq!(fs::read_link(site.home().join(".pixi")).unwrap(), Path::new("current/.pixi"));
    assert!(!site.home().join("pixi.toml").exists());
    assert_eq!(tree(&site.sandbox.path("template")), before);

    let again = site.install().exits(0);
    assert_eq!(again.one("installed")["reused"], true);
    assert_eq!(again.one("installed")["id"], installed["id"]);
    assert_eq!(site.installs().len(), 1);
}

#[test]
fn pixi_by_hand_runs_from_the_current_install() {
    let site = Cached::new();
    drop(site.install().exits(0));
    let script = format!(
        "eval \"$(ienv sglang --export)\"
        unshare -rn pixi run --frozen --manifest-path w/sglang-infer/current/pixi.toml python -c '{IMPORTS}'"
    );
    assert_eq!(site.sandbox.sh(&script).exits(0).stdout, "1.17.0 3.20\n");
}

#[test]
fn another_template_is_another_install_and_the_one_before_is_kept() {
    let site = Cached::new();
    let first = site.install().exits(0).one("installed");
    let manifest = site.sandbox.read("template/pixi.toml");
    site.sandbox.write("template/pixi.toml", format!("{manifest}# two\n"));
    site.sandbox.script("template/scripts/smoke.sh", "#!/bin/sh\n");
    site.sandbox.write("template/.git/config", "");
    site.sandbox.write("template/models/weights", "");
    site.sandbox.write("template/scripts/.pkg-cache/x", "");
    let output = site.install().exits(0);
    let second = output.one("installed");
    assert_eq!(second["previous"], first["path"]);
    let rest = output.all("warning").into_iter().find(|warning| warning["rule"] == "template_rest").unwrap();
    assert_eq!(rest["what"], "not taken from $SANDBOX/template: .git, models, scripts/.pkg-cache");
    let script = fs::metadata(site.home().join("current/scripts/smoke.sh")).unwrap();
    assert_eq!(script.permissions().mode() & 0o777, 0o755);
    for name in [".git", "models"] {
        assert!(!site.home().join("current").join(name).exists());
    }
    assert_eq!(site.installs().len(), 2);
    let back = site.sandbox.sh("ienv sglang | iinstall --rollback").exits(0).one("installed");
    assert_eq!((&back["path"], site.imports().as_str()), (&first["path"], "1.17.0 3.20\n"));
}

#[test]
fn the_same_template_is_installed_afresh_where_that_is_asked_for() {
    let mut site = Cached::new();
    let first = site.install().exits(0).one("installed");
    site.sandbox.set("AUTO_INFER_SGLANG_FORCE_RECOPY", "1");
    let output = site.sandbox.sh("ienv sglang | iinstall").exits(0);
    assert!(warns(&output, "cache_not_verified"));
    let second = output.one("installed");
    assert_eq!(first["id"], second["id"]);
    assert_ne!(first["path"], second["path"]);
    assert_eq!(second.get("reused"), None);
}

#[test]
fn a_working_project_that_a_person_edited_is_kept_and_named() {
    let site = Cached::new();
    let first = site.install().exits(0).one("installed");
    let edited = site.home().join("current/pixi.toml");
    fs::write(&edited, "# edited").unwrap();
    let output = site.install().exits(0);
    assert!(warns(&output, "project_edited"));
    assert_eq!(output.one("installed")["reused"], true);
    site.sandbox.write("template/scripts/new", "");
    let output = site.sandbox.sh("ienv sglang | icache | iinstall --keep 0").exits(0);
    assert_ne!(output.one("installed")["path"], first["path"]);
    assert_eq!(site.installs().len(), 2, "{:?}", site.installs());
    let output = site.sandbox.sh("ienv sglang | icache | iinstall --keep 0").exits(0);
    assert!(!warns(&output, "project_edited"), "what is current was not edited");
    fs::remove_file(site.sandbox.path("template/scripts/new")).unwrap();
    let output = site.install().exits(0);
    assert_eq!(output.one("installed")["path"], first["path"]);
    assert!(warns(&output, "project_edited"), "the edited one came back");
}

#[test]
fn the_pixi_that_is_there_counts() {
    if Pixi::get().real {
        left_out("only the stand-in is of any version");
        return;
    }
    let mut site = Cached::new();
    site.sandbox.set("STANDIN_PIXI_VERSION", "0.67.2");
    let failed = site.install().exits(69).one("failed");
    assert!(failed["cause"].as_str().unwrap().contains("0.67.2"), "{failed}");
    site.sandbox.set("STANDIN_PIXI_VERSION", "0.72.1");
    let output = site.install().exits(0);
    assert!(warns(&output, "pixi_old"));
    let old = output.one("installed")["id"].clone();
    site.sandbox.set("STANDIN_PIXI_VERSION", "0.77.0");
    assert_ne!(site.install().exits(0).one("installed")["id"], old);
}

#[test]
fn not_one_request_reaches_a_proxy() {
    let mut site = Cached::new();
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", proxy.local_addr().unwrap());
    for name in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"] {
        site.sandbox.set(name, &url);
    }
    drop(site.install().exits(0));
    proxy.set_nonblocking(true).unwrap();
    assert_eq!(proxy.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn a_cache_of_another_layout_is_installed_from_as_it_is() {
    for (layout, pkgs, uv) in
        [("pixi", "pixi/pkgs", "pixi/uv-cache"), ("rattler", "conda/rattler/pkgs", "conda/rattler/uv-cache")]
    {
        let site = Cached::new();
        let script = format!(
            "mkdir -p lay/{pkgs} && rmdir lay/{pkgs}; mv cache/conda/rattler/pkgs lay/{pkgs}; mv cache/pypi/uv lay/{uv}
            rm -r cache; mv lay cache; unshare -rn bash -c 'ienv sglang | icache | iinstall'"
        );
        let output = site.sandbox.sh(&script).exits(0);
        assert_eq!(output.one("env")["cache_layout"], layout);
        assert_eq!(output.one("installed").get("reused"), None);
        assert_eq!(site.imports(), "1.17.0 3.20\n", "{layout}");
    }
}
