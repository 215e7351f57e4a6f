//! The thread that carries messages to brokers.
//!
//! A broker has a queue while something waits for it, and a task that connects, sends what is there, and closes. The
//! next message connects again: they are rare, and a connection that is kept may be dead without anybody knowing.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinSet, LocalSet};

use crate::net::{LogLimit, tls};
use crate::route::Name;

/// Messages that wait for the thread; one more is dropped.
const INBOX_MAX: usize = 1024;

/// Messages that wait for one broker; one more takes the place of the oldest, because the newest says what is.
const QUEUE_MAX: usize = 16;

/// Brokers for whom something waits; to one more nothing is sent.
const BROKERS_MAX: usize = 4096;

/// Connections under way at the same time. A broker whose machine is gone holds one for [`CONNECT_TIMEOUT`].
const CONNECTIONS_MAX: usize = 256;

/// Groups whose newest message is remembered. Forgetting them all risks no more than one message in the wrong order.
const GROUPS_MAX: usize = 4096;

/// Java: `NettyClientConfig.connectTimeoutMillis`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Java: `RouteInfoManager.notifyMinBrokerIdChanged`.
const SEND_TIMEOUT: Duration = Duration::from_millis(300);

/// Lines about brokers that were not reached in a second.
const LINES_MAX: u32 = 10;

/// One message to the members of one group.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) group: Name,
    /// That of the group, which grows with every change.
    pub(super) version: u64,
    pub(super) to: Vec<Name>,
    pub(super) frame: Bytes,
}

/// The way to the thread. Dropped, it closes.
pub(super) struct Courier {
    thread: Mutex<Option<Thread>>,
    dropped: LogLimit,
}

struct Thread {
    inbox: mpsc::Sender<Letter>,
    handle: JoinHandle<()>,
}

impl Courier {
    /// With `tls`, that is spoken to every broker.
    pub(super) fn start(tls: Option<tls::Client>) -> io::Result<Self> {
        let (inbox, letters) = mpsc::channel(INBOX_MAX);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let run = move || {
            LocalSet::new().block_on(&runtime, carry(letters, tls));
            // Looking up a name cannot be interrupted, and nobody waits for what it finds.
            runtime.shutdown_background();
        };
        let handle = std::thread::Builder::new().name("notify".to_owned()).spawn(run)?;
        let thread = Mutex::new(Some(Thread { inbox, handle }));
        Ok(Self { thread, dropped: LogLimit::new(1, Duration::from_secs(1)) })
    }

    /// Hands a message over, if the thread still takes any.
    pub(super) fn send(&self, letter: Letter) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = thread.as_ref().map(|thread| thread.inbox.try_send(letter));
        if let Some(Err(mpsc::error::TrySendError::Full(letter))) = sent {
            self.dropped.note(|suppressed| {
                tracing::warn!(broker = %letter.group, suppressed, "too many messages to brokers wait: one is dropped");
            });
        }
    }

    pub(super) fn close(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Thread { inbox, handle }) = thread {
            drop(inbox);
            let _ = handle.join();
        }
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        self.close();
    }
}

/// Runs until the inbox is closed, then gives up what is under way.
async fn carry(mut inbox: mpsc::Receiver<Letter>, tls: Option<tls::Client>) {
    let round = Rc::new(Round { tls, ..Round::default() });
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            letter = inbox.recv() => match letter {
                Some(letter) => round.accept(letter, &mut tasks),
                None => break,
            },
            // Only to forget it: a task says itself what came of it.
            Some(_) = tasks.join_next() => {}
        }
    }
    tasks.shutdown().await;
}

/// What waits, and for whom.
pub(super) struct Round {
    /// A broker is here as long as its task looks for more.
    queues: RefCell<HashMap<Name, VecDeque<Bytes>>>,
    /// The version of the last message about each group.
    newest: RefCell<HashMap<Name, u64>>,
    connections: Semaphore,
    tls: Option<tls::Client>,
    lines: LogLimit,
}

impl Default for Round {
    fn default() -> Self {
        Self {
            queues: RefCell::default(),
            newest: RefCell::default(),
            connections: Semaphore::new(CONNECTIONS_MAX),
            tls: None,
            lines: LogLimit::new(LINES_MAX, Duration::from_secs(1)),
        }
    }
}

impl Round {
    pub(super) fn accept(self: &Rc<Self>, letter: Letter, tasks: &mut JoinSet<()>) {
        if self.is_overtaken(&letter) {
            tracing::debug!(broker = %letter.group, "not sent: a newer change was told before");
            return;
        }
        for address in letter.to {
            let mut queues = self.queues.borrow_mut();
            let waiting = queues.len();
            match queues.get_mut(&address) {
                Some(queue) => {
                    if queue.len() == QUEUE_MAX {
                        queue.pop_front();
                        self.complain(&address, "too much waits for it: the oldest message is dropped");
                    }
                    queue.push_back(letter.frame.clone());
                }
                None if waiting == BROKERS_MAX => self.complain(&address, "not told: too many brokers are"),
                None => {
                    queues.insert(Name::clone(&address), VecDeque::from([letter.frame.clone()]));
                    tasks.spawn_local(Rc::clone(self).visit(address));
                }
            }
        }
    }

    /// Two threads may publish in one order and hand over in the other.
    fn is_overtaken(&self, letter: &Letter) -> bool {
        let mut newest = self.newest.borrow_mut();
        if newest.get(&letter.group).is_some_and(|version| *version > letter.version) {
            return true;
        }
        if newest.len() == GROUPS_MAX {
            newest.clear();
        }
        newest.insert(Name::clone(&letter.group), letter.version);
        false
    }

    async fn visit(self: Rc<Self>, address: Name) {
        if let Err(error) = self.deliver(&address).await {
            let lost = self.queues.borrow_mut().remove(&address).map_or(0, |queue| queue.len());
            self.complain(&address, &format!("not told: {error}; {lost} more messages are given up"));
        }
    }

    /// Sends everything that waits for a broker. An error leaves the queue behind, and only an error.
    async fn deliver(&self, address: &Name) -> io::Result<()> {
        let Ok(_place) = self.connections.acquire().await else { return Ok(()) };
        let late = |what| move |_| io::Error::new(io::ErrorKind::TimedOut, what);
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, self.connect(address)).await;
        let mut stream = connected.map_err(late("it does not accept in time"))??;
        while let Some(frame) = self.next(address) {
            let send = async {
                stream.write_all(&frame).await?;
                stream.flush().await
            };
            tokio::time::timeout(SEND_TIMEOUT, send).await.map_err(late("it does not read in time"))??;
        }
        // A goodbye that does not leave takes no message with it.
        let _ = tokio::time::timeout(SEND_TIMEOUT, stream.shutdown()).await;
        Ok(())
    }

    async fn connect(&self, address: &str) -> io::Result<Box<dyn AsyncWrite + Unpin>> {
        let invalid = || io::Error::new(io::ErrorKind::InvalidInput, "its address is not host:port");
        let (host, port) = endpoint(address).ok_or_else(invalid)?;
        let stream = TcpStream::connect((host, port)).await?;
        Ok(match &self.tls {
            None => Box::new(stream),
            Some(tls) => Box::new(tls.connect(stream).await?),
        })
    }

    /// The next message for a broker; with the last one, the queue goes.
    fn next(&self, address: &Name) -> Option<Bytes> {
        let mut queues = self.queues.borrow_mut();
        let frame = queues.get_mut(address)?.pop_front();
        if frame.is_none() {
            queues.remove(address);
        }
        frame
    }

    fn complain(&self, address: &Name, text: &str) {
        self.lines.note(|suppressed| tracing::warn!(%address, suppressed, "a broker: {text}"));
    }

    #[cfg(test)]
    pub(super) fn waiting_for(&self, address: &str) -> Vec<Bytes> {
        self.queues.borrow().get(address).into_iter().flatten().cloned().collect()
    }
}

/// Host and port of an address as brokers register it: an IPv6 address has brackets, or, written by an operator as
/// `brokerIP1`, none. Java: `NettyRemotingClient.getHostAndPort`.
pub(super) fn endpoint(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let port = port.parse().ok().filter(|port| *port != 0)?;
    (!host.is_empty()).then_some((host, port))
}
