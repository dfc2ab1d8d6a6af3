//! Folders that are missing, read-only or no folders.
use super::says;
use crate::kit::{Sandbox, as_each, free_port};
use crate::pipeline::sandbox_with_engine;

#[test]
fn what_is_not_installed_names_the_variable_that_is_unset() {
    let mut sandbox = sandbox_with_engine(&[free_port()]);
    let pipeline = "ienv llama-cpp | iinstall | iplan";
    let install = "install it: ienv llama-cpp | iinstall";
    says(sandbox.sh("ienv llama-cpp | iplan"), 69, "nothing is installed in", install);
    let nowhere = sandbox.text("nowhere.tar");
    let missing = sandbox.sh(&format!("AUTO_INFER_LLAMA_CPP_PKG_PATH={nowhere} ienv llama-cpp | iplan"));
    let named = "AUTO_INFER_LLAMA_CPP_PKG_PATH names $SANDBOX/nowhere.tar: No such file or directory";
    says(missing, 69, "nothing is installed in", named);
    sandbox.unset("AUTO_INFER_LLAMA_CPP_PKG_PATH");
    let unset = "set AUTO_INFER_LLAMA_CPP_PKG_PATH to its archive, then install it";
    says(sandbox.sh(pipeline), 69, "nothing is installed in", unset);
    let config = sandbox.write("v.toml", "[instance.a.server]\nmodel = '/x'\n");
    sandbox.set("AUTO_INFER_VLLM_CONFIG", config.to_str().unwrap());
    let plan = |road: &str| sandbox.sh(&format!("ienv {road} vllm | iplan"));
    says(
        plan(""),
        69,
        "nothing is installed in",
        "AUTO_INFER_VLLM_BUNDLE_PATH to its bundle or AUTO_INFER_VLLM_TEMPLATE_DIR",
    );
    says(plan("--road bundle"), 69, "nothing is installed in", "set AUTO_INFER_VLLM_BUNDLE_PATH");
    says(plan("--road cache"), 69, "nothing is installed in", "ienv vllm | icache | iinstall");
}

#[test]
fn a_source_that_cannot_be_read_is_named_with_its_variable() {
    let mut sandbox = Sandbox::new();
    let names_it = "AUTO_INFER_LLAMA_CPP_PKG_PATH names it";
    for (path, what) in [
        (sandbox.text("nowhere.tar"), "No such file or directory"),
        (sandbox.text("home"), "Is a directory"),
        ("/dev/null".to_owned(), "not a regular file"),
    ] {
        sandbox.set("AUTO_INFER_LLAMA_CPP_PKG_PATH", &path);
        says(sandbox.sh("ienv llama-cpp | iinstall"), 69, what, names_it);
    }
}

#[test]
fn a_run_directory_that_is_none_or_cannot_be_made_is_named_with_its_variable() {
    let mut sandbox = sandbox_with_engine(&[free_port()]);
    sandbox.write("plain", "");
    let plan = "ienv llama-cpp | iinstall | iplan";
    sandbox.set("AUTO_INFER_RUN_DIR", &sandbox.text("plain"));
    for command in [plan, "istat", "istop"] {
        says(sandbox.sh(command), 69, "Not a directory", "correct AUTO_INFER_RUN_DIR");
    }
    sandbox.set("AUTO_INFER_RUN_DIR", "/proc/infer-dev");
    let hint = "set AUTO_INFER_RUN_DIR to a folder that can be made and written";
    says(sandbox.sh(&format!("{plan} | ilaunch")), 69, "cannot make /proc/infer-dev", hint);
    sandbox.set("AUTO_INFER_RUN_DIR", &sandbox.text("run"));
    sandbox.set("AUTO_INFER_LOG_DIR", "/proc/infer-dev");
    says(
        sandbox.sh(&format!("{plan} | ilaunch")),
        69,
        "cannot make /proc/infer-dev",
        "set AUTO_INFER_LOG_DIR",
    );
}

#[test]
fn an_ordinary_user_without_a_workspace_gets_the_hint_to_set_one() {
    let mut sandbox = sandbox_with_engine(&[free_port()]);
    sandbox.set("RUN", "env");
    if as_each() {
        sandbox.set("RUN", "setpriv --reuid 60001 --regid 60001 --clear-groups");
        drop(
            sandbox
                .sh("cp \"$AUTO_INFER_LLAMA_CPP_PKG_PATH\" pkg.tar.gz; chmod 755 .; mkdir -m 755 bin")
                .exits(0),
        );
        for tool in ["ienv", "iinstall"] {
            drop(sandbox.own_tool(tool, &format!("bin/{tool}")));
        }
        sandbox.set("PATH", &format!("{}:/usr/bin:/bin", sandbox.text("bin")));
        sandbox.set("AUTO_INFER_LLAMA_CPP_PKG_PATH", &sandbox.text("pkg.tar.gz"));
    }
    sandbox.set("AUTO_INFER_WORKSPACE_DIR", "/offline-data-of-nobody");
    let output = sandbox.sh("$RUN ienv llama-cpp | $RUN iinstall");
    says(
        output,
        69,
        "/offline-data-of-nobody/llama-cpp-pkg: Permission denied",
        "set AUTO_INFER_WORKSPACE_DIR",
    );
}

#[test]
fn a_read_only_install_directory_is_reported_as_one() {
    let sandbox = sandbox_with_engine(&[free_port()]);
    drop(sandbox.sh("mkdir ro").exits(0));
    let mut command = sandbox.command("unshare");
    let script = "mount -t tmpfs -o ro none ro; AUTO_INFER_WORKSPACE_DIR=$PWD/ro; ienv llama-cpp | iinstall";
    command.args(["--map-root-user", "--mount", "bash", "-eo", "pipefail", "-c", script]);
    says(
        sandbox.finish(&mut command),
        69,
        "Read-only file system",
        "mounted read-only; set AUTO_INFER_WORKSPACE_DIR",
    );
}

#[test]
fn a_workspace_that_is_no_folder_has_a_hint_that_names_its_variable() {
    let mut sandbox = sandbox_with_engine(&[free_port()]);
    sandbox.write("plain", "");
    for workspace in [sandbox.text("plain"), sandbox.text("plain/below"), "/proc/x".to_owned()] {
        sandbox.unset("AUTO_INFER_LLAMA_CPP_INSTALL_DIR");
        sandbox.set("AUTO_INFER_WORKSPACE_DIR", &workspace);
        says(sandbox.sh("ienv llama-cpp | iinstall"), 69, "cannot use ", "set AUTO_INFER_WORKSPACE_DIR");
    }
}
