//! `tributary rights`: submits a data subject's request, and waits until it is
//! answered; or lists the requests of a brand ([`list`]).
//!
//! The request stays at the broker until a worker has answered it. The command
//! may therefore be interrupted and run again with the same `--id`: the request
//! is executed once. The answer to `access` and `portability` is sealed for a
//! key that is generated here, used once, and never written anywhere; or for the
//! recipient of age that the request names, and is then written as it is sealed.

mod html;
mod list;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use async_nats::jetstream;
use bytes::Bytes;
use futures::StreamExt;
use serde_json::{Map, Value, json};
use tokio::time::timeout;
use tributary_connectors::nats::{self, Client, Reader, subject as subjects};
use tributary_connectors::output_files::{Contents, OutputFile, OutputFiles};
use tributary_connectors::terminal;
use tributary_rights::audit::summary;
use tributary_rights::receipt::{Receipt, ReceiptError, read_unverified, verify_receipt};
use tributary_rights::request::{Request, RequestBody};
use tributary_rights::sealed::{KeyPair, ReplyKey};
use tributary_rights::{Counts, Hash, PublicKey};

use crate::cli::args as cli;
use crate::privacy::rights::files;
use crate::serve::services::Topic;
use crate::serve::services::client::{Asker, ask};

/// Time without a status after which the command reports that it waits.
const LOOK: Duration = Duration::from_secs(5);

/// Why an answer without a receipt is refused: sealing does not tell who has sealed it.
const NO_RECEIPT: &str = "the broker has no receipt of this request, so that nobody vouches for the answer: \
                          send the request again with another --id";

/// Executes the command.
///
/// # Errors
///
/// An invalid or rejected request, or a broker that does not store it.
pub async fn command(command: &cli::RightsCommand) -> anyhow::Result<()> {
    match (&command.action, &command.request) {
        (Some(action), _) => list::command(action).await,
        (None, Some(request)) => submit(request).await,
        (None, None) => bail!("name the type of request, or one of list, show and export"),
    }
}

/// Submits a request and waits until it is answered.
///
/// # Errors
///
/// An invalid or rejected request, or a broker that does not store it.
pub async fn submit(args: &cli::Rights) -> anyhow::Result<()> {
    let asker = Asker::load(&args.config, args.brand.as_deref())?;
    // An answer comes once: where it cannot be written is said before it is asked for.
    let read = [
        Some(&args.config),
        args.request.as_ref(),
        args.record.as_ref(),
    ];
    let mut outputs = OutputFiles::new(read.into_iter().flatten().cloned().collect(), args.force);
    let mut output = |path: &Option<PathBuf>| match path {
        Some(path) => outputs.private(path, Contents::Nothing).map(Some),
        None => Ok(None),
    };
    let out = output(&args.out)?;
    let proof = output(&args.receipt)?;
    let brand = asker.name.clone();
    let keys = match &args.key {
        Some(file) => read_keys(file)?,
        None if asker.is_client() => Vec::new(),
        None => files::keys(asker.brand()?).public_keys().cloned().collect(),
    };
    let pair = KeyPair::generate();
    let (id, request) = request(args, &brand, &pair)?;
    // What a worker would refuse is refused before it leaves.
    let parsed = match Request::parse(request.as_bytes(), Some(&brand), &|name| name == brand) {
        Ok(parsed) => parsed,
        Err(refusal) => bail!("{} ({})", refusal.detail, refusal.reason.name()),
    };
    let reply_key = match parsed.asked {
        RequestBody::Access(key) | RequestBody::Portability(key) => Some(key),
        _ => None,
    };
    if reply_key.is_some_and(|key| key != pair.public()) && out.is_none() {
        bail!(
            "the request names a key that this command does not have: name a file for the sealed answer with --out"
        );
    }
    let client = nats::connect(&asker.nats, "tributary rights").await?;
    if asker.is_client() {
        let files = (out.as_ref(), proof.as_ref());
        let keys = (&pair, reply_key, keys.as_slice());
        return of_brand(args, &client, &brand, keys, (id, request), files).await;
    }
    nats::ensure_rights_stream(&client, &asker.nats).await?;
    let stream = asker.nats.rights_stream.clone();
    let sent = jetstream::new(client.clone())
        .publish(subjects::rights_requests(&brand), request.into())
        .await
        .context("the broker did not accept the request")?
        .await
        .context("the broker did not accept the request")?;
    if args.no_wait {
        say(args, &json!({"id": id, "brand": brand, "status": "sent"}))?;
        return Ok(());
    }
    let status = wait(args, &client, &stream, &brand, &id, sent.sequence).await?;
    match status["status"].as_str() {
        Some("completed") => {}
        _ => bail!("the request was rejected: {}", why(&status)),
    }
    let subject = subjects::rights_receipt(&brand);
    let mut search = ReceiptSearch::new(&id, &keys);
    // A request that was completed before has had its receipt then.
    for from in [sent.sequence, 1] {
        let mut reader = Reader::filtered(&client, &stream, &subject, from).await?;
        if read_receipt(&mut reader, &mut search).await? {
            break;
        }
    }
    let found = search.end()?;
    if let Some((_, receipt)) = &found {
        tell_touched(args, receipt);
    }
    let Some(key) = reply_key else {
        return found.map_or(Ok(()), |(text, _)| write(out.as_ref(), text.as_bytes()));
    };
    let (text, receipt) = found.context(NO_RECEIPT)?;
    let subject = subjects::rights_answer(&brand, key.as_bytes());
    let sealed = fetch(&client, &stream, &subject).await?;
    refuse_other_answer(&receipt, Hash::sha256(&sealed))?;
    write_receipt(proof.as_ref(), Some(&text))?;
    if key != pair.public() {
        return write(out.as_ref(), &sealed);
    }
    let answer = pair.open(&sealed)?;
    let answer = checked(&answer, &brand, &id, &args.right)?;
    let is_page = args.out.as_deref().is_some_and(list::is_html);
    let page = match is_page {
        true => Some(html::page(answer).context("the answer is not what a worker writes")?),
        false => None,
    };
    write(
        out.as_ref(),
        page.as_ref().map_or(answer, |page| page.as_bytes()),
    )
}

/// Why a request was rejected: the sentence of the worker with the name of the
/// reason.
fn why(status: &Value) -> String {
    let reason = status["reason"].as_str().unwrap_or("no reason given");
    match status["detail"].as_str() {
        Some(detail) => format!("{detail} ({reason})"),
        None => reason.to_owned(),
    }
}

/// Prints what a request has touched, according to its receipt.
fn tell_touched(args: &cli::Rights, receipt: &Receipt) {
    match summary(&receipt.counts) {
        _ if args.json => {}
        nothing if receipt.counts == Counts::default() => terminal::note(nothing),
        touched => terminal::note(format_args!("touched {touched}")),
    }
}

/// Submits a request with the credentials of a brand, which reach no stream: what
/// is published about the request is subscribed to before it is submitted.
///
/// # Errors
///
/// A request that a worker rejects, or a broker that closes the connection.
async fn of_brand(
    args: &cli::Rights,
    client: &Client,
    brand: &str,
    (pair, reply_key, keys): (&KeyPair, Option<ReplyKey>, &[PublicKey]),
    (id, request): (String, String),
    (out, proof): (Option<&OutputFile>, Option<&OutputFile>),
) -> anyhow::Result<()> {
    let subscribe = async |subject: String| {
        let subscribed = client.subscribe(subject).await;
        subscribed.context("cannot subscribe to the status of the request")
    };
    let mut statuses = subscribe(subjects::rights_status(brand)).await?;
    let mut answers = subscribe(subjects::rights_answer(
        brand,
        reply_key.unwrap_or(pair.public()).as_bytes(),
    ))
    .await?;
    let mut receipts = subscribe(subjects::rights_receipt(brand)).await?;
    ask(client, Topic::Rights, brand, request).await?;
    if args.no_wait {
        return Ok(say(
            args,
            &json!({"id": id, "brand": brand, "status": "sent"}),
        )?);
    }
    let lost = "the connection to the broker was closed";
    let status = loop {
        let message = statuses.next().await.context(lost)?;
        let status: Value = serde_json::from_slice(&message.payload).unwrap_or_default();
        if status["id"] != json!(id) {
            continue;
        }
        say(args, &status)?;
        if matches!(status["status"].as_str(), Some("completed" | "rejected")) {
            break status;
        }
    };
    if status["status"] != "completed" {
        bail!("the request was rejected: {}", why(&status));
    }
    // A request that was completed before has had its receipt.
    let mut search = ReceiptSearch::new(&id, keys);
    while let Ok(Some(message)) = timeout(LOOK, receipts.next()).await {
        if search.look(&message.payload) {
            break;
        }
    }
    let found = search.end()?;
    if let Some((_, receipt)) = &found {
        if keys.is_empty() {
            terminal::note(
                "the receipt was not verified: ask the operator for the brand's public key, and name it with --key",
            );
        }
        tell_touched(args, receipt);
    }
    let Some(key) = reply_key else {
        return found.map_or(Ok(()), |(text, _)| write(out, text.as_bytes()));
    };
    let answer = timeout(LOOK, answers.next()).await.ok().flatten();
    let answer =
        answer.context("the answer did not arrive: send the request again with another --id")?;
    let (_, receipt) = found.as_ref().context(NO_RECEIPT)?;
    refuse_other_answer(receipt, Hash::sha256(&answer.payload))?;
    write_receipt(proof, found.as_ref().map(|(text, _)| text.as_str()))?;
    if key != pair.public() {
        return write(out, &answer.payload);
    }
    let answer = pair.open(&answer.payload)?;
    write(out, checked(&answer, brand, &id, &args.right)?)
}

/// An answer without its padding, if it is that of the request.
///
/// # Errors
///
/// The answer to another request: sealing does not tell who has sealed it.
fn checked<'a>(answer: &'a [u8], brand: &str, id: &str, right: &str) -> anyhow::Result<&'a [u8]> {
    #[derive(serde::Deserialize)]
    struct Bound<'a> {
        #[serde(borrow)]
        brand: std::borrow::Cow<'a, str>,
        #[serde(borrow)]
        request: std::borrow::Cow<'a, str>,
        #[serde(rename = "type", borrow)]
        right: std::borrow::Cow<'a, str>,
    }
    let bound: Option<Bound<'_>> = serde_json::from_slice(answer).ok();
    match bound {
        Some(bound) if bound.brand == brand && bound.request == id && bound.right == right => {
            Ok(answer.trim_ascii_end())
        }
        _ => bail!(
            "the answer is not that of this request: somebody may have replaced it at the broker; send the request again with another --id"
        ),
    }
}

/// The search for the receipt of a request.
struct ReceiptSearch<'a> {
    /// The ID of the request.
    id: &'a str,
    /// The keys, one of which must have signed it; empty if none is known.
    keys: &'a [PublicKey],
    /// Text and content.
    found: Option<(String, Receipt)>,
    /// What is wrong with another one: whoever may write there could send one as well.
    wrong: Option<ReceiptError>,
}

impl<'a> ReceiptSearch<'a> {
    fn new(id: &'a str, keys: &'a [PublicKey]) -> ReceiptSearch<'a> {
        ReceiptSearch {
            id,
            keys,
            found: None,
            wrong: None,
        }
    }

    /// Looks at a message. Returns whether it is the receipt.
    fn look(&mut self, payload: &[u8]) -> bool {
        let receipt = read_unverified(payload);
        let receipt = receipt.filter(|receipt| receipt.request.expose() == self.id);
        let (Some(receipt), Ok(text)) = (receipt, std::str::from_utf8(payload)) else {
            return false;
        };
        let verified = match self.keys {
            [] => Ok(receipt),
            keys => verify_receipt(payload, keys),
        };
        match verified {
            Ok(receipt) => self.found = Some((text.to_owned(), receipt)),
            Err(error) => self.wrong = Some(error),
        }
        self.found.is_some()
    }

    /// What was found.
    ///
    /// # Errors
    ///
    /// Nothing but receipts that somebody else has signed, or that were changed.
    fn end(self) -> anyhow::Result<Option<(String, Receipt)>> {
        match (self.found, self.wrong) {
            (None, Some(wrong)) => Err(wrong)
                .context("the receipt of this request was not signed with the brand's key"),
            (found, _) => Ok(found),
        }
    }
}

/// Reads public keys from a PEM file.
///
/// # Errors
///
/// A file that cannot be read, or holds no public key.
fn read_keys(file: &Path) -> anyhow::Result<Vec<PublicKey>> {
    let text = std::fs::read_to_string(file);
    let text = text.with_context(|| format!("cannot read --key {}", file.display()))?;
    PublicKey::read_pem(&text).with_context(|| format!("--key {}", file.display()))
}

/// Refuses a sealed answer other than the one that the receipt names.
///
/// # Errors
///
/// Another answer.
fn refuse_other_answer(receipt: &Receipt, answer: Hash) -> anyhow::Result<()> {
    if receipt.answer != Some(answer) {
        bail!(
            "the answer is not the one that its receipt names: somebody may have replaced it at the broker; \
             send the request again with another --id"
        );
    }
    Ok(())
}

/// Writes a receipt to the file of `--receipt`.
///
/// # Errors
///
/// A file that cannot be written, or no receipt to write.
fn write_receipt(file: Option<&OutputFile>, receipt: Option<&str>) -> anyhow::Result<()> {
    let Some(file) = file else {
        return Ok(());
    };
    let receipt = receipt.context(
        "there is no receipt to write: the request was completed before, and its receipt was published then",
    )?;
    write(Some(file), receipt.as_bytes())
}

/// ID and JSON of the request, from a file and the options.
///
/// # Errors
///
/// A file that cannot be read or is not JSON, or an identifier that is not
/// `KIND=VALUE`.
fn request(args: &cli::Rights, brand: &str, pair: &KeyPair) -> anyhow::Result<(String, String)> {
    let mut request = match args.request.as_deref() {
        Some(file) => {
            let mut text = zeroize::Zeroizing::new(String::new());
            if file == Path::new("-") {
                std::io::stdin().read_to_string(&mut text)
            } else {
                std::fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text))
            }
            .with_context(|| format!("cannot read the request from {}", file.display()))?;
            serde_json::from_str::<Map<String, Value>>(&text)
                .context("the request is not a JSON object")?
        }
        None => Map::new(),
    };
    let now = jiff::Timestamp::now();
    let drawn = format!("{:032x}", rand::random::<u128>());
    let mut default = |key: &str, value: Value| {
        request.entry(key.to_owned()).or_insert(value);
    };
    default("id", json!(args.id.clone().unwrap_or(drawn)));
    default("ts", json!(now.as_millisecond()));
    default("type", json!(args.right));
    default("brand", json!(brand));
    let mut identifiers = Vec::new();
    for text in &args.identifiers {
        let Some((kind, value)) = text.split_once('=') else {
            bail!("an identifier must be KIND=VALUE, such as email=a@b.example");
        };
        identifiers.push(match kind {
            "name_postcode" => {
                let parts: Vec<&str> = value.split('/').collect();
                let [first, last, postcode] = parts[..] else {
                    bail!("name_postcode must be FIRST/LAST/POSTCODE");
                };
                json!({"kind": kind, "first_name": first, "last_name": last, "postcode": postcode})
            }
            _ => json!({"kind": kind, "value": value}),
        });
    }
    if !identifiers.is_empty() {
        default("identifiers", Value::Array(identifiers));
    }
    if args.whole_person {
        default("whole_person", json!(true));
    }
    if let Some(proof) = &args.proof {
        default("proof", json!(proof));
    }
    if matches!(args.right.as_str(), "access" | "portability") {
        let key = args.reply_key.clone();
        default(
            "reply_key",
            json!(key.unwrap_or_else(|| pair.public().to_string())),
        );
    }
    if let Some(action) = &args.directive {
        default(
            "directive",
            json!({"action": action, "notice": args.notice}),
        );
    } else if args.notice {
        default("directive", json!({"action": "erase", "notice": true}));
    }
    if let Some(file) = &args.record {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read the record from {}", file.display()))?;
        let data: Value = serde_json::from_str(&text).context("the record is not JSON")?;
        let source = args.source.clone().unwrap_or_else(|| args.kind.clone());
        default(
            "record",
            json!({"kind": args.kind, "source": source, "data": data}),
        );
    }
    let id = request
        .get("id")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    Ok((id, Value::Object(request).to_string()))
}

/// Waits for the final status of a request, and prints each status.
///
/// # Errors
///
/// A broker that does not answer. There is no time limit.
async fn wait(
    args: &cli::Rights,
    client: &Client,
    stream: &str,
    brand: &str,
    id: &str,
    from: u64,
) -> anyhow::Result<Value> {
    let subject = subjects::rights_status(brand);
    let mut reader = Reader::filtered(client, stream, &subject, from).await?;
    let mut silent = true;
    loop {
        let batch = reader.next_batch(1_000, LOOK).await?;
        if batch.is_empty() && silent {
            terminal::note(format_args!(
                "waiting for a worker of {brand}: the request stays at the broker until a worker answers it"
            ));
            silent = false;
        }
        for message in batch {
            let Ok(status) = serde_json::from_slice::<Value>(&message.payload) else {
                continue;
            };
            if status["id"] != json!(id) {
                continue;
            }
            say(args, &status)?;
            if matches!(status["status"].as_str(), Some("completed" | "rejected")) {
                return Ok(status);
            }
        }
    }
}

/// Prints a status.
fn say(args: &cli::Rights, status: &Value) -> std::io::Result<()> {
    if args.json {
        return terminal::print_line(status);
    }
    let status = status["status"].as_str().unwrap_or_default();
    terminal::note(status.replace('_', " "));
    Ok(())
}

/// Fetches the sealed answer, and deletes it from the broker.
///
/// # Errors
///
/// An answer that has expired.
async fn fetch(client: &Client, stream: &str, subject: &str) -> anyhow::Result<Bytes> {
    let mut last = nats::last_values(client, stream, subject).await?;
    let batch = last.next_batch(1).await?;
    let message = batch
        .first()
        .context("the answer has expired: send the request again with another --id")?;
    nats::delete_message(client, stream, message.sequence).await?;
    Ok(message.payload.clone())
}

/// Reads receipts until the one that is searched for, or their end. Returns whether it
/// was found.
///
/// # Errors
///
/// A broker that does not answer.
async fn read_receipt(reader: &mut Reader, search: &mut ReceiptSearch<'_>) -> anyhow::Result<bool> {
    loop {
        let batch = reader.next_batch(1_000, Duration::from_millis(500)).await?;
        if batch.iter().any(|message| search.look(&message.payload)) {
            return Ok(true);
        }
        if batch.is_empty() {
            return Ok(false);
        }
    }
}

/// Writes an answer to a file that only its owner can read, or to standard
/// output.
fn write(out: Option<&OutputFile>, answer: &[u8]) -> anyhow::Result<()> {
    let Some(file) = out else {
        let mut out = terminal::stdout();
        out.write_all(answer)?;
        writeln!(out)?;
        return Ok(out.flush()?);
    };
    file.write(|out| -> anyhow::Result<()> {
        out.write_all(answer)
            .with_context(|| format!("cannot write {}", file.path().display()))
    })
}

#[cfg(test)]
mod tests {
    use tributary_rights::{Head, RequestId, Right};

    use super::*;

    #[test]
    fn an_answer_is_taken_for_its_own_request_alone() {
        let answer =
            br#"{"brand":"acme","recipients":[],"records":[],"request":"r-1","type":"access"}   "#;
        let taken = checked(answer, "acme", "r-1", "access").unwrap();
        assert_eq!(taken, answer.trim_ascii_end());
        for (brand, id, right) in [
            ("zeta", "r-1", "access"),
            ("acme", "r-2", "access"),
            ("acme", "r-1", "portability"),
        ] {
            let error = checked(answer, brand, id, right).unwrap_err();
            assert!(error.to_string().contains("not that of this request"));
        }
        assert!(checked(b"{}", "acme", "r-1", "access").is_err());
    }

    #[test]
    fn a_sealed_answer_is_the_one_that_the_receipt_names() {
        let named = Hash::sha256(b"sealed");
        let mut receipt = Receipt {
            request: RequestId::read("r-1").unwrap(),
            brand: "acme".to_owned(),
            right: Right::Access,
            received: 1,
            completed: 2,
            counts: Counts::default(),
            audit: Head::new(1, [7; 32]),
            answer: Some(named),
        };
        assert!(refuse_other_answer(&receipt, named).is_ok());
        assert!(refuse_other_answer(&receipt, Hash::sha256(b"another")).is_err());
        receipt.answer = None;
        assert!(refuse_other_answer(&receipt, named).is_err());
    }
}
