//! A plan that is still being checked.
use crate::arguments::Arguments;
use base16ct::lower::encode_string as hex;
use engine::Profile;
use failure::Failure;
use record::{Plan, Warning};
use sha2::{Digest, Sha256};

/// A plan, and what the checks across all instances need beside it.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) plan: Plan,
    /// GPUs that it needs in all, where the arguments say.
    pub(crate) gpus_needed: Option<u64>,
    /// Its CUDA_VISIBLE_DEVICES where `gpu_ids` is `all`.
    pub(crate) visible: Option<String>,
    /// Another argument than the model's names what to serve.
    pub(crate) model_elsewhere: bool,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) failures: Vec<Failure>,
}

impl Draft {
    pub(crate) fn object(&mut self, rule: &str, mut failure: Failure) {
        if !self.plan.control.allow.iter().any(|allowed| allowed == rule) {
            failure.class = Some(rule.to_owned());
            self.failures.push(failure);
        }
    }

    pub(crate) fn warn(&mut self, rule: &str, what: String, hint: &str) {
        let Plan { engine, instance, .. } = &self.plan;
        self.warnings.push(Warning {
            engine: Some(*engine),
            instance: Some(instance.clone()),
            rule: rule.to_owned(),
            what,
            hint: hint.to_owned(),
        });
    }
}

/// The product of the parallel sizes, unless other machines take part.
pub(crate) fn gpus_needed(arguments: &Arguments, profile: &Profile) -> Option<u64> {
    if profile.spread.iter().any(|flag| arguments.value(flag).is_some_and(|value| value != "1")) {
        return None;
    }
    let sizes: Vec<u64> = profile
        .parallel
        .iter()
        .filter_map(|flag| arguments.value(flag))
        .map(|size| size.parse().ok())
        .collect::<Option<_>>()?;
    (!sizes.is_empty()).then(|| sizes.into_iter().fold(1, u64::saturating_mul))
}

pub(crate) fn hash(plan: &Plan) -> String {
    let Plan { program, args, env_set, user, install_path, log_file, secrets_check, control, .. } = plan;
    let parts = (program, args, env_set, user, install_path, log_file, secrets_check, control);
    let bytes = serde_json::to_vec(&parts).unwrap_or_default();
    hex(&Sha256::digest(&bytes))
}
