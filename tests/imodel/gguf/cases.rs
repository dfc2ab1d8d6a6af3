//! Files that are whole, and one for each damage.
use super::super::pointer;
use super::{Damaged, Files, Gguf, Parts, Tensor, changed, text};

/// Valid files, by name.
pub(in crate::imodel) fn valid() -> Vec<(&'static str, Vec<u8>)> {
    let aligned = |file: &mut Gguf| {
        file.alignment = 64;
        file.set("general.alignment", 4, &64_u32.to_le_bytes());
    };
    vec![
        ("version 3", Gguf::tiny().bytes()),
        ("version 2", changed(|file| file.version = 2)),
        ("another alignment", changed(aligned)),
        (
            "more keys",
            changed(|file| file.set("x.list", 9, &[&[4, 0, 0, 0, 2], &[0; 7][..], &[1; 8]].concat())),
        ),
        ("bytes behind", [Gguf::tiny().bytes(), vec![7; 100]].concat()),
    ]
}

/// Damaged files: by name, with what is said of each.
pub(in crate::imodel) fn damaged() -> Vec<Damaged> {
    [damaged_bytes(), damaged_entries()].concat()
}

/// What a copy does to a file, and files of other kinds.
fn damaged_bytes() -> Vec<Damaged> {
    let whole = Gguf::tiny().bytes();
    let cut = |length: usize| whole[..length].to_vec();
    let put = |at: usize, bytes: &[u8]| {
        let mut changed = whole.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        changed
    };
    vec![
        ("empty", Vec::new(), "it is empty"),
        ("a pointer", pointer(whole.len() as u64).into_bytes(), "git-lfs pointer to"),
        ("magic alone", cut(4), "ends within its header"),
        ("cut in the keys", cut(200), "ends within its header"),
        ("cut in the data", cut(whole.len() / 2), "bytes are missing"),
        ("cut by one page", cut(whole.len() - 4096), "4096 bytes are missing"),
        ("cut by one byte", cut(whole.len() - 1), "1 bytes are missing"),
        ("another magic", put(0, b"GGML"), "it is no GGUF file"),
        ("version 0", put(4, &[0; 4]), "GGUF version 0"),
        ("version 1", put(4, &1_u32.to_le_bytes()), "GGUF version 1"),
        ("version 9", put(4, &9_u32.to_le_bytes()), "GGUF version 9"),
        ("the other byte order", put(4, &3_u32.to_be_bytes()), "the order of another machine"),
        ("more tensors than bytes", put(8, &u64::MAX.to_le_bytes()), "damaged"),
        ("more keys than bytes", put(16, &(u64::MAX / 2).to_le_bytes()), "damaged"),
        ("a key without end", put(24, &u64::MAX.to_le_bytes()), "ends within its header"),
    ]
}

/// What the header says, and cannot.
fn damaged_entries() -> Vec<Damaged> {
    let tensor = |change: fn(&mut Tensor)| changed(|file| change(&mut file.tensors[1]));
    vec![
        ("a key of the unknown type", changed(|file| file.set("x", 77, &[0; 8])), "of the type 77"),
        (
            "a list of lists",
            changed(|file| file.set("x", 9, &[9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])),
            "of the type 9",
        ),
        ("an empty key", changed(|file| file.set("", 0, &[0])), "a key is empty"),
        ("a key twice", changed(|file| file.pairs.push(file.pairs[0].clone())), "is there twice"),
        (
            "an alignment of three",
            changed(|file| file.set("general.alignment", 4, &[3, 0, 0, 0])),
            "no power of two",
        ),
        ("no architecture", changed(|file| file.unset("general.architecture")), "no general.architecture"),
        ("no layers", changed(|file| file.unset("llama.block_count")), "no llama.block_count"),
        (
            "one tensor less than said",
            changed(|file| file.counts = Some((13, file.pairs.len() as u64))),
            "damaged",
        ),
        (
            "a tensor twice",
            changed(|file| file.tensors[2].name = file.tensors[1].name.clone()),
            "is there twice",
        ),
        ("a long name", tensor(|tensor| tensor.name = vec![b'x'; 64]), "too long a name"),
        ("five dimensions", tensor(|tensor| tensor.dimensions = vec![1; 5]), "has 5 dimensions"),
        ("a negative dimension", tensor(|tensor| tensor.dimensions = vec![u64::MAX]), "more elements"),
        ("a type that was removed", tensor(|tensor| tensor.kind = 4), "which llama.cpp has removed"),
        (
            "rows that are no blocks",
            tensor(|tensor| {
                tensor.kind = 2;
                tensor.dimensions = vec![33];
            }),
            "no blocks of Q4_0",
        ),
        ("a tensor elsewhere", tensor(|tensor| tensor.offset = Some(1 << 40)), "where it cannot be"),
        ("a tensor out of line", tensor(|tensor| tensor.offset = Some(1)), "where it cannot be"),
        ("no tensors", changed(|file| file.tensors.clear()), "it has no tensors"),
        (
            "a projector",
            changed(|file| file.set("general.architecture", 8, &text(b"clip"))),
            "it is a projector for images",
        ),
    ]
}

/// Split models, whole (`None`) and damaged, each as files of a folder of its own; the first file is the one to load.
pub(in crate::imodel) fn splits() -> Vec<(&'static str, Files, Option<&'static str>)> {
    let parts = Gguf::tiny().split(3);
    let bytes = |parts: &[(String, Gguf)]| -> Files {
        parts.iter().map(|(name, part)| (name.clone(), part.bytes())).collect()
    };
    let changed = |change: &dyn Fn(&mut Parts)| {
        let mut changed = parts.clone();
        change(&mut changed);
        bytes(&changed)
    };
    let mut short = bytes(&parts);
    let length = short[2].1.len();
    short[2].1.truncate(length - 1);
    let second_first = [parts[1].clone(), parts[0].clone(), parts[2].clone()];
    vec![
        ("three parts", bytes(&parts), None),
        ("the last is missing", bytes(&parts[..2]), Some("m-00003-of-00003.gguf: No such file")),
        ("the last is short", short, Some("m-00003-of-00003.gguf: 1 bytes are missing")),
        ("the second is loaded", bytes(&second_first), Some("it is part 2 of 3")),
        ("renamed", changed(&|parts| parts[0].0 = "renamed.gguf".into()), Some("its name does not say so")),
        (
            "two change places",
            changed(&|parts| {
                let name = parts[1].0.clone();
                parts[1].0 = parts[2].0.clone();
                parts[2].0 = name;
            }),
            Some("its header says that it is part 3"),
        ),
        (
            "a tensor in two parts",
            changed(&|parts| {
                let twice = parts[0].1.tensors[0].clone();
                parts[1].1.tensors.push(twice);
            }),
            Some("1 of its tensors are in another part too"),
        ),
        (
            "a part lacks a tensor",
            changed(&|parts| drop(parts[1].1.tensors.pop())),
            Some("the parts have 11 tensors, and 12 are right"),
        ),
        (
            "a count of the wrong type",
            changed(&|parts| parts[0].1.set("split.count", 4, &[3, 0, 0, 0])),
            Some("split.count is of the wrong type"),
        ),
    ]
}
