//! A service of Compose's for each instance, in one file.
use crate::container::{Container, ContainerContext, Gpus, file_name};
use crate::file::{File, heading};
use crate::name::{name, name_of_first, url};
use crate::secret::variables;
use record::{Plan, Restart};
use serde_json::{Map, Value, json};

pub(crate) fn project(plans: &[Plan], around: &ContainerContext<'_>) -> Option<File> {
    let (mut services, mut secrets, mut head) = (Map::new(), Map::new(), String::new());
    for plan in plans {
        let it = Container::of(plan, around);
        let mut told = Vec::new();
        for variable in variables(&it.secrets) {
            told.push(format!("set {} where docker compose is called", outer(plan, variable)));
        }
        if it.secret_file.is_some() {
            told.push(format!("put the file with secrets beside this one, as {}", file_name(plan)));
            secrets.insert(file_name(plan), json!({ "file": format!("./{}", file_name(plan)) }));
        }
        head.push_str(&heading(plan, &told));
        services.insert(name(plan), service(plan, plans, &it));
    }
    if services.is_empty() {
        return None;
    }
    let mut document = Map::from_iter([("services".to_owned(), Value::Object(services))]);
    if !secrets.is_empty() {
        document.insert("secrets".to_owned(), Value::Object(secrets));
    }
    let text = head + &serde_norway::to_string(&document).unwrap_or_default();
    Some(File { name: "compose.yml".to_owned(), text })
}

fn service(plan: &Plan, plans: &[Plan], it: &Container) -> Value {
    let mut env: Map<String, Value> =
        it.env.iter().map(|(name, value)| (name.clone(), plain(value))).collect();
    for variable in variables(&it.secrets) {
        let outer = outer(plan, variable);
        env.insert(variable.to_owned(), json!(format!("${{{outer}:?set {outer}}}")));
    }
    let mounts: Vec<Value> = it
        .mounts
        .iter()
        .map(|(path, writes)| {
            let path = plain(&path.to_string_lossy());
            json!({ "type": "bind", "source": path, "target": path, "read_only": !writes })
        })
        .collect();
    let restart = match plan.control.restart {
        Restart::OnFailure if plan.control.max_restarts > 0 => "always",
        _ => "no",
    };
    let mut service = json!({
        "image": it.image,
        "network_mode": "host",
        "entrypoint": [plain(&plan.program.to_string_lossy())],
        "command": it.args.iter().map(|word| plain(word)).collect::<Vec<_>>(),
        "environment": env,
        "volumes": mounts,
        "restart": restart,
        "stop_grace_period": format!("{}s", plan.control.stop_timeout_s),
        "healthcheck": {
            "test": ["CMD", "iprobe", "--url", url(plan), "--rung", "healthy", "--once"],
            "interval": format!("{}s", plan.control.liveness_period_s),
            "retries": plan.control.liveness_failures,
            "start_period": format!("{}s", plan.control.ready_timeout_s),
        },
    });
    if it.secret_file.is_some() {
        service["secrets"] = json!([file_name(plan)]);
    }
    if let Some((uid, gid)) = it.user {
        service["user"] = json!(format!("{uid}:{gid}"));
    }
    if let Some(first) = name_of_first(plan, plans) {
        service["depends_on"] = json!({ first: { "condition": "service_healthy" } });
    }
    let device =
        |key: &str, value: Value| json!([{ "driver": "nvidia", key: value, "capabilities": ["gpu"] }]);
    let devices = match &it.gpus {
        Gpus::None => return service,
        Gpus::All => device("count", json!("all")),
        Gpus::These(ids) => device("device_ids", json!(ids)),
    };
    service["deploy"] = json!({ "resources": { "reservations": { "devices": devices } } });
    service
}

/// The variable of whoever calls docker compose: two instances may have different keys.
fn outer(plan: &Plan, variable: &str) -> String {
    format!("{}_{variable}", name(plan).to_uppercase().replace('-', "_"))
}

/// Compose puts variables in place of dollar signs.
fn plain(text: &str) -> Value {
    Value::String(text.replace('$', "$$"))
}
