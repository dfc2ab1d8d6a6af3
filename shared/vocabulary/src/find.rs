//! Finding an option by what was typed.
use crate::{Flag, Parser, Vocabulary};

impl Vocabulary {
    /// The option with this spelling, dashes included; underscores count as hyphens in long ones.
    #[must_use]
    pub fn find(&self, spelling: &str) -> Option<&Flag> {
        self.flags.iter().find(|flag| flag.spellings.iter().any(|known| same(known, spelling)))
    }

    /// The option that this spelling turns off.
    #[must_use]
    pub fn find_negative(&self, spelling: &str) -> Option<&Flag> {
        self.flags.iter().find(|flag| flag.negative.iter().any(|known| same(known, spelling)))
    }

    /// The option of a name without dashes, as a TOML key has it: long, else short. A spelling that turns an option off is
    /// found too: the flag says so.
    #[must_use]
    pub fn named(&self, key: &str) -> Option<(&Flag, bool)> {
        let spellings = [format!("--{key}"), format!("-{key}")];
        let on = spellings.iter().find_map(|spelling| self.find(spelling)).map(|flag| (flag, true));
        let off = || spellings.iter().find_map(|spelling| self.find_negative(spelling));
        on.or_else(|| off().map(|flag| (flag, false)))
    }

    /// The one option whose long spelling begins so, as argparse takes it on a command line.
    #[must_use]
    pub fn abbreviated(&self, spelling: &str) -> Option<&Flag> {
        if self.parser != Parser::Argparse || !spelling.starts_with("--") {
            return None;
        }
        let long = spelling.replace('_', "-");
        let mut found = self.flags.iter().filter(|flag| flag.spellings.iter().any(|s| s.starts_with(&long)));
        found.next().filter(|_| found.next().is_none())
    }

    /// The spelling that is most like one that no option has.
    #[must_use]
    pub fn nearest(&self, key: &str) -> Option<&str> {
        let key = key.trim_start_matches('-').replace('_', "-").to_lowercase();
        let spellings =
            self.flags.iter().filter(|flag| flag.removed.is_none()).flat_map(|flag| &flag.spellings);
        let alike = |known: &&String| strsim::jaro_winkler(&key, known.trim_start_matches('-'));
        let best =
            spellings.filter(|known| known.starts_with("--")).max_by(|a, b| alike(a).total_cmp(&alike(b)))?;
        (alike(&best) > 0.85).then_some(best.as_str())
    }
}

/// Whether two spellings are one: argparse and llama.cpp both take underscores for hyphens in long options.
fn same(known: &str, typed: &str) -> bool {
    let hyphen = |byte: u8| if byte == b'_' { b'-' } else { byte };
    // Each name that is looked for is compared with all there are.
    known == typed
        || (known.len() == typed.len()
            && typed.starts_with("--")
            && known.bytes().map(hyphen).eq(typed.bytes().map(hyphen)))
}
