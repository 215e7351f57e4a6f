//! The thread that obeys.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::record::attend;
use super::{REQUEST_SIZE_MAX, Reply, Request};
use crate::admin::list;
use crate::atomic;
use crate::config::ByteSize;
use crate::net::Connections;
use crate::plugin::{Board, Core, Generations, Order, Question, Reloaded, Reloader, shared_place, why};
use crate::recording::{Limits, Recorder, Recording};

/// For the request to arrive, and then for the reply to leave.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(5);

/// For every thread to change over to a new generation. One that is busy for longer does so later.
const CHANGE_OVER_TIMEOUT: Duration = Duration::from_secs(10);

/// Between two looks at whether they have.
const CHANGE_OVER_LOOK: Duration = Duration::from_millis(2);

/// Until a socket is accepted after one could not be.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How willingly the thread yields to others: it compiles.
const NICENESS: i32 = 10;

const ROOT: u32 = 0;

/// What the thread speaks for.
pub(crate) struct Served {
    pub(crate) reloader: Arc<Mutex<Reloader>>,
    pub(crate) generations: Arc<Generations>,
    pub(crate) board: Arc<Board>,
    pub(crate) core: Arc<Core>,
    pub(crate) connections: Connections,
    pub(crate) recorder: Arc<Recorder>,
}

/// The thread. Dropping this stops it.
pub(crate) struct Control {
    socket: Socket,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The name of the socket, which goes with this.
struct Socket {
    path: PathBuf,
    inode: (u64, u64),
}

impl Control {
    /// Listens at `path`; none when that cannot be had, with a line in the log.
    ///
    /// # Errors
    /// When the machine refuses a thread.
    pub(crate) fn start(path: &Path, served: Served) -> io::Result<Option<Self>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (listener, socket) = match bind(path) {
            Ok(bound) => bound,
            Err(error) => {
                let path = path.display();
                tracing::error!(%path, "`admin.control-socket` cannot be had, so nobody can give orders: {error}");
                return Ok(None);
            }
        };
        listener.set_nonblocking(true)?;
        let (stop, stopped) = oneshot::channel();
        let run = move || {
            // Not worth more than a try.
            let _ = rustix::process::setpriority_process(None, NICENESS);
            runtime.block_on(async move {
                let Ok(listener) = tokio::net::UnixListener::from_std(listener) else { return };
                tokio::select! {
                    () = serve(&listener, &served) => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name("control".to_owned()).spawn(run)?;
        Ok(Some(Self { socket, stop: Some(stop), thread: Some(thread) }))
    }

    /// Where it listens.
    pub(crate) fn path(&self) -> &Path {
        &self.socket.path
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|inode| inode == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Takes the name, from a server that ended if need be, and never from one that runs.
fn bind(path: &Path) -> io::Result<(UnixListener, Socket)> {
    let dir = atomic::directory(path);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    if let Some(why) = shared_place(dir)? {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "a file of that name is no socket"));
        }
        Ok(_) if UnixStream::connect(path).is_ok() => {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another server listens there"));
        }
        _ => {}
    }
    // Under another name first, so that it is never there with another mode.
    let making = dir.join(format!(".{}.sock", std::process::id()));
    let _ = fs::remove_file(&making);
    let listener = UnixListener::bind(&making)?;
    let placed = fs::set_permissions(&making, fs::Permissions::from_mode(atomic::PRIVATE))
        .and_then(|()| inode(&making))
        .and_then(|inode| fs::rename(&making, path).map(|()| inode));
    if placed.is_err() {
        let _ = fs::remove_file(&making);
    }
    Ok((listener, Socket { path: path.to_owned(), inode: placed? }))
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

/// One after the other: orders are rare, and each sees what the one before it did. A record takes long, and keeps
/// nobody from giving orders meanwhile.
async fn serve(listener: &tokio::net::UnixListener, served: &Served) {
    // Dropped with this, and so is what they record.
    let mut records = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // Whoever went away needs no answer.
                    if let Ok(Some((stream, recording, time))) = converse(stream, served).await {
                        records.spawn(attend(stream, recording, time, Arc::clone(&served.core)));
                    }
                }
                Err(_) => tokio::time::sleep(RETRY_AFTER).await,
            },
            // Only to forget it.
            Some(_) = records.join_next() => {}
        }
    }
}

/// Answers one request; one for a record is only the first of its connection.
async fn converse(
    mut stream: tokio::net::UnixStream,
    served: &Served,
) -> io::Result<Option<(tokio::net::UnixStream, Recording, Duration)>> {
    let (peer, me) = (stream.peer_cred()?.uid(), rustix::process::geteuid().as_raw());
    let mut recording = None;
    let reply = if peer == me || peer == ROOT {
        let line = timeout(TRANSFER_TIMEOUT, read_line(&mut stream)).await??;
        match understood(&line) {
            Ok(Request::Record { millis, bytes }) => {
                let limits = Limits { time: Duration::from_millis(millis), size: ByteSize::new(bytes) };
                match served.recorder.start(&served.core, limits) {
                    Ok(begun) => {
                        recording = Some((begun, limits.time));
                        Reply::Ok(json!({}))
                    }
                    Err(why) => Reply::Error(why.to_string()),
                }
            }
            Ok(request) => answer(request, served).await,
            Err(why) => Reply::Error(why),
        }
    } else {
        tracing::warn!(user = peer, "somebody else wanted to give orders, and was not heard");
        Reply::Error(format!("this server belongs to user {me}, and you are user {peer}"))
    };
    timeout(TRANSFER_TIMEOUT, write(&mut stream, &reply)).await??;
    Ok(recording.map(|(recording, time)| (stream, recording, time)))
}

/// What arrives up to the end of a line, or of the connection: nothing when that has come.
pub(super) async fn read_line(stream: &mut tokio::net::UnixStream) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut limited = stream.take(REQUEST_SIZE_MAX);
    while !line.ends_with(b"\n") && limited.read_buf(&mut line).await? > 0 {}
    Ok(line)
}

/// The request, or what is wrong with it.
pub(super) fn understood(line: &[u8]) -> Result<Request, String> {
    if line.len() as u64 == REQUEST_SIZE_MAX {
        return Err(format!("a request has less than {REQUEST_SIZE_MAX} bytes"));
    }
    serde_json::from_slice(line).map_err(|error| format!("that is no request: {error}"))
}

pub(super) async fn write(stream: &mut tokio::net::UnixStream, reply: &Reply) -> io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    stream.write_all(&line).await
}

async fn answer(request: Request, served: &Served) -> Reply {
    let order = match request {
        Request::Record { .. } | Request::RecordProgress {} | Request::RecordFinish {} => {
            return Reply::Error("no record was begun over this connection".to_owned());
        }
        Request::List {} => return Reply::Ok(list(&served.generations, &served.board, served.core.clock.monotonic())),
        Request::Why { topic, client, fields } => {
            let question = Question { topic, client, fields: fields.into_iter().collect() };
            return explain(&question, served);
        }
        Request::Reload { name } => Order::Reload(name),
        Request::Rollback { name } => Order::Rollback(name),
        Request::Enable { name } => Order::Enable(name),
        Request::Disable { name } => Order::Disable(name),
    };
    let obeyed = {
        // Whoever panicked while it looked at plugins has published nothing.
        let mut reloader = served.reloader.lock().unwrap_or_else(PoisonError::into_inner);
        reloader.obey(&order)
    };
    match obeyed {
        Ok(done) => {
            let generation = match done.reloaded {
                Reloaded::Generation(number) => Some(number),
                Reloaded::Same | Reloaded::Failed => None,
            };
            let active = change_over(served).await;
            Reply::Ok(json!({
                "text": done.text,
                "warnings": done.warnings,
                "failed": done.reloaded == Reloaded::Failed,
                "generation": generation,
                "active": active,
            }))
        }
        Err(error) => Reply::Error(error.to_string()),
    }
}

/// Waits until every thread uses the newest generation; says whether all do.
async fn change_over(served: &Served) -> bool {
    served.connections.look_around();
    let newest = served.generations.current().number();
    let all_have = async {
        while served.generations.active() < newest {
            tokio::time::sleep(CHANGE_OVER_LOOK).await;
        }
    };
    timeout(CHANGE_OVER_TIMEOUT, all_have).await.is_ok()
}

fn explain(question: &Question, served: &Served) -> Reply {
    let explained: Option<Value> = why(question, &served.generations.current(), &served.core);
    explained.map_or_else(|| Reply::Error(format!("there is no topic {:?}", question.topic)), Reply::Ok)
}
