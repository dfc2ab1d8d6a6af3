//! What a pipeline left behind.
use serde_json::Value;

/// stdout, stderr and exit code of a pipeline, the sandbox's path already replaced by `$SANDBOX`.
#[derive(Debug)]
#[must_use]
pub(crate) struct Output {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// The exit code; 128 + n where a signal ended it.
    pub(crate) code: i32,
}

impl Output {
    /// Assert the exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}", self.transcript());
        self
    }

    /// stdout, then stderr under a rule, then the exit code where it is not 0: what snapshots hold.
    pub(crate) fn transcript(&self) -> String {
        let mut text = self.stdout.clone();
        if !self.stderr.is_empty() {
            text.push_str("-- stderr --\n");
            text.push_str(&self.stderr);
        }
        if self.code != 0 {
            text.push_str(&format!("[exit {}]\n", self.code));
        }
        text
    }

    /// Every record of stdout.
    #[track_caller]
    pub(crate) fn records(&self) -> Vec<Value> {
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        self.stdout.lines().map(parse).collect()
    }

    /// The kinds of the records of stdout, in order.
    #[track_caller]
    pub(crate) fn kinds(&self) -> Vec<String> {
        self.records().iter().map(|record| record["kind"].as_str().unwrap().to_owned()).collect()
    }

    /// The records of one kind.
    #[track_caller]
    pub(crate) fn all(&self, kind: &str) -> Vec<Value> {
        self.records().into_iter().filter(|record| record["kind"] == kind).collect()
    }

    /// The only record of one kind.
    #[track_caller]
    pub(crate) fn one(&self, kind: &str) -> Value {
        let mut found = self.all(kind);
        assert_eq!(found.len(), 1, "one '{kind}' expected\n{}", self.transcript());
        found.remove(0)
    }
}
