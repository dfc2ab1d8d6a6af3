//! The shapes that the real programs have, from the sources of pixi 0.77.0, rattler, uv 0.11.15 and pixi-pack 0.7.10, as
//! they are drawn at 80 columns where there is no terminal.
use super::*;

pub(super) fn why(said: &str) -> ErrorReport {
    let lines: Vec<String> = said.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    let why = ErrorReport::of(&lines);
    let ascii =
        |line: &String| line.replace('×', "x").replace("├─▶", "|->").replace("╰─▶", "`->").replace('│', "|");
    assert_eq!(why, ErrorReport::of(&lines.iter().map(ascii).collect::<Vec<_>>()), "without Unicode");
    why
}

#[track_caller]
pub(super) fn reads(said: &str, kind: Kind, sentence: &str) {
    assert_eq!(why(said), ErrorReport { kind, sentence: sentence.to_owned() });
}

#[test]
fn what_an_offline_pixi_misses() {
    // rattler_networking/src/offline_middleware.rs:16; pixi_cli adds the help.
    reads(
        "\
Error:   × failed to fetch python-3.12.12-hd63d673_1_cpython.conda
  ╰─▶ network access is disabled by offline mode
  help: pixi is running in offline mode and only uses locally cached data.
        Retry with network access: remove the `--offline` flag, unset the
        `PIXI_OFFLINE` environment variable, or disable the `offline` option in
        your pixi configuration.
",
        Kind::Offline,
        "failed to fetch python-3.12.12-hd63d673_1_cpython.conda: network access is disabled by offline mode",
    );
    // uv-client's words below pixi_install_pypi's.
    reads(
        "\
Error:   × Failed to update PyPI packages for environment 'default'
  ├─▶ Failed to prepare distributions
  ├─▶ Failed to download `markupsafe==3.0.3`
  ╰─▶ Network connectivity is disabled, but the requested data wasn't found in
      the cache for: `http://files.invalid/packages/markupsafe-3.0.3-cp312-
      cp312-manylinux_2_17_x86_64.whl`
",
        Kind::Offline,
        "Failed to update PyPI packages for environment 'default': Network connectivity is disabled, but the requested \
         data wasn't found in the cache for: `http://files.invalid/packages/markupsafe-3.0.3-cp312-cp312-manylinux_2_17_x86_64.whl`",
    );
    // uv-git/src/git.rs:36, broken within the words that tell.
    let git = "\
Error:   × Failed to update PyPI packages for environment 'a-longer-name'
  ╰─▶ Remote Git fetches are not allowed because network connectivity is
      disabled (i.e., with `--offline`)
";
    assert_eq!(why(git).kind, Kind::Offline);
}

#[test]
fn a_lock_file_that_does_not_fit() {
    // pixi_core/src/lock_file/update.rs:371-373 and 243-270.
    let outdated = "lock file not up-to-date with the workspace";
    reads(&format!("Error:   × {outdated}\n"), Kind::LockOutdated, outdated);
    reads(
        "\
Error:   × the lock file is not up-to-date with requested environment: 'cuda-
  │ 12-8'
",
        Kind::NoEnvironment,
        "the lock file is not up-to-date with requested environment: 'cuda-12-8'",
    );
    reads(
        "\
Error:   × Failed to load lock file from `/srv/sglang-infer/pixi.lock`
  ╰─▶ The lock file version is 8, but only up to including version 7 is
      supported by the current version.
  help: Please update pixi to the latest version and try again.
",
        Kind::LockNewer,
        "Failed to load lock file from `/srv/sglang-infer/pixi.lock`: The lock file version is 8, but only up to including \
         version 7 is supported by the current version.",
    );
}

#[test]
fn a_machine_without_a_virtual_package() {
    // pixi_core/src/lock_file/virtual_packages.rs:47-57.
    let said = "\
Error:   × Cannot install environment 'default'
  ╰─▶ Virtual package '__cuda >=12' does not match any of the available virtual
      packages on your machine: [__unix=0=0, __linux=6.1.0=0, __glibc=2.36=0,
      __archspec=1=zen2]
  help:  You can mock the virtual package by overriding the environment
        variable, e.g.: '`CONDA_OVERRIDE_CUDA=12.0`'
";
    let why = why(said);
    assert_eq!(why.kind, Kind::Virtual("cuda".to_owned()));
    assert!(why.sentence.ends_with("__glibc=2.36=0, __archspec=1=zen2]"), "{}", why.sentence);
    assert_eq!(override_variable("cuda_arch"), "CONDA_OVERRIDE_CUDA_ARCH");
    assert_eq!(virtual_package("virtual package '__cuda_arch=8.9=*'"), "cuda_arch");
}

#[test]
fn a_disk_that_refuses() {
    // rattler's `failed to acquire global cache lock`, with what the lock was refused for.
    for (system, number, kind) in [
        ("No locks available", 37, Kind::NoLocks),
        ("Permission denied", 13, Kind::Denied),
        ("Read-only file system", 30, Kind::ReadOnly),
        ("No space left on device", 28, Kind::NoSpace),
        ("Disk quota exceeded", 122, Kind::NoSpace),
    ] {
        reads(
            &format!(
                "\
Error:   × failed to acquire global cache lock
  ├─▶ failed to lock '/srv/cache/conda/rattler/pkgs/.cache.lock'
  ╰─▶ {system} (os error
      {number})
"
            ),
            kind,
            &format!("failed to acquire global cache lock: {system}"),
        );
    }
    // It is the disk that failed, not the download.
    reads(
        "\
Error: could not download package

Caused by:
    0: error sending request for url (http://x.invalid/a.conda)
    1: No space left on device (os error 28)
",
        Kind::NoSpace,
        "could not download package: No space left on device",
    );
}

#[test]
fn what_the_network_did() {
    use Download::{Certificate, Connection, Damaged, Name, NotStated, Proxy, Status};
    // What reqwest and hyper say below pixi's words.
    let chains: [(&str, Download, bool); 15] = [
        ("HTTP status client error (403 Forbidden) for url (http://x.invalid/a.conda)", Status(403), false),
        ("HTTP status client error (404 Not Found) for url (http://x.invalid/a.conda)", Status(404), false),
        ("HTTP status client error (429 Too Many Requests) for url (http://x.invalid/)", Status(429), true),
        ("HTTP status server error (503 Service Unavailable) for url (http://x.invalid/)", Status(503), true),
        ("Status: 502 Bad Gateway", Status(502), true),
        ("tunnel error: proxy authorization required", Status(407), false),
        ("tunnel error: unsuccessful", Proxy, true),
        ("invalid peer certificate: UnknownIssuer", Certificate, false),
        ("unable to find any user-specified roots in the final cert chain", Certificate, false),
        ("dns error: failed to lookup address information: Try again", Name, true),
        ("Download a-1-0.conda failed, checksum mismatch", Damaged, true),
        ("tcp connect error: Connection refused (os error 111)", Connection, true),
        ("operation timed out", Connection, true),
        ("error decoding response body", Connection, true),
        ("an io error occurred", NotStated, true),
    ];
    for (last, download, passes) in chains {
        // At the end of a line, in the middle, or broken: wherever the words fall.
        for pad in [0, 31, 57] {
            let said = format!(
                "Error:   × failed to fetch a.conda\n  ├─▶ {}\n  ╰─▶ {}\n",
                "Request failed after 3 retries",
                last.split_inclusive(' ')
                    .fold((String::new(), pad), |(mut text, column), word| {
                        let breaks = column + word.trim_end().len() > 72;
                        if breaks {
                            text.truncate(text.trim_end().len());
                            text.push_str("\n      ");
                        }
                        text.push_str(word);
                        (text, if breaks { word.len() } else { column + word.len() })
                    })
                    .0
            );
            let why = why(&said);
            assert_eq!(why.kind, Kind::Download(download), "{said}");
            assert_eq!(download.is_transient(), passes, "{last}");
            let expected = last.split(" (os error").next().unwrap();
            assert_eq!(why.sentence, format!("failed to fetch a.conda: {expected}"));
        }
    }
}

#[test]
fn a_name_that_is_not_known_at_70_columns() {
    let said = "\
DEBUG reqwest::connect: starting new connection: http://conda.invalid/
Error:   × failed to solve requirements of environment 'default' for
  │ platform 'linux-aarch64'
  ├─▶ Request failed after 3 retries
  ├─▶ error sending request for url (http://
  │   conda.invalid/noarch/
  │   repodata_shards.msgpack.zst)
  ├─▶ client error (Connect)
  ├─▶ dns error: failed to lookup address
  │   information: Try again
  ╰─▶ failed to lookup address information: Try
      again
";
    reads(
        said,
        Kind::Download(Download::Name),
        "failed to solve requirements of environment 'default' for platform 'linux-aarch64': dns error: failed to lookup \
         address information: Try again",
    );
}

#[test]
fn what_pixi_pack_and_pixi_unpack_refuse() {
    let program =
        "Failed to download pixi-unpack executable from http://x.invalid/pixi-unpack. Status: 404 Not Found";
    reads(&format!("Error: {program}\n"), Kind::Download(Download::Status(404)), program);
    let wheel = "package six is not a wheel file, we currently require all dependencies to be wheels.";
    reads(&format!("⏳ Downloading 3 packages...\nError: {wheel}\n"), Kind::NoWheel, wheel);
    let other = "The pack was created for a different platform";
    reads(&format!("Error: {other}\n"), Kind::OtherPlatform, other);
    reads(
        "Error: Could not unpack archive\n\nCaused by:\n    unexpected end of file\n",
        Kind::Other,
        "Could not unpack archive: unexpected end of file",
    );
}

#[test]
fn a_panic_is_one_unless_it_says_what_it_missed() {
    // pixi_install_pypi/src/lib.rs:1267.
    let place = "thread 'main' panicked at crates/pixi_install_pypi/src/lib.rs:1267:14:\n";
    let note = "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n";
    reads(
        &format!("{place}should be able to install all distributions: NoArchive\n{note}"),
        Kind::Panic,
        "it panicked at crates/pixi_install_pypi/src/lib.rs:1267:14: should be able to install all distributions: NoArchive",
    );
    assert_eq!(why(&format!("{place}x: No space left on device\n{note}")).kind, Kind::NoSpace);
}

#[test]
fn only_the_error_itself_counts_where_there_is_one() {
    let said = "\
 WARN rattler_cache::package_cache: failed to download and extract http://x.invalid/a.conda to /x: an io error
 WARN reqwest_retry::middleware: Retry attempt #0. Sleeping 798.5959ms before the next attempt
Error:   × failed to link python-3.12.12-hd63d673_1_cpython.conda
  ╰─▶ invalid utf-8
";
    reads(said, Kind::Other, "failed to link python-3.12.12-hd63d673_1_cpython.conda: invalid utf-8");
}

#[test]
fn programs_without_such_an_error_are_heard_too() {
    reads(
        "tar: a: Cannot write: No space left on device\ntar: Error is not recoverable: exiting now\n",
        Kind::NoSpace,
        "tar: a: Cannot write: No space left on device",
    );
    reads(
        "Traceback (most recent call last):\nImportError: libcudart.so.12: cannot open shared object file\n",
        Kind::Other,
        "ImportError: libcudart.so.12: cannot open shared object file",
    );
    reads(
        "an error: it is odd\nx: No such file (os error 2)\nbye\n",
        Kind::Other,
        "an error: it is odd: No such file",
    );
    reads("one\ntwo\n", Kind::Other, "two");
    for line in ["/x/pixi-unpack: 2: exec: uv: not found", "./x: not found", "'x' is not there"] {
        reads(&format!("{line}\n"), Kind::Other, line);
        reads(&format!("  ❌ {line}\n"), Kind::Other, line);
    }
    reads("", Kind::Other, "");
}
