//! What the arguments of an instance say of the world around it: its address, its files, the models of its preset.
use crate::address::Address;
use crate::argument::Refusal;
use crate::arguments::Arguments;
use crate::files;
use crate::preset::Preset;
use child::User;
use config::rules;
use engine::Profile;
use std::collections::BTreeMap;

/// All of it, and what is wrong with it by the rule that says so.
#[derive(Debug, Default)]
pub(crate) struct FoundProgram {
    pub(crate) address: Address,
    pub(crate) models: Vec<String>,
    pub(crate) refusals: Vec<(&'static str, Refusal)>,
}

impl FoundProgram {
    pub(crate) fn of(
        arguments: &Arguments,
        env: &BTreeMap<String, String>,
        profile: &'static Profile,
        own_module: bool,
        user: Option<&str>,
    ) -> Self {
        // A user who does not exist is reported where the log is checked.
        let user = User::other(user, "user").ok().flatten();
        let mut address = Address::of(arguments, env, profile, own_module);
        let preset = profile.preset.and_then(|flag| arguments.all(flag).next_back());
        let preset = preset.map(|argument| Preset::of(argument, user.as_ref())).unwrap_or_default();
        let missing = files::missing(arguments, profile, user.as_ref()).into_iter().chain(preset.refusals);
        let unreachable = std::mem::take(&mut address.refusals).into_iter();
        let refusals = unreachable
            .map(|refusal| (rules::ADDRESS, refusal))
            .chain(missing.map(|refusal| (rules::FILE_MISSING, refusal)))
            .collect();
        Self { address, models: preset.models, refusals }
    }
}
