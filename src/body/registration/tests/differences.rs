//! A body told as a difference says, with the one before, exactly what it says alone, however the two differ.

use super::super::*;
use flate2::{Compression, write::ZlibEncoder};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::{prop_assert, prop_assert_eq};
use std::io::Write;

const NOW: Millis = 1_700_000_000_123;
const NAMES: [&str; 6] = ["A", "B", "C", "TopicD", "TopicE", "ü"];

/// A topic as it stands in a body.
#[derive(Clone, Copy, Debug)]
struct Line {
    name: usize,
    queues: i32,
    style: Style,
}

/// How a JSON body may write it.
#[derive(Clone, Copy, Debug)]
enum Style {
    Plain,
    Escaped,
    SingleQuotes,
    Spaced,
    /// Under another key than its name.
    OddKey,
}

#[derive(Clone, Debug)]
struct Text {
    counter: u32,
    /// A version without a time has the time of its decoding.
    timed: bool,
    lines: Vec<Line>,
    mappings: usize,
    servers: Option<usize>,
}

#[derive(Clone, Copy, Debug)]
enum Edit {
    Replace(usize, Line),
    Remove(usize),
    Insert(usize, Line),
    Swap(usize, usize),
    Counter,
    Mappings(usize),
    Servers(Option<usize>),
}

impl Line {
    fn json(&self) -> String {
        let Self { queues, .. } = self;
        let name = NAMES[self.name];
        let value = |name: &str| format!(r#"{{"perm":6,"readQueueNums":{queues},"topicName":"{name}"}}"#);
        match self.style {
            Style::Plain => format!(r#""{name}":{}"#, value(name)),
            Style::Escaped => {
                let escaped: String = name.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
                format!(r#""{escaped}":{}"#, value(name))
            }
            Style::SingleQuotes => format!("'{name}':{}", value(name)),
            Style::Spaced => format!(r#" "{name}" : {} "#, value(name)),
            Style::OddKey => format!(r#""odd":{}"#, value(name)),
        }
    }

    fn record(&self) -> String {
        format!("{} {} 4 6 SINGLE_TAG {{}}", NAMES[self.name], self.queues)
    }
}

impl Text {
    fn version(&self) -> String {
        let time = if self.timed { r#","timestamp":7"# } else { "" };
        format!(r#"{{"counter":{}{time}}}"#, self.counter)
    }

    fn servers(&self) -> String {
        self.servers.map_or("null".into(), |count| format!("[{}]", vec![r#""f""#; count].join(",")))
    }

    fn body(&self, form: Form) -> Vec<u8> {
        let (version, servers) = (self.version(), self.servers());
        let mapping = |number: usize| format!(r#"{{"bname":"b","topic":"{}","epoch":{number}}}"#, NAMES[number]);
        let topics = self.lines.iter().map(Line::json).collect::<Vec<_>>().join(",");
        let mappings = (0..self.mappings).map(|number| format!(r#""{}":{}"#, NAMES[number], mapping(number)));
        let mappings = mappings.collect::<Vec<_>>().join(",");
        let wrapper = format!(
            r#"{{"dataVersion":{version},"topicConfigTable":{{{topics}}},"topicQueueMappingInfoMap":{{{mappings}}}}}"#
        );
        let with_mappings = match form {
            Form::LegacyJson => return wrapper.into_bytes(),
            Form::Json => {
                return format!(r#"{{"filterServerList":{servers},"topicConfigSerializeWrapper":{wrapper}}}"#).into();
            }
            Form::Compressed => false,
            Form::CompressedWithMappings => true,
        };
        let mut out = ZlibEncoder::new(Vec::new(), Compression::fast());
        let number = |out: &mut ZlibEncoder<_>, number: usize| out.write_all(&(number as u32).to_be_bytes()).unwrap();
        let record = |out: &mut ZlibEncoder<_>, text: &str| {
            number(out, text.len());
            out.write_all(text.as_bytes()).unwrap();
        };
        record(&mut out, &version);
        out.write_all(&(self.lines.len() as u32).to_be_bytes()).unwrap();
        self.lines.iter().for_each(|line| record(&mut out, &line.record()));
        record(&mut out, &servers);
        if with_mappings {
            out.write_all(&(self.mappings as u32).to_be_bytes()).unwrap();
            (0..self.mappings).for_each(|number| record(&mut out, &mapping(number)));
        }
        out.finish().unwrap()
    }

    fn edit(&mut self, edit: Edit) {
        let lines = &mut self.lines;
        let count = lines.len();
        match edit {
            Edit::Replace(at, line) => lines[at % count] = line,
            Edit::Remove(at) if count > 1 => drop(lines.remove(at % count)),
            Edit::Remove(_) => {}
            Edit::Insert(at, line) => lines.insert(at % (count + 1), line),
            Edit::Swap(one, other) => lines.swap(one % count, other % count),
            Edit::Counter => self.counter += 1,
            Edit::Mappings(mappings) => self.mappings = mappings,
            Edit::Servers(servers) => self.servers = servers,
        }
    }
}

fn after(body: &[u8], form: Form, known: &[route::Imprint]) -> Told {
    decode_after(body, form, NOW, &Limits::default(), known.iter()).unwrap()
}

fn whole(body: &[u8], form: Form) -> TopicTable {
    decode(body, form, NOW, &Limits::default()).unwrap()
}

/// A plain body of many topics, as a broker sends it.
fn many(counter: u32, queues: impl Fn(usize) -> i32) -> String {
    let line = |number: usize| {
        let queues = queues(number);
        format!(
            r#""topic-{number}":{{"readQueueNums":{queues},"topicName":"topic-{number}","writeQueueNums":{queues}}}"#
        )
    };
    let topics = (0..100).map(line).collect::<Vec<_>>().join(",");
    format!(
        r#"{{"topicConfigSerializeWrapper":{{"dataVersion":{{"counter":{counter},"timestamp":7}},"topicConfigTable":{{{topics}}}}}}}"#
    )
}

#[test]
fn the_same_body_is_known_and_another_version_keeps_every_topic() {
    let first = after(many(1, |_| 4).as_bytes(), Form::Json, &[]);
    let imprint = first.imprint.unwrap();
    assert!(first.since.is_none());

    let same = after(many(1, |_| 4).as_bytes(), Form::Json, std::slice::from_ref(&imprint));
    let newer = after(many(2, |_| 4).as_bytes(), Form::Json, std::slice::from_ref(&imprint));

    assert!(std::ptr::addr_eq(route::Imprint::as_ptr(&same.imprint.unwrap()), route::Imprint::as_ptr(&imprint)));
    assert_eq!((same.since.unwrap().kept, same.table.data_version.counter), (100, 1));
    assert_eq!((newer.since.unwrap().kept, newer.table.data_version.counter), (100, 2));
    assert!(newer.table.topics.is_empty());
}

#[test]
fn only_the_topics_that_changed_are_decoded() {
    let imprint = after(many(1, |_| 4).as_bytes(), Form::Json, &[]).imprint.unwrap();

    let newer =
        after(many(2, |number| if number == 7 || number == 50 { 8 } else { 4 }).as_bytes(), Form::Json, &[imprint]);

    assert_eq!(newer.since.unwrap().kept, 98);
    assert_eq!(newer.table.topics.iter().map(|topic| &*topic.name).collect::<Vec<_>>(), ["topic-7", "topic-50"]);
}

#[test]
fn the_same_bytes_in_another_form_or_from_one_of_two_brokers_are_decoded_whole() {
    let body = many(1, |_| 4);
    let imprint = after(body.as_bytes(), Form::Json, &[]).imprint.unwrap();
    let other = after(many(1, |_| 8).as_bytes(), Form::Json, &[]).imprint.unwrap();

    assert!(after(body.as_bytes(), Form::LegacyJson, std::slice::from_ref(&imprint)).since.is_none());
    assert!(after(many(2, |_| 4).as_bytes(), Form::Json, &[imprint, other]).since.is_none());
}

#[test]
fn a_version_that_names_no_time_is_another_each_time() {
    let body = many(1, |_| 4).replace(r#","timestamp":7"#, "");

    assert!(after(body.as_bytes(), Form::Json, &[]).imprint.is_none());
}

fn lines() -> impl Strategy<Value = Line> {
    let style = prop_oneof![
        40 => Just(Style::Plain), 1 => Just(Style::Escaped), 1 => Just(Style::SingleQuotes), 1 => Just(Style::Spaced),
        1 => Just(Style::OddKey),
    ];
    (0..NAMES.len(), 0..3i32, style).prop_map(|(name, queues, style)| Line { name, queues, style })
}

fn texts() -> impl Strategy<Value = Text> {
    // Mostly each name once, as a map has it.
    let each = vec((0..3i32, any::<bool>()), NAMES.len()).prop_map(|lines| -> Vec<Line> {
        let line = |(name, (queues, there)): (usize, (i32, bool))| {
            (there || name == 0).then_some(Line { name, queues, style: Style::Plain })
        };
        lines.into_iter().enumerate().filter_map(line).collect()
    });
    let lines = prop_oneof![3 => each, 1 => vec(lines(), 1..8)];
    let rest = (proptest::bool::weighted(0.9), 0..3usize, proptest::option::of(0..3usize));
    (lines, rest).prop_map(|(lines, (timed, mappings, servers))| Text { counter: 1, timed, lines, mappings, servers })
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let at = any::<usize>;
    let edit = prop_oneof![
        3 => (at(), lines()).prop_map(|(at, line)| Edit::Replace(at, line)),
        2 => at().prop_map(Edit::Remove),
        2 => (at(), lines()).prop_map(|(at, line)| Edit::Insert(at, line)),
        1 => (at(), at()).prop_map(|(one, other)| Edit::Swap(one, other)),
        3 => Just(Edit::Counter),
        1 => (0..3usize).prop_map(Edit::Mappings),
        1 => proptest::option::of(0..3usize).prop_map(Edit::Servers),
    ];
    vec(edit, 0..4)
}

proptest! {
    #[test]
    fn a_difference_says_what_the_body_says(mut text in texts(), rounds in vec(edits(), 1..5), form in 0..4usize) {
        let form = [Form::Json, Form::LegacyJson, Form::Compressed, Form::CompressedWithMappings][form];
        let mut known: Option<(route::Imprint, TopicTable)> = None;
        for edits in rounds {
            edits.into_iter().for_each(|edit| text.edit(edit));
            let body = text.body(form);
            let whole = whole(&body, form);
            let imprints: Vec<_> = known.iter().map(|(imprint, _)| route::Imprint::clone(imprint)).collect();
            let told = after(&body, form, &imprints);

            prop_assert_eq!(told.table.data_version, whole.data_version);
            prop_assert_eq!(&told.table.filter_servers, &whole.filter_servers);
            match (&told.since, &known) {
                (None, _) => prop_assert_eq!(&told.table, &whole),
                (Some(since), Some((_, before))) => {
                    prop_assert_eq!(since.kept + told.table.topics.len(), whole.topics.len());
                    prop_assert!(told.table.topics.iter().all(|topic| whole.topics.contains(topic)));
                    let mut rest = whole.topics.iter().filter(|topic| !told.table.topics.contains(topic));
                    prop_assert!(rest.all(|topic| before.topics.contains(topic)), "{:?}", told);
                    prop_assert!(whole.topics.iter().all(|topic| topic.key.is_none()));
                    let mappings = if since.mappings_kept { &before.mappings } else { &told.table.mappings };
                    prop_assert_eq!(mappings, &whole.mappings);
                }
                (Some(_), None) => prop_assert!(false, "a difference from nothing"),
            }
            known = told.imprint.map(|imprint| (imprint, whole));
        }
    }
}
