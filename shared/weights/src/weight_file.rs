//! One file of weights.
use crate::header::WeightsHeader;
use crate::hint::{COPY_AGAIN_HINT, FETCH_AGAIN_HINT, FOLLOW_LINKS_HINT};
use crate::lfs_pointer::{GIT_LFS_HINT, LfsPointer};
use crate::report::Report;
use crate::rules;
use rustix::fs::SeekFrom;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Holes that are smaller are those of a file system's blocks.
const HOLE_BYTES: u64 = 1 << 20;

/// Look at it; its header where it has one.
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
