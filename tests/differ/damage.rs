//! What may happen to a cache.
use crate::fuzz::SeededRng;
use crate::icache::pointer;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// The conda packages of the real cache: name and folder.
const CONDA: [(&str, &str); 3] = [
    ("python", "python-3.11.7-h0000000_0_cpython"),
    ("tinylib", "tinylib-1.0-h1111111_0"),
    ("cuda-version", "cuda-version-12.8-0"),
];

/// Its wheels: name, folder and pointer.
const WHEELS: [(&str, &str, &str); 3] = [
    ("idna", "ENvm99EfOFDt5WhM", "3.20-py3-none-any"),
    ("markupsafe", "ViOruWHKVarvW85q", "3.0.4-516d0c2242d49034"),
    ("six", "EaaBKbQ21Z4gSNhB", "1.17.0-py2.py3-none-any"),
];

/// What was done.
pub(super) struct Damage {
    pub(super) what: String,
    /// The packages that it was done to.
    pub(super) packages: Vec<&'static str>,
    /// It lies in a package, where only a deep pass looks.
    pub(super) inside: bool,
    /// It is in what the package says of itself, which a deep pass believes without a manifest.
    pub(super) listing: bool,
}

/// Do something to a cache; nothing, where what it was to be done to is not as it was any more.
pub(super) fn damage(seeded_rng: &mut SeededRng, cache: &Path) -> Option<Damage> {
    use io::ErrorKind::{InvalidData, IsADirectory, NotADirectory, NotFound, UnexpectedEof};
    let done = match seeded_rng.below(5) {
        0 | 1 => conda(seeded_rng, &cache.join("conda/rattler/pkgs")),
        2 | 3 => wheel(seeded_rng, &cache.join("pypi/uv")),
        _ => inside(seeded_rng, cache),
    };
    match done {
        Ok(damage) => Some(damage),
        Err(error)
            if [InvalidData, IsADirectory, NotADirectory, NotFound, UnexpectedEof]
                .contains(&error.kind()) =>
        {
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Another content for a file: another file, as this one may be a link to one that is to stay.
fn put(path: &Path, bytes: impl AsRef<[u8]>) -> io::Result<()> {
    let mode = fs::metadata(path)?.permissions();
    fs::remove_file(path)?;
    fs::write(path, bytes)?;
    fs::set_permissions(path, mode)
}

fn remove(path: &Path) -> io::Result<()> {
    if path.symlink_metadata()?.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

/// Somewhere else, with a link where it was.
fn move_away(path: &Path) -> io::Result<()> {
    let name = path.file_name().unwrap().to_str().unwrap();
    let away = path.ancestors().find(|above| above.ends_with("cache")).unwrap().join(format!("away-{name}"));
    if away.symlink_metadata().is_ok() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    fs::rename(path, &away)?;
    symlink(away, path)
}

fn dangle(path: &Path) -> io::Result<()> {
    remove(path)?;
    symlink("/nowhere", path)
}

fn swap(one: &Path, other: &Path) -> io::Result<()> {
    if one == other {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let aside = one.with_file_name("aside");
    other.symlink_metadata()?;
    fs::rename(one, &aside)?;
    fs::rename(other, one)?;
    fs::rename(&aside, other)
}

fn shorten(seeded_rng: &mut SeededRng, path: &Path) -> io::Result<()> {
    let bytes = fs::read(path)?;
    put(path, &bytes[..seeded_rng.below(bytes.len())])
}

fn flip(seeded_rng: &mut SeededRng, path: &Path) -> io::Result<String> {
    let mut bytes = fs::read(path)?;
    if bytes.is_empty() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let at = seeded_rng.below(bytes.len());
    bytes[at] ^= 1 << seeded_rng.below(8);
    put(path, bytes)?;
    Ok(format!("byte {at}"))
}

/// To a conda package's place in the cache, and what pixi looks at to find it.
fn conda(seeded_rng: &mut SeededRng, pkgs: &Path) -> io::Result<Damage> {
    let (name, entry) = *seeded_rng.one(&CONDA);
    let (folder, sidecar) = (pkgs.join(entry), pkgs.join(format!("{entry}.lock")));
    let info = folder.join("info").join(seeded_rng.one(&["index.json", "paths.json"]));
    let mut packages = vec![name];
    let which = seeded_rng.below(14);
    let mut detail = String::new();
    match which {
        0 => remove(&folder)?,
        1 => remove(&sidecar)?,
        2 => shorten(seeded_rng, &sidecar)?,
        3 => detail = flip(seeded_rng, &sidecar)?,
        4 => put(&sidecar, [fs::read(&sidecar)?, vec![0; 1 + seeded_rng.below(9)]].concat())?,
        5 => remove(&info)?,
        6 => shorten(seeded_rng, &info)?,
        7 | 8 => detail = change_field(seeded_rng, &folder.join("info/index.json"))?,
        9 => {
            remove(&folder)?;
            fs::create_dir(&folder)?;
        }
        10 => {
            let (other, place) = *seeded_rng.one(&CONDA);
            packages.push(other);
            swap(&folder, &pkgs.join(place))?;
        }
        11 => move_away(&folder)?,
        12 => move_away(&sidecar)?,
        _ => dangle(if seeded_rng.once_in(2) { &folder } else { &sidecar })?,
    }
    let listing = matches!(which, 5..=6);
    let what = format!("conda {which} {packages:?} {} {detail}", info.display());
    Ok(Damage { what, packages, inside: false, listing })
}

/// One field of a package's description is another, or gone.
fn change_field(seeded_rng: &mut SeededRng, path: &Path) -> io::Result<String> {
    let mut about: serde_json::Value = serde_json::from_slice(&fs::read(path)?)?;
    let fields = about.as_object_mut().ok_or(io::ErrorKind::InvalidData)?;
    let name =
        fields.keys().nth(seeded_rng.below(fields.len())).cloned().ok_or(io::ErrorKind::InvalidData)?;
    if seeded_rng.once_in(3) {
        fields.remove(&name);
    } else if let Some(field) = fields.get_mut(&name) {
        seeded_rng.change_value(field);
    }
    put(path, about.to_string())?;
    Ok(format!("{name}: {about}"))
}

/// To a wheel's pointer, or to the place that it points to.
fn wheel(seeded_rng: &mut SeededRng, uv: &Path) -> io::Result<Damage> {
    let (name, archive, key) = *seeded_rng.one(&WHEELS);
    let (other, other_archive, other_key) = *seeded_rng.one(&WHEELS);
    let place = |name, key| uv.join(format!("wheels-v6/pypi/{name}/{key}.http"));
    let (path, folder) = (place(name, key), uv.join("archive-v0").join(archive));
    let file = |name: &str| format!("{name}-1.0-py3-none-any.whl");
    let mut packages = vec![name];
    let which = seeded_rng.below(19);
    let mut detail = String::new();
    match which {
        0 => remove(&path)?,
        1 => shorten(seeded_rng, &path)?,
        2 | 3 => detail = flip_pointer(seeded_rng, &path)?,
        4 => rewrite(&path, |archive, _, wheel| pointer(archive, &[], wheel))?,
        5 => rewrite(&path, |_, hashes, wheel| pointer("AAAAAAAAAAAAAAAA", hashes, wheel))?,
        6 => rewrite(&path, |_, hashes, wheel| pointer(other_archive, hashes, wheel))?,
        7 => rewrite(&path, |archive, hashes, _| pointer(archive, hashes, &file(other)))?,
        8 => rewrite(&path, |archive, _, wheel| pointer(archive, &[("Sha256", &"0".repeat(64))], wheel))?,
        9 => rewrite(&path, |archive, hashes, wheel| {
            let both = [&[("Sha256", "00")], hashes].concat();
            pointer(archive, &both, wheel)
        })?,
        10 => remove(&folder)?,
        11 => {
            remove(&folder)?;
            fs::create_dir(&folder)?;
        }
        12 => move_away(&folder)?,
        13 => move_away(&path)?,
        14 => dangle(if seeded_rng.once_in(2) { &folder } else { &path })?,
        15 => put(&path, fs::read(place(other, other_key))?)?,
        16 => {
            packages.push(other);
            swap(&folder, &uv.join("archive-v0").join(other_archive))?;
        }
        17 => fs::rename(&path, path.with_file_name("1.0-py3-none-any.http"))?,
        _ => {
            packages = WHEELS.map(|(name, ..)| name).to_vec();
            let (from, into) = *seeded_rng.one(&[("wheels-v6", "wheels-v5"), ("archive-v0", "archive-v1")]);
            fs::rename(uv.join(from), uv.join(into))?;
        }
    }
    Ok(Damage {
        what: format!("wheel {which} {packages:?} {other} {detail}"),
        packages,
        inside: false,
        listing: false,
    })
}

/// Anywhere but in the policy: only uv can tell whether that is one.
fn flip_pointer(seeded_rng: &mut SeededRng, path: &Path) -> io::Result<String> {
    let mut bytes = fs::read(path)?;
    let length = bytes
        .last_chunk::<8>()
        .map(|length| u64::from_le_bytes(*length))
        .and_then(|it| usize::try_from(it).ok());
    let policy =
        length.and_then(|length| bytes.len().checked_sub(8 + length)).ok_or(io::ErrorKind::InvalidData)?;
    let at = seeded_rng.below(policy + 8);
    let at = if at < policy { at } else { at + bytes.len() - 8 - policy };
    bytes[at] ^= 1 << seeded_rng.below(8);
    put(path, bytes)?;
    Ok(format!("byte {at}"))
}

/// A pointer that says something else, with the policy that uv wrote.
fn rewrite(path: &Path, say: impl Fn(&str, &[(&str, &str)], &str) -> Vec<u8>) -> io::Result<()> {
    let bytes = fs::read(path)?;
    let said = store::Pointer::read(path).map_err(|_| io::ErrorKind::InvalidData)?;
    let hashes: Vec<(&str, &str)> =
        said.hashes.iter().map(|(kind, hex)| (kind.as_str(), hex.as_str())).collect();
    let length = bytes.last_chunk::<8>().map(|length| u64::from_le_bytes(*length)).unwrap();
    let policy = &bytes[bytes.len() - 8 - usize::try_from(length).unwrap()..];
    let mut pointer = say(&said.archive, &hashes, &said.wheel);
    pointer.truncate(pointer.len() - b"policy".len() - 8);
    put(path, [&pointer, policy].concat())
}

/// To a file in a package.
fn inside(seeded_rng: &mut SeededRng, cache: &Path) -> io::Result<Damage> {
    let conda = CONDA.map(|(name, entry)| (name, cache.join("conda/rattler/pkgs").join(entry)));
    let wheels = WHEELS.map(|(name, archive, _)| (name, cache.join("pypi/uv/archive-v0").join(archive)));
    let places = [conda, wheels].concat();
    let (name, folder) = seeded_rng.one(&places);
    let mut files = Vec::new();
    walk(folder, &mut files)?;
    files.sort();
    if files.is_empty() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let path = seeded_rng.one(&files).clone();
    let was_link = path.is_symlink();
    // Root may read what nobody may.
    let which = seeded_rng.below(if rustix::process::geteuid().is_root() { 7 } else { 8 });
    let mut detail = String::new();
    match which {
        0 => detail = flip(seeded_rng, &path)?,
        1 => remove(&path)?,
        2 => shorten(seeded_rng, &path)?,
        3 => fs::write(path.with_file_name("added.py"), "")?,
        4 => move_away(&path)?,
        5 => dangle(&path)?,
        6 => {
            remove(&path)?;
            fs::create_dir(&path)?;
        }
        _ => {
            put(&path, fs::read(&path)?)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o000))?;
        }
    }
    let lists = ["info/paths.json", "info/index.json", "RECORD"];
    // paths.json does not say where a link points.
    let listing = was_link || lists.iter().any(|list| path.ends_with(list));
    let what = format!("inside {which} {} {detail}", path.display());
    Ok(Damage { what, packages: vec![name], inside: true, listing })
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.symlink_metadata()?.is_dir() { walk(&path, files)? } else { files.push(path) }
    }
    Ok(())
}
