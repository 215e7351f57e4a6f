//! What is sent: requests in every form that a client may give them, and what happens between them.
//!
//! Everything here is plain data, so that a sequence that fails can be made smaller, printed, and sent again.

use std::io::Write as _;

use bytestring::ByteString;
use fingerpost::remoting::{Command, LanguageCode, RequestCode, SerializeType};

/// One run of both servers, from their start.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sequence {
    /// Properties that both servers start with.
    pub(crate) settings: Vec<(String, String)>,
    /// Whether the servers answer in the binary form.
    pub(crate) binary_replies: bool,
    pub(crate) steps: Vec<Step>,
}

/// What is done to both servers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// Requests in a row over one connection, and then all their replies.
    Ask { wire: Wire, requests: Vec<Request> },
    /// Bytes that are no request; the connection is not used again.
    Spoil { wire: Wire, bytes: Vec<u8> },
    /// The client closes a connection.
    Close { wire: Wire },
    /// Time passes.
    Age { millis: u64 },
    /// The servers look for silent brokers.
    Scan,
}

/// Which of the client's connections.
pub(crate) type Wire = u8;

/// The version of brokers from which the body of a registration is more than a topic table.
pub(crate) const REGISTER_BODY_SINCE: i32 = 37;

/// One request in the making.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    pub(crate) code: i32,
    pub(crate) version: i32,
    pub(crate) flag: i32,
    pub(crate) form: Form,
    /// None leaves `extFields` out.
    pub(crate) fields: Option<Vec<Field>>,
    /// Members of a JSON header as they are to be written: in place of the usual ones, or beside them.
    pub(crate) members: Vec<(String, String)>,
    pub(crate) sum: Sum,
    pub(crate) body: Body,
    /// The whole frame, whatever the rest says.
    pub(crate) verbatim: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Form {
    Json,
    Binary,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) value: String,
    /// The value is JSON already: a number, an object, or worse.
    pub(crate) raw: bool,
}

/// What `bodyCrc32` says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Sum {
    Absent,
    Right,
    Wrong,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Body {
    None,
    Text(Vec<u8>),
    Registration(Registration),
}

/// What a broker publishes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Registration {
    pub(crate) encoding: Encoding,
    pub(crate) version: Option<Version>,
    pub(crate) topics: Vec<Topic>,
    pub(crate) filter_servers: Option<Vec<String>>,
    pub(crate) mappings: Vec<Mapping>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Encoding {
    #[default]
    Json,
    /// The topic table alone, as brokers before version 37 send it.
    Legacy,
    Compressed {
        mappings: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Version {
    pub(crate) counter: i64,
    pub(crate) state: i64,
    pub(crate) timestamp: i64,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Topic {
    pub(crate) key: String,
    pub(crate) name: Option<String>,
    pub(crate) read: Option<i32>,
    pub(crate) write: Option<i32>,
    pub(crate) perm: Option<i32>,
    pub(crate) sys_flag: Option<i32>,
    /// More members of the object, as they are to be written.
    pub(crate) more: String,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mapping {
    pub(crate) topic: String,
    pub(crate) broker_name: Option<String>,
    pub(crate) ids: Vec<(i32, i32)>,
    pub(crate) epoch: i64,
    pub(crate) total: i32,
    pub(crate) quoted: bool,
}

/// The bit of the flag that forbids an answer.
const ONEWAY: i32 = 2;

/// The bit of the flag that makes a response of it, which is not answered either.
const RESPONSE: i32 = 1;

impl Request {
    pub(crate) fn new(code: i32) -> Self {
        Self {
            code,
            version: 513,
            flag: 0,
            form: Form::Json,
            fields: None,
            members: Vec::new(),
            sum: Sum::Absent,
            body: Body::None,
            verbatim: None,
        }
    }

    pub(crate) fn field(mut self, name: &str, value: impl ToString) -> Self {
        let field = Field { name: name.to_owned(), value: value.to_string(), raw: false };
        self.fields.get_or_insert_default().push(field);
        self
    }

    pub(crate) fn body(self, body: Body) -> Self {
        Self { body, ..self }
    }

    /// The value of a field as it was sent.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let fields = self.fields.as_deref().unwrap_or_default();
        fields.iter().rev().find(|field| field.name == name).map(|field| field.value.as_str())
    }

    /// What it is, for counting.
    pub(crate) fn kind(&self) -> String {
        match self.code {
            100..=106 | 205 | 206 | 216 | 217 | 219 | 224 | 304 | 311..=313 | 318 | 319 | 322 | 327 | 901 | 904 => {
                self.code.to_string()
            }
            _ => "unknown code".to_owned(),
        }
    }

    pub(crate) fn is_answered(&self) -> bool {
        self.flag & (ONEWAY | RESPONSE) == 0
    }

    /// The bytes on the wire.
    pub(crate) fn frame(&self, opaque: i32) -> Vec<u8> {
        if let Some(frame) = &self.verbatim {
            return frame.clone();
        }
        let body = self.body.bytes();
        let mut fields = self.fields.clone();
        if let Some(sum) = self.sum.of(&body) {
            let field = Field { name: "bodyCrc32".to_owned(), value: sum.to_string(), raw: false };
            fields.get_or_insert_default().push(field);
        }
        match self.form {
            Form::Json => {
                let header = self.json_header(fields.as_deref(), opaque).into_bytes();
                let mut frame = Vec::new();
                put_size(&mut frame, 4 + header.len() + body.len());
                put_size(&mut frame, header.len());
                frame.extend_from_slice(&header);
                frame.extend_from_slice(&body);
                frame
            }
            Form::Binary => self.binary(fields, opaque, body),
        }
    }

    fn json_header(&self, fields: Option<&[Field]>, opaque: i32) -> String {
        let mut members = vec![("code".to_owned(), self.code.to_string())];
        if let Some(fields) = fields {
            let fields = fields.iter().map(|field| {
                let value = if field.raw { field.value.clone() } else { quoted(&field.value) };
                format!("{}:{value}", quoted(&field.name))
            });
            members.push(("extFields".to_owned(), format!("{{{}}}", fields.collect::<Vec<_>>().join(","))));
        }
        members.push(("flag".to_owned(), self.flag.to_string()));
        members.push(("language".to_owned(), quoted("JAVA")));
        members.push(("opaque".to_owned(), opaque.to_string()));
        members.push(("serializeTypeCurrentRPC".to_owned(), quoted("JSON")));
        members.push(("version".to_owned(), self.version.to_string()));
        for (name, value) in &self.members {
            match members.iter_mut().find(|(known, _)| known == name) {
                Some(member) => member.1 = value.clone(),
                None => members.push((name.clone(), value.clone())),
            }
        }
        let members = members.iter().map(|(name, value)| format!("{}:{value}", quoted(name)));
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    }

    fn binary(&self, fields: Option<Vec<Field>>, opaque: i32, body: Vec<u8>) -> Vec<u8> {
        let pair = |field: Field| (ByteString::from(field.name), ByteString::from(field.value));
        let fields = fields.map(|fields| fields.into_iter().map(pair));
        let command = Command {
            version: self.version,
            flag: self.flag,
            language: LanguageCode::JAVA,
            fields: fields.map(Iterator::collect),
            body: body.into(),
            ..Command::request(RequestCode(self.code), opaque)
        };
        let mut frame = bytes::BytesMut::new();
        command.encode(SerializeType::Rocketmq, &mut frame).expect("a request that fits its frame");
        frame.to_vec()
    }
}

impl Sum {
    fn of(self, body: &[u8]) -> Option<i64> {
        let right = i64::from(crc32fast::hash(body) & 0x7fff_ffff);
        match self {
            Self::Absent => None,
            Self::Right => Some(right),
            Self::Wrong => Some(right ^ 1),
        }
    }
}

impl Body {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::None => Vec::new(),
            Self::Text(text) => text.clone(),
            Self::Registration(registration) => registration.bytes(),
        }
    }
}

impl Registration {
    fn bytes(&self) -> Vec<u8> {
        match self.encoding {
            Encoding::Json => self.json().into_bytes(),
            Encoding::Legacy => format!("{{{}}}", self.table()).into_bytes(),
            Encoding::Compressed { mappings } => self.compressed(mappings),
        }
    }

    fn json(&self) -> String {
        let mut wrapper = self.table();
        if !self.mappings.is_empty() {
            let mappings = self.mappings.iter().map(|mapping| format!("{}:{}", quoted(&mapping.topic), mapping.json()));
            wrapper += &format!(",\"topicQueueMappingInfoMap\":{{{}}}", mappings.collect::<Vec<_>>().join(","));
        }
        let filters = self.filter_servers.as_ref().map(|servers| format!("\"filterServerList\":{},", list(servers)));
        format!("{{{}\"topicConfigSerializeWrapper\":{{{wrapper}}}}}", filters.unwrap_or_default())
    }

    /// The members that all forms of a topic table share.
    fn table(&self) -> String {
        let version = self.version.map(|version| format!("\"dataVersion\":{},", version.json())).unwrap_or_default();
        let topics = self.topics.iter().map(|topic| format!("{}:{}", quoted(&topic.key), topic.json()));
        format!("{version}\"topicConfigTable\":{{{}}}", topics.collect::<Vec<_>>().join(","))
    }

    fn compressed(&self, mappings: bool) -> Vec<u8> {
        let mut plain = Vec::new();
        put_text(&mut plain, &self.version.map_or_else(|| "{}".to_owned(), Version::json));
        put_size(&mut plain, self.topics.len());
        for topic in &self.topics {
            put_text(&mut plain, &topic.line());
        }
        put_text(&mut plain, &list(self.filter_servers.as_deref().unwrap_or_default()));
        if mappings {
            put_size(&mut plain, self.mappings.len());
            for mapping in &self.mappings {
                put_text(&mut plain, &mapping.json());
            }
        }
        let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        packed.write_all(&plain).expect("memory takes all that is written to it");
        packed.finish().expect("memory takes all that is written to it")
    }
}

impl Version {
    pub(crate) fn json(self) -> String {
        let Self { counter, state, timestamp } = self;
        format!("{{\"counter\":{counter},\"stateVersion\":{state},\"timestamp\":{timestamp}}}")
    }
}

impl Topic {
    fn json(&self) -> String {
        let number = |name: &str, value: Option<i32>| value.map(|value| format!("\"{name}\":{value}"));
        let members = [
            number("perm", self.perm),
            number("readQueueNums", self.read),
            self.name.as_ref().map(|name| format!("\"topicName\":{}", quoted(name))),
            number("topicSysFlag", self.sys_flag),
            number("writeQueueNums", self.write),
            Some(self.more.clone()).filter(|more| !more.is_empty()),
        ];
        format!("{{{}}}", members.into_iter().flatten().collect::<Vec<_>>().join(","))
    }

    fn line(&self) -> String {
        let name = self.name.as_deref().unwrap_or_default();
        let (read, write) = (self.read.unwrap_or(16), self.write.unwrap_or(16));
        let attributes = if self.more.is_empty() { "" } else { " {\"+k\":\"v\"}" };
        format!("{name} {read} {write} {} SINGLE_TAG{attributes}", self.perm.unwrap_or(6))
    }
}

impl Mapping {
    fn json(&self) -> String {
        let quote = if self.quoted { "\"" } else { "" };
        let ids = self.ids.iter().map(|(logic, physic)| format!("{quote}{logic}{quote}:{physic}"));
        let broker_name = self.broker_name.as_ref().map(|name| format!("\"bname\":{},", quoted(name)));
        format!(
            "{{{}\"currIdMap\":{{{}}},\"dirty\":false,\"epoch\":{},\"scope\":\"__global__\",\"topic\":{},\"totalQueues\":{}}}",
            broker_name.unwrap_or_default(),
            ids.collect::<Vec<_>>().join(","),
            self.epoch,
            quoted(&self.topic),
            self.total
        )
    }
}

fn list(items: &[String]) -> String {
    format!("[{}]", items.iter().map(|item| quoted(item)).collect::<Vec<_>>().join(","))
}

/// A JSON string.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn put_size(out: &mut Vec<u8>, size: usize) {
    out.extend_from_slice(&u32::try_from(size).expect("a small number").to_be_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_size(out, text.len());
    out.extend_from_slice(text.as_bytes());
}
