//! The content blocks of an answer on their way out: one is open at a time, in the order in which they began.
use super::answer;
use super::arguments::{self, ObjectScanner};
use super::write::{self, Delta, Start};
use serde_json::Value;
use std::collections::VecDeque;

/// What may be held back: arguments of parallel calls, until the call before them is complete.
const HELD_LIMIT: usize = 32 << 20;
/// Tool calls of one answer.
const CALLS_LIMIT: usize = 1024;

/// A tool call as far as it has come.
#[derive(Debug, Default)]
struct Call {
    index: Option<u64>,
    /// The engine's own; empty where it gives none.
    id: String,
    name: String,
    scan: ObjectScanner,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Thinking,
    Text,
    /// The number of the call.
    Tool(usize),
}

#[derive(Debug)]
struct Block {
    kind: Kind,
    /// What has come and is not written.
    pending: String,
    open: bool,
}

/// The blocks that have not ended. Only the first may be open; what comes for another waits.
#[derive(Debug, Default)]
pub(super) struct Queue {
    blocks: VecDeque<Block>,
    calls: Vec<Call>,
    /// Blocks that have begun.
    begun: usize,
    held: usize,
}

/// One piece of a tool call, as servers send it.
struct Piece<'a> {
    index: Option<u64>,
    id: &'a str,
    name: &'a str,
    arguments: &'a str,
}

impl Queue {
    pub(super) fn thinking(&mut self, text: &str) {
        self.append(Kind::Thinking, text);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.append(Kind::Text, text);
    }

    /// A tool call has begun.
    pub(super) fn has_tool_call(&self) -> bool {
        !self.calls.is_empty()
    }

    /// A block has begun or waits to.
    pub(super) fn has_blocks(&self) -> bool {
        self.begun > 0 || !self.blocks.is_empty()
    }

    fn append(&mut self, kind: Kind, text: &str) {
        if text.is_empty() {
            return;
        }
        self.held = self.held.saturating_add(text.len());
        match self.blocks.back_mut() {
            Some(last) if last.kind == kind => last.pending.push_str(text),
            _ => self.blocks.push_back(Block { kind, pending: text.to_owned(), open: false }),
        }
    }

    /// Take an element of `tool_calls`, of a delta or of a whole message.
    pub(super) fn call(&mut self, call: &Value) {
        // The oldest form has no `function` around it.
        let function = call.get("function").filter(|function| function.is_object()).unwrap_or(call);
        let text =
            |value: &'_ Value, field: &str| value.get(field).and_then(Value::as_str).map(str::to_owned);
        let (id, name) = (text(call, "id").unwrap_or_default(), text(function, "name").unwrap_or_default());
        let arguments = arguments::text(function.get("arguments"));
        let index = call.get("index").and_then(Value::as_u64);
        let piece = Piece { index, id: &id, name: &name, arguments: &arguments };
        let number = match self.belongs_to(&piece) {
            Some(number) => number,
            None => self.begin_call(index),
        };
        self.continue_call(number, &piece);
    }

    /// The call that a piece continues. Servers leave out the index or the id, repeat the name, or give every call the same
    /// index: two calls are distinguished by, in this order, the id, the index, and that the one before is complete.
    fn belongs_to(&self, piece: &Piece<'_>) -> Option<usize> {
        let same_index =
            |call: &Call| piece.index.is_none() || call.index.is_none() || call.index == piece.index;
        if !piece.id.is_empty()
            && let Some(number) = self.calls.iter().rposition(|call| call.id == piece.id && same_index(call))
        {
            return Some(number);
        }
        let number = match piece.index {
            Some(_) => self.calls.iter().rposition(|call| call.index == piece.index)?,
            None if piece.id.is_empty() => self.calls.len().checked_sub(1)?,
            None => return None,
        };
        let call = &self.calls[number];
        if piece.name.is_empty() {
            return Some(number);
        }
        let again = call.scan.is_complete() && !piece.arguments.is_empty();
        let other_id = !piece.id.is_empty() && !call.id.is_empty();
        let other_name = piece.index.is_none() && !call.name.is_empty() && piece.name != call.name;
        (!again && !other_id && !other_name).then_some(number)
    }

    fn begin_call(&mut self, index: Option<u64>) -> usize {
        let number = self.calls.len();
        self.calls.push(Call { index, ..Call::default() });
        self.blocks.push_back(Block { kind: Kind::Tool(number), pending: String::new(), open: false });
        number
    }

    fn continue_call(&mut self, number: usize, piece: &Piece<'_>) {
        let call = &mut self.calls[number];
        if call.id.is_empty() {
            piece.id.clone_into(&mut call.id);
        }
        if call.name.is_empty() {
            piece.name.clone_into(&mut call.name);
        }
        let taken = call.scan.take(piece.arguments);
        self.held = self.held.saturating_add(taken);
        // The block of a complete call may be gone; nothing belongs to it any more.
        if let Some(block) = self.blocks.iter_mut().find(|block| block.kind == Kind::Tool(number)) {
            block.pending.push_str(&piece.arguments[..taken]);
        }
    }

    /// Write what can be written; all of it where the answer has ended. `id` is the message's, from which a call without one
    /// gets its own.
    ///
    /// # Errors
    /// The answer cannot be written as blocks: a call without a name, or more than may be held.
    pub(super) fn flush(&mut self, out: &mut Vec<u8>, id: &str, ended: bool) -> Result<(), &'static str> {
        while let Some(block) = self.blocks.front() {
            let over = ended || self.blocks.len() > 1 && self.is_finished(block.kind);
            if !block.open && !self.begin(out, id, over)? {
                break;
            }
            self.write_pending(out, over);
            if !over {
                break;
            }
            self.end(out);
        }
        if self.held > HELD_LIMIT || self.calls.len() > CALLS_LIMIT {
            return Err("the engine's tool calls are too large");
        }
        Ok(())
    }

    /// Nothing more comes for such a block once another has begun.
    fn is_finished(&self, kind: Kind) -> bool {
        match kind {
            Kind::Tool(number) => self.calls[number].scan.is_complete(),
            Kind::Thinking | Kind::Text => true,
        }
    }

    /// Open the first block; false where it is too early. White space alone makes no block of text: templates put it between
    /// calls and before the answer.
    fn begin(&mut self, out: &mut Vec<u8>, id: &str, over: bool) -> Result<bool, &'static str> {
        let Some(block) = self.blocks.front_mut() else { return Ok(false) };
        match block.kind {
            Kind::Text if block.pending.trim().is_empty() => return Ok(over),
            Kind::Text => write::block_start(out, self.begun, Start::Text),
            Kind::Thinking => write::block_start(out, self.begun, Start::Thinking),
            Kind::Tool(number) => {
                let call = &self.calls[number];
                if call.name.is_empty() {
                    return if over { Err("the engine sent a tool call without a name") } else { Ok(false) };
                }
                // Results are matched by it, so two calls never have the same.
                let usable =
                    !call.id.is_empty() && self.calls[..number].iter().all(|other| other.id != call.id);
                let own = if usable { call.id.clone() } else { answer::call_id(id, number) };
                write::block_start(out, self.begun, Start::Tool { id: &own, name: &call.name });
            }
        }
        block.open = true;
        Ok(true)
    }

    fn write_pending(&mut self, out: &mut Vec<u8>, over: bool) {
        let Some(block) = self.blocks.front_mut().filter(|block| block.open) else { return };
        let scan = match block.kind {
            Kind::Tool(number) => self.calls[number].scan,
            Kind::Thinking | Kind::Text => ObjectScanner::default(),
        };
        if scan.is_not_an_object() && !over {
            return;
        }
        let pending = std::mem::take(&mut block.pending);
        self.held = self.held.saturating_sub(pending.len());
        if pending.is_empty() || matches!(block.kind, Kind::Tool(_)) && scan.is_empty() {
            return;
        }
        let index = self.begun;
        match block.kind {
            Kind::Thinking => write::delta(out, index, Delta::Thinking(&pending)),
            Kind::Text => write::delta(out, index, Delta::Text(&pending)),
            Kind::Tool(_) if scan.is_not_an_object() => {
                write::delta(out, index, Delta::Json(&arguments::input(&pending).to_string()));
            }
            Kind::Tool(_) => write::delta(out, index, Delta::Json(&pending)),
        }
    }

    /// Close the first block and let it go; white space that never became a block is dropped.
    fn end(&mut self, out: &mut Vec<u8>) {
        let Some(block) = self.blocks.pop_front() else { return };
        self.held = self.held.saturating_sub(block.pending.len());
        if !block.open {
            return;
        }
        if block.kind == Kind::Thinking {
            write::delta(out, self.begun, Delta::Signature(write::SIGNATURE));
        }
        write::block_stop(out, self.begun);
        self.begun += 1;
    }
}
