//! iseal: what a sealed command reaches, as root and as somebody else, and which way held.
mod process;
mod refused;

use crate::kit::{Output, Sandbox, is_root, root};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;

/// The ways to lose the network.
const METHODS: [&str; 2] = ["namespace", "seccomp"];

/// A sandbox that others may use, too, with `iseal` and the scripts in it.
struct Sealing {
    sandbox: Sandbox,
    /// What makes a command the command of each of the users that we can be.
    users: Vec<&'static str>,
}

impl Sealing {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        std::fs::set_permissions(sandbox.path(""), std::fs::Permissions::from_mode(0o777)).unwrap();
        sandbox.own_tool("iseal", "iseal");
        for script in ["reach.py", "refusing.py"] {
            std::fs::copy(root().join("tests/data").join(script), sandbox.path(script)).unwrap();
        }
        let mut users = vec!["env"];
        if is_root() {
            users.push("setpriv --reuid=65534 --regid=65534 --clear-groups");
        }
        Self { sandbox, users }
    }

    /// Each user with each method: what to write before `-- COMMAND`.
    fn seals(&self) -> Vec<(String, &'static str)> {
        let of_user = |user: &'static str| {
            METHODS.map(|method| (format!("{user} ./iseal --method {method}"), method)).to_vec()
        };
        self.users.iter().copied().flat_map(of_user).collect()
    }

    fn sh(&self, script: &str) -> Output {
        self.sandbox.sh(script)
    }

    /// Stdout of what must succeed in silence.
    fn says(&self, script: &str) -> String {
        let output = self.sh(script).exits(0);
        assert_eq!(output.stderr, "", "{script}");
        output.stdout
    }
}

/// Listeners on our own loopback, which is outside.
struct Outside {
    tcp: TcpListener,
    udp: UdpSocket,
}

impl Outside {
    fn new() -> Self {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        tcp.set_nonblocking(true).unwrap();
        udp.set_nonblocking(true).unwrap();
        Self { tcp, udp }
    }

    fn ports(&self) -> String {
        format!("{} {}", self.tcp.local_addr().unwrap().port(), self.udp.local_addr().unwrap().port())
    }

    /// How many connections and datagrams have come since it was asked last.
    fn heard(&self) -> (usize, usize) {
        let connections = std::iter::from_fn(|| self.tcp.accept().ok()).count();
        let datagrams = std::iter::from_fn(|| self.udp.recv(&mut [0; 8]).ok()).count();
        (connections, datagrams)
    }
}

/// Every way out by name, with what became of it. Raw packets are refused to ordinary users anyway.
const IN_A_NAMESPACE: &str = "tcp: Connection refused
udp: sent
route: Network is unreachable
resolve: nothing
loopback: works
loopback 6: works
unix: works
netlink: works
";
const UNDER_SECCOMP: &str = "tcp: Address family not supported by protocol
udp: Address family not supported by protocol
route: Address family not supported by protocol
resolve: nothing
loopback: Address family not supported by protocol
loopback 6: Address family not supported by protocol
unix: works
netlink: works
packet: Address family not supported by protocol
io_uring: Operation not permitted
";

#[test]
fn nothing_outside_is_reached_and_what_is_local_works() {
    let (sealing, outside) = (Sealing::new(), Outside::new());
    let reach = format!("python3 reach.py {}", outside.ports());
    let unsealed = sealing.says(&reach);
    assert!(unsealed.starts_with("tcp: reached\nudp: sent\n"), "{unsealed}");
    assert_eq!(outside.heard(), (1, 1), "what the seal is measured by");
    // A kernel may do without IPv6.
    let loopback_6 = unsealed.lines().find(|line| line.starts_with("loopback 6")).unwrap();
    let in_a_namespace = IN_A_NAMESPACE.replace("loopback 6: works", loopback_6);
    for (seal, method) in sealing.seals() {
        let reached = sealing.says(&format!("{seal} -- {reach}"));
        match method {
            "namespace" => assert!(reached.starts_with(&in_a_namespace), "{seal}: {reached}"),
            _ => assert_eq!(reached, UNDER_SECCOMP, "{seal}"),
        }
        assert_eq!(outside.heard(), (0, 0), "{seal}");
    }
}

#[test]
fn whatever_comes_of_the_command_is_sealed_with_it() {
    let (sealing, outside) = (Sealing::new(), Outside::new());
    let reach = format!("python3 reach.py {}", outside.ports());
    for (seal, method) in sealing.seals() {
        let deep = format!("{seal} -- bash -c 'setsid bash -c \"{reach}; true\" & wait'");
        let first = if method == "namespace" { IN_A_NAMESPACE } else { UNDER_SECCOMP };
        assert!(sealing.says(&deep).starts_with(first.split('\n').next().unwrap()), "{seal}");
        for inner in METHODS {
            let nested = format!("{seal} -- ./iseal --method {inner} -- {reach}");
            let expected =
                if inner == "namespace" && method == "namespace" { IN_A_NAMESPACE } else { UNDER_SECCOMP };
            assert!(sealing.says(&nested).starts_with(expected.split('\n').next().unwrap()), "{nested}");
        }
    }
    assert_eq!(outside.heard(), (0, 0));
}

#[test]
fn a_proxy_is_not_asked_and_the_tools_see_none() {
    let (mut sealing, outside) = (Sealing::new(), Outside::new());
    let proxy = format!("http://{}", outside.tcp.local_addr().unwrap());
    for name in ["http_proxy", "HTTPS_PROXY", "All_Proxy", "UV_HTTP_PROXY"] {
        sealing.sandbox.set(name, &proxy);
    }
    sealing.sandbox.set("no_proxy", "localhost");
    sealing.sandbox.set("UV_OFFLINE", "0");
    let ask = "python3 -c 'import urllib.request as r; print(r.getproxies()); r.urlopen(\"http://192.0.2.1\", timeout=3)'";
    assert!(sealing.sh(ask).stdout.contains(&proxy));
    assert!(outside.heard().0 > 0, "what the seal is measured by");
    for (seal, _) in sealing.seals() {
        assert_eq!(sealing.sh(&format!("{seal} -- {ask}")).exits(1).stdout, "{}\n", "{seal}");
        let environment = sealing.says(&format!("{seal} -- env"));
        assert!(!environment.to_lowercase().contains("_proxy="), "{environment}");
        for switch in ["PIXI_OFFLINE=1", "UV_OFFLINE=1", "PIP_NO_INDEX=1", "HF_HUB_OFFLINE=1"] {
            assert!(environment.lines().any(|line| line == switch), "{switch}\n{environment}");
        }
    }
    assert_eq!(outside.heard(), (0, 0));
}

#[test]
fn a_user_stays_who_they_are() {
    let sealing = Sealing::new();
    for (number, user) in sealing.users.iter().enumerate() {
        let plain = sealing.says(&format!("{user} id"));
        for method in METHODS {
            let file = format!("made-{number}-{method}");
            let sealed =
                sealing.says(&format!("{user} ./iseal --method {method} -- bash -c 'id; touch {file}'"));
            assert_eq!(sealed, plain, "{user} {method}");
            let owner = sealing.says(&format!("stat -c %u {file}"));
            assert!(plain.starts_with(&format!("uid={}", owner.trim())), "{plain} {owner}");
        }
    }
    let privileges = sealing.says("./iseal --method seccomp -- grep NoNewPrivs /proc/self/status");
    assert_eq!(privileges, "NoNewPrivs:\t1\n");
}

#[test]
#[cfg(target_arch = "x86_64")]
fn calls_of_another_architecture_kill_under_seccomp() {
    let sealing = Sealing::new();
    // getpid as x32 has it, and as i386 has it: mov $20, %eax; int $0x80; ret.
    let x32 = "import ctypes; ctypes.CDLL(None).syscall(0x40000000 | 39); print(1)";
    let i386 = "import ctypes, mmap; m = mmap.mmap(-1, 4096, prot=7); m.write(b\"\\xb8\\x14\\0\\0\\0\\xcd\\x80\\xc3\")
ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))(); print(1)";
    for (name, code) in [("x32", x32), ("i386", i386)] {
        let run = format!("python3 -c '{code}'");
        let unsealed = sealing.sh(&run);
        if name == "i386" && unsealed.code == 128 + 11 {
            continue; // a kernel without these calls, which kills in its own way
        }
        assert_eq!(unsealed.exits(0).stdout, "1\n", "{name}");
        for user in &sealing.users {
            let killed = sealing.sh(&format!("exec {user} ./iseal --method seccomp -- {run}"));
            assert_eq!(
                (killed.code, killed.stdout.as_str()),
                (128 + 31, ""),
                "{name} {user}: {}",
                killed.stderr
            );
        }
    }
}
