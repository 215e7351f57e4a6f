//! Opening the socket, accepting, and the server that stops it all.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{error, warn};

use super::config::NetConfig;
use super::lane::{Lane, LaneControl, LaneThreads};
use super::log_limit::LogLimit;
use super::service::{LaneService, Service};
use super::stream::Accepted;
use super::tls::Terms;
use super::usage::{Slot, Totals};
use super::worker::{Connections, SWEEP_PERIOD, Shared, WorkerHandle, WorkerThreads};

/// A socket that listens, though nobody accepts yet.
#[derive(Debug)]
pub struct Listener {
    socket: std::net::TcpListener,
    config: NetConfig,
    tls: Arc<Terms>,
}

impl Listener {
    /// Opens the socket.
    pub fn bind(config: NetConfig) -> io::Result<Self> {
        let socket = match config.address {
            SocketAddr::V4(address) if address.ip().is_unspecified() => {
                // Java: every address means those of IPv6 as well. A machine without IPv6 has none of them.
                let every = SocketAddr::from((Ipv6Addr::UNSPECIFIED, address.port()));
                match Self::open(every, &config) {
                    Err(error) if error.kind() != io::ErrorKind::AddrInUse => Self::open(config.address, &config)?,
                    opened => opened?,
                }
            }
            address => Self::open(address, &config)?,
        };
        Ok(Self { socket: socket.into(), config, tls: Arc::new(Terms::disabled()) })
    }

    /// Serves TLS on these terms; without this, it is refused.
    #[must_use]
    pub fn with_tls(self, tls: Arc<Terms>) -> Self {
        Self { tls, ..self }
    }

    fn open(address: SocketAddr, config: &NetConfig) -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if address.ip() == Ipv6Addr::UNSPECIFIED {
            // Whatever the system's default is: `::` takes IPv4 too.
            socket.set_only_v6(false)?;
        }
        // A restart must not wait for the connections of the server before it.
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        // Before it listens: accepted sockets inherit them, and the window is agreed on before they are accepted.
        if config.send_buffer_size > 0 {
            socket.set_send_buffer_size(config.send_buffer_size)?;
        }
        if config.receive_buffer_size > 0 {
            socket.set_recv_buffer_size(config.receive_buffer_size)?;
        }
        socket.bind(&address.into())?;
        socket.listen(i32::try_from(config.backlog).unwrap_or(i32::MAX))?;
        Ok(socket)
    }

    /// Where it listens; the port is the real one.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Starts the lane, the workers and the acceptor. Each factory is called once on each thread of its kind, and when
    /// this returns, all have made their service.
    ///
    /// `idle_timeout` is asked for each new connection: silence in both directions after which it is closed, to within
    /// half a second and never too early; zero is never. Java: `serverChannelMaxIdleTimeSeconds`.
    pub fn serve<S, L>(
        self,
        idle_timeout: impl Fn() -> Duration + Send + Sync + 'static,
        service: impl Fn() -> S + Send + Sync + 'static,
        lane_service: impl Fn() -> L + Send + Sync + 'static,
    ) -> io::Result<Server>
    where
        S: Service,
        L: LaneService<Job = S::Job>,
    {
        let address = self.local_addr()?;
        // With port 0 the real one is known only here.
        let config = NetConfig { address, ..self.config };
        let totals = Arc::new(Totals::new(config.workers.get()));
        let lane = Lane::new(&config);
        let lane_control = Arc::clone(&lane) as Arc<dyn LaneControl>;
        let lane_threads = LaneThreads::start(&lane, config.lane_threads.get(), lane_service)?;
        let shared = Arc::new(Shared {
            config,
            idle_timeout: Box::new(idle_timeout),
            totals: Arc::clone(&totals),
            lane,
            faults: faults(),
            tls: self.tls,
        });
        let workers = WorkerThreads::start(&shared, service)?;
        let acceptor = Acceptor {
            workers: workers.handles().collect(),
            totals: Arc::clone(&totals),
            connections_max: shared.config.connections_max,
            refusals: LogLimit::new(1, REFUSAL_INTERVAL),
            failures: LogLimit::new(1, REFUSAL_INTERVAL),
        };
        let connections = Connections::new(workers.handles(), lane_control, totals, shared.config.connections_max);
        let acceptor = AcceptorThread::start(self.socket, acceptor)?;
        let stop_timeout = shared.config.stop_timeout;
        Ok(Server { address, connections, stop_timeout, acceptor, workers, lane: lane_threads })
    }
}

/// A server at work. [`Server::stop`] lets it answer what it owes; dropped, it stops at once. Both block until its
/// threads have ended; one that is inside a call that does not return is left behind.
pub struct Server {
    address: SocketAddr,
    connections: Connections,
    stop_timeout: Duration,
    // In the order they stop: nobody hands anything to a part that is gone.
    acceptor: AcceptorThread,
    workers: WorkerThreads,
    lane: LaneThreads,
}

impl Server {
    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Its connections.
    pub fn connections(&self) -> Connections {
        self.connections.clone()
    }

    /// Accepts and reads no more, lets the answers that are owed leave, closes every connection, and joins the threads.
    /// Answers, and then what is left in the lane, have the configured time each; what takes longer is given up, and
    /// a thread that has not come back from a call a second later is left behind.
    pub fn stop(mut self) {
        let deadline = Instant::now() + self.stop_timeout;
        self.acceptor.stop();
        self.workers.stop(deadline);
        // By now every close is in its queue, behind the jobs. A peer that does not read may have used up the time of
        // the workers, which is no reason to forget what others were promised.
        self.lane.stop(Instant::now() + self.stop_timeout);
    }
}

/// How many lines a server writes about connections that are closed for a fault of theirs.
pub(super) fn faults() -> LogLimit {
    LogLimit::new(FAULT_LINES_MAX, FAULT_INTERVAL)
}

struct Acceptor {
    workers: Vec<WorkerHandle>,
    totals: Arc<Totals>,
    connections_max: usize,
    refusals: LogLimit,
    failures: LogLimit,
}

impl Acceptor {
    async fn run(&self, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => self.hand_over(stream, peer),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    if let Some(suppressed) = self.failures.admit(Instant::now().into_std()) {
                        error!(suppressed, "cannot accept connections: {error}{}", advice(&error));
                    }
                    // Out of files or memory: asking again at once would only burn the time it takes to get better.
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Tells the workers how time goes by.
    async fn sweep(&self) {
        let mut sweeps = tokio::time::interval_at(Instant::now() + SWEEP_PERIOD, SWEEP_PERIOD);
        sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            sweeps.tick().await;
            self.workers.iter().for_each(WorkerHandle::sweep);
        }
    }

    fn hand_over(&self, stream: TcpStream, peer: SocketAddr) {
        let peer = canonical(peer);
        let Some(slot) = Slot::take(&self.totals, self.connections_max) else {
            self.totals.refused.fetch_add(1, Relaxed);
            // Reset, not just closed: the peer notices at its first write, and under a flood nothing of it stays here.
            let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
            if let Some(suppressed) = self.refusals.admit(Instant::now().into_std()) {
                let open = self.totals.connections.load(Relaxed);
                warn!(%peer, open, suppressed, "connection refused: `net.connections-max` are open");
            }
            return;
        };
        // Keepalive stays off: silence is noticed by the idle timeout.
        let stream = stream.set_nodelay(true).and_then(|()| stream.into_std());
        if let (Ok(stream), Some(worker)) = (stream, WorkerHandle::least_loaded(&self.workers)) {
            worker.open(Accepted::Socket(stream), peer, slot);
        }
    }
}

/// What the operator can do about it.
fn advice(error: &io::Error) -> &'static str {
    // The system's ENFILE and EMFILE, which the standard library has no names for.
    match error.raw_os_error() {
        Some(23 | 24) => {
            "; whoever comes now waits until a connection closes. Each takes a file: raise the limit of open files \
             (ulimit -n, LimitNOFILE=) above `net.connections-max`, or lower that"
        }
        _ => "",
    }
}

/// A socket that takes IPv6 shows IPv4 as `::ffff:a.b.c.d`; nobody behind this line has to know that form.
fn canonical(peer: SocketAddr) -> SocketAddr {
    match peer.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::from((ip, peer.port())),
        // As it is, with the interface of a link-local address.
        IpAddr::V6(_) => peer,
    }
}

/// The peer gave up before it was accepted; the next connection knows nothing of that.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// The thread that accepts, and counts the time for the workers. Dropping it stops it.
struct AcceptorThread {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl AcceptorThread {
    fn start(socket: std::net::TcpListener, acceptor: Acceptor) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _context = runtime.enter();
            TcpListener::from_std(socket)?
        };
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("acceptor".to_owned()).spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    () = acceptor.run(listener) => {}
                    () = acceptor.sweep() => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }

    fn stop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!("the acceptor panicked");
        }
    }
}

impl Drop for AcceptorThread {
    fn drop(&mut self) {
        self.stop();
    }
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const REFUSAL_INTERVAL: Duration = Duration::from_secs(5);
const FAULT_INTERVAL: Duration = Duration::from_secs(1);
const FAULT_LINES_MAX: u32 = 10;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn as_many_connections_wait_to_be_accepted_as_the_backlog_says() {
        const BACKLOG: u32 = 3;
        let address = (Ipv4Addr::LOCALHOST, 0).into();
        let listener = Listener::bind(NetConfig { address, backlog: BACKLOG, ..NetConfig::default() }).unwrap();
        let address = listener.local_addr().unwrap();

        // Linux takes one more, and is then deaf: whoever comes hears nothing at all.
        let waiting: Vec<_> = (0..=BACKLOG).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
        let one_more = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200));

        assert_eq!(one_more.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(waiting);
    }

    #[test]
    fn port_0_takes_a_free_port_and_says_which() {
        let config = NetConfig { address: (Ipv4Addr::LOCALHOST, 0).into(), ..NetConfig::default() };
        let ports = [config.clone(), config].map(|config| {
            let listener = Listener::bind(config).unwrap();
            assert!(std::net::TcpStream::connect(listener.local_addr().unwrap()).is_ok());
            (listener.local_addr().unwrap().port(), listener)
        });

        assert_ne!(ports[0].0, ports[1].0);
        assert!(ports.iter().all(|(port, _)| *port != 0));
    }

    #[test]
    fn accepted_connections_have_the_buffers_that_were_asked_for() {
        const SIZE: usize = 40_000;
        let address = (Ipv4Addr::LOCALHOST, 0).into();
        let config = NetConfig { address, send_buffer_size: SIZE, receive_buffer_size: SIZE, ..NetConfig::default() };
        let listener = Listener::bind(config).unwrap();
        listener.socket.set_nonblocking(false).unwrap();

        let _peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.socket.accept().unwrap();

        let accepted = socket2::SockRef::from(&accepted);
        for size in [accepted.send_buffer_size().unwrap(), accepted.recv_buffer_size().unwrap()] {
            // Linux doubles it, for what it adds to each packet.
            assert!((SIZE..=2 * SIZE).contains(&size), "{size}");
        }
    }
}
