//! The bundle road: the real bundle in every form, again, for somebody else, with no network; `bundle_bad` is what is refused
//! and `bundle_faults` what happens when it is killed.
use crate::kit::{Output, Pixi, Sandbox, as_root, fixture, tools};
use serde_json::{Value, json};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

/// The members of the real bundle that most tests change.
pub(super) const WHEEL: &str = "pypi/six-1.17.0-py2.py3-none-any.whl";
pub(super) const PYTHON: &str = "channel/linux-64/python-3.11.7-h0000000_0_cpython.tar.bz2";

/// A sandbox with the bundle's members in `members`, and the `env` record that is put to `iinstall` in it.
pub(super) struct Site {
    pub(super) sandbox: Sandbox,
    env: Value,
}

/// A pixi-unpack that makes an environment of the system's Python, which finds the bundle's wheels by their names.
pub(crate) const QUICK: &str = r#"#!/bin/sh -e
[ -f "$5/pixi-pack.json" ] && [ "$1$3$4" = -o-eenv ] || exit 9
found=$2/env/lib/$(/usr/bin/python3 -c 'import sys; print("python%d.%d" % sys.version_info[:2])')/site-packages
mkdir -p "$2/env/bin" "$found"
ln -s /usr/bin/python3 "$2/env/bin/python"
printf 'home = /usr/bin\n' > "$2/env/pyvenv.cfg"
for wheel in "$5"/pypi/*.whl; do
    [ -e "$wheel" ] || continue
    wheel=${wheel##*/}
    name=${wheel%%-*} version=${wheel#*-}
    version=${version%%-*}
    mkdir -p "$found/$name-$version.dist-info"
    printf 'Metadata-Version: 2.1\nName: %s\nVersion: %s\n' "$name" "$version" > "$found/$name-$version.dist-info/METADATA"
done
echo 'export PATH=$PATH' > "$2/activate.sh"
"#;

impl Site {
    pub(super) fn new() -> Self {
        let mut sandbox = Sandbox::new();
        sandbox.set("PATH", &path(&Pixi::get().bin));
        let mut env =
            json!({"kind": "env", "engine": "vllm", "road": "bundle", "pixi_env": "default", "origin": {}});
        for (name, folder) in
            [("workspace", "w"), ("run_dir", "run"), ("log_dir", "w/logs"), ("project_dir", "home/vllm")]
        {
            env[name] = json!(sandbox.path(folder));
        }
        fs::create_dir(sandbox.path("members")).unwrap();
        let site = Self { sandbox, env };
        site.sh(&format!("tar -xf {} -C members", fixture::bundle().display()));
        site
    }

    /// The same with a pixi-unpack that is done at once: its environment is the system's python.
    pub(super) fn quick() -> Self {
        let mut site = Self::new();
        let program = site.sandbox.script("quick/pixi-unpack", QUICK);
        site.sandbox.set("PATH", &path(program.parent().unwrap()));
        site
    }

    /// A script that must succeed, in the sandbox.
    #[track_caller]
    pub(super) fn sh(&self, script: &str) {
        drop(self.sandbox.sh(script).exits(0));
    }

    pub(super) fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.env[name] = value.into();
    }

    pub(super) fn unset(&mut self, name: &str) {
        self.env.as_object_mut().unwrap().remove(name);
    }

    /// `members` as a bundle of this name, compressed as it says.
    pub(super) fn pack(&self, name: &str) -> PathBuf {
        self.sh(&format!("tar --sort=name --owner=0 --group=0 -caf {name} -C members $(ls members)"));
        self.sandbox.path(name)
    }

    /// The self-extracting form of a tar in the sandbox, in pixi-pack's layout. It cannot run: nothing should run it.
    pub(super) fn script(&self, tar: &str, name: &str) -> PathBuf {
        self.sandbox.write("header", "#!/usr/bin/env bash\nset -euo pipefail\nexit 77\n@@END_HEADER@@\n");
        let unpack = Pixi::get().unpack();
        // The tests' own finds its libraries by where it is; a real one is one file.
        self.sandbox.write("wrapper", format!("#!/bin/sh\nexec {} \"$@\"\n", unpack.display()));
        let real = std::env::var_os("INFER_DEV_TEST_PIXI_UNPACK").is_some();
        let program = if real { unpack.display().to_string() } else { "wrapper".to_owned() };
        self.sh(&format!(
            "{{ cat header; echo; base64 -w0 {tar}; echo; echo @@END_ARCHIVE@@; base64 -w0 {program}; }} > {name}"
        ));
        self.sandbox.path(name)
    }

    /// The manifest of a bundle whose members are in `members`, as `ipack` writes it.
    pub(super) fn describe(&self, bundle: &str) -> PathBuf {
        let script = "import hashlib, json, os, sys, time
def sha(path):
    with open(path, 'rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()
paths = sorted(os.path.relpath(os.path.join(d, f), 'members') for d, _, fs in os.walk('members') for f in fs)
members = [{'path': p, 'sha256': sha('members/' + p), 'size_bytes': os.stat('members/' + p).st_size} for p in paths]
b = sys.argv[1]
json.dump({'format': 1, 'bundle': b, 'sha256': sha(b), 'size_bytes': os.stat(b).st_size, 'platform': 'linux-64',
    'pixi_env': 'default', 'lock_sha256': '00', 'created_unix': time.time(), 'versions': {'pixi-pack': '0.7.10'},
    'members': members}, open(b + '.json', 'w'))";
        self.sandbox.write("describe.py", script);
        self.sh(&format!("python3 describe.py {bundle}"));
        self.sandbox.path(&format!("{bundle}.json"))
    }

    /// `iinstall` with this bundle.
    pub(super) fn install(&mut self, bundle: impl AsRef<Path>) -> Output {
        self.set("bundle", bundle.as_ref().to_str().unwrap());
        self.run("")
    }

    /// `iinstall` with these options on the record as it is.
    pub(super) fn run(&self, options: &str) -> Output {
        self.save();
        self.sandbox.sh(&format!("iinstall {options} < env.jsonl"))
    }

    pub(super) fn save(&self) {
        // A new file each time: whoever reads the old one goes on with that.
        let new = self.sandbox.write("env.new", format!("{}\n", self.env));
        fs::rename(new, self.sandbox.path("env.jsonl")).unwrap();
    }

    /// `iinstall` on the record as it is, left to itself.
    pub(super) fn start(&self) -> Child {
        self.save();
        let mut command = self.sandbox.command(tools().join("iinstall"));
        command.stdin(fs::File::open(self.sandbox.path("env.jsonl")).unwrap());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    pub(super) fn home(&self) -> PathBuf {
        PathBuf::from(self.env["project_dir"].as_str().unwrap())
    }

    /// Names below `.installs`: complete ones, and others than the lock.
    pub(super) fn installs(&self) -> (Vec<String>, Vec<String>) {
        let entries = fs::read_dir(self.home().join(".installs")).into_iter().flatten().map(Result::unwrap);
        let (complete, others): (Vec<_>, Vec<_>) =
            entries.partition(|entry| entry.path().join("installed.json").exists());
        let names = |entries: Vec<fs::DirEntry>| {
            let names = entries.iter().map(|entry| entry.file_name().into_string().unwrap());
            names.filter(|name| name != ".lock").collect()
        };
        (names(complete), names(others))
    }

    /// Where `current` leads.
    pub(super) fn current(&self) -> Option<PathBuf> {
        fs::read_link(self.home().join("current")).ok()
    }

    /// Assert that what is current works: its wheels import.
    #[track_caller]
    pub(super) fn imports(&self) {
        let python = self.home().join("current/env/bin/python");
        let mut command = self.sandbox.command(&python);
        let output = command.args(["-B", "-c", "import six, idna, markupsafe; print('imported')"]).output();
        let output = output.unwrap_or_else(|error| panic!("{}: {error}", python.display()));
        assert_eq!(output.stdout, b"imported\n", "{output:?}");
    }
}

/// The rules of an output's warnings, less that the small environments of the tests hold no engine.
fn rules(output: &Output) -> Vec<Value> {
    let rules = output.all("warning").into_iter().map(|warning| warning["rule"].clone());
    rules.filter(|rule| rule != "import_missing").collect()
}

/// PATH with the tests' pixi-unpack, or without any.
fn path(bin: &Path) -> String {
    let no_gpu = crate::kit::root().join("tests/data/no-gpu");
    format!("{}:{}:{}:/usr/bin:/bin:/usr/sbin:/sbin", tools().display(), bin.display(), no_gpu.display())
}

#[test]
fn the_real_bundle_installs_in_every_form_and_its_wheels_import() {
    for name in ["b.tar", "b.tar.gz", "b.sh"] {
        let mut site = Site::new();
        fs::copy(fixture::bundle(), site.sandbox.path("b.tar")).unwrap();
        match name {
            "b.tar.gz" => site.sh("gzip -1 b.tar"),
            "b.sh" => drop(site.script("b.tar", "b.sh")),
            _ => {}
        }
        site.describe(name);
        // What it is called is nothing to go by.
        site.sh(&format!("mv {name} bundle; mv {name}.json bundle.json"));
        let bundle = site.sandbox.path("bundle");
        let output = site.install(&bundle).exits(0);
        assert_eq!(output.kinds().last().unwrap(), "installed", "{name}");
        let installed = output.one("installed");
        assert_eq!(installed["checks"]["proved"], json!(["manifest"]), "{name}");
        assert_eq!(installed["checks"]["members"], 10, "{name}");
        assert_eq!((&installed["checks"]["conda"], &installed["checks"]["pypi"]), (&json!(3), &json!(3)));
        let place = site.home().join(site.current().unwrap());
        let shown = format!("$SANDBOX/home/vllm/.installs/{}", place.file_name().unwrap().to_str().unwrap());
        assert_eq!(installed["path"], shown, "{name}");
        assert_eq!(installed["python"], format!("{shown}/env/bin/python"), "{name}");
        assert_eq!(installed["seal"], "namespace", "{name}");
        assert_eq!(installed["activation"]["path"], json!([format!("{shown}/env/bin")]), "{name}");
        assert_eq!(installed["activation"]["variables"]["CONDA_PREFIX"], format!("{shown}/env"), "{name}");
        site.imports();
        let mut left: Vec<_> = fs::read_dir(&place)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["activate.sh", "env", "installed.json"], "{name}");
        for link in ["env", "activate.sh", ".installed-from.json"] {
            let target = fs::read_link(site.home().join(link)).unwrap();
            assert!(target.starts_with("current"), "{name}: {link} -> {}", target.display());
        }
        assert_eq!(site.installs().1, [""; 0], "{name}");
        assert_eq!(fs::read_dir(site.sandbox.path("tmp")).unwrap().count(), 0, "{name}: TMPDIR is not used");
    }
}

#[test]
fn what_vouches_for_a_bundle_is_said_and_nothing_is_a_warning() {
    let mut site = Site::quick();
    let bundle = site.pack("b.tar");
    let output = site.install(&bundle).exits(0);
    assert_eq!(rules(&output), ["unproved_bundle"]);
    assert_eq!(output.all("warning")[0]["what"], "nothing vouches for $SANDBOX/b.tar");
    assert_eq!(output.one("installed")["checks"]["proved"], json!([]));
    let id = output.one("installed")["id"].clone();

    fixture::tiny(&site.sandbox.path("tiny"));
    site.set("template_dir", site.sandbox.text("tiny/template"));
    site.set("sha256", id.as_str().unwrap().to_uppercase());
    site.describe("b.tar");
    site.set("force", true);
    let again = site.run("").exits(0);
    assert_eq!(rules(&again), [""; 0]);
    assert_eq!(again.one("installed")["checks"]["proved"], json!(["sha256", "manifest", "lock"]));
    assert_eq!((&again.one("installed")["id"], again.one("installed").get("reused")), (&id, None));
}

#[test]
fn the_same_bundle_again_is_a_no_op_by_its_looks_or_its_hash() {
    let mut site = Site::quick();
    let bundle = site.pack("b.tar");
    let first = site.install(&bundle).exits(0).one("installed");
    fs::remove_file(site.home().join("env")).unwrap();
    for options in ["", "--rehash"] {
        let again = site.run(options).exits(0).one("installed");
        assert_eq!((&again["reused"], &again["path"]), (&json!(true), &first["path"]), "{options}");
    }
    site.sh("cp b.tar c.tar && mv c.tar b.tar");
    let touched = site.run("").exits(0).one("installed");
    assert_eq!((&touched["reused"], &touched["path"]), (&json!(true), &first["path"]));
    assert_eq!(touched["source"]["inode"].as_u64().unwrap(), bundle.metadata().unwrap().ino());
    assert_eq!(site.installs().0.len(), 1);
    assert!(site.home().join("env/bin/python").exists(), "the fixed links come back");

    site.sh("echo '# another' >> members/environment.yml");
    let other = site.pack("c.tar");
    let flipped = site.install(other).exits(0).one("installed");
    assert_eq!((flipped.get("reused"), &flipped["previous"]), (None, &first["path"]));
    assert_eq!(site.run("--rollback").exits(0).one("installed")["id"], first["id"]);
}

/// The most memory that a process ever had, as long as it is there to be asked.
fn peak_kib(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

#[test]
fn a_script_of_any_size_installs_in_little_memory() {
    let mib = if crate::kit::full() { 2048 } else { 200 };
    let mut site = Site::new();
    // A file that no index lists: pixi-unpack passes it by, and we unpack and hash it as all others.
    site.sh(&format!("head -c {mib}M /dev/urandom > members/channel/noarch/payload-1.0-0.conda"));
    let script = site.pack("b.tar");
    site.script("b.tar", "b.sh");
    site.describe("b.sh");
    fs::remove_file(script).unwrap();
    site.set("bundle", site.sandbox.text("b.sh"));
    let mut child = site.start();
    let mut peak = 0;
    // Before it becomes iinstall it is as large as we are; then its peak only grows.
    while child.try_wait().unwrap().is_none() {
        peak = peak_kib(child.id()).unwrap_or(peak);
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    println!("{mib} MiB in a script: at most {peak} KiB of memory");
    assert!((1..64 << 10).contains(&peak), "{peak} KiB");
    site.imports();
    assert_eq!(site.installs().1, [""; 0]);
}

#[test]
fn a_proxy_is_never_asked() {
    let mut site = Site::new();
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://127.0.0.1:{}", proxy.local_addr().unwrap().port());
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        site.sandbox.set(name, &url);
    }
    drop(site.install(fixture::bundle()).exits(0));
    site.imports();
    proxy.set_nonblocking(true).unwrap();
    assert_eq!(proxy.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn which_pixi_unpack_runs() {
    let mut site = Site::new();
    site.pack("b.tar");
    let fake = |name: &str| {
        let script = format!("#!/bin/sh\necho $0 {name} >&2\necho error: {name} cannot >&2\nexit 3\n");
        site.sandbox.script(&format!("{name}/pixi-unpack"), &script)
    };
    let (named, found) = (fake("named"), fake("found"));
    let cause = |output: &Output| output.one("failed")["cause"].as_str().unwrap().to_owned();

    // None at all: which file to bring, and where to.
    site.sandbox.set("PATH", &path(Path::new("/nonexistent")));
    let missing = site.install(site.sandbox.path("b.tar")).exits(69).one("failed");
    assert_eq!(missing["what"], "cannot find pixi-unpack");
    let hint = missing["hint"].as_str().unwrap();
    assert!(hint.contains("unknown-linux-musl") && hint.contains("PATH"), "{hint}");
    assert!(hint.contains("AUTO_INFER_VLLM_PIXI_UNPACK_BIN"), "{hint}");
    assert_eq!(site.installs().1, [""; 0], "nothing is unpacked for nothing");

    // The one that was named and is not there: PATH's does not stand in for it.
    site.sandbox.set("PATH", &path(&Pixi::get().bin));
    site.set("pixi_unpack", site.sandbox.text("nowhere"));
    let missing = site.run("").exits(69).one("failed");
    assert_eq!(missing["what"], "cannot find pixi-unpack");
    assert_eq!(missing["cause"], "$SANDBOX/nowhere: No such file or directory");
    assert_eq!((&missing["hint"], site.installs().1), (&hint.into(), vec![]));
    site.unset("pixi_unpack");

    // PATH's, then the one that was named; what it says last is told.
    site.sandbox.set("PATH", &path(found.parent().unwrap()));
    let failed = site.run("").exits(69);
    assert_eq!(cause(&failed), "exit 3: found cannot");
    assert_eq!(failed.one("failed")["log_tail"][1], "error: found cannot");
    site.set("pixi_unpack", named.to_str().unwrap());
    assert_eq!(cause(&site.run("").exits(69)), "exit 3: named cannot");
    assert_eq!((site.current(), site.installs().1), (None, vec![]));

    // The one inside the script goes before PATH's; the one that was named before it.
    let script = site.script("b.tar", "b.sh");
    assert_eq!(cause(&site.install(&script).exits(69)), "exit 3: named cannot");
    site.unset("pixi_unpack");
    drop(site.run("").exits(0));
    site.imports();
}

#[test]
fn a_script_of_another_make_runs_only_when_asked_and_sealed() {
    let mut site = Site::new();
    let script = format!(
        "#!/usr/bin/env bash\nset -euo pipefail\n! (echo > /dev/tcp/192.0.2.1/80) 2>/dev/null\npixi-unpack \"$@\" {}\n",
        fixture::bundle().display()
    );
    let bundle = site.sandbox.write("b.sh", script);
    let failed = site.install(&bundle).exits(65).one("failed");
    assert_eq!(failed["cause"], "it is a script without the line @@END_HEADER@@ in its first 1024 KiB");
    assert!(failed["hint"].as_str().unwrap().contains("--run-sh"), "{failed}");
    assert_eq!(site.current(), None);
    let output = site.run("--run-sh").exits(0);
    assert_eq!(rules(&output), ["unproved_bundle"]);
    assert_eq!(output.one("installed")["checks"]["proved"], json!([]));
    site.imports();
}

#[test]
fn root_installs_for_nobody_who_cannot_read_the_bundle() {
    if !as_root() {
        return;
    }
    let mut site = Site::new();
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(&site.sandbox.path(""), 0o755);
    let bin = Pixi::get().copied(&site.sandbox.path("pixi"));
    site.sandbox.set("PATH", &path(&bin));
    let bundle = site.pack("b.tar");
    site.describe("b.tar");
    mode(&bundle, 0o600);
    site.set("user", "nobody");
    site.set("project_dir", site.sandbox.text("new/vllm"));
    let installed = site.install(&bundle).exits(0).one("installed");
    assert_eq!(installed["checks"]["proved"], json!(["manifest"]));
    let owner = |name: &str| site.sandbox.path(name).symlink_metadata().unwrap().uid();
    let nobody = owner("new/vllm");
    assert_eq!((owner("new"), nobody == 0), (0, false));
    for name in ["current", ".installs/.lock", "current/installed.json", "current/env/bin/python"] {
        assert_eq!(owner(&format!("new/vllm/{name}")), nobody, "{name}");
    }
    site.imports();
    assert_eq!(site.run("").exits(0).one("installed")["reused"], true);
    drop(fs::remove_dir_all(site.home()));

    // Media of root's alone, all that vouches too.
    fs::create_dir(site.sandbox.path("media")).unwrap();
    fixture::tiny(&site.sandbox.path("tiny"));
    site.sh("mv b.tar b.tar.json media; mv tiny/template media; chmod -R go= media");
    site.set("template_dir", site.sandbox.text("media/template"));
    let vouched = |output: Output| output.exits(0).one("installed")["checks"]["proved"].clone();
    assert_eq!(vouched(site.install(site.sandbox.path("media/b.tar"))), json!(["manifest", "lock"]));
    assert_eq!(vouched(site.run("")), json!(["manifest", "lock"]));
    // What is not there, is not; what is wrong, is so for him too.
    site.sh("mv media/b.tar.json kept; rm media/template/pixi.lock");
    site.set("force", true);
    assert_eq!(vouched(site.run("")), json!([]));
    site.sandbox.write("media/b.tar.json", "{");
    mode(&site.sandbox.path("media/b.tar.json"), 0o600);
    assert_eq!(site.run("").exits(65).one("failed")["what"], "cannot read $SANDBOX/media/b.tar.json");
    // A link is followed as him: it could lead anywhere.
    site.sh("mv kept media/real.json; ln -sf real.json media/b.tar.json");
    let failed = site.run("").exits(69).one("failed");
    assert_eq!(failed["what"], "cannot read $SANDBOX/media/b.tar.json");
    assert_eq!(failed["cause"], "Permission denied");

    // Refused, nothing is left of the folders that were made for him.
    site.set("project_dir", site.sandbox.text("newer/still/vllm"));
    drop(site.run("").exits(69));
    assert!(!site.sandbox.path("newer").exists());
}
