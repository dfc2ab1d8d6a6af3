//! One question and its answer.
use crate::bench::{self, milliseconds};
use crate::key;
use crate::no_answer::failure;
use crate::running::Running;
use ask::{Chat, Completion, Error, KnownAnswers, Piece, Target};
use owner::Dir;
use record::{Answer, Bench, Engine, Ready};
use state::Directory;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tool::{Code, Failure};

/// What is asked of every server.
#[derive(Debug)]
pub(crate) struct Question {
    /// `None`: a greeting.
    pub(crate) prompt: Option<String>,
    /// `None`: the model that is listed.
    pub(crate) model: Option<String>,
    pub(crate) max_tokens: u32,
    pub(crate) key_file: Option<PathBuf>,
    pub(crate) silence: Duration,
    pub(crate) total: Duration,
    pub(crate) record: Option<Recording>,
    /// The record holds the question and the response as it came.
    pub(crate) raw: bool,
    /// The answer is written as it comes, for a person.
    pub(crate) text: bool,
    /// It is put several times at once, and timed.
    pub(crate) bench: bool,
}

/// What is kept for later.
#[derive(Debug)]
pub(crate) struct Recording {
    file: PathBuf,
    prompts: Vec<String>,
    agree_percent: u8,
}

/// A kept answer is no longer than this: what is wrong shows in the first words.
const KEPT_TOKENS: u32 = 64;

impl Question {
    /// The same question, whose answer is kept in a file; without a prompt those that are asked where nobody says otherwise.
    pub(crate) fn recording(mut self, file: PathBuf, agree_percent: u8) -> Self {
        let prompts = match &self.prompt {
            Some(prompt) => vec![prompt.clone()],
            None => ask::PROMPTS.map(str::to_owned).to_vec(),
        };
        self.prompt = prompts.first().cloned();
        self.record = Some(Recording { file, prompts, agree_percent });
        self
    }

    /// Ask without chance, and write the answers in one step.
    fn keep(&self, recording: &Recording, target: &Target, model: &str) -> Result<(), Failure> {
        let Recording { file, prompts, agree_percent } = recording;
        let prompts: Vec<&str> = prompts.iter().map(String::as_str).collect();
        let tokens = self.max_tokens.min(KEPT_TOKENS);
        let what = || format!("no answer from {}", target.url());
        let known = KnownAnswers::record((target, model), &prompts, (tokens, *agree_percent), self.total)
            .map_err(|error| failure(what(), &error))?;
        let cannot = |error: std::io::Error| {
            Failure::io(Code::Unmet, format!("cannot write {}", file.display()), &error)
        };
        let path = std::path::absolute(file).map_err(cannot)?;
        let folder = Dir::open(path.parent().unwrap_or(Path::new("/"))).map_err(cannot)?;
        folder.replace(path.file_name().unwrap_or_default(), 0o644, &known.text()).map_err(cannot)
    }

    /// Ask an instance of the stream.
    pub(crate) fn ask_instance(&self, ready: &Ready, place: Option<&Directory>) -> Result<Reply, Failure> {
        let target = match place.and_then(planned).filter(|target| target.url() == ready.url) {
            Some(target) => target,
            None => Target::parse(&ready.url).map_err(|cause| {
                Failure::new(Code::Input, format!("cannot use the URL '{}' of the record", ready.url), cause)
            })?,
        };
        Ok(self.ask(target, ready.model_id.as_deref(), place)?.of(ready.engine, &ready.instance))
    }

    /// Ask an instance that was found running.
    pub(crate) fn ask_running_instance(&self, running: Running) -> Result<Reply, Failure> {
        let served_name = running.served_name.as_deref();
        let reply = self.ask(running.target, served_name, Some(&running.place))?;
        Ok(reply.of(running.engine, &running.instance))
    }

    /// Ask the server at a URL.
    pub(crate) fn ask_server(&self, target: Target) -> Result<Reply, Failure> {
        self.ask(target, None, None)
    }

    /// Hear the answer to its end, and where it is for a person write it as it comes. One that breaks off ends its line too.
    fn stream_answer(&self, target: &Target, chat: &Chat<'_>) -> Result<Result<Completion, Error>, Failure> {
        let (mut begun, mut written) = (false, Ok(()));
        let said = target.chat(chat, &mut |piece| match piece {
            Piece::Content(text) if self.text && written.is_ok() => {
                begun = true;
                written = tool::print(&tool::lines_of(text));
            }
            _ => {}
        });
        written?;
        if begun && said.is_err() {
            tool::print("\n")?;
        }
        Ok(said)
    }

    /// The server with its key, and the model to ask it for.
    fn aim(
        &self,
        target: Target,
        listed: Option<&str>,
        place: Option<&Directory>,
    ) -> Result<(Target, String), Failure> {
        let target = target.with_key(key::of(self.key_file.as_deref(), place)?);
        let model = match self.model.as_deref().or(listed) {
            Some(model) => model.to_owned(),
            None => only_model(&target, self.silence)?,
        };
        let from = if self.model.is_some() { "as asked for" } else { "as it is listed" };
        log::info!("asks {} for at most {} tokens of {model}, {from}", target.url(), self.max_tokens);
        Ok((target, model))
    }

    /// The chat about this model.
    pub(crate) fn chat<'a>(&'a self, model: &'a str) -> Chat<'a> {
        let prompt = self.prompt.as_deref().unwrap_or(if self.bench { bench::PROMPT } else { "Hello" });
        Chat { model, prompt, max_tokens: self.max_tokens, silence: self.silence, total: self.total }
    }

    fn ask(&self, target: Target, listed: Option<&str>, place: Option<&Directory>) -> Result<Reply, Failure> {
        let (target, model) = self.aim(target, listed, place)?;
        if self.bench {
            return Ok(Reply::Bench(bench::measure(&target, &self.chat(&model))?));
        }
        let chat = self.chat(&model);
        let what = || format!("no answer from {}", target.url());
        let said = self.stream_answer(&target, &chat)?.map_err(|error| failure(what(), &error))?;
        let first = said.first;
        let first = first.ok_or_else(|| Failure::new(Code::No, what(), "the model ended without a word"))?;
        if let Some(recording) = &self.record {
            self.keep(recording, &target, &model)?;
        }
        let raw = Some(said.raw.clone()).filter(|_| self.raw);
        let prompt = raw.as_ref().map(|_| chat.prompt.to_owned());
        Ok(Reply::Answer(Answer { prompt, raw, ..answer(said, first) }))
    }
}

/// What came of a question.
pub(crate) enum Reply {
    Answer(Answer),
    /// The measures of each level.
    Bench(Vec<Bench>),
}

impl Reply {
    /// The same, of this instance.
    fn of(mut self, engine: Engine, instance: &str) -> Self {
        let named = || (Some(engine), Some(instance.to_owned()));
        match &mut self {
            Self::Answer(answer) => (answer.engine, answer.instance) = named(),
            Self::Bench(levels) => {
                for level in levels {
                    (level.engine, level.instance) = named();
                }
            }
        }
        self
    }
}

/// The server of an instance, as the plan says that it runs from: its certificate too.
fn planned(place: &Directory) -> Option<Target> {
    Some(Target::of_plan(&place.plan().ok()??, &place.user().ok()?))
}

fn answer(said: Completion, first: Duration) -> Answer {
    Answer {
        engine: None,
        instance: None,
        prompt_tokens: said.prompt_tokens,
        completion_tokens: said.completion_tokens,
        ttft_ms: milliseconds(first),
        tokens_per_second: said.tokens_per_second().map(|rate| (rate * 100.0).round() / 100.0),
        content: said.content,
        reasoning: Some(said.reasoning).filter(|text| !text.is_empty()),
        prompt: None,
        raw: None,
    }
}

/// The one model that the server lists.
fn only_model(target: &Target, limit: Duration) -> Result<String, Failure> {
    let what = format!("cannot tell which model {} serves", target.url());
    let mut models = target.models(limit).map_err(|error| failure(what.clone(), &error))?;
    match models.len() {
        1 => Ok(models.remove(0)),
        0 => Err(Failure::new(Code::No, what, "it lists none")),
        _ => {
            let cause = format!("it lists {}", models.join(", "));
            Err(Failure::new(Code::Usage, what, cause).hint("name one with --model"))
        }
    }
}
