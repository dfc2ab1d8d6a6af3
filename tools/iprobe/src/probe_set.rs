//! Several instances at once: a thread each as far as there are threads, results as they come.
use crate::watch::{Observation, ProbeOptions, Watch};
use gpu::Meter;
use record::{Engine, KeeperState, Ready, Record, Step};
use state::Directory;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tool::{Code, Failure, Io};

/// How long standard input is waited for while results may come.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// How often the lines on a terminal are drawn anew.
const REDRAW: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(3600);

type Name = (Engine, String);

/// What a watching thread has to say.
enum Event {
    Progress(Observation),
    Finished(Result<Ready, Failure>),
}

/// One instance that is watched, as a person sees it.
struct Watched {
    name: Name,
    line: indicatif::ProgressBar,
    began: Instant,
    seen: Option<Observation>,
    finished: bool,
}

/// Everything that one run has to remember.
struct ProbeSet<'a> {
    options: &'a ProbeOptions,
    watched: Vec<Watched>,
    /// Asked once for all.
    meter: Arc<Meter>,
    /// Instances that were planned, and of which ilaunch has not said that it leaves them out.
    planned: Vec<Name>,
    sender: Sender<(usize, Event)>,
    events: Receiver<(usize, Event)>,
    /// Those that the system has had no thread for yet.
    waiting: VecDeque<(usize, Watch)>,
}

/// The one instance of a state directory.
pub(crate) fn only(directory: Directory, options: &ProbeOptions, io: &mut Io) -> Result<(), Failure> {
    let mut probes = ProbeSet::new(options);
    let watch = Watch::new(directory, options)?;
    // One instance needs no thread but this one.
    let index = probes.add(watch.name());
    probes.probe_here(index, watch, io)
}

/// All instances of the stream.
pub(crate) fn of_stream(options: &ProbeOptions, io: &mut Io) -> Result<(), Failure> {
    let mut probes = ProbeSet::new(options);
    loop {
        let limit = if probes.has_running() { POLL_INTERVAL } else { LONG };
        if io.input_waits(limit)? {
            let Some(record) = io.read()? else { break };
            probes.take(record, io)?;
        }
        while let Ok((index, event)) = probes.events.try_recv() {
            probes.handle(index, event, io)?;
        }
        probes.draw();
    }
    probes.wait_for_rest(io)?;
    probes.check_all_ready(io)
}

/// What is kept there, which only one side gets.
fn take(kept: &Mutex<Option<Watch>>) -> Option<Watch> {
    kept.lock().unwrap_or_else(PoisonError::into_inner).take()
}

impl<'a> ProbeSet<'a> {
    fn new(options: &'a ProbeOptions) -> Self {
        let (sender, events) = channel();
        let (watched, planned, waiting) = (Vec::new(), Vec::new(), VecDeque::new());
        Self { options, watched, meter: Arc::default(), planned, sender, events, waiting }
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
                    match Watch::new(Directory::at(instance.state_dir), self.options) {
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
        self.watched.push(Watched { name, line, began: Instant::now(), seen: None, finished: false });
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
                let tell = |seen| drop(sender.send((index, Event::Progress(seen))));
                let watched = catch_unwind(AssertUnwindSafe(|| watch.until_ready(&tell, &meter)));
                let result = watched.unwrap_or_else(|_| Err(tool::thread::no_answer("watch")));
                drop(sender.send((index, Event::Finished(result))));
            };
            if tool::thread::start("watch", run).is_err() {
                self.waiting.extend(take(&kept).map(|watch| (index, watch)));
                self.waiting.rotate_right(1);
                return;
            }
        }
    }

    /// Watch one on this thread, to its end.
    fn probe_here(&mut self, index: usize, watch: Watch, io: &mut Io) -> Result<(), Failure> {
        let Some(watched) = self.watched.get(index) else { return Ok(()) };
        let tell = |seen| watched.line.set_message(watched.text(Some(seen)));
        let result = watch.until_ready(&tell, &self.meter);
        self.handle(index, Event::Finished(result), io)
    }

    fn has_running(&self) -> bool {
        self.watched.iter().any(|watched| !watched.finished)
    }

    fn handle(&mut self, index: usize, event: Event, io: &mut Io) -> Result<(), Failure> {
        let Some(watched) = self.watched.get_mut(index) else { return Ok(()) };
        match event {
            Event::Progress(seen) => {
                watched.seen = Some(seen);
                return Ok(());
            }
            Event::Finished(Ok(ready)) => io.write(ready)?,
            Event::Finished(Err(failure)) => io.fail((watched.name.0, watched.name.1.as_str()), failure)?,
        }
        watched.finished = true;
        watched.line.finish_and_clear();
        self.start_waiting();
        Ok(())
    }

    /// Standard input has ended: wait for what is being watched, while anybody wants to know.
    fn wait_for_rest(&mut self, io: &mut Io) -> Result<(), Failure> {
        while self.has_running() && !io.gone() {
            let running =
                self.watched.iter().filter(|watched| !watched.finished).count() > self.waiting.len();
            if !running && let Some((index, watch)) = self.waiting.pop_front() {
                self.probe_here(index, watch, io)?;
                continue;
            }
            if let Ok((index, event)) = self.events.recv_timeout(REDRAW) {
                self.handle(index, event, io)?;
            }
            self.draw();
        }
        Ok(())
    }

    fn draw(&self) {
        for watched in self.watched.iter().filter(|watched| !watched.finished) {
            watched.line.set_message(watched.text(watched.seen));
        }
    }

    /// An instance for every plan, or a reason why not; a dead `ilaunch` looks like one that launched nothing.
    fn check_all_ready(&self, io: &Io) -> Result<(), Failure> {
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
    fn text(&self, seen: Option<Observation>) -> String {
        let (engine, instance) = &self.name;
        let Some(seen) = seen else { return format!("{engine}/{instance}") };
        let word = match (seen.state, seen.rung) {
            (KeeperState::Running, Some(rung)) => rung.id(),
            (state, _) => state.id(),
        };
        let megabytes = seen.read_bytes / 1_000_000;
        format!("{engine}/{instance}: {word}, {} s, {megabytes} MB read", self.began.elapsed().as_secs())
    }
}
