//! A model folder: which of its files are the model.
use crate::folder::Folder;
use crate::hint::{COPY_AGAIN_HINT, FETCH_AGAIN_HINT};
use crate::lfs_pointer::{GIT_LFS_HINT, LfsPointer};
use crate::report::{Format, Report};
use crate::weight_files::{inspect_index, inspect_pickle, inspect_safetensors, missing_numbers};
use crate::{Loader, Role, config, index, rules, support_files};
use owner::Dir;
use std::path::{Path, PathBuf};

/// More entries than that are no model folder.
const MAX_ENTRIES: usize = 100_000;
/// So many folders are looked into where none was named.
const MAX_FOLDERS: usize = 100;
/// How names of weights end.
const WEIGHTS: [&str; 3] = [".safetensors", ".gguf", ".bin"];

/// Look at a folder.
pub(crate) fn inspect(path: &Path, loader: Loader, report: &mut Report) {
    let names = match Dir::open(path).and_then(|dir| dir.names()) {
        Ok(names) => names,
        Err(error) => {
            let hint = "let the user who serves read the folder";
            return report.problem(rules::MODEL_UNREADABLE, "", failure::io_text(&error), hint);
        }
    };
    let names = names.into_iter().filter_map(|name| name.into_string().ok()).take(MAX_ENTRIES);
    let folder = Folder { path, names: names.collect() };
    if folder.has("snapshots") && (folder.has("blobs") || folder.has("refs")) && !folder.has("config.json") {
        return folder.report_hub_cache(report);
    }
    if let Some(inner) = folder.find_model_below() {
        let what = format!("there are no weights in it; those of {} may be meant", inner.display());
        return report.problem(rules::MODEL_LAYOUT, "", what, "name the model's own folder");
    }
    folder.check_for_leftovers(report);
    folder.read_config(loader, report);
    if loader.role != Role::Tokenizer {
        folder.inspect_weights(loader, report);
    }
    support_files::inspect(&folder, loader, report);
}

impl Folder<'_> {
    /// Where this folder holds no file of a model, but a folder that does: that one.
    fn find_model_below(&self) -> Option<PathBuf> {
        let is_model_file = |name: &String| {
            name == "config.json"
                || WEIGHTS.iter().any(|end| name.ends_with(end))
                || owner::is_file(self.path.join(name))
        };
        if self.names.iter().any(is_model_file) {
            return None;
        }
        let visible = self.names.iter().filter(|name| !name.starts_with('.')).take(MAX_FOLDERS);
        let inner = |name: &String| {
            let path = self.path.join(name);
            let names = Dir::open(&path).and_then(|dir| dir.names()).unwrap_or_default();
            let has = |end: &str| names.iter().any(|name| name.to_string_lossy().ends_with(end));
            (has("snapshots") || WEIGHTS.iter().any(|end| has(end))).then_some(path)
        };
        visible.into_iter().find_map(inner)
    }

    /// A folder of the hub's cache, in which a snapshot would be the model.
    fn report_hub_cache(&self, report: &mut Report) {
        let snapshots =
            Dir::open(&self.path.join("snapshots")).and_then(|dir| dir.names()).unwrap_or_default();
        let main = owner::read_file(&self.path.join("refs/main"), 4096).unwrap_or_default();
        let main = String::from_utf8_lossy(&main).trim().to_owned();
        let named = snapshots.iter().filter_map(|name| name.to_str());
        let best = named.clone().find(|name| *name == main).or_else(|| named.clone().next());
        let what = match best {
            Some(best) => format!(
                "it is a folder of the hub's cache, and no model; the model is {}",
                self.path.join("snapshots").join(best).display()
            ),
            None => "it is a folder of the hub's cache, with no snapshot in it".to_owned(),
        };
        report.problem(rules::MODEL_LAYOUT, "", what, "name the folder below snapshots");
    }

    /// What interrupted downloads have left. The model may be whole all the same.
    fn check_for_leftovers(&self, report: &mut Report) {
        let here = self.names.iter().filter(|name| name.ends_with(".incomplete") || name.ends_with(".part"));
        for name in here {
            report.warn(
                rules::WEIGHTS_LEFTOVER,
                name,
                "a download was interrupted",
                "fetch the model again, or remove it",
            );
        }
        for (folder, below) in
            [(".cache/huggingface/download", self.path.to_owned()), ("blobs", self.path.join("../.."))]
        {
            let names = Dir::open(&below.join(folder)).and_then(|dir| dir.names()).unwrap_or_default();
            let left = names.iter().filter(|name| name.to_string_lossy().ends_with(".incomplete")).count();
            if left > 0 {
                let what = format!("{left} interrupted downloads are in {folder}");
                report.warn(rules::WEIGHTS_LEFTOVER, "", what, "fetch the model again, or remove them");
            }
        }
    }

    fn read_config(&self, loader: Loader, report: &mut Report) {
        let name = if loader.role == Role::Lora { "adapter_config.json" } else { "config.json" };
        let path = self.path.join(name);
        // One that is not there is for what is needed beside the weights.
        if !self.has(name) {
            return;
        }
        let size = owner::metadata(&path).map_or(0, |found| found.len());
        if let Some(lfs_pointer) = LfsPointer::at(&path, size) {
            return report.problem(rules::WEIGHTS_POINTER, name, lfs_pointer.describe(), GIT_LFS_HINT);
        }
        match config::read(&path) {
            Ok(config) => report.shape = config::shape(&config),
            Err(why) => report.problem(rules::MODEL_FILES, name, why, COPY_AGAIN_HINT),
        }
    }

    fn inspect_weights(&self, loader: Loader, report: &mut Report) {
        let weights = self.names_ending_with(".safetensors");
        let indices = self.names_ending_with(".safetensors.index.json");
        let main = "model.safetensors.index.json".to_owned();
        let index = if indices.contains(&main) { Some(&main) } else { indices.first() };
        let (pickles, ggufs) = (self.names_ending_with(".bin"), self.names_ending_with(".gguf"));
        if let Some(index) = index.filter(|_| !weights.is_empty() || pickles.is_empty()) {
            inspect_index(&self.path.join(index), index, report);
        } else if !weights.is_empty() {
            inspect_safetensors(&weights, self.path, report);
        } else if !ggufs.is_empty() {
            self.inspect_ggufs(&ggufs, loader, report);
        } else if self.inspect_pickles(&pickles, report) {
            let what = "its weights are PyTorch's, which are not looked into";
            report.warn(rules::WEIGHTS_UNCHECKED, "", what, "only a load shows whether they are whole");
        } else {
            report.problem(rules::WEIGHTS_MISSING, "", "there are no weights in it", FETCH_AGAIN_HINT);
        }
    }

    /// Whether there are any.
    fn inspect_pickles(&self, pickles: &[String], report: &mut Report) -> bool {
        let mut names: Vec<String> = pickles.iter().filter(|name| !is_side_file(name)).cloned().collect();
        names.extend(self.names_ending_with(".pt").into_iter().chain(self.names_ending_with(".pth")));
        let index = "pytorch_model.bin.index.json";
        if self.has(index) {
            match index::Index::read(&self.path.join(index)) {
                Ok(read) => names = read.files.into_keys().filter(|name| !name.contains('/')).collect(),
                Err(why) => report.problem(rules::WEIGHTS_DAMAGED, index, why, COPY_AGAIN_HINT),
            }
        }
        for name in &names {
            let path = self.path.join(name);
            match owner::metadata(&path) {
                Ok(found) => inspect_pickle(&path, name, found.len(), report),
                Err(error) => {
                    report.format = Format::Pytorch;
                    report.problem(rules::WEIGHTS_MISSING, name, failure::io_text(&error), FETCH_AGAIN_HINT);
                }
            }
        }
        missing_numbers(&names, report);
        !names.is_empty()
    }

    /// The models of a folder of GGUF files: each set by its first part.
    fn inspect_ggufs(&self, names: &[String], loader: Loader, report: &mut Report) {
        missing_numbers(names, report);
        let first = |name: &&String| crate::part_name::PartName::of(name).is_none_or(|part| part.number == 1);
        for name in names.iter().filter(first) {
            // What each is for is not known here.
            let role = if name.starts_with("mmproj") { Role::Mmproj } else { loader.role };
            crate::gguf::model::inspect(&self.path.join(name), Loader { role, ..loader }, report);
        }
    }
}

/// Files that are named as weights are, and are none.
fn is_side_file(name: &str) -> bool {
    ["training_args.bin", "optimizer.bin", "scheduler.bin", "random_states.bin"].contains(&name)
}
