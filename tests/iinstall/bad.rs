//! What bad input gets: each archive is refused by name, and leaves nothing behind.
use super::Site;
use super::pack::{Pack, SERVER, zip};
use crate::kit::{Output, not_run, tools};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Assert that nothing of the attempt is left: no install, no link, nothing beside the sandbox's own folders.
#[track_caller]
fn left_nothing(site: &Site, output: &Output) {
    assert!(site.home().join("current").symlink_metadata().is_err(), "{}", output.transcript());
    assert_eq!(site.left_over(), [""; 0], "{}", output.transcript());
    assert!(site.home().symlink_metadata().is_err(), "a folder was made and nothing is in it");
    for stranger in ["evil", "home/evil", "home/llama/evil", "home/llama/.installs/evil"] {
        assert!(site.sandbox.path(stranger).symlink_metadata().is_err(), "{stranger} was written");
    }
}

/// The cause that an archive of these bytes is refused for, with 65.
#[track_caller]
fn refused(bytes: impl AsRef<[u8]>) -> String {
    let mut site = Site::new();
    let archive = site.sandbox.write("a.tar.gz", bytes);
    let output = site.install(archive).exits(65);
    left_nothing(&site, &output);
    output.one("failed")["cause"].as_str().unwrap().to_owned()
}

#[test]
fn what_is_no_whole_archive() {
    let mut site = Site::new();
    fs::create_dir_all(site.home().join(".installs")).unwrap();
    let output = site.install("/nonexistent/a.tar.gz").exits(69);
    insta::assert_snapshot!(output.stderr, @r"
    iinstall: cannot read /nonexistent/a.tar.gz: No such file or directory
    iinstall: hint: AUTO_INFER_LLAMA_CPP_PKG_PATH names it
    ");
    assert_eq!(site.install("/").exits(69).one("failed")["cause"], "Is a directory");
    assert_eq!(refused(""), "the file is empty");
    assert_eq!(refused("hello"), "it is not an archive: it begins as none of them does");
    assert_eq!(refused([0; 4096]), "it is not an archive: it begins as none of them does");
    assert!(refused("version https://git-lfs.github.com/spec/v1\n").contains("Git LFS pointer"));
    assert!(refused("<html>404</html>").contains("web page"));
    assert!(refused(b"BZh91AY").contains("bzip2"));
    assert_eq!(
        refused(super::pack::through("gzip", &["-c"], b"hello")),
        "it is truncated: it ends before its end mark"
    );
    assert_eq!(
        refused(super::pack::through("gzip", &["-c"], &[b'x'; 600])),
        "what is compressed in it is not a tar archive"
    );
}

/// Bytes that hardly compress.
fn noise() -> Vec<u8> {
    (0..60_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

#[test]
fn a_truncated_archive_of_every_kind_wherever_it_is_cut() {
    let noise = noise();
    for kind in ["tar", "tar.gz", "tar.xz", "tar.zst", "zip"] {
        let mut site = Site::new();
        let path = site.sandbox.path(&format!("a.{kind}"));
        match kind {
            "zip" => {
                zip(
                    &path,
                    "import os\nz.writestr('bin/llama-server', S)\nz.writestr('n', os.urandom(60000))",
                );
            }
            _ => drop(Pack::good().file("n", &noise).save(&path)),
        }
        let bytes = fs::read(&path).unwrap();
        // A tar is whole as soon as its end mark begins.
        let whole = if kind == "tar" { bytes.len() - 1024 } else { bytes.len() };
        for cut in [20, whole / 3, whole / 2, whole - 600, whole - 1] {
            fs::write(&path, &bytes[..cut]).unwrap();
            let output = site.install(&path).exits(65);
            left_nothing(&site, &output);
        }
    }
}

#[test]
fn one_flipped_bit_in_a_compressed_archive() {
    for name in ["a.tar.gz", "a.tar.xz", "a.zip"] {
        let mut site = Site::new();
        let path = site.sandbox.path(name);
        match name {
            "a.zip" => {
                zip(
                    &path,
                    "import os\nz.writestr('bin/llama-server', S)\nz.writestr('n', os.urandom(60000))",
                );
            }
            _ => drop(Pack::good().file("n", noise()).save(&path)),
        }
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
        fs::write(&path, bytes).unwrap();
        let output = site.install(&path).exits(65);
        left_nothing(&site, &output);
    }
}

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

#[test]
fn a_wrong_sha256_whether_it_is_installed_already_or_not() {
    let mut site = Site::new();
    let archive = site.save("a.tar", Pack::good());
    site.set("sha256", "0".repeat(64));
    let output = site.install(&archive).exits(65);
    left_nothing(&site, &output);
    let failed = output.one("failed");
    assert_eq!(failed["what"], "$SANDBOX/a.tar is not the archive that was asked for");
    let own = failed["cause"].as_str().unwrap().split([' ', ',']).nth(3).unwrap().to_owned();
    site.set("sha256", own.to_uppercase());
    assert_eq!(site.run("").exits(0).one("installed")["id"], own);
    site.set("sha256", "0".repeat(64));
    drop(site.run("").exits(65));
    assert!(site.home().join("current/bin/llama-server").exists(), "what was current stays");
}

#[test]
fn members_that_lead_out_of_the_archive() {
    let good = Pack::good;
    assert_eq!(
        refused(good().file("../evil", "x").end()),
        "member '../evil': a path that leads out of the archive"
    );
    assert_eq!(
        refused(good().file("a/../../evil", "x").end()),
        "member 'a/../../evil': a path that leads out of the archive"
    );
    assert_eq!(refused(good().file("/evil", "x").end()), "member '/evil': an absolute path");
    let cause = refused(good().link("out", "..").file("out/evil", "x").end());
    assert_eq!(cause, "member 'out/evil': 'out' on its way is a link or a file");
    let cause = refused(good().link("bin/x", "/etc/passwd").end());
    assert_eq!(cause, "symbolic link 'bin/x' to '/etc/passwd' leads out of the archive");
    let cause = refused(good().link("bin/x", "../../../..").end());
    assert_eq!(cause, "symbolic link 'bin/x' to '../../../..' leads out of the archive");
    let cause = refused(good().link("bin/x", "y").end());
    assert_eq!(cause, "symbolic link 'bin/x' to 'y' leads nowhere");
    let cause = refused(good().link("bin/a", "b").link("bin/b", "a").end());
    assert_eq!(cause, "symbolic link 'bin/a' to 'b' leads nowhere");
    let hard = |target| refused(good().link("etc", "/etc").member("h", b'1', target, 0o644, b"").end());
    for target in ["../../evil", "/etc/passwd", "etc/passwd", "nothing", ""] {
        let cause = hard(target);
        assert!(cause.starts_with("member 'h': a "), "{target}: {cause}");
    }
    let cause = refused(good().link("l", "/etc/passwd").member("h", b'1', "l", 0o644, b"").end());
    assert!(cause.ends_with("leads out of the archive"), "a second name of a link is a link: {cause}");
}

#[test]
fn hard_links_inside_are_kept() {
    let mut site = Site::new();
    let pack = Pack::good().member("bin/second", b'1', "bin/llama-server", 0o755, b"");
    let archive = site.save("a.tar", pack);
    drop(site.install(archive).exits(0));
    assert_eq!(fs::read_to_string(site.home().join("bin/second")).unwrap(), SERVER);
}

#[test]
fn members_that_are_no_files() {
    for (kind, what) in [(b'3', "a device node"), (b'4', "a device node"), (b'6', "a named pipe")] {
        let cause = refused(Pack::good().member("bin/x", kind, "", 0o644, b"").end());
        assert_eq!(cause, format!("member 'bin/x': {what}"));
    }
    assert!(refused(Pack::good().member("x", b'S', "", 0o644, b"").end()).contains("sparse"));
}

#[test]
fn two_members_of_one_name() {
    let cause = refused(Pack::good().file("./bin//llama-server", "other").end());
    assert_eq!(cause, "member './bin//llama-server': two members have this name");
    let cause = refused(Pack::good().file("bin", "x").end());
    assert_eq!(cause, "member 'bin': two members have this name");
}

#[test]
fn no_server_and_two_servers() {
    assert_eq!(refused(Pack::new().file("bin/other", "x").end()), "it holds no llama-server");
    let two = Pack::new().file("a/bin/llama-server", SERVER).file("b/bin/llama-server", SERVER).end();
    let twice = "it holds llama-server more than once: a/bin/llama-server, b/bin/llama-server";
    assert_eq!(refused(two), twice);
    let text = Pack::new().file("bin/llama-server", "hello").end();
    assert_eq!(refused(text), "bin/llama-server in it is neither a 64-bit program nor a script");
}

#[test]
fn zips_are_held_to_the_same() {
    for (script, expected) in [
        ("z.writestr('../evil', 'x')", "member '../evil': a path that leads out of the archive"),
        ("z.writestr('/evil', 'x')", "member '/evil': an absolute path"),
        (
            "link('out', '..')\nz.writestr('out/evil', 'x')",
            "member 'out/evil': 'out' on its way is a link or a file",
        ),
        ("link('x', '/etc/passwd')", "symbolic link 'x' to '/etc/passwd' leads out of the archive"),
        ("z.writestr('bin/llama-server', 'y')", "two of its members have one name"),
        (
            "i = zipfile.ZipInfo('p'); i.create_system = 3; i.external_attr = 0o010644 << 16; z.writestr(i, '')",
            "member 'p': a device node or a named pipe",
        ),
    ] {
        let mut site = Site::new();
        let path = site.sandbox.path("a.zip");
        zip(&path, &format!("z.writestr('bin/llama-server', S)\n{script}"));
        let output = site.install(&path).exits(65);
        left_nothing(&site, &output);
        assert_eq!(output.one("failed")["cause"], expected);
    }
}

/// A program of ours whose need of `libgcc_s.so.1` is made a need of `other`, which is not longer.
fn program_that_needs(other: &str) -> Vec<u8> {
    let mut bytes = fs::read(tools().join("iinstall")).unwrap();
    let own = b"libgcc_s.so.1\0";
    let at = bytes.windows(own.len()).position(|window| window == own).unwrap();
    bytes[at..at + own.len()].fill(0);
    bytes[at..at + other.len()].copy_from_slice(other.as_bytes());
    bytes
}

/// A program of ours that wants a version of `libc.so.6` which no system has, and the one that it was made from.
fn program_that_wants_what_is_newer() -> (Vec<u8>, String) {
    let mut bytes = fs::read(tools().join("iinstall")).unwrap();
    let digit = |byte: &u8| byte.is_ascii_digit();
    let at =
        bytes.windows(11).position(|w| w.starts_with(b"\0GLIBC_2.") && w[9..].iter().all(digit)).unwrap();
    let own = String::from_utf8(bytes[at + 1..at + 11].to_vec()).unwrap();
    bytes[at + 9..at + 11].copy_from_slice(b"99");
    (bytes, own.replace(&own[8..], "99"))
}

#[test]
fn a_library_that_is_too_old_is_named_with_what_it_lacks_as_the_loader_would_find() {
    let mut site = Site::new();
    let (program, wanted) = program_that_wants_what_is_newer();
    let loader = site.sandbox.script("too-new", "");
    fs::write(&loader, &program).unwrap();
    let refused = site.sandbox.sh("./too-new --version; exit 0").stderr;
    assert!(refused.contains(&format!("version `{wanted}' not found")), "{refused}");

    let archive = site.save("a.tar", Pack::new().file("bin/llama-server", &program));
    let output = site.install(archive).exits(69);
    left_nothing(&site, &output);
    let cause = output.one("failed")["cause"].as_str().unwrap().to_owned();
    let begins = format!("bin/llama-server needs {wanted} of libc.so.6, which goes to GLIBC_2.");
    assert!(cause.starts_with(&begins) && cause.ends_with(" here"), "{cause}");

    // Only a backend is lost with it.
    let server = fs::read(tools().join("iinstall")).unwrap();
    let pack = Pack::new().file("bin/llama-server", server).file("bin/libggml-new.so", &program);
    let archive = site.save("b.tar", pack);
    let warnings = site.install(archive).exits(0).all("warning");
    let lost = |warning: &Value| {
        let what = warning["what"].as_str().unwrap();
        warning["rule"] == "backend_library" && what.starts_with("bin/libggml-new.so needs GLIBC_2.99 of ")
    };
    assert!(!warnings.is_empty() && warnings.iter().all(lost), "{warnings:?}");
}

#[test]
fn a_missing_library_is_named_with_who_needs_it() {
    let mut site = Site::new();
    let archive =
        site.save("a.tar", Pack::new().file("bin/llama-server", program_that_needs("libgcc_x.so.1")));
    let output = site.install(archive).exits(69);
    left_nothing(&site, &output);
    let cause = "bin/llama-server needs libgcc_x.so.1: neither in it nor on this machine";
    assert_eq!(output.one("failed")["cause"], cause);

    let pack = Pack::new()
        .file("bin/llama-server", program_that_needs("libgcc_x.so.1"))
        .file("bin/libgcc_x.so.1", program_that_needs("libgcc_y.so.1"));
    let archive = site.save("b.tar", pack);
    let failed = site.install(archive).exits(69).one("failed");
    assert_eq!(failed["cause"], "bin/libgcc_x.so.1 needs libgcc_y.so.1: neither in it nor on this machine");

    let pack = Pack::new()
        .file("bin/llama-server", program_that_needs("libgcc_x.so.1"))
        .file("bin/libgcc_x.so.1.0", program_that_needs("libcuda.so.1"))
        .link("bin/libgcc_x.so.1", "libgcc_x.so.1.0");
    let archive = site.save("c.tar", pack);
    let output = site.install(archive).exits(0);
    if !Path::new("/usr/lib/x86_64-linux-gnu/libcuda.so.1").exists() {
        let warning = output.one("warning");
        assert_eq!(warning["rule"], "driver_library");
        assert!(warning["what"].as_str().unwrap().contains("libcuda.so.1"), "{warning}");
    }
}

#[test]
fn a_backend_that_cannot_be_loaded_only_warns() {
    let mut site = Site::new();
    let pack = Pack::new()
        .file("bin/llama-server", fs::read(tools().join("iinstall")).unwrap())
        .file("bin/libggml-vulkan.so", program_that_needs("libvulk_x.so"));
    let archive = site.save("a.tar", pack);
    let warning = site.install(archive).exits(0).one("warning");
    assert_eq!(warning["rule"], "backend_library");
}

#[test]
fn a_program_for_another_machine_and_a_script_without_its_interpreter() {
    let mut bytes = fs::read(tools().join("iinstall")).unwrap();
    bytes[18] = 8;
    let cause = refused(Pack::new().file("bin/llama-server", bytes).end());
    assert_eq!(cause, "bin/llama-server in it is built for another kind of processor");
    for (line, name) in
        [("#!/nonexistent/sh", "/nonexistent/sh"), ("#!/usr/bin/env -S nonexistent-sh -x", "nonexistent-sh")]
    {
        let mut site = Site::new();
        let archive = site.save("a.tar", Pack::new().file("bin/llama-server", line));
        let output = site.install(archive).exits(69);
        left_nothing(&site, &output);
        let cause = format!("bin/llama-server in it is a script for {name}, which is not on this machine");
        assert_eq!(output.one("failed")["cause"], cause);
    }
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

#[test]
fn a_name_or_a_link_that_is_longer_than_any_path_is_the_archives_fault() {
    let mut site = Site::new();
    let long = |what: &str| format!("z.writestr('bin/llama-server', S)\n{what}");
    for (what, why) in [
        ("link('bin/x', 'a/' * 3000)", "member 'bin/x': a link to a path that is longer than any path"),
        ("link('bin/x', 'a/' * 2048)", "member 'bin/x': a link to a path that is longer than any path"),
        ("z.writestr('bin/' + 'n' * 300, 'x')", "a name that no file has"),
    ] {
        let archive = site.sandbox.path("long.zip");
        zip(&archive, &long(what));
        let output = site.install(&archive).exits(65);
        left_nothing(&site, &output);
        let cause = output.one("failed")["cause"].as_str().unwrap().to_owned();
        assert!(cause.ends_with(why), "{what}: {cause}");
    }
    let said = |kind, text: String| Pack::good().member("././@LongLink", kind, "", 0o644, text.as_bytes());
    let cause = refused(said(b'L', "n".repeat(300)).file("short", "x").end());
    assert!(cause.ends_with("a name that no file has"), "{cause}");
    let cause = refused(said(b'K', "a/".repeat(3000)).link("bin/x", "short").end());
    assert!(cause.ends_with("longer than any path"), "{cause}");
}
