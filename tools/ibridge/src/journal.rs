//! One line per request, and the counts of all of them. No content and no key gets here.
use crate::metrics::{Labels, Metrics};
use crate::refusal::Refusal;
use crate::upstream::Ticket;
use messages::sse::Events;
use messages::usage::Usage;
use std::fmt::Write;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tool::Failure;

/// Lines that wait to be written. A log that is not read must not hold up requests.
const LINES: usize = 1024;
/// The longest body that is kept to find the counts in it.
const BODY: usize = 1 << 20;

/// What the thread that writes gets.
enum Line {
    Text(String),
    /// Everything before it is written.
    Mark(SyncSender<()>),
}

/// Where requests are logged.
pub(crate) struct Journal {
    lines: SyncSender<Line>,
    pub(crate) metrics: Mutex<Metrics>,
}

impl Journal {
    pub(crate) fn start() -> Result<Arc<Self>, Failure> {
        let (lines, receiver) = sync_channel(LINES);
        drop(tool::thread::start("log", move || write_all(&receiver))?);
        Ok(Arc::new(Self { lines, metrics: Mutex::default() }))
    }

    /// One line of the log.
    pub(crate) fn say(&self, line: String) {
        self.lines.try_send(Line::Text(line)).ok();
    }

    /// Wait until everything that was said is written, at most for a second.
    pub(crate) fn flush(&self) {
        let (mark, written) = sync_channel(1);
        if self.lines.try_send(Line::Mark(mark)).is_ok() {
            written.recv_timeout(Duration::from_secs(1)).ok();
        }
    }

    pub(crate) fn metrics(&self) -> std::sync::MutexGuard<'_, Metrics> {
        self.metrics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write_all(lines: &Receiver<Line>) {
    while let Ok(line) = lines.recv() {
        match line {
            Line::Text(line) => tool::note("ibridge", &tool::one_line(&line)),
            Line::Mark(mark) => drop(mark),
        }
    }
}

/// How the counts of tokens are found in an answer that passes.
enum Scan {
    Nothing,
    Events(Box<Events>),
    Json(Vec<u8>),
}

/// One request, logged when it is over.
pub(crate) struct Entry {
    journal: Arc<Journal>,
    begun: Instant,
    first: Option<Duration>,
    /// Method and path, the latter one of those that the bridge knows.
    pub(crate) what: String,
    pub(crate) model: Option<String>,
    pub(crate) upstream: Option<String>,
    pub(crate) status: u16,
    pub(crate) usage: Usage,
    /// The answer came to its end.
    whole: bool,
    scan: Scan,
    pub(crate) ticket: Option<Ticket>,
}

impl Entry {
    pub(crate) fn new(journal: &Arc<Journal>, what: String) -> Self {
        Self {
            journal: Arc::clone(journal),
            begun: Instant::now(),
            first: None,
            what,
            model: None,
            upstream: None,
            status: 499,
            usage: Usage::default(),
            whole: false,
            scan: Scan::Nothing,
            ticket: None,
        }
    }

    /// It was refused, by us.
    pub(crate) fn refused(&mut self, refusal: &Refusal) {
        self.status = refusal.status;
        self.whole = true;
    }

    /// The head of an answer came.
    pub(crate) fn answered(&mut self, status: u16, content_type: &str) {
        self.status = status;
        self.scan = if content_type.starts_with("text/event-stream") {
            Scan::Events(Box::default())
        } else if content_type.starts_with("application/json") {
            Scan::Json(Vec::new())
        } else {
            Scan::Nothing
        };
    }

    /// Bytes of the answer came.
    pub(crate) fn record_bytes(&mut self, bytes: &[u8]) {
        self.first.get_or_insert_with(|| self.begun.elapsed());
        let usage = &mut self.usage;
        match &mut self.scan {
            Scan::Nothing => {}
            Scan::Events(events) => {
                let taken = events.push(bytes, |event| take(usage, &event.data));
                if taken.is_err() {
                    self.scan = Scan::Nothing;
                }
            }
            Scan::Json(body) if body.len() + bytes.len() <= BODY => body.extend_from_slice(bytes),
            Scan::Json(_) => self.scan = Scan::Nothing,
        }
    }

    /// The answer came to its end.
    pub(crate) fn ended(&mut self) {
        self.whole = true;
        if let Scan::Json(body) = std::mem::replace(&mut self.scan, Scan::Nothing) {
            take(&mut self.usage, &body);
        }
    }

    fn line(&self, labels: &Labels) -> String {
        let mut line = format!("{} {}", labels.status, self.what);
        let mut field = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                write!(line, " {name}={value}").ok();
            }
        };
        let Usage { prompt, cached, completion } = self.usage;
        field("model", self.model.as_ref().map(|model| model.chars().take(100).collect()));
        field("instance", self.upstream.clone());
        field("prompt", prompt.map(|count| count.to_string()));
        field("reused", cached.map(|count| count.to_string()));
        field("completion", completion.map(|count| count.to_string()));
        field("first_ms", self.first.map(|time| time.as_millis().to_string()));
        field("ms", Some(self.begun.elapsed().as_millis().to_string()));
        if !self.whole {
            line.push_str(" cut");
        }
        line
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let labels = Labels {
            instance: self.upstream.clone().unwrap_or_default(),
            what: self.what.clone(),
            status: self.status,
        };
        self.journal.say(self.line(&labels));
        self.journal.metrics().count(labels, self.first, self.usage);
    }
}

/// Most events say nothing of tokens, and are not parsed.
fn take(usage: &mut Usage, data: &[u8]) {
    let holds = |word: &[u8]| data.windows(word.len()).any(|window| window == word);
    let counts = holds(b"\"usage\"") || holds(b"\"timings\"");
    if counts && let Ok(value) = serde_json::from_slice(data) {
        usage.take(&value);
    }
}
