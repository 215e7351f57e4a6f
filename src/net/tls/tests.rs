//! What is spoken, what files are understood, and what happens when they change.

use std::path::Path;

use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;

use super::*;
use crate::config::{ClientAuth, Secret, TlsMode};

/// A certificate with its key, of this name.
fn pair(name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.not_after = rcgen::date_time_ymd(2040, 2, 3);
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

struct Files(tempfile::TempDir);

impl Files {
    fn new(cert: &str, key: &str) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.write("cert.pem", cert);
        files.write("key.pem", key);
        files
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.0.path().join(name), content).unwrap();
    }

    fn config(&self) -> TlsConfig {
        let at = |name| self.0.path().join(name);
        TlsConfig { test_mode: false, cert_path: at("cert.pem"), key_path: at("key.pem"), ..TlsConfig::default() }
    }

    fn terms(&self) -> Result<Arc<Terms>, String> {
        Terms::new(&self.config()).map(|(terms, _)| terms).map_err(|error| self.without_path(&error))
    }

    fn without_path(&self, error: &TlsError) -> String {
        let place = format!("{}{}", self.0.path().display(), std::path::MAIN_SEPARATOR);
        error.to_string().replace(&place, "")
    }
}

fn terms_of(config: &TlsConfig) -> Arc<ServerConfig> {
    Terms::new(config).unwrap().0.current().unwrap()
}

#[test]
fn every_suite_and_version_that_is_named_is_spoken_and_the_reverse() {
    let all = ring::default_provider().cipher_suites;
    assert_eq!(all.iter().filter_map(|suite| place_of(suite.suite())).collect::<Vec<_>>(), (0..9).collect::<Vec<_>>());

    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let ciphers = names(&["ECDHE-RSA-AES128-GCM-SHA256", "tls_ecdhe_ecdsa_with_aes_256_gcm_sha384"]);
    let config = TlsConfig { ciphers, protocols: names(&["TLSv1.2"]), ..TlsConfig::default() };
    let (provider, versions) = spoken(&config);
    let suites: Vec<_> = provider.cipher_suites.iter().map(|suite| format!("{:?}", suite.suite())).collect();
    assert_eq!(suites, ["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]);
    assert_eq!(versions, [&TLS12]);

    let contradiction = TlsConfig { protocols: names(&["TLSv1.3"]), ..config };
    let error = Terms::new(&contradiction).unwrap_err().to_string();
    assert!(error.starts_with("no TLS can be spoken with this configuration: "), "{error}");
}

#[test]
fn no_handshake_leads_to_a_ticket() {
    let config = terms_of(&TlsConfig::default());

    assert_eq!((config.send_tls13_tickets, config.session_storage.can_cache()), (0, false));
    assert!(!config.ticketer.enabled());
}

#[test]
fn what_is_wrong_with_a_file_is_told_with_its_name() {
    let (cert, key) = pair("a");
    let (other, _) = pair("b");
    let told = |cert: &str, key: &str| Files::new(cert, key).terms().map(|_| ()).unwrap_err();

    assert!(Files::new(&cert, &key).terms().is_ok());
    assert_eq!(told("", &key), "cert.pem: has no `BEGIN CERTIFICATE`");
    assert_eq!(told(&cert[..cert.len() / 2], &key), "cert.pem: ends in the middle of a PEM section");
    assert_eq!(told(&cert.replace("MII", "M!!"), &key), "cert.pem: a PEM section is not base64");
    assert_eq!(told(&cert, "nothing"), "key.pem: has no `BEGIN PRIVATE KEY` or the like");
    assert_eq!(told(&cert, &key[..key.len() / 2]), "key.pem: ends in the middle of a PEM section");
    assert_eq!(told(&other, &key), "the certificate of cert.pem does not belong to the key of key.pem");
    assert!(told(&cert, &key.replace("MIGH", "MIIH")).starts_with("key.pem: the key is none of RSA, ECDSA"));

    let files = Files::new(&cert, &key);
    std::fs::remove_file(files.0.path().join("key.pem")).unwrap();
    assert!(files.terms().unwrap_err().starts_with("cannot read key.pem: "));
    let roots = TlsConfig {
        need_client_auth: ClientAuth::Require,
        auth_client: true,
        trust_cert_path: "/nowhere/roots.pem".into(),
        ..Files::new(&cert, &key).config()
    };
    assert!(Terms::new(&roots).is_err());
}

#[test]
fn an_old_form_of_encryption_is_told_with_the_command_that_helps() {
    let (cert, _) = pair("a");
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: DES-EDE3-CBC,00\n\nAAAA\n\
               -----END RSA PRIVATE KEY-----\n";

    let error = Files::new(&cert, old).terms().unwrap_err();

    assert!(error.starts_with("key.pem: the key is encrypted in a way that is not understood"), "{error}");
    assert!(error.ends_with("openssl pkcs8 -topk8 -v2 aes256 -v2prf hmacWithSHA256 -in key.pem -out NEW.pem"));
}

#[test]
fn an_encrypted_key_needs_its_password_and_the_password_is_never_told() {
    let (cert, key) = pair("a");
    let der = pkcs8::der::pem::decode_vec(key.as_bytes()).unwrap().1;
    let parameters = pkcs8::pkcs5::pbes2::Parameters::generate_pbkdf2_sha256_aes256cbc(1000, &[7; 8], [9; 16]).unwrap();
    let data = parameters.encrypt("hush", &der).unwrap();
    let encrypted = pkcs8::EncryptedPrivateKeyInfoOwned {
        encryption_algorithm: parameters.into(),
        encrypted_data: pkcs8::der::asn1::OctetString::new(data).unwrap(),
    };
    let encrypted = pkcs8::der::Encode::to_der(&encrypted).unwrap();
    let pem = pkcs8::der::pem::encode_string("ENCRYPTED PRIVATE KEY", pkcs8::LineEnding::LF, &encrypted).unwrap();
    let files = Files::new(&cert, &format!("Bag Attributes\n    friendlyName: a\n{pem}"));
    let with = |password: &str| {
        let config = TlsConfig { key_password: Secret::new(password), ..files.config() };
        Terms::new(&config).map(|_| ()).map_err(|error| files.without_path(&error))
    };

    assert_eq!(with("hush"), Ok(()));
    assert_eq!(with(""), Err("key.pem: the key is encrypted: set `tls.key-password`".to_owned()));
    let wrong = with("loud").unwrap_err();
    assert_eq!(wrong, "key.pem: the key cannot be decrypted: `tls.key-password` is wrong");
}

#[test]
fn a_certificate_is_told_by_its_name_and_its_end() {
    let (cert, _) = pair("mq.example");
    let file = pem::File { path: Path::new("x"), content: cert.as_bytes() };
    let certificates = pem::certificates(file).unwrap();

    let summary = certificate::Summary::of(&certificates[0]).unwrap().to_string();

    assert_eq!(summary, "of `mq.example`, valid until 2040-02-03T00:00:00Z");
    assert_eq!(certificate::Summary::of(&rustls::pki_types::CertificateDer::from(vec![0x30, 3, 2, 1, 0])), None);
}

#[test]
fn changed_files_count_for_the_next_handshake_and_bad_ones_do_not() {
    let ((cert, key), (new_cert, new_key)) = (pair("old"), pair("new"));
    let files = Files::new(&cert, &key);
    let (terms, watch) = Terms::new(&files.config()).unwrap();
    let mut watch = watch.unwrap();
    let first = terms.current().unwrap();
    let kept = |terms: &Terms| Arc::ptr_eq(&first, &terms.current().unwrap());

    assert_eq!(watch.look(), Looked::Same);
    files.write("cert.pem", &new_cert[..100]);
    assert_eq!(watch.look(), Looked::Kept, "half of it is written");
    assert_eq!(watch.look(), Looked::Same, "and told once");
    files.write("cert.pem", &new_cert);
    assert_eq!(watch.look(), Looked::Half);
    std::fs::remove_file(files.0.path().join("key.pem")).unwrap();
    assert_eq!(watch.look(), Looked::Same, "a file that is being replaced");
    assert!(kept(&terms));
    files.write("key.pem", &new_key);
    assert_eq!(watch.look(), Looked::Replaced);
    assert!(!kept(&terms));

    files.write("key.pem", "garbage");
    assert_eq!(watch.look(), Looked::Kept);
    files.write("key.pem", &new_key);
    assert_eq!(watch.look(), Looked::Same, "what is in use is back");
    // Renewed for the same key, which Java does not notice.
    let renewed = CertificateParams::new(vec!["new".to_owned()]).unwrap();
    let renewed = renewed.self_signed(&KeyPair::from_pem(&new_key).unwrap()).unwrap().pem();
    files.write("cert.pem", &renewed);
    assert_eq!(watch.look(), Looked::Replaced);
}

#[test]
fn roots_that_change_count_alone() {
    let ((cert, key), (root, _), (new_root, _)) = (pair("a"), pair("root"), pair("new root"));
    let files = Files::new(&cert, &key);
    files.write("roots.pem", &root);
    let trust_cert_path = files.0.path().join("roots.pem");
    let need_client_auth = ClientAuth::Require;
    let config = TlsConfig { need_client_auth, auth_client: true, trust_cert_path, ..files.config() };
    let (_, watch) = Terms::new(&config).unwrap();
    let mut watch = watch.unwrap();

    files.write("roots.pem", &format!("{root}{new_root}"));
    assert_eq!(watch.look(), Looked::Replaced);
    files.write("roots.pem", "");
    assert_eq!(watch.look(), Looked::Kept, "an empty list would lock everybody out");
}

#[test]
fn nothing_is_watched_when_nothing_was_read() {
    assert!(Terms::new(&TlsConfig::default()).unwrap().1.is_none());
    let (terms, watch) = Terms::new(&TlsConfig { mode: TlsMode::Disabled, ..TlsConfig::default() }).unwrap();
    assert!(watch.is_none() && terms.current().is_none());
}

#[test]
fn a_watch_shows_neither_key_nor_password() {
    let (cert, key) = pair("a");
    let files = Files::new(&cert, &key);
    let config = TlsConfig { key_password: Secret::new("hush"), ..files.config() };

    let (terms, watch) = Terms::new(&config).unwrap();

    let shown = format!("{terms:?} {watch:?}");
    assert!(!shown.contains("hush") && !shown.contains(&key[40..80]), "{shown}");
}
