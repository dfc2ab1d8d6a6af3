//! The engine's processes, looked at with their user's rights.
use owner::Owner;
use tree::{Process, Usage};

/// What descends from the keeper, and what it holds.
pub(crate) fn processes(keeper: u32, user: &Owner) -> (Vec<Process>, Usage) {
    let look = || {
        let processes = tree::family(keeper);
        let usage = tree::usage(&processes);
        (processes, usage)
    };
    user.act(look).unwrap_or_default()
}
