//! Reading a page over HTTP, and the text format of Prometheus in it.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest answer, bytes.
const LONGEST: u64 = 64 << 20;

/// The body of a page of `host:port`.
///
/// # Errors
///
/// No answer in time, or one with another status than 200.
pub async fn get(address: &str, path: &str, token: Option<&str>) -> io::Result<String> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        let login = token.map_or(String::new(), |token| {
            format!("Authorization: Bearer {token}\r\n")
        });
        // HTTP/1.0, so that the body is as it is and ends with the connection.
        let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n{login}\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(LONGEST).read_to_end(&mut answer).await?;
        Ok::<_, io::Error>(answer)
    };
    let answer = tokio::time::timeout(PATIENCE, exchange).await;
    let answer = answer.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text
        .split_once("\r\n\r\n")
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    match head.split(' ').nth(1) {
        Some("200") => Ok(body.to_owned()),
        status => Err(io::Error::other(format!(
            "{address}{path} answers {}",
            status.unwrap_or("nothing")
        ))),
    }
}

/// One value of a page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample<'a> {
    /// The name of the metric.
    pub name: &'a str,
    /// Its labels as they are written, without the braces.
    pub labels: &'a str,
    /// Its value.
    pub value: f64,
}

impl Sample<'_> {
    /// The value of a label, as it is written.
    pub fn label(&self, name: &str) -> Option<&str> {
        let rest = self
            .labels
            .split(',')
            .find_map(|pair| pair.strip_prefix(name)?.strip_prefix("=\""));
        rest?.strip_suffix('"')
    }
}

/// The values of a page. Lines that are none are skipped.
pub fn samples(text: &str) -> impl Iterator<Item = Sample<'_>> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (name, labels) = match series.split_once('{') {
                Some((name, labels)) => (name, labels.strip_suffix('}')?),
                None => (series, ""),
            };
            let value = value.parse().ok()?;
            Some(Sample {
                name,
                labels,
                value,
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_with_their_labels() {
        let text = "# HELP a b\na 1\nb{operator=\"Person\",thread=\"0\"} 2.5\nnonsense\nc{x=\"1 2\"} 3e2\n";
        let found: Vec<Sample<'_>> = samples(text).collect();
        assert_eq!(found.len(), 3);
        assert_eq!((found[0].name, found[0].value), ("a", 1.0));
        assert_eq!(
            (found[1].label("operator"), found[1].label("thread")),
            (Some("Person"), Some("0"))
        );
        assert_eq!((found[1].label("x"), found[2].value), (None, 300.0));
    }
}
