//! Private keys encrypted as the RocketMQ documents advise: `openssl pkcs8 -topk8 -v1 PBE-SHA1-RC4-128`.
//!
//! The two schemes of PKCS #12 (RFC 7292, appendices B and C) that OpenSSL's `-v1` makes and the JDK opens. Both are
//! weak by now; they guard a file that its owner alone should read, and refusing them would refuse a documented set-up.
//! Everything newer (PBES2) is the business of the `pkcs8` crate.

use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, KeyInit, KeyIvInit, StreamCipher};
use pkcs8::der::asn1::{ObjectIdentifier, OctetStringRef};
use pkcs8::der::{self, Decode, Reader, SliceReader};
use sha1::{Digest, Sha1};

/// Why a key was not opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum Pkcs12Error {
    /// The password, most likely: what came out does not look like a key.
    #[error("the password does not open it")]
    Password,
    /// Not the structure `EncryptedPrivateKeyInfo`.
    #[error("not an encrypted PKCS #8 key: {0}")]
    Der(#[from] der::Error),
    /// More work than a key needs.
    #[error("it asks for {0} rounds, more than {ROUNDS_MAX}")]
    Rounds(u32),
}

/// pbeWithSHAAnd128BitRC4.
const RC4_128: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.1");
/// pbeWithSHAAnd3-KeyTripleDES-CBC.
const TRIPLE_DES: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.3");
/// OpenSSL writes 2,048, keytool up to 310,000.
const ROUNDS_MAX: u32 = 10_000_000;

/// The key within an `EncryptedPrivateKeyInfo`, as PKCS #8; none if the scheme is not one of the two here.
///
/// # Errors
/// When the scheme is one of the two and the key cannot be opened.
pub(super) fn decrypt(encrypted: &[u8], password: &str) -> Result<Option<Vec<u8>>, Pkcs12Error> {
    let mut outer = SliceReader::new(encrypted)?;
    let (scheme, salt, rounds, data) = outer.sequence(|key| {
        let (scheme, salt, rounds) = key.sequence(|algorithm| {
            let scheme = ObjectIdentifier::decode(algorithm)?;
            if scheme != RC4_128 && scheme != TRIPLE_DES {
                algorithm.drain(algorithm.remaining_len())?;
                return Ok((scheme, Vec::new(), 0));
            }
            algorithm.sequence(|parameters| {
                let salt = <&OctetStringRef>::decode(parameters)?.as_bytes().to_vec();
                Ok::<_, der::Error>((scheme, salt, u32::decode(parameters)?))
            })
        })?;
        let data = <&OctetStringRef>::decode(key)?.as_bytes().to_vec();
        Ok::<_, der::Error>((scheme, salt, rounds, data))
    })?;
    if scheme != RC4_128 && scheme != TRIPLE_DES {
        return Ok(None);
    }
    if rounds > ROUNDS_MAX {
        return Err(Pkcs12Error::Rounds(rounds));
    }
    let derive = |purpose, length| derive(purpose, password, &salt, rounds, length);
    let mut data = data;
    if scheme == RC4_128 {
        let mut cipher = rc4::Rc4::new_from_slice(&derive(Purpose::Key, 16)).map_err(|_| Pkcs12Error::Password)?;
        cipher.apply_keystream(&mut data);
    } else {
        let (key, iv) = (derive(Purpose::Key, 24), derive(Purpose::InitialValue, 8));
        let cipher = cbc::Decryptor::<des::TdesEde3>::new_from_slices(&key, &iv).map_err(|_| Pkcs12Error::Password)?;
        let length = cipher.decrypt_padded::<Pkcs7>(&mut data).map_err(|_| Pkcs12Error::Password)?.len();
        data.truncate(length);
    }
    // RC4 opens with any password; only what comes out tells.
    pkcs8::PrivateKeyInfoRef::try_from(&*data).map_err(|_| Pkcs12Error::Password)?;
    Ok(Some(data))
}

#[derive(Clone, Copy)]
enum Purpose {
    Key = 1,
    InitialValue = 2,
}

/// RFC 7292, appendix B.2, with SHA-1: u is 20 bytes, v is 64.
fn derive(purpose: Purpose, password: &str, salt: &[u8], rounds: u32, length: usize) -> Vec<u8> {
    const V: usize = 64;
    // Appendix B.1: UTF-16, big endian, with the zero at the end.
    let password: Vec<u8> = password.encode_utf16().chain([0]).flat_map(u16::to_be_bytes).collect();
    let repeated =
        |bytes: &[u8]| -> Vec<u8> { bytes.iter().copied().cycle().take(bytes.len().div_ceil(V) * V).collect() };
    let mut input = repeated(salt);
    input.extend(repeated(&password));
    let mut out = Vec::with_capacity(length + 20);
    while out.len() < length {
        let mut hash = Sha1::new().chain_update([purpose as u8; V]).chain_update(&input).finalize();
        for _ in 1..rounds {
            hash = Sha1::digest(hash);
        }
        out.extend_from_slice(&hash);
        // Every block of the input, plus the hash repeated to a block, plus one, modulo 2 to the 512.
        for block in input.chunks_mut(V) {
            let mut carry = 1;
            for (at, byte) in block.iter_mut().enumerate().rev() {
                let sum = u16::from(*byte) + u16::from(hash[at % hash.len()]) + carry;
                *byte = (sum & 0xff) as u8;
                carry = sum >> 8;
            }
        }
    }
    out.truncate(length);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgLuBdmX5PO84N5vJK\n\
        JwlrhMZNr5ATyoOGct9PKOr6xc2hRANCAASsGjdmwZ9Oagt9nR3PfOB0YGUg0D3q\n\
        tLvN/P/3ud8nZYBJc+vUn1p05PH5kH0A3NtzgSpuakoJh7YG/qjzNT9K\n\
        -----END PRIVATE KEY-----\n";
    /// `openssl pkcs8 -topk8 -v1 PBE-SHA1-RC4-128`, password 123456.
    const BY_RC4: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n\
        MIGrMBwGCiqGSIb3DQEMAQEwDgQIBpT76taDxXECAggABIGKr/TGv4rn3LWTDhDM\n\
        vuzzaNSkrgFXD7Riqlwju9x1M/2S+b/wS+YdVhvGsafTFlcSbuTnB5w5kd2PJoDj\n\
        NRBXGzw5AMmx0tkECjRYiKT6CE7AuzE7gfXbSLCgU9Tlvj45Zxyg2ic+V5NMOPw2\n\
        Vnjo39mnc5rwVPGVFkqS25fL8ooACpoEe/QtLxAK\n\
        -----END ENCRYPTED PRIVATE KEY-----\n";
    /// `openssl pkcs8 -topk8 -v1 PBE-SHA1-3DES`, password 123456.
    const BY_TRIPLE_DES: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n\
        MIGxMBwGCiqGSIb3DQEMAQMwDgQInGr/qIgZ2jUCAggABIGQBwhVGiK8RCHS277Z\n\
        RDhG3w0kj6ilv7xEugCeOVgSJkLT00VcF+7zcsbeQdzLNCZoLaCT+uxwj7ee+VPJ\n\
        WaPwsLkEDR9aImbX1B/wTBBkZcFiBXdULDZeswD4Rje8r4snDd/tuUDirtTMsb5C\n\
        se3xSj6rZorerGOjhVwhL+bnNqB2g6SJ4yvx1PUMAqmDX3+y\n\
        -----END ENCRYPTED PRIVATE KEY-----\n";

    fn der(pem: &str) -> Vec<u8> {
        der::pem::decode_vec(pem.as_bytes()).unwrap().1
    }

    #[test]
    fn a_key_as_the_rocketmq_documents_make_it_is_opened_by_its_password_alone() {
        for encrypted in [BY_RC4, BY_TRIPLE_DES] {
            assert_eq!(decrypt(&der(encrypted), "123456").unwrap(), Some(der(KEY)));
            assert!(matches!(decrypt(&der(encrypted), "12345"), Err(Pkcs12Error::Password)));
            assert!(matches!(decrypt(&der(encrypted)[..50], "123456"), Err(Pkcs12Error::Der(_))));
        }
    }

    #[test]
    fn a_key_that_asks_for_endless_work_is_refused() {
        let mut endless = der(BY_RC4);
        let rounds = endless.windows(4).position(|bytes| bytes == [2, 2, 8, 0]).unwrap();
        // Two bytes longer, and so are the three structures around it.
        endless.splice(rounds..rounds + 4, [2, 4, 0x7f, 0xff, 0xff, 0xff]);
        endless[2] += 2;
        endless[4] += 2;
        endless[18] += 2;

        assert!(matches!(decrypt(&endless, "123456"), Err(Pkcs12Error::Rounds(0x7fff_ffff))));
    }
}
