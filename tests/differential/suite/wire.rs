//! Connections to one server, and what comes back over them.

use std::collections::HashMap;
use std::io::{BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::request::Wire;

/// What comes back is here well before this; what is not is a silence.
const PATIENCE: Duration = Duration::from_secs(10);

/// No answer is larger.
const FRAME_MAX: usize = 64 << 20;

/// What came of a request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    Frame(Frame),
    /// The server closed the connection.
    Closed,
    /// Nothing came.
    Silence,
}

/// An answer, taken apart but not understood.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Frame {
    /// 0 is JSON, 1 is binary.
    pub(crate) form: u8,
    pub(crate) header: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

impl Frame {
    /// The opaque, found without understanding the rest.
    pub(crate) fn opaque(&self) -> Option<i32> {
        if self.form != 0 {
            return Some(i32::from_be_bytes(self.header.get(5..9)?.try_into().ok()?));
        }
        const NAME: &[u8] = b"\"opaque\":";
        // From the end: whatever a remark or a field says comes before it, or is escaped.
        let at = self.header.windows(NAME.len()).rposition(|window| window == NAME)? + NAME.len();
        let digits = self.header[at..].iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'-').count();
        std::str::from_utf8(&self.header[at..at + digits]).ok()?.parse().ok()
    }
}

/// The client's connections to one server, each opened when it is first used.
pub(crate) struct Wires {
    address: SocketAddr,
    open: HashMap<Wire, BufReader<TcpStream>>,
}

impl Wires {
    pub(crate) fn to(address: SocketAddr) -> Self {
        Self { address, open: HashMap::new() }
    }

    /// The client's port of a connection; 0 when it is not open.
    pub(crate) fn port(&self, wire: Wire) -> u16 {
        let address = self.open.get(&wire).and_then(|stream| stream.get_ref().local_addr().ok());
        address.map_or(0, |address| address.port())
    }

    /// The connections that are open, as far as this end knows.
    pub(crate) fn all(&self) -> Vec<Wire> {
        let mut all: Vec<Wire> = self.open.keys().copied().collect();
        all.sort_unstable();
        all
    }

    /// Writes; a server that has closed the connection is found out when its answers are read.
    pub(crate) fn send(&mut self, wire: Wire, bytes: &[u8]) {
        let address = self.address;
        let stream = self.open.entry(wire).or_insert_with(|| connect(address));
        let _ = stream.get_mut().write_all(bytes);
    }

    /// The next frame. After anything else the connection is gone.
    pub(crate) fn receive(&mut self, wire: Wire) -> Answer {
        let Some(stream) = self.open.get_mut(&wire) else { return Answer::Closed };
        let answer = match read_frame(stream) {
            Ok(frame) => return Answer::Frame(frame),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Answer::Silence,
            Err(_) => Answer::Closed,
        };
        self.open.remove(&wire);
        answer
    }

    pub(crate) fn close(&mut self, wire: Wire) {
        self.open.remove(&wire);
    }
}

fn connect(address: SocketAddr) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(address).expect("the server accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    stream.set_nodelay(true).expect("nodelay can be set");
    BufReader::with_capacity(64 << 10, stream)
}

fn read_frame(stream: &mut impl Read) -> std::io::Result<Frame> {
    let mut lengths = [0; 8];
    stream.read_exact(&mut lengths)?;
    let [a, b, c, d, form, e, f, g] = lengths;
    let rest = (u32::from_be_bytes([a, b, c, d]) as usize).checked_sub(4);
    let header = u32::from_be_bytes([0, e, f, g]) as usize;
    let Some(body) = rest.filter(|rest| *rest <= FRAME_MAX).and_then(|rest| rest.checked_sub(header)) else {
        return Err(ErrorKind::InvalidData.into());
    };
    let mut frame = Frame { form, header: vec![0; header], body: vec![0; body] };
    stream.read_exact(&mut frame.header)?;
    stream.read_exact(&mut frame.body)?;
    Ok(frame)
}
