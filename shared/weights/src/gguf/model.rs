//! A GGUF model of one file or of several.
use super::{Header, Value};
use crate::config::Shape;
use crate::hint::{COPY_AGAIN_HINT, FETCH_AGAIN_HINT};
use crate::part_name::{PartName, sibling_path};
use crate::report::{Format, Report};
use crate::weight_file::inspect_part;
use crate::{Loader, Role, rules};
use std::collections::HashSet;
use std::path::Path;

const PART_NAMES_HINT: &str = "give the parts the names that they were made with: NAME-00001-of-0000N.gguf";

/// Look at the file that the engine is given, and at those that follow it.
pub(crate) fn inspect(path: &Path, loader: Loader, report: &mut Report) {
    report.format = Format::Gguf;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let Some(first) = inspect_file(path, &name, report) else { return };
    report.shape = shape(&first);
    check_kind(&first, loader, &name, report);
    let split = match first.split() {
        Ok(split) => split,
        Err(why) => return report.problem(rules::WEIGHTS_DAMAGED, &name, why, COPY_AGAIN_HINT),
    };
    let mut tensors = first.tensors;
    if let Some(split) = split {
        if split.index.is_some_and(|index| index != 0) {
            let what = format!(
                "it is part {} of {}; the first one is to be named",
                split.index.unwrap_or(0) + 1,
                split.count
            );
            return report.problem(
                rules::MODEL_LAYOUT,
                &name,
                what,
                "name the file that ends with -00001-of-0000N.gguf",
            );
        }
        let numbered = PartName::of(&name).filter(|part| part.number == 1 && part.count == split.count);
        let Some(numbered) = numbered else {
            let what = format!("it is the first of {} parts, and its name does not say so", split.count);
            return report.problem(rules::MODEL_LAYOUT, &name, what, PART_NAMES_HINT);
        };
        for number in 2..=split.count {
            let other = numbered.name(number);
            if let Some(part) = inspect_file(&sibling_path(path, &other), &other, report) {
                check_part_order(&part, number - 1, &other, report);
                add_tensors(&mut tensors, part.tensors, &other, report);
            }
        }
        let count = tensors.len() as u64;
        if let Some(wanted) = split.tensors.filter(|wanted| *wanted != count && report.problems.is_empty()) {
            let what = format!("the parts have {count} tensors, and {wanted} are right");
            report.problem(rules::WEIGHTS_MISSING, &name, what, FETCH_AGAIN_HINT);
        }
    } else if let Some(part) = PartName::of(&name).filter(|part| part.count > 1) {
        let what = format!("its name says part {} of {}, and its header does not", part.number, part.count);
        report.warn(rules::WEIGHTS_UNCHECKED, &name, what, PART_NAMES_HINT);
    }
    if tensors.is_empty() && report.problems.is_empty() {
        report.problem(rules::WEIGHTS_MISSING, &name, "it has no tensors", "name the file that has them");
    }
}

/// One file; its header where it has one.
fn inspect_file(path: &Path, name: &str, report: &mut Report) -> Option<Header> {
    let header: Header = inspect_part(path, name, report)?;
    if !header.unknown_types.is_empty() {
        let types: Vec<String> = header.unknown_types.iter().map(u32::to_string).collect();
        let what = format!("it has tensors of types that are newer than imodel: {}", types.join(", "));
        let hint = "only a load shows whether they are whole";
        report.warn(rules::WEIGHTS_UNCHECKED, name, what, hint);
    }
    Some(header)
}

/// Whether it is what the engine is to use it for.
fn check_kind(header: &Header, loader: Loader, name: &str, report: &mut Report) {
    let Some(architecture) = header.text("general.architecture") else {
        return report.problem(
            rules::WEIGHTS_DAMAGED,
            name,
            "its header has no general.architecture",
            COPY_AGAIN_HINT,
        );
    };
    let kind = match (header.text("general.type"), architecture) {
        // llama.cpp serves by the architecture, whatever the type says.
        (Some("adapter"), _) if loader.role == Role::Lora => Role::Lora,
        (_, "clip") => Role::Mmproj,
        (Some("mmproj"), _) if loader.role == Role::Mmproj => Role::Mmproj,
        _ => Role::Model,
    };
    let serves = matches!(loader.role, Role::Model | Role::Draft);
    let other = match (serves, loader.role, kind) {
        (true, _, Role::Mmproj) => "it is a projector for images, and no model",
        (false, Role::Lora, Role::Model | Role::Mmproj) => "it is no LoRA adapter",
        (false, Role::Mmproj, Role::Model | Role::Lora) => "it is no projector for images",
        _ => "",
    };
    if !other.is_empty() {
        return report.problem(
            rules::MODEL_LAYOUT,
            name,
            other,
            "name each file under the argument that it is for",
        );
    }
    for key in ["block_count", "context_length", "embedding_length"] {
        let key = format!("{architecture}.{key}");
        if serves && header.number(&key).is_none() {
            report.problem(rules::WEIGHTS_DAMAGED, name, format!("its header has no {key}"), COPY_AGAIN_HINT);
        }
    }
    if loader.role == Role::Model && !header.has("tokenizer.chat_template") {
        let hint = "set chat_template_file or chat_template, unless it serves no chat";
        report.warn(rules::CHAT_TEMPLATE, name, "it has no chat template", hint);
    }
}

fn check_part_order(part: &Header, wanted: u64, name: &str, report: &mut Report) {
    let what = match part.split() {
        Ok(Some(split)) if split.index == Some(wanted) => return,
        Ok(Some(split)) => match split.index {
            Some(index) => format!("its header says that it is part {}", index + 1),
            None => "its header does not say which part it is".to_owned(),
        },
        Ok(None) => match part.number("split.no") {
            Some(number) if number == wanted => return,
            _ => "its header does not say which part it is".to_owned(),
        },
        Err(why) => why,
    };
    report.problem(rules::WEIGHTS_DAMAGED, name, what, COPY_AGAIN_HINT);
}

fn add_tensors(all: &mut HashSet<u64>, more: HashSet<u64>, name: &str, report: &mut Report) {
    let before = all.len();
    let count = more.len();
    all.extend(more);
    if all.len() != before + count {
        let what = format!("{} of its tensors are in another part too", before + count - all.len());
        report.problem(rules::WEIGHTS_DAMAGED, name, what, COPY_AGAIN_HINT);
    }
}

/// What the header says of the model's shape.
fn shape(header: &Header) -> Shape {
    let architecture = header.text("general.architecture").unwrap_or_default();
    let key = |suffix: &str| format!("{architecture}.{suffix}");
    let number = |suffix: &str| header.number(&key(suffix));
    // One number for all layers, or one for each.
    let each = |suffix: &str, layer: usize| match header.values.get(&key(suffix)) {
        Some(Value::Number(number, _)) => Some(*number),
        Some(Value::Numbers(numbers)) => numbers.get(layer).copied(),
        _ => None,
    };
    let (layers, heads) = (number("block_count"), each("attention.head_count", 0));
    let head = number("embedding_length").zip(heads).and_then(|(width, heads)| width.checked_div(heads));
    let (keys, values) = (number("attention.key_length").or(head), number("attention.value_length").or(head));
    let most = |suffix: &str| match header.values.get(&key(suffix)) {
        Some(Value::Numbers(numbers)) => numbers.iter().copied().max(),
        _ => number(suffix),
    };
    let kv_heads = most("attention.head_count_kv").or(most("attention.head_count"));
    let of_layer = |layer: usize| {
        let heads = each("attention.head_count_kv", layer).or_else(|| each("attention.head_count", layer))?;
        heads.checked_mul(keys?.checked_add(values?)?)
    };
    let latent = number("attention.kv_lora_rank").filter(|_| number("attention.key_length_mla").is_some());
    let elements = match (latent, layers) {
        (Some(rank), Some(layers)) => {
            layers.checked_mul(rank.saturating_add(number("rope.dimension_count").unwrap_or(0)))
        }
        (None, Some(layers)) if layers <= 4096 => (0..usize::try_from(layers).unwrap_or(0))
            .try_fold(0_u64, |sum, layer| sum.checked_add(of_layer(layer)?)),
        _ => None,
    };
    Shape {
        architecture: header.text("general.architecture").map(str::to_owned),
        layers,
        heads: most("attention.head_count"),
        kv_heads,
        context_length: number("context_length"),
        kv_bytes_per_token: elements.and_then(|elements| elements.checked_mul(2)),
        chat_template: header.has("tokenizer.chat_template"),
        ..Shape::default()
    }
}
