//! The quickstart on a terminal, and Ctrl-C.
use super::{quickstart, sandbox};
use crate::kit::{Sandbox, root, started_in, tools, wait_for};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

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
