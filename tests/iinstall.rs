//! Installing an archive: every kind and layout, again, back, for somebody else; `bad` and `faults` are what goes wrong.
mod bad;
mod bundle;
mod bundle_bad;
mod bundle_faults;
mod cache;
mod crossing;
mod faults;
mod held;
mod hung;
mod imports;
mod lookup;
mod odd;
mod pack;
mod place;
mod reuse;
mod sbom;
mod verified;

use crate::kit::{Output, Sandbox, Tiny, as_each, as_root};
pub(crate) use bundle::QUICK;
pub(crate) use pack::Pack;
use pack::SERVER;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A sandbox, and the `env` records that are put to `iinstall` in it.
pub(crate) struct Site {
    pub(crate) sandbox: Sandbox,
    env: Value,
}

impl Site {
    pub(crate) fn new() -> Self {
        let sandbox = Sandbox::new();
        let mut env = json!({"kind": "env", "engine": "llama-cpp", "origin": {}});
        for (name, folder) in
            [("workspace", "w"), ("run_dir", "run"), ("log_dir", "w/logs"), ("install_dir", "home/llama")]
        {
            env[name] = json!(sandbox.path(folder));
        }
        Self { sandbox, env }
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.env[name] = value.into();
    }

    /// Save an archive below the sandbox.
    pub(crate) fn save(&self, name: &str, pack: Pack) -> PathBuf {
        pack.save(&self.sandbox.path(name))
    }

    /// `iinstall` with this archive.
    pub(crate) fn install(&mut self, archive: impl AsRef<Path>) -> Output {
        self.set("archive", archive.as_ref().to_str().unwrap());
        self.run("")
    }

    /// `iinstall` with these options on the record as it is.
    pub(crate) fn run(&self, options: &str) -> Output {
        self.sandbox.write("env.jsonl", format!("{}\n", self.env));
        self.sandbox.sh(&format!("iinstall {options} < env.jsonl"))
    }

    pub(crate) fn home(&self) -> PathBuf {
        PathBuf::from(self.env["install_dir"].as_str().unwrap())
    }

    /// Complete installs.
    pub(crate) fn installs(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.home().join(".installs")).into_iter().flatten();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.join("installed.json").exists());
        paths
    }

    /// Names below `.installs` that are neither installs nor the lock.
    pub(crate) fn left_over(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.home().join(".installs")) else { return Vec::new() };
        let entries: Vec<_> = entries.map(Result::unwrap).collect();
        let strange = |entry: &&fs::DirEntry| {
            entry.file_name() != ".lock" && !entry.path().join("installed.json").exists()
        };
        entries.iter().filter(strange).map(|entry| entry.file_name().into_string().unwrap()).collect()
    }

    fn served(&self) -> String {
        let output = std::process::Command::new(self.home().join("bin/llama-server")).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

fn id(output: &Output) -> String {
    output.one("installed")["id"].as_str().unwrap().to_owned()
}

#[test]
fn every_kind_installs_whatever_its_name_says() {
    for name in ["a.tar", "a.tar.gz", "a.tgz", "a.tar.xz", "a.tar.zst", "a.zip"] {
        let mut site = Site::new();
        let path = site.sandbox.path(name);
        if name == "a.zip" {
            pack::zip(&path, "z.writestr('bin/llama-server', S)\nlink('bin/server', 'llama-server')");
        } else {
            site.save(name, Pack::good().link("bin/server", "llama-server"));
        }
        let bytes = fs::read(&path).unwrap();
        let hash = String::from_utf8(pack::through("sha256sum", &[], &bytes)).unwrap();
        let misnamed = site.sandbox.path("package");
        fs::rename(&path, &misnamed).unwrap();
        let output = site.install(&misnamed).exits(0);
        assert_eq!(hash.split(' ').next().unwrap(), id(&output), "{name}");
        let installed = output.one("installed");
        assert_eq!(installed["checks"]["symlinks"], 1, "{name}");
        assert_eq!(installed["path"], format!("$SANDBOX/home/llama/.installs/{}", current(&site)), "{name}");
        assert_eq!(installed.get("reused"), None);
        assert_eq!(site.served(), "served\n", "{name}");
    }
}

fn current(site: &Site) -> String {
    let target = fs::read_link(site.home().join("current")).unwrap();
    target.file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn every_layout_becomes_bin_llama_server_and_keeps_the_rest() {
    let layouts = [
        Pack::good().file("bin/lib.so", "x").file("lib/more/file", "x").file("README.md", "x"),
        Pack::new()
            .file("p/bin/llama-server", SERVER)
            .file("p/bin/lib.so", "x")
            .file("p/lib/more/file", "x")
            .file("README.md", "x"),
        Pack::new().file("b1/llama-server", SERVER).file("b1/lib.so", "x").link("b1/l.so", "lib.so"),
        Pack::new().file("./llama-server", SERVER).file("./lib.so", "x"),
    ];
    for (index, layout) in layouts.into_iter().enumerate() {
        let mut site = Site::new();
        let archive = site.save("a.tar.gz", layout);
        drop(site.install(archive).exits(0));
        assert_eq!(site.served(), "served\n", "layout {index}");
        let there = |name: &str| site.home().join("current").join(name).exists();
        assert!(there("bin/lib.so"), "layout {index}");
        assert_eq!((there("lib/more/file"), there("README.md")), (index < 2, index < 2), "layout {index}");
    }
}

#[test]
fn what_stands_where_a_link_should_be_is_left_alone_and_named() {
    let mut site = Site::new();
    fs::create_dir_all(site.home().join("bin")).unwrap();
    fs::write(site.home().join("bin/llama-server"), "old").unwrap();
    let looked = site.run("").exits(0).one("installed");
    assert_eq!((looked["id"].as_str(), looked["reused"].as_bool()), (Some("unknown"), Some(true)));
    let archive = site.save("a.tar", Pack::good());
    let output = site.install(archive).exits(0);
    let warning = output.one("warning");
    assert_eq!(warning["rule"], "foreign_in_place");
    assert_eq!(warning["what"], "$SANDBOX/home/llama/bin is not ours and was left alone");
    assert_eq!(fs::read_to_string(site.home().join("bin/llama-server")).unwrap(), "old");
    assert!(output.one("installed")["executable"].as_str().unwrap().contains("/.installs/"));
}

#[test]
fn a_folder_where_current_should_be_fails_and_says_so() {
    let mut site = Site::new();
    fs::create_dir_all(site.home().join("current")).unwrap();
    let archive = site.save("a.tar", Pack::good());
    let failed = site.install(archive).exits(69).one("failed");
    assert_eq!(failed["what"], "cannot make $SANDBOX/home/llama/current a link");
}

#[test]
fn the_users_umask_and_the_archives_bits_do_not_matter() {
    as_each();
    let mut site = Site::new();
    let archive = Pack::new()
        .member("bin/llama-server", b'0', "", 0o6700, SERVER.as_bytes())
        .member("bin/data", b'0', "", 0o4600, b"x")
        .save(&site.sandbox.path("a.tar"));
    site.set("archive", archive.to_str().unwrap());
    site.sandbox.write("env.jsonl", format!("{}\n", site.env));
    drop(site.sandbox.sh("umask 077; iinstall < env.jsonl").exits(0));
    let mode = |name: &str| site.home().join("current").join(name).metadata().unwrap().mode() & 0o7777;
    assert_eq!(
        [mode("."), mode("bin"), mode("bin/llama-server"), mode("bin/data")],
        [0o755, 0o755, 0o755, 0o644]
    );
}

#[test]
fn the_real_package_installs_and_runs_from_there() {
    let mut site = Site::new();
    let output = site.install(&Tiny::get().archive).exits(0);
    let executable = site.home().join("bin/llama-server");
    let version = site.sandbox.command(&executable).arg("--version").output().unwrap();
    assert!(version.status.success(), "{version:?}");
    assert!(output.one("installed")["checks"]["bytes"].as_u64().unwrap() > 1_000_000);
    assert_eq!(site.run("").exits(0).one("installed")["reused"], true);
}

#[test]
fn root_installs_for_another_user_who_can_read_neither_archive_nor_sandbox_tools() {
    if !as_root() {
        return;
    }
    let mut site = Site::new();
    let open = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    open(&site.sandbox.path(""));
    fs::create_dir(site.sandbox.path("private")).unwrap();
    fs::set_permissions(site.sandbox.path("private"), fs::Permissions::from_mode(0o700)).unwrap();
    let archive = site.save("private/a.tar.gz", Pack::good());
    site.set("user", "daemon");
    site.set("install_dir", site.sandbox.text("new/parents/llama"));
    let installed = site.install(&archive).exits(0).one("installed");
    assert_eq!(installed["source"]["path"], "$SANDBOX/private/a.tar.gz");
    let owner = |name: &str| site.sandbox.path(name).symlink_metadata().unwrap().uid();
    let daemon = owner("new/parents/llama");
    assert_eq!((owner("new"), owner("new/parents")), (0, 0));
    assert_ne!(daemon, 0);
    for name in ["current", ".installs", ".installs/.lock", "current/bin/llama-server"] {
        assert_eq!(owner(&format!("new/parents/llama/{name}")), daemon, "{name}");
    }
    assert_eq!(site.run("").exits(0).one("installed")["reused"], true);
    assert_eq!(site.run("--rollback").exits(69).all("failed").len(), 1);

    // A folder that is not the user's is not made his.
    fs::create_dir(site.sandbox.path("roots")).unwrap();
    site.set("install_dir", site.sandbox.text("roots"));
    let failed = site.run("").exits(69).one("failed");
    assert_eq!(failed["what"], "cannot use $SANDBOX/roots/.installs");
    let hint = "$SANDBOX/roots belongs to uid 0 with mode 0755, and this runs as uid";
    assert_eq!(failed["hint"], format!("{hint} {daemon}; chown it"));
    assert_eq!(fs::read_dir(site.sandbox.path("roots")).unwrap().count(), 0);
    site.set("user", "no-such-user");
    assert_eq!(site.run("").exits(69).one("failed")["cause"], "there is no such user");
}
