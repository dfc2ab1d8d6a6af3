//! Lock files that are generated.
use super::same;
use crate::fuzz::{SeededRng, rounds};
use crate::kit::Sandbox;

/// A package: how an environment lists it, and what is written of it: what stands for itself after `|` may be left out.
const POOL: [&str; 19] = [
    "conda: https://x.invalid/forge/linux-64/a-1.0-h1_2.conda\n|sha256: 7F4a6846a62d6e645e29257845d9cbd8934e8d5f97d0ae988367f87885e9997f\n|size: 17\n|timestamp: 1760000000123\n|build_number: 7",
    "conda: https://x.invalid/forge/noarch/cuda-version-12.8-h5d125a7_3.conda\n|sha256: 7f4a6846a62d6e645e29257845d9cbd8934e8d5f97d0ae988367f87885e9997f\n|md5: 1bed3b89f16fe28946a6df9f8c66e909\n|timestamp: 1600000000",
    "conda: https://x.invalid/t/tk-1234/own/linux-64/C_d-3.0.tar-0.tar.bz2\n|name: c_d\n|md5: 1bed3b89f16fe28946a6df9f8c66e909",
    "conda: https://x.invalid/own-channel/e-1!2.0-cpu_mkl_hx.conda\nsubdir: linux-64\n|build: ''\n|depends:\n  - python >=3.11,<3.12.0a0",
    "conda: https://me:word@x.invalid:8443/forge/linux-aarch64/f-2024.1-py311_10.conda\n|version: 2024.1.0\n|build: other_5\n|subdir: noarch",
    "conda: ./local/g-2.0-hx_0.conda\nsubdir: linux-64\n|sha256: 7f4a6846a62d6e645e29257845d9cbd8934e8d5f97d0ae988367f87885e9997f",
    "conda: file:///opt/own%20channel/linux-64/h-3.0-0.tar.bz2\nsubdir: linux-64\n|size: 5",
    "conda_source: 'built[1a2b3c4d] @ ./built'\nversion: '1.0'\nbuild: h1_0\nsubdir: linux-64\n|depends:\n  - python",
    "pypi: https://x.invalid/Six_More-1.17.0-py2.py3-none-any.whl\nname: six-more\nversion: 1.17.0\n|sha256: 7F4A6846a62d6e645e29257845d9cbd8934e8d5f97d0ae988367f87885e9997f\n|md5: 1bed3b89f16fe28946a6df9f8c66e909\n|requires_dist:\n  - idna ; extra == 'all'\n|requires_python: '>=3.9'",
    "pypi: https://x.invalid/torch-2.9.1%2Bcu128-cp312-cp312-linux_x86_64.whl#sha256=00\nname: torch\nversion: 2.9.1+cu128\n|index: https://x.invalid/whl/cu128\n|sha256: 7f4a6846a62d6e645e29257845d9cbd8934e8d5f97d0ae988367f87885e9997f",
    "pypi: direct+https://x.invalid/direct-1.0-py3-none-any.whl\nname: direct\nversion: '1.0'",
    "pypi: https://x.invalid/source-1.0.tar.gz\nname: source\nversion: '1.0'\n|sha256: 7f4a6846a62d6e645e29257845d9cbd8934e8d5f97d0ae988367f87885e9997f",
    "pypi: direct+https://x.invalid/other_source-1.0.zip?a=b\nname: other-source\nversion: '1.0'",
    "pypi: git+https://x.invalid/checkout.git?rev=v1#0123456789abcdef0123456789abcdef01234567\nname: checkout",
    "pypi: git+ssh://git@x.invalid/over/ssh.git#0123456789abcdef0123456789abcdef01234567\nname: over-ssh",
    "pypi: ./folder\nname: folder",
    "pypi: ../up/wheel-1.0-py3-none-any.whl\nname: wheel\nversion: '1.0'\n|sha256: 7f4a6846a62d6e645e29257845d9cbd8934e8d5f97d0ae988367f87885e9997f",
    "pypi: /opt/wheels/far-1.0-py3-none-any.whl\nname: far\nversion: '1.0'",
    "pypi: file:///opt/own%20wheels/farther-1.0-py3-none-any.whl\nname: farther\nversion: '1.0'",
];

/// Platforms by name; those of version 7 may stand for another subdir.
const PLATFORMS: [(&str, &str); 5] = [
    ("linux-64", "linux-64"),
    ("gpu", "linux-64"),
    ("linux-64-cpu", "linux-64"),
    ("linux-aarch64", "linux-aarch64"),
    ("win-64", "win-64"),
];

/// A lock file of version 6 or 7 as nobody has seen it.
fn generated(seeded_rng: &mut SeededRng) -> String {
    let newest = seeded_rng.once_in(2);
    let fits = |(name, subdir): &&(&str, &str)| newest || name == subdir;
    let platforms: Vec<_> = PLATFORMS.iter().filter(fits).filter(|_| !seeded_rng.once_in(3)).collect();
    let of_version = |package: &&&str| newest || !package.starts_with("conda_source");
    let mut chosen: Vec<&str> = POOL.iter().filter(of_version).copied().collect();
    chosen.retain(|_| !seeded_rng.once_in(4));
    let mut text = format!("version: {}\n", if newest { 7 } else { 6 });
    if newest {
        text.push_str("platforms:\n");
        for (name, subdir) in &platforms {
            text.push_str(&format!("- name: {name}\n"));
            if name != subdir {
                text.push_str(&format!("  subdir: {subdir}\n  virtual-packages:\n  - __cuda=12.8\n"));
            }
        }
    }
    text.push_str("environments:\n");
    let head = |package: &str| package.lines().next().unwrap().to_owned();
    for environment in &["default", "cu128", "cpu-only"][..=seeded_rng.below(3)] {
        text.push_str(&format!("  {environment}:\n    channels:\n    - url: https://x.invalid/forge/\n"));
        text.push_str("    indexes:\n    - https://pypi.org/simple\n    packages:\n");
        for (name, _) in &platforms {
            let packages: Vec<String> = chosen
                .iter()
                .filter(|_| !seeded_rng.once_in(5))
                .map(|package| format!("      - {}\n", head(package)))
                .collect();
            let none = if packages.is_empty() { " []" } else { "" };
            text.push_str(&format!("      {name}:{none}\n{}", packages.concat()));
        }
    }
    text.push_str("packages:\n");
    for package in chosen {
        let mut kept = true;
        for line in package.lines() {
            // What is indented belongs to the line before.
            kept =
                if line.starts_with("  ") { kept } else { !line.starts_with('|') || seeded_rng.once_in(2) };
            let lead = if line == head(package) { "- " } else { "  " };
            if kept {
                text.push_str(&format!("{lead}{}\n", line.trim_start_matches('|')));
            }
        }
        if !newest && package.starts_with("pypi") && !package.contains("\nversion") {
            text.push_str("  version: '0.1'\n");
        }
    }
    text
}

#[test]
fn generated_locks_say_to_us_what_they_say_to_rattler() {
    let (sandbox, mut seeded_rng) = (Sandbox::new(), SeededRng::new());
    let mut paths = Vec::new();
    while paths.len() < usize::try_from(rounds(60, 1000)).unwrap() {
        let text = generated(&mut seeded_rng);
        let path = sandbox.write(&format!("{}.lock", paths.len()), &text);
        if text.contains("      - ") {
            paths.push(path);
        }
    }
    same(&paths);
}
