//! `scripts/install`: what it puts below a prefix, and that it takes all of it away again.
use crate::kit::{Output, Sandbox, root, tools};
use crate::tree::tool_names;
use std::collections::BTreeSet;

fn install(sandbox: &Sandbox, words: &str) -> Output {
    sandbox.sh(&format!("{} {words}", root().join("scripts/install").display()))
}

/// A folder with tools that do nothing, in place of a hundred megabytes of built ones.
fn hollow_tools(sandbox: &Sandbox) {
    for tool in tool_names() {
        sandbox.script(&format!("tools/{tool}"), "#!/bin/sh\necho \"$0\"\n");
    }
}

/// All files and links below a folder.
fn files(sandbox: &Sandbox, folder: &str) -> BTreeSet<String> {
    let listed = sandbox.sh(&format!("cd {folder} && find . ! -type d -printf '%P\\n'")).exits(0).stdout;
    listed.lines().map(str::to_owned).collect()
}

/// How many files are there that were not finished.
fn drafts_in(sandbox: &Sandbox, folder: &str) -> usize {
    files(sandbox, folder).iter().filter(|file| file.ends_with(".new")).count()
}

#[test]
fn what_is_installed_runs_is_listed_and_goes_again() {
    let sandbox = Sandbox::new();
    drop(install(&sandbox, &format!("--tools {} usr", tools().display())).exits(0));
    let run = sandbox
        .sh("export PATH=$PWD/usr/bin:/usr/bin:/bin; infer-dev --version >&2; infer-dev ps; ienv llama-cpp")
        .exits(0);
    assert_eq!(run.one("env")["engine"], "llama-cpp");
    let listed: BTreeSet<String> = sandbox
        .read("usr/share/infer-dev/files")
        .lines()
        .filter(|line| !line.ends_with('/'))
        .map(str::to_owned)
        .collect();
    assert_eq!(files(&sandbox, "usr"), listed);
    for tool in tool_names() {
        for file in [
            format!("bin/{tool}"),
            format!("share/man/man1/{tool}.1"),
            format!("share/bash-completion/completions/{tool}"),
            format!("share/zsh/site-functions/_{tool}"),
            format!("share/fish/vendor_completions.d/{tool}.fish"),
        ] {
            assert!(listed.contains(&file), "{file}");
        }
    }
    let helpers = sandbox.sh("find usr/lib/infer-dev/helpers -name '*.sh' -executable").exits(0).stdout;
    let ours = "find scripts/helpers -name '*.sh' | wc -l";
    let ours = sandbox.sh(&format!("cd {} && {ours}", root().display())).exits(0).stdout;
    assert_eq!(helpers.lines().count().to_string(), ours.trim(), "{helpers}");
    let unit = "systemd-analyze verify --man=no usr/lib/systemd/system/infer-dev.service 2>&1";
    let told = sandbox.sh(unit).exits(0).stdout;
    assert!(!told.contains("infer-dev.service"), "what systemd has against the unit: {told}");
    drop(install(&sandbox, "--uninstall usr").exits(0));
    assert!(!sandbox.path("usr").exists(), "no folder is left that was made");
}

#[test]
fn what_others_put_there_stays_and_what_is_old_goes() {
    let sandbox = Sandbox::new();
    hollow_tools(&sandbox);
    sandbox.write("usr/bin/theirs", "theirs");
    std::fs::create_dir_all(sandbox.path("usr/share/man/man1")).unwrap();
    drop(install(&sandbox, "--tools tools usr").exits(0));
    // An older version had a tool that this one has not.
    sandbox.write("usr/bin/iold", "old");
    let old = sandbox
        .sh("echo bin/iold >>usr/share/infer-dev/files; echo ../kept >>usr/share/infer-dev/files")
        .exits(0);
    drop(old);
    sandbox.write("kept", "not ours");
    let before = files(&sandbox, "usr");
    drop(install(&sandbox, "--tools tools usr").exits(0));
    let gone: Vec<String> = before.difference(&files(&sandbox, "usr")).cloned().collect();
    assert_eq!(gone, ["bin/iold"]);
    drop(install(&sandbox, "--uninstall usr").exits(0));
    assert_eq!(files(&sandbox, "usr"), BTreeSet::from(["bin/theirs".to_owned()]));
    assert!(sandbox.path("usr/share/man/man1").is_dir(), "a folder that was there before");
    assert!(sandbox.path("kept").is_file(), "nothing outside the prefix is touched");
    let none = install(&sandbox, "--uninstall usr").exits(69);
    assert!(none.stderr.contains("nothing of ours is in"), "{}", none.stderr);
}

#[test]
fn an_install_that_was_interrupted_can_be_removed() {
    let sandbox = Sandbox::new();
    hollow_tools(&sandbox);
    // The last tool ends the whole install when it is asked for its completions.
    sandbox.script("tools/ireport", "#!/bin/sh\nexit 1\n");
    let failed = install(&sandbox, "--tools tools usr").exits(1);
    assert_eq!(
        failed.stderr,
        "install: not all of it is installed: run this again, or remove what is there with --uninstall\n"
    );
    assert!(sandbox.path("usr/bin/ienv").is_file());
    drop(install(&sandbox, "--uninstall usr").exits(0));
    assert!(!sandbox.path("usr").exists());
}

#[test]
fn an_install_that_is_killed_leaves_nothing_that_is_half_and_stays() {
    for (signal, code, drafts) in [("TERM", 143, 0), ("KILL", 137, 1)] {
        let mut sandbox = Sandbox::new();
        hollow_tools(&sandbox);
        // It kills the script that runs it, at the first page.
        let install_program = format!(
            "#!/bin/bash\n/usr/bin/install \"$@\"\ncase ${{@: -1}} in *.1.new) kill -{signal} $PPID ;; esac\n"
        );
        sandbox.script("fake/install", &install_program);
        let path = format!("{}:/usr/bin:/bin", sandbox.text("fake"));
        sandbox.set("PATH", &path);
        let killed = format!("{} --tools tools usr; exit $?", root().join("scripts/install").display());
        drop(sandbox.sh(&killed).exits(code));
        assert_eq!(drafts_in(&sandbox, "usr"), drafts, "{signal}");
        sandbox.set("PATH", "/usr/bin:/bin");
        drop(sandbox.sh("cp -a usr again").exits(0));
        drop(install(&sandbox, "--uninstall usr").exits(0));
        assert!(!sandbox.path("usr").exists(), "{signal}");
        drop(install(&sandbox, "--tools tools again").exits(0));
        assert_eq!(drafts_in(&sandbox, "again"), 0, "{signal}");
        drop(install(&sandbox, "--uninstall again").exits(0));
        assert!(!sandbox.path("again").exists(), "{signal}");
    }
}

#[test]
fn on_a_full_disk_it_says_how_much_room_it_needs_and_all_of_it_goes_again() {
    let sandbox = Sandbox::new();
    hollow_tools(&sandbox);
    drop(sandbox.sh("mkdir small; head -c 3M /dev/zero >>tools/istat").exits(0));
    let script = root().join("scripts/install").display().to_string();
    let line = format!(
        "mount -t tmpfs -o size=2m none small; {script} --tools tools small/usr; echo $?; find small -name '*.new'
        {script} --uninstall small/usr; echo $?; ls -A small"
    );
    let mut unshare = sandbox.command("unshare");
    let output = sandbox.finish(unshare.args(["--map-root-user", "--mount", "bash", "-c", &line])).exits(0);
    assert_eq!(output.stdout, "1\n0\n", "{}", output.transcript());
    let room = "install: $SANDBOX/small/usr needs room for about ";
    let told = output.stderr.lines().find_map(|line| line.strip_prefix(room)).unwrap_or_default();
    assert!(told.contains(" MB, and ") && told.ends_with(" MB are free"), "{}", output.stderr);
}

#[test]
fn a_package_maker_gets_it_below_destdir() {
    let sandbox = Sandbox::new();
    hollow_tools(&sandbox);
    drop(
        sandbox
            .sh(&format!("DESTDIR=$PWD/stage {}/scripts/install --tools tools /usr", root().display()))
            .exits(0),
    );
    let staged = files(&sandbox, "stage");
    assert!(staged.iter().all(|file| file.starts_with("usr/")), "{staged:?}");
    let traces = sandbox.sh("grep -rl \"$PWD/stage\" stage").exits(1).stdout;
    assert_eq!(traces, "", "files that name the stage");
}

#[test]
fn a_wrong_call_installs_nothing_and_says_why() {
    let sandbox = Sandbox::new();
    hollow_tools(&sandbox);
    drop(install(&sandbox, "").exits(2));
    drop(install(&sandbox, "--tools nowhere usr").exits(2));
    std::fs::remove_file(sandbox.path("tools/istat")).unwrap();
    let lacking = install(&sandbox, "--tools tools usr").exits(69);
    assert!(lacking.stderr.contains("there is no istat in"), "{}", lacking.stderr);
    assert!(!sandbox.path("usr").exists());
    hollow_tools(&sandbox);
    sandbox.write("file", "");
    let no_folder = install(&sandbox, "--tools tools file").exits(69);
    assert!(no_folder.stderr.contains("cannot write in"), "{}", no_folder.stderr);
}

#[test]
fn root_puts_and_removes_nothing_where_another_user_can_lead_it() {
    if !crate::kit::as_root() {
        return;
    }
    let sandbox = Sandbox::new();
    hollow_tools(&sandbox);
    drop(sandbox.sh("chmod 755 .; mkdir -p theirs own; echo whole > own/precious").exits(0));
    // A list of theirs, whose first step leads to what is root's.
    let plant = "mkdir -p theirs/share/infer-dev; ln -s ../own theirs/x; echo x/precious > theirs/share/infer-dev/files;
        ln -s ../../../own/new theirs/share/infer-dev/files.new; chown -hR 60004 theirs";
    drop(sandbox.sh(plant).exits(0));
    for words in ["--uninstall theirs", "--tools tools theirs", "--tools tools theirs/below/it"] {
        let refused = install(&sandbox, words).exits(69);
        assert!(refused.stderr.contains("belongs to uid 60004"), "{words}: {}", refused.transcript());
        assert_eq!(files(&sandbox, "own").len(), 1, "{words}");
    }
}
