//! A model's signature, as OpenSSF Model Signing writes it: a sigstore bundle around a DSSE envelope, whose payload is an
//! in-toto statement that names all files and their hashes.
//!
//! What is accepted is what the reference implementation accepts with a key: github.com/sigstore/model-transparency,
//! `src/model_signing/_signing`. Formats: docs.sigstore.dev/about/bundle, github.com/secure-systems-lab/dsse/blob/v1.0.0/protocol.md.
mod statement;

use crate::key::Key;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
pub(crate) use statement::Signed;

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const PAYLOAD: &str = "application/vnd.in-toto+json";

/// The standard alphabet, with what fills the end or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A bundle, of which other tools may write more.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    media_type: String,
    verification_material: Material,
    dsse_envelope: Envelope,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    public_key: Option<PublicKey>,
}

#[derive(Deserialize)]
struct PublicKey {
    hint: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
struct Signature {
    sig: String,
}

/// What a signature says of a model, where one of the keys has made it.
///
/// # Errors
/// It is damaged, of another kind, or of another key, in words.
pub(crate) fn open(bundle: &[u8], keys: &[Key]) -> Result<Signed, String> {
    let damaged = |error: serde_json::Error| format!("it is damaged: {error}");
    let bundle: Bundle = serde_json::from_slice(bundle).map_err(damaged)?;
    if bundle.media_type != BUNDLE {
        return Err(format!("it is of the kind '{}'; {BUNDLE} is understood", bundle.media_type));
    }
    let Some(key) = bundle.verification_material.public_key else {
        return Err("it was made with a certificate or by sigstore, and not with a key".to_owned());
    };
    let envelope = bundle.dsse_envelope;
    if envelope.payload_type != PAYLOAD {
        return Err(format!("it signs '{}', and not {PAYLOAD}", envelope.payload_type));
    }
    let decode = |text: &str| BASE64.decode(text).map_err(|error| format!("it is damaged: {error}"));
    let payload = decode(&envelope.payload)?;
    let [signature] = envelope.signatures.as_slice() else {
        return Err(format!("it has {} signatures, and one is right", envelope.signatures.len()));
    };
    let signature = decode(&signature.sig)?;
    let hint = key.hint.unwrap_or_default();
    let (message, before) = (encoded(&payload), encoded_before_1_0(&payload));
    let made = |key: &&Key| {
        (hint.is_empty() || key.hint() == hint)
            && (key.verifies(&message, &signature) || key.verifies(&before, &signature))
    };
    if let Some(key) = keys.iter().find(made) {
        log::info!("its signature is one of {}", key.path().display());
        return Signed::of(&payload);
    }
    let own = keys.iter().any(|key| key.hint() == hint);
    Err(match own {
        true => "its signature does not fit what it signs".to_owned(),
        false => "it was signed with another key".to_owned(),
    })
}

/// What is signed: DSSE's encoding of the payload and its type.
fn encoded(payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {PAYLOAD} {} ", PAYLOAD.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// What versions before 1.0 signed: the payload as Python shows bytes.
fn encoded_before_1_0(payload: &[u8]) -> Vec<u8> {
    let quote = if payload.contains(&b'\'') && !payload.contains(&b'"') { b'"' } else { b'\'' };
    let mut text =
        format!("DSSEV1 {} {PAYLOAD} {} b{}", PAYLOAD.len(), payload.len(), quote as char).into_bytes();
    for byte in payload {
        match byte {
            b'\t' => text.extend(b"\\t"),
            b'\n' => text.extend(b"\\n"),
            b'\r' => text.extend(b"\\r"),
            b'\\' => text.extend(b"\\\\"),
            _ if *byte == quote => text.extend([b'\\', quote]),
            b' '..=b'~' => text.push(*byte),
            _ => text.extend(format!("\\x{byte:02x}").into_bytes()),
        }
    }
    text.push(quote);
    text
}

#[cfg(test)]
mod tests {
    use super::{encoded, encoded_before_1_0};

    #[test]
    fn what_is_signed_is_encoded_as_python_does() {
        assert_eq!(encoded(b"{}"), b"DSSEv1 28 application/vnd.in-toto+json 2 {}");
        let text = |payload: &[u8]| String::from_utf8(encoded_before_1_0(payload)).unwrap();
        let head = |length| format!("DSSEV1 28 application/vnd.in-toto+json {length} ");
        assert_eq!(text(b"\"a\n\t\\\xe9\x00"), head(7) + r#"b'"a\n\t\\\xe9\x00'"#);
        assert_eq!(text(b"it's"), head(4) + r#"b"it's""#);
        assert_eq!(text(b"'\""), head(2) + r#"b'\'"'"#);
    }
}
