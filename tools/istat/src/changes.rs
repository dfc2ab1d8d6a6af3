//! Changes of state, as they are seen.
use crate::inspect::Inspected;
use record::{KeeperState, Rung};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The fields of a status whose change is reported.
#[derive(PartialEq, Eq)]
struct ReportedFields {
    state: KeeperState,
    rung: Option<Rung>,
    pid: Option<u32>,
    restarts: u32,
    stale: bool,
}

/// The instances as they were last seen.
#[derive(Default)]
pub(crate) struct Changes(BTreeMap<(PathBuf, String, String), ReportedFields>);

impl Changes {
    /// Whether this differs from what was last seen of the instance; the first sight does.
    pub(crate) fn take(&mut self, inspected: &Inspected) -> bool {
        let status = &inspected.status;
        let key = (inspected.run_dir.clone(), status.engine.to_string(), status.instance.clone());
        let essence = ReportedFields {
            state: status.state,
            rung: status.rung,
            pid: status.pid,
            restarts: status.restarts,
            stale: status.stale,
        };
        let changed = self.0.get(&key) != Some(&essence);
        if changed {
            self.0.insert(key, essence);
        }
        changed
    }
}
