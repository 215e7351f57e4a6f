//! The HTTP address server: where a server in cluster-test mode learns which name servers it is to ask.
//!
//! A thread of its own asks when the server starts, ten seconds later, and then every two minutes. An answer that is
//! none keeps the list that was there before, and is told to the log once, not at every question.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::config::{ClusterTestConfig, HostPort, HostPortError};
use crate::liveness::Liveness;
use crate::plugin::Core;
use crate::route::Millis;

/// Java: `DefaultTopAddressing.fetchNSAddr`, for the connection and for each read; here for all of it.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Thousands of servers. What is longer is no list.
const ANSWER_MAX: u64 = 64 * 1024;

// Java: MQClientInstance.startScheduledTask.
const FIRST_AGAIN_AFTER: Duration = Duration::from_secs(10);
const INTERVAL: Duration = Duration::from_secs(120);

/// Asks, until dropped.
pub(crate) struct AddressServer {
    inquiry: Arc<Inquiry>,
    core: Arc<Core>,
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What is asked, and what came of it the last time.
struct Inquiry {
    agent: ureq::Agent,
    url: String,
    /// Whose name servers they are.
    upstream: String,
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    servers: Vec<HostPort>,
    failed: bool,
}

/// Why an answer is no list of servers.
#[derive(Debug, thiserror::Error)]
enum NoList {
    #[error(transparent)]
    Http(#[from] ureq::Error),
    #[error("it answers with status {0}")]
    Status(u16),
    #[error("it names no server")]
    Empty,
    #[error(transparent)]
    Entry(#[from] HostPortError),
}

impl AddressServer {
    /// Starts asking, if the configuration leaves it to an address server.
    ///
    /// # Errors
    /// When the machine refuses a thread.
    pub(crate) fn start(core: &Arc<Core>, config: &ClusterTestConfig) -> std::io::Result<Option<Self>> {
        if !config.asks_address_server() {
            return Ok(None);
        }
        let inquiry = Arc::new(Inquiry::new(config));
        tracing::info!(upstream = %inquiry.upstream, "its name servers are asked for at {}", inquiry.url);
        let (stop, stopped) = mpsc::channel::<()>();
        let run = {
            let (inquiry, core) = (Arc::clone(&inquiry), Arc::clone(core));
            move || {
                let uptime = || core.clock.monotonic().as_millis() as Millis;
                let mut timetable = timetable(uptime());
                inquiry.ask(&core);
                while stopped.recv_timeout(timetable.wait(uptime())) == Err(RecvTimeoutError::Timeout) {
                    if timetable.begin(uptime()) {
                        inquiry.ask(&core);
                    }
                }
            }
        };
        let thread = std::thread::Builder::new().name("address-server".to_owned()).spawn(run)?;
        Ok(Some(Self { inquiry, core: Arc::clone(core), stop: Some(stop), thread: Some(thread) }))
    }

    /// Asks now.
    pub(crate) fn ask(&self) {
        self.inquiry.ask(&self.core);
    }
}

impl Drop for AddressServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A question that is under way ends with its timeout.
            let _ = thread.join();
        }
    }
}

fn timetable(started: Millis) -> Liveness {
    Liveness::new(started, FIRST_AGAIN_AFTER, INTERVAL)
}

impl Inquiry {
    fn new(config: &ClusterTestConfig) -> Self {
        let settings = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            // Java looks at no variable of the environment.
            .proxy(None)
            .user_agent("fingerpost")
            .build();
        Self {
            agent: settings.new_agent(),
            url: url(&config.address_server, &config.address_server_group, &config.product_env_name),
            upstream: config.product_env_name.clone(),
            last: Mutex::default(),
        }
    }

    /// Asks once, and has the upstream's servers replaced if there are others.
    fn ask(&self, core: &Core) {
        // One question after the other: an answer that is late must not take the place of a later one.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match self.fetch() {
            Ok(servers) => {
                if last.failed || last.servers != servers {
                    let list: Vec<_> = servers.iter().map(ToString::to_string).collect();
                    tracing::info!(upstream = %self.upstream, "its name servers are now {}", list.join(";"));
                    core.upstreams.set_addresses(&self.upstream, list);
                }
                *last = Last { servers, failed: false };
            }
            Err(error) if !last.failed => {
                let (url, known) = (&self.url, last.servers.len());
                tracing::warn!(
                    upstream = %self.upstream,
                    "{url} tells no name servers, so the {known} that are known stay: {error}"
                );
                last.failed = true;
            }
            Err(error) => tracing::debug!(upstream = %self.upstream, "{}: {error}", self.url),
        }
    }

    // Java: HttpTinyClient.httpGet.
    fn fetch(&self) -> Result<Vec<HostPort>, NoList> {
        let mut response = self.agent.get(&self.url).call()?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(NoList::Status(status));
        }
        let body = response.body_mut().with_config().limit(ANSWER_MAX).read_to_vec()?;
        let servers = HostPort::list(first_line(&String::from_utf8_lossy(&body)))?;
        if servers.is_empty() { Err(NoList::Empty) } else { Ok(servers) }
    }
}

// Java: MixAll.getWSAddr, and DefaultTopAddressing.fetchNSAddr for the unit.
fn url(server: &str, group: &str, unit: &str) -> String {
    let port = if server.find(':').is_some_and(|at| at > 0) { "" } else { ":8080" };
    let unit = if unit.trim().is_empty() { String::new() } else { format!("-{unit}?nofix=1") };
    format!("http://{server}{port}/rocketmq/{group}{unit}")
}

// Java: DefaultTopAddressing.clearNewLine.
fn first_line(text: &str) -> &str {
    let text = text.trim_matches(|letter| letter <= ' ');
    let end = text.find('\r').or_else(|| text.find('\n'));
    end.map_or(text, |end| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_put_together_as_java_does() {
        for (server, group, unit, expected) in [
            ("jmenv.tbsite.net", "nsaddr", "center", "http://jmenv.tbsite.net:8080/rocketmq/nsaddr-center?nofix=1"),
            ("10.0.0.1:9", "mine", "center", "http://10.0.0.1:9/rocketmq/mine-center?nofix=1"),
            ("a", "nsaddr", " ", "http://a:8080/rocketmq/nsaddr"),
            ("a:1", "nsaddr", "", "http://a:1/rocketmq/nsaddr"),
        ] {
            assert_eq!(url(server, group, unit), expected);
        }
    }

    #[test]
    fn an_answer_counts_up_to_the_end_of_its_first_line() {
        for (text, line) in [
            ("a:1;b:2", "a:1;b:2"),
            (" \n a:1;b:2\r\n", "a:1;b:2"),
            ("a:1\nb:2", "a:1"),
            ("a:1\r\nb:2", "a:1"),
            ("\0a:1\t", "a:1"),
            ("", ""),
        ] {
            assert_eq!(first_line(text), line, "{text:?}");
        }
    }

    #[test]
    fn it_is_asked_again_after_ten_seconds_and_then_every_two_minutes() {
        let mut timetable = timetable(1_000);
        let mut asked = Vec::new();
        for now in (1_000..400_000).step_by(500) {
            if timetable.begin(now) {
                asked.push(now);
            }
        }

        assert_eq!(asked, [11_000, 131_000, 251_000, 371_000]);
    }
}
