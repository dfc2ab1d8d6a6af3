//! An engine that does what a test says: `tests/data/engine.py`, kept as any engine is.
use super::{Keeping, free_port, root, wait_for};
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

/// One such instance.
pub(crate) struct Fake<'a> {
    pub(crate) keeping: &'a Keeping,
    pub(crate) name: String,
    pub(crate) plan: Value,
    folder: PathBuf,
}

impl<'a> Fake<'a> {
    /// Planned, not launched.
    pub(crate) fn plan(keeping: &'a Keeping, name: &str) -> Self {
        Self::plan_on(keeping, name, "127.0.0.1")
    }

    /// Listening on this host.
    pub(crate) fn plan_on(keeping: &'a Keeping, name: &str, host: &str) -> Self {
        let folder = keeping.sandbox.path(&format!("fake-{name}"));
        std::fs::create_dir_all(&folder).unwrap();
        // A copy: the engine's user may be one who cannot reach ours.
        let script = folder.join("engine.py");
        std::fs::copy(root().join("tests/data/engine.py"), &script).unwrap();
        let port = free_port();
        let command = format!("exec python3 {} {port} {} {host}", script.display(), folder.display());
        let mut plan = keeping.plan(name, &command);
        plan["port"] = port.into();
        plan["host"] = host.into();
        Self { keeping, name: name.to_owned(), plan, folder }
    }

    /// Make the file that its behaviour hangs on.
    pub(crate) fn says(self, file: &str, content: &str) -> Self {
        self.now_says(file, content);
        self
    }

    /// The same later: by one rename, because it looks at any moment.
    pub(crate) fn now_says(&self, file: &str, content: &str) {
        let draft = self.folder.join(format!(".{file}"));
        std::fs::write(&draft, content).unwrap();
        std::fs::rename(draft, self.folder.join(file)).unwrap();
    }

    /// Take the file away.
    pub(crate) fn unsays(&self, file: &str) {
        std::fs::remove_file(self.folder.join(file)).unwrap();
    }

    /// Launch it; the records go to `<name>.jsonl`.
    pub(crate) fn launched(self) -> Self {
        let ups = || self.keeping.log(&self.name).matches("up\n").count();
        let before = ups();
        let output = self.keeping.launch(std::slice::from_ref(&self.plan)).exits(0);
        self.keeping.sandbox.write(&self.stream(), output.stdout.replace("$SANDBOX", self.root()));
        wait_for("the fake to be up", Duration::from_secs(30), || ups() > before);
        self
    }

    /// The file with its records.
    pub(crate) fn stream(&self) -> String {
        format!("{}.jsonl", self.name)
    }

    pub(crate) fn port(&self) -> u16 {
        self.plan["port"].as_u64().unwrap().try_into().unwrap()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port())
    }

    fn root(&self) -> &str {
        self.plan["workspace"].as_str().unwrap().strip_suffix("/w").unwrap()
    }
}
