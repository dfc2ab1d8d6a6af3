//! A Quadlet of podman's: podman-systemd.unit(5).
use crate::container::{Container, ContainerContext, Gpus, file_name};
use crate::file::{File, heading};
use crate::name::{name, url};
use crate::quote::{assignment, word, word_of_command};
use crate::secret::variables;
use record::{Plan, Restart};

pub(crate) fn container(plan: &Plan, around: &ContainerContext<'_>) -> File {
    let name = name(plan);
    let it = Container::of(plan, around);
    let mut secrets = Vec::new();
    let mut told = Vec::new();
    for variable in variables(&it.secrets) {
        let secret = format!("{name}.{variable}");
        told.push(format!("make the secret first: podman secret create {secret} -"));
        secrets.push(format!("Secret={secret},type=env,target={variable}"));
    }
    if let Some(path) = &it.secret_file {
        told.push(format!("make the secret first: podman secret create {} FILE", file_name(plan)));
        secrets.push(format!("Secret={},type=mount,target={path},mode=0444", file_name(plan)));
    }
    let mut lines = vec![
        format!("Image={}", it.image),
        format!("ContainerName={name}"),
        "Network=host".to_owned(),
        format!("PodmanArgs={}", word_of_command(&format!("--entrypoint={}", plan.program.display()))),
        format!("PodmanArgs=--stop-timeout={}", plan.control.stop_timeout_s),
        format!("Exec={}", it.args.iter().map(|text| word_of_command(text)).collect::<Vec<_>>().join(" ")),
    ];
    lines.extend(it.env.iter().map(|(name, value)| format!("Environment={}", assignment(name, value))));
    lines.extend(secrets);
    lines.extend(it.mounts.iter().map(|(path, writes)| {
        let path = path.to_string_lossy();
        format!("Volume={}", word(&format!("{path}:{path}{}", if *writes { "" } else { ":ro" })))
    }));
    lines.extend(match &it.gpus {
        Gpus::None => Vec::new(),
        Gpus::All => vec!["AddDevice=nvidia.com/gpu=all".to_owned()],
        Gpus::These(ids) => ids.iter().map(|id| format!("AddDevice=nvidia.com/gpu={id}")).collect(),
    });
    lines.extend(it.user.iter().flat_map(|(uid, gid)| [format!("User={uid}"), format!("Group={gid}")]));
    lines.push(format!("HealthCmd=iprobe --url {} --rung healthy --once", word_of_command(&url(plan))));
    let restart = match plan.control.restart {
        Restart::OnFailure if plan.control.max_restarts > 0 => "always",
        _ => "no",
    };
    let text = format!(
        "{}[Unit]\nDescription={} {}\nStartLimitIntervalSec=1h\nStartLimitBurst={}\n\n[Container]\n{}\n\n\
         [Service]\nRestart={restart}\nTimeoutStopSec={}\n\n[Install]\nWantedBy=default.target\n",
        heading(plan, &told),
        plan.engine,
        plan.instance,
        plan.control.max_restarts.max(1),
        lines.join("\n"),
        plan.control.stop_timeout_s + 10
    );
    File { name: format!("{name}.container"), text }
}
