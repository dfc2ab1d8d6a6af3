//! A verified cache made a mirror, from which rattler and uv install.
use super::crossing::{site, verify};
use super::gaps;
use crate::kit::{Loopback, Sandbox, is_root};
use serde_json::Value;

/// A project that takes the same packages from a mirror alone, with caches of its own.
const PROJECT: &str = r#"mkdir project
    sed -e "s|^channels = .*|channels = [\"$MIRROR/channel\"]|" -e "s|^index-url = .*|index-url = \"$MIRROR/simple\"|" \
        template/pixi.toml > project/pixi.toml
    export PIXI_CACHE_DIR=$PWD/fresh PIXI_CACHE_PYPI_WHEELS_DIR=$PWD/fresh/uv PIXI_NO_CONFIG=1
    cd project; pixi lock 2> log || { cat log; exit 1; }; pixi install --frozen 2> log || { cat log; exit 1; }
    cd .pixi/envs/default; bin/python -IBc 'import sglang, torch; print(sglang.__version__, torch.__version__)'
    bin/python3 -IBc 'import sys; print(sys.prefix)' | grep -q /project/.pixi/envs/default
    ls lib/libtiny.so*; test -x bin/python3.11; test -L lib/libtiny.so || test -f lib/libtiny.so.1.0"#;

fn hashes(sandbox: &Sandbox) -> String {
    sandbox.sh("cd mirror; find . -type f | sort | xargs sha256sum").exits(0).stdout
}

#[test]
fn rattler_and_uv_install_from_the_mirror_of_a_cache() {
    let (mut sandbox, channel) = site();
    let output = verify(&sandbox, "--export-channel mirror").exits(0);
    assert_eq!(output.one("cache")["depth"], "deep");
    assert!(gaps(&output).is_empty() && output.all("warning").iter().all(|it| it["rule"] != "not_exported"));
    drop(channel);
    let first = hashes(&sandbox);
    let names: Vec<&str> = first.lines().filter_map(|line| line.rsplit('/').next()).collect();
    for name in
        ["repodata.json", "index.html", "tinylib-1.0-h1111111_0.conda", "sglang-0.5.7-py3-none-any.whl"]
    {
        assert!(names.contains(&name), "{name}: {first}");
    }
    for subdir in ["linux-64", "noarch"] {
        let repodata: Value =
            serde_json::from_str(&sandbox.read(&format!("mirror/channel/{subdir}/repodata.json"))).unwrap();
        for (name, record) in repodata["packages.conda"].as_object().unwrap() {
            assert!(
                first.contains(&format!(
                    "{}  ./channel/{subdir}/{name}\n",
                    record["sha256"].as_str().unwrap()
                ))
            );
        }
    }

    let mirror = Loopback::channel(&sandbox.path("mirror"));
    sandbox.set("MIRROR", &mirror.url());
    let output = sandbox.sh(PROJECT).exits(0);
    assert!(output.stdout.starts_with("0.5.7 2.9.1"), "{}", output.transcript());
    assert!(output.stdout.contains("lib/libtiny.so.1.0"), "{}", output.transcript());
    let lock = sandbox.read("project/pixi.lock");
    assert!(
        lock.contains(&format!("{}/channel/linux-64/tinylib-1.0-h1111111_0.conda", mirror.url())),
        "{lock}"
    );
    assert!(
        lock.contains(&format!("{}/simple/sglang/sglang-0.5.7-py3-none-any.whl", mirror.url())),
        "{lock}"
    );
    // Whoever makes it again makes the same, beside what others put there.
    let other = "cd mirror/channel/noarch; cp *.conda other-1.0-0.conda
        jq '.\"packages.conda\"[\"other-1.0-0.conda\"] = {name: \"other\"}' repodata.json > x; mv x repodata.json; cd ../../simple
        mkdir other; cp torch/*.whl other/other-1.0-py3-none-any.whl; echo 'old' > other/index.html; cp other/*.whl torch";
    assert_eq!(sandbox.sh(other).exits(0).stderr, "");
    drop(verify(&sandbox, "--export-channel mirror").exits(0));
    let second = hashes(&sandbox);
    let packages = |text: &str| -> Vec<String> {
        text.lines()
            .filter(|line| !line.contains("other"))
            .filter(|line| !line.ends_with("html"))
            .map(str::to_owned)
            .collect()
    };
    let but_noarch = |text: &str| -> Vec<String> {
        packages(text).into_iter().filter(|line| !line.ends_with("noarch/repodata.json")).collect()
    };
    assert_eq!(but_noarch(&second), but_noarch(&first));
    assert!(sandbox.read("mirror/channel/noarch/repodata.json").contains("other-1.0-0.conda"));
    assert!(sandbox.read("mirror/simple/torch/index.html").contains("other-1.0-py3-none-any.whl#sha256="));
    assert!(sandbox.read("mirror/simple/index.html").contains("<a href=\"other/\">"));
}

#[test]
fn only_a_cache_that_is_whole_becomes_a_mirror_and_one_export_at_a_time_makes_it() {
    let (sandbox, _channel) = site();
    let held = "mkdir mirror; exec 9< mirror; flock 9; ienv sglang | icache --export-channel mirror 9<&-";
    let failed = sandbox.sh(held).exits(75).one("failed");
    assert!(failed["cause"].as_str().unwrap().contains("another export"), "{failed}");
    // What is there and is no index is named, and a full disk leaves nothing that is half written.
    let odd = "mkdir -p mirror/channel/noarch; echo x > mirror/channel/noarch/repodata.json";
    assert_eq!(sandbox.sh(odd).exits(0).stderr, "");
    let failed = verify(&sandbox, "--export-channel mirror").exits(69).one("failed");
    assert!(failed["cause"].as_str().unwrap().contains("noarch/repodata.json: "), "{failed}");
    let full = "rm -r mirror; mkdir mirror; mount -t tmpfs -o size=2m none mirror
        ienv sglang | icache --export-channel mirror || echo $? > code; find mirror -name '.export*' > drafts";
    let mut command = sandbox.command("unshare");
    let user: &[&str] = if is_root() { &["-m"] } else { &["-rm"] };
    let output = sandbox.finish(command.args(user).args(["bash", "-euo", "pipefail", "-c", full])).exits(0);
    assert!(
        output.one("failed")["cause"].as_str().unwrap().ends_with(": No space left on device"),
        "{}",
        output.transcript()
    );
    assert!(!output.stderr.contains("ZipWriter"), "{}", output.stderr);
    assert_eq!((sandbox.read("code"), sandbox.read("drafts")), ("69\n".to_owned(), String::new()));
    assert_eq!(sandbox.sh("rm -r mirror").exits(0).stderr, "");
    let damage = "echo >> cache/conda/rattler/pkgs/tinylib-1.0-h1111111_0/lib/libtiny.so.1.0";
    assert_eq!(sandbox.sh(damage).exits(0).stderr, "");
    drop(verify(&sandbox, "--export-channel mirror").exits(1));
    assert!(!sandbox.path("mirror").exists());
}
