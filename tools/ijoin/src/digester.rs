//! The digest that runs over a whole.
use part::Digester;
use tool::Failure;

/// One that has taken in nothing yet.
pub(crate) fn start_digester() -> Result<Digester, Failure> {
    Digester::start().map_err(|error| tool::thread::refused(&error))
}
