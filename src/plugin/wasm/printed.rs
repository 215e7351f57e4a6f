//! What a guest prints on its standard output and error: lines of the server's log, as many as `log` allows.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use super::bindings::fingerpost::nameserver::log::Level;
use super::host::log::{LINE_BYTES_MAX, LogBudget, write_line};
use crate::clock::Clock;

/// How much a guest may hand over at once.
const WRITE_MAX: usize = 64 * 1024;

/// Where one instance prints to.
#[derive(Clone)]
pub(super) struct Printed {
    plugin: Arc<str>,
    budget: Arc<LogBudget>,
    clock: Arc<dyn Clock>,
    /// The beginning of a line.
    line: Arc<Mutex<Vec<u8>>>,
}

impl Printed {
    pub(super) fn new(plugin: &Arc<str>, budget: &Arc<LogBudget>, clock: &Arc<dyn Clock>) -> Self {
        let (plugin, budget, clock) = (Arc::clone(plugin), Arc::clone(budget), Arc::clone(clock));
        Self { plugin, budget, clock, line: Arc::default() }
    }

    /// Says something about the plugin, as one of its lines.
    pub(super) fn warn(&self, text: &str) {
        write_line(&self.plugin, &self.budget, self.clock.now(), Level::Warn, text);
    }

    fn print(&self, bytes: &[u8]) {
        let mut line = self.lock();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = LINE_BYTES_MAX.saturating_sub(line.len());
            line.extend_from_slice(&part[..part.len().min(room)]);
            if part.ends_with(b"\n") {
                self.end(&mut line);
            }
        }
    }

    fn end(&self, line: &mut Vec<u8>) {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end();
        if !text.is_empty() {
            write_line(&self.plugin, &self.budget, self.clock.now(), Level::Info, text);
        }
        line.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A guest that traps in the middle of a line has said something all the same.
impl Drop for Printed {
    fn drop(&mut self) {
        if Arc::strong_count(&self.line) == 1 {
            let mut line = std::mem::take(&mut *self.lock());
            self.end(&mut line);
        }
    }
}

impl IsTerminal for Printed {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Printed {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for Printed {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.print(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_MAX)
    }
}

#[async_trait]
impl Pollable for Printed {
    async fn ready(&mut self) {}
}

impl AsyncWrite for Printed {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.print(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
