//! Several instances at once: a thread each as far as there are threads, results as they come.
use crate::watch::{Seen, Wanted, Watch};
use gpu::Meter;
use record::{Engine, Keeper, Ready, Record, Step};
use state::Directory;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tool::{Code, Failure, Io};

/// How long standard input is waited for while results may come.
const GLANCE: Duration = Duration::from_millis(5);
/// How often the lines on a terminal are drawn anew.
const REDRAW: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(3600);

type Name = (Engine, String);

/// What a watching thread has to say.
enum News {
    Seen(Seen),
    Over(Result<Ready, Failure>),
}

/// One instance that is watched, as a person sees it.
struct Watched {
    name: Name,
    line: indicatif::ProgressBar,
    began: Instant,
    seen: Option<Seen>,
    over: bool,
}

/// Everything that one run has to remember.
struct Several<'a> {
    wanted: &'a Wanted,
    watched: Vec<Watched>,
    /// Asked once for all.
    meter: Arc<Meter>,
    /// Instances that were planned, and of which ilaunch has not said that it leaves them out.
    planned: Vec<Name>,
    sender: Sender<(usize, News)>,
    news: Receiver<(usize, News)>,
    /// Those that the system has had no thread for yet.
    waiting: VecDeque<(usize, Watch)>,
}

/// The one instance of a state directory.
pub(crate) fn only(directory: Directory, wanted: &Wanted, io: &mut Io) -> Result<(), Failure> {
    let mut several = Several::new(wanted);
    let watch = Watch::new(directory, wanted)?;
    // One instance needs no thread but this one.
    let index = several.add(watch.name());
    several.watch_here(index, watch, io)
}

/// All instances of the stream.
pub(crate) fn of_stream(wanted: &Wanted, io: &mut Io) -> Result<(), Failure> {
    let mut several = Several::new(wanted);
    loop {
        let limit = if several.busy() { GLANCE } else { LONG };
        if io.input_waits(limit)? {
            let Some(record) = io.read()? else { break };
            several.take(record, io)?;
        }
        while let Ok((index, news)) = several.news.try_recv() {
            several.hear(index, news, io)?;
        }
        several.draw();
    }
    several.rest(io)?;
    several.all_there(io)
}

/// What is kept there, which only one side gets.
fn take(kept: &Mutex<Option<Watch>>) -> Option<Watch> {
    kept.lock().unwrap_or_else(PoisonError::into_inner).take()
}

impl<'a> Several<'a> {
    fn new(wanted: &'a Wanted) -> Self {
        let (sender, news) = channel();
        let (watched, planned, waiting) = (Vec::new(), Vec::new(), VecDeque::new());
        Self { wanted, watched, meter: Arc::default(), planned, sender, news, waiting }
    }

    fn take(&mut self, record: Record, io: &mut Io) -> Result<(), Failure> {
        match record {
            Record::Env(env) if !io.wants(env.engine, Step::Serve) => {
                io.skip(env.engine, "step serve was not asked for")?;
            }
            Record::Plan(plan) => self.planned.push((plan.engine, plan.instance)),
            Record::Skipped(skipped) => {
                let left_out = |name: &Name| {
                    name.0 == skipped.engine && skipped.instance.as_ref().is_none_or(|only| *only == name.1)
                };
                self.planned.retain(|name| !left_out(name));
            }
            Record::Instance(instance) => {
                let name = (instance.engine, instance.instance);
                let known = self.watched.iter().any(|watched| watched.name == name);
                if !known && !io.ended((name.0, name.1.as_str())) {
                    match Watch::new(Directory::at(instance.state_dir), self.wanted) {
                        Ok(watch) => self.follow(name, watch),
                        Err(failure) => io.fail((name.0, name.1.as_str()), failure)?,
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn follow(&mut self, name: Name, watch: Watch) {
        let index = self.add(name);
        self.waiting.push_back((index, watch));
        self.start_waiting();
    }

    fn add(&mut self, name: Name) -> usize {
        let line = tool::instance_line(&format!("{}/{}", name.0, name.1));
        self.watched.push(Watched { name, line, began: Instant::now(), seen: None, over: false });
        self.watched.len() - 1
    }

    /// Give a thread to each that waits for one, for as long as there are threads.
    fn start_waiting(&mut self) {
        while let Some((index, watch)) = self.waiting.pop_front() {
            let (sender, meter) = (self.sender.clone(), Arc::clone(&self.meter));
            let kept = Arc::new(Mutex::new(Some(watch)));
            let taken = Arc::clone(&kept);
            let run = move || {
                let Some(watch) = take(&taken) else { return };
                // Once nobody listens the tool is ending, and this thread with it.
                let tell = |seen| drop(sender.send((index, News::Seen(seen))));
                let watched = catch_unwind(AssertUnwindSafe(|| watch.until_ready(&tell, &meter)));
                let result = watched.unwrap_or_else(|_| Err(tool::thread::no_answer("watch")));
                drop(sender.send((index, News::Over(result))));
            };
            if tool::thread::start("watch", run).is_err() {
                self.waiting.extend(take(&kept).map(|watch| (index, watch)));
                self.waiting.rotate_right(1);
                return;
            }
        }
    }

    /// Watch one on this thread, to its end.
    fn watch_here(&mut self, index: usize, watch: Watch, io: &mut Io) -> Result<(), Failure> {
        let Some(watched) = self.watched.get(index) else { return Ok(()) };
        let tell = |seen| watched.line.set_message(watched.text(Some(seen)));
        let result = watch.until_ready(&tell, &self.meter);
        self.hear(index, News::Over(result), io)
    }

    fn busy(&self) -> bool {
        self.watched.iter().any(|watched| !watched.over)
    }

    fn hear(&mut self, index: usize, news: News, io: &mut Io) -> Result<(), Failure> {
        let Some(watched) = self.watched.get_mut(index) else { return Ok(()) };
        match news {
            News::Seen(seen) => {
                watched.seen = Some(seen);
                return Ok(());
            }
            News::Over(Ok(ready)) => io.write(ready)?,
            News::Over(Err(failure)) => io.fail((watched.name.0, watched.name.1.as_str()), failure)?,
        }
        watched.over = true;
        watched.line.finish_and_clear();
        self.start_waiting();
        Ok(())
    }

    /// Standard input has ended: wait for what is being watched, while anybody wants to know.
    fn rest(&mut self, io: &mut Io) -> Result<(), Failure> {
        while self.busy() && !io.gone() {
            let running = self.watched.iter().filter(|watched| !watched.over).count() > self.waiting.len();
            if !running && let Some((index, watch)) = self.waiting.pop_front() {
                self.watch_here(index, watch, io)?;
                continue;
            }
            if let Ok((index, news)) = self.news.recv_timeout(REDRAW) {
                self.hear(index, news, io)?;
            }
            self.draw();
        }
        Ok(())
    }

    fn draw(&self) {
        for watched in self.watched.iter().filter(|watched| !watched.over) {
            watched.line.set_message(watched.text(watched.seen));
        }
    }

    /// An instance for every plan, or a reason why not; a dead `ilaunch` looks like one that launched nothing.
    fn all_there(&self, io: &Io) -> Result<(), Failure> {
        io.require("instance", &["ienv", "iplan", "ilaunch", "iprobe"])?;
        let there = |name: &&Name| self.watched.iter().any(|watched| watched.name == **name);
        let ended = |name: &&Name| io.ended((name.0, name.1.as_str()));
        match self.planned.iter().find(|name| !there(name) && !ended(name)) {
            Some((engine, instance)) if !io.gone() => {
                let what = format!("no 'instance' record for {engine}/{instance} on standard input");
                let cause = "the stream ended without one, or the tool before this one died";
                Err(Failure::new(Code::Input, what, cause))
            }
            _ => Ok(()),
        }
    }
}

impl Watched {
    /// `llama-cpp/tiny: healthy, 12 s, 340 MB read`
    fn text(&self, seen: Option<Seen>) -> String {
        let (engine, instance) = &self.name;
        let Some(seen) = seen else { return format!("{engine}/{instance}") };
        let word = match (seen.state, seen.rung) {
            (Keeper::Running, Some(rung)) => rung.id(),
            (state, _) => state.id(),
        };
        let megabytes = seen.read_bytes / 1_000_000;
        format!("{engine}/{instance}: {word}, {} s, {megabytes} MB read", self.began.elapsed().as_secs())
    }
}
