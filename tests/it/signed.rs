//! Plugins of files that count only when somebody whom the operator trusts has signed them.

use std::fs;

use fingerpost::config::SigningKey;
use fingerpost::server::{PluginState, Reloaded};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use sha2::{Digest, Sha512};

use crate::guests::{component, drop_in, drop_in_bytes, with_section};
use crate::harness::{Ask, Server};
use crate::reload::{reason, status};

/// Somebody with a key.
struct Signer(Ed25519KeyPair);

impl Signer {
    fn new() -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("there is chance");
        Self(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).expect("it was just made"))
    }

    fn public(&self) -> Vec<u8> {
        strings(&[b"ssh-ed25519", self.0.public_key().as_ref()])
    }

    fn key(&self) -> SigningKey {
        format!("ssh-ed25519 {} somebody", base64(&self.public())).parse().expect("it is one")
    }

    /// As `ssh-keygen -Y sign -n fingerpost` does it; PROTOCOL.sshsig of OpenSSH.
    fn sign(&self, bytes: &[u8]) -> String {
        let (purpose, hash) = (b"fingerpost", b"sha512");
        let signed = [&b"SSHSIG"[..], &strings(&[purpose, b"", hash, &Sha512::digest(bytes)])].concat();
        let signature = strings(&[b"ssh-ed25519", self.0.sign(&signed).as_ref()]);
        let fields = strings(&[&self.public(), purpose, b"", hash, &signature]);
        let blob = [&b"SSHSIG\0\0\0\x01"[..], &fields].concat();
        format!("-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n", base64(&blob))
    }
}

fn strings(fields: &[&[u8]]) -> Vec<u8> {
    let with_length =
        |field: &&[u8]| [&u32::try_from(field.len()).expect("it is short").to_be_bytes()[..], field].concat();
    fields.iter().flat_map(with_length).collect()
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::prelude::BASE64_STANDARD.encode(bytes)
}

fn start(signers: &[&Signer]) -> Server {
    Server::start_with(|config, home| {
        config.plugins.signed_by = signers.iter().map(|signer| signer.key()).collect();
        fs::create_dir(home.join("plugins")).expect("it is new");
    })
}

fn answers(server: &Server) -> bool {
    server.client().ask(Ask::new(9001).field("name", "Ada")).code == 0
}

#[test]
fn a_file_is_used_when_a_trusted_key_has_signed_it_and_not_before() {
    let (ours, theirs, stranger) = (Signer::new(), Signer::new(), Signer::new());
    let server = start(&[&ours, &theirs]);
    let hello = component("hello-processor");
    let sign = |signer: &Signer, bytes: &[u8]| {
        fs::write(server.home().join("plugins/hello-processor.wasm.sig"), signer.sign(bytes)).expect("it is writable");
        server.reload()
    };

    drop_in(server.home(), "hello-processor");
    server.reload();
    let (state, why) = reason(&server, "hello-processor.wasm");
    assert!(state == PluginState::Rejected && why.contains("it is not signed") && why.contains("ssh-keygen"), "{why}");
    assert!(!answers(&server));

    sign(&stranger, &hello);
    let (_, why) = reason(&server, "hello-processor.wasm");
    assert!(why.contains("it is signed by SHA256:"), "{why}");

    assert!(matches!(sign(&theirs, &hello), Reloaded::Generation(_)), "the same bytes, and another signature");
    assert_eq!(status(&server, "hello-processor.wasm").state, PluginState::Active);
    assert!(answers(&server));
}

#[test]
fn a_new_content_waits_for_its_signature_and_the_old_one_goes_on() {
    let ours = Signer::new();
    let server = start(&[&ours]);
    let sign = |bytes: &[u8]| {
        fs::write(server.home().join("plugins/hello.wasm.sig"), ours.sign(bytes)).expect("it is writable");
    };
    let (old, new) = (component("hello-processor"), with_section(component("hello-processor"), "another"));
    drop_in_bytes(server.home(), "hello.wasm", &old);
    sign(&old);
    server.reload();
    assert!(answers(&server));

    drop_in_bytes(server.home(), "hello.wasm", &new);
    server.reload();
    let (state, why) = reason(&server, "hello.wasm");
    assert!(state == PluginState::LastGood && why.contains("one of another content"), "{why}");
    assert!(answers(&server));

    sign(&new);
    server.reload();
    assert_eq!(reason(&server, "hello.wasm"), (PluginState::Active, String::new()));
}

#[test]
fn without_keys_a_signature_is_nobodys_business() {
    let server = start(&[]);
    drop_in(server.home(), "hello-processor");
    fs::write(server.home().join("plugins/hello-processor.wasm.sig"), "nonsense").expect("it is writable");
    server.reload();

    assert!(answers(&server));
}
