//! ichat: get one real chat completion.
//!
//! Reads `ready`, and `instance` for where the key is. Writes one `answer` per `ready` whose rung is answering. With
//! `--url` or `--instance`, or at a terminal, it reads no records and writes one `answer`. With `--bench` it writes `bench`.
mod bench;
mod key;
mod no_answer;
mod question;
mod running;

use ask::Target;
use clap::Parser;
use question::{Question, Reply};
use record::{Engine, Ready, Record, Rung, Step};
use state::Directory;
use std::collections::HashMap;
use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;
use std::time::Duration;
use tool::{Code, Failure, Io, Outcome};

#[derive(Parser)]
#[command(version, about)]
struct Args {
    /// What to say; with --url, --instance or --running and none, standard input [default: Hello]
    prompt: Option<String>,
    /// Ask for this model instead of the one that is listed
    #[arg(short, long)]
    model: Option<String>,
    /// Ask the server at this base URL instead of those that records name
    #[arg(long, group = "server")]
    url: Option<String>,
    /// Ask this instance, which runs; at a terminal the first that is ready is asked
    #[arg(long, value_name = "NAME", group = "server", add = tool::complete::of(state::instance_names))]
    instance: Option<String>,
    /// Ask the first instance that is ready, whatever standard input is, unless another server is named
    #[arg(long)]
    running: bool,
    /// How long the answer may get, in tokens
    #[arg(long, value_name = "N", default_value = "256", value_parser = clap::value_parser!(u32).range(1..))]
    max_tokens: u32,
    /// File with the server's key, instead of the one in the state directory
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Keep the model's answers to a few prompts, or to this one, in FILE, for rung correct of iprobe
    #[arg(long, value_name = "FILE", requires = "server")]
    record: Option<PathBuf>,
    /// How much of each kept answer has to agree later, from its beginning
    #[arg(long, value_name = "PERCENT", default_value = "100", requires = "record", value_parser = clap::value_parser!(u8).range(1..=100))]
    agree: u8,
    /// Write the question and the response as it came, too
    #[arg(long)]
    raw: bool,
    /// Write the answer as it comes, for a person, in place of records
    #[arg(long, conflicts_with_all = ["raw", "record"])]
    text: bool,
    /// Ask 1, 2, 4 and 8 times at once, and write how fast that was in place of an answer
    #[arg(long, conflicts_with_all = ["raw", "record", "text"])]
    bench: bool,
    /// The longest silence of the server that is borne
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// The longest that a whole answer may take
    #[arg(long, value_name = "SECONDS", default_value = "3600", value_parser = clap::value_parser!(u64).range(1..))]
    within: u64,
}

/// Runs the tool with the arguments of this process.
pub fn main() -> std::process::ExitCode {
    tool::main(run)
}

fn run(args: Args, io: &mut Io) -> Result<Outcome, Failure> {
    if args.prompt.as_deref().is_some_and(|prompt| prompt.trim().is_empty()) {
        let failure = Failure::new(Code::Usage, "no prompt", "the argument is empty");
        return Err(failure.hint("give some words, as in: ichat Hello"));
    }
    let question = Question {
        prompt: args.prompt,
        model: args.model,
        max_tokens: args.max_tokens,
        key_file: args.key_file,
        silence: Duration::from_secs(args.timeout),
        total: Duration::from_secs(args.within),
        record: None,
        raw: args.raw,
        text: args.text,
        bench: args.bench,
    };
    if args.text {
        io.mute();
    }
    let question = match args.record {
        Some(file) => question.recording(file, args.agree),
        None => question,
    };
    match (args.url, args.instance) {
        (Some(url), _) => ask_url(question, &url, io)?,
        (None, None) if !args.running && !io::stdin().is_terminal() => answer_all(&question, io)?,
        (None, instance) => ask_running(question, instance.as_deref(), io)?,
    }
    Ok(Outcome::Done)
}

/// Every ready instance of the stream, as they come.
fn answer_all(question: &Question, io: &mut Io) -> Result<(), Failure> {
    let mut places: HashMap<(Engine, String), Directory> = HashMap::new();
    while let Some(record) = io.read()? {
        match record {
            Record::Env(env) if !io.wants(env.engine, Step::Serve) => {
                io.skip(env.engine, "step serve was not asked for")?;
            }
            Record::Instance(instance) => {
                let place = Directory::at(instance.state_dir);
                places.insert((instance.engine, instance.instance), place);
            }
            Record::Ready(ready) if !io.ended((ready.engine, ready.instance.as_str())) => {
                let place = places.get(&(ready.engine, ready.instance.clone()));
                answer(question, io, &ready, place)?;
            }
            _ => {}
        }
    }
    io.require("ready", &["ienv", "iplan", "ilaunch", "iprobe", "ichat"])
}

/// One instance; its failure is its own.
fn answer(question: &Question, io: &mut Io, ready: &Ready, place: Option<&Directory>) -> Result<(), Failure> {
    let subject = (ready.engine, ready.instance.as_str());
    if ready.rung < Rung::Answering {
        let why = format!("its rung is {}: it is not asked to chat", ready.rung.id());
        return io.skip(subject, why);
    }
    match question.ask_instance(ready, place) {
        Ok(reply) => report_answer(question, io, reply),
        Err(failure) => io.fail(subject, failure),
    }
}

fn ask_url(mut question: Question, url: &str, io: &mut Io) -> Result<(), Failure> {
    let target = Target::parse(url)
        .map_err(|cause| Failure::new(Code::Usage, format!("cannot use the URL '{url}'"), cause))
        .map_err(|failure| failure.hint("write it as http://HOST:PORT, as istat --table shows it"))?;
    question.prompt = read_prompt(question.prompt, question.bench)?;
    let answer = question.ask_server(target).map_err(|failure| match failure.hint {
        None => failure.hint("see that a server is there, and ready: istat --table shows where ours listen"),
        Some(_) => failure,
    })?;
    report_answer(&question, io, answer)
}

/// The records, or the end of the text that stands there already.
fn report_answer(question: &Question, io: &mut Io, reply: Reply) -> Result<(), Failure> {
    match reply {
        Reply::Answer(answer) if question.text => {
            io.print(if answer.content.ends_with('\n') { "" } else { "\n" })
        }
        Reply::Answer(answer) => io.write(answer),
        Reply::Bench(levels) => levels.into_iter().try_for_each(|level| io.write(level)),
    }
}

/// The instance that is named, or the one that runs. Which one was taken is said where there was a choice.
fn ask_running(mut question: Question, name: Option<&str>, io: &mut Io) -> Result<(), Failure> {
    question.prompt = read_prompt(question.prompt, question.bench)?;
    let running = running::find(name)?;
    if !running.others.is_empty() {
        let (taken, others) = (format!("{}/{}", running.engine, running.instance), running.others.join(", "));
        tool::note("ichat", &format!("asks {taken}; ready too: {others}; choose with --instance NAME"));
    }
    let answer = question.ask_running_instance(running)?;
    report_answer(&question, io, answer)
}

/// The prompt, which may be on standard input. A bench has one of its own.
fn read_prompt(prompt: Option<String>, bench: bool) -> Result<Option<String>, Failure> {
    if prompt.is_some() || bench || io::stdin().is_terminal() {
        return Ok(prompt);
    }
    let mut prompt = String::new();
    let read = io::stdin().read_to_string(&mut prompt);
    read.map_err(|error| Failure::io(Code::Input, "cannot read the prompt on standard input", &error))?;
    if prompt.trim().is_empty() {
        let failure = Failure::new(Code::Input, "no prompt", "standard input is empty");
        return Err(failure.hint("give the prompt as an argument, as in: ichat --url URL Hello"));
    }
    Ok(Some(prompt))
}
