//! The same container as a PeiDocker project.
use super::text;
use crate::kit::{Sandbox, clients, in_the_long_run, root, tools};
use std::collections::BTreeSet;

/// `HOST:CONTAINER` pairs of the list items of a compose file, each variable of the host at its default.
fn pairs(compose: &str) -> BTreeSet<String> {
    let items = compose.lines().filter_map(|line| line.trim_start().strip_prefix("- "));
    let items = items.map(|item| item.trim_matches('\'').replace(":ro", ""));
    let at_default = |item: String| match item.strip_prefix("${").and_then(|rest| rest.split_once('}')) {
        Some((variable, rest)) => {
            format!("{}{rest}", variable.split_once(":-").map_or("", |(_, default)| default))
        }
        None => item,
    };
    let pair = |item: &String| {
        let (host, container) = item.split_once(':').unwrap_or_default();
        let port = |text: &str| text.parse::<u16>().is_ok();
        port(host) && port(container) || host.starts_with("./") && container.starts_with('/')
    };
    items.map(at_default).filter(pair).collect()
}

#[test]
fn pei_docker_makes_of_our_files_a_project_with_our_ports_mounts_and_hooks() {
    // PeiDocker is a large download, and changes seldom.
    if !in_the_long_run() {
        return;
    }
    let Some(pei) = clients("peidocker") else { return };
    let sandbox = Sandbox::new();
    let pei = pei.join("bin/pei-docker-cli").display().to_string();
    let prepare = root().join("scripts/container/peidocker/prepare").display().to_string();
    sandbox.write("keys", "ssh-ed25519 AAAA me\n");
    for persist in ["", "--persist"] {
        let script = format!(
            "rm -rf p; {pei} create -p p; {prepare} {persist} --keys keys --tools {} p; {pei} configure -p p --with-merged",
            tools().display()
        );
        let said = sandbox.sh(&script).exits(0);
        let made = pairs(&sandbox.read("p/docker-compose.yml"));
        let mut ours = pairs(&(text("docker-compose.yml") + &text("docker-compose.common.yml")));
        // In the image it is below /usr/local/share/doc.
        ours.remove("./model-configs:/model-configs");
        if !persist.is_empty() {
            ours.extend(["app", "data"].map(|name| format!("./.container/{name}:/hard/volume/{name}")));
        }
        assert_eq!(made, ours, "{persist}\n{}", said.transcript());
        let generated =
            |name: &str| sandbox.read(&format!("p/installation/stage-2/generated/_custom-{name}.sh"));
        assert!(
            generated("on-build").contains("stage-2/custom/infer-dev/install"),
            "{}",
            generated("on-build")
        );
        assert!(
            generated("on-entry").contains("stage-2/custom/infer-dev/entry.sh"),
            "{}",
            generated("on-entry")
        );
        assert!(sandbox.read("p/merged.env").contains("11980:8080"), "{}", sandbox.read("p/merged.env"));
    }
    // What the build hook puts into the image.
    let folder = "p/installation/stage-2/custom/infer-dev";
    drop(sandbox.sh(&format!("DESTDIR=$PWD/root {folder}/install")).exits(0));
    let run = "env PATH=$PWD/root/usr/local/bin:/usr/bin:/bin infer-dev-entry.sh";
    let said = sandbox.sh(&format!("{run} ienv --version")).exits(0).stdout;
    assert!(said.contains("ienv 0"), "{said}");
    assert!(sandbox.path("root/usr/local/share/man/man1/ireport.1").exists());
    assert!(sandbox.path("root/usr/local/lib/infer-dev/helpers/llama-cpp").is_dir());
}

#[test]
fn what_prepare_cannot_use_is_named() {
    let sandbox = Sandbox::new();
    let prepare = root().join("scripts/container/peidocker/prepare").display().to_string();
    let said = sandbox.sh(&format!("{prepare} none")).exits(69);
    assert!(said.stderr.contains("none is no PeiDocker project"), "{}", said.stderr);
    let said = sandbox.sh(&format!("mkdir -p p/installation; {prepare} --tools /none p")).exits(69);
    assert!(said.stderr.contains("there are no tools in /none"), "{}", said.stderr);
    drop(sandbox.sh(&prepare).exits(2));
}
