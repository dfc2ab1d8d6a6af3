//! One flag under all its spellings.
use crate::{ListSyntax, Profile};

impl Profile {
    /// The one name of a flag, however it is spelt: `model_path`, `--model-path`, `-m`, `--model-path=/x`.
    #[must_use]
    pub fn flag(&self, spelling: &str) -> String {
        let typed = spelling.split('=').next().unwrap_or(spelling);
        let name = typed.trim_start_matches('-').replace('_', "-");
        let dashes = if typed.starts_with('-') && !typed.starts_with("--") { "-" } else { "--" };
        let is = |other: &str| other.strip_prefix(dashes) == Some(name.as_str());
        let known = self.spellings.iter().find(|(other, _)| is(other));
        known.map_or(name, |(_, flag)| (*flag).to_owned())
    }

    /// How a list of this flag's values is written.
    #[must_use]
    pub fn list_of(&self, flag: &str) -> ListSyntax {
        self.other_lists.iter().find(|(name, _)| *name == flag).map_or(self.lists, |(_, lists)| *lists)
    }
}

#[cfg(test)]
mod tests {
    use record::Engine;

    #[test]
    fn a_flag_has_one_name_however_it_is_spelt() {
        let llama = crate::of(Engine::LlamaCpp);
        for spelling in ["-m", "--model", "model", "--model=/x"] {
            assert_eq!(llama.flag(spelling), "model");
        }
        assert_eq!(llama.flag("n_gpu_layers"), llama.flag("-ngl"));
        assert_eq!(crate::of(Engine::Sglang).flag("tensor_parallel_size"), "tp-size");
        assert_eq!(crate::of(Engine::Vllm).flag("-tp"), "tensor-parallel-size");
    }

    #[test]
    fn no_table_spells_a_flag_with_dashes_or_underscores() {
        for engine in Engine::ENGINES {
            let profile = crate::of(engine);
            let flags = [profile.model, profile.served_name]
                .into_iter()
                .chain(profile.model_elsewhere.iter().copied())
                .chain(profile.secret_variables.iter().map(|(flag, _)| *flag))
                .chain(profile.other_lists.iter().map(|(flag, _)| *flag))
                .chain(profile.spellings.iter().map(|(_, flag)| *flag))
                .chain(profile.parallel.iter().copied())
                .chain(profile.other_models.iter().map(|(flag, ..)| *flag))
                .chain(profile.negatable.iter().copied());
            for flag in flags {
                assert!(!flag.starts_with('-') && !flag.contains('_'), "{engine}: {flag}");
                assert_eq!(profile.flag(flag), flag, "{engine}: {flag} is a spelling of another flag");
            }
        }
    }
}
