//! Which lines of a log's end may prove something.
use crate::line::Line;
use record::Engine;

/// How much of a log's end is looked at: lines, and bytes.
pub(crate) const LINES: usize = 2000;
pub(crate) const BYTES: usize = 256 * 1024;

/// A line that may prove something.
pub(crate) struct Evidence<'a> {
    pub(crate) line: Line<'a>,
    /// The source line that a traceback quotes before it.
    pub(crate) quoted: &'a str,
    /// Python met another exception while it dealt with this one: this was no reason, then.
    pub(crate) handled: bool,
    /// The evidence that Python calls its direct cause.
    pub(crate) cause: Option<usize>,
}

/// How Python says so.
const HANDLED: &str = "During handling of the above exception, another exception occurred:";
const CAUSED: &str = "The above exception was the direct cause of the following exception:";

/// vLLM's modules whose errors are not a request's, once it serves.
const ENGINE: [&str; 3] = ["async_llm", "core_client", "launcher"];

/// What comes before a traceback that ended nothing: a request's, or an object's on its way out.
const HARMLESS: [&str; 2] = ["Exception in ASGI application", "Exception ignored in"];

/// The lines that are looked at, without frames of tracebacks and what harmless tracebacks say.
pub(crate) fn evidence(engine: Engine, tail: &[String]) -> Vec<Evidence<'_>> {
    let mut reading =
        Reading { python: matches!(engine, Engine::Vllm | Engine::Sglang), ..Reading::default() };
    last(tail).for_each(|raw| reading.read(raw));
    reading.found
}

/// What is known at a line from those before it.
#[derive(Default)]
struct Reading<'a> {
    python: bool,
    found: Vec<Evidence<'a>>,
    quoted: &'a str,
    /// In a traceback that ended nothing.
    harmless: bool,
    /// The server has begun to answer.
    serves: bool,
    cause: Option<usize>,
}

impl<'a> Reading<'a> {
    fn read(&mut self, raw: &'a str) {
        let line = Line::new(raw);
        let body = line.body().trim();
        if body.is_empty() {
            return;
        }
        if self.python {
            self.serves |= body.ends_with("Application startup complete.");
            if line.is_frame() {
                self.quoted = line.quoted().map_or(self.quoted, |_| raw.trim());
                return;
            }
            if HARMLESS.iter().any(|words| body.starts_with(words)) {
                self.harmless = true;
                return;
            }
            if body == HANDLED || body == CAUSED {
                self.link(body == HANDLED);
                return;
            }
            self.harmless = self.harmless && !line.begins;
        }
        let quoted = std::mem::take(&mut self.quoted);
        if self.harmless || self.is_of_a_request(&line) {
            return;
        }
        let cause = if line.is_exception() { self.cause.take() } else { None };
        self.found.push(Evidence { line, quoted, handled: false, cause });
    }

    /// What the next exception has to do with the last one.
    fn link(&mut self, handled: bool) {
        let Some(last) = self.found.iter().rposition(|found| found.line.is_exception()) else { return };
        if handled {
            self.found[last].handled = true;
        } else {
            self.cause = Some(last);
        }
    }

    /// vLLM's message about a request that it refused or could not answer: the server lives on.
    fn is_of_a_request(&self, line: &Line<'_>) -> bool {
        let source = line.source();
        let server = line.text.starts_with("(APIServer") && !source.is_empty();
        source.starts_with("serving") || (self.serves && server && !ENGINE.contains(&source))
    }
}

/// The end of the tail, oldest line first.
fn last(tail: &[String]) -> impl Iterator<Item = &String> {
    let mut room = BYTES;
    let fits = |line: &&String| {
        let fits = line.len().min(BYTES) <= room;
        room = room.saturating_sub(line.len());
        fits
    };
    let count = tail.iter().rev().take(LINES).take_while(fits).count();
    tail[tail.len() - count..].iter()
}
