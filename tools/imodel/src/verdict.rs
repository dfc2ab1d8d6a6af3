//! What is said of a model: its record, and what is wrong with it.
use record::{Model, Plan, TypeUse, Warning};
use std::time::Instant;
use tool::{Code, Failure, Io, Outcome};
use weights::{Finding, Report, Role};

/// Findings of one rule that standard error lists one by one; the record has all.
const LISTED: usize = 3;

/// The record of a model that was looked at, whoever is to load it.
pub(crate) fn record(report: &Report, role: Role, started: Instant) -> Model {
    let (total, shape) = (report.total(), &report.shape);
    let types = report.types.iter().map(|(name, amount)| {
        let weights::Totals { tensors, parameters, bytes } = *amount;
        (name.clone(), TypeUse { tensors, parameters, bytes })
    });
    Model {
        engine: None,
        instance: None,
        role: role.id().to_owned(),
        path: report.path.clone(),
        format: report.format.id().to_owned(),
        files: report.files,
        bytes: report.bytes,
        tensors: total.tensors,
        parameters: total.parameters,
        complete: report.problems.is_empty(),
        problems: report.problems.iter().map(ToString::to_string).collect(),
        types: types.collect(),
        architecture: shape.architecture.clone(),
        layers: shape.layers,
        heads: shape.heads,
        kv_heads: shape.kv_heads,
        context_length: shape.context_length,
        gpus: None,
        gpu_bytes: None,
        kv_bytes_per_1000_tokens: shape.kv_bytes_per_token.map(|bytes| bytes.saturating_mul(1000)),
        manifest: None,
        signature: None,
        hashed_bytes: None,
        seconds: started.elapsed().as_secs_f64(),
    }
}

/// Whether a plan silences a rule.
pub(crate) fn is_allowed(plan: &Plan, rule: &str) -> bool {
    plan.control.allow.iter().any(|allowed| allowed == rule)
}

/// Warn and fail for a plan, but for what it allows.
pub(crate) fn report_plan(plan: &Plan, role: Role, report: &Report, io: &mut Io) -> Result<(), Failure> {
    let subject = (plan.engine, plan.instance.as_str());
    let allowed = |rule: &str| is_allowed(plan, rule);
    let name = format!("{} {} of {}", role.id(), report.path.display(), plan.instance);
    for (rule, several) in by_rule(&report.warnings) {
        if !allowed(rule) {
            let (engine, instance) = (Some(plan.engine), Some(plan.instance.clone()));
            io.warn(warning(&name, &several, rule, Warning { engine, instance, ..empty() }))?;
        }
    }
    for (rule, several) in by_rule(&report.problems) {
        if !allowed(rule) {
            io.fail(subject, failure(&name, &several, rule))?;
        }
    }
    Ok(())
}

/// The same where no plan names the model: the failures, of which no record speaks.
pub(crate) fn report_path(report: &Report, io: &mut Io) -> Result<Vec<Failure>, Failure> {
    let name = report.path.display().to_string();
    for (rule, several) in by_rule(&report.warnings) {
        io.warn(warning(&name, &several, rule, empty()))?;
    }
    let problems = by_rule(&report.problems);
    Ok(problems.into_iter().map(|(rule, several)| failure(&name, &several, rule)).collect())
}

/// End with the first failure, all others reported.
pub(crate) fn end(failures: Vec<Failure>) -> Result<Outcome, Failure> {
    let mut failures = failures.into_iter();
    let Some(first) = failures.next() else { return Ok(Outcome::Done) };
    for Failure { what, cause, hint, .. } in failures {
        tool::note("imodel", &tool::one_line(&format!("{what}: {cause}")));
        tool::note("imodel", &tool::one_line(&format!("hint: {}", hint.unwrap_or_default())));
    }
    Err(first)
}

fn empty() -> Warning {
    Warning { engine: None, instance: None, rule: String::new(), what: String::new(), hint: String::new() }
}

fn warning(name: &str, several: &[&Finding], rule: &str, warning: Warning) -> Warning {
    let hint = several.first().map_or("", |first| first.hint).to_owned();
    Warning { rule: rule.to_owned(), what: format!("{name}: {}", listed(several)), hint, ..warning }
}

fn failure(name: &str, several: &[&Finding], rule: &str) -> Failure {
    let unreadable = rule == weights::rules::MODEL_UNREADABLE;
    let (code, what) = match rule {
        _ if unreadable => (Code::Unmet, format!("cannot read {name}")),
        weights::rules::MODEL_LAYOUT => (Code::No, format!("cannot use {name}")),
        weights::rules::MODEL_SIGNATURE => (Code::No, format!("{name} is not what was signed")),
        _ => (Code::No, format!("{name} is not whole")),
    };
    let mut failure = Failure::new(code, what, listed(several));
    failure.hint = several.first().map(|first| first.hint.to_owned());
    failure.class = Some(rule.to_owned());
    failure
}

/// The first few, and how many more there are.
fn listed(several: &[&Finding]) -> String {
    let mut text: Vec<String> = several.iter().take(LISTED).map(ToString::to_string).collect();
    if several.len() > LISTED {
        text.push(format!("and {} more", several.len() - LISTED));
    }
    text.join("; ")
}

/// The findings of each rule, in the order in which the rules came up.
fn by_rule(findings: &[Finding]) -> Vec<(&'static str, Vec<&Finding>)> {
    let mut rules: Vec<(&'static str, Vec<&Finding>)> = Vec::new();
    for finding in findings {
        match rules.iter_mut().find(|(rule, _)| *rule == finding.rule) {
            Some((_, several)) => several.push(finding),
            None => rules.push((finding.rule, vec![finding])),
        }
    }
    rules
}
