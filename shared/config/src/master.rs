//! The `master` table: what holds for all instances of an engine.
use crate::problems::Problems;
use crate::value::{Place, Table};
use record::Engine;
use std::path::PathBuf;

/// The `master` table.
#[derive(Debug)]
pub struct Master {
    /// The engine is to run.
    pub enable: bool,
    /// The server of llama.cpp.
    pub llama_cpp_path: Option<PathBuf>,
    /// Where that stands.
    pub llama_cpp_place: Option<Place>,
    /// Where the engine is installed.
    pub project_dir: Option<PathBuf>,
    /// The environment of that install.
    pub pixi_environment: Option<String>,
    /// The interpreter, instead of the install's.
    pub python_path: Option<PathBuf>,
    /// The module that it runs, instead of the engine's own.
    pub module: Option<String>,
}

impl Master {
    /// What an empty table says.
    pub(crate) fn empty() -> Self {
        Self {
            enable: true,
            llama_cpp_path: None,
            llama_cpp_place: None,
            project_dir: None,
            pixi_environment: None,
            python_path: None,
            module: None,
        }
    }
}

pub(crate) fn read(table: &Table, engine: Engine, problems: &mut Problems<'_>) -> Master {
    let module_key = engine::of(engine).module.map(|(key, _)| key);
    let known = match module_key {
        None => vec!["enable", "llama_cpp_path"],
        Some(key) => {
            vec!["enable", "project_dir", "pixi_project_dir", "pixi_environment", "python_path", key]
        }
    };
    problems.only_known(Some("[master]"), table, &known);
    let mut path = |key| problems.path(table, "master", key);
    let llama_cpp_path = path("llama_cpp_path");
    let (project_dir, kept) = (path("project_dir"), path("pixi_project_dir"));
    let python_path = path("python_path");
    if let (Some(dir), Some(kept), Some(entry)) = (&project_dir, &kept, table.entry("pixi_project_dir"))
        && dir != kept
    {
        problems.at(entry.place, "master.pixi_project_dir and master.project_dir differ", None);
    }
    Master {
        enable: problems.flag(table, "master", "enable", true),
        llama_cpp_place: table.get("llama_cpp_path").map(|node| node.place),
        llama_cpp_path,
        project_dir: project_dir.or(kept),
        pixi_environment: problems.text(table, "master", "pixi_environment"),
        python_path,
        module: module_key.and_then(|key| problems.text(table, "master", key)),
    }
}
