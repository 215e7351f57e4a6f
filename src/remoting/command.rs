//! One request or response. Java: `RemotingCommand`.

use bytes::{Buf, Bytes, BytesMut};
use bytestring::ByteString;

use super::code::{LanguageCode, RequestCode, ResponseCode, VERSION};
use super::error::{EncodeError, FrameError};
use super::fields::Fields;
use super::frame::{self, FrameWriter, SerializeType};
use super::header::{self, Header};

/// The bit of [`Command::flag`] that makes it a response.
pub const FLAG_RESPONSE: i32 = 1;

/// The bit of [`Command::flag`] that forbids an answer.
pub const FLAG_ONEWAY: i32 = 2;

/// What one frame says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Command {
    /// A request code or a response code, as [`is_response`](Self::is_response) says.
    pub code: i32,
    /// What the sender is written in.
    pub language: LanguageCode,
    /// The sender's version, as Java counts them.
    pub version: i32,
    /// Which request a response answers; the sender of the request chooses it.
    pub opaque: i32,
    /// [`FLAG_RESPONSE`], [`FLAG_ONEWAY`], and bits that mean nothing.
    pub flag: i32,
    /// A sentence for people.
    pub remark: Option<ByteString>,
    /// None is not the same as empty: Java tells them apart when it answers.
    pub fields: Option<Fields>,
    /// Empty is none.
    pub body: Bytes,
}

impl Command {
    /// A request as Java would send it.
    pub fn request(code: RequestCode, opaque: i32) -> Self {
        Self { code: code.0, opaque, version: VERSION, ..Self::default() }
    }

    /// Reads `frame`, which is one whole frame as [`frame::split`] found it.
    pub fn decode(mut frame: Bytes) -> Result<Self, FrameError> {
        let (kind, header) = frame::parts(&frame)?;
        let body = frame.split_off(header.end);
        frame.advance(header.start);
        let command = header::decode(kind, frame);
        command.map(|command| Self { body, ..command }).map_err(|source| FrameError::Header { kind, source })
    }

    /// Appends this command as one frame; everything goes as it is, whatever the flag.
    ///
    /// The binary header has no room for the upper halves of `code` and `version`, nor for an empty string: it loses
    /// them.
    pub fn encode(&self, kind: SerializeType, out: &mut BytesMut) -> Result<usize, EncodeError> {
        let header = Header {
            code: self.code,
            language: self.language,
            version: self.version,
            opaque: self.opaque,
            flag: self.flag,
            remark: self.remark.as_deref(),
            fields: self.fields.as_ref(),
        };
        let mut writer = FrameWriter::begin(&header, kind, out)?;
        writer.body().extend_from_slice(&self.body);
        writer.finish()
    }

    /// What a request asks for.
    pub fn request_code(&self) -> RequestCode {
        RequestCode(self.code)
    }

    /// How it went, in a response.
    pub fn response_code(&self) -> ResponseCode {
        ResponseCode(self.code)
    }

    /// Whether it answers a request, and must not be answered itself.
    pub fn is_response(&self) -> bool {
        self.flag & FLAG_RESPONSE != 0
    }

    /// Whether the sender wants no answer, not even of failure.
    pub fn is_oneway(&self) -> bool {
        self.flag & FLAG_ONEWAY != 0
    }

    /// The value of a field, if there are fields and it is among them.
    pub fn field(&self, name: &str) -> Option<&ByteString> {
        self.fields.as_ref()?.get(name)
    }
}

impl Default for Command {
    /// What a header that says nothing means.
    fn default() -> Self {
        Self {
            code: 0,
            language: LanguageCode::JAVA,
            version: 0,
            // Java answers a request without one from a counter of its own, which no sender could match.
            opaque: 0,
            flag: 0,
            remark: None,
            fields: None,
            body: Bytes::new(),
        }
    }
}

/// An answer of this server.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    /// How it went.
    pub code: ResponseCode,
    /// That of the request.
    pub opaque: i32,
    /// None leaves the remark out, which is not the same as an empty one.
    pub remark: Option<&'a str>,
    /// None leaves the fields out, which is not the same as having none.
    pub fields: Option<&'a Fields>,
    /// Empty is none.
    pub body: &'a [u8],
}

impl<'a> Response<'a> {
    /// An answer that says nothing but its code.
    pub fn new(code: ResponseCode, opaque: i32) -> Self {
        Self { code, opaque, remark: None, fields: None, body: &[] }
    }

    /// Appends this answer as one frame, and says how long that is.
    pub fn encode(&self, kind: SerializeType, out: &mut BytesMut) -> Result<usize, EncodeError> {
        self.begin(kind, out)?.finish()
    }

    /// Appends this answer as a frame whose body may still grow.
    pub fn begin<'out>(&self, kind: SerializeType, out: &'out mut BytesMut) -> Result<FrameWriter<'out>, EncodeError> {
        // Java: RemotingCommand.createResponseCommand, and the request's flag is not echoed.
        let header = Header {
            code: self.code.0,
            language: LanguageCode::JAVA,
            version: VERSION,
            opaque: self.opaque,
            flag: FLAG_RESPONSE,
            remark: self.remark,
            fields: self.fields,
        };
        let mut writer = FrameWriter::begin(&header, kind, out)?;
        writer.body().extend_from_slice(self.body);
        Ok(writer)
    }
}
