//! The models that a plan names, from its arguments.
use engine::{Flags, ModelRole, Weights};
use record::Plan;
use std::path::PathBuf;
use weights::{Loader, Role};

/// What a plan's arguments say of models.
pub(crate) struct ModelPaths {
    /// Those that are named by an absolute path, the served one first.
    pub(crate) models: Vec<(Role, PathBuf)>,
    /// Over how many GPUs one copy is spread, where the arguments say.
    pub(crate) gpus: Option<u64>,
    reads_folder: bool,
    own_tokenizer: bool,
    runs_code: bool,
    pub(crate) flags: Flags,
}

impl ModelPaths {
    pub(crate) fn by(plan: &Plan) -> Self {
        let profile = engine::of(plan.engine);
        let flags = Flags::of(&plan.args, profile);
        let others = flags.other_models(profile).into_iter().map(|(what_for, path)| (role(what_for), path));
        let models = plan.model.iter().map(|model| (Role::Model, model.clone())).chain(others);
        let sizes =
            profile.parallel.iter().filter_map(|flag| flags.values(flag).last()?.first()?.parse().ok());
        let sizes: Vec<u64> = sizes.collect();
        Self {
            models: models
                .map(|(role, path)| (role, PathBuf::from(path)))
                .filter(|(_, path)| path.is_absolute())
                .collect(),
            gpus: (!sizes.is_empty()).then(|| sizes.into_iter().fold(1, u64::saturating_mul)),
            reads_folder: profile.weights == Weights::Folder,
            own_tokenizer: ["tokenizer", "tokenizer-path", "skip-tokenizer-init"]
                .iter()
                .any(|flag| flags.has(flag)),
            runs_code: flags.has("trust-remote-code"),
            flags,
        }
    }

    /// Who is to load the model of this role.
    pub(crate) fn loader(&self, role: Role) -> Loader {
        let Self { reads_folder, own_tokenizer, runs_code, .. } = *self;
        Loader { role, reads_folder, own_tokenizer: own_tokenizer && role == Role::Model, runs_code }
    }
}

fn role(what_for: ModelRole) -> Role {
    match what_for {
        ModelRole::Draft => Role::Draft,
        ModelRole::Mmproj => Role::Mmproj,
        ModelRole::Lora => Role::Lora,
        ModelRole::Tokenizer => Role::Tokenizer,
    }
}
