//! Where a turn of a conversation stops extending the one before: what follows is read again by the engine.
use hyper::HeaderMap;
use messages::prefix::{self, Block};
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

/// How many conversations are remembered.
const CONVERSATIONS: usize = 64;

/// The last request of each conversation, as digests of its blocks.
#[derive(Default)]
pub(crate) struct PrefixCheck {
    turns: Mutex<LastRequests>,
}

#[derive(Default)]
struct LastRequests {
    by: HashMap<String, Vec<Block>>,
    order: VecDeque<String>,
}

impl PrefixCheck {
    /// Compare a request with the one before it in its conversation, and say where it stops extending that. `None` for the
    /// first, and where it extends all of it.
    pub(crate) fn turn(&self, headers: &HeaderMap, request: &Value) -> Option<String> {
        let now = prefix::blocks(request);
        let name = name(headers, &now)?;
        let before = self.turns.lock().unwrap_or_else(PoisonError::into_inner).replace(name, &now)?;
        let found = prefix::first_divergence(&before, &now)?;
        let place = found.now.unwrap_or_else(|| "the end".to_owned());
        Some(format!(
            "prefix: a turn stops extending the one before at {}, where {place} stands now; {} bytes are the same, {} are read again",
            found.before, found.same_bytes, found.lost_bytes
        ))
    }
}

impl LastRequests {
    fn replace(&mut self, name: String, now: &[Block]) -> Option<Vec<Block>> {
        let before = self.by.insert(name.clone(), now.to_vec());
        if before.is_none() {
            self.order.push_back(name);
        }
        if self.order.len() > CONVERSATIONS
            && let Some(oldest) = self.order.pop_front()
        {
            self.by.remove(&oldest);
        }
        before
    }
}

/// Claude Code names its sessions and its agents. Others are told apart by the model's first reading: two conversations of
/// one beginning are taken for one.
fn name(headers: &HeaderMap, blocks: &[Block]) -> Option<String> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let tools = blocks.iter().filter(|block| block.place.starts_with("tools.")).count();
    match header("x-claude-code-session-id") {
        // Side questions of a session, its title for one, have other tools.
        Some(session) => {
            let agent = header("x-claude-code-agent-id").unwrap_or_default();
            Some(format!("{session} {agent} {tools}"))
        }
        None => blocks
            .iter()
            .find(|block| block.place.starts_with(['m', 'i']))
            .map(|block| block.digest.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_block_is_named_at_which_a_turn_differs() {
        let (audit, mut headers) = (PrefixCheck::default(), HeaderMap::new());
        headers.insert("x-claude-code-session-id", "s".parse().unwrap());
        let turn = |system: &str, words: &[&str]| {
            let messages: Vec<Value> =
                words.iter().map(|word| json!({"role": "user", "content": word})).collect();
            audit.turn(&headers, &json!({"system": system, "messages": messages}))
        };
        assert_eq!(turn("a", &["x"]), None);
        assert_eq!(turn("a", &["x", "y"]), None);
        let said = turn("a", &["x", "z", "w"]).unwrap();
        assert!(said.contains("messages.1 (user)"), "{said}");
        let said = turn("b", &["x", "z", "w"]).unwrap();
        assert!(said.contains("at system,"), "{said}");
    }
}
