//! The HTTP server for those who watch this one: `/livez`, `/readyz`, `/metrics` and `/plugins`, to be read and nothing
//! else.
//!
//! It has a thread of its own, which yields to all others, and looks only at what those have counted anyway. Nobody is
//! asked who they are, so it listens on the loopback unless told otherwise, and shows no request, topic or secret.
//!
//! A connection is answered once and closed. How many there may be, how long each may last, and how much it may send is
//! bounded. That the address cannot be had is no reason not to serve brokers and clients: it is told to the log, and
//! tried again until it can.

mod http;
mod metrics;
mod plugins;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};

use self::http::{Request, Response};
pub(crate) use self::metrics::Sources;
pub(crate) use self::plugins::list;
use crate::readiness::Readiness;

/// Connections at the same time; whoever comes then waits.
const CONNECTIONS_MAX: usize = 16;

/// From the first byte of a request to the last one of its answer.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);

/// Until an address that was taken is tried again, or a socket is accepted after one could not be.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// How willingly the thread yields to others.
const NICENESS: i32 = 10;

/// The thread that answers. Dropping it stops it.
pub(crate) struct Admin {
    address: Option<SocketAddr>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Admin {
    /// Answers at `address`, from now on if that can be had.
    ///
    /// # Errors
    /// When the machine refuses a thread.
    pub(crate) fn start(address: SocketAddr, sources: Sources) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind(address));
        let bound = listener.as_ref().ok().and_then(|listener| listener.local_addr().ok());
        match &listener {
            Ok(_) => tracing::info!("metrics are at http://{}/metrics", bound.unwrap_or(address)),
            Err(error) => tracing::error!(
                %address, "`admin.http-listen` cannot be had, and is tried again: nobody can watch this server: {error}"
            ),
        }
        let (stop, stopped) = oneshot::channel();
        let run = move || {
            // Not worth more than a try.
            let _ = rustix::process::setpriority_process(None, NICENESS);
            runtime.block_on(async move {
                tokio::select! {
                    () = serve(address, listener, Arc::new(sources)) => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name("admin".to_owned()).spawn(run)?;
        Ok(Self { address: bound, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens, if it does.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.address
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(address: SocketAddr, mut listener: io::Result<TcpListener>, sources: Arc<Sources>) {
    let listener = loop {
        match listener {
            Ok(listener) => break listener,
            Err(_) => {
                tokio::time::sleep(RETRY_AFTER).await;
                listener = TcpListener::bind(address).await;
                if listener.is_ok() {
                    tracing::info!("metrics are at http://{address}/metrics");
                }
            }
        }
    };
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    // Dropped with this future, and all connections with it.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let sources = Arc::clone(&sources);
                connections.spawn(async move {
                    // Whoever is too slow is left alone.
                    let _ = tokio::time::timeout(CONNECTION_TIMEOUT, converse(stream, &sources)).await;
                    drop(slot);
                });
            }
            // Out of files, most likely: there is nothing to do but to wait.
            Err(_) => tokio::time::sleep(RETRY_AFTER).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

/// Reads one request and answers it.
async fn converse(mut stream: TcpStream, sources: &Sources) -> io::Result<()> {
    let Some(request) = http::read(&mut stream).await? else { return Ok(()) };
    let response = match &request {
        Ok(Request { path, .. }) => answer(path, sources),
        Err(refusal) => refusal.clone(),
    };
    let with_body = request.is_ok_and(|request| request.wants_body);
    http::write(&mut stream, &response, with_body).await
}

fn answer(path: &str, sources: &Sources) -> Response {
    match path {
        "/metrics" => Response { kind: metrics::CONTENT_TYPE, ..Response::ok(metrics::text(sources)) },
        "/plugins" => Response {
            kind: "application/json",
            ..Response::ok(format!("{:#}\n", plugins::list(&sources.generations, &sources.board, now(sources))))
        },
        "/livez" => match sources.connections.stuck_workers() {
            0 => Response::ok("alive\n".to_owned()),
            stuck => Response::unavailable(format!("{stuck} workers do not move\n")),
        },
        "/readyz" => match &not_ready(sources)[..] {
            [] => Response::ok("ready\n".to_owned()),
            parts => Response::unavailable(format!("not ready: {}\n", parts.join("\nnot ready: "))),
        },
        _ => Response::not_found(),
    }
}

fn now(sources: &Sources) -> Duration {
    sources.core.clock.monotonic()
}

/// The parts because of which it makes no sense to send clients here, and why. A plugin that somebody dropped in is
/// none: whatever it does, the others answer.
fn not_ready(sources: &Sources) -> Vec<String> {
    let readiness = Some(sources.readiness.get()).filter(|readiness| *readiness != Readiness::Ready);
    let now = now(sources);
    let catalogue = sources.generations.current();
    let out = catalogue.plugins().iter().filter(|plugin| plugin.is_embedded() && plugin.repute.out(now).is_some());
    let out = out.map(|plugin| format!("plugins: {} is taken out, because it failed too often", plugin.name));
    readiness.into_iter().map(|readiness| readiness.to_string()).chain(out).collect()
}
