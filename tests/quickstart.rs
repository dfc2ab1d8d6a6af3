//! The quickstart, with the tools that are built already.
use crate::kit::{Output, Sandbox, Tiny, free_port, root, started_in, tools, wait_for};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// A sandbox whose folder `q` is the quickstart's, the tiny engine in it and a free port chosen.
fn sandbox() -> Sandbox {
    let tiny = Tiny::get();
    let mut sandbox = Sandbox::new();
    drop(sandbox.sh(&format!("mkdir q; cp -r {} q/tiny", tiny.model.parent().unwrap().display())).exits(0));
    sandbox.write("q/port", format!("{}\n", free_port()));
    // The quickstart has a run directory of its own; the sandbox looks there to end what is left.
    let run = sandbox.text("q/run");
    sandbox.set("AUTO_INFER_RUN_DIR", &run);
    std::fs::remove_dir(sandbox.path("run")).unwrap();
    std::os::unix::fs::symlink("q/run", sandbox.path("run")).unwrap();
    sandbox
}

fn quickstart(sandbox: &Sandbox, options: &[&str]) -> Output {
    let mut command = sandbox.command(root().join("scripts/quickstart"));
    command.arg("--dir").arg(sandbox.path("q")).arg("--tools").arg(tools()).args(options);
    sandbox.finish(&mut command)
}

#[test]
fn it_ends_with_an_answer_and_starts_no_second_server() {
    let sandbox = sandbox();
    let first = quickstart(&sandbox, &[]).exits(0);
    assert_eq!(first.kinds(), ["installed", "instance", "ready", "answer"], "{}", first.transcript());
    let second = quickstart(&sandbox, &[]).exits(0);
    assert_eq!(second.kinds(), ["installed", "instance", "ready", "answer"], "{}", second.transcript());
    assert_eq!(second.one("installed")["reused"], true);
    assert_eq!(second.one("instance")["reused"], true);
    assert_eq!(second.one("instance")["keeper_pid"], first.one("instance")["keeper_pid"]);

    // What it says about going on holds.
    let url = second.one("ready")["url"].as_str().unwrap().to_owned();
    assert!(
        second.stderr.contains(&format!("llama.cpp serves on {url}. First, in this shell: . $SANDBOX/q/env"))
    );
    assert!(second.stderr.contains(&format!("ichat --url {url} \"How are you?\"")));
    let by_hand = format!(". q/env; ichat --url {url} 'How are you?' && istop");
    let by_hand = sandbox.sh(&by_hand).exits(0);
    assert_eq!(by_hand.one("answer")["content"], first.one("answer")["content"]);
    assert_eq!(by_hand.all("stopped").len(), 1);
}

#[test]
fn of_two_at_once_one_starts_the_server_and_one_finds_it() {
    let sandbox = sandbox();
    let (one, other) = std::thread::scope(|scope| {
        let one = scope.spawn(|| quickstart(&sandbox, &[]).exits(0));
        (quickstart(&sandbox, &[]).exits(0), one.join().unwrap())
    });
    let mut reused = [&one, &other].map(|output| output.one("instance")["reused"] == true);
    reused.sort_unstable();
    assert_eq!(reused, [false, true], "{}{}", one.transcript(), other.transcript());
}

#[test]
fn stop_ends_what_it_started() {
    let sandbox = sandbox();
    let output = quickstart(&sandbox, &["--stop"]).exits(0);
    assert_eq!(output.stderr, "quickstart: nothing was started from $SANDBOX/q\n");
    drop(quickstart(&sandbox, &[]).exits(0));
    quickstart(&sandbox, &["--stop"]).exits(0).one("stopped");
    assert!(quickstart(&sandbox, &["--stop"]).exits(0).records().is_empty());
}

#[test]
fn a_port_that_a_stranger_took_is_left_to_him() {
    let sandbox = sandbox();
    // Below the range that the kernel hands out, so that the next port is nobody's.
    let first = 20_000 + u16::try_from(std::process::id() % 5_000).unwrap();
    let stranger = (first..).find_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()).unwrap();
    let taken = stranger.local_addr().unwrap().port();
    sandbox.write("q/port", format!("{taken}\n"));
    let output = quickstart(&sandbox, &[]).exits(0);
    assert!(output.one("instance")["port"].as_u64().unwrap() > u64::from(taken));
}

#[test]
fn an_archive_of_ones_own_is_taken_and_a_bad_one_is_refused() {
    let mut sandbox = sandbox();
    drop(sandbox.sh("mv q/tiny/llama-server-tiny.tar.gz own.tar.gz; rm -r q/tiny").exits(0));
    sandbox.set("AUTO_INFER_LLAMA_CPP_PKG_PATH", "own.tar.gz");
    let output = quickstart(&sandbox, &[]).exits(0);
    assert_eq!(output.one("installed")["source"]["path"], "$SANDBOX/own.tar.gz");
    drop(quickstart(&sandbox, &["--stop"]).exits(0));

    sandbox.write("own.tar.gz", "not an archive");
    let output = quickstart(&sandbox, &[]).exits(65);
    assert_eq!(output.one("failed")["by"], "iinstall");
    assert!(output.stderr.contains("quickstart: failed with 65; all records are below $SANDBOX/q/boots"));
    assert!(output.all("ready").is_empty());
}

/// Links to all programs of the system but these, as PATH.
fn all_programs_but(sandbox: &mut Sandbox, missing: &[&str]) {
    std::fs::create_dir(sandbox.path("bin")).unwrap();
    drop(sandbox.sh("ln -s /usr/bin/* bin/").exits(0));
    for name in missing {
        std::fs::remove_file(sandbox.path("bin").join(name)).ok();
    }
    let bin = sandbox.text("bin");
    sandbox.set("PATH", &bin);
}

#[test]
fn what_a_bare_machine_lacks_is_named_before_anything_is_built_all_at_once() {
    let mut sandbox = sandbox();
    drop(sandbox.sh("rm -r q/tiny").exits(0));
    all_programs_but(&mut sandbox, &["cargo", "rustc", "cc", "python3"]);
    let mut command = sandbox.command(root().join("scripts/quickstart"));
    let output = sandbox.finish(command.arg("--dir").arg(sandbox.path("q"))).exits(69);
    assert_eq!(
        output.stderr,
        "quickstart: this machine lacks: cargo and rustc (1.95 or newer), a C compiler with the C library to \
         compile for, python3 (3.10 or newer), pip for python3\n\
         quickstart: hint: install Rust from https://rustup.rs\n\
         quickstart: hint: apt-get install gcc libc6-dev python3 python3-pip\n"
    );
    // With tools that are built nothing is needed to build them; a compiler that makes no programs is none.
    sandbox.script("bin/python3", "#!/bin/sh\n[ \"$1\" = -c ] || exit 1\n");
    let output = quickstart(&sandbox, &[]).exits(69);
    let pip =
        "quickstart: this machine lacks: pip for python3\nquickstart: hint: apt-get install python3-pip\n";
    assert_eq!(output.stderr, pip);
    sandbox.script("bin/python3", "#!/bin/sh\nexit 0\n");
    sandbox.script("bin/cc", "#!/bin/sh\necho 'ld: cannot find crt1.o' >&2\nexit 1\n");
    sandbox.script("bin/cargo", "#!/bin/sh\necho cargo 1.95.0\n");
    sandbox.script("bin/rustc", "#!/bin/sh\necho rustc 1.94.1\n");
    let mut command = sandbox.command(root().join("scripts/quickstart"));
    let output = sandbox.finish(command.arg("--dir").arg(sandbox.path("q"))).exits(69);
    assert!(output.stderr.contains("hint: apt-get install gcc libc6-dev\n"), "{}", output.stderr);
    assert!(output.stderr.contains("lacks: cargo and rustc (1.95 or newer), a C"), "{}", output.stderr);
    assert!(!sandbox.path("q/env").exists());
}

#[test]
fn a_wrong_call_is_told_and_help_is_no_wrong_call() {
    let sandbox = sandbox();
    for wrong in [&["--port"][..], &["--dir"], &["extra"]] {
        drop(quickstart(&sandbox, wrong).exits(2));
    }
    for help in ["--help", "-h"] {
        let output = quickstart(&sandbox, &[help]).exits(0);
        for word in ["usage: scripts/quickstart", "--dir DIR", "--tools DIR", "--stop", "--help"] {
            assert!(output.stdout.contains(word), "{}", output.stdout);
        }
        assert_eq!(output.stderr, "");
    }
    for nowhere in [&["--tools", "/nonexistent"][..], &["--tools", "/nonexistent", "--stop"]] {
        let output = quickstart(&sandbox, nowhere);
        if nowhere.contains(&"--stop") {
            assert_eq!(output.exits(0).stderr, "quickstart: nothing was started from $SANDBOX/q\n");
        } else {
            assert_eq!(
                output.exits(69).stderr,
                "quickstart: there is no ienv in /nonexistent\nquickstart: hint: --tools takes the folder that cargo \
                 builds into, such as target/quick\n"
            );
        }
    }
}

#[test]
fn with_its_env_in_the_shell_it_runs_again_and_warns_of_nothing() {
    let sandbox = sandbox();
    drop(quickstart(&sandbox, &[]).exits(0));
    let before = sandbox.read("q/llama.toml");
    let script = root().join("scripts/quickstart").display().to_string();
    let again = format!(". q/env; {script} --dir q --tools {}", tools().display());
    let output = sandbox.sh(&again).exits(0);
    assert_eq!(output.kinds(), ["installed", "instance", "ready", "answer"], "{}", output.transcript());
    assert_eq!(output.one("instance")["reused"], true);
    assert!(!output.stderr.contains("warning"), "{}", output.stderr);
    assert_eq!(sandbox.read("q/llama.toml"), before);
}

#[test]
fn on_a_terminal_it_ends_with_the_answer_three_commands_and_no_line_of_progress() {
    let sandbox = sandbox();
    let terminal = Terminal::start(&sandbox, &[]);
    let (code, text) = terminal.end();
    assert_eq!(code, 0, "{text}");
    let shown = screen(&text);
    let answer =
        shown.iter().position(|line| line.starts_with("The engine is up, the model loaded")).unwrap();
    assert_eq!(shown[..answer].len(), 2, "what it does, an empty line\n{}", shown.join("\n"));
    assert!(shown[answer + 2].starts_with("llama.cpp serves on http://127.0.0.1:"), "{}", shown.join("\n"));
    let commands: Vec<&str> =
        shown[answer + 3..].iter().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(commands, ["chat", "look", "stop"]);
    let (code, text) = Terminal::start(&sandbox, &["--stop"]).end();
    assert_eq!((code, screen(&text)), (0, vec!["quickstart: nothing runs here any more".to_owned()]));
}

#[test]
fn ctrl_c_is_one_line_wherever_it_comes_and_the_next_run_works() {
    let mut sandbox = sandbox();
    let status = sandbox.path("q/run/llama-cpp/quickstart/status.json");
    // While it boots: before there is a server, and once there is one.
    for with_server in [false, true] {
        let mut terminal = Terminal::start(&sandbox, &[]);
        terminal.wait_for("bringing it up");
        wait_for("the server", Duration::from_secs(60), || !with_server || status.exists());
        terminal.interrupt();
        assert_is_one_line(terminal);
        assert!(quickstart(&sandbox, &["--stop"]).exits(0).stderr.is_empty());
        wait_for("all to be gone", Duration::from_secs(60), || started_in(&sandbox).is_empty());
    }
    drop(quickstart(&sandbox, &[]).exits(0));
    drop(quickstart(&sandbox, &["--stop"]).exits(0));

    // While pip waits for an index that says nothing.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    sandbox.set("PIP_INDEX_URL", &format!("http://{}", silent.local_addr().unwrap()));
    drop(sandbox.sh("mv q/tiny kept").exits(0));
    let terminal = Terminal::start(&sandbox, &[]);
    let (pip, _) = silent.accept().unwrap();
    terminal.interrupt();
    assert_is_one_line(terminal);
    drop(pip);
    let attempts = std::fs::read_dir(sandbox.path("q/tiny")).unwrap().flatten();
    let attempts: Vec<_> = attempts.map(|entry| entry.file_name()).filter(|name| name != ".lock").collect();
    assert!(attempts.is_empty(), "{attempts:?}");

    // While another one has the lock.
    drop(sandbox.sh("rm -r q/tiny; mv kept q/tiny").exits(0));
    let lock = std::fs::File::open(sandbox.path("q/.lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let mut terminal = Terminal::start(&sandbox, &[]);
    terminal.wait_for("waiting for another quickstart");
    terminal.interrupt();
    assert_is_one_line(terminal);
    drop(lock);
    drop(quickstart(&sandbox, &[]).exits(0));
}

/// A build is interrupted as the rest is: cargo's own folder is no half state, the next build goes on in it.
#[test]
fn ctrl_c_ends_a_build_and_all_of_its_compilers() {
    let mut sandbox = sandbox();
    let home = std::env::var("HOME").unwrap();
    for (variable, folder) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
        let folder = std::env::var(variable).unwrap_or_else(|_| format!("{home}/{folder}"));
        sandbox.set(variable, &folder);
    }
    let path = std::env::var("PATH").unwrap();
    sandbox.set("PATH", &path);
    sandbox.set("CARGO_TARGET_DIR", &sandbox.text("built"));
    let script = root().join("scripts/quickstart").display().to_string();
    let mut terminal = Terminal::run(&sandbox, &format!("{script} --dir q"));
    terminal.wait_for("Compiling");
    terminal.interrupt();
    assert_is_one_line(terminal);
    assert!(started_in(&sandbox).is_empty(), "a compiler goes on");
}

/// The last line says that it was interrupted; none before is a shell's, Python's or a tool's complaint.
fn assert_is_one_line(terminal: Terminal) {
    let (code, text) = terminal.end();
    assert_eq!(code, 130, "{text}");
    let shown = screen(&text);
    assert_eq!(
        shown.last().unwrap(),
        "quickstart: interrupted; the next run goes on from here",
        "{shown:#?}"
    );
    let said: Vec<&String> = shown[..shown.len() - 1]
        .iter()
        .filter(|line| !["quickstart: ", "prepare: "].iter().any(|ours| line.starts_with(ours)))
        .filter(|line| {
            !["Compiling", "Building", "Downloading", "Blocking", "^C"]
                .iter()
                .any(|word| line.trim_start().starts_with(word))
        })
        .collect();
    assert!(said.is_empty(), "{said:#?}");
}

/// The quickstart on a terminal of 200 columns.
struct Terminal {
    child: Child,
    text: String,
    output: Receiver<Vec<u8>>,
    keys: ChildStdin,
}

impl Terminal {
    fn start(sandbox: &Sandbox, options: &[&str]) -> Self {
        let script = root().join("scripts/quickstart").display().to_string();
        Self::run(sandbox, &format!("{script} --dir q --tools {} {}", tools().display(), options.join(" ")))
    }

    fn run(sandbox: &Sandbox, line: &str) -> Self {
        let mut command = sandbox.command("/usr/bin/script");
        let line = format!("stty cols 200 rows 24; exec env --default-signal=INT,QUIT {line}");
        command.args(["-qec", &line, "/dev/null"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut pipe, keys) = (child.stdout.take().unwrap(), child.stdin.take().unwrap());
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut block = [0; 4096];
            while let Ok(count @ 1..) = pipe.read(&mut block) {
                sender.send(block[..count].to_vec()).ok();
            }
        });
        Self { child, text: String::new(), output, keys }
    }

    fn wait_for(&mut self, word: &str) {
        while !self.text.contains(word) {
            let more = self.output.recv_timeout(Duration::from_secs(60));
            let more = more.unwrap_or_else(|e| panic!("{e}: no {word:?} in {}", self.text));
            self.text.push_str(&String::from_utf8_lossy(&more));
        }
    }

    /// Ctrl-C.
    fn interrupt(&self) {
        (&self.keys).write_all(b"\x03").unwrap();
    }

    /// Its exit code and all that it wrote.
    fn end(mut self) -> (i32, String) {
        while let Ok(more) = self.output.recv_timeout(Duration::from_secs(120)) {
            self.text.push_str(&String::from_utf8_lossy(&more));
        }
        (self.child.wait().unwrap().code().unwrap(), self.text)
    }
}

/// The lines that a terminal of 200 columns shows in the end: of its controls those that cargo and our progress lines use.
fn screen(text: &str) -> Vec<String> {
    const COLUMNS: usize = 200;
    let (mut lines, mut row, mut column) = (vec![Vec::new()], 0_usize, 0_usize);
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\r' => column = 0,
            '\n' => row += 1,
            '\x1b' => {
                let mut control = String::new();
                for character in characters.by_ref().skip(1) {
                    control.push(character);
                    if character.is_ascii_alphabetic() {
                        break;
                    }
                }
                let number = control.trim_end_matches(char::is_alphabetic).parse().unwrap_or(0_usize);
                match control.chars().last() {
                    Some('A') => row = row.saturating_sub(number.max(1)),
                    Some('B') => row += number.max(1),
                    Some('K') if number == 2 => lines[row].clear(),
                    Some('K') => lines[row].truncate(column),
                    _ => (),
                }
            }
            _ => {
                if column == COLUMNS {
                    (row, column) = (row + 1, 0);
                }
                while lines.len() <= row {
                    lines.push(Vec::new());
                }
                let line: &mut Vec<char> = &mut lines[row];
                line.resize(line.len().max(column + 1), ' ');
                line[column] = character;
                column += 1;
            }
        }
        while lines.len() <= row {
            lines.push(Vec::new());
        }
    }
    let lines = lines.into_iter().map(|line| line.into_iter().collect::<String>().trim_end().to_owned());
    let mut lines: Vec<String> = lines.collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

/// README's way to a model of one's own, line by line, on the tiny package and model.
#[test]
fn the_readmes_five_commands_serve_a_model_of_ones_own() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let section = readme.split("## Your own model\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let lines: Vec<&str> = section.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    assert_eq!(lines.len(), 5, "{lines:?}");
    let (tiny, port, sandbox) = (Tiny::get(), free_port().to_string(), Sandbox::new());
    let script = lines
        .join("\n")
        .replace("/media/llama-cpp.tar.gz", tiny.archive.to_str().unwrap())
        .replace("/models/own.gguf", tiny.model.to_str().unwrap())
        .replace("8080", &port);
    let output = sandbox.sh(&script).exits(0);
    assert_eq!(output.one("ready")["instance"], "own", "{}", output.transcript());
    assert!(output.one("answer")["content"].as_str().is_some_and(|answer| !answer.is_empty()));
}
