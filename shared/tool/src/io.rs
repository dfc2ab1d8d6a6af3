//! A tool's end of the wire, with the rules that hold for every tool.
use crate::clock::record_time;
use crate::stderr;
use crate::witness::Witness;
use crate::words::{named, pipeline, unreadable};
use crate::{Code, Failure, Subject};
use record::{Engine, Reader, Record, Skipped, Step, Warning, Writer};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;
use std::collections::{HashMap, HashSet};
use std::io::{self, BufReader, IsTerminal};
use std::time::Duration;
use text::one_line;

/// stdin and stdout as a stream of records. Whatever is read is written first, unchanged and in order.
#[derive(Debug)]
pub struct Io {
    name: &'static str,
    input: Option<Reader<BufReader<io::Stdin>>>,
    output: Writer<io::Stdout>,
    /// The reader of our output is gone: nothing more is written, and `read` ends.
    gone: bool,
    /// Records only count: stdout is for a text.
    mute: bool,
    code: Option<u8>,
    ended: HashSet<(Engine, Option<String>)>,
    skipped_by: HashSet<String>,
    seen: HashSet<&'static str>,
    /// The tool whose `failed` of code 1 is held back.
    held: Option<&'static str>,
    /// `env.steps` by engine.
    steps: HashMap<Engine, Option<Vec<Step>>>,
    witness: Witness,
}

impl Io {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            input: None,
            output: Writer::new(io::stdout()),
            gone: false,
            mute: false,
            code: None,
            ended: HashSet::new(),
            skipped_by: HashSet::new(),
            seen: HashSet::new(),
            held: None,
            steps: HashMap::new(),
            witness: Witness::default(),
        }
    }

    /// Read the next record that this version knows; it and all lines before it have been written by then. `None` at
    /// the end of input, or once nobody reads our output.
    ///
    /// # Errors
    /// Code 2 when standard input is a terminal, 65 for a line that is not a record.
    pub fn read(&mut self) -> Result<Option<Record>, Failure> {
        while !self.gone {
            let Some(line) = self.input()?.read().map_err(unreadable)? else { return Ok(None) };
            if let Some(Record::Failed(failed)) = &line.record
                && self.held == Some(failed.by.as_str())
                && failed.code == Code::No.number()
            {
                return Ok(line.record);
            }
            if !self.mute {
                let written = self.output.forward(&line);
                self.note_write(written)?;
            }
            if let Some(record) = line.record {
                log::info!("read {}", named(&record));
                self.observe(&record);
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// From now on a `failed` of this tool with code 1, which says that something is not as it should be, is only handed over:
    /// who reads it mends that, or else writes it.
    pub fn hold_back(&mut self, by: &'static str) {
        self.held = Some(by);
    }

    /// Wait until [`Io::read`] has something to do, a line or the end of input, at most `limit`. `false`: time is up.
    ///
    /// # Errors
    /// Code 2 when standard input is a terminal.
    pub fn input_waits(&mut self, limit: Duration) -> Result<bool, Failure> {
        if self.gone || self.input()?.has_buffered_line() {
            return Ok(true);
        }
        let stdin = io::stdin();
        let mut watched = [PollFd::new(&stdin, PollFlags::IN)];
        let limit = Timespec::try_from(limit).ok();
        Ok(poll(&mut watched, limit.as_ref()).is_ok_and(|ready| ready > 0))
    }

    /// Standard input, opened at the first use.
    fn input(&mut self) -> Result<&mut Reader<BufReader<io::Stdin>>, Failure> {
        if self.input.is_none() && io::stdin().is_terminal() {
            let what = "standard input is a terminal";
            let hint = format!("pipe records in, as in: {}", pipeline(self.name));
            return Err(Failure::new(Code::Usage, what, "nothing to read").hint(hint));
        }
        Ok(self.input.get_or_insert_with(|| Reader::new(BufReader::new(io::stdin()))))
    }

    /// The tool's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Have `hear` told of every record of our own from now on, in the place of any other; what it answers is a warning.
    pub fn on_write(&mut self, hear: impl FnMut(&Record) -> Option<Warning> + 'static) {
        self.witness = Witness::new(hear);
    }

    /// Write a record of our own.
    ///
    /// # Errors
    /// Code 69 when stdout cannot be written, a reader that went away excepted.
    pub fn write(&mut self, record: impl Into<Record>) -> Result<(), Failure> {
        let record = record.into();
        self.observe(&record);
        let warning = self.witness.hear(&record);
        if !self.gone && !self.mute {
            let written = self.output.write_at(&record, record_time());
            self.note_write(written)?;
        }
        warning.map_or(Ok(()), |warning| self.warn(warning))
    }

    /// Say on stderr and on the wire that an engine or an instance failed. Independent items go on.
    ///
    /// # Errors
    /// As [`Io::write`].
    pub fn fail<'a>(&mut self, subject: impl Into<Subject<'a>>, failure: Failure) -> Result<(), Failure> {
        stderr::print(self.name, &failure);
        let failed = subject.into().failed(self.name, failure);
        self.write(failed)
    }

    /// The same for a failure that several engines share: said once on stderr, and on the wire for each.
    ///
    /// # Errors
    /// As [`Io::write`].
    pub fn fail_all(&mut self, engines: &[Engine], failure: &Failure) -> Result<(), Failure> {
        stderr::print(self.name, failure);
        for engine in engines {
            let failed = Subject::from(*engine).failed(self.name, failure.clone());
            self.write(failed)?;
        }
        Ok(())
    }

    /// Say on the wire that we do not act, and why.
    ///
    /// # Errors
    /// As [`Io::write`].
    pub fn skip<'a>(
        &mut self,
        subject: impl Into<Subject<'a>>,
        why: impl Into<String>,
    ) -> Result<(), Failure> {
        let Subject { engine, instance } = subject.into();
        let (instance, why) = (instance.map(str::to_owned), why.into());
        log::info!(
            "{engine}{} is passed by: {why}",
            instance.as_ref().map_or(String::new(), |it| format!(" {it}"))
        );
        self.write(Skipped { engine, instance, by: self.name.to_owned(), why })
    }

    /// Say on stderr and on the wire what an operator should know.
    ///
    /// # Errors
    /// As [`Io::write`].
    pub fn warn(&mut self, warning: Warning) -> Result<(), Failure> {
        let (what, hint) = (one_line(&warning.what), one_line(&warning.hint));
        stderr::say(&format!("{}: warning: {what}\n{0}: hint: {hint}\n", self.name));
        self.write(Warning { what, hint, ..warning })
    }

    /// Write a table or a text for a person to stdout, in place of records.
    ///
    /// # Errors
    /// As [`Io::write`].
    pub fn print(&mut self, text: &str) -> Result<(), Failure> {
        use std::io::Write;
        if self.gone {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        drop(out);
        self.note_write(written)
    }

    /// Whether a `failed` ended this engine or instance, read or our own.
    #[must_use]
    pub fn ended<'a>(&self, subject: impl Into<Subject<'a>>) -> bool {
        let Subject { engine, instance } = subject.into();
        self.ended.contains(&(engine, None))
            || instance.is_some_and(|name| self.ended.contains(&(engine, Some(name.to_owned()))))
    }

    /// Whether a `failed` ended this engine or any instance of it, read or our own.
    #[must_use]
    pub fn any_ended(&self, engine: Engine) -> bool {
        self.ended.iter().any(|(ended, _)| *ended == engine)
    }

    /// Whether this step was asked for: `env` lists it, or nothing is gated, or no `env` came by.
    #[must_use]
    pub fn wants(&self, engine: Engine, step: Step) -> bool {
        let steps = self.steps.get(&engine).and_then(Option::as_ref);
        steps.is_none_or(|steps| steps.contains(&step))
    }

    /// At the end of input: fail with 65 when no record of `kind` came, nor a stand-in for it: a `failed`, or a
    /// `skipped` by one of `producers` (the tool that writes the kind, and those whose silence keeps it silent).
    ///
    /// # Errors
    /// Code 65, naming the kind.
    pub fn require(&self, kind: &'static str, producers: &[&str]) -> Result<(), Failure> {
        let stood_in = !self.ended.is_empty() || producers.iter().any(|by| self.skipped_by.contains(*by));
        if self.gone || self.seen.contains(kind) || stood_in {
            return Ok(());
        }
        let what = format!("no '{kind}' record on standard input");
        let cause = "the stream ended without one, or the tool before this one died";
        let hint = format!("the whole pipeline is: {}", pipeline(self.name));
        Err(Failure::new(Code::Input, what, cause).hint(hint))
    }

    /// Whether the reader of our output is gone. A pipe says so before anything is written to it.
    #[must_use]
    pub fn gone(&self) -> bool {
        let stdout = io::stdout();
        let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
        let now = Timespec::default();
        self.gone || poll(&mut watched, Some(&now)).is_ok_and(|ready| ready > 0)
    }

    /// Whether a `skipped` by this tool came by.
    #[must_use]
    pub fn skipped_by(&self, tool: &str) -> bool {
        self.skipped_by.contains(tool)
    }

    /// From now on stdout is for [`Io::print`] alone; records still count for the exit code, and failures and warnings
    /// are still said on stderr.
    pub fn mute(&mut self) {
        self.mute = true;
    }

    /// Whether there is a `failed` in our output, read or our own.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.code.is_some()
    }

    /// The code of the first `failed` in our output.
    pub(crate) fn code(&self) -> Option<u8> {
        self.code
    }

    fn observe(&mut self, record: &Record) {
        match record {
            Record::Env(env) => drop(self.steps.insert(env.engine, env.steps.clone())),
            Record::Skipped(skipped) => drop(self.skipped_by.insert(skipped.by.clone())),
            Record::Failed(failed) => {
                self.code.get_or_insert(failed.code);
                self.ended.insert((failed.engine, failed.instance.clone()));
            }
            _ => {}
        }
        self.seen.insert(record.kind());
    }

    fn note_write(&mut self, written: io::Result<()>) -> Result<(), Failure> {
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.gone = true;
                Ok(())
            }
            Err(error) => Err(Failure::io(Code::Unmet, "cannot write standard output", &error)),
            Ok(()) => Ok(()),
        }
    }
}
