//! Follows the route of a topic with `examples/route-watch`: one question is always under way, and is answered when there
//! is something new.
//!
//! ```console
//! $ cargo run --release --example route_watch_client -- 127.0.0.1:9876 MyTopic
//! version 12: {"brokerDatas":[…
//! version 15: nothing
//! ```

use std::error::Error;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};

use bytes::BytesMut;
use bytestring::ByteString;
use fingerpost::remoting::{Command, Fields, RequestCode, SerializeType};

/// As in the manifest of `route-watch`.
const WATCH_ROUTE: RequestCode = RequestCode(9003);
/// What is answered while a topic has no route.
const TOPIC_NOT_EXIST: i32 = 17;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let server = arguments.next().unwrap_or_else(|| "127.0.0.1:9876".to_owned());
    let topic = arguments.next().ok_or("which topic?")?;
    let mut watch = RouteWatch::connect(server, &topic)?;
    loop {
        if let Some(route) = watch.next()? {
            println!("version {}: {}", watch.seen(), route.as_deref().unwrap_or("nothing"));
        }
    }
}

/// One topic, followed over one connection.
pub(crate) struct RouteWatch {
    stream: TcpStream,
    topic: String,
    /// Versions are of one run of a server, so a new connection has seen none.
    seen: Option<String>,
    timeout_ms: u32,
    opaque: i32,
}

impl RouteWatch {
    /// Connects, and asks nothing yet.
    pub(crate) fn connect(server: impl ToSocketAddrs, topic: &str) -> Result<Self, Box<dyn Error>> {
        let stream = TcpStream::connect(server)?;
        Ok(Self { stream, topic: topic.to_owned(), seen: None, timeout_ms: 30_000, opaque: 0 })
    }

    /// The version of the last answer.
    pub(crate) fn seen(&self) -> &str {
        self.seen.as_deref().unwrap_or("unknown")
    }

    /// Waits for news: the first answer comes at once, each further one when the route has changed. None when nothing
    /// has for a while; the inner one is a topic without a route.
    pub(crate) fn next(&mut self) -> Result<Option<Option<String>>, Box<dyn Error>> {
        self.ask()?;
        let answer = self.receive()?;
        let is_there = match answer.code {
            0 => true,
            TOPIC_NOT_EXIST => false,
            code => return Err(format!("code {code}: {}", answer.remark.as_deref().unwrap_or_default()).into()),
        };
        let version = answer.field("version").ok_or("an answer without a version")?;
        self.seen = Some(version.to_string());
        if answer.field("changed").is_some_and(|changed| changed == "false") {
            return Ok(None);
        }
        let route = is_there.then(|| String::from_utf8(answer.body.to_vec()));
        Ok(Some(route.transpose()?))
    }

    fn ask(&mut self) -> Result<(), Box<dyn Error>> {
        self.opaque += 1;
        let mut question = Command::request(WATCH_ROUTE, self.opaque);
        let timeout = self.timeout_ms.to_string();
        let fields = [("topic", Some(&self.topic)), ("seen", self.seen.as_ref()), ("timeoutMs", Some(&timeout))];
        let there = fields.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let fields: Fields = there.map(|(name, value)| (ByteString::from(name), ByteString::from(&**value))).collect();
        question.fields = Some(fields);
        let mut frame = BytesMut::new();
        question.encode(SerializeType::Json, &mut frame)?;
        Ok(self.stream.write_all(&frame)?)
    }

    fn receive(&mut self) -> Result<Command, Box<dyn Error>> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let size = 4 + u32::from_be_bytes(length) as usize;
        let mut frame = BytesMut::zeroed(size);
        frame[..4].copy_from_slice(&length);
        self.stream.read_exact(&mut frame[4..])?;
        Ok(Command::decode(frame.freeze())?)
    }
}
