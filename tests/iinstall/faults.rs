//! Two at once, and killed at any moment: what is current is whole, and the next run succeeds.
use super::Site;
use super::pack::Pack;
use crate::fuzz::SeededRng;
use crate::kit::{as_root, tools, wait_for};
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const FILES: usize = 24;

/// Some megabytes that do not compress, each version of its own.
fn version(site: &Site, version: u8) -> String {
    let mut pack = Pack::good();
    for file in 0..FILES {
        pack = pack.file(&format!("bin/lib{file}.so"), content(version, file));
    }
    let name = format!("v{version}.tar.gz");
    site.save(&name, pack);
    site.sandbox.text(&name)
}

fn content(version: u8, file: usize) -> Vec<u8> {
    let mut state = u64::from(version) * 1000 + file as u64 + 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..32_000).flat_map(|_| next()).collect()
}

/// The version that is current, every byte of it compared; `None` where nothing is.
fn current(site: &Site) -> Option<u8> {
    let link = site.home().join("current");
    if link.symlink_metadata().is_err() {
        return None;
    }
    assert!(link.join("installed.json").is_file(), "current names no install");
    let first = fs::read(link.join("bin/lib0.so")).unwrap();
    let version = (1..=9).find(|version| content(*version, 0) == first).unwrap();
    for file in 1..FILES {
        let there = fs::read(link.join(format!("bin/lib{file}.so"))).unwrap();
        assert!(there == content(version, file), "version {version}, lib{file}.so is not whole");
    }
    Some(version)
}

fn start(site: &Site, env: &str) -> Child {
    let mut command = site.sandbox.command(tools().join("iinstall"));
    command.stdin(fs::File::open(site.sandbox.path(env)).unwrap());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn two_at_once_are_one_after_the_other() {
    let mut site = Site::new();
    for (index, number) in [1, 2].into_iter().enumerate() {
        site.set("archive", version(&site, number));
        site.sandbox.write(&format!("env{index}.jsonl"), format!("{}\n", site.env));
    }
    let children = [start(&site, "env0.jsonl"), start(&site, "env1.jsonl"), start(&site, "env0.jsonl")];
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    assert!(current(&site).is_some());
    assert_eq!(site.installs().len(), 2);
    assert_eq!(site.left_over(), [""; 0]);
}

#[test]
fn a_lock_that_is_held_for_too_long_is_75() {
    let mut site = Site::new();
    let archive = site.save("a.tar", Pack::good());
    drop(site.install(&archive).exits(0));
    let lock = fs::File::open(site.home().join(".installs/.lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    insta::assert_snapshot!(site.run("--wait 0").exits(75).stderr, @r"
    iinstall: cannot lock $SANDBOX/home/llama/.installs/.lock: another iinstall, or what a killed one left running, has held it for 0 s
    iinstall: hint: run again when it is done
    ");
    site.sandbox.write("env.jsonl", format!("{}\n", site.env));
    let child = start(&site, "env.jsonl");
    // It waits in front of the lock for as long as we hold it, and goes on when we do not.
    let waits = || {
        let files = fs::read_dir(format!("/proc/{}/fd", child.id())).into_iter().flatten().flatten();
        files.filter_map(|file| fs::read_link(file.path()).ok()).any(|file| file.ends_with(".lock"))
    };
    wait_for("iinstall to reach the lock", Duration::from_secs(10), waits);
    drop(lock);
    assert!(child.wait_with_output().unwrap().status.success());
}

#[test]
fn killed_at_any_moment_current_is_whole_and_the_next_run_succeeds() {
    let rounds = if crate::kit::full() { 100 } else { 20 };
    let mut seeded_rng = SeededRng::new();
    let mut site = Site::new();
    let versions: Vec<_> = [1, 2, 3].map(|number| version(&site, number)).into();
    let begun = Instant::now();
    drop(site.install(&versions[0]).exits(0));
    let whole = begun.elapsed();
    let (mut last, mut flips) = (1, 0);
    for round in 0..rounds {
        site.set("archive", versions[usize::from(last) % 3].clone());
        site.sandbox.write("env.jsonl", format!("{}\n", site.env));
        let mut child = start(&site, "env.jsonl");
        // Chance decides when, so that every moment of an install comes up sooner or later, a little after its end too.
        std::thread::sleep(seeded_rng.moment(whole));
        child.kill().unwrap();
        drop(child.wait_with_output().unwrap());
        let now = current(&site).unwrap_or_else(|| panic!("round {round}: nothing is current"));
        assert!([last, last % 3 + 1].contains(&now), "round {round}: neither the old nor the new one");
        flips += u32::from(now != last);
        last = now;
        assert!(Path::new(&site.home().join("bin/llama-server")).exists());
    }
    println!("{flips} of {rounds} installs were done before they were killed");
    site.set("archive", versions[usize::from(last) % 3].clone());
    drop(site.run("").exits(0));
    assert_eq!(current(&site), Some(last % 3 + 1));
    assert_eq!(site.left_over(), [""; 0]);
    assert_eq!(site.installs().len(), 2);
}

#[test]
fn when_it_is_killed_while_it_works_for_another_user_nobody_works_on() {
    if !as_root() {
        return;
    }
    let mut site = Site::new();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(site.sandbox.path(""), open).unwrap();
    site.set("archive", version(&site, 1));
    site.set("user", "daemon");
    site.set("install_dir", site.sandbox.text("theirs"));
    site.sandbox.write("env.jsonl", format!("{}\n", site.env));
    let mut child = start(&site, "env.jsonl");
    let incoming = || site.left_over().iter().any(|name| name.starts_with(".incoming-"));
    wait_for("the other user's iinstall to unpack", Duration::from_secs(10), incoming);
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success());
    // Its lock is free only once it is gone: the next run takes it and finishes.
    drop(site.run("").exits(0));
    assert_eq!(current(&site), Some(1));
    assert_eq!(site.left_over(), [""; 0]);
}
