//! The floor: what any server must spend that reads frames from sockets and writes answers of this size.
//!
//! One thread, tokio's event loop, a task for each connection. It splits frames by their length, copies one answer that
//! was made at the start, patches the request's opaque into it, and writes all answers of a read at once. It decodes no
//! header, looks nothing up, and bounds nothing.

use std::io;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::rc::Rc;

use bytes::BytesMut;
use fingerpost::remoting::{Response, ResponseCode, SerializeType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::{LocalSet, spawn_local};

use crate::common::cluster::Cluster;
use crate::load::wire::{OPAQUE_DIGITS, OPAQUE_MIN, OpaquePlace, write_decimal};

/// What makes this program the floor. What the floor answers with comes after it.
pub(crate) const ARGUMENT: &str = "--serve-floor";

/// As the name servers have it. What tokio takes by itself is too short for a storm: some would wait for a second.
const BACKLOG: u32 = 1024;

/// What the floor answers everything with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Canned {
    /// The route of a topic of this cluster.
    Route(Cluster),
    /// No body.
    Nothing,
}

impl Canned {
    /// As an argument of the program.
    pub(super) fn argument(self) -> String {
        match self {
            Self::Route(Cluster { brokers, topics, shared }) => format!("{brokers},{topics},{shared}"),
            Self::Nothing => "nothing".to_owned(),
        }
    }

    fn from_argument(argument: &str) -> Option<Self> {
        if argument == "nothing" {
            return Some(Self::Nothing);
        }
        let mut parts = argument.split(',');
        let (brokers, topics) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Self::Route(Cluster { brokers, topics, shared: parts.next()?.parse().ok()? }))
    }

    pub(crate) fn body(self) -> Vec<u8> {
        match self {
            Self::Route(cluster) => cluster.route_body(0),
            Self::Nothing => Vec::new(),
        }
    }
}

pub(crate) fn serve(canned: &str) -> ExitCode {
    let canned = Canned::from_argument(canned).expect("the floor is started by this benchmark");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("an event loop starts");
    let outcome = LocalSet::new().block_on(&runtime, async {
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let listener = socket.listen(BACKLOG)?;
        println!("boot success {}", listener.local_addr()?);
        let answer = Rc::new(Answer::new(&canned.body()));
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
    fn new(body: &[u8]) -> Self {
        let response = Response { body, ..Response::new(ResponseCode::SUCCESS, OPAQUE_MIN as i32) };
        let mut frame = BytesMut::new();
        response.encode(SerializeType::Json, &mut frame).expect("an answer fits its frame");
        let opaque = OpaquePlace::find(&frame, 0).expect("an answer has an opaque").start();
        Self { frame: frame.to_vec(), opaque }
    }
}

async fn connection(mut stream: TcpStream, answer: Rc<Answer>) {
    let mut input = vec![0; 64 * 1024];
    let (mut filled, mut output, mut hint) = (0, Vec::new(), 0);
    while let Ok(read @ 1..) = stream.read(&mut input[filled..]).await {
        filled += read;
        output.clear();
        let mut start = 0;
        while let Some(length) = input[start..filled].first_chunk() {
            let end = start + 4 + u32::from_be_bytes(*length) as usize;
            if end > filled {
                // Whatever comes has room, be it a whole registration.
                input.resize(input.len().max(end - start), 0);
                break;
            }
            let request = &input[start..end];
            let answered = output.len() + answer.opaque;
            output.extend_from_slice(&answer.frame);
            if let Some(place) = OpaquePlace::find(request, hint) {
                hint = place.start();
                write_decimal(&mut output[answered..answered + OPAQUE_DIGITS], place.read(request));
            }
            start = end;
        }
        input.copy_within(start..filled, 0);
        filled -= start;
        if stream.write_all(&output).await.is_err() {
            return;
        }
    }
}
