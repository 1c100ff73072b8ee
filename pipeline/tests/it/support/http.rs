//! Requests with bodies of bytes to a server of this machine.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A response.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    /// The head, in lower case.
    pub head: String,
    pub body: String,
}

impl Response {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// Sends a request such as `POST /path`; `headers` are lines without ends. None without a complete response.
pub async fn send(
    address: SocketAddr,
    line: &str,
    headers: &[&str],
    body: &[u8],
) -> Option<Response> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let mut head = format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    let is_chunked = headers
        .iter()
        .any(|line| line.starts_with("Transfer-Encoding"));
    let has_length = headers
        .iter()
        .any(|line| line.starts_with("Content-Length"));
    if !is_chunked && !has_length {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    for line in headers {
        head += line;
        head += "\r\n";
    }
    stream.write_all((head + "\r\n").as_bytes()).await.ok()?;
    // A server that refuses a body closes the connection before it has read all of it.
    let _ = stream.write_all(body).await;
    let mut answer = Vec::new();
    let mut part = [0; 8192];
    while let Ok(read @ 1..) = stream.read(&mut part).await {
        answer.extend_from_slice(part.get(..read)?);
    }
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n")?;
    Some(Response {
        status: head.split(' ').nth(1)?.parse().ok()?,
        head: head.to_lowercase(),
        body: body.to_owned(),
    })
}
