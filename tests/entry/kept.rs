//! The kept streams: whose they are and who may read them.
use super::{booting, enter};
use crate::kit::{Sandbox, as_root, free_port};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

#[test]
fn each_boots_stream_is_kept_in_a_file_of_its_own() {
    let mut sandbox = booting(&[free_port()]);
    sandbox.set("INFER_DEV_KEEP", &sandbox.text("kept/boots"));
    let outputs = [enter(&sandbox, "true").exits(0), enter(&sandbox, "true").exits(0)];
    let mut kept: Vec<String> = std::fs::read_dir(sandbox.path("kept/boots"))
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .map(|text| text.replace(sandbox.path("").to_str().unwrap().trim_end_matches('/'), "$SANDBOX"))
        .collect();
    // Two boots of one second are told apart by their process ids, which may come in any order.
    kept.sort_by_key(|text| text.contains(r#""reused":true"#));
    assert_eq!(kept, outputs.map(|output| output.stdout));
}

#[test]
fn a_folder_that_cannot_be_written_does_not_stop_the_boot() {
    let mut sandbox = booting(&[free_port()]);
    sandbox.write("file", "");
    sandbox.set("INFER_DEV_KEEP", &sandbox.text("file/boots"));
    let output = enter(&sandbox, "exit 8").exits(8);
    assert_eq!(output.all("answer").len(), 1);
    let warning = "warning: the records are not kept: INFER_DEV_KEEP is '$SANDBOX/file/boots'";
    assert!(output.stderr.contains(warning), "{}", output.stderr);
}

/// Mode bits and owner below the sandbox, of the folder and of the one file in it.
fn modes(sandbox: &Sandbox, folder: &str) -> [(u32, u32); 2] {
    let mut files = std::fs::read_dir(sandbox.path(folder)).unwrap();
    let file = files.next().unwrap().unwrap().path();
    assert!(files.next().is_none(), "more than one file in {folder}");
    [sandbox.path(folder), file].map(|path| {
        let stat = std::fs::symlink_metadata(path).unwrap();
        (stat.mode() & 0o7777, stat.uid())
    })
}

#[test]
fn a_kept_stream_is_for_its_owner_alone() {
    let mut sandbox = Sandbox::new();
    let we = rustix::process::geteuid().as_raw();
    sandbox.set("INFER_DEV_KEEP", &sandbox.text("made/boots"));
    assert_eq!(enter(&sandbox, "umask >umask").exits(0).stderr, "");
    assert_eq!(modes(&sandbox, "made/boots"), [(0o700, we), (0o600, we)]);
    assert_eq!(sandbox.read("umask"), "0022\n", "COMMAND's own umask stays");
    // A folder that is there is the operator's.
    std::fs::create_dir(sandbox.path("there")).unwrap();
    std::fs::set_permissions(sandbox.path("there"), std::fs::Permissions::from_mode(0o755)).unwrap();
    sandbox.set("INFER_DEV_KEEP", &sandbox.text("there"));
    assert_eq!(enter(&sandbox, "true").exits(0).stderr, "");
    assert_eq!(modes(&sandbox, "there"), [(0o755, we), (0o600, we)]);
}

/// An ordinary user.
const U: u32 = 60_001;

#[test]
fn root_keeps_streams_below_a_users_folder_as_that_user() {
    if !as_root() {
        return;
    }
    let mut sandbox = Sandbox::new();
    std::fs::set_permissions(sandbox.path(""), std::fs::Permissions::from_mode(0o755)).unwrap();
    drop(sandbox.sh("mkdir -m 755 theirs secret && chmod 700 secret").exits(0));
    std::os::unix::fs::chown(sandbox.path("theirs"), Some(U), Some(U)).unwrap();
    sandbox.set("INFER_DEV_KEEP", &sandbox.text("theirs/boots"));
    assert_eq!(enter(&sandbox, "true").exits(0).stderr, "");
    assert_eq!(modes(&sandbox, "theirs/boots"), [(0o700, U), (0o600, U)]);

    // What they put in the way leads root nowhere.
    drop(sandbox.sh("rm -r theirs/boots && ln -s ../secret theirs/boots").exits(0));
    std::os::unix::fs::lchown(sandbox.path("theirs/boots"), Some(U), Some(U)).unwrap();
    let output = enter(&sandbox, "exit 3").exits(3);
    let warning =
        "warning: the records are not kept: INFER_DEV_KEEP is '$SANDBOX/theirs/boots': Permission denied";
    assert!(output.stderr.contains(warning), "{}", output.stderr);
    assert_eq!(std::fs::read_dir(sandbox.path("secret")).unwrap().count(), 0);
    assert!(output.stdout.contains(r#""kind":"skipped""#), "the stream goes on\n{}", output.transcript());

    // A link of their own in a folder that all may write is theirs, too.
    drop(sandbox.sh("mkdir open && chmod 777 open && ln -s ../secret open/boots").exits(0));
    std::os::unix::fs::lchown(sandbox.path("open/boots"), Some(U), Some(U)).unwrap();
    sandbox.set("INFER_DEV_KEEP", &sandbox.text("open/boots"));
    assert!(enter(&sandbox, "true").exits(0).stderr.contains("are not kept"));
    assert_eq!(std::fs::read_dir(sandbox.path("secret")).unwrap().count(), 0);
}

#[test]
fn no_process_of_the_users_keeps_the_stream_for_root() {
    /// It would show that user what was set for us, share our terminal, and be stopped by that user for ever.
    const V: u32 = 60_003;
    if !as_root() {
        return;
    }
    let mut sandbox = Sandbox::new();
    sandbox.set("AUTO_INFER_BOOT_WAIT", "0");
    sandbox.set("INFER_DEV_KEEP", &sandbox.text("theirs/boots"));
    std::fs::set_permissions(sandbox.path(""), std::fs::Permissions::from_mode(0o755)).unwrap();
    drop(sandbox.sh("mkdir -m 755 theirs; mkfifo gate").exits(0));
    std::os::unix::fs::chown(sandbox.path("theirs"), Some(V), Some(V)).unwrap();
    let ienv = crate::kit::tools().join("ienv");
    sandbox.script("bin/ienv", &format!("#!/bin/sh\nread -r _ <gate\nexec {} \"$@\"\n", ienv.display()));
    let path = format!("{}:{}", sandbox.text("bin"), crate::kit::tools().display());
    sandbox.set("PATH", &format!("{path}:/usr/bin:/bin"));
    // COMMAND's end would end a boot that still runs.
    let command = format!(
        "until ls theirs/boots/*; do sleep 0.01; done; ps -o pid=,args= -u {V} >running; echo go >gate
         until grep -q skipped theirs/boots/*; do sleep 0.01; done"
    );
    drop(enter(&sandbox, &command).exits(0));
    assert_eq!(sandbox.read("running"), "");
    assert_eq!(modes(&sandbox, "theirs/boots"), [(0o700, V), (0o600, V)]);
}
