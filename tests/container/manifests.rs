//! The manifests of scripts/container/k8s.
use crate::kit::{clients, root};
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

const FILES: [&str; 4] = ["deployment.yml", "network-policy.yml", "sglang.yml", "vllm.yml"];

fn text(file: &str) -> String {
    fs::read_to_string(root().join("scripts/container/k8s").join(file)).unwrap()
}

#[test]
fn manifests_name_only_variables_that_there_are() {
    let known: BTreeSet<String> = tool::vars::all().collect();
    for file in FILES {
        let text = text(file);
        let words = text.split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'));
        for word in words.filter(|word| word.starts_with("AUTO_INFER_") || word.starts_with("INFER_DEV_")) {
            assert!(known.contains(word) || word.ends_with('_'), "{file}: {word}");
        }
    }
}

#[test]
fn no_container_has_more_rights_than_an_ordinary_user() {
    for file in ["deployment.yml", "sglang.yml", "vllm.yml"] {
        let text = text(file);
        for line in [
            "runAsNonRoot: true",
            "allowPrivilegeEscalation: false",
            "readOnlyRootFilesystem: true",
            "drop: [\"ALL\"]",
        ] {
            assert_eq!(text.matches(line).count(), 1, "{file}: {line}");
        }
        // Stated once each, and taken over by the other container.
        assert_eq!(text.matches("securityContext: *confined").count(), 1, "{file}");
    }
}

#[test]
fn kubernetes_takes_the_manifests() {
    let Some(validate) = clients("kubernetes") else { return };
    for file in FILES {
        let path = root().join("scripts/container/k8s").join(file);
        let output = Command::new(validate.join("bin/kubernetes-validate"))
            .arg("--strict")
            .arg(&path)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{file}: {said}");
        let passed = said.matches(" passed ").count();
        assert_eq!(passed, text(file).split("\n---\n").count(), "{file}: {said}");
    }
    // It refuses what is wrong.
    let wrong = std::env::temp_dir().join(format!("infer-dev-wrong-{}.yml", std::process::id()));
    fs::write(&wrong, text("deployment.yml").replace("replicas: 1", "replicas: one")).unwrap();
    let output =
        Command::new(validate.join("bin/kubernetes-validate")).arg("--strict").arg(&wrong).output().unwrap();
    fs::remove_file(wrong).unwrap();
    assert!(!output.status.success());
}

#[test]
fn vllm_gets_its_model_as_an_operand_and_all_other_flags_as_they_are() {
    let operands = |flags: &str| {
        let script = format!("import vllm_ranks; print(*vllm_ranks.operands({flags}))");
        let folder = root().join("scripts/container/k8s");
        let output =
            Command::new("python3").args(["-B", "-c", &script]).current_dir(folder).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(operands("['--port', '1', '--model', '/m', '--headless']"), "/m --port 1 --headless\n");
    assert_eq!(operands("['--headless']"), "--headless\n");
}
