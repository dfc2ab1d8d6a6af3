//! A pipe, a file without end, or a link in the place of anything that is read or written beside an install: nothing hangs,
//! nothing takes memory, nothing else is written.
use super::bundle::Site as Bundled;
use super::cache::Cached;
use super::pack::Pack;
use super::{Site, current};
use crate::kit::{Output, Sandbox, as_each};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

/// What can stand in the place of a file.
const ODD: [&str; 4] = ["mkfifo", "truncate -s 20G", "ln -s /dev/zero", "mkdir"];

/// Run with something odd in the place of a file, which is put back afterwards.
fn with_odd(sandbox: &Sandbox, file: &Path, script: &str, check: impl Fn(&str, Output)) {
    let file = file.display();
    for make in ODD {
        drop(sandbox.sh(&format!("mv {file} kept 2> /dev/null || true; {make} {file}")).exits(0));
        check(make, sandbox.sh(&format!("ulimit -v 2000000; {script}")));
        drop(sandbox.sh(&format!("rm -r {file}; mv kept {file} 2> /dev/null || true")).exits(0));
    }
}

#[test]
fn in_the_place_of_an_installs_own_files() {
    let mut site = Site::new();
    let archive = site.save("a.tar.gz", Pack::good());
    drop(site.install(&archive).exits(0));
    let marker = site.home().join(".installs").join(current(&site)).join("installed.json");
    with_odd(&site.sandbox, &marker, "timeout 60 iinstall < env.jsonl", |make, output| {
        // Another is installed beside it, or what is there is refused; never waited for.
        assert!([0, 69].contains(&output.code), "{make}: {}", output.transcript());
    });
    drop(site.install(&archive).exits(0));
    with_odd(
        &site.sandbox,
        &site.home().join(".installs/.lock"),
        "timeout 60 iinstall --wait 1 < env.jsonl",
        |make, output| {
            assert!([0, 69].contains(&output.code), "{make}: {}", output.transcript());
        },
    );
    // What an older tool left, without one of ours.
    let mut old = Site::new();
    old.sandbox.write("home/llama/bin/llama-server", "#!/bin/sh\n");
    old.set("steps", serde_json::json!(["serve"]));
    drop(old.run("").exits(0));
    with_odd(
        &old.sandbox,
        &old.home().join(".installed-from.json"),
        "timeout 60 iinstall < env.jsonl",
        |make, output| {
            assert_eq!(output.exits(0).one("installed")["id"], "unknown", "{make}");
        },
    );
}

#[test]
fn in_the_place_of_a_bundles_trust_sources() {
    let mut site = Bundled::quick();
    let bundle = site.pack("b.tar");
    site.describe("b.tar");
    site.set("force", true);
    drop(site.install(&bundle).exits(0));
    with_odd(
        &site.sandbox,
        &site.sandbox.path("b.tar.json"),
        "timeout 60 iinstall < env.jsonl",
        |make, output| {
            assert!([65, 69].contains(&output.code), "{make}: {}", output.transcript());
        },
    );
    let script =
        "rm b.tar.json; truncate -s 8G b.tar.json; ulimit -v 2000000; timeout 20 iinstall < env.jsonl";
    let failed = site.sandbox.sh(script).exits(65).one("failed");
    assert_eq!(failed["cause"], "it has more than the 67108864 bytes that such a file may have");
    drop(fs::remove_file(site.sandbox.path("b.tar.json")));
    fs::create_dir(site.sandbox.path("template")).unwrap();
    site.set("template_dir", site.sandbox.text("template"));
    drop(site.install(&bundle).exits(0));
    with_odd(
        &site.sandbox,
        &site.sandbox.path("template/pixi.lock"),
        "timeout 60 iinstall < env.jsonl",
        |make, output| {
            assert!([65, 69].contains(&output.code), "{make}: {}", output.transcript());
        },
    );
}

#[test]
fn in_the_place_of_a_templates_files() {
    let cached = Cached::new();
    for file in ["pixi.toml", "pixi.lock", "scripts/more"] {
        drop(cached.sandbox.sh("mkdir -p template/scripts").exits(0));
        let path = cached.sandbox.path(&format!("template/{file}"));
        for tool in ["iinstall", "iwarm"] {
            let script = format!("ienv sglang | timeout 60 {tool}");
            with_odd(&cached.sandbox, &path, &script, |make, output| {
                let skipped =
                    file.starts_with("scripts") && ["mkfifo", "ln -s /dev/zero", "mkdir"].contains(&make);
                let fits = if skipped { ![124, 101].contains(&output.code) } else { output.code == 69 };
                assert!(fits, "{tool}, {make} {file}: {}", output.transcript());
            });
        }
    }
}

#[test]
fn a_copy_of_the_archive_is_written_over_nothing_that_is_elsewhere() {
    let mut site = Site::new();
    let archive = site.save("a.tar.gz", Pack::good());
    let (cache, victim) = (site.sandbox.path("copies"), site.sandbox.write("victim", "SECRET"));
    fs::create_dir(&cache).unwrap();
    site.set("archive_cache_dir", cache.to_str().unwrap());
    let id = super::id(&site.install(&archive).exits(0));
    let (copy, draft) = (cache.join(format!("{id}.tar.gz")), cache.join(format!(".{id}.tar.gz.part")));
    assert!(copy.is_file());
    let plants: [&dyn Fn(); 3] =
        [&|| symlink(&victim, &draft).unwrap(), &|| fs::hard_link(&victim, &draft).unwrap(), &|| {
            drop(site.sandbox.sh(&format!("mkfifo {}", draft.display())).exits(0));
        }];
    for plant in plants {
        fs::remove_file(&copy).unwrap();
        plant();
        let output = site.sandbox.sh("timeout 60 iinstall < env.jsonl").exits(0);
        assert_eq!(output.one("warning")["rule"], "archive_copy");
        assert_eq!(site.sandbox.read("victim"), "SECRET");
        fs::remove_file(&draft).unwrap();
        drop(site.run("").exits(0));
    }
    assert_eq!(fs::metadata(&copy).unwrap().nlink(), 1);
}

#[test]
fn in_the_place_of_the_marker_and_the_configuration_where_root_looks_for_what_a_user_has_installed() {
    let mut sandbox = Sandbox::new();
    for (name, value) in [("SGLANG_PROJECT_DIR", "theirs"), ("LLAMA_CPP_INSTALL_DIR", "theirs")] {
        let value = sandbox.text(value);
        sandbox.set(&format!("AUTO_INFER_{name}"), &value);
    }
    sandbox.write("c.toml", "[instance.a.server]\n");
    let config = sandbox.text("c.toml");
    sandbox.set("AUTO_INFER_LLAMA_CPP_CONFIG", &config);
    drop(sandbox.sh("mkdir theirs; chmod 755 .").exits(0));
    with_odd(&sandbox, &sandbox.path("c.toml"), "ienv llama-cpp | timeout 20 iplan", |make, output| {
        assert!([65, 69].contains(&output.code), "{make}: {}", output.transcript());
    });
    let marker = sandbox.path("theirs/.installed-from.json");
    for script in ["timeout 20 ienv sglang", "ienv llama-cpp | timeout 20 iplan"] {
        with_odd(&sandbox, &marker, script, |make, output| {
            assert!([0, 65, 69].contains(&output.code), "{script}, {make}: {}", output.transcript());
        });
    }
    if !as_each() {
        return;
    }
    // A link of nobody's shows nothing of root's: what is no marker would be quoted.
    let plant = "mkdir -m 700 private; echo '{\"engine\":\"SECRET\"}' > private/key; ln -s $PWD/private/key theirs/.installed-from.json
        chown -h nobody theirs theirs/.installed-from.json";
    assert_eq!(sandbox.sh(plant).exits(0).stderr, "");
    let output = sandbox.sh("ienv llama-cpp | iplan").exits(69);
    assert!(
        output.transcript().contains("cannot read $SANDBOX/theirs/.installed-from.json"),
        "{}",
        output.transcript()
    );
    assert!(!output.transcript().contains("SECRET"));
}
