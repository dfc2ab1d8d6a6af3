//! The signature that counts for a model, and what it says of the model's files.
use crate::expectation::Expected;
use crate::key::Key;
use crate::signature::{self, Signed};
use std::io;
use std::path::{Path, PathBuf};
use weights::{Finding, Listing, MANIFEST, ModelFile, SIGNATURE, rules};

/// Each file has some 300 bytes of it.
const BYTES: usize = 64 << 20;
/// What the hub's tools note beside a model that they fetch: no engine reads it.
const HUB_FOLDER: &str = ".cache/huggingface";

/// A signature that one of the keys has made, and the files that it is about.
pub(crate) struct VerifiedSignature<'a> {
    pub(crate) path: PathBuf,
    pub(crate) expected: Expected,
    pub(crate) files: Vec<&'a ModelFile>,
    /// What should have been a file of the model, and is none.
    pub(crate) faults: Vec<Finding>,
}

/// Where a signature may be, and what stands before the names of a model's files in it.
struct Place {
    path: PathBuf,
    /// `None`: the one file that was signed has no name in it.
    before: Option<String>,
}

/// Open the signature of a model with the rights that we have. Without one that counts: what is wrong.
pub(crate) fn open<'a>(
    model: &Path,
    listing: &'a Listing,
    keys: &[Key],
) -> Result<VerifiedSignature<'a>, Finding> {
    let wrong = |path: &Path, what: String| Finding {
        rule: rules::MODEL_SIGNATURE,
        file: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        what,
        hint: "bring the signature that the model's publisher gives with it, and name the publisher's key",
    };
    let whole = owner::is_dir(model);
    let places = if whole { vec![in_folder(&listing.folder, "")] } else { places(model, &listing.folder) };
    let mut missing = None;
    for place in places {
        let bytes = match owner::read_file(&place.path, BYTES) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                missing.get_or_insert(place);
                continue;
            }
            read => read.map_err(|error| wrong(&place.path, tool::io_text(&error)))?,
        };
        let signed = signature::open(&bytes, keys).map_err(|why| wrong(&place.path, why))?;
        return Ok(if whole { place.whole(signed, listing) } else { place.some(signed, listing) });
    }
    let place = missing.unwrap_or_else(|| in_folder(&listing.folder, ""));
    Err(wrong(&place.path, "it is not signed: No such file or directory".to_owned()))
}

fn in_folder(folder: &Path, before: &str) -> Place {
    Place { path: folder.join(SIGNATURE), before: Some(before.to_owned()) }
}

/// For a file: its own signature, that of its folder, and that of the folder above.
fn places(file: &Path, folder: &Path) -> Vec<Place> {
    let mut own = file.as_os_str().to_owned();
    own.push(".sig");
    let mut places = vec![Place { path: own.into(), before: None }, in_folder(folder, "")];
    if let (Some(above), Some(name)) = (folder.parent(), folder.file_name().and_then(|name| name.to_str())) {
        places.push(in_folder(above, &format!("{name}/")));
    }
    places
}

impl Place {
    /// All files of a folder were to be signed.
    fn whole(self, signed: Signed, listing: &Listing) -> VerifiedSignature<'_> {
        let counts = |name: &str| {
            let unsigned = name == MANIFEST || Path::new(name).starts_with(HUB_FOLDER);
            name != SIGNATURE && !signed.leaves_out(name) && (!unsigned || signed.has(name))
        };
        let files = listing.files.iter().filter(|file| counts(&file.name)).collect();
        let faults = listing.faults.iter().filter(|(name, _)| counts(name)).map(fault).collect();
        VerifiedSignature { path: self.path, files, faults, expected: signed.whole() }
    }

    /// Only some files are of interest.
    fn some(self, signed: Signed, listing: &Listing) -> VerifiedSignature<'_> {
        let files: Vec<&ModelFile> = listing.files.iter().collect();
        let signed_as = |file: &&ModelFile| match &self.before {
            Some(before) => (file.name.clone(), format!("{before}{}", file.name)),
            None => (file.name.clone(), ".".to_owned()),
        };
        // Parts that were not signed come up as such.
        let expected = signed.of_some(files.iter().map(signed_as));
        let faults = listing.faults.iter().map(fault).collect();
        VerifiedSignature { path: self.path, files, faults, expected }
    }
}

fn fault((name, why): &(String, String)) -> Finding {
    let hint = "bring the file itself, or remove the entry";
    Finding { rule: rules::MODEL_SIGNATURE, file: name.clone(), what: why.clone(), hint }
}
