//! Asking a running server.

use std::fs;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{REPLY_SIZE_MAX, Reply, Request};

/// Compiling what is new on a busy machine takes its time.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum AskError {
    #[error(
        "no server answers at {}: none runs, or it has another configuration (name that with -c FILE), or \
         `admin.control-socket = \"none\"`", .0.display()
    )]
    Missing(PathBuf),
    #[error("no server runs: {} was left by one that ended", .0.display())]
    Ended(PathBuf),
    #[error(
        "{} belongs to user {owner}, and only that user may give orders to the server: try `sudo -u '#{owner}'` in \
         front of this", path.display()
    )]
    Foreign { path: PathBuf, owner: u32 },
    #[error("the server at {} did not answer: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("the server at {} answered what this program does not understand: {error}", path.display())]
    Strange { path: PathBuf, error: serde_json::Error },
    #[error("the server at {} stopped before the record was there: nothing of it is kept", .0.display())]
    Stopped(PathBuf),
}

/// Sends a request to the server whose socket this is, and waits for the reply.
pub(crate) fn ask(path: &Path, request: &Request) -> Result<Reply, AskError> {
    let stream = connect(path)?;
    let line = converse(stream, request).map_err(|error| AskError::Io { path: path.to_owned(), error })?;
    serde_json::from_slice(&line).map_err(|error| AskError::Strange { path: path.to_owned(), error })
}

pub(super) fn connect(path: &Path) -> Result<UnixStream, AskError> {
    UnixStream::connect(path).map_err(|error| {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::NotFound => AskError::Missing(path),
            io::ErrorKind::ConnectionRefused => AskError::Ended(path),
            io::ErrorKind::PermissionDenied => match owner(&path) {
                Some((path, owner)) => AskError::Foreign { path, owner },
                None => AskError::Io { path, error },
            },
            _ => AskError::Io { path, error },
        }
    })
}

fn converse(mut stream: UnixStream, request: &Request) -> io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    stream.shutdown(Shutdown::Write)?;
    let mut reply = Vec::new();
    stream.take(REPLY_SIZE_MAX).read_to_end(&mut reply)?;
    if reply.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(reply)
}

/// The innermost place on the way that can be seen, and whose it is.
fn owner(path: &Path) -> Option<(PathBuf, u32)> {
    path.ancestors().find_map(|place| Some((place.to_owned(), fs::metadata(place).ok()?.uid())))
}
