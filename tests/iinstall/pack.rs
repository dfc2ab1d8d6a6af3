//! Archives as they come and as nobody should make them: a tar writer that writes whatever it is told.
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(crate) const SERVER: &str = "#!/bin/sh\necho served\n";

/// A tar in the making.
pub(crate) struct Pack {
    bytes: Vec<u8>,
}

impl Pack {
    pub(crate) fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// A package that installs: `bin/llama-server` and whatever is added.
    pub(crate) fn good() -> Self {
        Self::new().file("bin/llama-server", SERVER)
    }

    pub(crate) fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.member(name, b'0', "", 0o755, content.as_ref())
    }

    pub(crate) fn link(self, name: &str, target: &str) -> Self {
        self.member(name, b'2', target, 0o777, b"")
    }

    /// Any member at all.
    pub(crate) fn member(self, name: &str, kind: u8, link: &str, mode: u32, content: &[u8]) -> Self {
        let mut pack = self.header(name, kind, link, mode, content.len() as u64);
        pack.bytes.extend(content);
        pack.bytes.resize(pack.bytes.len().next_multiple_of(512), 0);
        pack
    }

    /// A header that may lie about the size of what follows.
    pub(crate) fn header(mut self, name: &str, kind: u8, link: &str, mode: u32, size: u64) -> Self {
        let mut block = [0; 512];
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[157..157 + link.len()].copy_from_slice(link.as_bytes());
        for (at, text) in [
            (100, format!("{mode:07o}")),
            (108, "0000000".to_owned()),
            (116, "0000000".to_owned()),
            (124, format!("{size:011o}")),
            (136, format!("{:011o}", 1_000_000_000)),
        ] {
            block[at..at + text.len()].copy_from_slice(text.as_bytes());
        }
        block[156] = kind;
        block[257..265].copy_from_slice(b"ustar\x0000");
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        self.bytes.extend(block);
        self
    }

    /// The bytes with their end mark.
    pub(crate) fn end(mut self) -> Vec<u8> {
        self.bytes.resize(self.bytes.len() + 1024, 0);
        self.bytes
    }

    /// Write it, compressed as the name says.
    pub(crate) fn save(self, path: &Path) -> PathBuf {
        let name = path.to_str().unwrap();
        let bytes = self.end();
        let packed = match name.rsplit_once('.').unwrap().1 {
            "gz" | "tgz" => through("gzip", &["-1c"], &bytes),
            "xz" => through("xz", &["-0c"], &bytes),
            "zst" => through("zstd", &["-1qc"], &bytes),
            _ => bytes,
        };
        std::fs::write(path, packed).unwrap();
        path.to_owned()
    }
}

/// What a filter program makes of these bytes.
pub(crate) fn through(program: &str, args: &[&str], bytes: &[u8]) -> Vec<u8> {
    let mut command = Command::new(program);
    let mut child = command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || input.write_all(bytes).unwrap());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{program}: {}", output.status);
        output.stdout
    })
}

/// A zip by Python, from lines of its own that fill `z`; `S` is a good server's content.
pub(crate) fn zip(path: &Path, script: &str) {
    let script = format!(
        "import sys, zipfile, warnings\nwarnings.simplefilter('ignore')\nS = {SERVER:?}\n\
         def link(name, target):\n    i = zipfile.ZipInfo(name); i.create_system = 3\n    \
         i.external_attr = 0o120777 << 16; z.writestr(i, target)\n\
         with zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED) as z:\n    {}\n",
        script.replace('\n', "\n    ")
    );
    let status = Command::new("python3").args(["-c", &script]).arg(path).status().unwrap();
    assert!(status.success(), "python3: {status}");
}
