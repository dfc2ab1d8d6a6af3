//! Which of a plan's arguments say what the engine does without them.
use crate::argument::{Argument, Dialect};
use crate::asked_vocabulary;
use crate::extra::{find, parse};
use config::{ExtraArgument, Place};
use engine::Profile;
use record::Plan;
use vocabulary::{Arity, Flag, Vocabulary};

/// Those arguments of a plan whose value is the engine's own default, as they stand on the command line. None where the engine
/// could not be asked.
#[must_use]
pub fn defaults(plan: &Plan) -> Vec<String> {
    let Some(vocabulary) = asked_vocabulary::of_plan(plan) else { return Vec::new() };
    let dialect = Dialect { profile: engine::of(plan.engine), vocabulary: Some(&vocabulary), repeat: false };
    let word = |text: &String| ExtraArgument { text: text.clone(), place: Place::Overrides };
    let words: Vec<ExtraArgument> = plan.args.iter().map(word).collect();
    let arguments = parse(&words, dialect, &mut Vec::new());
    let same = |argument: &&Argument| is_default(argument, &vocabulary, dialect.profile).unwrap_or(false);
    arguments.iter().filter(same).map(|argument| argument.tokens.join(" ")).collect()
}

fn is_default(argument: &Argument, vocabulary: &Vocabulary, profile: &'static Profile) -> Option<bool> {
    let typed = argument.tokens.first()?.split('=').next()?;
    // A part of a value after a dot has no default of its own.
    let flag = find(vocabulary, typed, profile).filter(|_| !typed.contains('.'))?;
    let default = flag.default.as_deref()?;
    Some(match flag.takes {
        Arity::Nothing => {
            let words = if is_negative(flag, typed) { ["false", "disabled"] } else { ["true", "enabled"] };
            words.contains(&default)
        }
        _ => match &argument.values[..] {
            [value] => value == default || numbers(value, default),
            _ => false,
        },
    })
}

fn is_negative(flag: &Flag, typed: &str) -> bool {
    flag.negative.iter().any(|spelling| spelling == typed)
}

fn numbers(one: &str, other: &str) -> bool {
    one.parse::<f64>().ok().is_some_and(|one| other.parse() == Ok(one))
}
