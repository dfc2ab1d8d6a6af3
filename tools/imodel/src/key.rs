//! The public keys that a model may be signed with.
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use part::Hasher;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer};
use std::path::{Path, PathBuf};
use tool::{Code, Failure};
use webpki::RawPublicKeyEntity;
use webpki::ring::{ECDSA_P256_SHA256, ECDSA_P384_SHA384};

/// A key has some 200 bytes.
const BYTES: usize = 1 << 20;
/// Each curve goes with one hash, as sigstore has it.
const ALGORITHMS: [&dyn SignatureVerificationAlgorithm; 2] = [ECDSA_P256_SHA256, ECDSA_P384_SHA384];

/// One key, and what it verifies.
pub(crate) struct Key {
    path: PathBuf,
    info: SubjectPublicKeyInfoDer<'static>,
    algorithm: &'static dyn SignatureVerificationAlgorithm,
    hint: String,
}

impl Key {
    /// Read a key from a PEM file.
    ///
    /// # Errors
    /// It cannot be read (69), or is no key of a kind that is understood (65).
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let what = || format!("cannot use the key {}", path.display());
        let text =
            owner::read_named(path, BYTES).map_err(|error| Failure::io(Code::Unmet, what(), &error))?;
        let wrong = |cause: &str| {
            Failure::new(Code::Input, what(), cause)
                .hint("give the publisher's public key as PEM, of the curve P-256 or P-384")
        };
        let info = SubjectPublicKeyInfoDer::from_pem_slice(&text)
            .map_err(|_| wrong("there is no -----BEGIN PUBLIC KEY----- in it, or it is damaged"))?;
        let takes = |algorithm: &&dyn SignatureVerificationAlgorithm| {
            let verdict = RawPublicKeyEntity::try_from(&info)
                .and_then(|key| key.verify_signature(*algorithm, &[], &[]));
            matches!(verdict, Err(webpki::Error::InvalidSignatureForPublicKey))
        };
        let algorithm = ALGORITHMS.into_iter().find(takes);
        let algorithm = algorithm.ok_or_else(|| wrong("its kind is not understood"))?;
        let hint = hint(&info);
        Ok(Self { path: path.to_owned(), info, algorithm, hint })
    }

    /// Where it was read from.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What a bundle calls this key: the sha256 of its PEM text.
    pub(crate) fn hint(&self) -> &str {
        &self.hint
    }

    /// Whether this key has signed the message.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        RawPublicKeyEntity::try_from(&self.info)
            .is_ok_and(|key| key.verify_signature(self.algorithm, message, signature).is_ok())
    }
}

/// The text is written anew: another line end or a comment makes no other key.
fn hint(info: &SubjectPublicKeyInfoDer<'_>) -> String {
    let text = STANDARD.encode(info);
    let mut hasher = Hasher::default();
    hasher.feed(b"-----BEGIN PUBLIC KEY-----\n");
    for line in text.as_bytes().chunks(64) {
        hasher.feed(line);
        hasher.feed(b"\n");
    }
    hasher.feed(b"-----END PUBLIC KEY-----\n");
    hasher.digest()
}
