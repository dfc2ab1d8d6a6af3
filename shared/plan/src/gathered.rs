//! The `env` and `installed` records of a stream, and planning from them.
use crate::{Input, Item, Options, plan_all};
use record::{Plan, Record, Step};
use tool::{Failure, Io};

/// The `env` and `installed` records of a stream, gathered until its end.
#[derive(Debug, Default)]
pub struct Gathered {
    inputs: Vec<Input>,
}

impl Gathered {
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
            _ => {}
        }
    }

    /// Plan what was gathered and write it all: engines that failed before are left out, those that are not asked to serve
    /// are skipped. Gives the plans back.
    ///
    /// # Errors
    /// As [`Io::write`].
    pub fn plan(self, io: &mut Io, options: &Options) -> Result<Vec<Plan>, Failure> {
        let alive = self.inputs.into_iter().filter(|input| !io.ended(input.env.engine));
        let (wanted, others): (Vec<Input>, Vec<Input>) =
            alive.partition(|input| input.env.wants(Step::Serve));
        for input in others {
            io.skip(input.env.engine, "step serve was not asked for")?;
        }
        let mut plans = Vec::new();
        for item in plan_all(&wanted, options) {
            match item {
                Item::Plan(plan) => {
                    plans.push((*plan).clone());
                    io.write(*plan)?;
                }
                Item::Skipped { engine, instance: Some(name), why } => {
                    io.skip((engine, name.as_str()), why)?;
                }
                Item::Skipped { engine, instance: None, why } => io.skip(engine, why)?,
                Item::Failed { engine, instance: Some(name), failure } => {
                    io.fail((engine, name.as_str()), failure)?;
                }
                Item::Failed { engine, instance: None, failure } => io.fail(engine, failure)?,
                Item::Warning(warning) => io.warn(warning)?,
            }
        }
        Ok(plans)
    }
}
