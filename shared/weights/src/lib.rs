//! What model weights on disk are, and whether they are whole, read from their headers.
//!
//! Owns the headers of safetensors and GGUF files, what the files of a model folder are to each other, and what its
//! configuration says of its shape. No tensor is read, and no header makes us take more memory than a header may. Files are
//! opened with the rights that the calling thread has.
mod config;
mod folder;
mod gguf;
mod header;
mod hint;
mod index;
mod lfs_pointer;
mod listing;
mod loader;
mod model_folder;
mod part_name;
mod report;
pub mod rules;
mod safetensors;
mod support_files;
mod types;
mod weight_file;
mod weight_files;

pub use config::Shape;
pub use header::HEADER_BYTES;
pub use listing::{Listing, MANIFEST, ModelFile, SIGNATURE, is_model_file, list};
pub use loader::Loader;
pub use report::{Finding, Format, Report, Role, Totals};

use std::path::Path;

/// What the configuration of a model folder says of its shape; nothing where there is none that can be read.
#[must_use]
pub fn shape_of(folder: &Path) -> Shape {
    config::read(&folder.join("config.json"))
        .map_or_else(|_| Shape::default(), |config| config::shape(&config))
}

/// Look at a model file or a model folder. All that is wrong is found in one look.
#[must_use]
pub fn inspect(path: &Path, loader: Loader) -> Report {
    let mut report = Report::new(path);
    match owner::metadata(path) {
        Err(error) => {
            let said = failure::io_text(&error);
            match owner::read_link(path) {
                Ok(target) => {
                    let what = format!("it is a link to {}: {said}", target.display());
                    report.problem(rules::MODEL_UNREADABLE, "", what, hint::FOLLOW_LINKS_HINT);
                }
                Err(_) => {
                    let hint = "correct the path, or mount the model there";
                    report.problem(rules::MODEL_UNREADABLE, "", said, hint);
                }
            }
        }
        Ok(found) if found.is_dir() => model_folder::inspect(path, loader, &mut report),
        Ok(found) if found.is_file() => weight_files::inspect_file(path, found.len(), loader, &mut report),
        Ok(_) => report.problem(
            rules::MODEL_UNREADABLE,
            "",
            "it is neither a file nor a folder",
            "name the model's file or folder",
        ),
    }
    report
}
