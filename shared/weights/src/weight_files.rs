//! The files of weights of one model, and whether they are all there.
use crate::gguf;
use crate::lfs_pointer::{GIT_LFS_HINT, LfsPointer};
use crate::part_name::{PartName, sibling_path};
use crate::report::{Format, Report, TotalsByType};
use crate::safetensors::{Header, NameCounts};
use crate::{Loader, Role, index, rules};
use rustix::fs::SeekFrom;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Holes that are smaller are those of a file system's blocks.
const HOLE_BYTES: u64 = 1 << 20;

pub(crate) const COPY_AGAIN_HINT: &str = "copy it again from where it is whole, and compare the hashes";
pub(crate) const FOLLOW_LINKS_HINT: &str = "copy the links' targets too: cp -L, rsync -L or tar -h";
pub(crate) const FETCH_AGAIN_HINT: &str = "bring it from where the model is whole";

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

/// The header of a file of weights, of whichever format.
pub(crate) trait WeightsHeader: Sized {
    /// Read it from a file of so many bytes.
    ///
    /// # Errors
    /// There is none, or it is damaged, in words.
    fn read(file: &File, size: u64) -> Result<Self, String>;

    /// What its tensors are.
    fn totals(&self) -> &TotalsByType;

    /// Where the bytes of the tensors begin in the file; or what is wrong with the header or with the file's size.
    fn data(&self) -> Result<u64, &str>;
}

/// One file of weights; its header where it has one.
pub(crate) fn inspect_part<H: WeightsHeader>(path: &Path, name: &str, report: &mut Report) -> Option<H> {
    let (file, size) = open(path, name, report)?;
    let header = match H::read(&file, size) {
        Ok(header) => header,
        Err(why) => {
            report.problem(rules::WEIGHTS_DAMAGED, name, why, COPY_AGAIN_HINT);
            return None;
        }
    };
    report.count(header.totals());
    match header.data() {
        Ok(data) => check_for_holes(&file, name, data, report),
        Err(why) => report.problem(rules::WEIGHTS_DAMAGED, name, why, COPY_AGAIN_HINT),
    }
    Some(header)
}

/// Open a file of weights, unless there is something else in its place.
fn open(path: &Path, name: &str, report: &mut Report) -> Option<(File, u64)> {
    let size = match owner::metadata(path) {
        Ok(found) => found.len(),
        Err(error) if owner::symlink_metadata(path).is_ok_and(|entry| entry.is_symlink()) => {
            let target = owner::read_link(path).unwrap_or_default();
            let what = format!("it is a link to {}: {}", target.display(), failure::io_text(&error));
            report.problem(rules::WEIGHTS_MISSING, name, what, FOLLOW_LINKS_HINT);
            return None;
        }
        Err(error) => {
            let rule = if error.kind() == std::io::ErrorKind::NotFound {
                rules::WEIGHTS_MISSING
            } else {
                rules::MODEL_UNREADABLE
            };
            report.problem(rule, name, failure::io_text(&error), FETCH_AGAIN_HINT);
            return None;
        }
    };
    if let Some(lfs_pointer) = LfsPointer::at(path, size) {
        report.problem(rules::WEIGHTS_POINTER, name, lfs_pointer.describe(), GIT_LFS_HINT);
        return None;
    }
    report.count_file(size);
    match owner::open_file(path) {
        Ok(file) => Some((file, size)),
        Err(error) => {
            report.problem(
                rules::MODEL_UNREADABLE,
                name,
                failure::io_text(&error),
                "let the user who serves read it",
            );
            None
        }
    }
}

/// Holes read as zeros: a copy that was cut off leaves them, and so do some file systems that compress.
fn check_for_holes(file: &File, name: &str, data: u64, report: &mut Report) {
    let Ok(found) = file.metadata() else { return };
    let on_disk = found.blocks().saturating_mul(512);
    if found.len().saturating_sub(on_disk) < HOLE_BYTES {
        return;
    }
    if rustix::fs::seek(file, SeekFrom::Hole(data)).is_ok_and(|hole| hole < found.len()) {
        let what = format!("{on_disk} of {} bytes are on the disk, the rest reads as zeros", found.len());
        report.warn(rules::WEIGHTS_SPARSE, name, what, "unless the file system compresses, copy it again");
    }
}

fn report_duplicates(seen: &mut NameCounts, number: usize, name: &str, header: &Header, report: &mut Report) {
    let twice = seen.note(u32::try_from(number).unwrap_or(u32::MAX), header);
    if twice > 0 {
        let what = format!("{twice} of its tensors are in another file too");
        report.warn(rules::WEIGHTS_DUPLICATE, name, what, "keep the files of one copy of the model only");
    }
}

/// The names of a file and of the other parts, where its name counts them.
pub(crate) fn siblings(name: &str) -> Vec<String> {
    match PartName::of(name) {
        Some(part) if part.count > 1 && part.count < 100_000 => {
            (1..=part.count).map(|number| part.name(number)).collect()
        }
        _ => vec![name.to_owned()],
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
