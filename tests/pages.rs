//! The pages of the whole suite, infer-dev.5 and infer-dev.7, hold what the code holds.
use crate::kit::root;
use std::collections::BTreeSet;

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// Words of the `.It` lines between two headings.
fn items<'a>(page: &'a str, macro_name: &str) -> BTreeSet<&'a str> {
    let lines = page.lines().filter_map(|line| line.strip_prefix(".It "));
    let words = lines.filter(|line| line.contains(macro_name)).flat_map(str::split_whitespace);
    words.filter(|word| !["Ev", "Oo", "Oc", "Ic", "Pq", ","].contains(word)).collect()
}

#[test]
fn every_variable_is_in_the_overview_and_no_other() {
    let page = text("man/infer-dev.7");
    let known: BTreeSet<String> = tool::vars::all().collect();
    let documented: BTreeSet<String> = items(&page, "Ev ").into_iter().map(str::to_owned).collect();
    assert_eq!(documented, known, "man/infer-dev.7 (left), shared/variables/src/lib.rs (right)");
}

/// The fields of a kind's struct that the page lists: all but those that it describes once for all kinds.
fn fields(source: &str, kind: &str) -> BTreeSet<String> {
    let name = kind[..1].to_uppercase() + &kind[1..];
    let (_, rest) = source.split_once(&format!("pub struct {name} {{\n")).unwrap();
    let body = rest.split("\n}").next().unwrap();
    let mut optional = false;
    let mut found = BTreeSet::new();
    for line in body.lines().map(str::trim) {
        optional |= line.starts_with("#[serde(skip_serializing_if");
        let Some((field, _)) = line.strip_prefix("pub ").and_then(|line| line.split_once(':')) else {
            continue;
        };
        if optional || kind == "env" || !["engine", "instance"].contains(&field) {
            found.insert(format!("{field}{}", if optional { "?" } else { "" }));
        }
        optional = false;
    }
    found
}

#[test]
fn every_member_of_every_record_is_on_the_page() {
    let page = text("man/infer-dev.5");
    let (_, records) = page.split_once(".Sh RECORDS\n").unwrap();
    let records = records.split("\n.Sh ").next().unwrap();
    let source: String = ["host", "install", "instance", "model", "outcome", "plan", "resolved"]
        .map(|module| text(&format!("shared/record/src/{module}.rs")))
        .concat();
    let mut kinds = 0;
    for section in records.split("\n.Ss ").skip(1) {
        let kind = section.lines().next().unwrap();
        let listed: BTreeSet<String> = section
            .lines()
            .filter_map(|line| line.strip_prefix(".It "))
            .map(|line| {
                let name = line.split_whitespace().nth(if line.starts_with("Oo ") { 2 } else { 1 }).unwrap();
                format!("{name}{}", if line.starts_with("Oo ") { "?" } else { "" })
            })
            .collect();
        assert_eq!(listed, fields(&source, kind), "{kind}: the page (left), shared/record (right)");
        kinds += 1;
    }
    let declared = text("shared/record/src/lib.rs");
    let declared = declared.split("kinds!(").nth(1).unwrap().split(')').next().unwrap().split_whitespace();
    assert_eq!(kinds, declared.count());
}
