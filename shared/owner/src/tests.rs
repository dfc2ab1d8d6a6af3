//! The law, tried as root with two ordinary users that no user database knows.
#![expect(clippy::print_stdout, reason = "a test says what it cannot run")]
mod look;

use crate::{Dir, Owner, make_folder};
use rustix::process::geteuid;
use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

const U: u32 = 60_001;
const V: u32 = 60_002;
const SMALL: usize = 100;

/// A folder of root's with one of U and one of V in it; `None`, and said, where we are not root.
struct TestFolder(PathBuf);

impl TestFolder {
    fn new(name: &str) -> Option<Self> {
        if !geteuid().is_root() {
            println!("not run: it takes root to act as somebody else");
            return None;
        }
        let path = std::env::temp_dir().join(format!("owner-{name}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        for (folder, uid) in [("u", U), ("v", V)] {
            fs::create_dir(path.join(folder)).unwrap();
            own(&path.join(folder), uid);
        }
        fs::write(path.join("secret"), "root's").unwrap();
        fs::set_permissions(path.join("secret"), Permissions::from_mode(0o600)).unwrap();
        Some(Self(path))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn user(&self, name: &str) -> Owner {
        Owner::of(fs::File::open(self.path(name)).unwrap()).unwrap()
    }
}

impl Drop for TestFolder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn own(path: &Path, uid: u32) {
    chown(path, Some(uid), Some(uid)).unwrap();
}

/// A file of a user's.
fn give(path: &Path, uid: u32, content: &str) {
    fs::write(path, content).unwrap();
    own(path, uid);
}

fn refused<T>(result: io::Result<T>, kind: io::ErrorKind) {
    assert_eq!(result.err().map(|error| error.kind()), Some(kind));
}

#[test]
fn a_thread_has_the_users_rights_and_others_keep_theirs() {
    let Some(ground) = TestFolder::new("act") else { return };
    let user = ground.user("u");
    let read = || fs::read_to_string(ground.path("secret"));
    user.act(|| {
        refused(read(), io::ErrorKind::PermissionDenied);
        refused(fs::write(ground.path("v/x"), ""), io::ErrorKind::PermissionDenied);
        fs::write(ground.path("u/x"), "").unwrap();
        let ids = fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = |name: &str| ids.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim();
        // Real, effective, saved, files: a user can signal or trace only what is wholly his.
        assert_eq!(line("Uid:"), format!("0\t{U}\t0\t{U}"));
        assert_eq!(line("Groups:"), U.to_string());
        assert_eq!(line("CapEff:"), "0000000000000000");
        let root = Owner::of(fs::File::open(ground.path("")).unwrap()).unwrap();
        assert_eq!(root.act(read).unwrap().unwrap(), "root's");
        refused(read(), io::ErrorKind::PermissionDenied);
    })
    .unwrap();
    assert_eq!(fs::metadata(ground.path("u/x")).unwrap().uid(), U);
    assert_eq!(read().unwrap(), "root's");
    let other_asks = std::sync::Barrier::new(2);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            other_asks.wait();
            read()
        });
        let seen = user.act(|| {
            other_asks.wait();
            other.join().unwrap()
        });
        assert_eq!(seen.unwrap().unwrap(), "root's");
    });
}

#[test]
fn a_user_signals_his_own_processes_and_not_roots() {
    let Some(ground) = TestFolder::new("signal") else { return };
    let user = ground.user("u");
    let start = |uid: u32| {
        let mut command = Command::new("sleep");
        std::os::unix::process::CommandExt::uid(command.arg("60"), uid).spawn().unwrap()
    };
    for (uid, sent) in [(0, false), (V, false), (U, true)] {
        let mut child = start(uid);
        let send = || {
            Ok(rustix::process::kill_process(
                rustix::process::Pid::from_child(&child),
                rustix::process::Signal::TERM,
            )?)
        };
        let result = user.signal(child.id(), send);
        assert_eq!(
            result.map_err(|error| error.kind()),
            if sent { Ok(()) } else { Err(io::ErrorKind::PermissionDenied) }
        );
        if !sent {
            assert!(child.try_wait().unwrap().is_none());
            child.kill().unwrap();
        }
        child.wait().unwrap();
    }
}

#[test]
fn a_panic_gives_the_rights_back() {
    let Some(ground) = TestFolder::new("panic") else { return };
    let user = ground.user("u");
    let panicked = std::panic::catch_unwind(|| user.act(|| assert_eq!(geteuid().as_raw(), 0)));
    assert!(panicked.is_err() && geteuid().is_root());
    assert!(fs::read(ground.path("secret")).is_ok());
}

#[test]
fn the_users_links_lead_no_further_than_the_user_gets() {
    let Some(ground) = TestFolder::new("links") else { return };
    fs::create_dir(ground.path("private")).unwrap();
    fs::set_permissions(ground.path("private"), Permissions::from_mode(0o700)).unwrap();
    fs::write(ground.path("private/key"), "root's").unwrap();
    for (link, target) in [("u/key", "secret"), ("u/folder", "private"), ("u/own", "u"), ("root", "private")]
    {
        symlink(ground.path(target), ground.path(link)).unwrap();
    }
    let dir = Dir::open(&ground.path("u")).unwrap();
    refused(dir.read("key", SMALL), io::ErrorKind::InvalidData);
    refused(dir.open_file("key"), io::ErrorKind::InvalidData);
    refused(dir.below("folder"), io::ErrorKind::InvalidData);
    // A link of root's in the user's folder is followed with the user's rights, too: the user may have put it there.
    let behind = Dir::open(&ground.path("u/folder")).unwrap();
    refused(behind.read("key", SMALL), io::ErrorKind::PermissionDenied);
    refused(behind.names(), io::ErrorKind::PermissionDenied);
    refused(make_folder(&ground.path("u/folder/new"), &ground.user("u")), io::ErrorKind::PermissionDenied);
    assert!(Dir::open(&ground.path("u/own/own/../u")).is_ok());
    // A link of root's where only root makes any is followed with root's.
    let root = Dir::open(&ground.path("root")).unwrap();
    assert_eq!(root.read("key", SMALL).unwrap().unwrap(), b"root's");
    refused(Dir::open(&ground.path("u/nothing")), io::ErrorKind::NotFound);
}

#[test]
fn in_a_folder_for_all_a_users_link_has_the_users_rights_and_a_second_name_is_none() {
    let Some(ground) = TestFolder::new("shared") else { return };
    let shared = ground.path("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, Permissions::from_mode(0o1777)).unwrap();
    fs::create_dir(ground.path("private")).unwrap();
    fs::set_permissions(ground.path("private"), Permissions::from_mode(0o700)).unwrap();
    symlink(ground.path("private"), shared.join("link")).unwrap();
    std::os::unix::fs::lchown(shared.join("link"), Some(V), Some(V)).unwrap();
    fs::hard_link(ground.path("secret"), shared.join("hard")).unwrap();
    give(&shared.join("file"), V, "V's");
    refused(make_folder(&shared.join("link/x"), &Owner::current()), io::ErrorKind::PermissionDenied);
    let dir = Dir::open(&shared).unwrap();
    assert!(!dir.is_private() && Dir::open(&ground.path("")).unwrap().is_private());
    refused(dir.open_file("hard"), io::ErrorKind::InvalidData);
    refused(dir.read("file", SMALL), io::ErrorKind::PermissionDenied);
    assert!(dir.open_file("file").is_ok());
}

#[test]
fn what_is_no_file_or_too_large_is_refused_at_once() {
    let Some(ground) = TestFolder::new("kinds") else { return };
    let dir = Dir::open(&ground.path("u")).unwrap();
    let fifo = ground.path("u/fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    own(&fifo, U);
    give(&ground.path("u/large"), U, "");
    fs::OpenOptions::new().write(true).open(ground.path("u/large")).unwrap().set_len(20 << 30).unwrap();
    give(&ground.path("u/small"), U, "text");
    give(&ground.path("u/stranger"), V, "text");
    fs::create_dir(ground.path("u/folder")).unwrap();
    refused(dir.read("fifo", SMALL), io::ErrorKind::InvalidData);
    refused(dir.open_or_make("fifo", 0o644), io::ErrorKind::InvalidData);
    refused(dir.read("large", SMALL), io::ErrorKind::FileTooLarge);
    refused(dir.read("stranger", SMALL), io::ErrorKind::PermissionDenied);
    refused(dir.read("../secret", SMALL), io::ErrorKind::InvalidInput);
    assert!(dir.read("folder", SMALL).is_err());
    assert_eq!(dir.read("small", 4).unwrap().unwrap(), b"text");
    refused(dir.read("small", 3), io::ErrorKind::FileTooLarge);
    assert_eq!(dir.read("none", SMALL).unwrap(), None);
    let device = Dir::open(Path::new("/dev")).unwrap();
    refused(device.read("zero", SMALL), io::ErrorKind::InvalidData);
}

#[test]
fn what_is_written_is_the_users_and_takes_the_place_of_what_was_planted() {
    let Some(ground) = TestFolder::new("write") else { return };
    let dir = Dir::open(&ground.path("u")).unwrap();
    symlink(ground.path("secret"), ground.path("u/status.json")).unwrap();
    refused(dir.overwrite("status.json", b"x"), io::ErrorKind::InvalidData);
    refused(dir.open_or_make("status.json", 0o644), io::ErrorKind::InvalidData);
    dir.replace("status.json", 0o640, b"{}").unwrap();
    let made = fs::symlink_metadata(ground.path("u/status.json")).unwrap();
    assert_eq!((made.uid(), made.mode() & 0o7777, made.is_file()), (U, 0o640, true));
    dir.overwrite("status.json", b"1").unwrap();
    assert_eq!(dir.read("status.json", SMALL).unwrap().unwrap(), b"1 ");
    dir.open_or_make("log", 0o644).unwrap().write_all(b"line").unwrap();
    assert_eq!(fs::metadata(ground.path("u/log")).unwrap().uid(), U);
    // A folder cannot be replaced, and the draft goes.
    fs::create_dir(ground.path("u/folder")).unwrap();
    assert!(dir.replace("folder", 0o644, b"").is_err());
    give(&ground.path("u/.status.json.0.new"), U, "");
    dir.remove_drafts().unwrap();
    assert_eq!(dir.names().unwrap(), ["folder", "log", "status.json"]);
    assert!(dir.remove("log").unwrap() && !dir.remove("log").unwrap());
    assert_eq!(fs::read(ground.path("secret")).unwrap(), b"root's");
    // What V may write is not U's business.
    let theirs = Dir::open_as(&ground.user("u"), &ground.path("v")).unwrap();
    refused(theirs.replace("x", 0o644, b""), io::ErrorKind::PermissionDenied);
}

#[test]
fn folders_are_made_for_a_user_where_root_or_that_user_may() {
    let Some(ground) = TestFolder::new("folders") else { return };
    let (u, v) = (ground.user("u"), ground.user("v"));
    let owner = |name: &str| fs::metadata(ground.path(name)).unwrap().uid();
    make_folder(&ground.path("a/b/c"), &u).unwrap();
    assert_eq!(["a", "a/b", "a/b/c"].map(owner), [0, 0, U]);
    make_folder(&ground.path("u/a/b"), &u).unwrap();
    assert_eq!(["u/a", "u/a/b"].map(owner), [U, U]);
    // The folder of somebody else is made with that user's rights, and given away.
    make_folder(&ground.path("v/a/b"), &u).unwrap();
    assert_eq!(["v/a", "v/a/b"].map(owner), [V, U]);
    make_folder(&ground.path("a/b/c"), &v).unwrap();
    assert_eq!(owner("a/b/c"), U);
    refused(make_folder(&ground.path("secret/x"), &u), io::ErrorKind::NotADirectory);
    assert!(fs::read_dir(ground.path("a/b")).unwrap().count() == 1);
}

#[test]
fn what_has_the_folders_name_by_now_stays() {
    let name = format!("owner-place-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    fs::create_dir_all(path.join("folder/full")).unwrap();
    fs::write(path.join("file"), "").unwrap();
    let (dir, us) = (Dir::open(&path).unwrap(), Owner::current());
    dir.make("folder", 0o700, &us).unwrap();
    dir.make("file", 0o700, &us).unwrap();
    assert!(path.join("folder/full").exists() && path.join("file").is_file());
    assert_eq!(dir.names().unwrap(), ["file", "folder"]);
    fs::remove_dir_all(path).unwrap();
}
