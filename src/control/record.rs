//! A record of what a server is asked, over the connection of whoever asked for it: while that is open, the record goes
//! on, and when it ends before the record was fetched, nothing is left of it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

use super::ask::{AskError, PATIENCE, connect};
use super::listen::{read_line, understood, write};
use super::{REPLY_SIZE_MAX, Reply, Request};
use crate::plugin::Core;
use crate::recording::{Limits, Progress, Recording};

/// When the time of a record is over, it waits for so long to be fetched.
const GRACE: Duration = Duration::from_secs(60);

/// How often whoever waits for a record asks how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What became of a record.
#[derive(Debug, Deserialize)]
pub(crate) struct Recorded {
    pub(crate) progress: Progress,
    /// The file.
    pub(crate) text: String,
}

/// The server's side, after a record has begun.
pub(super) async fn attend(stream: UnixStream, recording: Recording, time: Duration, core: Arc<Core>) {
    // Whoever has gone away, or does not fetch it, needs it no more.
    let _ = timeout(time + GRACE, converse(stream, recording, core)).await;
}

async fn converse(mut stream: UnixStream, recording: Recording, core: Arc<Core>) -> io::Result<()> {
    loop {
        let line = read_line(&mut stream).await?;
        if line.is_empty() {
            return Ok(());
        }
        let now = core.clock.monotonic();
        let reply = match understood(&line) {
            Ok(Request::RecordProgress {}) => Reply::Ok(json!(recording.progress(now))),
            Ok(Request::RecordFinish {}) => {
                let (progress, text) = recording.finish(now);
                return write(&mut stream, &Reply::Ok(json!({ "progress": progress, "text": text }))).await;
            }
            Ok(_) => Reply::Error("over this connection a record is made, and nothing else is asked".to_owned()),
            Err(why) => Reply::Error(why),
        };
        write(&mut stream, &reply).await?;
    }
}

/// The other side: has a server record until its limits or an interrupt end it, and fetches the record. `show` is told
/// how far it is. The inner error is why the server does not.
pub(crate) fn record(
    path: &Path,
    limits: Limits,
    show: &mut dyn FnMut(&Progress),
) -> Result<Result<Recorded, String>, AskError> {
    let failed = |error| AskError::Io { path: path.to_owned(), error };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let stream = connect(path)?;
    runtime.block_on(async {
        let made = stream.set_nonblocking(true).and_then(|()| UnixStream::from_std(stream)).map_err(failed)?;
        // Before anything is recorded, so that an interrupt always ends a record and never loses it.
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut server = Conversation { path, stream: BufReader::new(made) };
        let millis = u64::try_from(limits.time.as_millis()).unwrap_or(u64::MAX);
        if let Reply::Error(why) = server.ask(&Request::Record { millis, bytes: limits.size.get() }).await? {
            return Ok(Err(why));
        }
        let mut looks = tokio::time::interval(LOOK_EVERY);
        let mut is_over = false;
        while !is_over {
            tokio::select! {
                _ = interrupt.recv() => break,
                _ = looks.tick() => {}
            }
            let progress: Progress = match server.ask_for(&Request::RecordProgress {}).await? {
                Ok(progress) => progress,
                Err(why) => return Ok(Err(why)),
            };
            show(&progress);
            is_over = progress.is_over;
        }
        server.ask_for(&Request::RecordFinish {}).await
    })
}

/// A connection that goes on.
struct Conversation<'a> {
    path: &'a Path,
    stream: BufReader<UnixStream>,
}

impl Conversation<'_> {
    async fn ask_for<T: for<'de> Deserialize<'de>>(
        &mut self,
        request: &Request,
    ) -> Result<Result<T, String>, AskError> {
        match self.ask(request).await? {
            Reply::Ok(value) => T::deserialize(value).map(Ok).map_err(|error| self.strange(error)),
            Reply::Error(why) => Ok(Err(why)),
        }
    }

    async fn ask(&mut self, request: &Request) -> Result<Reply, AskError> {
        let reply = timeout(PATIENCE, self.exchange(request)).await.unwrap_or_else(|late| Err(late.into()));
        let line = reply.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof => {
                AskError::Stopped(self.path.to_owned())
            }
            _ => AskError::Io { path: self.path.to_owned(), error },
        })?;
        serde_json::from_slice(&line).map_err(|error| self.strange(error))
    }

    async fn exchange(&mut self, request: &Request) -> io::Result<Vec<u8>> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        self.stream.write_all(&line).await?;
        let mut reply = Vec::new();
        (&mut self.stream).take(REPLY_SIZE_MAX).read_until(b'\n', &mut reply).await?;
        if reply.ends_with(b"\n") { Ok(reply) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    fn strange(&self, error: serde_json::Error) -> AskError {
        AskError::Strange { path: self.path.to_owned(), error }
    }
}
