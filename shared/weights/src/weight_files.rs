//! The files of weights of one model, and whether they are all there.
use crate::gguf;
use crate::hint::{COPY_AGAIN_HINT, FETCH_AGAIN_HINT};
use crate::lfs_pointer::{GIT_LFS_HINT, LfsPointer};
use crate::part_name::{PartName, sibling_path};
use crate::report::{Format, Report};
use crate::safetensors::{Header, NameCounts};
use crate::weight_file::inspect_part;
use crate::{Loader, Role, index, rules};
use std::path::Path;

/// A path that leads to a file: one of weights, the first of several where its header says so.
pub(crate) fn inspect_file(path: &Path, size: u64, loader: Loader, report: &mut Report) {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension {
        "safetensors" => inspect_safetensors(&[name], path.parent().unwrap_or(Path::new("/")), report),
        "bin" | "pt" | "pth" => inspect_pickle(path, &name, size, report),
        "json" | "model" if loader.role == Role::Tokenizer => {}
        "gguf" => gguf::model::inspect(path, loader, report),
        _ if !loader.reads_folder || starts_with_gguf_magic(path) => {
            gguf::model::inspect(path, loader, report);
        }
        _ => report.problem(
            rules::MODEL_LAYOUT,
            "",
            "it is no file of weights",
            "name the model's folder, or a .gguf or .safetensors file",
        ),
    }
}

fn starts_with_gguf_magic(path: &Path) -> bool {
    use std::io::Read;
    let mut magic = [0; 4];
    owner::open_file(path).is_ok_and(|mut file| file.read_exact(&mut magic).is_ok()) && &magic == b"GGUF"
}

/// Files of safetensors without an index: all of them are the model.
pub(crate) fn inspect_safetensors(names: &[String], folder: &Path, report: &mut Report) {
    report.format = Format::Safetensors;
    let mut seen = NameCounts::default();
    for (number, name) in names.iter().enumerate() {
        if let Some(header) = inspect_part::<Header>(&folder.join(name), name, report) {
            report_duplicates(&mut seen, number, name, &header, report);
        }
    }
    missing_numbers(names, report);
}

/// Files of safetensors as an index names them.
pub(crate) fn inspect_index(path: &Path, name: &str, report: &mut Report) {
    report.format = Format::Safetensors;
    let index = match index::Index::read(path) {
        Ok(index) => index,
        Err(why) => return report.problem(rules::WEIGHTS_DAMAGED, name, why, COPY_AGAIN_HINT),
    };
    if index.files.is_empty() {
        return report.problem(rules::WEIGHTS_DAMAGED, name, "it names no tensor", COPY_AGAIN_HINT);
    }
    let mut seen = NameCounts::default();
    for (number, (shard, tensors)) in index.files.iter().enumerate() {
        if shard.is_empty() || shard.contains('/') {
            report.problem(
                rules::WEIGHTS_DAMAGED,
                name,
                "it names a file that is not in this folder",
                COPY_AGAIN_HINT,
            );
            continue;
        }
        let Some(header) = inspect_part::<Header>(&sibling_path(path, shard), shard, report) else {
            continue;
        };
        report_duplicates(&mut seen, number, shard, &header, report);
        let lacking: Vec<u64> = tensors.iter().copied().filter(|tensor| !header.has(*tensor)).collect();
        if let Some(first) = lacking.first() {
            let first = index::name_of(path, *first).unwrap_or_default();
            let what = match lacking.len() {
                1 => format!("it has no tensor {first}, which {name} says is in it"),
                count => format!("it lacks {count} tensors that {name} says are in it, {first} for one"),
            };
            report.problem(rules::WEIGHTS_MISSING, shard, what, COPY_AGAIN_HINT);
        }
    }
}

/// PyTorch's own files: their contents are a program, which is not run.
pub(crate) fn inspect_pickle(path: &Path, name: &str, size: u64, report: &mut Report) {
    report.format = Format::Pytorch;
    if let Some(lfs_pointer) = LfsPointer::at(path, size) {
        return report.problem(rules::WEIGHTS_POINTER, name, lfs_pointer.describe(), GIT_LFS_HINT);
    }
    report.count_file(size);
    if size == 0 {
        report.problem(rules::WEIGHTS_DAMAGED, name, "it is empty", COPY_AGAIN_HINT);
    }
}

fn report_duplicates(seen: &mut NameCounts, number: usize, name: &str, header: &Header, report: &mut Report) {
    let twice = seen.note(u32::try_from(number).unwrap_or(u32::MAX), header);
    if twice > 0 {
        let what = format!("{twice} of its tensors are in another file too");
        report.warn(rules::WEIGHTS_DUPLICATE, name, what, "keep the files of one copy of the model only");
    }
}

/// Parts whose numbers are missing, where the names count them.
pub(crate) fn missing_numbers(names: &[String], report: &mut Report) {
    let numbered: Vec<PartName> = names.iter().filter_map(|name| PartName::of(name)).collect();
    let mut done: Vec<&PartName> = Vec::new();
    for part in &numbered {
        if done.iter().any(|other| other.is_sibling(part)) {
            continue;
        }
        done.push(part);
        let has = |number: u64| numbered.iter().any(|other| other.is_sibling(part) && other.number == number);
        let first = u64::from(!has(0));
        let missing: Vec<u64> =
            (first..part.count + first).filter(|number| !has(*number)).take(1000).collect();
        for number in missing {
            report.problem(
                rules::WEIGHTS_MISSING,
                &part.name(number),
                "No such file or directory",
                FETCH_AGAIN_HINT,
            );
        }
    }
}
