//! Bad archives: each is refused with a cause that says what is wrong, and leaves nothing behind.
mod bomb;
mod libraries;

use super::Site;
use super::pack::{Pack, SERVER, zip};
use crate::kit::Output;
use std::fs;

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

/// Installs these bytes, expects exit code 65, and returns the cause.
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
    assert_eq!(refused("hello"), "it is not an archive: unrecognised file format");
    assert_eq!(refused([0; 4096]), "it is not an archive: unrecognised file format");
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
    assert_eq!(cause, "member 'out/evil': its folder 'out' is a link or a file in this archive");
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
    assert!(
        cause.ends_with("leads out of the archive"),
        "a hard link to a symbolic link is checked as that link is: {cause}"
    );
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
fn our_own_package_is_not_taken_for_llama_cpps() {
    for top in ["infer-dev-0.1.0-linux-x86_64/", ""] {
        let path = |file: &str| format!("{top}{file}");
        let own = Pack::new()
            .file(&path("bin/iinstall"), "x")
            .file(&path("scripts/infer-dev"), "x")
            .file(&path("scripts/tiny/llama-server"), SERVER);
        assert_eq!(refused(own.end()), "it is infer-dev's own package, not llama.cpp's");
    }
}

#[test]
fn zips_are_held_to_the_same() {
    for (script, expected) in [
        ("z.writestr('../evil', 'x')", "member '../evil': a path that leads out of the archive"),
        ("z.writestr('/evil', 'x')", "member '/evil': an absolute path"),
        (
            "link('out', '..')\nz.writestr('out/evil', 'x')",
            "member 'out/evil': its folder 'out' is a link or a file in this archive",
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

#[test]
fn a_name_or_a_link_that_is_longer_than_any_path_is_the_archives_fault() {
    let mut site = Site::new();
    let long = |what: &str| format!("z.writestr('bin/llama-server', S)\n{what}");
    for (what, why) in [
        ("link('bin/x', 'a/' * 3000)", "member 'bin/x': a link whose target is longer than Linux allows"),
        ("link('bin/x', 'a/' * 2048)", "member 'bin/x': a link whose target is longer than Linux allows"),
        ("z.writestr('bin/' + 'n' * 300, 'x')", "a name that is too long or holds a zero byte"),
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
    assert!(cause.ends_with("a name that is too long or holds a zero byte"), "{cause}");
    let cause = refused(said(b'K', "a/".repeat(3000)).link("bin/x", "short").end());
    assert!(cause.ends_with("longer than Linux allows"), "{cause}");
}
