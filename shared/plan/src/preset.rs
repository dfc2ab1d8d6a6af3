//! A router's preset: the models that its sections name.
use crate::argument::{Argument, Refusal};
use crate::files::usable;
use child::User;
use engine::FileSyntax;
use failure::io_text;
use std::path::Path;

/// The file's `[*]` and `[default]` hold for all models, and name none.
const FOR_ALL: [&str; 2] = ["*", "default"];
/// More than any router's models need.
const LARGEST: usize = 4 << 20;

/// The models of a preset, in its order.
#[derive(Debug, Default)]
pub(crate) struct Preset {
    pub(crate) models: Vec<String>,
    pub(crate) refusals: Vec<Refusal>,
}

impl Preset {
    /// Read the file that an argument names. One that cannot be read is reported where files are checked.
    pub(crate) fn of(argument: &Argument, user: Option<&User>) -> Self {
        let mut preset = Self::default();
        let Some(path) = argument.values.first() else { return preset };
        let path = Path::new("/").join(path);
        let bytes = owner::read_named(&path, LARGEST).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let mut section = None;
        for line in text.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
                section = Some(name.trim().to_owned()).filter(|name| !FOR_ALL.contains(&name.as_str()));
                preset.models.extend(section.clone());
            } else if let (Some(name), Some((key, value))) = (&section, line.split_once('=')) {
                if !matches!(key.trim(), "model" | "m" | "LLAMA_ARG_MODEL") {
                    continue;
                }
                let model = Path::new("/").join(value.trim());
                if let Err(error) = usable(&model, FileSyntax::File, user) {
                    let cause = format!(
                        "{}: {}: model {} of [{name}]: {}",
                        argument.name,
                        path.display(),
                        model.display(),
                        io_text(&error)
                    );
                    let hint = Some("correct the preset, or mount the model there".to_owned());
                    preset.refusals.push(Refusal { place: argument.place, cause, hint });
                }
            }
        }
        preset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_section_but_those_for_all_is_a_model() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let model = file.path().display();
        let text = format!(
            "version = 1\n\n[*]\nm = /none\n[tiny-a]\nmodel = {model}\n; [no]\n[ org/b:Q8_0 ]\nmodel = /none.gguf\n"
        );
        std::fs::write(file.path(), text).unwrap();
        let argument = Argument {
            flag: "models-preset".to_owned(),
            name: "server.models_preset".to_owned(),
            place: None,
            tokens: Vec::new(),
            values: vec![model.to_string()],
            holds_secret: false,
            number: false,
        };
        let preset = Preset::of(&argument, None);
        assert_eq!(preset.models, ["tiny-a", "org/b:Q8_0"]);
        assert_eq!(preset.refusals.len(), 1);
        assert!(
            preset.refusals[0].cause.ends_with("model /none.gguf of [org/b:Q8_0]: No such file or directory")
        );
    }
}
