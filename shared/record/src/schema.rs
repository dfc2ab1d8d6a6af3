//! The JSON Schema of the wire, made from the structs.
use crate::Record;
use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use serde_json::{Value, json};

/// What one line holds, as JSON Schema 2020-12. Members that it does not name may be there: a newer version adds some.
#[must_use]
pub fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut schema = settings.into_generator().into_root_schema_for::<Record>();
    RecursiveTransform(plain).transform(&mut schema);
    let part = |name: &str| schema.get(name).cloned().unwrap_or_default();
    let time = "Where INFER_DEV_KEEP is set: when it was written, unix seconds.";
    json!({
        "$schema": part("$schema"),
        "title": "A record of infer-dev",
        "description": "One line of a stream; infer-dev(5) describes every kind.",
        "type": "object",
        "properties": { "at_unix": { "type": "number", "description": time } },
        "oneOf": part("oneOf"),
        "$defs": part("$defs"),
    })
}

/// No member is ever null: one that does not apply is absent. The formats are Rust's own, and say no more than the limits.
fn plain(schema: &mut Schema) {
    schema.remove("format");
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|one| one != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            schema.insert("type".to_owned(), one);
        }
    }
    if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.retain(|one| one != &json!({ "type": "null" }));
        if let [Value::Object(one)] = choices.as_slice() {
            let one = one.clone();
            schema.remove("anyOf");
            for (key, value) in one {
                schema.insert(key, value);
            }
        }
    }
}
