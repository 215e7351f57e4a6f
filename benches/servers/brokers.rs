//! The brokers that a server is told of, each with a connection of its own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::common::cluster::{self, CLUSTER, Cluster, FIRST_VERSION, QUEUES, Registration, Sender};
use crate::load::wire::Answer;

const QUERY_DATA_VERSION: i32 = 322;
pub(crate) const BROKER_HEARTBEAT: i32 = 904;

/// A connection that waits for each answer.
pub(crate) struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).expect("the server accepts"))
    }

    pub(crate) fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("a socket can be set so");
        Self { stream, answer: Vec::new() }
    }

    pub(crate) fn send(&mut self, request: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(request)
    }

    /// The next answer as it came: a whole frame.
    pub(crate) fn receive(&mut self) -> std::io::Result<Answer<'_>> {
        self.answer.resize(4, 0);
        self.stream.read_exact(&mut self.answer)?;
        let length = self.answer.first_chunk().map_or(0, |length| u32::from_be_bytes(*length));
        self.answer.resize(4 + length as usize, 0);
        self.stream.read_exact(&mut self.answer[4..])?;
        Ok(Answer::read(&self.answer, &mut 0).expect("an answer has a header"))
    }

    /// Asks, and demands success.
    #[track_caller]
    pub(crate) fn ask(&mut self, request: &[u8]) -> Answer<'_> {
        self.send(request).expect("the server reads");
        let answer = self.receive().expect("an answer");
        assert_eq!(answer.code, 0, "refused: {}", String::from_utf8_lossy(answer.header));
        answer
    }
}

/// One broker. When it is dropped, the server forgets it.
pub(crate) struct Broker {
    number: usize,
    /// Shared with the thread that lets it be heard of.
    connection: Arc<Mutex<Connection>>,
}

impl Broker {
    pub(crate) fn connect(address: SocketAddr, number: usize) -> Self {
        Self { number, connection: Arc::new(Mutex::new(Connection::open(address))) }
    }

    /// Sends the frame of a registration.
    pub(crate) fn register(&self, frame: &[u8]) {
        self.connection().ask(frame);
    }

    /// Fails unless the server has this data version of it.
    pub(crate) fn assert_known(&self, version: u64) {
        let query = broker_request(QUERY_DATA_VERSION, self.number, 1);
        let query = cluster::with_body(&query, cluster::data_version(version).to_string().as_bytes());
        let mut connection = self.connection();
        let header = String::from_utf8_lossy(connection.ask(&query).header);
        assert!(header.contains("\"changed\":\"false\""), "not the last registration: {header}");
    }

    fn beat(&self) {
        self.connection().ask(&broker_request(BROKER_HEARTBEAT, self.number, 1));
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request of a broker about itself.
pub(crate) fn broker_request(code: i32, broker: usize, opaque: i32) -> bytes::Bytes {
    let (name, address) = (cluster::broker_name(broker), cluster::broker_address(broker));
    let fields = [("brokerName", name.as_str()), ("brokerAddr", &address), ("clusterName", CLUSTER), ("brokerId", "0")];
    Sender::NEW.request(code, &fields, opaque)
}

/// Lets brokers be heard of now and then, so that servers neither forget them nor close their connections while others
/// have their turns. Ends when it is dropped.
pub(crate) struct KeepAlive {
    /// None once it shall end.
    going_on: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl KeepAlive {
    const EACH: Duration = Duration::from_secs(30);

    pub(crate) fn of<'a>(brokers: impl Iterator<Item = &'a Broker>) -> Self {
        let same = |broker: &Broker| Broker { number: broker.number, connection: Arc::clone(&broker.connection) };
        let brokers: Vec<_> = brokers.map(same).collect();
        let (going_on, until) = mpsc::channel();
        let thread = thread::spawn(move || {
            while until.recv_timeout(Self::EACH) == Err(RecvTimeoutError::Timeout) {
                brokers.iter().for_each(Broker::beat);
            }
        });
        Self { going_on: Some(going_on), thread: Some(thread) }
    }
}

impl Drop for KeepAlive {
    fn drop(&mut self) {
        self.going_on = None;
        let ended = self.thread.take().map(JoinHandle::join);
        // A second panic would hide the first.
        assert!(matches!(ended, Some(Ok(()))) || thread::panicking(), "a broker was forgotten");
    }
}

/// All brokers of a cluster, registered. When they are dropped, the server forgets them.
pub(crate) struct Brokers {
    _keep_alive: KeepAlive,
}

impl Brokers {
    pub(crate) fn register(address: SocketAddr, cluster: &Cluster) -> Self {
        let register = |number| {
            let broker = Broker::connect(address, number);
            broker.register(&Registration::new(cluster, number, QUEUES).frame(FIRST_VERSION));
            broker
        };
        let brokers: Vec<_> = (0..cluster.brokers).map(register).collect();
        Self { _keep_alive: KeepAlive::of(brokers.iter()) }
    }
}
