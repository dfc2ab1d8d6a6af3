//! Two at once, and killed at any moment: what is current works, and the next run succeeds.
use super::bundle::Site;
use crate::fuzz::SeededRng;
use std::fs;
use std::time::Instant;

/// Two bundles that differ in a comment.
fn two(site: &Site) -> [String; 2] {
    [1, 2].map(|version| {
        site.sh(&format!("echo '# version {version}' >> members/environment.yml"));
        site.pack(&format!("v{version}.tar")).to_str().unwrap().to_owned()
    })
}

/// The id of what is current.
fn current(site: &Site) -> String {
    let marker = fs::read(site.home().join("current/installed.json")).unwrap();
    let marker: serde_json::Value = serde_json::from_slice(&marker).unwrap();
    marker["id"].as_str().unwrap().to_owned()
}

#[test]
fn two_at_once_are_one_after_the_other() {
    let mut site = Site::quick();
    let bundles = two(&site);
    let mut start = |bundle: &str| {
        site.set("bundle", bundle);
        site.start()
    };
    let children = [start(&bundles[0]), start(&bundles[1]), start(&bundles[0])];
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    let (complete, others) = site.installs();
    assert_eq!((complete.len(), others.len()), (2, 0));
}

#[test]
fn without_room_nothing_is_left() {
    let mut site = Site::new();
    let bundle = site.pack("b.tar");
    site.set("bundle", bundle.to_str().unwrap());
    site.set("project_dir", site.sandbox.text("small/vllm"));
    site.save();
    site.sh("mkdir small");
    // The members do not fit; they do, and what is made of them does not.
    for (mib, cause, hint) in [
        (8, "do not fit the disk of $SANDBOX/small/vllm", "make room there"),
        // pixi-unpack itself does not say that the disk is full.
        (45, "MiB are free on the disk of $SANDBOX/small/vllm", "make room on its disk"),
    ] {
        let script = format!(
            "mount -t tmpfs -o size={mib}m none small; iinstall < env.jsonl; code=$?; ls -A small >&2; exit $code"
        );
        let mut unshare = site.sandbox.command("unshare");
        let output = site
            .sandbox
            .finish(unshare.args(["--map-root-user", "--mount", "bash", "-c", &script]))
            .exits(69);
        let failed = output.one("failed");
        assert!(failed["cause"].as_str().unwrap().contains(cause), "{failed}");
        assert!(failed["hint"].as_str().unwrap().contains(hint), "{failed}");
        assert!(output.stderr.lines().last().unwrap().starts_with("iinstall: hint: "), "{}", output.stderr);
    }
}

#[test]
fn a_pixi_unpack_that_cannot_run_is_named_with_what_to_do() {
    let mut site = Site::quick();
    let bundle = site.pack("b.tar");
    site.sandbox.write("plain", "#!/bin/sh\n");
    site.sandbox.script("orphan", "#!/nowhere/sh\n");
    site.sandbox.script("hollow", "#!/bin/sh\nexec no-such-unpacker\n");
    site.sandbox.script("alien", "");
    site.sh(
        "cat $(type -P true) > alien; printf '\\363\\0' | dd of=alien bs=1 seek=18 conv=notrunc 2>/dev/null",
    );
    for (program, cause, hint) in [
        ("plain", "Permission denied", "it must be executable, and on a disk without noexec"),
        ("alien", "it is for another machine than this ", "bring pixi-unpack-"),
        (
            "orphan",
            "exit 127: iseal: cannot run $SANDBOX/orphan: its interpreter /nowhere/sh does not exist",
            "install that, or put a program for this machine in its place",
        ),
        ("hollow", "exit 127: $SANDBOX/hollow: ", "one that runs in AUTO_INFER_VLLM_PIXI_UNPACK_BIN"),
    ] {
        site.set("pixi_unpack", site.sandbox.text(program));
        let failed = site.install(&bundle).exits(69).one("failed");
        assert!(failed["cause"].as_str().unwrap().starts_with(cause), "{failed}");
        assert!(failed["hint"].as_str().unwrap().contains(hint), "{failed}");
        assert_eq!(site.installs(), (vec![], vec![]), "{program}");
    }
    // A disk without programs says so before anything is unpacked.
    site.sandbox.script("disk/good", "#!/bin/sh\n");
    site.set("pixi_unpack", site.sandbox.text("disk/good"));
    site.save();
    let script = "mount --bind disk disk; mount -o remount,bind,noexec disk; iinstall < env.jsonl";
    let mut unshare = site.sandbox.command("unshare");
    let arguments = ["--map-root-user", "--mount", "bash", "-euc", script];
    let failed = site.sandbox.finish(unshare.args(arguments)).exits(69).one("failed");
    let said = (&failed["what"], &failed["cause"]);
    assert_eq!(said, (&"cannot run $SANDBOX/disk/good".into(), &"Permission denied".into()));
    assert!(failed["hint"].as_str().unwrap().ends_with("noexec"), "{failed}");
}

#[test]
fn killed_at_any_moment_current_works_and_nothing_goes_on() {
    let rounds = if crate::kit::full() { 100 } else { 5 };
    let mut seeded_rng = SeededRng::new();
    let mut site = Site::new();
    let bundles = two(&site);
    let begun = Instant::now();
    drop(site.install(&bundles[0]).exits(0));
    let whole = begun.elapsed();
    let other = site.install(&bundles[1]).exits(0).one("installed")["id"].as_str().unwrap().to_owned();
    drop(site.install(&bundles[0]).exits(0));
    let ids = [current(&site), other];
    site.set("force", true);
    let mut done = 0;
    for round in 0..rounds {
        let next = usize::from(current(&site) == ids[0]);
        site.set("bundle", bundles[next].clone());
        let mut child = site.start();
        // Chance decides when, so that every moment of an install comes up sooner or later, a little after its end too.
        std::thread::sleep(seeded_rng.moment(whole));
        child.kill().unwrap();
        drop(child.wait_with_output().unwrap());
        assert!(ids.contains(&current(&site)), "round {round}: something else is current");
        site.imports();
        done += u32::from(current(&site) == ids[next]);
    }
    println!("{done} of {rounds} installs were done before they were killed");
    // Whatever still wrote would hold the lock, and be in the way of this.
    drop(site.install(&bundles[usize::from(current(&site) == ids[0])]).exits(0));
    site.imports();
    let (complete, others) = site.installs();
    assert_eq!((complete.len(), others), (2, vec![]));
}
