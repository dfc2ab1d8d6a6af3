//! A pixi that hangs: whoever ends iinstall ends all that it has started.
use super::cache::{Cached, path};
use crate::kit::{Pixi, alive, as_root, tools, wait_for};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// What pixi has started does not end by itself, and holds the lock of the install.
fn hanging(started: &str) -> String {
    format!(
        "#!/bin/sh\nif [ \"$1\" = --version ]; then echo pixi 0.77.0; exit; fi
        sleep 600 > /dev/null 2>&1 &\necho $! > {started}.new; mv {started}.new {started}; wait\n"
    )
}

fn ended_by(signal: rustix::process::Signal, user: Option<&str>) {
    let mut site = Cached::new();
    drop(site.sandbox.sh("mkdir -m 777 noted; chmod 755 . w home tmp; chmod 1777 tmp w").exits(0));
    if let Some(user) = user {
        site.sandbox.set("AUTO_INFER_SGLANG_USER", user);
        drop(site.sandbox.sh(&format!("chown -R {user} cache")).exits(0));
    }
    let started = site.sandbox.text("noted/started");
    let program = site.sandbox.script("fake/pixi", &hanging(&started));
    path(&mut site.sandbox, program.parent().unwrap());
    drop(site.sandbox.sh("chmod 755 fake fake/pixi; ienv sglang > stream").exits(0));
    let mut command = site.sandbox.command(tools().join("iinstall"));
    command.stdin(fs::File::open(site.sandbox.path("stream")).unwrap());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("pixi's child", LIMIT, || Path::new(&started).exists());
    crate::kit::send(child.id(), signal);
    assert_eq!(child.wait().unwrap().signal(), Some(signal.as_raw()));
    let grandchild: u32 = site.sandbox.read("noted/started").trim().parse().unwrap();
    wait_for("the end of what pixi has started", LIMIT, || !alive(grandchild));
    assert!(!site.home().join("current").exists());
    if user.is_none() {
        path(&mut site.sandbox, &Pixi::get().bin);
        drop(site.sandbox.sh("iinstall < stream").exits(0));
        assert_eq!(site.imports(), "1.17.0 3.20\n");
    }
}

#[test]
fn what_a_pixi_that_hangs_has_started_ends_with_iinstall() {
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::INT, rustix::process::Signal::HUP]
    {
        ended_by(signal, None);
    }
}

#[test]
fn and_so_it_does_where_root_installs_for_another_user() {
    if as_root() {
        ended_by(rustix::process::Signal::TERM, Some("nobody"));
    }
}
