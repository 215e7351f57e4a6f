//! As much HTTP/1.1 as it takes to be read: GET and HEAD, one request for each connection, no request body.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The request line and the headers may be this long together.
const HEAD_MAX: usize = 8 * 1024;

/// There may be so many headers.
const HEADERS_MAX: usize = 64;

/// A request that is understood.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Request {
    /// Without what follows a question mark.
    pub(super) path: String,
    /// GET, and not HEAD.
    pub(super) wants_body: bool,
}

/// What is answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Response {
    pub(super) status: &'static str,
    pub(super) kind: &'static str,
    pub(super) body: String,
}

impl Response {
    pub(super) fn ok(body: String) -> Self {
        Self::new("200 OK", body)
    }

    pub(super) fn unavailable(body: String) -> Self {
        Self::new("503 Service Unavailable", body)
    }

    pub(super) fn not_found() -> Self {
        Self::new("404 Not Found", "there are /livez, /readyz, /metrics and /plugins\n".to_owned())
    }

    fn new(status: &'static str, body: String) -> Self {
        Self { status, kind: "text/plain; charset=utf-8", body }
    }
}

/// Reads a request, or says how to refuse it; none if there is none.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Result<Request, Response>>> {
    let mut head = Vec::with_capacity(1024);
    let mut limited = stream.take(HEAD_MAX as u64);
    while limited.read_buf(&mut head).await? > 0 {
        if let Some(request) = parse(&head) {
            return Ok(Some(request));
        }
    }
    if head.len() < HEAD_MAX {
        return Ok(None);
    }
    let refusal = format!("a request may have {HEAD_MAX} bytes before its body\n");
    Ok(Some(Err(Response::new("431 Request Header Fields Too Large", refusal))))
}

/// None while it is not complete.
fn parse(head: &[u8]) -> Option<Result<Request, Response>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(httparse::Status::Partial) => return None,
        Ok(httparse::Status::Complete(_)) => {}
        Err(error) => return Some(Err(Response::new("400 Bad Request", format!("{error}\n")))),
    }
    let wants_body = match request.method {
        Some("GET") => true,
        Some("HEAD") => false,
        _ => return Some(Err(Response::new("405 Method Not Allowed", "only GET and HEAD\n".to_owned()))),
    };
    let path = request.path.unwrap_or_default();
    let path = path.split_once('?').map_or(path, |(path, _)| path).to_owned();
    Some(Ok(Request { path, wants_body }))
}

/// Writes an answer, and says that no other follows.
pub(super) async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    response: &Response,
    with_body: bool,
) -> io::Result<()> {
    let Response { status, kind, body } = response;
    let length = body.len();
    let mut bytes = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nCache-Control: no-store\r\n\
         Allow: GET, HEAD\r\nConnection: close\r\n\r\n"
    );
    if with_body {
        bytes.push_str(body);
    }
    stream.write_all(bytes.as_bytes()).await?;
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(head: &str) -> Option<Result<(String, bool), &'static str>> {
        let parsed = parse(head.as_bytes())?;
        Some(parsed.map(|request| (request.path, request.wants_body)).map_err(|refusal| refusal.status))
    }

    #[test]
    fn a_request_is_understood_when_it_is_complete() {
        let head = "GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\n";

        assert!((0..head.len()).all(|end| parsed(&head[..end]).is_none()));
        assert_eq!(parsed(head), Some(Ok(("/metrics".to_owned(), true))));
        assert_eq!(parsed("HEAD /livez HTTP/1.0\r\n\r\n"), Some(Ok(("/livez".to_owned(), false))));
    }

    #[test]
    fn what_is_no_question_is_refused() {
        assert_eq!(parsed("POST /metrics HTTP/1.1\r\n\r\n"), Some(Err("405 Method Not Allowed")));
        assert_eq!(parsed("\0\0\0\u{1}"), Some(Err("400 Bad Request")));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(HEADERS_MAX + 1));
        assert_eq!(parsed(&many), Some(Err("400 Bad Request")));
    }
}
