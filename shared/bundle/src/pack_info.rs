//! `pixi-pack.json`: what pixi-pack says of the bundle that it made.
use crate::{BYTE_ORDER_MARK, HAS_BYTE_ORDER_MARK};
use failure::{Code, Failure};
use lock::host_platform;
use serde::Deserialize;

/// The one format that pixi-unpack takes.
const VERSION: &str = "1";

/// The file, read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PackInfo {
    /// Version of the format.
    pub version: String,
    /// The pixi-pack that made it.
    #[serde(default)]
    pub pixi_pack_version: Option<String>,
    /// The conda subdir that it is for.
    pub platform: String,
}

impl PackInfo {
    /// Its path in a bundle.
    pub const PATH: &'static str = "pixi-pack.json";

    /// Read the member's bytes. `what` is what cannot be done with a bundle that is none, as the failure says it.
    ///
    /// # Errors
    /// It is not what pixi-pack writes (65).
    pub fn parse(bytes: &[u8], what: &str) -> Result<Self, Failure> {
        serde_json::from_slice(bytes).map_err(|error| {
            let cause = if bytes.starts_with(BYTE_ORDER_MARK) {
                HAS_BYTE_ORDER_MARK.to_owned()
            } else {
                error.to_string()
            };
            Failure::new(Code::Input, what, format!("its {} is malformed: {cause}", Self::PATH))
                .hint("make bundles with ipack or pixi-pack")
        })
    }

    /// Whether it can be installed here.
    ///
    /// # Errors
    /// Another format (65), or another platform than this machine's (69).
    pub fn check_installable(&self, what: &str) -> Result<(), Failure> {
        if self.version != VERSION {
            let cause = format!("it has format version {:?}; {VERSION:?} is understood", self.version);
            let made =
                self.pixi_pack_version.as_deref().map_or_else(String::new, |by| format!(", not with {by}"));
            return Err(
                Failure::new(Code::Input, what, cause).hint(format!("pack it with pixi-pack 0.7{made}"))
            );
        }
        let here = host_platform();
        if self.platform != here {
            let cause = format!("it is for platform {}, and this machine is {here}", self.platform);
            return Err(
                Failure::new(Code::Unmet, what, cause).hint(format!("pack it with --platform {here}"))
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(version: &str, platform: &str) -> PackInfo {
        let text =
            format!(r#"{{"version":"{version}","pixi-pack-version":"0.7.10","platform":"{platform}"}}"#);
        PackInfo::parse(text.as_bytes(), "cannot install x.tar").unwrap()
    }

    #[test]
    fn format_and_platform_must_be_ours() {
        assert!(info("1", host_platform()).check_installable("x").is_ok());
        let format = info("2", host_platform()).check_installable("x").unwrap_err();
        assert_eq!((format.code, format.cause.contains("\"2\"")), (Code::Input, true));
        let platform = info("1", "osx-arm64").check_installable("x").unwrap_err();
        assert_eq!((platform.code, platform.cause.contains("osx-arm64")), (Code::Unmet, true));
    }

    #[test]
    fn what_is_no_description_is_refused() {
        for text in ["", "{}", "[]", r#"{"version":1,"platform":"linux-64"}"#] {
            assert_eq!(PackInfo::parse(text.as_bytes(), "x").unwrap_err().code, Code::Input, "{text}");
        }
    }
}
