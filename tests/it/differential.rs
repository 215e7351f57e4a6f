//! The differential test tested: it must find what is broken, make it small, and be quiet about what is not.

#[path = "../differential/suite/mod.rs"]
#[allow(dead_code, reason = "the program beside it uses what its tests do not")]
pub(crate) mod suite;

use suite::compare::{Reply, Seen};
use suite::known::{KNOWN, Known, Rule};
use suite::ours::Ours;
use suite::play::{PATIENCE, Pair, Played, Side, play};
use suite::request::{Request, Sequence, Step};
use suite::shrink::shrink;
use suite::tally::Tally;
use suite::wire::{Answer, Frame};
use suite::{generate, report};

/// A server that miscounts what it takes the write permission from.
struct Broken(Ours);

impl Side for Broken {
    fn start(&mut self, sequence: &Sequence) -> std::net::SocketAddr {
        self.0.start(sequence)
    }

    fn age(&mut self, millis: u64) {
        self.0.age(millis);
    }

    fn scan(&mut self) {
        self.0.scan();
    }

    fn connections(&self) -> Option<usize> {
        self.0.connections()
    }

    fn meddle(&mut self, request: &Request, answer: &mut Seen) {
        if let (205, Seen::Reply(Reply { fields: Some(fields), .. })) = (request.code, answer) {
            for (_, count) in fields.iter_mut().filter(|(_, count)| count != "\"0\"") {
                *count = "\"1000\"".to_owned();
            }
        }
    }
}

fn play_against(other: &mut dyn Side, sequence: &Sequence) -> Played {
    play(&mut Pair { ours: &mut Ours::new(true), java: other, patience: PATIENCE }, sequence, &[])
}

#[test]
fn two_servers_that_are_the_same_never_differ() {
    for index in 0..6 {
        let sequence = generate::sequence(1, index);

        let played = play_against(&mut Ours::new(true), &sequence);

        let difference = played.difference.map(|difference| report::describe(&sequence, &difference));
        assert_eq!(difference, None, "sequence {index}");
    }
}

#[test]
fn a_server_that_answers_wrongly_is_found_and_the_sequence_made_small() {
    let found = (0..20)
        .map(|index| generate::sequence(1, index))
        .find(|sequence| play_against(&mut Broken(Ours::new(true)), sequence).difference.is_some());
    let found = found.expect("permissions are changed in some sequence");

    let small =
        shrink(found, &mut |candidate| play_against(&mut Broken(Ours::new(true)), candidate).difference.is_some());

    let difference = play_against(&mut Broken(Ours::new(true)), &small).difference.expect("it still differs");
    assert_eq!(difference.request.code, 205);
    let told = report::describe(&small, &difference);
    assert!(small.steps.len() <= 2, "{told}");
    assert!(small.steps.iter().all(|step| matches!(step, Step::Ask { requests, .. } if requests.len() == 1)), "{told}");
    assert!(told.contains("1000") && told.contains("difference after step"), "{told}");
}

#[test]
fn a_seed_gives_the_same_bytes_every_time_and_another_seed_others() {
    let frames = |seed: u64| -> Vec<u8> {
        let steps = (0..10).flat_map(|index| generate::sequence(seed, index).steps);
        let requests = steps.flat_map(|step| match step {
            Step::Ask { requests, .. } => requests,
            _ => Vec::new(),
        });
        requests.flat_map(|request| request.frame(1)).collect()
    };

    assert_eq!(frames(7), frames(7));
    assert_ne!(frames(7), frames(8));
}

#[test]
fn a_few_seeds_ask_for_every_code_in_every_form() {
    let mut kinds = std::collections::BTreeSet::new();
    for index in 0..200 {
        for step in generate::sequence(1, index).steps {
            match step {
                Step::Ask { requests, .. } => kinds.extend(
                    requests
                        .iter()
                        .map(|request| format!("{} {:?} {}", request.kind(), request.form, request.is_answered())),
                ),
                other => {
                    kinds.insert(format!("{other:?}").split([' ', '{']).next().unwrap_or_default().to_owned());
                }
            }
        }
    }

    let codes = [
        100, 101, 102, 103, 104, 105, 106, 205, 206, 216, 217, 219, 224, 304, 311, 312, 313, 318, 319, 322, 327, 901,
        904,
    ];
    assert_eq!(codes.len(), 23);
    for code in codes {
        for form in ["Json true", "Binary true"] {
            assert!(kinds.contains(&format!("{code} {form}")), "{code} {form}");
        }
    }
    for kind in ["103 Json false", "Spoil", "Close", "Age", "Scan"] {
        assert!(kinds.contains(kind), "{kind}: {kinds:?}");
    }
}

fn seen(header: &str, body: &str) -> Seen {
    let frame = Frame { form: 0, header: header.into(), body: body.into() };
    Seen::of(&Answer::Frame(frame), 106, 7)
}

#[test]
fn answers_are_equal_whatever_the_order_of_what_has_none() {
    let plain = r#"{"code":0,"opaque":7}"#;
    let equal = [
        (seen(plain, r#"{"topicList":["a","b"]}"#), seen(plain, r#"{"topicList":["b","a"]}"#)),
        (
            seen(plain, r#"{"brokerDatas":[{"brokerAddrs":{0:"x",16:"y"}},{"brokerAddrs":{2:"z"}}]}"#),
            seen(plain, r#"{"brokerDatas":[{"brokerAddrs":{2:"z"}},{"brokerAddrs":{16:"y",0:"x"}}]}"#),
        ),
        (
            seen(r#"{"code":0,"extFields":{"a":"1","b":"2"},"opaque":7}"#, ""),
            seen(r#"{"code":0,"extFields":{"b":"2","a":"1"},"opaque":7}"#, ""),
        ),
        (seen(plain, "a=1\nlistenPort=1\n"), seen(plain, "a=1\nlistenPort=2\n")),
    ];

    for (left, right) in equal {
        assert_eq!(left, right);
    }
}

#[test]
fn answers_differ_by_everything_that_a_client_can_tell() {
    let plain = r#"{"code":0,"opaque":7}"#;
    let all = [
        seen(plain, ""),
        seen(r#"{"code":1,"opaque":7}"#, ""),
        seen(r#"{"code":0,"opaque":8}"#, ""),
        seen(r#"{"code":0,"opaque":7,"remark":""}"#, ""),
        seen(r#"{"code":0,"opaque":7,"remark":"a"}"#, ""),
        seen(r#"{"code":0,"extFields":{},"opaque":7}"#, ""),
        seen(r#"{"code":0,"extFields":{"a":"1"},"opaque":7}"#, ""),
        seen(r#"{"code":0,"extFields":{"a":1},"opaque":7}"#, ""),
        seen(r#"{"code":0,"flag":1,"opaque":7}"#, ""),
        seen(plain, r#"{"brokerAddrs":{0:"x"}}"#),
        seen(plain, r#"{"brokerAddrs":{"0":"x"}}"#),
        seen(plain, r#"{"epoch":9007199254740993}"#),
        seen(plain, r#"{"epoch":"9007199254740993"}"#),
        seen(plain, "a=1\n"),
        seen(plain, "a=2\n"),
        seen("not JSON", ""),
        Seen::Closed,
        Seen::Silence,
        Seen::Nothing,
    ];

    for (at, left) in all.iter().enumerate() {
        assert!(all[..at].iter().all(|right| right != left), "{left:?}");
    }
}

#[test]
fn a_known_difference_that_fires_too_often_or_never_is_a_problem() {
    let rows = |cap| [Known { name: "row", reason: "", cap, rule: Rule::Answer(|_, _, _| false) }];
    let tally = |operations, fired| {
        let mut tally = Tally::default();
        tally.add(&Played {
            operations: [("105".to_owned(), operations)].into(),
            known: [("row", fired)].into(),
            ..Played::default()
        });
        tally
    };

    assert!(tally(10_000, 5).problems(&rows(5)).is_empty());
    assert_eq!(tally(10_000, 6).problems(&rows(5)).len(), 1);
    assert!(tally(20_000, 6).problems(&rows(5)).is_empty());
    assert!(tally(20_000, 0).problems(&rows(5)).is_empty());
    assert_eq!(tally(200_000, 0).problems(&rows(5)).len(), 1);
}

#[test]
fn every_known_difference_is_in_the_readme_with_its_reason() {
    let readme = include_str!("../differential/README.md");
    let rows = KNOWN.iter().map(|known| format!("| {} | {} |", known.name, known.reason));

    let missing: Vec<String> = rows.filter(|row| !readme.contains(row.as_str())).collect();

    assert!(missing.is_empty(), "{missing:#?}");
}
