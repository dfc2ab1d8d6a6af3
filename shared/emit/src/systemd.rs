//! A unit of systemd's.
use crate::file::{File, heading};
use crate::name::name;
use crate::quote::{assignment, word};
use crate::secret::{arguments, file, references, variables};
use record::{Plan, Restart};

/// Where the operator puts what is secret.
const FOLDER: &str = "/etc/infer-dev";

pub(crate) fn unit(plan: &Plan) -> File {
    let name = name(plan);
    let secrets = references(plan);
    let (secret_variables, secret_file) = (variables(&secrets), file(&secrets));
    let (of_variables, of_file) = (format!("{FOLDER}/{name}.env"), format!("{FOLDER}/{name}.yaml"));
    let mut told = Vec::new();
    if !secret_variables.is_empty() {
        told.push(format!("{of_variables} has, mode 0600: {}=…", secret_variables.join("=… ")));
    }
    if let Some((_, flags)) = &secret_file {
        told.push(format!("{of_file} has, mode 0600: {}: …", flags.join(": … ")));
    }
    let mut text = heading(plan, &told);
    text.push_str(&format!(
        "[Unit]\nDescription={} {}\nDocumentation=man:infer-dev(7)\n",
        plan.engine, plan.instance
    ));
    text.push_str("After=network.target\n");
    if let Some(first) = plan.after.as_deref().and_then(std::path::Path::file_name) {
        text.push_str(&format!("After=infer-dev-{}-{}.service\n", plan.engine, first.display()));
    }
    text.push_str("StartLimitIntervalSec=1h\n");
    text.push_str(&format!("StartLimitBurst={}\n\n[Service]\nType=exec\n", plan.control.max_restarts.max(1)));
    if let Some(user) = &plan.user {
        text.push_str(&format!("User={user}\n"));
    }
    for (name, value) in &plan.env_set {
        text.push_str(&format!("Environment={}\n", assignment(name, value)));
    }
    let dropped: Vec<&str> = plan.env_dropped.iter().map(String::as_str).collect();
    let dropped: Vec<&str> = dropped.into_iter().filter(|name| !secret_variables.contains(name)).collect();
    if !dropped.is_empty() {
        text.push_str(&format!("UnsetEnvironment={}\n", dropped.join(" ")));
    }
    if !secret_variables.is_empty() {
        text.push_str(&format!("EnvironmentFile={of_variables}\n"));
    }
    if secret_file.is_some() {
        text.push_str(&format!("LoadCredential=config.yaml:{of_file}\n"));
    }
    for folder in plan.cache_dir.iter() {
        text.push_str(&format!("ExecStartPre=mkdir -p -- {}\n", word(&folder.to_string_lossy())));
    }
    text.push_str(&command(plan, secret_file.map(|(path, _)| path)));
    text.push_str(&ending(plan));
    File { name: format!("{name}.service"), text }
}

/// The colon keeps systemd from putting variables in place of dollar signs.
fn command(plan: &Plan, secret_file: Option<&str>) -> String {
    // A word of its own, so that nothing of it is escaped.
    const CREDENTIAL: &str = "%d/config.yaml";
    let words = arguments(plan, secret_file, CREDENTIAL);
    let quoted = words.iter().map(|text| if text == CREDENTIAL { text.clone() } else { word(text) });
    let program = std::iter::once(word(&plan.program.to_string_lossy()));
    format!("ExecStart=:{}\n", program.chain(quoted).collect::<Vec<_>>().join(" "))
}

/// Any end that nobody asked for is a failure, exit code 0 too.
fn ending(plan: &Plan) -> String {
    let control = &plan.control;
    let restart = match control.restart {
        Restart::OnFailure if control.max_restarts > 0 => "always",
        _ => "no",
    };
    let target =
        if plan.user.is_some() || nix::unistd::geteuid().is_root() { "multi-user" } else { "default" };
    format!(
        "Restart={restart}\nRestartSec={}ms\nKillMode=mixed\nTimeoutStopSec={}\n\n[Install]\nWantedBy={target}.target\n",
        control.backoff_ms, control.stop_timeout_s
    )
}
