//! Where the dynamic loader of this machine finds libraries: its cache, and the folders that it knows without one.
use std::collections::HashMap;
use std::path::{Path, PathBuf};

const CACHE: &str = "/etc/ld.so.cache";
/// Ten thousand libraries have 2 MiB in it.
const CACHE_BYTES: usize = 64 << 20;
const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
/// Bytes of the cache's header and of one of its entries.
const HEADER: usize = 48;
const ENTRY: usize = 24;

#[cfg(target_arch = "x86_64")]
const FOLDERS: [&str; 6] =
    ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"];
#[cfg(target_arch = "aarch64")]
const FOLDERS: [&str; 6] =
    ["/lib/aarch64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"];

/// The machine's libraries.
#[derive(Debug)]
pub struct System {
    cached: HashMap<Vec<u8>, Vec<PathBuf>>,
    folders: Vec<PathBuf>,
}

impl System {
    /// This machine's. `library_path` is `LD_LIBRARY_PATH`, which the server inherits.
    #[must_use]
    pub fn here(library_path: Option<&str>) -> Self {
        let cached = owner::read_file(Path::new(CACHE), CACHE_BYTES)
            .ok()
            .and_then(|bytes| read_cache(&bytes))
            .unwrap_or_default();
        let own = library_path.unwrap_or_default().split(':').filter(|folder| !folder.is_empty());
        let folders = own.chain(FOLDERS).map(PathBuf::from).collect();
        Self { cached, folders }
    }

    /// Files of this name, in no order: any that fits will do.
    pub fn candidates(&self, name: &str) -> impl Iterator<Item = PathBuf> {
        let cached = self.cached.get(name.as_bytes()).into_iter().flatten().cloned();
        cached.chain(self.folders.iter().map(move |folder| folder.join(name)))
    }
}

/// glibc's format, alone or behind the older one.
fn read_cache(bytes: &[u8]) -> Option<HashMap<Vec<u8>, Vec<PathBuf>>> {
    let start = bytes.windows(MAGIC.len()).position(|window| window == MAGIC)?;
    let bytes = &bytes[start..];
    let number = |at: usize| {
        let field = bytes.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_ne_bytes(field)).ok()
    };
    let text = |at: usize| Some(bytes.get(at..)?.split(|byte| *byte == 0).next()?.to_vec());
    let mut cached: HashMap<Vec<u8>, Vec<PathBuf>> = HashMap::new();
    for index in 0..number(MAGIC.len())? {
        let entry = HEADER + index * ENTRY;
        let (name, path) = (text(number(entry + 4)?)?, text(number(entry + 8)?)?);
        let path = Path::new(&String::from_utf8_lossy(&path).into_owned()).to_owned();
        cached.entry(name).or_default().push(path);
    }
    Some(cached)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_behind_the_older_format_is_read() {
        let mut bytes = b"ld.so-1.7.0\0junk".to_vec();
        let mut cache = MAGIC.to_vec();
        cache.extend(1_u32.to_ne_bytes());
        cache.resize(HEADER, 0);
        let strings = u32::try_from(HEADER + ENTRY).unwrap();
        for field in [3, strings, strings + 8, 0, 0, 0] {
            cache.extend(field.to_ne_bytes());
        }
        cache.extend(b"libx.so\0/opt/libx.so\0");
        bytes.extend(cache);
        let cached = read_cache(&bytes).unwrap();
        assert_eq!(cached[&b"libx.so"[..]], [PathBuf::from("/opt/libx.so")]);
        assert!(read_cache(b"something else").is_none());
    }

    #[test]
    fn the_c_library_is_found_here() {
        assert!(System::here(None).candidates("libc.so.6").any(owner::exists));
    }
}
