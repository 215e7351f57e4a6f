//! The reader of JSON: it takes everything that serde_json takes and reads the same from it, keeps to its depth, passes
//! over exactly what it reads, and makes text that is JSON.

use bytes::BytesMut;
use fingerpost::json::{JsonError, Problem, Reader, write};
use serde_json::Value;

use crate::split_byte;
use crate::tree::{Tree, depth_of_json};

/// serde_json gives up at 128.
const SERDE_DEPTH_MAX: usize = 127;

/// The first byte is the depth allowed, up to 127, and whether names may be bare integers.
pub fn check(data: &[u8]) {
    let Some((how, document)) = split_byte(data) else { return };
    let (depth_max, bare) = (how & 0x7f, how & 0x80 != 0);
    let reader = || {
        let reader = Reader::new(document).with_depth_max(depth_max);
        if bare { reader.with_bare_integer_keys() } else { reader }
    };

    let read = Tree::read(reader());
    assert_eq!(passed_over(reader()), read.as_ref().map(drop).map_err(|error| *error), "skipped otherwise than read");
    if let Err(error) = &read {
        assert!(error.offset <= document.len(), "{error}");
    }
    compare_with_serde(document, usize::from(depth_max), &read);
    wanted_otherwise(&reader);
    let Ok(tree) = read else { return };
    assert!(tree.depth() <= usize::from(depth_max));
    tree.each_string(&mut written_and_read_back);
    text_is_json(reader(), tree);
}

fn passed_over(mut reader: Reader<'_>) -> Result<(), JsonError> {
    reader.skip()?;
    reader.finish()
}

fn compare_with_serde(document: &[u8], depth_max: usize, read: &Result<Tree, JsonError>) {
    let Ok(value) = serde_json::from_slice::<Value>(document) else { return };
    match read {
        Ok(tree) => assert!(tree.is(&value), "read {tree:?}, serde_json {value:?}"),
        Err(error) => {
            assert_eq!(error.problem, Problem::Depth, "{error}, but serde_json reads {value:?}");
            assert!(depth_of_json(document) > depth_max, "{error}, but it is not that deep");
        }
    }
}

/// The other ways to want a value; one that serde_json knows for an integer or a truth value is that for us.
fn wanted_otherwise<'a>(reader: &impl Fn() -> Reader<'a>) {
    let (wide, narrow, truth) = (reader().int64(), reader().int32(), reader().boolean());
    if let Ok(Some(narrow)) = narrow {
        assert_eq!(wide, Ok(Some(i64::from(narrow))));
    }
    if let Ok(Some(wide)) = wide
        && let Err(error) = narrow
    {
        assert!(i32::try_from(wide).is_err(), "{error}");
    }
    let text = reader().text();
    if let Ok(Some(truth)) = truth {
        let text = text.expect("a truth value has a text").expect("it is not null");
        assert!(truth == matches!(text.to_lowercase().as_str(), "true" | "y" | "1"), "{text} is {truth}");
    }
}

fn written_and_read_back(text: &str) {
    let mut out = BytesMut::new();
    write::string(&mut out, text);
    assert_eq!(Reader::new(&out).string().as_deref(), Ok(text));
    assert_eq!(serde_json::from_slice::<String>(&out).ok().as_deref(), Some(text));
}

fn text_is_json(mut reader: Reader<'_>, tree: Tree) {
    let text = reader.text();
    match (&tree, text) {
        (Tree::Null, text) => assert_eq!(text, Ok(None)),
        (Tree::String(string), text) => assert_eq!(text.ok().flatten().as_deref(), Some(string.as_str())),
        (_, Err(error)) => assert!(error.problem == Problem::Overflow && tree.overflows(), "{error}"),
        (_, Ok(text)) => {
            let text = text.expect("it is not null");
            if tree.depth() <= SERDE_DEPTH_MAX && !tree.exceeds_doubles() {
                let value: Value = serde_json::from_str(&text).expect("the text is JSON");
                assert!(tree.without_nulls().is(&value), "{text}");
            }
        }
    }
}
