//! A temporary root with a cleared environment.
use super::{Output, root, tools};
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A temporary root: `home`, `tmp`, `run` (the run directory) and `w` (the workspace) in it, our tools on PATH, and
/// nothing of the caller's environment. Whatever it keeps running is stopped when it is dropped.
pub(crate) struct Sandbox {
    dir: TempDir,
    env: BTreeMap<String, String>,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("infer-dev-test-").tempdir().unwrap();
        let mut sandbox = Self { dir, env: BTreeMap::new() };
        for name in ["home", "tmp", "run", "w"] {
            std::fs::create_dir(sandbox.path(name)).unwrap();
        }
        // What this machine's GPUs are used for is nothing to a test: an nvidia-smi that fails comes first.
        let no_gpu = root().join("tests/data/no-gpu");
        let system = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let path = format!("{}:{}:{system}", tools().display(), no_gpu.display());
        sandbox.set("PATH", &path);
        sandbox.set("LANG", "C.UTF-8");
        for (name, folder) in [
            ("HOME", "home"),
            ("TMPDIR", "tmp"),
            ("AUTO_INFER_RUN_DIR", "run"),
            ("AUTO_INFER_WORKSPACE_DIR", "w"),
        ] {
            let folder = sandbox.text(folder);
            sandbox.set(name, &folder);
        }
        sandbox
    }

    /// A path below the root.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join(relative)
    }

    /// The same as text.
    pub(crate) fn text(&self, relative: &str) -> String {
        self.path(relative).into_os_string().into_string().unwrap()
    }

    /// Set a variable for every pipeline from now on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.env.insert(name.to_owned(), value.to_owned());
    }

    /// Unset a variable for every pipeline from now on.
    pub(crate) fn unset(&mut self, name: &str) {
        self.env.remove(name);
    }

    /// Write a file below the root, with the folders that it needs.
    pub(crate) fn write(&self, relative: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(relative);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Write an executable file below the root.
    pub(crate) fn script(&self, relative: &str, content: &str) -> PathBuf {
        self.program(relative, content.as_bytes())
    }

    /// The same of any program.
    pub(crate) fn program(&self, relative: &str, content: &[u8]) -> PathBuf {
        let draft = self.write(&format!("{relative}.draft"), content);
        let path = self.path(relative);
        install(&draft, &path);
        std::fs::remove_file(draft).unwrap();
        path
    }

    /// Copy one of the tools below the root, where others can run it too.
    pub(crate) fn own_tool(&self, tool: &str, relative: &str) -> PathBuf {
        let path = self.path(relative);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        install(&tools().join(tool), &path);
        path
    }

    pub(crate) fn read(&self, relative: &str) -> String {
        let path = self.path(relative);
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// A command with the sandbox's environment, in its root.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.env_clear().envs(&self.env).current_dir(self.dir.path()).stdin(Stdio::null());
        command
    }

    /// Run a pipeline under `bash -euo pipefail`. It hears Ctrl-C even where whoever runs the tests does not (nohup, a job in the
    /// background): a shell cannot undo that.
    pub(crate) fn sh(&self, script: &str) -> Output {
        let bash = ["--default-signal=HUP,INT,QUIT", "/bin/bash", "-euo", "pipefail", "-c"];
        self.finish(self.command("/usr/bin/env").args(bash).arg(script))
    }

    /// Run a prepared command to its end.
    pub(crate) fn finish(&self, command: &mut Command) -> Output {
        let output = command.output().unwrap();
        let root = self.dir.path().to_str().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(root, "$SANDBOX");
        let status = output.status;
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap());
        Output { stdout: text(output.stdout), stderr: text(output.stderr), code }
    }
}

/// Copy a program that is to be run: by a process of its own, because a child that another test is just starting would
/// inherit the descriptor that we write to, and a file that somebody writes to cannot be executed.
fn install(from: &Path, to: &Path) {
    assert!(Command::new("install").args(["-m", "755"]).args([from, to]).status().unwrap().success());
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if self.path("run").is_dir()
            && std::fs::read_dir(self.path("run")).is_ok_and(|mut d| d.next().is_some())
        {
            drop(self.command(tools().join("istop")).args(["--run-dir", &self.text("run")]).output());
        }
    }
}
