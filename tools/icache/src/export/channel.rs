//! A conda channel: `SUBDIR/NAME-VERSION-BUILD.conda`, and what is there in `SUBDIR/repodata.json`.
//!
//! The form of `.conda` is that of conda-package-handling: a zip, nothing in it compressed, of `metadata.json` and two
//! `.tar.zst`, one of the folder `info` and one of the rest.
use super::draft::{Draft, about, files, mode, publish, publish_text};
use lock::Conda;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use store::Entry;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// More than the index of any channel of one machine has.
const REPODATA_BYTES: usize = 256 << 20;
const ABOUT_BYTES: usize = 16 << 20;

/// Faster than what channels use, for a fifth more.
const LEVEL: i32 = 3;

/// What was packed, by subdir and file name.
#[derive(Default)]
pub(super) struct Channel {
    records: BTreeMap<String, Map<String, Value>>,
}

impl Channel {
    /// Pack one.
    pub(super) fn add(&mut self, dir: &Path, package: &Conda, entry: &Entry) -> io::Result<()> {
        let about = owner::read_file(&entry.folder.join("info/index.json"), ABOUT_BYTES)?;
        let mut record: Map<String, Value> = serde_json::from_slice(&about)?;
        let said = record.get("subdir").and_then(Value::as_str).map(str::to_owned);
        let subdir = package.subdir.clone().or(said).unwrap_or_else(|| "noarch".to_owned());
        let (stem, wanted) = (package.entry(), listed(entry)?);
        let name = format!("{stem}.conda");
        let packed =
            publish(&folder(dir, &subdir).join(&name), |file| pack(file, &stem, &entry.folder, &wanted))?;
        record.insert("subdir".to_owned(), json!(subdir));
        record.insert("sha256".to_owned(), json!(packed.sha256));
        record.insert("size".to_owned(), json!(packed.size_bytes));
        self.records.entry(subdir).or_default().insert(name, Value::Object(record));
        Ok(())
    }

    /// Write what is there, beside what was there and still is.
    pub(super) fn write(mut self, dir: &Path) -> io::Result<()> {
        self.records.entry("noarch".to_owned()).or_default();
        for (subdir, records) in self.records {
            let (folder, mut all) = (folder(dir, &subdir), BTreeMap::new());
            let path = folder.join("repodata.json");
            let before = match owner::read_file(&path, REPODATA_BYTES) {
                Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| about(&path, &error.into()))?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => Value::Null,
                Err(error) => return Err(about(&path, &error)),
            };
            let before = before.get("packages.conda").and_then(Value::as_object).cloned().unwrap_or_default();
            all.extend(before.into_iter().filter(|(name, _)| folder.join(name).is_file()));
            all.extend(records);
            let repodata = json!({
                "info": {"subdir": subdir}, "packages": {}, "packages.conda": all, "removed": [], "repodata_version": 1,
            });
            publish_text(&path, &serde_json::to_string_pretty(&repodata)?)?;
        }
        Ok(())
    }
}

fn folder(dir: &Path, subdir: &str) -> PathBuf {
    dir.join("channel").join(subdir)
}

/// What the package lists; `None` where it says so in the old way, and all counts.
fn listed(entry: &Entry) -> io::Result<Option<HashSet<PathBuf>>> {
    let listing = entry.paths_json()?;
    listing
        .map(|listing| Ok(listing.paths()?.into_iter().map(|it| PathBuf::from(it.path.as_ref())).collect()))
        .transpose()
}

fn pack(file: Draft, stem: &str, root: &Path, wanted: &Option<HashSet<PathBuf>>) -> io::Result<()> {
    let mut zip = ZipWriter::new(file);
    let plain = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(true);
    zip.start_file("metadata.json", plain)?;
    zip.write_all(br#"{"conda_pkg_format_version": 2}"#)?;
    let (info, rest): (Vec<_>, Vec<_>) = files(root)?.into_iter().partition(|path| path.starts_with("info"));
    let is_wanted = |path: &PathBuf| wanted.as_ref().is_none_or(|wanted| wanted.contains(path));
    let rest: Vec<_> = rest.into_iter().filter(is_wanted).collect();
    for (part, paths) in [("pkg", rest), ("info", info)] {
        zip.start_file(format!("{part}-{stem}.tar.zst"), plain)?;
        let encoder = zstd::stream::write::Encoder::new(&mut zip, LEVEL)?;
        let mut tar = tar::Builder::new(encoder);
        for path in paths {
            append(&mut tar, root, &path)?;
        }
        tar.into_inner()?.finish()?;
    }
    zip.finish()?;
    Ok(())
}

/// With nothing of who packs it, or when: the same package makes the same archive.
fn append(tar: &mut tar::Builder<impl Write>, root: &Path, path: &Path) -> io::Result<()> {
    let (full, mut header) = (root.join(path), tar::Header::new_gnu());
    if full.is_symlink() {
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_mode(0o777);
        header.set_size(0);
        return tar.append_link(&mut header, path, std::fs::read_link(&full)?);
    }
    let file = owner::open_file(&full)?;
    header.set_mode(mode(&file)?);
    header.set_size(file.metadata()?.len());
    tar.append_data(&mut header, path, file)
}
