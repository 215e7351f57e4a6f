//! Text files that the binary carries for authors of plugins: the contract, the SDK, templates, conformance cases.
//!
//! `plugins/embed.rs` packs them when the server is built.

use std::io::Read;
use std::sync::OnceLock;

use flate2::read::DeflateDecoder;

/// For each file its path and its text, each after its length, which is four bytes.
static PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/authors.bin"));

/// The files of a group, with their paths below it, in the order of these.
pub(crate) fn files(group: &str) -> Vec<(&'static str, &'static str)> {
    let below = |path: &'static str| path.strip_prefix(group)?.strip_prefix('/');
    all().iter().filter_map(|(path, text)| Some((below(path)?, text.as_str()))).collect()
}

fn all() -> &'static [(String, String)] {
    static ALL: OnceLock<Vec<(String, String)>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut bytes = Vec::new();
        let unpacked = DeflateDecoder::new(PACKED).read_to_end(&mut bytes);
        unpacked.expect("the build has packed it");
        let mut rest = &bytes[..];
        let mut next = move || {
            let (length, after) = rest.split_at_checked(4)?;
            let length = u32::from_be_bytes(length.try_into().ok()?) as usize;
            let (text, after) = after.split_at_checked(length)?;
            rest = after;
            String::from_utf8(text.to_vec()).ok()
        };
        std::iter::from_fn(|| Some((next()?, next()?))).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_is_carried_along_as_it_is() {
        let wit = files("wit");

        let (_, world) = wit.iter().find(|(path, _)| *path == "world.wit").expect("it is there");
        assert_eq!(*world, include_str!("../../wit/world.wit"));
        assert!(files("sdk").iter().any(|(path, _)| *path == "src/lib.rs"));
        assert!(files("nothing").is_empty());
    }
}
