//! Libraries with mistakes: none is used that does not fit, and a call with a mistake fails alone.

use fingerpost::server::PluginState;

use super::libraries::faulty;
use super::{reason, start};
use crate::guests::{component, log};
use crate::harness::Ask;

#[test]
fn a_library_that_does_not_fit_is_rejected_with_the_reason() {
    const HEAD: &str = "name = \\\"x\\\"\\nversion = \\\"1\\\"\\nkind = ";
    let manifest = |text: &str| format!("MANIFEST=\"{text}\"");
    let (no_kind, no_codes) = (manifest("name = 7"), manifest(&format!("{HEAD}\\\"processor\\\"\\n")));
    let codes = "[[codes]]\\ncode = 1\\nname = \\\"N\\\"\\n";
    let glancing =
        manifest(&format!("{HEAD}\\\"processor\\\"\\n{codes}[codes.glance]\\nroute-by-field = \\\"t\\\"\\n"));
    for (definitions, why) in [
        (&["SYMBOL=fingerpost_plugin_v2"][..], "it does not export `fingerpost_plugin_v1`"),
        (&["VERSION=2"], "compiled for version 2 of the ABI, and this server has versions 1 to 1"),
        (&["VERSION=0"], "compiled for version 0 of the ABI"),
        (&["SIZE=8"], "its `fingerpost_plugin` has 8 bytes, and that of version 1 of the ABI has 32"),
        (&["PLUGIN=0"], "`fingerpost_plugin_v1` returns no plugin"),
        (&["ENTER=0"], "its `enter` is null"),
        (&["UNDEFINED"], "undefined symbol: no_such_function_anywhere"),
        (&["MANIFEST=\"\\xff\""], "its manifest is no UTF-8 text"),
        (&[&no_kind], "the manifest is not valid"),
        (&[&no_codes], "a processor needs `[[codes]]`"),
        (&[&glancing], "exports `glance`"),
    ] {
        let Some(library) = faulty(definitions) else { return };
        let server = start("faulty.so", &library);
        let (state, found) = reason(&server, "faulty.so");
        assert_eq!(state, PluginState::Rejected, "{definitions:?}");
        assert!(found.contains(why), "{definitions:?}: {found}");
        assert_eq!(server.client().ask(Ask::new(9104)).code, 3, "{definitions:?}");
    }
}

#[test]
fn what_is_no_library_is_rejected_with_the_reason() {
    let cut = |library: Vec<u8>| library[..library.len() / 2].to_vec();
    let half = faulty(&[]).map(cut);
    for bytes in [Some(b"no library".to_vec()), Some(Vec::new()), Some(component("hello-processor")), half] {
        let Some(bytes) = bytes else { return };
        let server = start("faulty.so", &bytes);
        let (state, why) = reason(&server, "faulty.so");
        assert_eq!(state, PluginState::Rejected);
        assert!(why.starts_with("it is no library that this system loads: "), "{why}");
    }
}

#[test]
fn a_call_with_a_mistake_fails_and_the_next_one_does_not() {
    log();
    let Some(library) = faulty(&[]) else { return };
    let server = start("faulty.so", &library);
    let mut client = server.client();
    crate::guests::register(&mut client, "a", r#""T":{"topicName":"T"},"U":{"topicName":"U"}"#);

    for (how, why) in [
        ("return", "it returned 7 and did not say why"),
        ("fail", "because of this"),
        ("no-utf8", "reply_set_field: a text is not UTF-8"),
        ("null-place", "request_body: the place for the result is null"),
        ("null-text", "reply_set_field: 9 items at null"),
        ("handle", "reply_set_route: route handle 5 was not given out in this call"),
        ("style", "reply_set_route: there is no style 9"),
        ("level", "log_write: there is no level 4"),
        ("role", "view_topic: called outside the export that this interface belongs to"),
    ] {
        let reply = client.ask(Ask::new(9104).field("how", how));
        let remark = reply.remark.as_deref().unwrap_or_default();
        assert_eq!((reply.code, remark), (2, "plugin faulty is unavailable: it failed"), "{how}");
        assert!(!log().lines(&["the plugin failed", "faulty", why]).is_empty(), "{why}");
        assert_eq!(client.ask(Ask::new(9104)).code, 0, "the next call, after {how}");
    }
}
