//! What the configuration of a model folder says of its shape.
use serde_json::Value;
use std::path::Path;

/// Larger ones are no configuration.
const BYTES: usize = 16 << 20;

/// Configurations of models of several kinds hold that of the language model under one of these names.
const LANGUAGE_MODEL_KEYS: [&str; 4] = ["text_config", "llm_config", "language_config", "thinker_config"];

/// The shape of a model, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Architecture: the class of transformers, or llama.cpp's word.
    pub architecture: Option<String>,
    /// The family, as transformers names it.
    pub model_type: Option<String>,
    /// Layers.
    pub layers: Option<u64>,
    /// Attention heads.
    pub heads: Option<u64>,
    /// Heads of keys and values.
    pub kv_heads: Option<u64>,
    /// The longest context that it was made for, in tokens.
    pub context_length: Option<u64>,
    /// An estimate of the cache of one token, in bytes, with 16 bits for each element.
    pub kv_bytes_per_token: Option<u64>,
    /// It reads images, sound or video.
    pub multimodal: bool,
    /// It has a chat template.
    pub chat_template: bool,
    /// Classes of its own Python code, as `auto_map` names them.
    pub own_code: Vec<String>,
    /// How the weights were quantised.
    pub quantization: Option<String>,
}

/// The configuration in a file.
///
/// # Errors
/// What the system says, or what is wrong with it, in words.
pub(crate) fn read(path: &Path) -> Result<Value, String> {
    let bytes = owner::read_file(path, BYTES).map_err(|error| failure::io_text(&error))?;
    let parsed =
        serde_json::from_slice(&bytes).or_else(|_| serde_json::from_slice(&replace_python_numbers(bytes)));
    let value: Value = parsed.map_err(|error| format!("it is damaged: {error}"))?;
    if value.is_object() { Ok(value) } else { Err("it is damaged: it is no table".to_owned()) }
}

/// Python's JSON has numbers that JSON has not, and models have them: `"time_step_limit": [0.0, Infinity]`. They become null.
fn replace_python_numbers(mut bytes: Vec<u8>) -> Vec<u8> {
    let (mut at, mut within) = (0, false);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => within = !within,
            b'\\' if within => at += 1,
            _ if within => {}
            _ => {
                let describe: [&[u8]; 3] = [b"NaN", b"-Infinity", b"Infinity"];
                if let Some(word) = describe.into_iter().find(|word| bytes[at..].starts_with(word)) {
                    bytes[at..at + word.len()].fill(b' ');
                    bytes.splice(at..at + 3, *b"null");
                }
            }
        }
        at += 1;
    }
    bytes
}

/// The shape that a `config.json` describes.
pub(crate) fn shape(config: &Value) -> Shape {
    let text = LANGUAGE_MODEL_KEYS.iter().find_map(|name| config.get(name).filter(|inner| inner.is_object()));
    // An omni model's language model is one level deeper.
    let text = text.map(|inner| inner.get("text_config").filter(|it| it.is_object()).unwrap_or(inner));
    let number = |names: &[&str]| {
        let of = |table: &Value| names.iter().find_map(|name| table.get(name)?.as_u64());
        text.and_then(of).or_else(|| of(config))
    };
    let word = |name: &str| config.get(name)?.as_str().map(str::to_owned);
    let layers = number(&["num_hidden_layers", "n_layer", "num_layers", "n_layers"]);
    let heads = number(&["num_attention_heads", "n_head", "n_heads"]);
    let grouped = number(&["num_key_value_heads", "multi_query_group_num", "num_kv_heads"]);
    let hidden = number(&["hidden_size", "n_embd", "d_model"]);
    let head = number(&["head_dim"]).or_else(|| hidden?.checked_div(heads?));
    let latent =
        number(&["kv_lora_rank"]).map(|rank| rank.saturating_add(number(&["qk_rope_head_dim"]).unwrap_or(0)));
    let cached = latent.or_else(|| grouped.or(heads)?.checked_mul(head?)?.checked_mul(2));
    let kinds = text.unwrap_or(config).get("layer_types").and_then(Value::as_array);
    // Layers with a state of fixed size add nothing per token.
    let linear = kinds.map_or(0, |kinds| kinds.iter().filter(|kind| *kind == "linear_attention").count());
    let caching = layers.map(|layers| layers.saturating_sub(linear as u64));
    let bytes = || cached?.checked_mul(caching?)?.checked_mul(2);
    let architectures = config.get("architectures").and_then(Value::as_array);
    let architecture = architectures.and_then(|list| list.first()?.as_str()).map(str::to_owned);
    let code = config.get("auto_map").and_then(Value::as_object);
    let own_code = code.map_or_else(Vec::new, |map| map.values().flat_map(classes).collect());
    let quantization = config.get("quantization_config").or_else(|| text?.get("quantization_config"));
    let method = quantization.and_then(|table| table.get("quant_method")?.as_str().map(str::to_owned));
    let parts = ["vision_config", "audio_config", "vision_tower", "mm_vision_tower", "visual"];
    Shape {
        architecture,
        model_type: word("model_type"),
        layers,
        heads,
        kv_heads: grouped.or(heads),
        context_length: number(&["max_position_embeddings", "seq_length", "n_positions", "model_max_length"]),
        kv_bytes_per_token: bytes(),
        multimodal: parts.iter().any(|part| config.get(part).is_some_and(|it| !it.is_null())),
        chat_template: false,
        own_code,
        quantization: method,
    }
}

/// The classes of one entry of an `auto_map`: a text, or a list of texts.
fn classes(entry: &Value) -> Vec<String> {
    match entry {
        Value::String(class) => vec![class.clone()],
        Value::Array(several) => several.iter().filter_map(|it| it.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::replace_python_numbers;

    #[test]
    fn numbers_of_python_become_null_but_not_in_texts() {
        let text = r#"{"NaN": [NaN,-Infinity, Infinity], "a\"NaN": "Infinity"}"#;
        let json = String::from_utf8(replace_python_numbers(text.into())).unwrap().replace(' ', "");
        assert_eq!(json, r#"{"NaN":[null,null,null],"a\"NaN":"Infinity"}"#);
    }
}
