//! What an older pixi cannot do, or cannot promise.
use crate::{Network, Pixi, Version};
use failure::{Code, Failure};

/// The first pixi that reads lock files of version 7, and that has a variable for where its wheels are.
const LOCK_7: Version = Version(0, 68, 0);
const SEPARATE_WHEEL_CACHE: Version = Version(0, 68, 0);
/// The first whose wheels are where all later ones look (`wheels-v6`).
const WHEELS_6: Version = Version(0, 70, 0);
/// The first that compares wheels with the hashes of the lock file, and records that it did.
const HASHES: Version = Version(0, 71, 0);
/// The first that can be told not to use the network.
const OFFLINE: Version = Version(0, 74, 0);

/// Something that a pixi does not promise, of which an operator should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionLimit {
    /// The rule of the warning: always `pixi_old`.
    pub rule: &'static str,
    /// What is not promised.
    pub what: String,
    /// What to do about it.
    pub hint: String,
}

impl Pixi {
    /// What this pixi does not promise when it works on a lock file of this version with a cache of this layout
    /// (`split`, `pixi` or `rattler`, as `env` records say it), connected or offline.
    ///
    /// # Errors
    /// It cannot do that at all: code 69, with both versions.
    pub fn version_limits(
        &self,
        lock_version: u32,
        layout: Option<&str>,
        network: Network,
    ) -> Result<Vec<VersionLimit>, Failure> {
        if lock_version >= 7 {
            self.must_be(LOCK_7, &format!("lock files of version {lock_version}"))?;
        }
        if layout.is_none_or(|layout| layout == "split") {
            self.must_be(SEPARATE_WHEEL_CACHE, "caches with a folder for wheels alone")?;
        }
        let mut found = Vec::new();
        for (first, connected, offline) in [
            (
                WHEELS_6,
                "the wheels that it puts into the cache are not seen by pixi 0.70 and newer",
                "it does not see wheels that pixi 0.70 or newer put into the cache",
            ),
            (
                HASHES,
                "it does not record that wheels have the hashes of the lock file, and pixi 0.71 and newer \
                 refuse such wheels offline",
                "it does not compare wheels with the hashes of the lock file",
            ),
            (OFFLINE, "", "it cannot be told to stay offline: what it misses ends in a network error"),
        ] {
            let what = if network == Network::Connected { connected } else { offline };
            if self.version < first && !what.is_empty() {
                let what = format!("pixi {} is older than {first}: {what}", self.version);
                let hint = "use one version of pixi on both sides, the newest that you can".to_owned();
                found.push(VersionLimit { rule: "pixi_old", what, hint });
            }
        }
        Ok(found)
    }

    fn must_be(&self, first: Version, because: &str) -> Result<(), Failure> {
        if self.version >= first {
            return Ok(());
        }
        let what = format!("cannot use {}", self.program.display());
        let cause = format!("it is pixi {}, and {because} need {first} or newer", self.version);
        Err(Failure::new(Code::Unmet, what, cause).hint(format!("put pixi {first} or newer first on PATH")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_promises_more() {
        let ask = |version: &str, lock, layout, network| {
            let pixi = Pixi { program: "/usr/bin/pixi".into(), version: version.parse().unwrap() };
            pixi.version_limits(lock, Some(layout), network).map(|found| found.len())
        };
        for (version, connected, offline) in
            [("0.68.0", 2, 3), ("0.69.3", 2, 3), ("0.70.2", 1, 2), ("0.71.0", 0, 1), ("0.74.0", 0, 0)]
        {
            assert_eq!(ask(version, 7, "split", Network::Connected), Ok(connected), "{version}");
            assert_eq!(ask(version, 7, "split", Network::Offline), Ok(offline), "{version}");
        }
        let cause = |lock, layout| ask("0.67.2", lock, layout, Network::Offline).map_err(|f| f.cause);
        let newer = "need 0.68.0 or newer";
        assert_eq!(cause(7, "pixi"), Err(format!("it is pixi 0.67.2, and lock files of version 7 {newer}")));
        assert_eq!(
            cause(6, "split"),
            Err(format!("it is pixi 0.67.2, and caches with a folder for wheels alone {newer}"))
        );
        assert_eq!(cause(6, "rattler"), Ok(3));
    }
}
