//! Frames and both kinds of header: a frame is found wherever its bytes are cut, a header says what a plain reader
//! finds in it, what is read is written and read again, and memory grows with the bytes that came.

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use fingerpost::json::Reader;
use fingerpost::remoting::{Command, EncodeError, Fields, FrameError, LanguageCode, SerializeType, frame};

use crate::memory::peak_of;
use crate::split_byte;
use crate::tree::Tree;

/// Enough for what the fuzzer makes.
const LIMIT: u32 = 1 << 20;

/// The first byte says what the rest is: a stream, or one header without its frame.
pub fn check(data: &[u8]) {
    let Some((how, rest)) = split_byte(data) else { return };
    match how % 3 {
        0 => stream(rest),
        1 => header(SerializeType::Json, rest),
        _ => header(SerializeType::Rocketmq, rest),
    }
}

/// One after the other, until the bytes end or are wrong.
fn stream(mut bytes: &[u8]) {
    loop {
        let split = frame::split(bytes, LIMIT);
        for length in 0..bytes.len().min(64) {
            match (frame::split(&bytes[..length], LIMIT), &split) {
                (Ok(None), _) => {}
                (early, whole) => assert_eq!(early, *whole, "{length} bytes say otherwise than all"),
            }
        }
        let Ok(Some(size)) = split else { break };
        assert!((8..=bytes.len()).contains(&size));
        assert_eq!(frame::split(&bytes[..size], LIMIT), Ok(Some(size)));
        assert_eq!(frame::split(&bytes[..size - 1], LIMIT), Ok(None));
        assert_eq!(Command::decode(Bytes::copy_from_slice(&bytes[..size - 1])), Err(FrameError::NotWhole));
        whole(Bytes::copy_from_slice(&bytes[..size]));
        bytes = &bytes[size..];
    }
}

fn header(kind: SerializeType, header: &[u8]) {
    let length = (header.len() as u32).to_be_bytes();
    let size = (header.len() as u32 + 4).to_be_bytes();
    let type_byte = [u8::from(kind == SerializeType::Rocketmq)];
    whole(Bytes::from([&size[..], &type_byte, &length[1..], header].concat()));
}

fn whole(frame: Bytes) {
    let length = frame.len();
    let (read, peak) = peak_of(|| Command::decode(frame.clone()));
    // Each of at most 257 fields takes 64 bytes and the list doubles; an escaped string is made with room.
    assert!(peak <= 65_536 + 4 * length, "{peak} bytes for a frame of {length}");
    let (kind, header, body) = parts(&frame);
    let plain = match kind {
        SerializeType::Json => plain_json(header),
        SerializeType::Rocketmq => plain_binary(header),
    };
    if let Some(plain) = plain {
        assert_eq!(read, Ok(Command { body: body.clone(), ..plain }), "a plain reader finds more or less");
    }
    let Ok(command) = read else { return };
    assert_eq!(command.body, body);
    assert_eq!(written_and_read(&command, SerializeType::Json), Ok(as_json(command.clone())));
    match written_and_read(&command, SerializeType::Rocketmq) {
        Err(EncodeError::NameTooLong(length)) => assert!(length > 32_767),
        other => assert_eq!(other, Ok(as_binary(command))),
    }
}

fn parts(frame: &Bytes) -> (SerializeType, Bytes, Bytes) {
    let kind = if frame[4] == 0 { SerializeType::Json } else { SerializeType::Rocketmq };
    let end = 8 + u32::from_be_bytes([0, frame[5], frame[6], frame[7]]) as usize;
    (kind, frame.slice(8..end), frame.slice(end..))
}

fn written_and_read(command: &Command, kind: SerializeType) -> Result<Command, EncodeError> {
    let mut out = BytesMut::from("before");
    let encoded = command.encode(kind, &mut out);
    if encoded.is_err() {
        assert_eq!(&out[..], b"before");
    }
    let size = encoded?;
    let frame = out.split_off("before".len()).freeze();
    assert_eq!(size, frame.len());
    assert_eq!(frame::split(&frame, u32::MAX), Ok(Some(size)));
    Ok(Command::decode(frame).expect("what is written can be read"))
}

/// What JSON keeps of a command: a language only if it has a name.
fn as_json(command: Command) -> Command {
    Command { language: LanguageCode::from_name(command.language.name()), ..command }
}

/// What the binary header keeps of a command: see `Command::encode`.
fn as_binary(command: Command) -> Command {
    let fields = command.fields.filter(|fields| !fields.is_empty());
    Command {
        code: i32::from(command.code as i16),
        version: i32::from(command.version as i16),
        remark: command.remark.filter(|remark| !remark.is_empty()),
        fields: fields.map(|fields| {
            let kept = fields.iter().filter(|(name, value)| !name.is_empty() && !value.is_empty());
            kept.map(|(name, value)| (name.clone(), value.clone())).collect()
        }),
        ..command
    }
}

/// What a header says in which everything is of its own type and nothing comes twice.
fn plain_json(header: Bytes) -> Option<Command> {
    let text = std::str::from_utf8(&header).ok()?;
    let tree = Tree::read(Reader::of_text(text)).ok()?;
    let Tree::Object(members) = &tree else { return None };
    if tree.has_twins() || tree.overflows() {
        return None;
    }
    let mut command = Command::default();
    for (name, value) in members {
        let number = |place: &mut i32| match value {
            Tree::Number(Some(text)) => text.parse().ok().map(|number| *place = number),
            _ => None,
        };
        match (name.as_str(), value) {
            ("code", _) => number(&mut command.code)?,
            ("version", _) => number(&mut command.version)?,
            ("opaque", _) => number(&mut command.opaque)?,
            ("flag", _) => number(&mut command.flag)?,
            ("remark", Tree::String(text)) => command.remark = Some(text.as_str().into()),
            ("remark" | "extFields", Tree::Null) => {}
            ("language", Tree::String(name)) => command.language = LanguageCode::from_name(name),
            ("extFields", Tree::Object(fields)) if fields.len() <= 256 => {
                let strings = fields.iter().map(|(name, value)| match value {
                    Tree::String(text) => Some((ByteString::from(name.as_str()), ByteString::from(text.as_str()))),
                    _ => None,
                });
                command.fields = Some(strings.collect::<Option<Fields>>()?);
            }
            ("remark" | "language" | "extFields" | "body", _) => return None,
            _ => {}
        }
    }
    Some(command)
}

/// What a header says that keeps to its form: every length fits, every text is UTF-8 and neither empty nor twice there.
fn plain_binary(header: Bytes) -> Option<Command> {
    let mut rest = &header[..];
    let mut take = |length: usize| {
        let (taken, left) = rest.split_at_checked(length)?;
        rest = left;
        Some(taken)
    };
    let code = i16::from_be_bytes(take(2)?.try_into().ok()?);
    let language = take(1)?[0];
    let version = i16::from_be_bytes(take(2)?.try_into().ok()?);
    let opaque = i32::from_be_bytes(take(4)?.try_into().ok()?);
    let flag = i32::from_be_bytes(take(4)?.try_into().ok()?);
    let mut sized = || {
        let length = u32::from_be_bytes(take(4)?.try_into().ok()?);
        take(usize::try_from(length).ok()?)
    };
    let remark = std::str::from_utf8(sized()?).ok()?;
    let mut block = sized()?;
    let mut fields = (!block.is_empty()).then(Fields::new);
    while !block.is_empty() {
        let (name, value) = (sized_in(&mut block, 2)?, sized_in(&mut block, 4)?);
        let fields = fields.as_mut()?;
        if name.is_empty() || value.is_empty() || fields.get(name).is_some() || fields.len() == 256 {
            return None;
        }
        fields.insert(name, value);
    }
    Some(Command {
        code: code.into(),
        language: LanguageCode(language),
        version: version.into(),
        opaque,
        flag,
        remark: (!remark.is_empty()).then(|| remark.into()),
        fields,
        body: Bytes::new(),
    })
}

/// A text behind a length of so many bytes.
fn sized_in<'a>(bytes: &mut &'a [u8], width: usize) -> Option<&'a str> {
    let (length, rest) = bytes.split_at_checked(width)?;
    if length[0] >= 0x80 {
        return None;
    }
    let length = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    let (text, rest) = rest.split_at_checked(length)?;
    *bytes = rest;
    std::str::from_utf8(text).ok()
}
