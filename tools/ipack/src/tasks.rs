//! The project's tasks: whether its manifest has one.
use pixi::Template;
use tool::{Code, Failure};

/// Refuse a project without the task, before anything is downloaded for it.
pub(crate) fn require(template: &Template, task: &str) -> Result<(), Failure> {
    let file = template.dir().join(template.manifest_name());
    let text = String::from_utf8_lossy(template.manifest());
    let manifest: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let cause = error.message().to_owned();
        Failure::new(Code::Input, format!("cannot read {}", file.display()), cause)
    })?;
    // In a Python project's own file all that is pixi's stands below one table.
    let pixi = manifest.get("tool").and_then(|tool| tool.get("pixi")).and_then(toml::Value::as_table);
    if names_task(pixi.unwrap_or(&manifest), task) {
        return Ok(());
    }
    let what = format!("cannot perform task '{task}' of {}", template.dir().display());
    let option = if task == "verify" { "give --skip-verify" } else { "leave out --warmup" };
    Err(Failure::new(Code::Input, what, format!("its {} has none of this name", template.manifest_name()))
        .hint(format!("{option}, or add it: [tasks] {task} = \"…\"")))
}

/// Tasks stand at the top, in features, and in targets of both.
fn names_task(table: &toml::Table, task: &str) -> bool {
    let below = |name: &str| {
        let tables = table.get(name).and_then(toml::Value::as_table);
        tables.into_iter().flat_map(toml::Table::values).filter_map(toml::Value::as_table)
    };
    let own = table.get("tasks").and_then(toml::Value::as_table);
    own.is_some_and(|tasks| tasks.contains_key(task))
        || below("feature").chain(below("target")).any(|table| names_task(table, task))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_found_wherever_pixi_looks_for_one() {
        for (manifest, expected) in [
            ("[tasks]\nverify = 'true'", true),
            ("[tasks.verify]\ncmd = 'true'", true),
            ("[feature.x.tasks]\nverify = 'true'", true),
            ("[target.linux-64.tasks]\nverify = 'true'", true),
            ("[feature.x.target.unix.tasks]\nverify = 'true'", true),
            ("[tasks]\nother = 'verify'\n[dependencies]\nverify = '*'", false),
            ("", false),
        ] {
            assert_eq!(names_task(&manifest.parse().unwrap(), "verify"), expected, "{manifest}");
        }
    }
}
