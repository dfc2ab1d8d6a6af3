//! The plans for a person: what would run where, and the command lines.
use record::Plan;

const HEAD: [&str; 6] = ["ENGINE", "INSTANCE", "LISTENS", "GPUS", "MODEL", "STATE"];

/// The table, then each command line as a shell would take it.
pub(crate) fn render(plans: &[Plan]) -> String {
    let mut rows: Vec<[String; 6]> = vec![HEAD.map(str::to_owned)];
    rows.extend(plans.iter().map(row));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    for plan in plans {
        text.push_str(&format!("\n# {} {}, log {}\n", plan.engine, plan.instance, plan.log_file.display()));
        if !plan.secrets.is_empty() {
            text.push_str(&format!("# not shown: {}\n", plan.secrets.join(", ")));
        }
        let defaults = plan::defaults(plan);
        if !defaults.is_empty() {
            text.push_str(&format!("# as it is by default: {}\n", defaults.join(", ")));
        }
        text.push_str(&command(plan));
        text.push('\n');
    }
    text
}

fn row(plan: &Plan) -> [String; 6] {
    let state = match (plan.reused, plan.stale) {
        (false, _) => "to start",
        (true, false) => "runs",
        (true, true) => "runs, stale",
    };
    [
        plan.engine.to_string(),
        plan.instance.clone(),
        format!("{}:{}", plan.host, plan.port),
        plan.gpu_ids.clone(),
        plan.model.clone().unwrap_or_else(|| "-".to_owned()),
        state.to_owned(),
    ]
}

fn command(plan: &Plan) -> String {
    let variables = plan.env_set.iter().map(|(name, value)| format!("{name}={}", quoted(value)));
    let program = std::iter::once(quoted(&plan.program.to_string_lossy()));
    let words = plan.args.iter().map(|word| quoted(word));
    variables.chain(program).chain(words).collect::<Vec<_>>().join(" ")
}

/// A word as a shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_are_quoted_as_a_shell_reads_them() {
        for (word, expected) in [("a-b=1", "a-b=1"), ("", "''"), ("a b", "'a b'"), ("it's", r"'it'\''s'")] {
            assert_eq!(quoted(word), expected);
        }
    }
}
