//! A cache that is damaged: every damage is named, and nothing else is.
use super::{PKGS, SIX, TINYLIB, UV, gaps, kinds, real, verify};

/// What is done to a cache, and the gaps that a quick and a deep pass find then.
type Damage = (&'static str, &'static [&'static str], &'static [&'static str]);

/// `B` flips the last byte of a file.
const DAMAGES: [Damage; 26] = [
    (
        "rm -r $PKGS/tinylib-1.0-h1111111_0 $PKGS/python-3.11.7-h0000000_0_cpython $UV/archive-v0/ENvm99EfOFDt5WhM",
        &["python missing", "tinylib missing", "idna missing"],
        &["python missing", "tinylib missing", "idna missing"],
    ),
    ("rm $UV/wheels-v6/pypi/idna/*.http", &["idna missing"], &["idna missing"]),
    ("B $PKGS/tinylib-1.0-h1111111_0/lib/libtiny.so.1.0", &[], &["tinylib damaged"]),
    ("B $UV/archive-v0/EaaBKbQ21Z4gSNhB/six.py", &[], &["six damaged"]),
    ("echo >> $UV/archive-v0/ENvm99EfOFDt5WhM/idna/cli.py", &[], &["idna damaged"]),
    ("rm $UV/archive-v0/ENvm99EfOFDt5WhM/idna/c*.py", &[], &["idna damaged"]),
    (
        "rm $PKGS/tinylib*/lib/libtiny.so; mkdir $PKGS/tinylib-1.0-h1111111_0/lib/libtiny.so",
        &[],
        &["tinylib damaged"],
    ),
    (": > $PKGS/cuda-version-12.8-0.lock", &["cuda-version damaged"], &["cuda-version damaged"]),
    ("rm $PKGS/cuda-version-12.8-0.lock", &["cuda-version damaged"], &["cuda-version damaged"]),
    ("truncate -s 20 $PKGS/cuda-version-12.8-0.lock", &["cuda-version damaged"], &["cuda-version damaged"]),
    ("B $PKGS/cuda-version-12.8-0.lock", &["cuda-version wrong_hash"], &["cuda-version wrong_hash"]),
    (
        "cd $UV/archive-v0; mv EaaBKbQ21Z4gSNhB x; mv ENvm99EfOFDt5WhM EaaBKbQ21Z4gSNhB; mv x ENvm99EfOFDt5WhM",
        &["idna wrong_hash", "six wrong_hash"],
        &["idna wrong_hash", "six wrong_hash"],
    ),
    (
        "cd $PKGS; mv tinylib-1.0-h1111111_0 x; mv cuda-version-12.8-0 tinylib-1.0-h1111111_0; mv x cuda-version-12.8-0",
        &["tinylib wrong_hash", "cuda-version wrong_hash"],
        &["tinylib wrong_hash", "cuda-version wrong_hash"],
    ),
    (
        "cd $UV/wheels-v6/pypi; cp six/*.http idna/3.20-py3-none-any.http",
        &["idna wrong_hash"],
        &["idna wrong_hash"],
    ),
    ("truncate -s 60 $UV/wheels-v6/pypi/markupsafe/*.http", &["markupsafe damaged"], &["markupsafe damaged"]),
    (": > $UV/wheels-v6/pypi/markupsafe/*.http", &["markupsafe damaged"], &["markupsafe damaged"]),
    // It ends in zeros, as if its policy had no length.
    ("truncate -s 274 $UV/wheels-v6/pypi/six/*.http", &["six damaged"], &["six damaged"]),
    // uv would copy the link as if it were a file.
    (
        "cd $UV/archive-v0; mv EaaBKbQ21Z4gSNhB x; ln -s x EaaBKbQ21Z4gSNhB",
        &["six damaged"],
        &["six damaged"],
    ),
    // rattler does not read it then.
    (
        "jq '.depends = null' $PKGS/tinylib*/info/index.json > x; mv x $PKGS/tinylib-1.0-h1111111_0/info/index.json",
        &["tinylib damaged"],
        &["tinylib damaged"],
    ),
    (
        "jq 'del(.build_number)' $PKGS/tinylib*/info/index.json > x; mv x $PKGS/tinylib-1.0-h1111111_0/info/index.json",
        &["tinylib damaged"],
        &["tinylib damaged"],
    ),
    ("echo { > $PKGS/tinylib-1.0-h1111111_0/info/paths.json", &["tinylib damaged"], &["tinylib damaged"]),
    ("rm -r $UV/archive-v0/EaaBKbQ21Z4gSNhB/*.dist-info", &["six damaged"], &["six damaged"]),
    // A pipe in the place of a file is not waited for.
    (
        "cd $PKGS; rm tinylib*.lock python*/info/index.json; mkfifo tinylib-1.0-h1111111_0.lock \
         python-3.11.7-h0000000_0_cpython/info/index.json",
        &["python damaged", "tinylib damaged"],
        &["python damaged", "tinylib damaged"],
    ),
    (
        "cd $UV/wheels-v6/pypi/six; rm *.http; mkfifo 1.17.0-py2.py3-none-any.http",
        &["six damaged"],
        &["six damaged"],
    ),
    ("cd $UV/archive-v0/EaaBKbQ21Z4gSNhB/*.dist-info; rm RECORD; mkfifo RECORD", &[], &["six damaged"]),
    (
        "mv $UV/wheels-v6 $UV/wheels-v5",
        &["idna missing", "markupsafe missing", "six missing"],
        &["idna missing", "markupsafe missing", "six missing"],
    ),
];

#[test]
fn what_was_damaged_is_named_and_nothing_else() {
    const FLIP: &str = r#"B() { last=$(tail -c 1 "$1" | od -An -tu1); truncate -s -1 "$1"
        printf "\\$(printf %o $((last ^ 1)))" >> "$1"; }"#;
    for (damage, quick, deep) in DAMAGES {
        let sandbox = real();
        let script = format!("PKGS=$PWD/{PKGS} UV=$PWD/{UV}; {FLIP}; {damage}");
        assert_eq!(sandbox.sh(&script).exits(0).stderr, "");
        for (options, expected) in [("", quick), ("--deep", deep)] {
            let output = verify(&sandbox, options).exits(i32::from(!expected.is_empty()));
            assert_eq!(gaps(&output), expected, "{damage} {options}\n{}", output.transcript());
            assert_eq!(output.one("cache")["gaps"], expected.len());
        }
    }
}

#[test]
fn a_package_without_a_list_of_hashes_is_not_proved_unless_the_manifest_has_it() {
    let sandbox = real();
    std::fs::remove_file(sandbox.path(&format!("{TINYLIB}/info/paths.json"))).unwrap();
    assert!(gaps(&verify(&sandbox, "").exits(0)).is_empty(), "pixi reads info/files");
    assert_eq!(gaps(&verify(&sandbox, "--deep").exits(0)), ["tinylib unprovable?"]);
    assert_eq!(gaps(&verify(&sandbox, "--deep --strict").exits(1)), ["tinylib unprovable"]);
    drop(verify(&sandbox, "--record").exits(0));
    assert!(gaps(&verify(&sandbox, "--deep --strict").exits(0)).is_empty());
    sandbox.write(&format!("{TINYLIB}/lib/libtiny.so.1.0"), "");
    assert_eq!(gaps(&verify(&sandbox, "--deep").exits(1)), ["tinylib damaged"]);
}

#[test]
fn all_of_it_at_once_is_reported_in_one_run_with_what_the_connected_side_needs() {
    let sandbox = real();
    let damage = format!(
        "rm -r {TINYLIB}; : > {PKGS}/cuda-version-12.8-0.lock; echo >> {SIX}/six.py; \
         truncate -s 60 {UV}/wheels-v6/pypi/markupsafe/*.http"
    );
    assert_eq!(sandbox.sh(&damage).exits(0).stderr, "");
    let output = verify(&sandbox, "--deep").exits(1);
    assert_eq!(
        gaps(&output),
        ["tinylib missing", "cuda-version damaged", "markupsafe damaged", "six damaged"]
    );
    insta::assert_snapshot!(output.all("gap")[0], @r#"{"kind":"gap","engine":"sglang","package":"tinylib","version":"1.0","source":"conda","reason":"missing","blocks":true,"url":"http://127.0.0.1:8899/conda-forge/linux-64/tinylib-1.0-h1111111_0.tar.bz2","sha256":"79e7babd57e676d4e2ace0740b469d5a433cd3aa02ef2982cd43deea7472bd6a","size_bytes":605,"path":"$SANDBOX/cache/conda/rattler/pkgs/tinylib-1.0-h1111111_0","detail":"the package is not in the cache"}"#);
    let six = &output.all("gap")[3];
    assert_eq!(six["path"], format!("$SANDBOX/{SIX}/six.py"));
    assert_eq!(six["detail"], "it has 34704 bytes instead of 34703");
    assert_eq!(kinds(&output).last().unwrap(), "failed");
    let failed = output.one("failed");
    assert_eq!(
        (failed["code"].as_u64(), failed["cause"].as_str()),
        (Some(1), Some("4 gaps block the install"))
    );
    let list = sandbox
        .sh("ienv sglang | icache --platform linux-64 2>&- | jq -r 'select(.kind==\"gap\") | .url' || true");
    assert_eq!(list.stdout.lines().filter(|url| url.starts_with("http")).count(), 3);
}

#[test]
fn a_poisoned_cache_is_caught_whatever_its_lock_file_says() {
    // A failed fetch leaves the wanted hash beside another build, and pixi would install that.
    for (field, other) in [
        ("\"timestamp\": 1760000000000", "\"timestamp\": 1750000000000"),
        ("\"build_number\": 0", "\"build_number\": 1"),
        ("\"version\": \"1.0\"", "\"version\": \"1.1\""),
        ("\"subdir\": \"linux-64\"", "\"subdir\": \"noarch\""),
    ] {
        let sandbox = real();
        let path = format!("{TINYLIB}/info/index.json");
        let index = sandbox.read(&path);
        assert!(index.contains(field), "{index}");
        sandbox.write(&path, index.replace(field, other));
        assert_eq!(gaps(&verify(&sandbox, "").exits(1)), ["tinylib wrong_hash"], "{other}");
    }
}

#[test]
fn what_a_crash_left_behind_is_not_looked_at() {
    let sandbox = real();
    let script = format!(
        "mkdir {PKGS}/.six-1.0-0Xa12; echo > {PKGS}/.six-1.0-0Xa12/x; : > {PKGS}/gone-1.0-0.lock; \
         ln -sfn /gone {UV}/wheels-v6/pypi/six/1.17.0-py2.py3-none-any; mkdir {UV}/archive-v0/.tmpAb12"
    );
    assert_eq!(sandbox.sh(&script).exits(0).stderr, "");
    assert_eq!(kinds(&verify(&sandbox, "--deep").exits(0)), ["env", "cache"]);
}
