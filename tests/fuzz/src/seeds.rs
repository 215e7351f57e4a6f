//! What the fuzzers start from: the recorded exchanges with the Java NameServer, and the bodies that were cut out
//! of them.

use std::io::Read as _;

use bytes::Bytes;
use fingerpost::remoting::{Command, SerializeType, frame};
use flate2::read::ZlibDecoder;
use serde::Deserialize;

/// One line of the recording, as far as it matters here.
#[derive(Deserialize)]
struct Capture {
    request: Option<String>,
    response: Option<String>,
    response_body: Option<String>,
}

/// The names of the targets, and what each of them checks.
pub const TARGETS: [(&str, fn(&[u8])); 7] = [
    ("frame", crate::frame::check),
    ("kv_file", crate::kv_file::check),
    ("lenient_json", crate::lenient_json::check),
    ("properties", crate::properties::check),
    ("proxy_header", crate::proxy_header::check),
    ("registration_compressed", crate::registration_compressed::check),
    ("registration_json", crate::registration_json::check),
];

/// The seeds of a target; none if it has no such name.
pub fn of(target: &str) -> Vec<Vec<u8>> {
    let frames = frames();
    let with = |how: &[u8], bytes: &[u8]| [how, bytes].concat();
    match target {
        "frame" => {
            let headers = frames.iter().map(|frame| with(&[1 + frame[4]], &header(frame)));
            frames.iter().map(|frame| with(&[0], frame)).chain(headers).collect()
        }
        "lenient_json" => documents(&frames).iter().map(|document| with(&[0xff], document)).collect(),
        "registration_json" => {
            let bodies = documents(&frames);
            (0..4).flat_map(|kind| bodies.iter().map(move |body| with(&[kind, 255, 255], body))).collect()
        }
        "registration_compressed" => {
            let streams = frames.iter().map(body).filter(|body| body.first() == Some(&0x78));
            streams.flat_map(|stream| [with(&[3, 255], &stream), with(&[1, 255], &inflated(&stream))]).collect()
        }
        "properties" => {
            let files = [
                &include_bytes!("../../interop/namesrv.properties")[..],
                include_bytes!("../../interop/broker.properties"),
                b"a = b \\\r\n  c\n! no\n#\\\nk\\:\\=\\ \\u00e9:\\t\\uD83D\\uDE00\r\\\n\n x",
            ];
            files.iter().map(|file| file.to_vec()).chain(texts(&frames)).collect()
        }
        "kv_file" => {
            let files: [&[u8]; 4] = [
                r#"{"configTable":{"EMPTIED":{},"ORDER_TOPIC_CONFIG":{"OrderA":"broker-a:4","主题":"a/b <\"\\\n>"}}}"#
                    .as_bytes(),
                br#"{"configTable":{"n":{"k":null,"\ud83d\ude00":"\u0001"},"gone":null},"other":[{"a":1.5e3}]}"#,
                b" null",
                b"\n",
            ];
            files.iter().map(|file| file.to_vec()).collect()
        }
        "proxy_header" => {
            let v4 = [192, 0, 2, 7, 198, 51, 100, 1, 0x9c, 0x40, 0x26, 0x94];
            let (v6, unix) = ([0x20; 36], [b'/'; 216]);
            let lines =
                ["TCP4 192.0.2.7 198.51.100.1 40000 9876", "TCP6 ::ffff:1.2.3.4 2001:db8::1 0 65535", "UNKNOWN x"];
            let lines = lines.iter().map(|line| with(&[1], format!("{line}\r\nrest").as_bytes()));
            let ways: [(&[u8], &[u8]); 6] = [
                (b"\x21\x11", &v4),
                (b"\x21\x22", &v6),
                (b"\x21\x31", &unix),
                (b"\x20\x11", b""),
                (b"\x21\0", b""),
                (b"", b""),
            ];
            let fields = b"\x01\0\x02h2\x04\0\0\xea\0\x01\x09";
            let binary =
                ways.iter().flat_map(|(how, addresses)| [3, 4].map(|sums| [&[sums], *how, addresses, fields].concat()));
            lines.chain(binary).chain([with(&[0], b"GET / HTTP/1.1\r\n")]).collect()
        }
        _ => Vec::new(),
    }
}

fn captures() -> Vec<Capture> {
    let lines = include_str!("../../data/captures.jsonl").lines();
    lines.map(|line| serde_json::from_str(line).expect("a line of the recording is JSON")).collect()
}

/// Every whole frame that either side sent.
fn frames() -> Vec<Vec<u8>> {
    let sent = captures().into_iter().flat_map(|capture| [capture.request, capture.response]);
    let bytes = sent.flatten().map(|hex| bytes(&hex));
    bytes.filter(|bytes| frame::split(bytes, u32::MAX) == Ok(Some(bytes.len()))).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("the recording is in hexadecimal") as u8;
    hex.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

fn header(frame: &[u8]) -> Vec<u8> {
    let length = u32::from_be_bytes([0, frame[5], frame[6], frame[7]]) as usize;
    frame[8..8 + length].to_vec()
}

fn body(frame: &Vec<u8>) -> Vec<u8> {
    Command::decode(Bytes::from(frame.clone())).map_or_else(|_| Vec::new(), |command| command.body.to_vec())
}

/// Everything recorded that is JSON, headers included.
fn documents(frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let json = |frame: &&Vec<u8>| frame[4] == u8::from(SerializeType::default() != SerializeType::Json);
    let headers = frames.iter().filter(json).map(|frame| header(frame));
    let bodies = frames.iter().map(body).filter(|body| matches!(body.first(), Some(b'{' | b'[')));
    headers.chain(bodies).collect()
}

/// Bodies that are lines of text.
fn texts(frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let bodies = frames
        .iter()
        .map(body)
        .chain(captures().into_iter().filter_map(|capture| Some(capture.response_body?.into_bytes())));
    bodies.filter(|body| body.is_ascii() && body.contains(&b'=') && body.contains(&b'\n')).collect()
}

fn inflated(stream: &[u8]) -> Vec<u8> {
    let mut inside = Vec::new();
    ZlibDecoder::new(stream).read_to_end(&mut inside).expect("the recorded stream is whole");
    inside
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_seeds_and_none_of_them_is_a_finding() {
        for (target, check) in TARGETS {
            let seeds = of(target);
            assert!(!seeds.is_empty(), "{target}");
            for seed in seeds {
                check(&seed);
            }
        }
    }
}
