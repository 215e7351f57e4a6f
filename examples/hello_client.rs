//! Calls the private request code of `examples/hello-processor`, to show what a client of one's own has to do:
//!
//! ```console
//! $ cargo run --release --example hello_client -- 127.0.0.1:9876 Ada
//! hello, Ada (there are 0 topics)
//! ```
//!
//! The same processor in C, JavaScript and Python has a code of its own, which may follow the name: 9011, 9012, 9013.
//!
//! A frame is a length, a header and a body; `fingerpost::remoting` makes it and reads it.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};

use bytes::BytesMut;
use bytestring::ByteString;
use fingerpost::remoting::{Command, Fields, RequestCode, SerializeType};

/// As in the manifest of `hello-processor`.
const HELLO: i32 = 9001;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let server = arguments.next().unwrap_or_else(|| "127.0.0.1:9876".to_owned());
    let name = arguments.next().unwrap_or_else(|| "world".to_owned());
    let code = arguments.next().map_or(Ok(HELLO), |code| code.parse())?;
    println!("{}", greet(server, code, &name)?);
    Ok(())
}

/// Asks a server for a greeting, by this request code.
pub(crate) fn greet(server: impl ToSocketAddrs, code: i32, name: &str) -> Result<String, Box<dyn Error>> {
    // The answer carries the same `opaque`; a client with many questions under way tells them apart by it.
    let mut question = Command::request(RequestCode(code), 1);
    let fields: Fields = [(ByteString::from("name"), ByteString::from(name))].into_iter().collect();
    question.fields = Some(fields);

    let mut stream = TcpStream::connect(server)?;
    let answer = exchange(&mut stream, &question)?;

    // Code 0 is success; with any other, the remark says why.
    if answer.code != 0 {
        return Err(format!("code {}: {}", answer.code, answer.remark.as_deref().unwrap_or_default()).into());
    }
    let greeting = answer.field("greeting").ok_or("an answer without a greeting")?;
    let topics = std::str::from_utf8(&answer.body)?;
    Ok(format!("{greeting} (there are {topics} topics)"))
}

/// Sends one request and waits for one response.
fn exchange(stream: &mut TcpStream, question: &Command) -> Result<Command, Box<dyn Error>> {
    let mut frame = BytesMut::new();
    question.encode(SerializeType::Json, &mut frame)?;
    stream.write_all(&frame)?;

    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let size = 4 + u32::from_be_bytes(length) as usize;
    let mut frame = BytesMut::zeroed(size);
    frame[..4].copy_from_slice(&length);
    stream.read_exact(&mut frame[4..])?;
    Ok(Command::decode(frame.freeze())?)
}
