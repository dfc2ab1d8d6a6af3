//! iseal becomes the command: what passes through, and how it ends.
use super::Sealing;

#[test]
fn exit_codes_and_signals_are_the_commands_own() {
    let sealing = Sealing::new();
    for (seal, _) in sealing.seals() {
        let script = format!(
            "for code in 0 1 2 3 64 65 69 75 99 100 124 125 126 127 128 130 137 159 200 255; do
                sealed=0; {seal} -- bash -c \"exit $code\" || sealed=$?; [[ $sealed == $code ]] || echo $code: $sealed
            done
            for signal in HUP INT ALRM KILL PIPE TERM USR1 SEGV SYS; do
                plain=0; bash -c \"kill -$signal \\$\\$\" || plain=$?
                sealed=0; {seal} -- bash -c \"kill -$signal \\$\\$\" || sealed=$?
                [[ $plain -gt 128 && $sealed == $plain ]] || echo $signal: $sealed
            done"
        );
        let output = sealing.sh(&script).exits(0);
        assert_eq!(output.stdout, "", "{seal}");
    }
}

#[test]
fn it_is_the_same_process_and_has_no_children_that_the_command_did_not_make() {
    let sealing = Sealing::new();
    let look = "import glob, os\nprint(os.getpid())\nfor path in glob.glob(\"/proc/[0-9]*/stat\"):\n    try:\n        \
                fields = open(path).read().rsplit(\")\", 1)[1].split()\n    except OSError:\n        continue\n    \
                if int(fields[1]) == os.getpid():\n        print(\"child\", path)";
    for (seal, _) in sealing.seals() {
        let pids = sealing.says(&format!("(echo $BASHPID; exec {seal} -- python3 -c '{look}')"));
        let pids: Vec<&str> = pids.lines().collect();
        assert!(pids.len() == 2 && pids[0] == pids[1], "{seal}: {pids:?}");
    }
}

#[test]
fn the_three_streams_pass_and_no_other_descriptor() {
    let sealing = Sealing::new();
    for (seal, method) in sealing.seals() {
        let kept = format!(
            "exec 5< /etc/passwd 9< /etc/passwd
            {seal} --keep-fd 9 -- bash -c 'head -c 4 <&9; ls /proc/self/fd | wc -l'"
        );
        assert_eq!(
            sealing.sh(&kept).exits(0).stdout,
            "root5\n",
            "{seal}: 0, 1, 2, 9 and the one that ls reads"
        );
        let script = format!(
            "exec 5< /etc/passwd 9< /etc/passwd
            printf in | {seal} --report-fd 7 -- bash -c 'cat; echo err >&2; ls -1 /proc/self/fd' 7> report
            cat report"
        );
        let output = sealing.sh(&script).exits(0);
        assert_eq!(
            (output.stdout, output.stderr),
            (format!("in0\n1\n2\n3\n{method}\n"), "err\n".to_owned()),
            "{seal}"
        );
    }
}

#[test]
fn a_parents_death_signal_and_an_ignored_signal_stay() {
    let sealing = Sealing::new();
    let ask =
        "python3 -c 'import ctypes, signal; n = ctypes.c_int(); ctypes.CDLL(None).prctl(2, ctypes.byref(n))
print(n.value, signal.getsignal(signal.SIGHUP) is signal.SIG_IGN)'";
    for (user, method) in sealing.users.iter().zip([super::METHODS; 2]).flat_map(|(u, m)| m.map(|m| (*u, m)))
    {
        let seal =
            format!("(trap '' HUP; {user} setpriv --pdeathsig=USR1 ./iseal --method {method} -- {ask})");
        assert_eq!(sealing.says(&seal), "10 True\n", "{user} {method}");
    }
}

#[test]
fn what_cannot_be_run_is_126_or_127() {
    let sealing = Sealing::new();
    sealing.sandbox.write("plain", "#!/bin/sh\n");
    sealing.sandbox.script("orphan", "#!/nowhere/interpreter\n");
    sealing.sandbox.script("headless", "echo \"no first line, $1\"\n");
    for (command, code, cause) in [
        ("no-such-command", 127, "No such file or directory"),
        ("./no/such", 127, "No such file or directory"),
        ("./orphan", 127, "its interpreter /nowhere/interpreter does not exist"),
        ("''", 127, "No such file or directory"),
        ("./plain", 126, "Permission denied"),
        ("./tmp", 126, "Permission denied"),
        ("./plain/x", 126, "Not a directory"),
    ] {
        let output = sealing.sh(&format!("./iseal -- {command}")).exits(code);
        let expected = format!("iseal: cannot run {}: {cause}\n", command.trim_matches('\''));
        assert!(output.stderr.starts_with(&expected), "{}", output.stderr);
        assert_eq!(output.stderr.contains("interpreter"), command == "./orphan", "{}", output.stderr);
        assert_eq!(output.stderr.contains("noexec"), cause == "Permission denied", "{}", output.stderr);
    }
    assert_eq!(sealing.says("./iseal ./headless too"), "no first line, too\n");
}

#[test]
fn the_commands_options_are_its_own_and_a_wrong_call_is_2() {
    let sealing = Sealing::new();
    assert_eq!(sealing.says("./iseal printf '%s ' a --best-effort -v --"), "a --best-effort -v -- ");
    assert_eq!(sealing.says("./iseal -- printf '%s ' --method -x"), "--method -x ");
    for wrong in ["", "--", "--method proxy true", "--report-fd true", "--no-such true", "--report-fd 2 true"]
    {
        drop(sealing.sh(&format!("./iseal {wrong}")).exits(2));
    }
    let closed = sealing.sh("./iseal --report-fd 8 -- touch made").exits(2);
    assert_eq!(
        closed.stderr,
        "iseal: cannot use a descriptor of --report-fd or --keep-fd: Bad file descriptor\n"
    );
    assert!(!sealing.sandbox.path("made").exists());
}
