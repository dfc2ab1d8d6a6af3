//! The audit log where somebody wants it to say something else, or nothing.
use super::{PATIENT, Site, lines, summary};
use crate::kit::{as_each, as_root};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

const AS_NOBODY: &str = "setpriv --reuid=65534 --regid=65534 --clear-groups";

#[test]
fn an_instance_that_goes_to_another_user_starts_whatever_the_first_one_left_and_has_a_log_of_its_own() {
    if !as_root() {
        return;
    }
    for plant in [
        ":",
        "rm -f audit.jsonl; mkfifo audit.jsonl",
        "rm -f audit.jsonl; mkdir -p audit.jsonl/in/it audit.jsonl.1 audit.jsonl.of-65534/in",
        "rm -f audit.jsonl; ln -s /etc/shadow audit.jsonl",
        "chmod 000 audit.jsonl",
        "chmod 777 .",
        "ln lock lock2",
        "rm status.json; mkdir -p status.json$(printf %100s | sed s:.:/a:g)",
        "rm plan.json; mkdir -p api-key/in plan.json/in",
    ] {
        let site = Site::new();
        let sandbox = &site.keeping.sandbox;
        for tool in ["ikeep", "ilaunch"] {
            sandbox.own_tool(tool, &format!("tools/{tool}"));
        }
        let start = |user: &str| {
            let mut plan = site.keeping.plan("a", PATIENT);
            plan["user"] = user.into();
            plan["log_file"] = sandbox.text(&format!("logs-{user}/a.log")).into();
            sandbox.write("plan.jsonl", format!("{plan}\n"));
            sandbox.sh("tools/ilaunch < plan.jsonl").exits(0)
        };
        drop(start("nobody"));
        drop(sandbox.sh("istop").exits(0));
        let folder = site.keeping.state_dir("a");
        assert_eq!(lines(&folder.join("audit.jsonl")).len(), 1);
        // One that he has open stays his.
        let script = format!(
            "home=$PWD; cd {}; {AS_NOBODY} bash -c '{plant}'
             {AS_NOBODY} bash -c 'exec 9<>audit.jsonl; exec sleep 1000' > /dev/null 2>&1 < /dev/null &
             echo $! > $home/holder; sleep 0.2",
            folder.display()
        );
        drop(sandbox.sh(&script).exits(0));
        drop(start("daemon"));
        drop(sandbox.sh("kill $(cat holder) || :; istop").exits(0));
        let theirs = folder.join("audit.jsonl");
        assert_eq!(summary(&lines(&theirs)), ["ikeep stop llama-cpp a done"], "{plant}");
        let meta = fs::metadata(&theirs).unwrap();
        assert_eq!((meta.uid(), meta.permissions().mode() & 0o777), (1, 0o600), "{plant}");
        let meta = fs::metadata(&folder).unwrap();
        assert_eq!((meta.uid(), meta.permissions().mode() & 0o777), (1, 0o755), "{plant}");
    }
}

#[test]
fn a_file_of_somebody_else_is_not_added_to() {
    if !as_root() {
        return;
    }
    for plant in [
        "echo -n > run/audit.jsonl; chown nobody run/audit.jsonl",
        "echo -n > precious; chown nobody precious; ln precious run/audit.jsonl",
        "echo -n > precious; ln precious run/audit.jsonl",
    ] {
        let site = Site::new();
        let sandbox = &site.keeping.sandbox;
        drop(sandbox.sh(&format!("mkdir -p run; {plant}")).exits(0));
        let installed = site.install("1.tar", None, "").exits(0);
        assert_eq!(installed.one("warning")["rule"], "audit", "{plant}");
        assert_eq!(sandbox.read("run/audit.jsonl"), "", "{plant}");
    }
}

#[test]
fn a_line_that_the_disk_has_no_room_for_is_taken_back() {
    let site = Site::new();
    site.keeping.sandbox.write("env.jsonl", site.env("1.tar", None) + "\n");
    let script = "mount -t tmpfs -o size=8k,mode=755 none run
        { head -c 3990 /dev/zero | tr '\\0' ' '; echo; } > run/audit.jsonl; cat /dev/zero > run/fill || :
        iinstall < env.jsonl; stat -c %s run/audit.jsonl >&2";
    let mut unshare = site.keeping.sandbox.command("unshare");
    let unshare = unshare.args(["--map-root-user", "--mount", "bash", "-c", script]);
    let output = site.keeping.sandbox.finish(unshare).exits(0);
    assert_eq!(output.one("warning")["rule"], "audit", "{output:?}");
    assert!(output.stderr.ends_with("\n3991\n"), "{}", output.stderr);
}

#[test]
fn a_signal_right_after_the_change_does_not_keep_it_out_of_the_log() {
    as_each();
    for signal in ["INT", "TERM", "HUP"] {
        let site = Site::new();
        site.keeping.sandbox.write("env.jsonl", site.env("1.tar", None) + "\n");
        // Which of the renames makes `current`.
        let script = format!(
            "renames='-f -qq -o trace -e trace=rename'
             strace $renames iinstall < env.jsonl; rm -r home/llama run
             which=$(grep -n '/current\")' trace | cut -d : -f 1)
             strace $renames -e inject=rename:signal={signal}:when=$which iinstall < env.jsonl || :
             grep -q {signal} trace && test -L home/llama/current"
        );
        drop(site.keeping.sandbox.sh(&script).exits(0));
        assert_eq!(summary(&site.log()), ["iinstall install llama-cpp - done"], "{signal}");
    }
}

#[test]
fn of_many_that_install_the_same_one_changes_something() {
    as_each();
    let site = Site::new();
    site.keeping.sandbox.write("env.jsonl", site.env("1.tar", None) + "\n");
    let many = "for i in 1 2 3 4 5 6; do iinstall < env.jsonl & done; wait";
    let installed = site.keeping.sandbox.sh(many).exits(0);
    let switched = |record: &&Value| record["switched"] == true;
    assert_eq!(installed.all("installed").iter().filter(switched).count(), 1, "{installed:?}");
    assert_eq!(summary(&site.log()), ["iinstall install llama-cpp - done"]);
}
