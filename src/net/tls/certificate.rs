//! What a log says of a certificate: whose it is, and until when.

use std::fmt;

use pkcs8::der::asn1::{AnyRef, GeneralizedTime, ObjectIdentifier, UtcTime};
use pkcs8::der::{Decode, Reader, Result, SliceReader, Tag, Tagged};
use rustls::pki_types::CertificateDer;

/// A certificate in a few words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Summary {
    subject: String,
    not_after: String,
}

impl Summary {
    /// Nothing of a certificate that cannot be read; that is for those to say who check it.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        read(certificate).ok()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "of `{}`, valid until {}", self.subject.escape_debug(), self.not_after)
    }
}

// RFC 5280, 4.1: version, serial number, signature algorithm, issuer, validity, subject.
fn read(certificate: &[u8]) -> Result<Summary> {
    let certificate = AnyRef::from_der(certificate)?;
    let signed = AnyRef::decode(&mut SliceReader::new(certificate.value())?)?;
    let mut fields = SliceReader::new(signed.value())?;
    let version_or_serial = AnyRef::decode(&mut fields)?;
    if version_or_serial.tag() != Tag::Integer {
        AnyRef::decode(&mut fields)?;
    }
    let (_algorithm, _issuer) = (AnyRef::decode(&mut fields)?, AnyRef::decode(&mut fields)?);
    let (validity, subject) = (AnyRef::decode(&mut fields)?, AnyRef::decode(&mut fields)?);

    let mut times = SliceReader::new(validity.value())?;
    AnyRef::decode(&mut times)?;
    let not_after = AnyRef::decode(&mut times)?;
    let not_after = match not_after.tag() {
        Tag::UtcTime => not_after.decode_as::<UtcTime>()?.to_date_time(),
        _ => not_after.decode_as::<GeneralizedTime>()?.to_date_time(),
    };
    Ok(Summary { subject: name(subject)?, not_after: not_after.to_string() })
}

/// The common name, or else whatever comes last.
fn name(subject: AnyRef<'_>) -> Result<String> {
    const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
    let mut sets = SliceReader::new(subject.value())?;
    let mut name = String::new();
    while !sets.is_finished() {
        let set = AnyRef::decode(&mut sets)?;
        let pair = AnyRef::decode(&mut SliceReader::new(set.value())?)?;
        let mut pair = SliceReader::new(pair.value())?;
        let (kind, value) = (ObjectIdentifier::decode(&mut pair)?, AnyRef::decode(&mut pair)?);
        name = String::from_utf8_lossy(value.value()).into_owned();
        if kind == COMMON_NAME {
            break;
        }
    }
    Ok(name)
}
