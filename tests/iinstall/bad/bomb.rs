//! Archives that would fill the memory or the disk.
use super::super::Site;
use super::super::pack::{Pack, zip};
use super::left_nothing;
use crate::kit::not_run;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

#[test]
fn an_archive_that_asks_for_four_gib_of_memory() {
    let mut site = Site::new();
    let path = site.save("a.tar.xz", Pack::good());
    let ask = "import sys, zlib
x = bytearray(open(sys.argv[1], 'rb').read())
end = 12 + 4 * x[12] + 4 # of the block's header, which ends in its checksum
at = x.index(b'\\x21\\x01', 12, end) + 2
x[at] = 40
x[end - 4:end] = zlib.crc32(x[12:end - 4]).to_bytes(4, 'little')
open(sys.argv[1], 'wb').write(x)";
    site.sandbox.write("ask.py", ask);
    drop(site.sandbox.sh("python3 ask.py a.tar.xz").exits(0));
    let output = site.install(&path).exits(65);
    left_nothing(&site, &output);
    assert_eq!(output.one("failed")["cause"], "it is damaged: memory limit reached");
}

/// A small disk of its own below the sandbox, gone with the test.
struct Disk {
    path: PathBuf,
}

impl Disk {
    fn mount(site: &mut Site, mib: u64) -> Option<Self> {
        let path = site.sandbox.path("disk");
        fs::create_dir(&path).unwrap();
        let size = format!("size={mib}m");
        let status =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&path).output().unwrap();
        if !status.status.success() {
            let why = String::from_utf8_lossy(&status.stderr).into_owned();
            not_run(&format!("no tmpfs can be mounted: {why}"));
            return None;
        }
        site.set("install_dir", path.join("llama").to_str().unwrap());
        Some(Self { path })
    }

    fn used(&self) -> u64 {
        let disk = rustix::fs::statvfs(&self.path).unwrap();
        (disk.f_blocks - disk.f_bfree) * disk.f_frsize
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        assert!(Command::new("umount").arg(&self.path).status().unwrap().success());
    }
}

#[test]
fn a_bomb_is_refused_by_what_it_says_and_by_what_it_is() {
    let mut site = Site::new();
    let Some(disk) = Disk::mount(&mut site, 40) else { return };
    let zeros = vec![0; 64 << 20];
    // Says that it is large; is large; is many that each would fit.
    site.save("says.tar", Pack::good().header("zeros", b'0', "", 0o644, 1 << 33));
    site.save("is.tar.gz", Pack::good().file("zeros", &zeros));
    let many = (0..60).fold(Pack::good(), |pack, n| pack.file(&format!("zeros{n}"), &zeros[..1 << 20]));
    site.save("many.tar.zst", many);
    // A zip that is large and says so, and one that says that it is small.
    let path = site.sandbox.path("is.zip");
    zip(&path, "z.writestr('bin/llama-server', S)\nz.writestr('zeros', bytes(64 << 20))");
    let mut bytes = fs::read(&path).unwrap();
    let size = (64_u32 << 20).to_le_bytes();
    while let Some(at) = bytes.windows(4).position(|window| window == size) {
        bytes[at..at + 4].copy_from_slice(&10_u32.to_le_bytes());
    }
    site.sandbox.write("lies.zip", bytes);
    for name in ["says.tar", "is.tar.gz", "many.tar.zst", "is.zip"] {
        let output = site.install(site.sandbox.path(name)).exits(69);
        left_nothing(&site, &output);
        let cause = output.one("failed")["cause"].as_str().unwrap().to_owned();
        assert!(cause.contains("do not fit the disk of $SANDBOX/disk/llama"), "{name}: {cause}");
        assert!(disk.used() < 1 << 20, "{name}: {} bytes are left on the disk", disk.used());
    }
    let output = site.install(site.sandbox.path("lies.zip")).exits(65);
    left_nothing(&site, &output);
    // A name of a gigabyte is a bomb of another kind.
    site.save("name.tar", Pack::good().header("././@LongLink", b'L', "", 0o644, 1 << 30));
    let cause = site.install(site.sandbox.path("name.tar")).exits(65).one("failed")["cause"].clone();
    assert_eq!(cause, "an extension header of 1073741824 bytes, which no name needs");
}
