//! Machines on which one way, or every way, is refused.
use super::Sealing;
use crate::kit::{Sandbox, as_each};

/// Run `iseal` behind `machine`, and have the report after what the command says.
fn report(machine: &str, options: &str) -> String {
    format!("{machine} ./iseal {options} --report-fd 7 -- echo ran 7> report && cat report")
}

/// Another interface than `lo` is up here.
fn is_connected() -> bool {
    let interfaces = std::fs::read_dir("/sys/class/net").unwrap().map(|entry| entry.unwrap().path());
    let up = |flags: String| u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).unwrap() & 1 == 1;
    let flags = |path: std::path::PathBuf| std::fs::read_to_string(path.join("flags"));
    interfaces.filter(|path| !path.ends_with("lo")).filter_map(|path| flags(path).ok()).any(up)
}

#[test]
fn a_namespace_is_preferred_and_said() {
    let sealing = Sealing::new();
    for user in &sealing.users {
        assert_eq!(sealing.says(&report(user, "")), "ran\nnamespace\n", "{user}");
    }
}

#[test]
fn where_namespaces_are_refused_the_filter_holds() {
    let sealing = Sealing::new();
    let mut machines = vec![
        "python3 refusing.py EPERM unshare".to_owned(),
        "python3 refusing.py ENOSYS unshare,setns".to_owned(),
        "python3 refusing.py EINVAL setns".to_owned(),
        "unshare --user --map-root-user bash -c 'echo 0 > /proc/sys/user/max_net_namespaces; exec \"$@\"' -"
            .to_owned(),
    ];
    if as_each() {
        // Root as a container has it.
        machines.push("setpriv --bounding-set=-sys_admin --inh-caps=-all".to_owned());
    }
    for user in &sealing.users {
        for machine in &machines {
            if machine.starts_with("setpriv") && *user != "env" {
                continue;
            }
            let machine = format!("{user} {machine}");
            assert_eq!(sealing.says(&report(&machine, "")), "ran\nseccomp\n", "{machine}");
            let output = sealing.sh(&report(&machine, "--method namespace")).exits(69);
            assert_eq!(output.stdout, "");
        }
    }
}

#[test]
fn a_namespace_that_is_none_is_seen_through() {
    let sealing = Sealing::new();
    for user in &sealing.users {
        for calls in ["unshare", "setns", "unshare,setns"] {
            let script = report(&format!("{user} python3 refusing.py 0 {calls}"), "");
            // Both would find themselves where they were: sealed only if there was never anything to reach. Who is not
            // root sees by the user namespace that `unshare` made none.
            let stays = !is_connected() && (*user == "env" || calls == "setns");
            let expected = if stays { "namespace" } else { "seccomp" };
            assert_eq!(sealing.says(&script), format!("ran\n{expected}\n"), "{script}");
        }
    }
}

#[test]
fn where_every_seal_is_refused_nothing_runs_without_best_effort() {
    let sealing = Sealing::new();
    for (number, user) in sealing.users.iter().enumerate() {
        let machine = format!("{user} python3 refusing.py EPERM unshare,seccomp");
        let made = format!("made-{number}");
        let output =
            sealing.sh(&format!("{machine} ./iseal --report-fd 7 -- touch {made} 7> report")).exits(69);
        assert_eq!(
            output.stderr,
            "iseal: cannot keep touch from the network: cannot make a network namespace: Operation not permitted; \
             cannot install a seccomp filter: Operation not permitted\n\
             iseal: hint: let this machine or container have user namespaces, CAP_SYS_ADMIN or seccomp filters; \
             with --best-effort the command runs all the same\n"
        );
        assert!(!sealing.sandbox.path(&made).exists() && sealing.sandbox.read("report").is_empty());
        let output = sealing.sh(&report(&machine, "--best-effort")).exits(0);
        assert_eq!(output.stdout, "ran\nnone\n");
        assert!(
            output.stderr.starts_with("iseal: warn: cannot keep echo from the network: "),
            "{}",
            output.stderr
        );
        let environment =
            sealing.sh(&format!("http_proxy=x {machine} ./iseal --best-effort env")).exits(0).stdout;
        assert!(environment.contains("PIXI_OFFLINE=1\n") && !environment.contains("_proxy"), "{environment}");
    }
}

#[test]
fn a_filter_that_is_none_is_seen_through() {
    let sealing = Sealing::new();
    for user in &sealing.users {
        let output = sealing
            .sh(&report(&format!("{user} python3 refusing.py 0 seccomp"), "--method seccomp"))
            .exits(69);
        let cause = "the seccomp filter does not hold: it lets AF_INET sockets through";
        assert!(output.stderr.contains(cause), "{}", output.stderr);
        assert_eq!(output.stdout, "");
    }
}

#[test]
fn a_report_that_nobody_can_get_is_a_failure() {
    let sealing = Sealing::new();
    let output = sealing.sh("./iseal --report-fd 7 -- touch made 7> /dev/full").exits(69);
    assert_eq!(output.stderr, "iseal: cannot report 'namespace': No space left on device\n");
    assert!(!sealing.sandbox.path("made").exists());
}

/// The child that makes the namespace, and its parent, would wait for each other.
#[test]
fn a_child_that_cannot_say_how_it_went_is_not_waited_for() {
    let sandbox = Sandbox::new();
    let inject = "-e trace=sendto -e inject=sendto:error=EIO:when=1";
    let script = format!("timeout 60 strace -f -qq -o /dev/null {inject} iseal --method namespace -- true");
    let output = sandbox.sh(&script).exits(69);
    assert!(output.stderr.contains("has died") || output.stderr.contains("namespace"), "{}", output.stderr);
}
