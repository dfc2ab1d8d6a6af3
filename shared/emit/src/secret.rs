//! Where a keeper has the secrets from that a plan only names.
use record::Plan;

/// One secret, by reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reference {
    /// The engine reads it from this variable.
    Variable(String),
    /// It is a line of the file at this path, which the engine is told on its command line.
    Line {
        /// The path, as it stands among the arguments.
        path: String,
        /// The flag, which is the line's key.
        flag: String,
    },
}

/// What the plan's secrets are to its engine. A key's own file is none: its path is an argument like another.
pub(crate) fn references(plan: &Plan) -> Vec<Reference> {
    let traits = engine::of(plan.engine);
    let mut found = Vec::new();
    for name in &plan.secrets {
        let reference = match name.split_once('.') {
            Some(("env", variable)) => Some(Reference::Variable(variable.to_owned())),
            Some((_, flag)) => {
                let flag = flag.trim_start_matches('-').replace('_', "-");
                let variable = traits.secret_variables.iter().find(|(known, _)| *known == flag);
                match (variable, config_file(plan)) {
                    _ if flag.ends_with("-file") => None,
                    (Some((_, variable)), _) => Some(Reference::Variable((*variable).to_owned())),
                    (None, Some(path)) => Some(Reference::Line { path, flag }),
                    (None, None) => None,
                }
            }
            None => None,
        };
        found.extend(reference.filter(|reference| !found.contains(reference)));
    }
    found
}

/// The engine's configuration file, which our own keeper would write into the state directory.
fn config_file(plan: &Plan) -> Option<String> {
    let flag = format!("--{}", engine::of(plan.engine).config_file?);
    let at = plan.args.iter().position(|word| *word == flag)?;
    plan.args.get(at + 1).filter(|path| path.starts_with(&*plan.state_dir.to_string_lossy())).cloned()
}

/// The variables among them.
pub(crate) fn variables(references: &[Reference]) -> Vec<&str> {
    let of = |reference: &'_ Reference| matches!(reference, Reference::Variable(_));
    references
        .iter()
        .filter(|reference| of(reference))
        .map(|reference| match reference {
            Reference::Variable(name) | Reference::Line { flag: name, .. } => name.as_str(),
        })
        .collect()
}

/// The file with lines among them: its path among the arguments, and the lines' keys.
pub(crate) fn file(references: &[Reference]) -> Option<(&str, Vec<&str>)> {
    let lines = references.iter().filter_map(|reference| match reference {
        Reference::Line { path, flag } => Some((path.as_str(), flag.as_str())),
        Reference::Variable(_) => None,
    });
    let (paths, flags): (Vec<&str>, Vec<&str>) = lines.unzip();
    paths.first().map(|path| (*path, flags))
}

/// The arguments, with the file elsewhere than our own keeper puts it.
pub(crate) fn arguments(plan: &Plan, file: Option<&str>, elsewhere: &str) -> Vec<String> {
    let other = |word: &String| if Some(word.as_str()) == file { elsewhere.to_owned() } else { word.clone() };
    plan.args.iter().map(other).collect()
}
