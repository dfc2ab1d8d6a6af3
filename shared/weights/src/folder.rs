//! A model folder: which of its files are the model.
use crate::pointer::{FETCH, Pointer};
use crate::report::{Format, Report};
use crate::set::{BRING, COPY, look_at_index, look_at_pickle, look_at_tensors, missing_numbers};
use crate::{Asked, Role, config, index, rules, side};
use owner::Dir;
use std::path::{Path, PathBuf};

/// More entries than that are no model folder.
const ENTRIES: usize = 100_000;
/// So many folders are looked into where none was named.
const FOLDERS: usize = 100;
/// How names of weights end.
const WEIGHTS: [&str; 3] = [".safetensors", ".gguf", ".bin"];

/// Look at a folder.
pub(crate) fn look(path: &Path, asked: Asked, report: &mut Report) {
    let names = match Dir::open(path).and_then(|dir| dir.names()) {
        Ok(names) => names,
        Err(error) => {
            let hint = "let the user who serves read the folder";
            return report.problem(rules::MODEL_UNREADABLE, "", failure::io_text(&error), hint);
        }
    };
    let names = names.into_iter().filter_map(|name| name.into_string().ok()).take(ENTRIES);
    let folder = Folder { path, names: names.collect() };
    if folder.has("snapshots") && (folder.has("blobs") || folder.has("refs")) && !folder.has("config.json") {
        return folder.is_a_cache(report);
    }
    if let Some(inner) = folder.holds_a_model() {
        let what = format!("there are no weights in it; those of {} may be meant", inner.display());
        return report.problem(rules::MODEL_LAYOUT, "", what, "name the model's own folder");
    }
    folder.look_for_leftovers(report);
    folder.read_config(asked, report);
    if asked.role != Role::Tokenizer {
        folder.look_at_weights(asked, report);
    }
    side::look(&folder, asked, report);
}

/// A folder and what is in it.
pub(crate) struct Folder<'a> {
    pub(crate) path: &'a Path,
    /// Sorted.
    pub(crate) names: Vec<String>,
}

impl Folder<'_> {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.binary_search_by(|other| other.as_str().cmp(name)).is_ok()
    }

    fn ending(&self, end: &str) -> Vec<String> {
        let hidden = |name: &str| name.starts_with('.');
        self.names.iter().filter(|name| name.ends_with(end) && !hidden(name)).cloned().collect()
    }

    /// Where this folder holds no file of a model, but a folder that does: that one.
    fn holds_a_model(&self) -> Option<PathBuf> {
        let is_of_model = |name: &String| {
            name == "config.json"
                || WEIGHTS.iter().any(|end| name.ends_with(end))
                || owner::is_file(self.path.join(name))
        };
        if self.names.iter().any(is_of_model) {
            return None;
        }
        let visible = self.names.iter().filter(|name| !name.starts_with('.')).take(FOLDERS);
        let inner = |name: &String| {
            let path = self.path.join(name);
            let names = Dir::open(&path).and_then(|dir| dir.names()).unwrap_or_default();
            let has = |end: &str| names.iter().any(|name| name.to_string_lossy().ends_with(end));
            (has("snapshots") || WEIGHTS.iter().any(|end| has(end))).then_some(path)
        };
        visible.into_iter().find_map(inner)
    }

    /// A folder of the hub's cache, in which a snapshot would be the model.
    fn is_a_cache(&self, report: &mut Report) {
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
    fn look_for_leftovers(&self, report: &mut Report) {
        let here = self.names.iter().filter(|name| name.ends_with(".incomplete") || name.ends_with(".part"));
        for name in here {
            report.remark(
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
                report.remark(rules::WEIGHTS_LEFTOVER, "", what, "fetch the model again, or remove them");
            }
        }
    }

    fn read_config(&self, asked: Asked, report: &mut Report) {
        let name = if asked.role == Role::Lora { "adapter_config.json" } else { "config.json" };
        let path = self.path.join(name);
        // One that is not there is for what is needed beside the weights.
        if !self.has(name) {
            return;
        }
        let size = owner::metadata(&path).map_or(0, |found| found.len());
        if let Some(pointer) = Pointer::at(&path, size) {
            return report.problem(rules::WEIGHTS_POINTER, name, pointer.words(), FETCH);
        }
        match config::read(&path) {
            Ok(config) => report.shape = config::shape(&config),
            Err(why) => report.problem(rules::MODEL_FILES, name, why, COPY),
        }
    }

    fn look_at_weights(&self, asked: Asked, report: &mut Report) {
        let weights = self.ending(".safetensors");
        let indices = self.ending(".safetensors.index.json");
        let main = "model.safetensors.index.json".to_owned();
        let index = if indices.contains(&main) { Some(&main) } else { indices.first() };
        let (pickles, ggufs) = (self.ending(".bin"), self.ending(".gguf"));
        if let Some(index) = index.filter(|_| !weights.is_empty() || pickles.is_empty()) {
            look_at_index(&self.path.join(index), index, report);
        } else if !weights.is_empty() {
            look_at_tensors(&weights, self.path, report);
        } else if !ggufs.is_empty() {
            self.look_at_ggufs(&ggufs, asked, report);
        } else if self.look_at_pickles(&pickles, report) {
            let what = "its weights are PyTorch's, which are not looked into";
            report.remark(rules::WEIGHTS_UNCHECKED, "", what, "only a load tells whether they are whole");
        } else {
            report.problem(rules::WEIGHTS_MISSING, "", "there are no weights in it", BRING);
        }
    }

    /// Whether there are any.
    fn look_at_pickles(&self, pickles: &[String], report: &mut Report) -> bool {
        let mut names: Vec<String> = pickles.iter().filter(|name| !is_side_file(name)).cloned().collect();
        names.extend(self.ending(".pt").into_iter().chain(self.ending(".pth")));
        let index = "pytorch_model.bin.index.json";
        if self.has(index) {
            match index::Index::read(&self.path.join(index)) {
                Ok(read) => names = read.files.into_keys().filter(|name| !name.contains('/')).collect(),
                Err(why) => report.problem(rules::WEIGHTS_DAMAGED, index, why, COPY),
            }
        }
        for name in &names {
            let path = self.path.join(name);
            match owner::metadata(&path) {
                Ok(found) => look_at_pickle(&path, name, found.len(), report),
                Err(error) => {
                    report.format = Format::Pytorch;
                    report.problem(rules::WEIGHTS_MISSING, name, failure::io_text(&error), BRING);
                }
            }
        }
        missing_numbers(&names, report);
        !names.is_empty()
    }

    /// The models of a folder of GGUF files: each set by its first part.
    fn look_at_ggufs(&self, names: &[String], asked: Asked, report: &mut Report) {
        missing_numbers(names, report);
        let first = |name: &&String| crate::split::Numbered::of(name).is_none_or(|part| part.number == 1);
        for name in names.iter().filter(first) {
            // What each is for is not known here.
            let role = if name.starts_with("mmproj") { Role::Mmproj } else { asked.role };
            crate::gguf::set::look(&self.path.join(name), Asked { role, ..asked }, report);
        }
    }
}

/// Files that are named as weights are, and are none.
fn is_side_file(name: &str) -> bool {
    ["training_args.bin", "optimizer.bin", "scheduler.bin", "random_states.bin"].contains(&name)
}
