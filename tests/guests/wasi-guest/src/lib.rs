//! A guest for the tests: it imports WASI, as components of ordinary toolchains do, and answers what it got of it. The
//! field `how` says what it tries instead: to wait for a day, or to use a file, a socket, a clock.

use std::fmt::Debug;

use bindings::wasi::cli::{environment, stderr, stdout};
use bindings::wasi::clocks::monotonic_clock::{self, Pollable};
use bindings::wasi::clocks::wall_clock;
use bindings::wasi::filesystem::preopens;
use bindings::wasi::filesystem::types::{Descriptor, DescriptorFlags, OpenFlags, PathFlags};
use bindings::wasi::io::poll;
use bindings::wasi::random::random;
use bindings::wasi::sockets::network::{IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
use bindings::wasi::sockets::{instance_network, ip_name_lookup, tcp_create_socket};
use fingerpost_sdk::{Outcome, Processor, Refusal, code, export_processor, field, reply};

#[allow(unsafe_code, clippy::undocumented_unsafe_blocks, reason = "generated code")]
mod bindings {
    wit_bindgen::generate!({ path: "wit", generate_all });
}

struct WasiGuest;

impl Processor for WasiGuest {
    const MANIFEST: &'static str = include_str!("../manifest.toml");

    fn handle(_code: i32) -> Outcome {
        match field::text("how").as_deref() {
            None => tell_what_there_is(),
            Some("block") => a_day().block(),
            Some("poll") => drop(poll::poll(&[&a_day()])),
            Some("doze") => monotonic_clock::subscribe_duration(1_000_000).block(),
            Some("read") => tell("read", read(&field::required("path")?)),
            Some("write") => tell("written", write(&field::required("path")?)),
            Some("connect") => tell("said", connect(&field::required("address")?)),
            Some("print") => print(&field::required("text")?),
            Some("time") => {
                tell("seconds", wall_clock::now().seconds);
                tell("ticks", monotonic_clock::now());
            }
            Some("random") => tell("random", [random::get_random_u64(), random::get_random_u64()]),
            Some(other) => return Err(Refusal::error(["there is no way ", other].concat())),
        }
        reply::set_code(code::SUCCESS);
        Ok(())
    }
}

fn tell_what_there_is() {
    tell("environment", environment::get_environment());
    tell("arguments", environment::get_arguments());
    tell("directory", environment::initial_cwd());
    tell("files", preopens::get_directories().len());
    let lookup = ip_name_lookup::resolve_addresses(&instance_network::instance_network(), "localhost");
    tell("lookup", lookup.is_ok());
}

fn tell(name: &str, value: impl Debug) {
    reply::set_field(name, &format!("{value:?}"));
}

fn a_day() -> Pollable {
    monotonic_clock::subscribe_duration(24 * 60 * 60 * 1_000_000_000)
}

/// The directory that was granted for a path, and the rest of the path.
fn directory(path: &str) -> Result<(Descriptor, String), String> {
    let mut there = preopens::get_directories().into_iter();
    there
        .find_map(|(dir, name)| Some((dir, path.strip_prefix(&*name)?.trim_start_matches('/').to_owned())))
        .ok_or_else(|| "denied: no directory".to_owned())
}

fn read(path: &str) -> Result<String, String> {
    let (dir, name) = directory(path)?;
    let file = dir.open_at(PathFlags::empty(), &name, OpenFlags::empty(), DescriptorFlags::READ);
    let (bytes, _) = file.map_err(text)?.read(1000, 0).map_err(text)?;
    String::from_utf8(bytes).map_err(text)
}

fn write(path: &str) -> Result<u64, String> {
    let (dir, name) = directory(path)?;
    let file = dir.open_at(PathFlags::empty(), &name, OpenFlags::CREATE, DescriptorFlags::WRITE);
    file.map_err(text)?.write(b"written", 0).map_err(text)
}

/// Connects to an IPv4 address, `1.2.3.4:5`, and waits for what is said there.
fn connect(address: &str) -> Result<String, String> {
    let parts: Vec<u16> = address.split(['.', ':']).filter_map(|part| part.parse().ok()).collect();
    let [a, b, c, d, port] = parts[..] else { return Err("no address".to_owned()) };
    let address = (a as u8, b as u8, c as u8, d as u8);
    let socket = tcp_create_socket::create_tcp_socket(IpAddressFamily::Ipv4).map_err(text)?;
    let network = instance_network::instance_network();
    let remote = IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address });
    socket.start_connect(&network, remote).map_err(text)?;
    socket.subscribe().block();
    let (input, _output) = socket.finish_connect().map_err(text)?;
    let said = input.blocking_read(100).map_err(text)?;
    String::from_utf8(said).map_err(text)
}

fn print(line: &str) {
    let _ = stdout::get_stdout().blocking_write_and_flush(["out: ", line, "\n"].concat().as_bytes());
    let _ = stderr::get_stderr().blocking_write_and_flush(["err: ", line, "\nnot ended"].concat().as_bytes());
}

fn text(error: impl Debug) -> String {
    format!("denied: {error:?}")
}

export_processor!(WasiGuest);
