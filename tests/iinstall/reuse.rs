//! The same archive again, a new one, the one before: what is kept and what is read.
use super::pack::Pack;
use super::{Site, id};
use crate::kit::as_each;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::MetadataExt;

#[test]
fn the_same_archive_again_is_a_no_op_and_its_links_come_back() {
    let mut site = Site::new();
    let archive = site.save("a.tar.gz", Pack::good());
    let first = site.install(&archive).exits(0);
    fs::remove_file(site.home().join("bin")).unwrap();
    let second = site.run("").exits(0);
    let (mut a, mut b) = (first.one("installed"), second.one("installed"));
    assert_eq!((&a["switched"], &b["reused"], &b["switched"]), (&json!(true), &json!(true), &Value::Null));
    for record in [&mut a, &mut b] {
        record
            .as_object_mut()
            .unwrap()
            .retain(|name, _| !["reused", "seconds", "switched"].contains(&name.as_str()));
    }
    assert_eq!(a, b);
    assert_eq!(site.served(), "served\n");
    assert_eq!(site.installs().len(), 1);
}

#[test]
fn an_archive_that_was_only_touched_is_hashed_and_not_unpacked_again() {
    let mut site = Site::new();
    let archive = site.save("a.tar.gz", Pack::good());
    drop(site.install(&archive).exits(0));
    let bytes = fs::read(&archive).unwrap();
    fs::remove_file(&archive).unwrap();
    fs::write(&archive, bytes).unwrap();
    for options in ["", "--rehash"] {
        let output = site.run(options).exits(0);
        assert_eq!(output.one("installed")["reused"], true, "{options}");
        let inode = output.one("installed")["source"]["inode"].as_u64().unwrap();
        assert_eq!(inode, archive.metadata().unwrap().ino(), "the new looks are remembered");
    }
    assert_eq!(site.installs().len(), 1);
}

#[test]
fn rehash_sees_what_a_fingerprint_does_not_show() {
    let mut site = Site::new();
    let archive = site.save("a.tar", Pack::good().file("version", "1"));
    let first = id(&site.install(&archive).exits(0));
    // Other bytes, the same looks: the marker is made to say what the file looks like now.
    let other = Pack::good().file("version", "2").end();
    fs::write(&archive, other).unwrap();
    let stat = archive.metadata().unwrap();
    let marker = site.home().join("current/installed.json");
    let mut said: Value = serde_json::from_slice(&fs::read(&marker).unwrap()).unwrap();
    said["source"]["mtime_ns"] = json!(stat.mtime() * 1_000_000_000 + stat.mtime_nsec());
    said["source"]["ctime_ns"] = json!(stat.ctime() * 1_000_000_000 + stat.ctime_nsec());
    fs::write(&marker, said.to_string()).unwrap();
    assert_eq!(id(&site.run("").exits(0)), first);
    let again = site.run("--rehash").exits(0);
    assert_ne!(id(&again), first);
    assert_eq!(again.one("installed").get("reused"), None);
}

#[test]
fn a_new_archive_flips_a_rollback_flips_back_and_foreign_files_stay() {
    as_each();
    let mut site = Site::new();
    fs::create_dir_all(site.home().join("notes")).unwrap();
    fs::write(site.home().join("notes/mine"), "mine").unwrap();
    fs::write(site.home().join("get-llama-cpp-pkg.sh"), "mine").unwrap();
    let archives: Vec<_> =
        (0..4).map(|n| site.save(&format!("{n}.tar"), Pack::good().file("n", format!("{n}")))).collect();
    let ids: Vec<String> = archives.iter().map(|archive| id(&site.install(archive).exits(0))).collect();
    assert_eq!(site.installs().len(), 2, "one previous is kept");

    let back = site.run("--rollback").exits(0);
    assert_eq!((id(&back), back.one("installed")["reused"].as_bool()), (ids[2].clone(), Some(true)));
    assert_eq!(fs::read_to_string(site.home().join("current/n")).unwrap(), "2");
    assert_eq!(back.one("installed").get("previous"), None, "what was pruned is not offered");
    let no_further = site.run("--rollback").exits(69);
    assert!(no_further.stderr.contains("was removed"), "{}", no_further.stderr);

    let forward = site.install(&archives[3]).exits(0);
    assert_eq!((id(&forward), forward.one("installed")["reused"].as_bool()), (ids[3].clone(), Some(true)));
    assert_eq!(site.installs().len(), 2);
    drop(site.run("--keep 0").exits(0));
    assert_eq!(site.installs().len(), 1);
    for file in ["notes/mine", "get-llama-cpp-pkg.sh"] {
        assert_eq!(fs::read_to_string(site.home().join(file)).unwrap(), "mine");
    }
}

#[test]
fn an_install_that_a_server_runs_from_is_not_pruned() {
    let mut site = Site::new();
    let first = site.save("1.tar", Pack::good().file("n", "1"));
    let second = site.save("2.tar", Pack::good().file("n", "2"));
    drop(site.install(first).exits(0));
    let running = fs::File::open(site.home().join("current")).unwrap();
    rustix::fs::flock(&running, rustix::fs::FlockOperation::LockShared).unwrap();
    site.set("archive", second.to_str().unwrap());
    drop(site.run("--keep 0").exits(0));
    assert_eq!(site.installs().len(), 2);
    drop(running);
    drop(site.run("--keep 0").exits(0));
    assert_eq!(site.installs().len(), 1);
}

#[test]
fn a_copy_named_by_its_hash_is_kept_once() {
    let mut site = Site::new();
    let cache = site.sandbox.path("cache");
    site.set("archive_cache_dir", cache.to_str().unwrap());
    let archive = site.save("a.tgz", Pack::good());
    let id = id(&site.install(&archive).exits(0));
    let copy = cache.join(format!("{id}.tar.gz"));
    assert_eq!(fs::read(&copy).unwrap(), fs::read(&archive).unwrap());
    let made = copy.metadata().unwrap().modified().unwrap();
    drop(site.run("").exits(0));
    assert_eq!(copy.metadata().unwrap().modified().unwrap(), made);
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 1);
    // A copy that cannot be kept is no reason not to have an engine.
    site.set("archive_cache_dir", archive.to_str().unwrap());
    assert_eq!(site.run("").exits(0).one("warning")["rule"], "archive_copy");
}
