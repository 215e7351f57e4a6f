//! As much of frames as the load needs, and no more, so that it costs less than any server: places in requests that are
//! overwritten, and what stands in answers.

use std::ops::Range;

/// Each opaque of the load has ten digits, so that it can be replaced in place.
pub(crate) const OPAQUE_MIN: u32 = 1_000_000_000;
pub(crate) const OPAQUE_DIGITS: usize = 10;

const OPAQUE: &[u8] = b"\"opaque\":";
const CODE: &[u8] = b"\"code\":";

/// Where the header begins in a frame.
const HEADER: usize = 8;

/// Where a header has its opaque.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum OpaquePlace {
    /// From here on, as decimal digits.
    Json(usize),
    /// As four bytes.
    Binary(usize),
}

impl OpaquePlace {
    /// Looks at `hint` first, where it was in another frame.
    pub(crate) fn find(frame: &[u8], hint: usize) -> Option<Self> {
        if *frame.get(4)? == 1 {
            // After the code, the language and the version.
            return (frame.len() >= HEADER + 9).then_some(Self::Binary(HEADER + 5));
        }
        number_after(OPAQUE, frame, hint).map(Self::Json)
    }

    pub(crate) fn start(self) -> usize {
        match self {
            Self::Json(start) | Self::Binary(start) => start,
        }
    }

    pub(crate) fn read(self, frame: &[u8]) -> u32 {
        match self {
            Self::Json(start) => read_decimal(&frame[start..]),
            Self::Binary(start) => frame[start..].first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes)),
        }
    }

    fn write(self, frame: &mut [u8], opaque: u32) {
        match self {
            Self::Json(start) => write_decimal(&mut frame[start..start + OPAQUE_DIGITS], opaque),
            Self::Binary(start) => frame[start..start + 4].copy_from_slice(&opaque.to_be_bytes()),
        }
    }
}

/// Where the number after `key` begins; at `hint`, if it is there.
fn number_after(key: &[u8], frame: &[u8], hint: usize) -> Option<usize> {
    if hint <= frame.len() && frame[..hint].ends_with(key) {
        return Some(hint);
    }
    frame.windows(key.len()).position(|window| window == key).map(|at| at + key.len())
}

fn read_decimal(digits: &[u8]) -> u32 {
    let digits = digits.iter().take_while(|digit| digit.is_ascii_digit());
    digits.fold(0, |number: u32, digit| number.wrapping_mul(10).wrapping_add(u32::from(digit - b'0')))
}

/// Fills `place` with digits.
pub(crate) fn write_decimal(place: &mut [u8], mut number: u32) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// A request that is made once, and of which only an opaque and some numbers change.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    frame: Vec<u8>,
    opaque: OpaquePlace,
    numbers: Vec<Range<usize>>,
}

impl Template {
    /// Each of `names` stands in the frame once, and ends in the digits to replace. The opaque is [`OPAQUE_MIN`].
    pub(crate) fn new(frame: &[u8], names: &[&str]) -> Self {
        let place = |name: &&str| {
            let at = frame.windows(name.len()).position(|window| window == name.as_bytes());
            let end = at.expect("a request names what it is about") + name.len();
            let digits = name.bytes().rev().take_while(u8::is_ascii_digit).count();
            end - digits..end
        };
        let opaque = OpaquePlace::find(frame, 0).expect("a request has an opaque");
        Self { frame: frame.to_vec(), opaque, numbers: names.iter().map(place).collect() }
    }

    pub(crate) fn append(&self, opaque: u32, numbers: &[u32], output: &mut Vec<u8>) {
        let start = output.len();
        output.extend_from_slice(&self.frame);
        let frame = &mut output[start..];
        self.opaque.write(frame, opaque);
        for (place, number) in self.numbers.iter().zip(numbers) {
            write_decimal(&mut frame[place.clone()], *number);
        }
    }
}

/// What the load wants to know of an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) code: u32,
    pub(crate) opaque: u32,
    pub(crate) header: &'a [u8],
    pub(crate) body: &'a [u8],
}

impl<'a> Answer<'a> {
    /// Reads one whole frame. `hint` is where its opaque may be, and is set to where it was.
    pub(crate) fn read(frame: &'a [u8], hint: &mut usize) -> Option<Self> {
        let header_end = HEADER + u32::from_be_bytes([0, *frame.get(5)?, *frame.get(6)?, *frame.get(7)?]) as usize;
        let (header, body) = (frame.get(HEADER..header_end)?, frame.get(header_end..)?);
        let opaque = OpaquePlace::find(frame, *hint)?;
        *hint = opaque.start();
        let code = match opaque {
            OpaquePlace::Json(_) => read_decimal(&frame[number_after(CODE, frame, HEADER + 1 + CODE.len())?..]),
            OpaquePlace::Binary(_) => u32::from(u16::from_be_bytes([header[0], header[1]])),
        };
        Some(Self { code, opaque: opaque.read(frame), header, body })
    }
}

/// How long the frame is that `bytes` begin with, if that is there to be read.
pub(crate) fn frame_length(bytes: &[u8]) -> Option<usize> {
    bytes.first_chunk().map(|length| 4 + u32::from_be_bytes(*length) as usize)
}
