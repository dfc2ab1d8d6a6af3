//! The `env` and `installed` records of a stream, and planning from them.
use crate::input::Input;
use crate::item::Item;
use crate::options::Options;
use crate::planning::{plan_all, vocabulary_of};
use config::rules::STALE;
use failure::{Code, Failure};
use record::{Bridge, Engine, Plan, Record, Step};
use tool::Io;
use vocabulary::Vocabulary;

/// The `env` and `installed` records of a stream, gathered until its end, and whose user each `plan` in it names.
#[derive(Debug, Default)]
pub struct Planner {
    inputs: Vec<Input>,
    bridge: Option<Bridge>,
    read: Vec<Planned>,
}

/// As whom a `plan` of the stream would have an instance run.
#[derive(Debug)]
struct Planned {
    engine: Engine,
    instance: String,
    user: Option<String>,
}

/// What came of planning.
#[derive(Debug, Default)]
pub struct Plans {
    /// What is to run.
    pub plans: Vec<Plan>,
    /// What the configuration does not want: instances that are disabled, or left over from another one.
    pub unwanted: Vec<(Engine, String)>,
}

impl Planner {
    /// Take note of a record. The last `env` and the last `installed` of an engine count.
    pub fn note(&mut self, record: &Record) {
        match record {
            Record::Env(env) => {
                let env = env.clone();
                match self.inputs.iter_mut().find(|input| input.env.engine == env.engine) {
                    Some(input) => input.env = env,
                    None => self.inputs.push(Input { env, installed: None }),
                }
            }
            Record::Installed(installed) => {
                let mut inputs = self.inputs.iter_mut();
                if let Some(input) = inputs.find(|input| input.env.engine == installed.engine) {
                    input.installed = Some(installed.clone());
                }
            }
            Record::Bridge(bridge) => self.bridge = Some(bridge.clone()),
            Record::Plan(Plan { engine, instance, user, .. }) => {
                self.read.push(Planned { engine: *engine, instance: instance.clone(), user: user.clone() });
            }
            _ => {}
        }
    }

    /// Fail each instance whose `plan` in the stream names another user than the `env` record of its engine does: root
    /// starts an instance as the user that the operator named, whoever wrote its plan. A stream of plans alone, without
    /// any `env`, is the operator's own.
    ///
    /// # Errors
    /// As [`Io::write`].
    pub fn refuse_other_users(&self, io: &mut Io) -> Result<(), Failure> {
        if self.inputs.is_empty() && self.bridge.is_none() {
            return Ok(());
        }
        for planned in &self.read {
            let wanted = self.user_of(planned.engine);
            if wanted != Some(planned.user.as_deref())
                && !io.ended((planned.engine, planned.instance.as_str()))
            {
                io.fail((planned.engine, planned.instance.as_str()), planned.refused(wanted))?;
            }
        }
        Ok(())
    }

    /// Whether anything of what is planned from came by.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inputs.is_empty() && self.bridge.is_none()
    }

    /// The user whom the contract of an engine names; the outer `None` where the stream has none.
    fn user_of(&self, engine: Engine) -> Option<Option<&str>> {
        if engine == Engine::Bridge {
            return self.bridge.as_ref().map(|bridge| bridge.user.as_deref());
        }
        let env = self.inputs.iter().map(|input| &input.env).find(|env| env.engine == engine);
        env.map(|env| env.user.as_deref())
    }

    /// The options that an engine of the stream has.
    ///
    /// # Errors
    /// Code 65 when the stream has no `env` of it; 69 when it is not there, or does not say.
    pub fn vocabulary(&self, engine: Engine, options: &Options) -> Result<Vocabulary, Failure> {
        let what = format!("cannot list the options of {engine}");
        match self.inputs.iter().find(|input| input.env.engine == engine) {
            Some(input) => vocabulary_of(input, options),
            None => Err(Failure::new(Code::Input, what, "its 'env' record never came")
                .hint(format!("ienv {engine} | iplan --flags {engine}"))),
        }
    }

    /// Plan what was gathered and write it all: engines that failed before are left out, those that are not asked to serve
    /// are skipped. Gives the plans back, and what is not to run.
    ///
    /// # Errors
    /// As [`Io::write`].
    pub fn plan(self, io: &mut Io, options: &Options) -> Result<Plans, Failure> {
        let alive = self.inputs.into_iter().filter(|input| !io.ended(input.env.engine));
        let (wanted, others): (Vec<Input>, Vec<Input>) =
            alive.partition(|input| input.env.wants(Step::Serve));
        for input in others {
            io.skip(input.env.engine, "step serve was not asked for")?;
        }
        let serves = |bridge: &Bridge| bridge.steps.as_ref().is_none_or(|steps| steps.contains(&Step::Serve));
        let bridge = self.bridge.filter(|bridge| serves(bridge) && !io.ended(Engine::Bridge));
        let mut plans = Plans::default();
        for item in plan_all(&wanted, bridge.as_ref(), options) {
            match item {
                Item::Plan(plan) => {
                    plans.plans.push((*plan).clone());
                    io.write(*plan)?;
                }
                Item::Skipped { engine, instance: Some(name), why } => {
                    io.skip((engine, name.as_str()), why)?;
                    plans.unwanted.push((engine, name));
                }
                Item::Skipped { engine, instance: None, why } => io.skip(engine, why)?,
                Item::Failed { engine, instance: Some(name), failure } => {
                    io.fail((engine, name.as_str()), failure)?;
                }
                Item::Failed { engine, instance: None, failure } => io.fail(engine, failure)?,
                Item::Warning(warning) if options.replace && warning.rule == STALE => {}
                Item::Warning(warning) => io.warn(warning)?,
            }
        }
        Ok(plans)
    }
}

impl Planned {
    /// `wanted`: the user of the engine's `env`; the outer `None` where the stream has none.
    fn refused(&self, wanted: Option<Option<&str>>) -> Failure {
        let of =
            |user: Option<&str>| user.map_or_else(|| "no user".to_owned(), |user| format!("user {user}"));
        let (engine, planned) = (self.engine, of(self.user.as_deref()));
        let cause = match wanted {
            Some(user) => format!("its plan names {planned}, the 'env' record of {engine} {}", of(user)),
            None => format!("its plan names {planned}, and the stream has no 'env' record of {engine}"),
        };
        let hint =
            format!("plan it again: ienv {engine} | iplan; {} names the user", variables::user(engine));
        Failure::new(Code::Input, format!("cannot start {engine} {}", self.instance), cause).hint(hint)
    }
}
