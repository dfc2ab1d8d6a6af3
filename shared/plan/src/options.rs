//! What planning depends on beside the records.
use failure::{Code, Failure};
use record::Engine;
use std::collections::BTreeMap;
use std::ffi::OsString;

/// What planning depends on beside the records.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Unknown TOML keys warn instead of failing.
    pub lenient: bool,
    /// What runs from another plan is about to be restarted: that it does so is not worth a warning.
    pub replace: bool,
    /// The caller's environment: what servers inherit, and where overrides stand.
    pub environment: BTreeMap<String, String>,
}

impl Options {
    /// From this process's environment; `lenient` also by `AUTO_INFER_LENIENT_CONFIG`.
    ///
    /// # Errors
    /// Code 69 when that variable is no boolean.
    pub fn of_process(lenient: bool) -> Result<Self, Failure> {
        let text = |(name, value): (OsString, OsString)| {
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        };
        let environment: BTreeMap<String, String> = std::env::vars_os().filter_map(text).collect();
        let lenient = lenient || boolean(variables::LENIENT_CONFIG, &environment)?;
        Ok(Self { lenient, replace: false, environment })
    }

    /// The variable with an engine's overrides, and its value, where it is set.
    pub(crate) fn overrides(&self, engine: Engine) -> Option<(&str, &str)> {
        let (name, value) = self.environment.get_key_value(&variables::of(engine, "OVERRIDES"))?;
        (!value.is_empty()).then_some((name, value))
    }
}

fn boolean(name: &str, environment: &BTreeMap<String, String>) -> Result<bool, Failure> {
    let value = environment.get(name).map_or("", String::as_str);
    variables::boolean(value).ok_or_else(|| {
        let (what, cause) = (format!("cannot use {name}"), format!("'{value}' is not a boolean"));
        let hint = "set it to 1, true, yes or on, or to 0, false, no or off";
        Failure::new(Code::Unmet, what, cause).hint(hint)
    })
}
