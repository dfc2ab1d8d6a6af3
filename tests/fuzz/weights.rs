//! Headers of model files, given to imodel with no more memory than it may take for one.
use super::{SeededRng, rounds, run};
use crate::imodel::{Gguf, Tensors, with_a_number};
use crate::kit::Sandbox;

/// What a tool may take of the address space here, which is more than it takes of memory.
const SPACE_KIB: u64 = 128 << 10;
/// Files of one run.
const FILES: usize = 40;

/// Files whose headers are changed: few bytes behind them, so that most changes hit the header.
fn inputs() -> Vec<(&'static str, Vec<u8>)> {
    let whole = Gguf::tiny();
    let mut small = whole.clone();
    small.tensors.retain(|tensor| tensor.data.len() < 4096);
    let parts = small.split(2);
    let mut tensors = Tensors::of(&["a", "b"]);
    tensors.add("c", "F8_E4M3", &[3, 5], 15);
    vec![
        ("gguf", small.bytes()),
        ("gguf", whole.bytes()[..8192].to_vec()),
        ("gguf", parts[0].1.bytes()),
        ("safetensors", tensors.bytes()),
        ("safetensors", Tensors::of(&[]).bytes()),
    ]
}

#[test]
fn headers_of_models_make_imodel_take_no_memory() {
    let sandbox = Sandbox::new();
    let (mut seeded_rng, inputs) = (SeededRng::new(), inputs());
    let tokens = [
        "GGUF",
        "general.architecture",
        "split.count",
        "llama.block_count",
        "\"shape\":[",
        "[[[[",
        "\\ud800",
    ];
    for round in 0..rounds(8, 1000) {
        let mut names = Vec::new();
        for at in 0..FILES {
            let (format, input) = seeded_rng.one(&inputs).clone();
            let other = &seeded_rng.one(&inputs).1.clone();
            let mut bytes = seeded_rng.change(&input, other, &tokens);
            for _ in 0..seeded_rng.below(3) {
                with_a_number(&mut seeded_rng, &mut bytes, 4096);
            }
            let path = sandbox.write(&format!("{at}.{format}"), &bytes);
            // Behind the header is as much as a hostile one may claim.
            if seeded_rng.once_in(3) {
                let length = bytes.len() as u64 + *seeded_rng.one(&[1 << 16, 1 << 22, 1 << 26, 1 << 43]);
                let file = std::fs::File::options().write(true).open(path).unwrap();
                file.set_len(if seeded_rng.once_in(8) { length } else { length.min(1 << 22) }).unwrap();
            }
            names.push(format!("{at}.{format}"));
        }
        let line = format!("bash -c 'ulimit -v {SPACE_KIB}; exec imodel {}'", names.join(" "));
        let what = format!("round {round}, which is kept in {}", sandbox.text(""));
        let ran = run(&sandbox, &line, b"", &what);
        ran.speaks(&what);
        let models = String::from_utf8(ran.stdout)
            .unwrap()
            .lines()
            .filter(|line| line.contains("\"kind\":\"model\""))
            .count();
        assert_eq!((models, ran.code <= 1), (FILES, true), "{what}: {}", ran.stderr);
        names.iter().for_each(|name| std::fs::remove_file(sandbox.path(name)).unwrap());
    }
}
