//! Where one frame ends and the next begins, and how a frame is written around its body.

use bytes::{BufMut, BytesMut};
use serde::{Deserialize, Serialize};

use super::error::{EncodeError, FrameError};
use super::header::{self, Header};

/// The longest frame that is taken unless the operator says otherwise, its length included.
/// Java: `com.rocketmq.remoting.frameMaxLength`.
pub const SIZE_MAX: u32 = 16_777_216;

/// The length, the serialize type and the length of the header.
pub(super) const PREFIX: usize = 8;

/// The length itself, which it does not count.
const LENGTH: usize = 4;

const HEADER_MAX: usize = 0x00ff_ffff;

/// How a header is written.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SerializeType {
    /// As an object of JSON; what Java answers unless told otherwise.
    #[default]
    Json,
    /// In the compact form. Java: `RocketMQSerializable`.
    Rocketmq,
}

impl SerializeType {
    fn from_byte(byte: u8) -> Result<Self, FrameError> {
        match byte {
            0 => Ok(Self::Json),
            1 => Ok(Self::Rocketmq),
            _ => Err(FrameError::SerializeType(byte)),
        }
    }

    fn byte(self) -> u8 {
        match self {
            Self::Json => 0,
            Self::Rocketmq => 1,
        }
    }

    /// The type of that name, whose case counts.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Json, Self::Rocketmq].into_iter().find(|kind| kind.name() == name)
    }

    /// As headers and settings name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Rocketmq => "ROCKETMQ",
        }
    }
}

impl std::fmt::Display for SerializeType {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The size of the frame at the front of `bytes`, its length included; none while some of it is missing.
///
/// `limit` bounds that size. What is wrong with a frame is said as soon as the bytes that say so are there, so nobody
/// waits for the rest of one that will be refused.
pub fn split(bytes: &[u8], limit: u32) -> Result<Option<usize>, FrameError> {
    let Some(length) = bytes.first_chunk::<LENGTH>() else { return Ok(None) };
    let size = size(*length)?;
    if size > limit {
        return Err(FrameError::TooLarge { size, limit });
    }
    if let Some(prefix) = bytes.first_chunk::<PREFIX>() {
        prefix_parts(*prefix, size)?;
    }
    let size = size as usize;
    Ok((bytes.len() >= size).then_some(size))
}

/// How the header of the whole frame in `bytes` is written, and where it ends.
pub(super) fn parts(bytes: &[u8]) -> Result<(SerializeType, std::ops::Range<usize>), FrameError> {
    let prefix = bytes.first_chunk::<PREFIX>().ok_or(FrameError::NotWhole)?;
    let size = size([prefix[0], prefix[1], prefix[2], prefix[3]])?;
    if bytes.len() != size as usize {
        return Err(FrameError::NotWhole);
    }
    let (kind, header) = prefix_parts(*prefix, size)?;
    Ok((kind, PREFIX..PREFIX + header))
}

/// Whether a frame, of which at least the prefix is there, has its header in JSON.
pub(crate) fn is_json(frame: &[u8]) -> bool {
    frame[LENGTH] == SerializeType::Json.byte()
}

/// Makes the prefix of the whole frame in `frame` valid for a header of this length. The length must fit its three
/// bytes, as every length does that came out of [`parts`], and a few digits more.
pub(super) fn set_header_length(frame: &mut [u8], header: usize) {
    let [_, high, middle, low] = (header as u32).to_be_bytes();
    let length = ((frame.len() - LENGTH) as u32).to_be_bytes();
    frame[..LENGTH].copy_from_slice(&length);
    frame[LENGTH + 1..PREFIX].copy_from_slice(&[high, middle, low]);
}

fn size(length: [u8; LENGTH]) -> Result<u32, FrameError> {
    let length = i32::from_be_bytes(length);
    match u32::try_from(length) {
        Ok(length) if length as usize >= PREFIX - LENGTH => Ok(length + LENGTH as u32),
        _ => Err(FrameError::BadLength(length)),
    }
}

fn prefix_parts(prefix: [u8; PREFIX], size: u32) -> Result<(SerializeType, usize), FrameError> {
    let [.., kind, high, middle, low] = prefix;
    let kind = SerializeType::from_byte(kind)?;
    let header = u32::from_be_bytes([0, high, middle, low]);
    if header > size - PREFIX as u32 {
        return Err(FrameError::HeaderTooLong { header, frame: size });
    }
    Ok((kind, header as usize))
}

/// A frame whose header is written and whose body may still grow, at the end of a buffer.
///
/// It counts only once it is [`finish`](Self::finish)ed; one that is dropped is taken back out of the buffer, so an
/// answer that failed halfway never reaches the socket.
#[derive(Debug)]
pub struct FrameWriter<'a> {
    out: &'a mut BytesMut,
    start: usize,
    finished: bool,
}

impl<'a> FrameWriter<'a> {
    pub(super) fn begin(header: &Header<'_>, kind: SerializeType, out: &'a mut BytesMut) -> Result<Self, EncodeError> {
        let start = out.len();
        out.put_bytes(0, PREFIX);
        let writer = Self { out, start, finished: false };
        header::encode(header, kind, writer.out)?;
        let length = writer.out.len() - start - PREFIX;
        if length > HEADER_MAX {
            return Err(EncodeError::HeaderTooLong(length));
        }
        let [_, high, middle, low] = (length as u32).to_be_bytes();
        writer.out[start + LENGTH..start + PREFIX].copy_from_slice(&[kind.byte(), high, middle, low]);
        Ok(writer)
    }

    /// The buffer at whose end the body goes. What was in it before must stay.
    pub fn body(&mut self) -> &mut BytesMut {
        self.out
    }

    /// Ends the body and makes the frame valid. Says how long it is, its length included.
    pub fn finish(mut self) -> Result<usize, EncodeError> {
        let size = self.out.len() - self.start;
        let length = i32::try_from(size - LENGTH).map_err(|_| EncodeError::FrameTooLong(size))?;
        self.out[self.start..self.start + LENGTH].copy_from_slice(&length.to_be_bytes());
        self.finished = true;
        Ok(size)
    }
}

impl Drop for FrameWriter<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.out.truncate(self.start);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remoting::{Response, ResponseCode};
    use proptest::prelude::{any, prop, proptest};

    const SMALLEST: [u8; 8] = [0, 0, 0, 4, 0, 0, 0, 0];

    #[test]
    fn a_frame_is_waited_for_until_its_last_byte() {
        let frame = [&[0, 0, 0, 7, 0, 0, 0, 2][..], b"{}x"].concat();

        for length in 0..frame.len() {
            assert_eq!(split(&frame[..length], SIZE_MAX), Ok(None), "{length}");
        }
        assert_eq!(split(&frame, SIZE_MAX), Ok(Some(11)));
        assert_eq!(split(&[frame, vec![0xff; 9]].concat(), SIZE_MAX), Ok(Some(11)));
    }

    #[test]
    fn a_frame_shorter_than_twelve_bytes_is_not_waited_for() {
        assert_eq!(split(&SMALLEST, SIZE_MAX), Ok(Some(8)));
    }

    #[test]
    fn the_limit_counts_the_length_and_is_known_from_it_alone() {
        assert_eq!(split(&16_777_212_u32.to_be_bytes(), SIZE_MAX), Ok(None));
        let refused = Err(FrameError::TooLarge { size: 16_777_217, limit: SIZE_MAX });
        assert_eq!(split(&16_777_213_u32.to_be_bytes(), SIZE_MAX), refused);
        assert_eq!(
            split(&i32::MAX.to_be_bytes(), SIZE_MAX),
            Err(FrameError::TooLarge { size: 2_147_483_651, limit: SIZE_MAX })
        );
        assert_eq!(split(&SMALLEST, 7), Err(FrameError::TooLarge { size: 8, limit: 7 }));
    }

    #[test]
    fn lengths_below_four_are_refused_at_once() {
        for length in [0, 1, 2, 3, -1, i32::MIN] {
            assert_eq!(split(&length.to_be_bytes(), SIZE_MAX), Err(FrameError::BadLength(length)));
        }
    }

    #[test]
    fn a_header_longer_than_its_frame_is_refused_before_the_frame_is_whole() {
        let frame = [0, 0, 0, 10, 0, 0, 0, 7];
        assert_eq!(split(&frame, SIZE_MAX), Err(FrameError::HeaderTooLong { header: 7, frame: 14 }));
        let frame = [0, 0, 0, 10, 0, 0, 0, 6];
        assert_eq!(split(&frame, SIZE_MAX), Ok(None));
    }

    #[test]
    fn an_unknown_serialize_type_is_refused_before_the_frame_is_whole() {
        assert_eq!(split(&[0, 0, 0, 10, 2, 0, 0, 6], SIZE_MAX), Err(FrameError::SerializeType(2)));
    }

    #[test]
    fn a_body_may_be_appended_in_place() {
        let mut out = BytesMut::from("before");
        let response = Response::new(ResponseCode::SUCCESS, 7);
        let mut writer = response.begin(SerializeType::Json, &mut out).unwrap();
        writer.body().extend_from_slice(b"bo");
        writer.body().extend_from_slice(b"dy");
        let size = writer.finish().unwrap();

        let mut whole = BytesMut::from("before");
        Response { body: b"body", ..response }.encode(SerializeType::Json, &mut whole).unwrap();
        assert_eq!(out, whole);
        assert_eq!(size, out.len() - 6);
        assert_eq!(split(&out[6..], SIZE_MAX), Ok(Some(size)));
    }

    #[test]
    fn an_unfinished_frame_leaves_nothing_behind() {
        let mut out = BytesMut::from("before");
        let response = Response::new(ResponseCode::SUCCESS, 7);
        let mut writer = response.begin(SerializeType::Rocketmq, &mut out).unwrap();
        writer.body().extend_from_slice(b"half a bo");
        drop(writer);

        assert_eq!(out, "before");
    }

    proptest! {
        #[test]
        fn random_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..32), limit in any::<u32>()) {
            if let Ok(Some(size)) = split(&bytes, limit) {
                assert!((8..=bytes.len()).contains(&size) && size <= limit as usize);
            }
            let _ = parts(&bytes);
        }
    }
}
