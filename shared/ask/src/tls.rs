//! TLS to an engine whose certificate is known beforehand: the very one in the file that its plan names, whatever name and
//! dates are in it, and no other.
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use std::fmt;
use std::io::{Read, Write};
use std::sync::Arc;
use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

/// Nobody whom we may believe answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Untrusted(pub(crate) String);

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Untrusted {}

/// Speaks TLS over a connection where the URL says so.
#[derive(Clone)]
pub(crate) struct Tls {
    /// Why there is none, where there is none.
    config: Result<Arc<ClientConfig>, Untrusted>,
}

impl Tls {
    /// To a server that shows one of the certificates in this PEM text; `Err`: why it could not be read.
    pub(crate) fn pinned(pem: Result<Vec<u8>, String>) -> Self {
        Self { config: pem.and_then(|pem| config(&pem)).map_err(Untrusted) }
    }

    /// To nobody.
    pub(crate) fn none() -> Self {
        Self::pinned(Err("its certificate is not known".to_owned()))
    }
}

fn config(pem: &[u8]) -> Result<Arc<ClientConfig>, String> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let known = certificates.map_err(|error| format!("its certificate cannot be used: {error}"))?;
    if known.is_empty() {
        return Err("there is no certificate in its file".to_owned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Arc::new(Pinned { known, provider: Arc::clone(&provider) });
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?;
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    Ok(Arc::new(builder.with_no_client_auth()))
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl<In: Transport> Connector<In> for Tls {
    type Out = Either<In, Encrypted>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let Some(transport) = chained else { return Ok(None) };
        if !details.needs_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let untrusted = |why: Untrusted| Error::Other(Box::new(why));
        let config = self.config.clone().map_err(untrusted)?;
        // It is only shown to the server: who answers is known by the certificate.
        let host = details.uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned()).map_err(|_| Error::HostNotFound)?;
        let mut tls = ClientConnection::new(config, name).map_err(|error| untrusted(in_words(&error)))?;
        let mut socket = TransportAdapter::new(transport.boxed(), Arc::clone(&details.current_time));
        socket.set_timeout(details.timeout);
        tls.complete_io(&mut socket).map_err(|error| match inner(&error) {
            Some(why) => untrusted(why),
            None => error.into(),
        })?;
        let config = details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Some(Either::B(Encrypted { buffers, stream: StreamOwned { conn: tls, sock: socket } })))
    }
}

/// What TLS itself has to object.
fn inner(error: &std::io::Error) -> Option<Untrusted> {
    error.get_ref()?.downcast_ref::<rustls::Error>().map(in_words)
}

fn in_words(error: &rustls::Error) -> Untrusted {
    Untrusted(match error {
        rustls::Error::InvalidCertificate(_) => {
            "it shows another certificate than the one in its file".to_owned()
        }
        rustls::Error::InvalidMessage(_) => "what answers does not speak TLS".to_owned(),
        other => format!("no TLS with it: {other}"),
    })
}

/// A connection with TLS.
pub(crate) struct Encrypted {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl fmt::Debug for Encrypted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encrypted").finish_non_exhaustive()
    }
}

impl Transport for Encrypted {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.sock.set_timeout(timeout);
        let output = &self.buffers.output()[..amount];
        Ok(self.stream.write_all(output)?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.sock.set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

/// Believes who holds the key of one of these certificates.
#[derive(Debug)]
struct Pinned {
    known: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.known.iter().any(|known| known == end_entity) {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(rustls::CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let schemes = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, schemes)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let schemes = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, schemes)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
