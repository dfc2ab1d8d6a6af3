//! The boundary between root and the users of engines: what U (nobody), whose engine it is, and V (daemon), who has none, do
//! to root's tools.
mod confined;
mod kill;
mod log;
mod read;
mod secrets;
mod words;

use crate::kit::{Keeping, as_root, send};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;
use std::process::{Child, Stdio};

const U: u32 = 65_534;
const V: u32 = 1;
/// What only root may read.
const SECRET: &str = "root's own words";
const PATIENT: &str = "echo up; while :; do sleep 1000 & wait; done";

/// A sandbox in which root keeps an instance `a` of U's.
struct Boundary {
    keeping: Keeping,
}

impl Boundary {
    /// `None` where we are not root.
    fn new() -> Option<Self> {
        if !as_root() {
            return None;
        }
        let keeping = Keeping::new();
        // U's keeper is run by U.
        keeping.sandbox.own_tool("ikeep", "tools/ikeep");
        keeping.sandbox.own_tool("ilaunch", "tools/ilaunch");
        let boundary = Self { keeping };
        boundary.secret("secret");
        Some(boundary)
    }

    /// A file of root's that nobody else reads.
    fn secret(&self, name: &str) -> PathBuf {
        let path = self.keeping.sandbox.write(name, format!("{SECRET}\n"));
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// Launch U's instance `a`.
    fn start(&self, script: &str) -> Value {
        let mut plan = self.keeping.plan("a", script);
        plan["user"] = json!("nobody");
        self.keeping.sandbox.write("plan.jsonl", format!("{plan}\n"));
        drop(self.keeping.sandbox.sh("tools/ilaunch < plan.jsonl > a.jsonl").exits(0));
        plan
    }

    fn state(&self, name: &str) -> PathBuf {
        self.keeping.state_dir("a").join(name)
    }

    /// Put this into a file of U's state directory, as U can.
    fn plant(&self, name: &str, content: &str) {
        let path = self.state(name);
        drop(fs::remove_file(&path));
        fs::write(&path, content).unwrap();
        chown(&path, Some(U), Some(U)).unwrap();
    }

    /// The same as a link to a file.
    fn link(&self, name: &str, target: &str) {
        let path = self.state(name);
        drop(fs::remove_file(&path));
        self.run_as(U, &["ln", "-sfn", &self.keeping.sandbox.text(target), path.to_str().unwrap()]);
    }

    /// Run a command as this user, to its end.
    fn run_as(&self, uid: u32, command: &[&str]) {
        assert!(self.as_user(uid, command).status().unwrap().success(), "{command:?}");
    }

    fn as_user(&self, uid: u32, command: &[&str]) -> std::process::Command {
        let mut run = self.keeping.sandbox.command("setpriv");
        run.args([format!("--reuid={uid}"), format!("--regid={uid}"), "--clear-groups".to_owned()])
            .args(command);
        run
    }

    /// Change a field of a JSON file of U's.
    fn set(&self, name: &str, field: &str, value: Value) {
        let mut json: Value = serde_json::from_slice(&fs::read(self.state(name)).unwrap()).unwrap();
        json[field] = value;
        self.plant(name, &json.to_string());
    }
}

/// A process that ends with the test.
struct Running(Child);

impl Running {
    fn start(command: &mut std::process::Command) -> Self {
        Self(command.stdin(Stdio::null()).spawn().unwrap())
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    fn lives(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        send(self.pid(), Signal::KILL);
        self.0.wait().unwrap();
    }
}
