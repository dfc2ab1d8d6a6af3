//! How many parity parts there can be.
use part::{Parity, WholeFile};
use tool::{Code, Failure};

/// Refuse what the code cannot do.
pub(crate) fn admit(whole: &WholeFile, count: u64) -> Result<(), Failure> {
    if Parity::is_possible(whole, count) {
        return Ok(());
    }
    let cause = format!("{} parts and {count} of parity are more than 4096 together", whole.count());
    let failure = Failure::new(Code::Usage, format!("cannot compute parity of {}", whole.name), cause);
    Err(failure.hint("make larger parts with --size"))
}
