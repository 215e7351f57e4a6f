//! JSON that no client writes, of which Java makes something nevertheless: documents that are odd in one place.

/// Where a document has its odd value: that of an integer.
const PLACE: &str = "@";

/// The header of a request that is answered whatever came before it.
pub(crate) const HEADER: &str = r#"{"code":206,"opaque":7,"version":@}"#;

/// The body of a registration.
pub(crate) const TABLE: &str = concat!(
    r#"{"topicConfigSerializeWrapper":{"dataVersion":{"counter":1,"timestamp":1},"topicConfigTable":"#,
    r#"{"t0":{"topicName":"t0"},"t1":{"topicName":"t1","perm":@}}}}"#
);

/// The body of a topic that an operator registers.
pub(crate) const QUEUES: &str = r#"{"queueDatas":[{"brokerName":"a","perm":@}]}"#;

/// The body of a question for a data version.
pub(crate) const VERSION: &str = r#"{"counter":1,"timestamp":@}"#;

/// How a document is odd.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Oddity {
    /// In place of an integer, perhaps with more members behind it.
    Value(&'static [u8]),
    Before(&'static [u8]),
    After(&'static [u8]),
}
use Oddity::{After, Before, Value};

/// Java reads them in one way or another, at least in some document; we refuse them.
pub(crate) const FORGIVEN: [Oddity; 13] = [
    Value(b"4/*c*/"),
    Value(b"4 \"x\":1"),
    Value(b"\"1,000\""),
    Value(b"1e30"),
    Value(b"4L"),
    Value(b"[4]"),
    Value(b"4,\"x\":\"\xc3\""),
    Before(b"/*c*/"),
    Before(b"//c\n"),
    After(b"/*c*/"),
    After(b"//c\n"),
    After(b","),
    After(b"\x1a"),
];

/// Java refuses them; we do not look at what we do not read.
pub(crate) const REFUSED: [Oddity; 4] = [
    Value(b"4,\"x\":[1,]"),
    Value(b"4,\"x\":{\"a\":1,}"),
    Value(b"4,\"order\":\"yes\""),
    Value(b"4,\"attributes\":[]"),
];

/// Java keeps a data version without a counter.
pub(crate) const UNCOUNTED: [Oddity; 2] = [Value(b"1,\"counter\":null"), Value(b"1,\"counter\":\"\"")];

/// Both read them alike, or refuse them.
pub(crate) const SHARED: [Oddity; 22] = [
    Value(b"null"),
    Value(b"\"\""),
    Value(b"\"null\""),
    Value(b"\"4\""),
    Value(b"4e0"),
    Value(b"4.9"),
    Value(b"\"4.9\""),
    Value(b"+4"),
    Value(b"04"),
    Value(b"true"),
    Value(b"4,"),
    Value(b"4,,\"x\":1"),
    Value(b"4,x:1"),
    Value(b"0x4"),
    Value(b"NaN"),
    Value(b"\"x\""),
    Value(b"99999999999999999999"),
    Value(b"4,\"x\":\"\\u00\""),
    Value(b"4,\"x\":'a\"b'"),
    Before(b"\xef\xbb\xbf"),
    After(b"x"),
    After(b"\xff"),
];

impl Oddity {
    /// A document with this oddity in it.
    pub(crate) fn within(self, document: &str) -> Vec<u8> {
        let (before, after) = document.split_once(PLACE).expect("every document has its place");
        let (before, after) = (before.as_bytes(), after.as_bytes());
        match self {
            Value(value) => [before, value, after].concat(),
            Before(bytes) => [bytes, before, b"4", after].concat(),
            After(bytes) => [before, b"4", after, bytes].concat(),
        }
    }
}

/// Whether a text is one of the documents with one of these oddities.
pub(crate) fn is_one_of(oddities: &[Oddity], text: &[u8]) -> bool {
    let documents = [HEADER, TABLE, QUEUES, VERSION];
    oddities.iter().any(|oddity| documents.iter().any(|document| oddity.within(document) == text))
}
