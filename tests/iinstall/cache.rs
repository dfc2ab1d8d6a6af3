//! Installing from a template and a cache: by the tests' pixi, on what the real one wrote.
use crate::fuzz::SeededRng;
use crate::kit::{Output, Pixi, Sandbox, alive, as_root, fixture, full, send, tools, wait_for};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
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
fn a_missing_package_fails_before_pixi_starts_and_the_cache_is_as_it_was() {
    let site = Cached::new();
    fs::remove_dir_all(site.sandbox.path("cache/conda/rattler/pkgs/tinylib-1.0-h1111111_0")).unwrap();
    let before = tree(&site.sandbox.path("cache"));
    let output = site.install().exits(1);
    assert_eq!(output.one("gap")["package"], "tinylib");
    assert_eq!(output.one("failed")["by"], "icache");
    assert_eq!(site.pixi_installs(), 0);
    assert!(!site.home().exists());
    assert_eq!(tree(&site.sandbox.path("cache")), before);

    // Without icache pixi finds out, and what it says is handed on.
    let output = site.sandbox.sh("ienv sglang | iinstall").exits(69);
    let failed = output.one("failed");
    assert!(failed["cause"].as_str().unwrap().starts_with("exit 1: "), "{failed}");
    assert!(failed["log_tail"].as_array().is_some_and(|lines| !lines.is_empty()));
    assert_eq!(site.installs(), [""; 0]);
}

#[test]
fn a_cache_that_cannot_be_written_is_installed_from_through_a_shadow() {
    let site = Cached::new();
    let script = "mount --bind cache cache && mount -o remount,bind,ro cache && ! touch cache/x 2>/dev/null
        ienv sglang | icache | iinstall";
    let output = site.sandbox.sh(&format!("unshare -rm bash -euo pipefail -c '{script}'")).exits(0);
    let shadow = output.all("warning").into_iter().find(|warning| warning["rule"] == "shadow_cache").unwrap();
    assert!(shadow["what"].as_str().unwrap().contains("Read-only file system"), "{shadow}");
    assert_eq!(site.imports(), "1.17.0 3.20\n");
    let folder = site.home().join(".installs").join(&site.installs()[0]);
    for (path, ..) in tree(&folder) {
        let target = fs::read_link(&path).unwrap_or_default();
        assert!(
            !target.to_string_lossy().contains(".shadow"),
            "{} leads to {}",
            path.display(),
            target.display()
        );
    }
    assert!(!folder.join(".shadow").exists());
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
        println!("not run: only the stand-in is of any version");
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
fn what_is_not_there_is_named() {
    let mut site = Cached::new();
    let none = site.sandbox.path("none");
    fs::create_dir(&none).unwrap();
    path(&mut site.sandbox, &none);
    let failed = site.install().exits(69).one("failed");
    assert_eq!(
        (&failed["what"], &failed["cause"]),
        (&"cannot find pixi".into(), &"it is not on PATH".into())
    );
    assert!(!site.home().exists());

    fs::remove_file(site.sandbox.path("template/pixi.toml")).unwrap();
    let failed = site.sandbox.sh("ienv sglang | iinstall").exits(69).one("failed");
    assert_eq!(failed["cause"], "pixi.toml: No such file or directory");
}

#[test]
fn a_pixi_that_installs_elsewhere_or_nothing_is_a_failure() {
    for (does, cause) in [
        ("mkdir -p .pixi; ln -s /usr .pixi/envs; mkdir -p elsewhere", "it is not there"),
        ("mkdir -p .pixi/envs; ln -s /usr .pixi/envs/default", "that is /usr"),
        ("mkdir -p .pixi/envs/default", "there is no bin/python in it"),
    ] {
        let mut site = Cached::new();
        let script =
            format!("#!/bin/sh\nif [ \"$1\" = --version ]; then echo pixi 0.77.0; exit; fi\n{does}\n");
        let program = site.sandbox.script("fake/pixi", &script);
        path(&mut site.sandbox, program.parent().unwrap());
        let failed = site.install().exits(69).one("failed");
        assert_eq!(failed["cause"], cause, "{failed}");
        assert_eq!(site.installs(), [""; 0]);
    }
}

#[test]
fn a_lock_file_that_was_not_the_verified_one_is_75() {
    let site = Cached::new();
    let script = "ienv sglang | icache > stream; echo '# more' >> template/pixi.lock; iinstall < stream";
    let failed = site.sandbox.sh(script).exits(75).one("failed");
    assert!(failed["what"].as_str().unwrap().ends_with("pixi.lock is not the lock file that was verified"));
}

#[test]
fn two_at_once_make_one_install() {
    let site = Cached::new();
    let output = site.sandbox.sh("ienv sglang | icache > stream
        iinstall < stream > one & iinstall < stream > two; wait $!
        cat one two");
    let installed = output.exits(0).all("installed");
    assert_eq!(installed.len(), 2);
    assert_eq!(installed.iter().filter(|record| record["reused"] == true).count(), 1);
    assert_eq!(site.installs().len(), 1);
    assert_eq!(site.imports(), "1.17.0 3.20\n");
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

/// The command lines of processes that were given a path below `folder`.
fn at_work(folder: &Path) -> Vec<String> {
    let folder = folder.display().to_string();
    let entries = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path().join("cmdline"));
    let lines = entries.map(|path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned());
    lines.filter(|line| line.contains(&folder)).collect()
}

#[test]
fn what_pixi_started_keeps_others_out_when_iinstall_was_killed() {
    let mut site = Cached::new();
    let started = site.sandbox.text("started");
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = --version ]; then echo pixi 0.77.0; exit; fi
        sleep 600 > /dev/null 2>&1 &\necho $! > {started}.new; mv {started}.new {started}; wait\n"
    );
    let program = site.sandbox.script("fake/pixi", &script);
    path(&mut site.sandbox, program.parent().unwrap());
    drop(site.sandbox.sh("ienv sglang > stream").exits(0));
    let mut command = site.sandbox.command(tools().join("iinstall"));
    command.stdin(fs::File::open(site.sandbox.path("stream")).unwrap());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("pixi's child", LIMIT, || Path::new(&started).exists());
    child.kill().unwrap();
    child.wait().unwrap();
    let grandchild: u32 = site.sandbox.read("started").trim().parse().unwrap();
    wait_for("pixi's end", LIMIT, || at_work(&site.home()).is_empty());
    assert!(alive(grandchild));
    let failed = site.sandbox.sh("iinstall --wait 0 < stream").exits(75).one("failed");
    assert!(failed["cause"].as_str().unwrap().contains("what a killed one left running"), "{failed}");

    send(grandchild, Signal::KILL);
    path(&mut site.sandbox, &Pixi::get().bin);
    drop(site.sandbox.sh("iinstall < stream").exits(0));
    assert_eq!(site.imports(), "1.17.0 3.20\n");
    assert_eq!(site.installs().len(), 1);
}

#[test]
fn killed_at_any_moment_current_is_whole_and_no_pixi_goes_on() {
    let site = Cached::new();
    drop(site.sandbox.sh("ienv sglang > stream").exits(0));
    let mut seeded_rng = SeededRng::new();
    let rounds = if full() { 100 } else { 6 };
    for round in 0..rounds {
        // Each round has something to do: another template.
        site.sandbox.write("template/scripts/round", round.to_string());
        let mut command = site.sandbox.command(tools().join("iinstall"));
        command.stdin(fs::File::open(site.sandbox.path("stream")).unwrap());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // The moment is what is tested; there is no event to wait for.
        std::thread::sleep(seeded_rng.moment(Duration::from_secs(1)));
        child.kill().unwrap();
        let finished = child.wait().unwrap().success();
        if site.home().join("current").exists() {
            assert_eq!(site.imports(), "1.17.0 3.20\n", "round {round}");
        } else {
            assert!(!finished, "it finished and nothing is current");
        }
        if site.home().join(".installs/.lock").exists() {
            let lock = fs::File::open(site.home().join(".installs/.lock")).unwrap();
            let free = || {
                use rustix::fs::{FlockOperation, flock};
                flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok()
            };
            wait_for("the lock, which whoever installs holds", LIMIT, free);
            assert_eq!(at_work(&site.home()), [""; 0], "round {round}: behind a free lock");
        }
    }
    let output = site.sandbox.sh("iinstall < stream").exits(0);
    assert!(output.all("installed").len() == 1);
    assert_eq!(site.imports(), "1.17.0 3.20\n");
    assert!(site.installs().len() <= 2, "{:?}", site.installs());
}

#[test]
fn root_installs_for_another_user() {
    if !as_root() {
        return;
    }
    let mut site = Cached::new();
    let bin = Pixi::get().copied(&site.sandbox.path("standin"));
    site.sandbox.set("AUTO_INFER_SGLANG_USER", "nobody");
    drop(site.sandbox.sh("chmod 755 . w home tmp; chmod 1777 tmp; chown -R nobody cache").exits(0));
    drop(site.sandbox.sh("chmod 700 noting").exits(0));
    let failed = site.install().exits(69).one("failed");
    assert_eq!(
        failed["cause"], "it is not on PATH: this user cannot reach $SANDBOX/noting/pixi",
        "root's own pixi may be out of reach"
    );
    path(&mut site.sandbox, &bin);
    let output = site.install().exits(0);
    assert_eq!(output.one("installed")["checks"]["cache"], "quick");
    let owner = fs::metadata(site.home().join("current/pixi.toml")).unwrap().uid();
    assert_eq!(owner, fs::metadata(site.sandbox.path("cache")).unwrap().uid());
    assert_eq!(site.imports(), "1.17.0 3.20\n");

    // A cache of somebody else's is used through a shadow.
    site.sandbox.write("template/scripts/more", "");
    drop(site.sandbox.sh("chown -R 0:0 cache").exits(0));
    let output = site.install().exits(0);
    assert!(warns(&output, "shadow_cache"));
    assert_eq!(site.imports(), "1.17.0 3.20\n");
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

#[test]
fn a_file_system_without_locks_is_named_before_pixi_finds_out() {
    let site = Cached::new();
    // The first is the install directory's, the second the cache's.
    for (when, place) in [("1", "w/sglang-infer/.installs/.lock"), ("2", "cache/conda/rattler/pkgs")] {
        let script = format!(
            "ienv sglang | icache > stream
            strace -qq -o /dev/null -e trace=flock -e inject=flock:error=ENOLCK:when={when} iinstall < stream"
        );
        let failed = site.sandbox.sh(&script).exits(69).one("failed");
        assert_eq!(failed["cause"], "No locks available");
        assert!(failed["what"].as_str().unwrap().ends_with(place), "{failed}");
        assert!(failed["hint"].as_str().unwrap().contains("local disk"), "{failed}");
    }
    assert_eq!(site.pixi_installs(), 0);
}
