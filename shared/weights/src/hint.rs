//! What to do about a file that is not whole.

pub(crate) const COPY_AGAIN_HINT: &str = "copy it again from where it is whole, and compare the hashes";
pub(crate) const FOLLOW_LINKS_HINT: &str = "copy the links' targets too: cp -L, rsync -L or tar -h";
pub(crate) const FETCH_AGAIN_HINT: &str = "bring it from where the model is whole";
