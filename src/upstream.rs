//! Other name servers, asked on behalf of a plugin (`reply.forward`).
//!
//! One thread with a runtime of its own does all the asking, so that neither a worker nor the write lane waits for a
//! stranger. Every bound is here: how many questions may be under way, how long one may take, how large an answer may
//! be. An address that failed is left alone for a while; if all of an upstream's are, the question is refused at once.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::net::tls;
use crate::remoting::{Command, SerializeType, frame};

/// Questions that may wait or be under way; one more is refused.
const QUESTIONS_MAX: usize = 1024;

/// Connections kept for the next question, per address.
const IDLE_CONNECTIONS_MAX: usize = 8;

/// How long a failed address is left alone.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Where to ask, and for how long.
#[derive(Clone, Debug)]
pub struct UpstreamConfig {
    /// The name that plugins use.
    pub name: String,
    /// `host:port`, tried in order; the first list, if others follow.
    pub addresses: Vec<String>,
    /// The longest that one question may take, over all addresses.
    pub timeout: Duration,
    /// The longest answer, in bytes.
    pub frame_size_max: u32,
}

/// What is called with the answer, or with none: on the asking thread, once.
type Done = Box<dyn FnOnce(Option<Command>) + Send>;

struct Question {
    upstream: String,
    command: Command,
    done: Done,
}

/// The upstreams of this server; asks until dropped.
pub struct Upstreams {
    /// Their names, and the addresses that are asked from now on.
    lists: HashMap<String, watch::Sender<Vec<String>>>,
    asking: Mutex<Asking>,
}

/// The thread that asks. It is started when there is somebody to ask.
#[derive(Default)]
enum Asking {
    /// What it begins with.
    NotYet(Box<Beginning>),
    Now(mpsc::Sender<Question>, JoinHandle<()>),
    #[default]
    Over,
}

struct Beginning {
    followed: Vec<(List, UpstreamConfig)>,
    strangers: UpstreamConfig,
    tls: Option<tls::Client>,
}

impl Upstreams {
    /// Starts the asking thread, if there is anybody to ask; with `tls`, that is spoken to all of them. An address that
    /// none of them has is asked under the terms of `strangers`.
    ///
    /// # Errors
    /// When the machine cannot start a thread or a runtime.
    pub fn start(
        configs: Vec<UpstreamConfig>,
        strangers: UpstreamConfig,
        tls: Option<tls::Client>,
    ) -> std::io::Result<Self> {
        let is_needed = !configs.is_empty();
        let list = |config: &UpstreamConfig| (config.name.clone(), watch::Sender::new(config.addresses.clone()));
        let lists: HashMap<_, _> = configs.iter().map(list).collect();
        let followed = configs.into_iter().map(|config| (lists[&config.name].subscribe(), config)).collect();
        let beginning = Beginning { followed, strangers, tls };
        let asking = if is_needed { beginning.start()? } else { Asking::NotYet(Box::new(beginning)) };
        Ok(Self { lists, asking: Mutex::new(asking) })
    }

    /// Whether there is an upstream of this name.
    pub(crate) fn is_configured(&self, name: &str) -> bool {
        self.lists.contains_key(name)
    }

    /// From the next question on, these addresses are asked.
    pub(crate) fn set_addresses(&self, name: &str, addresses: Vec<String>) {
        if let Some(list) = self.lists.get(name) {
            list.send_replace(addresses);
        }
    }

    /// Sends a command to an upstream, or to whoever has that address. `done` gets the answer, or none when there is
    /// none in time.
    pub(crate) fn ask(&self, upstream: String, command: Command, done: Done) {
        let question = Question { upstream, command, done };
        let refused = match &*self.asking() {
            Asking::Now(questions, _) => questions.try_send(question).err().map(|error| match error {
                mpsc::error::TrySendError::Full(question) | mpsc::error::TrySendError::Closed(question) => question,
            }),
            _ => Some(question),
        };
        if let Some(question) = refused {
            (question.done)(None);
        }
    }
}

impl Upstreams {
    /// The asking thread, started by the first question.
    fn asking(&self) -> MutexGuard<'_, Asking> {
        // Whoever panics has left it over.
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*asking, Asking::NotYet(_))
            && let Asking::NotYet(beginning) = std::mem::take(&mut *asking)
        {
            *asking = beginning.start().unwrap_or_else(|error| {
                tracing::error!(%error, "nobody can be asked: the machine refuses a thread");
                Asking::Over
            });
        }
        asking
    }
}

impl Beginning {
    fn start(self) -> std::io::Result<Asking> {
        let (questions, inbox) = mpsc::channel(QUESTIONS_MAX);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let run = move || tokio::task::LocalSet::new().block_on(&runtime, answer_all(self, inbox));
        let thread = std::thread::Builder::new().name("upstream".to_owned()).spawn(run)?;
        Ok(Asking::Now(questions, thread))
    }
}

impl Drop for Upstreams {
    fn drop(&mut self) {
        let asking = std::mem::take(self.asking.get_mut().unwrap_or_else(PoisonError::into_inner));
        if let Asking::Now(questions, thread) = asking {
            drop(questions);
            let _ = thread.join();
        }
    }
}

/// Runs until every sender is gone, then gives up the questions under way: whoever asked them has stopped.
async fn answer_all(Beginning { followed, strangers, tls }: Beginning, mut inbox: mpsc::Receiver<Question>) {
    let pool =
        |(list, config): (List, UpstreamConfig)| (config.name.clone(), Rc::new(Pool::new(list, config, tls.clone())));
    let mut pools: HashMap<String, Rc<Pool>> = followed.into_iter().map(pool).collect();
    let mut under_way = tokio::task::JoinSet::new();
    loop {
        let question = tokio::select! {
            question = inbox.recv(), if under_way.len() < QUESTIONS_MAX => question,
            _ = under_way.join_next(), if !under_way.is_empty() => continue,
        };
        let Some(Question { upstream, command, done }) = question else { break };
        // An address that somebody may ask, by a grant: there are few of them.
        let stranger = |address: &String| {
            let config =
                UpstreamConfig { name: address.clone(), addresses: vec![address.clone()], ..strangers.clone() };
            let (_, list) = watch::channel(config.addresses.clone());
            Rc::new(Pool::new(list, config, tls.clone()))
        };
        let pool = Rc::clone(pools.entry(upstream).or_insert_with_key(stranger));
        under_way.spawn_local(async move { done(pool.ask(command).await) });
    }
    under_way.shutdown().await;
}

/// The addresses of an upstream, as they change.
type List = watch::Receiver<Vec<String>>;

/// A connection to an upstream, plain or not.
trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

/// The connections to one upstream.
struct Pool {
    config: UpstreamConfig,
    list: RefCell<List>,
    /// A question that is under way keeps those that it began with.
    addresses: RefCell<Rc<[Address]>>,
    tls: Option<tls::Client>,
    opaque: Cell<i32>,
}

struct Address {
    text: String,
    idle: RefCell<Vec<Box<dyn Stream>>>,
    down_until: Cell<Option<Instant>>,
}

impl Pool {
    fn new(mut list: List, config: UpstreamConfig, tls: Option<tls::Client>) -> Self {
        let addresses = RefCell::new(Address::all(&list.borrow_and_update()));
        Self { config, list: RefCell::new(list), addresses, tls, opaque: Cell::new(0) }
    }

    fn addresses(&self) -> Rc<[Address]> {
        let mut list = self.list.borrow_mut();
        // Without a sender the list stays.
        if list.has_changed().unwrap_or(false) {
            *self.addresses.borrow_mut() = Address::all(&list.borrow_and_update());
        }
        Rc::clone(&self.addresses.borrow())
    }

    async fn ask(&self, mut command: Command) -> Option<Command> {
        command.opaque = self.opaque.get();
        self.opaque.set(command.opaque.wrapping_add(1));
        let mut frame = BytesMut::new();
        command.encode(SerializeType::Json, &mut frame).ok()?;
        let frame = frame.freeze();
        let deadline = Instant::now() + self.config.timeout;
        let is_up = |address: &&Address| address.down_until.get().is_none_or(|until| until <= Instant::now());
        let addresses = self.addresses();
        let mut candidates = addresses.iter().filter(is_up).collect::<Vec<_>>().into_iter();
        while let Some(address) = candidates.next() {
            // One that is silent must not use up the time of those after it.
            let left = deadline.saturating_duration_since(Instant::now());
            let share = left / u32::try_from(candidates.len() + 1).unwrap_or(u32::MAX);
            match tokio::time::timeout(share, self.ask_one(address, &frame, command.opaque)).await {
                Ok(Ok(answer)) => {
                    address.down_until.set(None);
                    return Some(answer);
                }
                Ok(Err(error)) => address.failed(&self.config.name, &error.to_string()),
                Err(_) => address.failed(&self.config.name, "no answer in time"),
            }
        }
        None
    }

    /// Tries a kept connection first; the other side may have closed it, so a failure there is tried once afresh.
    async fn ask_one(&self, address: &Address, frame: &Bytes, opaque: i32) -> std::io::Result<Command> {
        let kept = address.idle.borrow_mut().pop();
        if let Some(mut stream) = kept
            && let Ok(answer) = self.exchange(&mut *stream, frame, opaque).await
        {
            address.keep(stream);
            return Ok(answer);
        }
        let mut stream = self.connect(&address.text).await?;
        let answer = self.exchange(&mut *stream, frame, opaque).await?;
        address.keep(stream);
        Ok(answer)
    }

    async fn connect(&self, address: &str) -> std::io::Result<Box<dyn Stream>> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(match &self.tls {
            None => Box::new(stream),
            Some(tls) => Box::new(tls.connect(stream).await?),
        })
    }

    async fn exchange(&self, stream: &mut dyn Stream, request: &Bytes, opaque: i32) -> std::io::Result<Command> {
        let invalid = |text: String| std::io::Error::new(std::io::ErrorKind::InvalidData, text);
        stream.write_all(request).await?;
        stream.flush().await?;
        let mut buffer = BytesMut::with_capacity(4096);
        let whole = |buffer: &BytesMut| {
            frame::split(buffer, self.config.frame_size_max).map_err(|error| invalid(error.to_string()))
        };
        let size = loop {
            if let Some(size) = whole(&buffer)? {
                break size;
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        };
        let answer = Command::decode(buffer.split_to(size).freeze()).map_err(|error| invalid(error.to_string()))?;
        if answer.opaque != opaque || !answer.is_response() || buffer.has_remaining() {
            return Err(invalid(format!("an answer to something else: opaque {}", answer.opaque)));
        }
        Ok(answer)
    }
}

impl Address {
    fn all(texts: &[String]) -> Rc<[Self]> {
        let address =
            |text: &String| Self { text: text.clone(), idle: RefCell::default(), down_until: Cell::default() };
        texts.iter().map(address).collect()
    }

    fn keep(&self, stream: Box<dyn Stream>) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < IDLE_CONNECTIONS_MAX {
            idle.push(stream);
        }
    }

    fn failed(&self, upstream: &str, reason: &str) {
        tracing::warn!(upstream, address = %self.text, "left alone for {} s: {reason}", RETRY_AFTER.as_secs());
        self.down_until.set(Some(Instant::now() + RETRY_AFTER));
        self.idle.borrow_mut().clear();
    }
}
