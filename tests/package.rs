//! `scripts/package`, with tools that do nothing in place of those that take minutes to build: `scripts/test.d/package`
//! has the real ones, in the long run.
use crate::kit::{Sandbox, in_the_long_run, root, tools};
use crate::tree::tool_names;
use serde_json::Value;
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Output};

const NAME: &str = "infer-dev-0.1.0-linux-x86_64";

/// The tree as git has it, uncommitted changes too, as a repository of its own in this folder of the sandbox.
fn copy_tree(sandbox: &Sandbox, folder: &str) {
    let script = format!(
        "mkdir -p {folder} && cd {root} && git ls-files -z --cached --others --exclude-standard |\n\
         while IFS= read -r -d '' file; do [[ ! -e $file ]] || printf '%s\\0' \"$file\"; done |\n\
         tar --null -T - -c | tar -x -m -C $OLDPWD/{folder} && cd $OLDPWD/{folder} && git init -q && git add -A",
        root = root().display()
    );
    drop(sandbox.sh(&script).exits(0));
}

/// Package the copy, as who has a cargo of his own; what it makes lies in FOLDER.out.
fn package(sandbox: &Sandbox, folder: &str, umask: &str) -> Output {
    let script = format!(
        "umask {umask}; exec {folder}/scripts/package --tools {} -o {}",
        sandbox.text("tools"),
        sandbox.text(&format!("{folder}.out"))
    );
    let mut command = Command::new("/bin/bash");
    command.args(["-c", &script]).current_dir(sandbox.path(""));
    command.env("SOURCE_DATE_EPOCH", "1790000000").env("CARGO_NET_OFFLINE", "true").output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn two_folders_give_the_same_bytes_and_they_install() {
    let sandbox = Sandbox::new();
    for tool in tool_names() {
        sandbox.script(&format!("tools/{tool}"), "#!/bin/sh\necho \"${0##*/}\"\n");
    }
    for (folder, umask) in [("one", "022"), ("two/deeper/still", "077")] {
        copy_tree(&sandbox, folder);
        let made = package(&sandbox, folder, umask);
        assert!(made.status.success(), "{}", text(&made.stderr));
    }
    let [one, two] = ["one.out", "two/deeper/still.out"];
    for file in [format!("{NAME}.tar.gz"), "sbom.cdx.json".to_owned(), "infer-dev_0.1.0_amd64.deb".to_owned()]
    {
        let [one, two] =
            [one, two].map(|folder| std::fs::read(sandbox.path(&format!("{folder}/{file}"))).unwrap());
        assert!(one == two, "{file} differs: {} and {} bytes", one.len(), two.len());
    }
    let out = sandbox.text(one);
    let unpack = format!(
        "cd \"{out}\" && sha256sum -c {NAME}.tar.gz.sha256 && tar xf {NAME}.tar.gz && {NAME}/scripts/install usr && usr/bin/istat"
    );
    assert!(sandbox.sh(&unpack).exits(0).stdout.ends_with("\nistat\n"));
    pages_are_there_as_text(&sandbox, &format!("{out}/{NAME}/man/text"));
    pages_are_there_as_text(&sandbox, &format!("{out}/usr/share/doc/infer-dev/man"));
    let strangers = sandbox
        .sh(&format!("cd \"{out}\" && grep -rlE '/(root|home)/' {NAME}/THIRD-PARTY {NAME}/sbom.cdx.json"));
    assert_eq!(strangers.exits(1).stdout, "", "what names a folder of whoever made it");
    sbom_is_of_the_lock(&serde_json::from_str(&sandbox.read(&format!("{one}/sbom.cdx.json"))).unwrap());
    let of_debian = sandbox.sh(&format!("dpkg-deb -c \"{out}/infer-dev_0.1.0_amd64.deb\"")).exits(0).stdout;
    assert!(of_debian.contains("/man/man1/istat.1.gz") && !of_debian.contains(".1.txt"), "{of_debian}");
    has_no_errors(&sandbox, &format!("{out}/infer-dev_0.1.0_amd64.deb"));
}

/// Each page, as what any terminal and any editor shows: no escape codes, and no letter struck over another.
fn pages_are_there_as_text(sandbox: &Sandbox, folder: &str) {
    for page in std::fs::read_dir(root().join("man")).unwrap() {
        let name = page.unwrap().file_name().into_string().unwrap();
        let text = std::fs::read_to_string(sandbox.path(folder).join(format!("{name}.txt"))).unwrap();
        let odd = text.chars().find(|char| char.is_control() && *char != '\n' || !char.is_ascii());
        assert_eq!(odd, None, "{name}");
        assert!(text.contains("\nDESCRIPTION\n") && text.lines().all(|line| line.len() <= 160), "{name}");
    }
}

/// Each crate that is in a tool, with the hash that the lock has; what it depends on is in it, too.
fn sbom_is_of_the_lock(sbom: &Value) {
    assert_eq!((&sbom["bomFormat"], &sbom["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    let components = sbom["components"].as_array().unwrap();
    let named: BTreeSet<&str> = components.iter().map(|one| one["bom-ref"].as_str().unwrap()).collect();
    assert_eq!(named.len(), components.len(), "each once");
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    for component in components {
        let (name, version) = (component["name"].as_str().unwrap(), component["version"].as_str().unwrap());
        let entry = lock
            .split("\n[[package]]\n")
            .find(|entry| entry.starts_with(&format!("name = \"{name}\"\nversion = \"{version}\"\n")));
        let entry = entry.unwrap_or_else(|| panic!("{name} {version} is not in Cargo.lock"));
        let hash = component["hashes"][0]["content"].as_str();
        assert_eq!(hash.is_some(), entry.contains("\nchecksum = "), "{name}");
        assert!(hash.is_none_or(|hash| entry.contains(&format!("checksum = \"{hash}\""))), "{name}");
        assert!(component["licenses"][0]["expression"].is_string(), "{name} has no licence");
    }
    for tool in tool_names() {
        assert!(named.contains(format!("pkg:cargo/{tool}@0.1.0").as_str()), "{tool}");
    }
    for (crate_name, is_in_a_tool) in
        [("serde_json", true), ("rustls", true), ("insta", false), ("cc", false)]
    {
        let there = named.iter().any(|name| name.starts_with(&format!("pkg:cargo/{crate_name}@")));
        assert_eq!(there, is_in_a_tool, "{crate_name}");
    }
    for entry in sbom["dependencies"].as_array().unwrap() {
        for on in entry["dependsOn"].as_array().unwrap() {
            assert!(named.contains(on.as_str().unwrap()), "{entry}");
        }
    }
}

fn has_no_errors(sandbox: &Sandbox, package: &str) {
    if !in_the_long_run() {
        return;
    }
    let lint = sandbox.sh(&format!("lintian --allow-root --fail-on error \"{package}\""));
    assert_eq!(lint.code, 0, "{}{}", lint.stdout, lint.stderr);
}

#[test]
fn a_tree_that_git_does_not_know_is_no_package() {
    let sandbox = Sandbox::new();
    drop(
        sandbox
            .sh(&format!("mkdir -p tree && cp -r {}/scripts tree/ && mkdir tools", root().display()))
            .exits(0),
    );
    let refused = package(&sandbox, "tree", "022");
    assert_eq!(refused.status.code(), Some(69), "{}", text(&refused.stderr));
    assert!(text(&refused.stderr).contains("is no git repository"));
}

#[test]
fn without_mandoc_there_is_no_package_and_it_says_so() {
    let sandbox = Sandbox::new();
    copy_tree(&sandbox, "tree");
    drop(sandbox.sh("mkdir bin tools; ln -s /usr/bin/* bin/; rm -f bin/{mandoc,cargo,python3}").exits(0));
    for program in ["cargo", "python3"] {
        sandbox.script(&format!("bin/{program}"), "#!/bin/sh\n");
    }
    let refused = sandbox.sh("PATH=$PWD/bin tree/scripts/package --tools tools -o out").exits(69);
    assert_eq!(
        refused.stderr,
        "package: there is no mandoc on this machine, which makes plain text of the pages\n\
         package: hint: apt-get install mandoc\n"
    );
}

/// As the archive has them: hard links of one program, but for the keeper. What each says is what the tool alone says, and its program is the one
/// that the archive names.
#[test]
fn one_program_is_every_tool_by_its_name() {
    let sandbox = Sandbox::new();
    let multicall = tools().join("multicall");
    let linked: Vec<String> = tool_names().into_iter().filter(|tool| tool != "ikeep").collect();
    sandbox.own_tool("ikeep", "tools/ikeep");
    for tool in &linked {
        std::fs::hard_link(&multicall, sandbox.path(&format!("tools/{tool}")))
            .or_else(|_| std::fs::copy(&multicall, sandbox.path(&format!("tools/{tool}"))).map(drop))
            .unwrap();
        for words in ["--help", "--version", "--no-such-option"] {
            let [alone, linked] = [tools().join(tool), sandbox.path(&format!("tools/{tool}"))]
                .map(|program| Command::new(program).arg(words).output().unwrap());
            assert_eq!(alone, linked, "{tool} {words}");
        }
    }
    // By a name that the caller made up, and by the link of /proc, it still is the tool.
    let run = "exec -a made-up tools/istat --version";
    assert_eq!(sandbox.sh(run).exits(0).stdout, "istat 0.1.0\n");
    let none = Command::new(multicall).output().unwrap();
    assert_eq!(none.status.code(), Some(2), "{}", text(&none.stderr));
    assert!(text(&none.stderr).contains("link it as one of: ibridge, icache"), "{}", text(&none.stderr));
    drop(sandbox.sh(&format!("{}/scripts/install --tools tools usr", root().display())).exits(0));
    let installed = |tool: &String| sandbox.path(&format!("usr/bin/{tool}")).metadata().unwrap().ino();
    let inodes: BTreeSet<u64> = linked.iter().map(installed).collect();
    assert_eq!(inodes.len(), 1, "installed as one program, too");
    let again = format!("{}/scripts/install --tools tools usr && usr/bin/ienv llama-cpp", root().display());
    assert_eq!(sandbox.sh(&again).exits(0).one("env")["engine"], "llama-cpp");
}
