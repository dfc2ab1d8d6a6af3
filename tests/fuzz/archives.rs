//! Archives: whatever they say, nothing is written outside of the install.
use super::SeededRng;
use super::{rounds, run, snapshot, tokens};
use crate::kit::Sandbox;
use serde_json::json;

/// Changes that are seen only behind a right checksum: each header of a tar gets one.
fn sum(tar: &mut [u8]) {
    for block in tar.chunks_exact_mut(512).filter(|block| &block[257..262] == b"ustar") {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    }
}

#[test]
fn archives_of_every_kind() {
    let sandbox = Sandbox::new();
    sandbox.script("good/bin/llama-server", "#!/bin/sh\necho served\n");
    sandbox.write("good/bin/libx.so", "not a library");
    sandbox.write(&format!("good/{}/x", "long/".repeat(30)), crate::isplit::noise(3000));
    let pack = "cd good; ln -s libx.so bin/liby.so; ln bin/libx.so bin/libz.so
        tar cf ../a.tar *; tar --format=pax -cf ../p.tar *; tar -czf ../a.tar.gz *; tar -cJf ../a.tar.xz *; tar --zstd -cf ../a.tar.zst *
        python3 -m zipfile -c ../a.zip bin long; cd ..; rm -r good";
    drop(sandbox.sh(pack).exits(0));
    let names = ["a.tar", "p.tar", "a.tar.gz", "a.tar.xz", "a.tar.zst", "a.zip"];
    let good: Vec<Vec<u8>> = names.iter().map(|name| std::fs::read(sandbox.path(name)).unwrap()).collect();
    let env = json!({"kind": "env", "engine": "llama-cpp", "workspace": sandbox.path("w"), "run_dir": sandbox.path("run"),
        "log_dir": sandbox.path("w/logs"), "install_dir": sandbox.path("home/a/b/llama"), "archive": sandbox.path("x.tar"),
        "origin": {}});
    let tokens = tokens(&[
        "../",
        "/etc/x",
        "../../../../x",
        "bin/llama-server",
        "ustar\0",
        "path=../../x\n",
        "PK\u{1}\u{2}",
    ]);
    sandbox.write("home/a/b/theirs", "theirs");
    // What was done is noted in the run directory.
    let elsewhere = || -> Vec<String> {
        let all = snapshot(&sandbox, "home/a/b/llama");
        all.lines().filter(|line| !line.starts_with("run")).map(str::to_owned).collect()
    };
    let mut seeded_rng = SeededRng::new();
    for round in 0..rounds(40, 1500) {
        // The plain ones get more: a compressed one hardly comes to be unpacked.
        let which = if seeded_rng.once_in(2) { seeded_rng.below(2) } else { seeded_rng.below(good.len()) };
        let other = seeded_rng.below(good.len());
        let mut bytes = seeded_rng.change(&good[which], &good[other], &tokens);
        if !seeded_rng.once_in(4) {
            sum(&mut bytes);
        }
        sandbox.write("x.tar", bytes);
        let before = elsewhere();
        let what = format!("round {round}, a changed {}", names[which]);
        run(&sandbox, "iinstall", format!("{env}\n").as_bytes(), &what).speaks(&what);
        assert_eq!(elsewhere(), before, "{what}: something was written elsewhere");
        drop(sandbox.sh("chmod -R u+rwX home/a; rm -rf home/a/b/llama").exits(0));
    }
}
