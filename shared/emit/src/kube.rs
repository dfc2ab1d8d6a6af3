//! A Pod of Kubernetes' for each instance, in one file.
use crate::container::{Container, ContainerContext, Gpus, file_name};
use crate::file::{File, heading};
use crate::name::name;
use crate::secret::variables;
use record::{Plan, Restart};
use serde_json::{Map, Value, json};

pub(crate) fn pods(plans: &[Plan], around: &ContainerContext<'_>) -> Option<File> {
    let mut text = String::new();
    for plan in plans {
        let it = Container::of(plan, around);
        let mut told = Vec::new();
        let keys: Vec<&str> = variables(&it.secrets);
        if !keys.is_empty() || it.secret_file.is_some() {
            let mut given: Vec<String> = keys.iter().map(|key| format!("--from-file={key}=FILE")).collect();
            given.extend(it.secret_file.as_ref().map(|_| format!("--from-file={}=FILE", file_name(plan))));
            told.push(format!(
                "make first: kubectl create secret generic {} {}",
                name(plan),
                given.join(" ")
            ));
        }
        if !text.is_empty() {
            text.push_str("---\n");
        }
        text.push_str(&heading(plan, &told));
        text.push_str(&serde_norway::to_string(&pod(plan, &it)).unwrap_or_default());
    }
    (!text.is_empty()).then(|| File { name: "pods.yml".to_owned(), text })
}

fn pod(plan: &Plan, it: &Container) -> Value {
    let restart = match plan.control.restart {
        Restart::OnFailure if plan.control.max_restarts > 0 => "Always",
        _ => "Never",
    };
    let (mut mounts, mut volumes) = (Vec::new(), Vec::new());
    for (at, (path, writes)) in it.mounts.iter().enumerate() {
        let volume = format!("path-{at}");
        let kind = if *writes { "DirectoryOrCreate" } else { "" };
        volumes.push(json!({ "name": volume, "hostPath": { "path": path, "type": kind } }));
        mounts.push(json!({ "name": volume, "mountPath": path, "readOnly": !writes }));
    }
    if let Some(path) = &it.secret_file {
        volumes.push(json!({ "name": "secrets", "secret": { "secretName": name(plan) } }));
        mounts.push(json!({
            "name": "secrets", "mountPath": path, "subPath": file_name(plan), "readOnly": true
        }));
    }
    let mut container = json!({
        "name": "engine",
        "image": it.image,
        "command": [plain(&plan.program.to_string_lossy())],
        "args": it.args.iter().map(|word| plain(word)).collect::<Vec<_>>(),
        "env": env(plan, it),
        "volumeMounts": mounts,
        "ports": [{ "containerPort": plan.port, "hostPort": plan.port }],
    });
    probes(plan, &mut container);
    let count = match &it.gpus {
        Gpus::These(ids) => ids.len(),
        // Kubernetes has no word for all.
        Gpus::All => 1,
        Gpus::None => 0,
    };
    if count > 0 {
        container["resources"] = json!({ "limits": { "nvidia.com/gpu": count.to_string() } });
    }
    let mut spec = json!({
        "hostNetwork": true,
        "restartPolicy": restart,
        "terminationGracePeriodSeconds": plan.control.stop_timeout_s,
        "containers": [container],
        "volumes": volumes,
    });
    if let Some((uid, gid)) = it.user {
        spec["securityContext"] = json!({ "runAsUser": uid, "runAsGroup": gid });
    }
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name(plan),
            "labels": { "app.kubernetes.io/name": plan.engine, "app.kubernetes.io/managed-by": "infer-dev" },
        },
        "spec": spec,
    })
}

fn env(plan: &Plan, it: &Container) -> Vec<Value> {
    let given = it.env.iter().map(|(name, value)| json!({ "name": name, "value": plain(value) }));
    let secret = variables(&it.secrets).into_iter().map(|variable| {
        let from = json!({ "secretKeyRef": { "name": name(plan), "key": variable } });
        json!({ "name": variable, "valueFrom": from })
    });
    given.chain(secret).collect()
}

/// Its health, as our own keeper asks it.
fn probes(plan: &Plan, container: &mut Value) {
    let control = &plan.control;
    let path = format!(
        "{}{}",
        plan.path_prefix.as_deref().unwrap_or_default(),
        engine::of(plan.engine).probe.health_path
    );
    let mut get = Map::from_iter([
        ("path".to_owned(), json!(path)),
        ("port".to_owned(), json!(plan.port)),
        ("scheme".to_owned(), json!(plan.scheme.as_deref().unwrap_or("http").to_uppercase())),
    ]);
    if !["0.0.0.0", "::"].contains(&plan.host.as_str()) {
        get.insert("host".to_owned(), json!(plan.host));
    }
    let failures = u64::max(1, control.ready_timeout_s / 10);
    container["startupProbe"] = json!({ "httpGet": get, "periodSeconds": 10, "failureThreshold": failures });
    container["readinessProbe"] = json!({ "httpGet": get, "periodSeconds": 10 });
    if control.liveness != record::Liveness::Off {
        container["livenessProbe"] = json!({
            "httpGet": get,
            "periodSeconds": control.liveness_period_s,
            "failureThreshold": control.liveness_failures,
        });
    }
}

/// Kubernetes puts variables in place of `$(NAME)`.
fn plain(text: &str) -> Value {
    Value::String(text.replace("$(", "$$("))
}
