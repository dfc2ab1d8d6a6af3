//! Source distributions: what was fetched, and what was built from it.
use super::{PKGS, UV, gaps, pointer, real, verify};
use crate::kit::Sandbox;

const PLACE: &str = "cache/pypi/uv/sdists-v9/pypi/tool/1.0";
const SHA256: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

/// `revision.http` as uv writes it.
pub(super) fn revision(id: &str, hashes: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = pointer(id, hashes, "");
    // Of a pointer, its last two fields do not stand there: a name of no letters, and a zero.
    let end = bytes.len() - b"policy".len() - 8;
    bytes.drain(end - 3..end);
    bytes[0] = 0x92;
    bytes
}

/// A source distribution, a wheel built from it and what that was unpacked to, as pixi leaves them.
const BUILD: &str = r#"
import base64, hashlib, os, zipfile
place, uv = os.environ["PLACE"], os.environ["UV"]
os.makedirs(f"{place}/Ab12/src/tool.egg-info")
os.makedirs(f"{place}/Ab12/0123456789abcdef")
for path in ["src/setup.py", "src/tool.py", "src/tool.egg-info/SOURCES.txt", "0123456789abcdef/metadata.msgpack"]:
    open(f"{place}/Ab12/{path}", "w").write(path)
files = {"tool.py": b"x = 1\n" * 1000, "tool-1.0.dist-info/METADATA": b"Name: tool\n", "tool-1.0.dist-info/WHEEL": b""}
digest = lambda data: base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
record = "".join(f"{path},sha256={digest(data)},{len(data)}\n" for path, data in files.items())
files["tool-1.0.dist-info/RECORD"] = (record + "tool-1.0.dist-info/RECORD,,\n").encode()
wheel = f"{place}/Ab12/0123456789abcdef/tool-1.0-py3-none-any.whl"
with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
    for path, data in files.items():
        archive.writestr(path, data)
        os.makedirs(os.path.dirname(f"{uv}/archive-v0/Built/{path}"), exist_ok=True)
        open(f"{uv}/archive-v0/Built/{path}", "wb").write(data)
os.symlink(os.path.abspath(f"{uv}/archive-v0/Built"), wheel.removesuffix(".whl"))
"#;

fn with_sdist() -> Sandbox {
    let sandbox = real();
    let lock = sandbox.read("template/pixi.lock");
    let url = "https://x.invalid/tool-1.0.tar.gz";
    let lock = lock.replace("      linux-64:\n", &format!("      linux-64:\n      - pypi: {url}\n"));
    let package = format!("- pypi: {url}\n  name: tool\n  version: '1.0'\n  sha256: {SHA256}\n");
    sandbox.write("template/pixi.lock", lock + &package);
    sandbox.write("build.py", BUILD);
    sandbox.write(&format!("{PLACE}/revision.http"), revision("Ab12", &[("Sha256", SHA256)]));
    run(&sandbox, "python3 build.py");
    sandbox
}

fn run(sandbox: &Sandbox, script: &str) {
    let variables = format!("export PKGS={PKGS} UV={UV} PLACE={PLACE} BUILT={PLACE}/Ab12/0123456789abcdef");
    assert_eq!(sandbox.sh(&format!("{variables}; {script}")).exits(0).stderr, "", "{script}");
}

#[test]
fn a_whole_source_distribution_is_unprovable_and_no_more() {
    let sandbox = with_sdist();
    for options in ["", "--deep", "--record", "--deep"] {
        assert_eq!(gaps(&verify(&sandbox, options).exits(0)), ["tool unprovable?"], "{options}");
    }
    // What pixi builds later for another environment, and what it writes into the source then, is no fault; nor is a wheel
    // that it has to build again, or to unpack again.
    for change in [
        "mkdir $PLACE/Ab12/fedcba9876543210; cp $BUILT/*.whl $PLACE/Ab12/fedcba9876543210",
        "mkdir $PLACE/Ab12/src/build; echo > $PLACE/Ab12/src/build/x; echo >> $PLACE/Ab12/src/tool.egg-info/SOURCES.txt",
        "rm $BUILT/tool-1.0-py3-none-any; ln -s /gone $BUILT/tool-1.0-py3-none-any",
        "rm -r $BUILT",
    ] {
        run(&sandbox, change);
        assert_eq!(gaps(&verify(&sandbox, "--deep").exits(0)), ["tool unprovable?"], "{change}");
    }
}

#[test]
fn a_damaged_source_distribution_is_named() {
    // What a quick pass, a deep one, and a deep one with the manifest say.
    let (unprovable, damaged) = ("tool unprovable?", "tool damaged");
    for (damage, said) in [
        (": > $PLACE/revision.http", [damaged; 3]),
        ("truncate -s 40 $PLACE/revision.http", [damaged; 3]),
        ("mv $PLACE/Ab12 $PLACE/Cd34", ["tool missing"; 3]),
        ("rm -r $PLACE/Ab12/*", ["tool missing"; 3]),
        ("rm -r $PLACE/Ab12; : > $PLACE/Ab12", ["tool missing"; 3]),
        ("rm $PLACE/revision.http; mkdir $PLACE/revision.http", [damaged; 3]),
        ("truncate -s 400 $BUILT/*.whl", [unprovable, damaged, damaged]),
        (
            "printf x | dd of=$(echo $BUILT/*.whl) bs=1 seek=70 conv=notrunc status=none",
            [unprovable, damaged, damaged],
        ),
        (": > $BUILT/tool-1.0-py3-none-any.whl", [unprovable, damaged, damaged]),
        ("echo >> $UV/archive-v0/Built/tool.py", [unprovable, damaged, damaged]),
        ("rm $UV/archive-v0/Built/tool.py", [unprovable, damaged, damaged]),
        ("rm -r $UV/archive-v0/Built/tool-1.0.dist-info", [unprovable, damaged, damaged]),
        ("echo >> $PLACE/Ab12/src/setup.py", [unprovable, unprovable, damaged]),
        ("rm $PLACE/Ab12/src/setup.py", [unprovable, unprovable, damaged]),
        ("chmod 000 $PLACE/Ab12/src/setup.py", [unprovable, damaged, damaged]),
    ] {
        let sandbox = with_sdist();
        drop(verify(&sandbox, "--record").exits(0));
        run(&sandbox, &format!("mv cache/infer-dev-manifest-* .; {damage}"));
        let told = |options| gaps(&verify(&sandbox, options));
        let (quick, deep) = (told(""), told("--deep"));
        run(&sandbox, "mv infer-dev-manifest-* cache");
        assert_eq!([quick, deep, told("--deep")], said.map(|gap| vec![gap.to_owned()]), "{damage}");
    }
    let sandbox = with_sdist();
    for hashes in [&[][..], &[("Sha256", "00")]] {
        sandbox.write(&format!("{PLACE}/revision.http"), revision("Ab12", hashes));
        assert_eq!(gaps(&verify(&sandbox, "").exits(1)), ["tool wrong_hash"]);
    }
}
