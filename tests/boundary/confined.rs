//! Root as a confined container has it: he may give files away and become others, and passes over nobody's permissions.
use crate::kit::{Sandbox, Tiny, as_root, fixture};

/// The capabilities of scripts/container's confined service.
const CONFINED: &str =
    "setpriv --bounding-set -all,+chown,+setgid,+setuid --inh-caps -all bash -euo pipefail -c";

#[test]
fn the_manifest_of_another_users_cache_is_written() {
    if !as_root() {
        return;
    }
    let mut sandbox = Sandbox::new();
    fixture::tiny(&sandbox.path(""));
    sandbox.set("AUTO_INFER_SGLANG_TEMPLATE_DIR", &sandbox.text("template"));
    sandbox.set("AUTO_INFER_SGLANG_CACHE_ROOT", &sandbox.text("cache"));
    sandbox.set("AUTO_INFER_SGLANG_USER", "nobody");
    drop(sandbox.sh("chmod 755 .; chown -R nobody cache").exits(0));
    let record = format!("{CONFINED} 'ienv sglang | icache --record'");
    drop(sandbox.sh(&record).exits(0).one("cache"));
    let written = sandbox.sh("stat -c '%U %a' cache/infer-dev-manifest-*.json").exits(0).stdout;
    assert_eq!(written, "nobody 644\n");
}

#[test]
fn an_engine_is_installed_for_one_user_in_the_workspace_of_another() {
    if !as_root() {
        return;
    }
    let mut sandbox = Sandbox::new();
    sandbox.set("AUTO_INFER_LLAMA_CPP_PKG_PATH", Tiny::get().archive.to_str().unwrap());
    sandbox.set("AUTO_INFER_LLAMA_CPP_INSTALL_DIR", &sandbox.text("w/engines/llama-cpp"));
    sandbox.set("AUTO_INFER_LLAMA_CPP_USER", "nobody");
    drop(sandbox.sh("chmod 755 .; cp $AUTO_INFER_LLAMA_CPP_PKG_PATH pkg.tar.gz; chown daemon w").exits(0));
    sandbox.set("AUTO_INFER_LLAMA_CPP_PKG_PATH", &sandbox.text("pkg.tar.gz"));
    let install = format!("{CONFINED} 'ienv llama-cpp | iinstall'");
    drop(sandbox.sh(&install).exits(0).one("installed"));
    let owners = sandbox.sh("stat -c %U w/engines w/engines/llama-cpp").exits(0).stdout;
    assert_eq!(owners, "daemon\nnobody\n");
}
