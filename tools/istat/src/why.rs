//! Why an instance does not run, as its keeper has kept it.
//!
//! The instance's user can write `status.json`: what is taken from it is cleaned, so that it stays one line of text on any
//! terminal, and cut, so that it is no flood.
use record::{Egress, KeeperState, Status};
use tool::Failure;

/// As much as a keeper writes of any one text.
const LONGEST: usize = 1024;
/// The most targets that a keeper lists.
const TARGETS: usize = 64;
/// As much of the log's line as a table shows.
const SHOWN: usize = 200;

/// Set the last exit, class, reason, evidence and hint of `status` from what was kept; `idle_stop_s` is its plan's.
pub(crate) fn explain(status: &mut Status, kept: &state::Status, idle_stop_s: Option<u32>) {
    let clean = |text: &Option<String>| text.as_deref().map(|text| clean(text, LONGEST));
    status.last_exit = clean(&kept.last_exit);
    if status.state == KeeperState::Lost {
        // What the keeper has said is of an earlier end.
        status.reason = Some("its keeper is gone and left no last word".to_owned());
        let hint = "the kernel's log may say who killed it; ilaunch starts the instance again, istop --forget forgets it";
        status.hint = Some(hint.to_owned());
        return;
    }
    if status.state == KeeperState::Asleep {
        let limit = idle_stop_s.map_or(String::new(), |limit| format!(" for {limit} s"));
        status.reason = Some(format!("nobody asked{limit}"));
        status.hint = Some("a request through ibridge starts it, or ilaunch".to_owned());
        return;
    }
    status.class = kept.class.clone().filter(|class| is_class(class));
    status.reason = clean(&kept.reason);
    status.evidence = clean(&kept.evidence);
    status.hint = clean(&kept.hint);
}

/// One line for a person: `class: reason: evidence; hint: …`. `None` for an instance that has nothing to explain now.
pub(crate) fn line(status: &Status) -> Option<String> {
    if !matches!(
        status.state,
        KeeperState::Failed | KeeperState::Backoff | KeeperState::Asleep | KeeperState::Lost
    ) {
        return None;
    }
    let class = status.class.clone().filter(|class| class != "unknown");
    let evidence = status.evidence.as_deref().map(|line| clean(line, SHOWN));
    let parts = [class, status.reason.clone(), evidence].into_iter().flatten().collect::<Vec<_>>();
    let why = (!parts.is_empty()).then(|| parts.join(": "));
    let hint = status.hint.as_ref().map(|hint| format!("hint: {hint}"));
    let said = [why, hint].into_iter().flatten().collect::<Vec<_>>().join("; ");
    (!said.is_empty()).then_some(said)
}

/// What a keeper has counted, as it may be shown.
pub(crate) fn cleaned_egress(mut egress: Egress) -> Egress {
    egress.unwatched = egress.unwatched.as_deref().map(|why| clean(why, LONGEST));
    egress.targets.truncate(TARGETS);
    for target in &mut egress.targets {
        target.family = clean(&target.family, SHOWN);
        target.address = clean(&target.address, SHOWN);
    }
    egress
}

/// The failure with a cause that may hold pieces of a damaged file.
pub(crate) fn cleaned(mut failure: Failure) -> Failure {
    failure.cause = clean(&failure.cause, LONGEST);
    failure
}

/// A word of `failed.class`, newer ones too.
fn is_class(word: &str) -> bool {
    (1..=40).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// One line: no control characters, nor those that turn the direction of what follows; at most so many characters.
fn clean(text: &str, longest: usize) -> String {
    let mut text = tool::one_line(text);
    if let Some((cut, _)) = text.char_indices().nth(longest) {
        text.truncate(cut);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_user_wrote_stays_one_line_of_bounded_length() {
        assert_eq!(clean("a\n\u{1b}[31mistat: all is well\u{202e}\t!", 100), "a [31mistat: all is well !");
        assert_eq!(clean("äöü", 2), "äö…");
        assert_eq!(clean("äöü", 3), "äöü");
    }

    #[test]
    fn a_class_is_a_word() {
        assert!(is_class("oom_gpu") && !is_class("") && !is_class("a b") && !is_class(&"a".repeat(41)));
    }
}
