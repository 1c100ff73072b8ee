//! `tributary receipt`: verifies the receipt of a rights request with the public
//! key of the brand, as a data subject, an auditor or an authority does. It reads
//! no secret and asks nobody.

use std::io::Read;
use std::path::Path;

use anyhow::Context;
use jiff::Timestamp;
use tributary_connectors::terminal;
use tributary_rights::PublicKey;
use tributary_rights::audit::summary;
use tributary_rights::receipt::{Receipt, verify_receipt};

use crate::cli::args::ReceiptCommand;

/// Largest file that is read: a receipt has fewer than a thousand bytes.
const MOST: u64 = 65_536;

/// Executes the command.
///
/// # Errors
///
/// A file that cannot be read, a key that is none, or a receipt that was changed
/// or signed with another key.
pub fn command(command: &ReceiptCommand) -> anyhow::Result<()> {
    let ReceiptCommand::Verify { file, key, json } = command;
    let name = key.display();
    let keys = PublicKey::read_pem(&read(key)?).with_context(|| format!("{name}"))?;
    let receipt = verify_receipt(read(file)?.as_bytes(), &keys)
        .with_context(|| format!("{}", file.display()))?;
    match json {
        true => terminal::print_line(receipt.to_json())?,
        false => terminal::print_line(text(&receipt))?,
    }
    Ok(())
}

/// Reads a small text file; `-` is standard input.
///
/// # Errors
///
/// A file that cannot be read, or is not text.
fn read(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = match path == Path::new("-") {
        true => std::io::stdin().take(MOST).read_to_string(&mut text),
        false => {
            std::fs::File::open(path).and_then(|file| file.take(MOST).read_to_string(&mut text))
        }
    };
    read.with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text)
}

/// The content of a verified receipt in words.
fn text(receipt: &Receipt) -> String {
    let time = |at: i64| match Timestamp::from_millisecond(at) {
        Ok(at) => at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        Err(_) => format!("{at} ms"),
    };
    let mut lines = vec![
        "the signature is valid".to_owned(),
        format!("  brand      {}", receipt.brand),
        format!("  request    {}", receipt.request.expose()),
        format!("  type       {}", receipt.right.name()),
        format!("  received   {}", time(receipt.received)),
        format!("  completed  {}", time(receipt.completed)),
        format!("  touched    {}", summary(&receipt.counts)),
        format!("  audit log  {}:{}", receipt.audit.seq, receipt.audit.hash),
    ];
    if let Some(answer) = receipt.answer {
        lines.push(format!("  answer     SHA-256 {answer}, as it was sealed"));
    }
    lines.join("\n")
}
