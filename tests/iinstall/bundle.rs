//! The bundle road: the real bundle in every form, again, for somebody else, with no network; `bundle_bad` is what is refused
//! and `bundle_faults` what happens when it is killed.
mod rights;
mod unpacker;

use crate::kit::{Output, Pixi, Sandbox, fixture, tools};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::MetadataExt;
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
fn what_a_bundle_is_verified_by_is_said_and_none_is_a_warning() {
    let mut site = Site::quick();
    let bundle = site.pack("b.tar");
    let output = site.install(&bundle).exits(0);
    assert_eq!(rules(&output), ["unproved_bundle"]);
    assert_eq!(output.all("warning")[0]["what"], "nothing verifies $SANDBOX/b.tar");
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
fn the_same_bundle_again_is_a_no_op_by_its_fingerprint_or_its_hash() {
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
