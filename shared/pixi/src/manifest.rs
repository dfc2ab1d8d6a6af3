//! Which file of a workspace is pixi's manifest.
use failure::{Code, Failure};
use std::io;
use std::path::Path;

/// What pixi looks for first.
const PIXI: &str = "pixi.toml";
/// A Python project's own file, where it has tables for pixi.
const PYPROJECT: &str = "pyproject.toml";

/// As pixi finds it in a folder: `pixi.toml`, or `pyproject.toml` where only that is there and speaks of pixi.
#[must_use]
pub fn manifest_of(dir: &Path) -> &'static str {
    let speaks_of_pixi = |text: String| text.lines().any(|line| line.trim_start().starts_with("[tool.pixi"));
    let there = dir.join(PIXI).symlink_metadata().is_ok();
    let python = || std::fs::read_to_string(dir.join(PYPROJECT)).is_ok_and(speaks_of_pixi);
    if !there && python() { PYPROJECT } else { PIXI }
}

/// A template cannot be taken.
pub(crate) fn unusable(dir: &Path, path: &Path, error: &io::Error) -> Failure {
    let what = format!("cannot take the template {}", dir.display());
    let cause = format!("{}: {}", path.display(), failure::io_text(error));
    let failure = Failure::new(Code::Unmet, what, cause);
    match error.kind() {
        io::ErrorKind::NotFound => failure.hint(
            "a template is a folder that holds pixi.toml, or pyproject.toml with [tool.pixi], and pixi.lock",
        ),
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_python_projects_file_is_the_manifest_where_it_speaks_of_pixi_and_nothing_else_does() {
        let dir = std::env::temp_dir().join(format!("pixi-manifest-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.join(name), text).unwrap();
        assert_eq!(manifest_of(&dir), "pixi.toml");
        write("pyproject.toml", "[project]\nname = 'a'\n");
        assert_eq!(manifest_of(&dir), "pixi.toml");
        write("pyproject.toml", "[project]\nname = 'a'\n[tool.pixi.workspace]\nchannels = []\n");
        assert_eq!(manifest_of(&dir), "pyproject.toml");
        write("pixi.toml", "[workspace]\n");
        assert_eq!(manifest_of(&dir), "pixi.toml");
        std::fs::remove_dir_all(dir).unwrap();
    }
}
