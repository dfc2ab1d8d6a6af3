//! `installed.json`: what makes a folder below `.installs/` an install.
use crate::sync::sync_folder;
use base16ct::lower::encode_string as hex;
use record::{Engine, Installed, Road};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The marker's name.
pub const NAME: &str = "installed.json";
/// What is written first and renamed to [`NAME`].
pub const DRAFT: &str = ".installed.json.new";
const FORMAT: u64 = 1;
/// Of a marker and of each file that it has the hash of. A bundle's members have some 200 bytes each in it.
pub(crate) const CEILING_BYTES: usize = 256 << 20;
/// The member with the files that were taken of a template.
const FILES: &str = "template_files";
/// The member with the files that were in a bundle.
const MEMBERS: &str = "bundle_members";

/// A complete install: its folder and what its marker says.
#[derive(Clone, Debug)]
pub struct Install {
    /// Where it is.
    pub path: PathBuf,
    /// What the marker says.
    pub record: Installed,
    /// When it was made, unix seconds.
    pub(crate) made: f64,
    /// Fields of the marker that are not the record's, kept when it is written again.
    more: Map<String, Value>,
}

impl Install {
    /// A new install, made now and not yet written.
    #[must_use]
    pub fn new(record: Installed, road: Road) -> Self {
        let made = tool::now_unix();
        let Value::Object(more) = json!({
            "road": road,
            "sha256": record.id,
            "installed_at_unix": made,
            "versions": { "iinstall": env!("CARGO_PKG_VERSION") },
        }) else {
            unreachable!("an object literal is an object")
        };
        Self { path: record.path.clone(), record, made, more }
    }

    /// The same, made by this version of that program too.
    #[must_use]
    pub fn made_by(mut self, program: &str, version: &str) -> Self {
        self.more["versions"][program] = version.into();
        self
    }

    /// The same, with files that a person may edit later: path relative to the install, and sha256.
    #[must_use]
    pub fn of_files(mut self, files: impl Iterator<Item = (String, String)>) -> Self {
        self.more.insert(FILES.to_owned(), files.map(|(path, hash)| (path, Value::from(hash))).collect());
        self
    }

    /// The same, with the files that were in its bundle: a manifest or lock file that comes later can be compared with them.
    #[must_use]
    pub fn of_members(mut self, members: &[impl Serialize]) -> Self {
        if !members.is_empty() {
            self.more.insert(MEMBERS.to_owned(), json!(members));
        }
        self
    }

    /// The files that were in its bundle; none where they are not known.
    #[must_use]
    pub fn members<M: DeserializeOwned>(&self) -> Vec<M> {
        let said = self.more.get(MEMBERS).cloned().and_then(|members| serde_json::from_value(members).ok());
        said.unwrap_or_default()
    }

    /// The road that it was made by; the first version knew only one and said nothing.
    #[must_use]
    pub fn road(&self) -> Road {
        let said = self.more.get("road").cloned().and_then(|road| serde_json::from_value(road).ok());
        said.unwrap_or(Road::Archive)
    }

    /// Files of it that are not as they were made.
    #[must_use]
    pub fn edited(&self) -> Vec<PathBuf> {
        let files = self.more.get(FILES).and_then(Value::as_object);
        let differs = |(path, hash): (&String, &Value)| {
            let path = self.path.join(path);
            let now = owner::read_file(&path, CEILING_BYTES).map(|content| hex(&Sha256::digest(content)));
            (now.ok().as_deref() != hash.as_str()).then_some(path)
        };
        files.into_iter().flatten().filter_map(differs).collect()
    }

    /// The install in this folder; `None` where it is none.
    ///
    /// # Errors
    /// The marker is there and cannot be read or understood.
    pub fn read(folder: &Path) -> io::Result<Option<Self>> {
        let bytes = match owner::read_file(&folder.join(NAME), CEILING_BYTES) {
            Ok(bytes) => bytes,
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let mut more: Map<String, Value> = serde_json::from_slice(&bytes)?;
        if more.get("format").and_then(Value::as_u64) != Some(FORMAT) {
            return Err(io::Error::other("its format is not 1, a newer infer-dev may have written it"));
        }
        let mut record: Installed = serde_json::from_value(Value::Object(more.clone()))?;
        move_to(&mut record, folder);
        let made = more.get("installed_at_unix").and_then(Value::as_f64).unwrap_or(0.0);
        more.retain(|name, _| {
            ["road", "sha256", "installed_at_unix", "versions", FILES, MEMBERS].contains(&name.as_str())
        });
        Ok(Some(Self { path: folder.to_owned(), record, made, more }))
    }

    /// Write the marker, in one step and for good.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self) -> io::Result<()> {
        let mut fields = Map::new();
        fields.insert("format".to_owned(), FORMAT.into());
        if let Value::Object(record) = serde_json::to_value(&self.record)? {
            fields.extend(record);
        }
        fields.extend(self.more.clone());
        let mut text = serde_json::to_vec_pretty(&fields)?;
        text.push(b'\n');
        let draft = self.path.join(DRAFT);
        // Never through a link: what a killed run left there goes.
        drop(std::fs::remove_file(&draft));
        let mut file = File::create_new(&draft)?;
        file.write_all(&text)?;
        file.sync_all()?;
        std::fs::rename(&draft, self.path.join(NAME))?;
        sync_folder(&self.path)
    }

    /// The folder's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// The name of the install that was current before it.
    #[must_use]
    pub fn previous(&self) -> Option<&str> {
        self.record.previous.as_ref()?.file_name()?.to_str()
    }

    /// Whether the program that it was made for is still there, and it is where it was made: an environment is full of its
    /// path, so that a copy of one would run the other.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let place = |path: &Path| path.canonicalize().ok();
        if self.path != self.record.path && place(&self.path) != place(&self.record.path) {
            return false;
        }
        let program = self.record.executable.as_ref().or(self.record.python.as_ref());
        program.is_none_or(|program| program.is_file())
    }
}

/// A llama.cpp package runs wherever its folder is, so one on a volume that is mounted elsewhere now is described as it is.
fn move_to(record: &mut Installed, folder: &Path) {
    if record.engine != Engine::LlamaCpp || record.path == folder {
        return;
    }
    let old = std::mem::replace(&mut record.path, folder.to_owned());
    for path in [&mut record.executable, &mut record.library_dir].into_iter().flatten() {
        if let Ok(inside) = path.strip_prefix(&old) {
            *path = folder.join(inside);
        }
    }
}
