//! One server that requests can be handed to, as it was last seen.
use crate::address::Address;
use crate::pool::Pool;
use record::{Engine, KeeperState};
use state::Directory;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How far a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It answers.
    Ready,
    /// It will answer, unless it fails: it loads, waits for another or is between two starts.
    Loading(&'static str),
    /// Its engine was ended because nobody asked, and a request starts it.
    Asleep,
    /// It does not run and will not by itself.
    Down(&'static str),
}

/// One server.
#[derive(Clone)]
pub(crate) struct Upstream {
    /// `ENGINE/INSTANCE`, or the URL.
    pub(crate) id: String,
    pub(crate) engine: Option<Engine>,
    pub(crate) address: Address,
    /// The key that it wants.
    pub(crate) key: Option<String>,
    /// The names that it serves, the first for requests that name none.
    pub(crate) names: Vec<String>,
    pub(crate) phase: Phase,
    /// It has /v1/messages.
    pub(crate) is_native: bool,
    /// What its keeper says.
    pub(crate) kept: Option<KeeperFacts>,
    pub(crate) load: Arc<Load>,
    pub(crate) pool: Arc<Pool>,
}

/// What a keeper says of its instance.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KeeperFacts {
    pub(crate) place: Directory,
    pub(crate) state: KeeperState,
    pub(crate) status: state::Status,
    pub(crate) model: Option<String>,
    /// Seconds without a request after which it is stopped.
    pub(crate) idle_stop_s: Option<u32>,
}

impl Upstream {
    /// Whether nothing that matters to a request or to a reader of the page is different.
    pub(crate) fn same(&self, other: &Self) -> bool {
        self.id == other.id
            && self.address == other.address
            && self.key == other.key
            && self.names == other.names
            && self.phase == other.phase
            && self.is_native == other.is_native
            && self.kept == other.kept
    }
}

/// How many requests are under way at a server.
#[derive(Debug, Default)]
pub(crate) struct Load {
    under_way: AtomicUsize,
}

impl Load {
    pub(crate) fn now(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    /// Count one more, until the ticket is dropped.
    pub(crate) fn enter(self: &Arc<Self>) -> Ticket {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        Ticket(Arc::clone(self))
    }
}

/// One request under way.
#[derive(Debug)]
pub(crate) struct Ticket(Arc<Load>);

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_counts_while_it_lives() {
        let load = Arc::new(Load::default());
        let (one, two) = (load.enter(), load.enter());
        assert_eq!(load.now(), 2);
        drop(one);
        drop(two);
        assert_eq!(load.now(), 0);
    }
}
