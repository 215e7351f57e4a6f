//! The floor: what any server must spend that reads frames from sockets and writes answers of this size.
//!
//! One thread, tokio's event loop, a task for each connection. It splits frames by their length, copies one answer that was
//! made at the start, patches the request's opaque into it, and writes all answers of a read at once. It decodes no header,
//! looks nothing up, and bounds nothing.

use std::io;
use std::process::ExitCode;
use std::rc::Rc;

use bytes::BytesMut;
use fingerpost::remoting::{Response, ResponseCode, SerializeType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};

use crate::common::cluster;
use crate::load::find_opaque;

/// What makes this program the floor.
pub(crate) const ARGUMENT: &str = "--serve-floor";

/// As long as every opaque of the load, in decimal.
const OPAQUE: i32 = 1_000_000_000;

pub(crate) fn serve() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("an event loop starts");
    let outcome = LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        println!("boot success {}", listener.local_addr()?);
        let answer = Rc::new(Answer::new());
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            spawn_local(connection(stream, Rc::clone(&answer)));
        }
    });
    let Err::<(), io::Error>(error) = outcome else { return ExitCode::SUCCESS };
    eprintln!("{error}");
    ExitCode::FAILURE
}

struct Answer {
    frame: Vec<u8>,
    /// Where the opaque stands, as ten digits.
    opaque: usize,
}

impl Answer {
    fn new() -> Self {
        let body = cluster::route_body();
        let response = Response { body: &body, ..Response::new(ResponseCode::SUCCESS, OPAQUE) };
        let mut frame = BytesMut::new();
        response.encode(SerializeType::Json, &mut frame).expect("an answer fits its frame");
        let opaque = find_opaque(&frame).expect("an answer has an opaque");
        Self { frame: frame.to_vec(), opaque }
    }
}

async fn connection(mut stream: TcpStream, answer: Rc<Answer>) {
    let (mut input, mut output) = (BytesMut::with_capacity(64 * 1024), Vec::new());
    while matches!(stream.read_buf(&mut input).await, Ok(1..)) {
        output.clear();
        while let Some(length) = input.first_chunk().map(|length| 4 + u32::from_be_bytes(*length) as usize)
            && input.len() >= length
        {
            let request = input.split_to(length);
            let start = output.len();
            output.extend_from_slice(&answer.frame);
            if let Some(opaque) = find_opaque(&request) {
                let place = start + answer.opaque;
                output[place..place + 10].copy_from_slice(&request[opaque..opaque + 10]);
            }
        }
        input.reserve(64 * 1024);
        if stream.write_all(&output).await.is_err() {
            return;
        }
    }
}
