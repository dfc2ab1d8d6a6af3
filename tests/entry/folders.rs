//! What the script makes before it boots, in a root of its own.
use super::script;
use crate::kit::{Output, Sandbox, as_root, root};

/// A root of its own, seen by nobody else, without `/soft` and `/hard` at first. `$1` is run in it, then the script with the
/// command `$2`, as often as `$3` says.
const IN_ITS_OWN_ROOT: &str = r#"
mount -t tmpfs none root
for top in /*; do
    case $top in /soft | /hard) continue ;; esac
    if [ -L "$top" ]; then cp -P "$top" "root$top"; continue; fi
    if [ -d "$top" ]; then mkdir "root$top"; mount --rbind "$top" "root$top"; fi
done
trap 'test ! -e root/maze.pid || kill "$(cat root/maze.pid)"' EXIT
chroot root /bin/sh -ec "$1"
for _ in $(seq "$3"); do
    code=0
    chroot root "$0" sh -c "$2" || code=$?
done
exit "$code"
"#;

/// Root and nobody else in a user namespace of its own.
const MAPPED: &[&str] = &["--map-root-user", "--mount"];
/// The machine's own root, who may give things away.
const REAL: &[&str] = &["--mount"];

fn boot(sandbox: &Sandbox, how: &[&str], prepare: &str, command: &str) -> Output {
    boot_often(sandbox, how, prepare, command, 1)
}

fn boot_often(sandbox: &Sandbox, how: &[&str], prepare: &str, command: &str, times: u32) -> Output {
    std::fs::create_dir_all(sandbox.path("root")).unwrap();
    let mut unshare = sandbox.command("unshare");
    unshare.args(how).args(["bash", "-ec", IN_ITS_OWN_ROOT]).arg(script());
    sandbox.finish(unshare.args([prepare, command, &times.to_string()]))
}

#[test]
fn helpers_are_linked_and_somebodys_own_file_is_left_alone() {
    let sandbox = Sandbox::new();
    let prepare = "mkdir -p /soft/app/llama-cpp; echo mine >/soft/app/llama-cpp/get-llama-cpp-pkg.sh";
    let command = "cd /soft/app; cat llama-cpp/get-llama-cpp-pkg.sh; readlink */*.sh; exit 11";
    let output = boot(&sandbox, MAPPED, prepare, command).exits(11);
    let helpers = root().join("scripts/helpers");
    let all = sandbox.sh(&format!("ls {}/*/*.sh", helpers.display())).exits(0).stdout;
    let own = helpers.join("llama-cpp/get-llama-cpp-pkg.sh").display().to_string();
    let expected = format!("mine\n{}", all.replace(&format!("{own}\n"), ""));
    assert!(output.stdout.ends_with(&expected), "{}", output.transcript());
    let warning = "/soft/app/llama-cpp/get-llama-cpp-pkg.sh is not a link of ours and is left alone";
    assert!(output.stderr.contains(warning), "{}", output.stderr);
}

#[test]
fn a_folder_that_root_makes_for_the_helpers_belongs_to_who_installs_there() {
    if !as_root() {
        return;
    }
    let mut sandbox = Sandbox::new();
    sandbox.set("AUTO_INFER_LLAMA_CPP_USER", "nobody");
    let command = "cd /soft/app; stat -c %U llama-cpp sglang; exit 11";
    let output = boot(&sandbox, REAL, "mkdir -p /soft/app", command).exits(11);
    assert!(output.stdout.ends_with("nobody\nroot\n"), "{}", output.transcript());
    // Installed elsewhere, the folder holds links alone.
    sandbox.set("AUTO_INFER_LLAMA_CPP_INSTALL_DIR", &sandbox.text("elsewhere"));
    let output = boot(&sandbox, REAL, "mkdir -p /soft/app", command).exits(11);
    assert!(output.stdout.ends_with("root\nroot\n"), "{}", output.transcript());
    assert!(!sandbox.path("elsewhere").exists(), "nothing asked for an install");
}

#[test]
fn what_links_as_a_user_shows_the_user_nothing_and_holds_nobody_up() {
    if !as_root() {
        return;
    }
    let mut sandbox = Sandbox::new();
    sandbox.set("AUTO_INFER_VLLM_OVERRIDES", r#"{"secret":1}"#);
    // The user reads what its process was given, and stops it.
    let ln = "#!/bin/sh\ncat /proc/self/environ >>/soft/app/vllm/seen; kill -STOP $$\n";
    sandbox.script("bin/ln", ln);
    let path = format!("{}:{}", sandbox.text("bin"), crate::kit::tools().display());
    sandbox.set("PATH", &format!("{path}:/usr/bin:/bin:/usr/sbin"));
    drop(sandbox.sh("chmod 755 . bin").exits(0));
    let prepare = "mkdir -p /soft/app/vllm; chown 60001:60001 /soft/app/vllm; cd /soft/app
                   for one in HELPERS/*/*.sh; do
                       at=$(basename $(dirname $one)); mkdir -p $at; [ $at = vllm ] || /bin/ln -s $one $at/
                   done";
    let prepare = prepare.replace("HELPERS", &root().join("scripts/helpers").display().to_string());
    let output = boot(&sandbox, REAL, &prepare, "cat /soft/app/vllm/seen; exit 11").exits(11);
    assert!(output.stdout.contains("PATH=") && !output.stdout.contains("secret"), "{}", output.transcript());
    assert!(output.stderr.contains("there is no link at"), "{}", output.stderr);
}

#[test]
fn whatever_lies_in_the_place_of_a_users_keys_does_not_hold_the_boot_up() {
    if !as_root() {
        return;
    }
    let sandbox = Sandbox::new();
    let start = root().join("scripts/container/start");
    let script = format!(
        "mount -t tmpfs none /home; mount -t tmpfs none /run; mount -t tmpfs none /var/lib
         mkdir -p /home/me/.ssh; mkfifo /home/me/.ssh/authorized_keys; timeout 60 {}",
        start.display()
    );
    let mut unshare = sandbox.command("unshare");
    drop(sandbox.finish(unshare.args(["--mount", "sh", "-c", &script])).exits(0));
}

#[test]
fn soft_is_laid_over_the_volume_and_the_image_as_peidocker_does() {
    let sandbox = Sandbox::new();
    let command = "readlink /soft/app /soft/data /soft/workspace; ls -d /soft/workspace/kept /soft/app/vllm";
    let prepare = "mkdir -p /hard/volume/workspace/kept";
    let expected =
        "/hard/image/app\n/hard/image/data\n/hard/volume/workspace\n/soft/app/vllm\n/soft/workspace/kept\n";
    let output = boot(&sandbox, MAPPED, prepare, command).exits(0);
    assert!(output.stdout.ends_with(expected), "{}", output.transcript());
    assert_eq!(output.stderr, "");
    // A container that is started again with a volume.
    let prepare = "mkdir -p /hard/volume/workspace/kept /hard/image/workspace /hard/image/app /soft
                   ln -s /hard/image/workspace /hard/volume/app /soft";
    let output = boot(&sandbox, MAPPED, prepare, command).exits(0);
    assert!(output.stdout.ends_with(expected), "{}", output.transcript());
    // What somebody else laid stays.
    let prepare = "mkdir -p /hard/volume/data /elsewhere /soft/workspace/kept
                   ln -s /elsewhere /soft/app";
    let command = "readlink /soft/app /soft/data; readlink /soft/workspace || ls /soft/workspace";
    let output = boot(&sandbox, MAPPED, prepare, command).exits(0);
    assert!(output.stdout.ends_with("/elsewhere\n/hard/volume/data\nkept\n"), "{}", output.transcript());
}

/// Whoever may write to `/soft/app`, at work there while root boots: each folder that root makes becomes a link to one of
/// root's own for a moment, and then nothing.
const MAZE: &str = r#"
mkdir -p /soft/app /victim
chown 60001:60001 /soft/app
cat >/maze <<'END'
import itertools, os, shutil, time
os.chdir("/soft/app")
for turn in itertools.count():
    for name in os.listdir("."):
        try:
            if name.startswith(".maze") or os.path.islink(name):
                continue
            os.rename(name, f".maze-{turn}")
            os.symlink("/victim", name)
            time.sleep(0.01)
            os.unlink(name)
            shutil.rmtree(f".maze-{turn}", ignore_errors=True)
        except OSError:
            pass
END
setpriv --reuid 60001 --regid 60001 --clear-groups python3 /maze >/dev/null 2>&1 &
echo $! >/maze.pid
"#;

#[test]
fn whoever_may_write_to_soft_app_gets_nothing_of_roots() {
    if !as_root() {
        return;
    }
    let mut sandbox = Sandbox::new();
    for engine in ["LLAMA_CPP", "VLLM", "SGLANG"] {
        sandbox.set(&format!("AUTO_INFER_{engine}_USER"), "nobody");
    }
    let command = "stat -c 'victim %u %a' /victim; ls -A /victim; ls -ld /maze.pid | cut -c 1-10";
    let often = if crate::kit::full() { 100 } else { 10 };
    let output = boot_often(&sandbox, REAL, MAZE, &format!("{command}; kill -0 $(cat /maze.pid)"), often);
    let output = output.exits(0);
    assert_eq!(
        output.stdout.matches("victim 0 755\n-rw-r--r--\n").count(),
        often as usize,
        "{}",
        output.transcript()
    );
}
