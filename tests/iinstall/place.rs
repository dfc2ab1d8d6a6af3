//! Where an install from the cache is: behind a link, copied elsewhere, beside what is older; and whose environment it is.
use super::cache::Cached;
use super::{Pack, Site};
use crate::kit::as_root;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

#[test]
fn a_copied_install_is_not_taken_for_one_made_there() {
    let mut site = Cached::new();
    drop(site.install().exits(0));
    drop(site.sandbox.sh("cp -a w/sglang-infer w/copy").exits(0));
    let copy = site.sandbox.text("w/copy");
    site.sandbox.set("AUTO_INFER_SGLANG_PROJECT_DIR", &copy);
    let looked = site.sandbox.sh("ienv sglang | jq -c '.steps=[\"serve\"]' | iinstall").exits(0);
    assert!(looked.one("skipped")["why"].as_str().unwrap().contains("nothing is installed in"), "{looked:?}");
    let installed = site.install().exits(0).one("installed");
    assert_eq!(installed.get("reused"), None);
    for member in ["path", "python"] {
        assert!(installed[member].as_str().unwrap().starts_with("$SANDBOX/w/copy/.installs/"), "{installed}");
    }
    assert_eq!(site.install().exits(0).one("installed")["reused"], true);
    let failed = site.sandbox.sh("ienv sglang | iinstall --rollback").exits(69).one("failed");
    assert!(failed["cause"].as_str().unwrap().ends_with("or it was made elsewhere"), "{failed}");
}

#[test]
fn installs_may_be_on_another_disk_behind_a_link() {
    let site = Cached::new();
    for folder in ["large", "w/sglang-infer"] {
        fs::create_dir_all(site.sandbox.path(folder)).unwrap();
    }
    symlink(site.sandbox.path("large"), site.home().join(".installs")).unwrap();
    drop(site.install().exits(0));
    assert_eq!(site.imports(), "1.17.0 3.20\n");
    assert_eq!(site.install().exits(0).one("installed")["reused"], true);
}

#[test]
fn an_older_project_in_the_folder_stays_as_it_is() {
    let site = Cached::new();
    let older = ["w/sglang-infer/pixi.toml", "w/sglang-infer/.pixi/envs/default/bin/python"];
    for file in older {
        site.sandbox.write(file, "older");
    }
    let output = site.install().exits(0);
    let warnings = output.all("warning");
    let foreign: Vec<_> = warnings.iter().filter(|warning| warning["rule"] == "foreign_in_place").collect();
    assert_eq!(foreign.len(), 1, "{warnings:?}");
    assert_eq!(foreign[0]["what"], "$SANDBOX/w/sglang-infer/.pixi is not ours and was left alone");
    assert!(older.iter().all(|file| site.sandbox.read(file) == "older"));
    assert_eq!(site.imports(), "1.17.0 3.20\n");
}

#[test]
fn an_environment_is_installed_by_its_name_and_one_that_is_not_locked_is_named() {
    let mut site = Cached::new();
    site.sandbox.set("AUTO_INFER_SGLANG_PIXI_ENV", "cu128");
    let failed = site.sandbox.sh("ienv sglang | iinstall").exits(69).one("failed");
    assert_eq!(failed["cause"], "it has no environment 'cu128', only default");
    assert_eq!(failed["hint"], "set AUTO_INFER_SGLANG_PIXI_ENV to one of them");
    assert!(!site.home().exists());

    let lock = site.sandbox.read("template/pixi.lock").replacen("\n  default:", "\n  cu128:", 1);
    site.sandbox.write("template/pixi.lock", lock);
    let manifest = site.sandbox.read("template/pixi.toml");
    let manifest = format!("{manifest}\n[feature.cu128]\n[environments]\ncu128 = [\"cu128\"]\n");
    site.sandbox.write("template/pixi.toml", manifest);
    let installed = site.install().exits(0).one("installed");
    let prefix = format!("{}/.pixi/envs/cu128", installed["path"].as_str().unwrap());
    assert_eq!(installed["python"], format!("{prefix}/bin/python"));
    assert_eq!(installed["activation"]["variables"]["CONDA_PREFIX"], prefix);
}

#[test]
fn a_package_in_the_template_that_is_not_taken_is_refused_before_pixi_starts() {
    let site = Cached::new();
    let lock = site.sandbox.read("template/pixi.lock");
    let wheel =
        lock.lines().find_map(|line| line.trim().strip_prefix("- pypi: ").filter(|url| url.contains("six")));
    let wheel = wheel.unwrap().to_owned();
    site.sandbox.write("template/six/pyproject.toml", "");
    site.sandbox.write("template/scripts/six/pyproject.toml", "");
    site.sandbox.write("template/pixi.lock", lock.replace(&wheel, "./six"));
    let failed = site.install().exits(69).one("failed");
    assert_eq!(failed["cause"], "it locks ./six, which is not taken from the template");
    assert_eq!(site.pixi_installs(), 0);

    // pixi's to build, then; the tests' pixi builds nothing.
    site.sandbox.write("template/pixi.lock", lock.replace(&wheel, "./scripts/six"));
    let output = site.install();
    assert_eq!(output.one("gap")["reason"], "unprovable");
    assert_eq!(site.pixi_installs(), 1);
}

#[test]
fn what_activation_scripts_set_is_captured_whole() {
    let site = Cached::new();
    let manifest = site.sandbox.read("template/pixi.toml");
    let manifest = format!("{manifest}\n[activation]\nscripts = [\"scripts/activate.sh\"]\n");
    site.sandbox.write("template/pixi.toml", manifest);
    let script = "echo noise\nexport SPACED='a b'  LIBRARIES=$CONDA_PREFIX/more EMPTY=\n\
                  export PATH=\"$CONDA_PREFIX/more:$PATH\"\n";
    site.sandbox.write("template/scripts/activate.sh", script);
    let installed = site.install().exits(0).one("installed");
    let prefix = format!("{}/.pixi/envs/default", installed["path"].as_str().unwrap());
    let activation = &installed["activation"];
    assert_eq!(activation["path"], serde_json::json!([format!("{prefix}/more"), format!("{prefix}/bin")]));
    for (name, value) in [("SPACED", "a b"), ("LIBRARIES", &format!("{prefix}/more")), ("EMPTY", "")] {
        assert_eq!(activation["variables"][name], value);
    }
}

#[test]
fn a_shadow_that_shares_nothing_with_the_cache_needs_the_room_for_all_of_it() {
    let site = Cached::new();
    // One disk mounted in two places: nothing can be linked from one to the other.
    let script = "mount -t tmpfs -o size=80m tmpfs w && cp -a cache w/cache && mount --bind w/cache cache
        mount -o remount,bind,ro cache
        ienv sglang | icache | iinstall";
    let output = site.sandbox.sh(&format!("unshare -rm bash -euo pipefail -c '{script}'")).exits(69);
    let failed = output.one("failed");
    assert!(
        failed["what"].as_str().unwrap().starts_with("cannot make a shadow of the cache in "),
        "{failed}"
    );
    assert!(failed["cause"].as_str().unwrap().contains("do not fit the disk of"), "{failed}");
    assert_eq!(site.pixi_installs(), 0);
}

#[test]
fn a_template_without_wheels_needs_no_store_of_them() {
    let site = Cached::new();
    let lock = site.sandbox.read("template/pixi.lock");
    let (environments, packages) = lock.split_once("\npackages:\n").unwrap();
    let environments: Vec<&str> = environments.lines().filter(|line| !line.contains("- pypi: ")).collect();
    let (conda, _) = packages.split_once("\n- pypi: ").unwrap();
    site.sandbox.write("template/pixi.lock", format!("{}\npackages:\n{conda}\n", environments.join("\n")));
    let manifest = site.sandbox.read("template/pixi.toml");
    let (conda, _) = manifest.split_once("[pypi-dependencies]").unwrap();
    site.sandbox.write("template/pixi.toml", conda);
    fs::remove_dir_all(site.sandbox.path("cache/pypi")).unwrap();
    let installed = site.install().exits(0).one("installed");
    assert_eq!(installed["checks"]["packages"], 3);

    // One of which something is locked has to be there.
    site.sandbox.write("template/pixi.lock", lock);
    let failed = site.sandbox.sh("ienv sglang | iinstall").exits(69).one("failed");
    assert_eq!(failed["what"], "cannot read $SANDBOX/cache/pypi/uv");
}

#[test]
fn a_cache_that_was_verified_for_another_machine_was_not_verified() {
    let site = Cached::new();
    let lock = site.sandbox.read("template/pixi.lock");
    let other = "- name: win-64\nenvironments:\n";
    let lock =
        lock.replace("environments:\n", other).replace("packages:\n- ", "      win-64: []\npackages:\n- ");
    site.sandbox.write("template/pixi.lock", lock);
    let output = site.sandbox.sh("ienv sglang | icache --platform win-64 | iinstall").exits(0);
    let rules: Vec<_> = output.all("warning").into_iter().map(|warning| warning["rule"].clone()).collect();
    assert!(rules.contains(&"cache_not_verified".into()), "{rules:?}");
    assert_eq!(output.one("installed")["checks"].get("cache"), None);
}

#[test]
fn what_is_refused_leaves_no_folder() {
    let mut site = Cached::new();
    site.sandbox.set("AUTO_INFER_SGLANG_PROJECT_DIR", &site.sandbox.text("new/parents/sglang"));
    let good = site.sandbox.text("cache");
    site.sandbox.set("AUTO_INFER_SGLANG_CACHE_ROOT", &site.sandbox.text("nowhere"));
    let failed = site.sandbox.sh("ienv sglang | iinstall").exits(69).one("failed");
    assert_eq!(failed["cause"], "No such file or directory");
    assert!(
        failed["hint"].as_str().unwrap().starts_with("AUTO_INFER_SGLANG_CACHE_ROOT must name"),
        "{failed}"
    );
    for folder in ["new", "nowhere"] {
        assert!(!site.sandbox.path(folder).exists(), "{folder} was made");
    }

    // What was there before stays.
    site.sandbox.write("new/note", "");
    drop(site.sandbox.sh("ienv sglang | iinstall").exits(69));
    assert_eq!(site.sandbox.sh("find new").stdout, "new\nnew/note\n");
    site.sandbox.write("new/parents/sglang/mine", "");
    drop(site.sandbox.sh("ienv sglang | iinstall").exits(69));
    assert_eq!(
        site.sandbox.sh("find new/parents").stdout,
        "new/parents\nnew/parents/sglang\nnew/parents/sglang/mine\n"
    );

    // Of several at once, one may take away what another waits in.
    fs::remove_dir_all(site.sandbox.path("new")).unwrap();
    let bad = site.sandbox.sh("ienv sglang | jq -c .force=true > bad.jsonl").exits(0);
    assert_eq!(bad.stderr, "");
    site.sandbox.set("AUTO_INFER_SGLANG_CACHE_ROOT", &good);
    let script = "ienv sglang > good.jsonl
        for n in 1 2 3 4 5 6; do iinstall < bad.jsonl > bad.$n 2>/dev/null & done
        iinstall < good.jsonl; code=$?; wait; exit $code";
    let output = site.sandbox.sh(script).exits(0);
    assert_eq!(output.all("installed").len(), 1);
    assert!(site.sandbox.path("new/parents/sglang/current/.pixi/envs/default/bin/python").exists());
    let failed = site.sandbox.sh("grep -h failed bad.*").stdout;
    assert_eq!(
        failed.lines().filter(|line| line.contains("cannot read $SANDBOX/nowhere/")).count(),
        6,
        "{failed}"
    );
}

#[test]
fn what_was_written_goes_with_its_install_and_nothing_else_goes() {
    let mut site = Site::new();
    let caches = site.sandbox.path("w/engine-cache");
    let mut made = Vec::new();
    for version in ["1", "2", "3"] {
        let archive = site.save(&format!("{version}.tar"), Pack::good().file("version", version));
        let installed = site.install(archive).exits(0).one("installed");
        let short = installed["id"].as_str().unwrap()[..12].to_owned();
        for name in
            [format!("llama-cpp-{short}.0/a"), format!("llama-cpp-{short}.7"), format!("vllm-{short}.0")]
        {
            fs::create_dir_all(caches.join(name)).unwrap();
        }
        made.push(short);
    }
    let left = |short: &String| {
        let names =
            fs::read_dir(&caches).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.contains(short.as_str())).count()
    };
    // One previous install is kept; the first is gone.
    assert_eq!(made.iter().map(left).collect::<Vec<_>>(), [1, 3, 3]);
    assert!(caches.join(format!("vllm-{}.0", made[0])).exists());
}

#[test]
fn what_another_uid_installed_is_used_as_it_is() {
    if !as_root() {
        return;
    }
    let mut site = Site::new();
    fs::set_permissions(site.sandbox.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    let archive = site.save("a.tar", Pack::good());
    let first = site.install(&archive).exits(0).one("installed");
    // The same archive where another container has it: another file to look at.
    fs::copy(&archive, site.sandbox.path("b.tar")).unwrap();
    site.set("archive", site.sandbox.text("b.tar"));
    site.sandbox.write("env.jsonl", format!("{}\n", site.env));
    for uid in [1_002_700_002, 1_002_700_003] {
        let install = format!("setpriv --reuid={uid} --regid=0 --clear-groups iinstall < env.jsonl");
        let again = site.sandbox.sh(&install).exits(0).one("installed");
        assert_eq!((&again["reused"], &again["path"]), (&true.into(), &first["path"]), "{again}");
    }
    // What is not installed yet is still refused, with who the folder belongs to.
    site.save("other.tar", Pack::good().file("other", "1"));
    site.set("archive", site.sandbox.text("other.tar"));
    site.sandbox.write("env.jsonl", format!("{}\n", site.env));
    let install = "setpriv --reuid=1002700002 --regid=0 --clear-groups iinstall < env.jsonl";
    let failed = site.sandbox.sh(install).exits(69).one("failed");
    assert!(failed["hint"].as_str().unwrap().contains("belongs to uid 0"), "{failed}");
}

#[test]
fn a_python_projects_own_file_is_a_template_where_it_speaks_of_pixi() {
    let site = Cached::new();
    let manifest = site.sandbox.read("template/pixi.toml");
    let tables = manifest.lines().map(|line| match line.strip_prefix('[') {
        Some(table) if !line.starts_with("[[") => format!("[tool.pixi.{table}\n"),
        _ => format!("{line}\n"),
    });
    let project: String =
        std::iter::once("[project]\nname = 'engine'\nversion = '1'\n".to_owned()).chain(tables).collect();
    fs::remove_file(site.sandbox.path("template/pixi.toml")).unwrap();
    site.sandbox.write("template/pyproject.toml", &project);
    let installed = site.install().exits(0).one("installed");
    assert!(!site.imports().is_empty());
    let path =
        installed["path"].as_str().unwrap().replace("$SANDBOX", site.sandbox.path("").to_str().unwrap());
    assert_eq!(fs::read_to_string(std::path::Path::new(&path).join("pyproject.toml")).unwrap(), project);
    assert_eq!(site.install().exits(0).one("installed")["reused"], true);
    // Without a word for pixi it is none.
    site.sandbox.write("template/pyproject.toml", "[project]\nname = 'engine'\n");
    let failed = site.sandbox.sh("ienv sglang | iinstall").exits(69).one("failed");
    assert!(failed["hint"].as_str().unwrap().contains("pyproject.toml with [tool.pixi]"), "{failed}");
}
