//! The values that a plan only names.
use crate::Options;
use crate::config;
use crate::document::Document;
use crate::instance::{Separated, separate};
use crate::secret::{CONFIG_FILE, Way, config_text};
use record::Plan;
use state::Secrets;
use std::path::Path;
use tool::{Code, Failure};

/// The values of the secrets that a plan names: reads the configuration and the overrides again.
///
/// # Errors
/// Code 75 when they changed since the plan was made, 69 when a file with secrets cannot be read.
pub fn secrets(plan: &Plan, options: &Options) -> Result<Secrets, Failure> {
    let mut given = Secrets::default();
    if plan.secrets.is_empty() {
        return Ok(given);
    }
    let Separated { secrets, their_config, .. } = read_again(plan, options)?;
    for secret in &secrets {
        let own_key = match &secret.way {
            Way::Variable(name) => {
                let value = secret.values.first().cloned().unwrap_or_default();
                given.env.insert(name.clone(), value.clone());
                Some(value)
            }
            Way::Line(_) => {
                given.values.extend(secret.values.iter().cloned());
                secret.values.first().cloned()
            }
            Way::KeyFile(path) => first_key(&read_text(path)?).map(str::to_owned),
        };
        if secret.api_key {
            // Several keys in one value are joined by commas; any of them opens the door.
            given.api_key = own_key.map(|key| key.split(',').next().unwrap_or(&key).to_owned());
        }
    }
    if secrets.iter().any(|secret| matches!(secret.way, Way::Line(_))) {
        let theirs = their_config.as_deref().map(read_text).transpose()?;
        if let Some(text) = &theirs
            && text.trim_start().starts_with('{')
        {
            let what = format!("cannot add lines to {}", their_config.unwrap_or_default().display());
            return Err(Failure::new(Code::Unmet, what, "it is not one 'key: value' on each line"));
        }
        given.files.insert(CONFIG_FILE.to_owned(), config_text(&secrets, theirs.as_deref()));
    }
    Ok(given)
}

fn read_again(plan: &Plan, options: &Options) -> Result<Separated, Failure> {
    let changed = |cause: &str| {
        let what = format!(
            "{} is not what {} {} was planned from",
            plan.config.display(),
            plan.engine,
            plan.instance
        );
        Failure::new(Code::Later, what, cause).hint("plan it again")
    };
    let document = Document::read(&plan.config, options.overrides(plan.engine))?;
    if document.sha256 != plan.config_sha256 {
        return Err(changed("the file or its overrides changed since"));
    }
    // Unknown keys were dealt with by whoever planned.
    let config = config::read(&document, plan.engine, true)
        .map_err(|failures| failures.into_iter().next().unwrap_or_else(|| changed("it is not usable")))?;
    let instance = config.instances.iter().find(|instance| instance.name == plan.instance);
    let instance = instance.ok_or_else(|| changed("the instance is gone"))?;
    separate(instance, plan.engine, &plan.state_dir)
}

fn read_text(path: &Path) -> Result<String, Failure> {
    let what = || format!("cannot read {}", path.display());
    std::fs::read_to_string(path).map_err(|error| Failure::io(Code::Unmet, what(), &error))
}

/// The first key of a key file: one on each line, comments after '#'.
fn first_key(text: &str) -> Option<&str> {
    text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'))
}
