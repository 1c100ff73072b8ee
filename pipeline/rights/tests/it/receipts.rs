//! A receipt proves to anybody with the public key what the operator has stated; a changed one proves nothing, and an
//! older secret signs none that verifies under the newest key. Programs that are not ours come to the same result.

use std::path::Path;
use std::process::{Command, Output};

use crate::common::*;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use tributary_rights::audit::{AuditLog, Event, verify};
use tributary_rights::receipt::{Receipt, ReceiptError, read_unverified, verify_receipt};
use tributary_rights::{BrandKeys, Counts, Hash, KeyError, PublicKey};
use tributary_testkit::skipped;

fn completed(keys: &BrandKeys, directory: &Path) -> Receipt {
    let erase = parse(&request("erase")).unwrap();
    let mut log = AuditLog::open(directory, keys).unwrap().log;
    let (key, right) = (keys.request(&erase.id), erase.asked.right());
    let content = erase.fingerprint(keys);
    let counts = Counts {
        records: 3,
        ledger_entries: 5,
        raw_messages: 2,
        dead_letters: 1,
        cells: 17,
        suppressions: 0,
        not_overwritten: 0,
    };
    let answer = Some(Hash::sha256(b"sealed"));
    log.append(AT, key, right, Event::Received { content })
        .unwrap();
    log.append(AT + 1, key, right, Event::Started).unwrap();
    let audit = log
        .append(AT + 2, key, right, Event::Completed { counts, answer })
        .unwrap();
    assert_eq!(log.find(key).unwrap().answer, answer);
    Receipt {
        request: erase.id,
        brand: "acme".to_owned(),
        right,
        received: AT,
        completed: AT + 2,
        counts,
        audit,
        answer,
    }
}

#[test]
fn a_receipt_is_verified_without_a_secret_and_holds_the_log_to_what_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let keys = keys("acme");
    let receipt = completed(&keys, directory.path());
    let signed = receipt.to_jws(&keys);
    // What a verifier has: a file.
    let pem = keys.signing_key().to_pem();
    let public = PublicKey::read_pem(&pem).unwrap();
    let read = verify_receipt(format!("{signed}\n").as_bytes(), &public).unwrap();
    assert_eq!(read, receipt);
    assert_eq!(read_unverified(signed.as_bytes()), Some(receipt));
    assert_nothing_personal(&format!("{read:?}"));
    let value: Value = serde_json::from_str(&read.to_json()).unwrap();
    assert_eq!(value.to_string(), read.to_json(), "keys are sorted");
    assert_eq!(value["counts"]["cells"], 17);
    assert_eq!(
        (&value["request"], &value["type"]),
        (&"r-117".into(), &"erase".into())
    );
    let path = directory.path().join("acme.jsonl");
    verify(&path, &keys, Some(read.audit)).unwrap();

    // A log whose end is missing does not contain what the person's receipt names.
    let text = std::fs::read_to_string(&path).unwrap();
    let end = text.trim_end().rfind('\n').unwrap() + 1;
    std::fs::write(&path, &text[..end]).unwrap();
    verify(&path, &keys, None).unwrap();
    assert!(verify(&path, &keys, Some(read.audit)).is_err());
}

/// The receipt with another text in one of its parts.
fn changed(signed: &str, part: usize, from: &str, to: &str) -> String {
    let mut parts: Vec<String> = signed.split('.').map(str::to_owned).collect();
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(&parts[part]).unwrap()).unwrap();
    assert!(text.contains(from), "{text}");
    parts[part] = URL_SAFE_NO_PAD.encode(text.replacen(from, to, 1));
    parts.join(".")
}

#[test]
fn a_changed_one_proves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let keys = keys("acme");
    let signed = completed(&keys, directory.path()).to_jws(&keys);
    let public = [keys.signing_key()];
    for (part, from, to, error) in [
        (
            1,
            "\"records\":3",
            "\"records\":4",
            ReceiptError::WrongSignature,
        ),
        (1, "erase", "object", ReceiptError::WrongSignature),
        (1, "r-117", "r-118", ReceiptError::WrongSignature),
        (1, "acme", "bolt", ReceiptError::WrongSignature),
        (1, "{", "{\"more\":1,", ReceiptError::WrongSignature),
        // A signature that needs no key, and one under which the public key is the secret.
        (0, "EdDSA", "none", ReceiptError::Malformed),
        (0, "EdDSA", "HS256", ReceiptError::Malformed),
        (0, "tributary-receipt", "JWT", ReceiptError::Malformed),
        (0, "{", "{\"crit\":[\"b64\"],", ReceiptError::Malformed),
    ] {
        let changed = changed(&signed, part, from, to);
        let read = verify_receipt(changed.as_bytes(), &public);
        assert_eq!(read, Err(error), "{from}");
    }
    for place in 0..signed.len() {
        let mut changed = signed.clone().into_bytes();
        changed[place] ^= 1;
        let read = verify_receipt(&changed, &public);
        assert!(read.is_err(), "at {place}");
    }
    // Of another brand with the same secret, and of another secret: none of their keys fits.
    for other in [crate::common::keys("bolt"), keys_of("acme", 'x')] {
        let read = verify_receipt(signed.as_bytes(), &[other.signing_key()]);
        assert!(matches!(read, Err(ReceiptError::UnknownKey(_))), "{read:?}");
    }
}

#[test]
fn after_a_rotation_the_older_secret_signs_nothing_that_counts() {
    let directory = tempfile::tempdir().unwrap();
    let old = keys("acme");
    let receipt = completed(&old, directory.path());
    let before = receipt.to_jws(&old);
    let new = keys("acme").with_newer_secret(&secret('n'));
    let newest = [new.signing_key()];
    let after = receipt.to_jws(&new);
    verify_receipt(after.as_bytes(), &newest).unwrap();
    // The thief of the old secret signs: the newest key refuses, and the brand's own list tells the two apart.
    let forged = verify_receipt(before.as_bytes(), &newest);
    assert!(matches!(forged, Err(ReceiptError::UnknownKey(_))));
    let all: Vec<PublicKey> = new.public_keys().cloned().collect();
    assert_eq!(all, [new.signing_key(), old.signing_key()]);
    verify_receipt(before.as_bytes(), &all).unwrap();
    assert!(!newest[0].to_pem().contains(&old.signing_key().to_pem()));
}

#[test]
fn a_file_of_keys_is_read_or_refused() {
    let keys = keys("acme").with_newer_secret(&secret('n'));
    let pem: Vec<String> = keys.public_keys().map(PublicKey::to_pem).collect();
    let file = format!("acme, from 2025\n{}acme, before\n{}", pem[0], pem[1]);
    let read = PublicKey::read_pem(&file).unwrap();
    assert_eq!(read, keys.public_keys().cloned().collect::<Vec<_>>());
    assert_eq!(PublicKey::read_pem("no key"), Err(KeyError::Missing));
    let rsa = pem[0].replace("MCow", "MIow");
    assert_eq!(PublicKey::read_pem(&rsa), Err(KeyError::NotEd25519));
}

/// Runs a program; `None` if there is none.
fn run(program: &str, directory: &Path, arguments: &[&str]) -> Option<Output> {
    let mut command = Command::new(program);
    command.current_dir(directory).args(arguments).output().ok()
}

#[test]
fn openssl_verifies_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    if run("openssl", path, &["version"]).is_none() {
        return skipped("no openssl on the PATH");
    }
    let keys = keys("acme");
    let signed = completed(&keys, path).to_jws(&keys);
    std::fs::write(path.join("acme.pem"), keys.signing_key().to_pem()).unwrap();
    let verifies = |receipt: &str| {
        let (text, signature) = receipt.rsplit_once('.').unwrap();
        std::fs::write(path.join("signed"), text).unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        std::fs::write(path.join("signature"), signature).unwrap();
        let arguments =
            "pkeyutl -verify -pubin -inkey acme.pem -rawin -in signed -sigfile signature";
        let arguments: Vec<&str> = arguments.split(' ').collect();
        run("openssl", path, &arguments).unwrap().status.success()
    };
    assert!(verifies(&signed));
    assert!(!verifies(&changed(
        &signed,
        1,
        "\"records\":3",
        "\"records\":4"
    )));
}

#[test]
fn a_library_of_others_verifies_it() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let jose = workspace.join("target/tools/jose/node_modules");
    if !jose.is_dir() {
        return skipped("no jose for Node.js: bash .ci/tools.sh jose");
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    std::os::unix::fs::symlink(jose, path.join("node_modules")).unwrap();
    let script = "import { compactVerify, importSPKI, importJWK, calculateJwkThumbprint } from 'jose';\n\
        const [pem, jwk, receipt] = process.argv.slice(2);\n\
        const keys = [await importSPKI(pem, 'EdDSA'), await importJWK(JSON.parse(jwk), 'EdDSA')];\n\
        for (const key of keys) {\n\
          const { payload, protectedHeader } = await compactVerify(receipt, key, { algorithms: ['EdDSA'] });\n\
          const kid = await calculateJwkThumbprint(JSON.parse(jwk));\n\
          if (protectedHeader.kid !== kid) throw new Error('another key ID');\n\
          process.stdout.write(new TextDecoder().decode(payload) + '\\n');\n\
        }\n";
    std::fs::write(path.join("verify.mjs"), script).unwrap();
    let keys = keys("acme");
    let receipt = completed(&keys, path);
    let signed = receipt.to_jws(&keys);
    let public = keys.signing_key();
    let verify = |receipt: &str| {
        let jwk = public.to_jwk().to_string();
        let arguments = ["verify.mjs", &public.to_pem(), &jwk, receipt];
        run("node", path, &arguments).expect("node, which brought jose")
    };
    let verified = verify(&signed);
    let error = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success(), "{error}");
    let json = receipt.to_json();
    assert_eq!(
        String::from_utf8(verified.stdout).unwrap(),
        format!("{json}\n{json}\n")
    );
    let refused = verify(&changed(&signed, 1, "\"records\":3", "\"records\":4"));
    assert!(!refused.status.success());
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("ERR_JWS_SIGNATURE_VERIFICATION_FAILED")
    );
}
