//! Conversations, by their beginnings, and the server that has each in its cache.
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// How many beginnings are remembered, of all and of one request.
const CONVERSATIONS: usize = 8192;
const BEGINNINGS: usize = 12;

/// Which server has a conversation's prefix in its cache.
#[derive(Default)]
pub(crate) struct Conversations {
    by: HashMap<u64, Arc<str>>,
    order: VecDeque<u64>,
}

impl Conversations {
    /// Of the longest beginning that is known.
    pub(crate) fn get(&self, beginnings: &[u64]) -> Option<Arc<str>> {
        beginnings.iter().rev().find_map(|beginning| self.by.get(beginning).cloned())
    }

    /// Only the last beginnings: the next turn extends one of them.
    pub(crate) fn put(&mut self, beginnings: &[u64], id: &str) {
        let id: Arc<str> = id.into();
        for beginning in beginnings.iter().rev().take(BEGINNINGS) {
            if self.by.insert(*beginning, Arc::clone(&id)).is_none() {
                self.order.push_back(*beginning);
            }
        }
        while self.order.len() > CONVERSATIONS {
            if let Some(oldest) = self.order.pop_front() {
                self.by.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_is_known_by_its_longest_beginning() {
        let mut conversations = Conversations::default();
        conversations.put(&[1, 2, 3], "a");
        conversations.put(&[1, 2, 9], "b");
        let of = |beginnings: &[u64]| conversations.get(beginnings).map(|id| id.to_string());
        assert_eq!(of(&[1, 2, 3, 4, 5]).as_deref(), Some("a"));
        assert_eq!(of(&[1, 2, 9, 4]).as_deref(), Some("b"));
        assert_eq!(of(&[7, 8]), None);
    }

    #[test]
    fn conversations_are_forgotten_oldest_first() {
        let mut conversations = Conversations::default();
        let most = u64::try_from(CONVERSATIONS).unwrap();
        (0..=most).for_each(|beginning| conversations.put(&[beginning], "a"));
        assert_eq!((conversations.get(&[0]), conversations.get(&[1]).is_some()), (None, true));
        assert_eq!(conversations.by.len(), CONVERSATIONS);
    }
}
