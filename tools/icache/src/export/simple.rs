//! An index of wheels: `simple/NAME/WHEEL` and the pages that PEP 503 describes.
use super::draft::{Draft, files, mode, publish, publish_text, sha256_of};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// More than any METADATA has.
const METADATA_BYTES: usize = 16 << 20;

/// A wheel as the page shows it.
struct Wheel {
    sha256: String,
    /// `Requires-Python` of its METADATA.
    python: Option<String>,
}

/// What was packed, by normalised name and file name.
#[derive(Default)]
pub(super) struct Index {
    wheels: BTreeMap<String, BTreeMap<String, Wheel>>,
}

impl Index {
    /// Pack one.
    pub(super) fn add(&mut self, dir: &Path, package: &str, name: &str, archive: &Path) -> io::Result<()> {
        if name.contains('/') {
            return Err(io::Error::other(format!("{name} is not a wheel's name")));
        }
        let package = store::normalised(package);
        let packed = publish(&dir.join("simple").join(&package).join(name), |file| pack(file, archive))?;
        let wheel = Wheel { sha256: packed.sha256, python: requires_python(archive)? };
        self.wheels.entry(package).or_default().insert(name.to_owned(), wheel);
        Ok(())
    }

    /// Write the pages, with what other exports put there.
    pub(super) fn write(self, dir: &Path) -> io::Result<()> {
        let root = dir.join("simple");
        std::fs::create_dir_all(&root)?;
        for (package, mut wheels) in self.wheels {
            let folder = root.join(&package);
            for entry in std::fs::read_dir(&folder)? {
                let name = entry?.file_name().to_string_lossy().into_owned();
                if name.ends_with(".whl") && !name.starts_with('.') && !wheels.contains_key(&name) {
                    let sha256 = sha256_of(File::open(folder.join(&name))?)?;
                    wheels.insert(name, Wheel { sha256, python: None });
                }
            }
            let links = wheels.iter().map(|(name, wheel)| link(name, wheel));
            publish_text(&folder.join("index.html"), &page(links))?;
        }
        let mut packages = Vec::new();
        for entry in std::fs::read_dir(&root)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                packages.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        packages.sort();
        let links = packages.iter().map(|name| format!("<a href=\"{0}/\">{0}</a>", escaped(name)));
        publish_text(&root.join("index.html"), &page(links))
    }
}

fn page(links: impl Iterator<Item = String>) -> String {
    let body: String = links.map(|link| format!("{link}<br>\n")).collect();
    format!(
        "<!DOCTYPE html>\n<html><head><meta name=\"pypi:repository-version\" content=\"1.0\"></head><body>\n{body}</body></html>\n"
    )
}

fn link(name: &str, wheel: &Wheel) -> String {
    let python = wheel.python.as_ref();
    let python = python.map(|it| format!(" data-requires-python=\"{}\"", escaped(it))).unwrap_or_default();
    let (href, hash) = (utf8_percent_encode(name, ENCODED), &wheel.sha256);
    format!("<a href=\"{href}#sha256={hash}\"{python}>{}</a>", escaped(name))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// What a URL has as it is.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

fn requires_python(archive: &Path) -> io::Result<Option<String>> {
    let is_metadata = |path: &&PathBuf| {
        path.ends_with("METADATA")
            && path.components().count() == 2
            && path.to_string_lossy().contains(".dist-info/")
    };
    let Some(path) = files(archive)?.iter().find(is_metadata).cloned() else { return Ok(None) };
    let text = owner::read_file(&archive.join(path), METADATA_BYTES)?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let mut head = text.lines().take_while(|line| !line.is_empty());
    Ok(head.find_map(|line| Some(line.strip_prefix("Requires-Python:")?.trim().to_owned())))
}

/// The description comes last, as in all wheels.
fn pack(file: Draft, archive: &Path) -> io::Result<()> {
    let mut zip = ZipWriter::new(file);
    let mut paths = files(archive)?;
    let rank = |path: &PathBuf| {
        let described = path
            .components()
            .next()
            .is_some_and(|first| first.as_os_str().to_string_lossy().ends_with(".dist-info"));
        (described, described && path.ends_with("RECORD"))
    };
    paths.sort_by(|one, other| rank(one).cmp(&rank(other)).then_with(|| one.cmp(other)));
    for path in paths {
        let mut content = owner::open_file(&archive.join(&path))?;
        let large = content.metadata()?.len() > u64::from(u32::MAX) / 2;
        let options = SimpleFileOptions::default().unix_permissions(mode(&content)?).large_file(large);
        zip.start_file(path.to_string_lossy(), options)?;
        io::copy(&mut content, &mut zip)?;
    }
    zip.finish()?;
    Ok(())
}
