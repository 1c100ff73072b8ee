//! Answers in several messages, so that an answer may exceed the maximum
//! payload of the broker.
//!
//! The answer is the concatenation of the payloads. Every part has its number,
//! from 1, in the header [`PART`], and the last one has [`LAST`]: a client
//! notices a gap, and never takes half an answer for all of it. Parts end at
//! line ends, unless a single line is larger than a message.

use async_nats::service::Request;
use async_nats::{Client, HeaderMap};

/// Header with the number of a part, from 1.
pub const PART: &str = "Tributary-Part";

/// Header of the last part, with the value `true`.
pub const LAST: &str = "Tributary-Last";

/// Bytes reserved for the headers of a part.
const HEADERS: usize = 128;

/// Maximum size of a part in bytes, whatever the broker permits: large messages
/// delay the small ones behind them.
const LARGEST: usize = 1 << 20;

/// Divides an answer into parts of at most `room` bytes. There is always one
/// part, possibly empty.
pub fn split(answer: &[u8], room: usize) -> Vec<&[u8]> {
    let room = room.max(1);
    let mut parts = Vec::new();
    let mut rest = answer;
    while rest.len() > room {
        let (head, _) = rest.split_at(room);
        let end = head
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(room, |at| at + 1);
        let (part, behind) = rest.split_at(end);
        parts.push(part);
        rest = behind;
    }
    parts.push(rest);
    parts
}

/// Sends an answer to the client.
pub(super) async fn send(
    client: &Client,
    request: &Request,
    answer: &[u8],
) -> Result<(), async_nats::PublishError> {
    let Some(reply) = request.message.reply.clone() else {
        return Ok(());
    };
    let room = client.max_payload().min(LARGEST).saturating_sub(HEADERS);
    let parts = split(answer, room);
    let count = parts.len();
    for (at, part) in parts.into_iter().enumerate() {
        let mut headers = HeaderMap::new();
        headers.insert(PART, (at + 1).to_string());
        if at + 1 < count {
            client
                .publish_with_headers(reply.clone(), headers, part.to_vec().into())
                .await?;
        } else {
            headers.insert(LAST, "true");
            // The last part goes through micro, which counts the request once.
            request
                .respond_with_headers(Ok(part.to_vec().into()), headers)
                .await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(answer: &str, room: usize) -> Vec<&str> {
        split(answer.as_bytes(), room)
            .into_iter()
            .map(|part| std::str::from_utf8(part).unwrap())
            .collect()
    }

    #[test]
    fn parts_end_at_line_ends_where_they_can() {
        assert_eq!(texts("", 4), [""]);
        assert_eq!(texts("ab\n", 4), ["ab\n"]);
        assert_eq!(texts("ab\ncd\nef\n", 6), ["ab\ncd\n", "ef\n"]);
        assert_eq!(texts("ab\ncd\nef\n", 5), ["ab\n", "cd\n", "ef\n"]);
        assert_eq!(texts("abcdefgh\nij\n", 4), ["abcd", "efgh", "\nij\n"]);
    }

    #[test]
    fn nothing_is_lost_and_nothing_is_too_large() {
        let answer: String = (0..200)
            .map(|n| format!("{}\n", "x".repeat(n % 37)))
            .collect();
        for room in 0..80 {
            let parts = texts(&answer, room);
            assert_eq!(parts.concat(), answer);
            assert!(parts.iter().all(|part| part.len() <= room.max(1)));
        }
    }
}
