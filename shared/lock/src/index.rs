//! Which entry of the list a reference means.
use crate::document::{Entry, Reference};
use crate::error::Error;
use std::collections::BTreeMap;

/// What an entry or a reference is, by the key of its location, or by `kind` before version 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Conda,
    CondaSource,
    Pypi,
}

/// Every package of the file by kind and location; one location may stand for several (version 6).
pub(crate) struct Index<'a>(BTreeMap<(Kind, &'a str), Vec<&'a Entry>>);

impl<'a> Index<'a> {
    pub(crate) fn of(entries: &'a [Entry]) -> Result<Self, Error> {
        let mut index: BTreeMap<(Kind, &str), Vec<&Entry>> = BTreeMap::new();
        for (number, entry) in entries.iter().enumerate() {
            let location = entry.location().ok_or_else(|| {
                Error::Malformed(format!("package {} of the list has no location", number + 1))
            })?;
            index.entry(location).or_default().push(entry);
        }
        Ok(Self(index))
    }

    /// The entry that a reference means: of several, one that agrees in all that the reference says, and rather one of the
    /// subdir that was asked for.
    pub(crate) fn find(
        &self,
        at: (Kind, &str),
        reference: &Reference,
        rather: Option<&str>,
    ) -> Option<&'a Entry> {
        let agrees =
            |said: &Option<String>, has: &Option<String>| said.is_none() || has.is_none() || said == has;
        let mut found = self.0.get(&at)?.iter().copied().filter(|entry| {
            agrees(&reference.name, &entry.name)
                && agrees(&reference.version, &entry.version)
                && agrees(&reference.build, &entry.build)
                && agrees(&reference.subdir, &entry.subdir)
        });
        let of_subdir = found.clone().find(|entry| rather.is_some() && entry.subdir.as_deref() == rather);
        of_subdir.or_else(|| if at.0 == Kind::Pypi { found.next_back() } else { found.next() })
    }
}

impl Entry {
    fn location(&self) -> Option<(Kind, &str)> {
        locate(self.conda.as_ref(), self.conda_source.as_ref(), self.pypi.as_ref()).or_else(|| {
            let kind = if self.kind.as_deref() == Some("pypi") { Kind::Pypi } else { Kind::Conda };
            Some((kind, self.url.as_ref().or(self.path.as_ref())?))
        })
    }
}

pub(crate) fn locate<'a>(
    conda: Option<&'a String>,
    conda_source: Option<&'a String>,
    pypi: Option<&'a String>,
) -> Option<(Kind, &'a str)> {
    let conda = conda.map(|location| (Kind::Conda, location));
    let source = conda_source.map(|location| (Kind::CondaSource, location));
    let pypi = pypi.map(|location| (Kind::Pypi, location));
    conda.or(source).or(pypi).map(|(kind, location)| (kind, location.as_str()))
}
