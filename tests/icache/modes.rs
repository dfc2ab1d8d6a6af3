//! What a copy without modes leaves behind: every byte as it was, and programs that do not run.
use super::{PKGS, UV, empty, gaps, verify};
use crate::kit::{Sandbox, fixture};

const PYTHON: &str = "cache/conda/rattler/pkgs/python-3.11.7-h0000000_0_cpython";

/// The real cache with its Python, and a tool in a wheel.
fn real() -> Sandbox {
    let sandbox = empty();
    fixture::tiny(&sandbox.path(""));
    sandbox
}

fn run(sandbox: &Sandbox, script: &str) {
    let output = sandbox.sh(&format!("PKGS={PKGS} UV={UV} PYTHON={PYTHON}; {script}")).exits(0);
    assert_eq!(output.stderr, "", "{script}");
}

#[test]
fn a_program_that_may_not_be_run_any_more_is_named() {
    let sandbox = real();
    drop(verify(&sandbox, "--record").exits(0));
    run(&sandbox, "mv cache/infer-dev-manifest-* .");
    // What a quick pass, a deep one, and a deep one with the manifest find.
    for (damage, mended, found) in [
        ("chmod 644 $PYTHON/bin/python3.11", "chmod 755 $PYTHON/bin/python3.11", [true, true, true]),
        ("chmod 444 $PYTHON/bin/*", "chmod 755 $PYTHON/bin/*", [true, true, true]),
        // One of many scripts outside of bin: only the manifest knows that it could be run.
        (
            "chmod 644 $PYTHON/lib/python3.11/pydoc.py",
            "chmod 755 $PYTHON/lib/python3.11/pydoc.py",
            [false, false, true],
        ),
        (
            "chmod 000 $PYTHON/lib/python3.11/os.py",
            "chmod 644 $PYTHON/lib/python3.11/os.py",
            [false, true, true],
        ),
        // Libraries need no such right, and that more may be run breaks nothing.
        (
            "chmod 644 $(find $PYTHON -name '*.so*' -type f)",
            "chmod 755 $(find $PYTHON -name '*.so*' -type f)",
            [false; 3],
        ),
        ("chmod 755 $PYTHON/lib/python3.11/os.py", "chmod 644 $PYTHON/lib/python3.11/os.py", [false; 3]),
    ] {
        run(&sandbox, damage);
        for ((setting, options), found) in
            [("", ""), ("", "--deep"), ("cp infer-dev-manifest-* cache", "--deep")].into_iter().zip(found)
        {
            run(&sandbox, setting);
            let output = verify(&sandbox, options).exits(i32::from(found));
            let expected = if found { vec!["python damaged"] } else { Vec::new() };
            assert_eq!(gaps(&output), expected, "{damage} {setting} {options}: {}", output.transcript());
        }
        run(&sandbox, &format!("rm cache/infer-dev-manifest-*; {mended}"));
    }
    run(&sandbox, "chmod 644 $PYTHON/bin/python3.11");
    let gap = verify(&sandbox, "").exits(1).one("gap");
    assert_eq!(gap["path"], format!("$SANDBOX/{PYTHON}/bin/python3.11"));
    let detail = "it is a program that may not be run, its mode is 0644: a copy has lost the modes";
    assert_eq!(gap["detail"], detail);
}

#[test]
fn a_file_that_its_owner_may_not_read_is_refused_even_to_root() {
    let sandbox = real();
    run(&sandbox, "chmod 000 $UV/archive-v0/EaaBKbQ21Z4gSNhB/six.py");
    let output = verify(&sandbox, "--deep").exits(1);
    assert_eq!(gaps(&output), ["six damaged"]);
    assert_eq!(gaps(&verify(&sandbox, "--record").exits(1)), ["six damaged"]);
}

/// A wheel of one program and one module.
const WHEEL: &str = r#"
cd $UV/archive-v0/EaaBKbQ21Z4gSNhB
mkdir -p tool
cp ~-/$PYTHON/bin/python3.11 tool/tool
chmod 755 tool/tool
echo "tool/tool,," >> six-1.17.0.dist-info/RECORD
cd ~-
"#;

#[test]
fn a_package_in_which_nothing_may_be_run_has_lost_its_modes() {
    let sandbox = real();
    run(&sandbox, WHEEL);
    assert!(gaps(&verify(&sandbox, "--record").exits(0)).is_empty());
    run(&sandbox, "chmod 644 $UV/archive-v0/EaaBKbQ21Z4gSNhB/tool/tool; mv cache/infer-dev-manifest-* .");
    assert_eq!(gaps(&verify(&sandbox, "--deep").exits(1)), ["six damaged"]);
    // A second look reads nothing again, but for what is at fault.
    for _ in 0..2 {
        assert_eq!(gaps(&verify(&sandbox, "--since note").exits(1)), ["six damaged"]);
    }
    // Beside one that may be run it may be a file like any other, for all that is known without a manifest.
    run(&sandbox, "chmod 755 $UV/archive-v0/EaaBKbQ21Z4gSNhB/six.py");
    assert!(gaps(&verify(&sandbox, "--deep").exits(0)).is_empty());
    run(&sandbox, "mv infer-dev-manifest-* cache");
    let output = verify(&sandbox, "--deep").exits(1);
    assert_eq!(gaps(&output), ["six damaged"]);
    let detail = "it may not be run any more: a copy has lost the modes";
    assert_eq!(output.one("gap")["detail"], detail);
}

#[test]
fn a_manifest_from_before_modes_were_known_is_used_and_says_so() {
    let sandbox = real();
    drop(verify(&sandbox, "--record").exits(0));
    run(
        &sandbox,
        "jq 'del(.packages[].executables)' cache/infer-dev-manifest-* > x; mv x cache/infer-dev-manifest-*",
    );
    run(&sandbox, "chmod 644 $PYTHON/lib/python3.11/pydoc.py");
    let output = verify(&sandbox, "--deep").exits(0);
    let old = |output: &crate::kit::Output| output.all("warning").iter().any(|w| w["rule"] == "manifest_old");
    assert!(old(&output) && gaps(&output).is_empty(), "{}", output.transcript());
    run(&sandbox, "echo >> $PYTHON/info/about.json");
    assert_eq!(gaps(&verify(&sandbox, "--deep").exits(1)), ["python damaged"], "what it knows counts");
    drop(verify(&sandbox, "--record").exits(0));
    assert!(!old(&verify(&sandbox, "--deep").exits(0)));
}

#[test]
fn what_pixi_locks_must_be_a_file() {
    let sandbox = real();
    for (make, whole) in [
        (": > $PKGS/.cache.lock", true),
        ("mkdir $PKGS/.cache.lock", false),
        ("mkfifo $PKGS/.cache.lock", false),
        ("ln -s /nowhere/at/all $PKGS/.cache.lock", false),
    ] {
        run(&sandbox, &format!("rm -rf $PKGS/.cache.lock; {make}"));
        let output = verify(&sandbox, "").exits(i32::from(!whole));
        let expected = if whole { vec![] } else { vec![".cache.lock damaged"] };
        assert_eq!(gaps(&output), expected, "{make}: {}", output.transcript());
    }
}
