//! What a form showed beside its boxes: the field `evidence` of a consent
//! statement.
//!
//! `evidence` may be any JSON and is kept verbatim. Of an object these members
//! mean something: `notice`, `notice_version`, `language` and `wording` name
//! what a person read, `preticked` and `method` say who ticked. They apply to
//! all boxes; an object `boxes` has those of single boxes, which go before.
//!
//! A wording is a text of up to 64 KiB that many statements share. It is stored
//! once, as the name of a label, for as long as a statement uses it; in the
//! evidence stands its SHA-256 instead.
//!
//! A tick that nobody made (`preticked`, or the methods `implied` and `scroll`)
//! allows nothing (GDPR, recital 32; CJEU C-673/17, *Planet49*).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use data_encoding::HEXLOWER;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use tributary_operators::record::{BoxAnswer, NoticeBox};

use super::fields::Field;
use super::line::Line;
use super::reader::{FieldResult, MAX_LABEL, too_long};
use crate::dead_letter::{Reason, Refusal, Sink};

/// The maximum length of a wording, bytes.
const MAX_WORDING: usize = 65_536;

/// The maximum length of the evidence without its wordings, bytes of JSON.
const MAX_EVIDENCE: usize = 65_536;

/// The maximum length of the field `evidence`, bytes of JSON: a wording may be
/// written with escapes.
const MAX_FIELD: usize = 8 * MAX_WORDING;

/// The methods by which nobody ticks.
const IMPLIED: [&str; 2] = ["implied", "scroll"];

/// The members of an object.
type Members<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// What was shown beside a box.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Shown {
    notice: Option<String>,
    version: Option<String>,
    language: Option<String>,
    wording: Option<String>,
    preticked: Option<bool>,
    method: Option<String>,
}

/// What was shown beside the boxes of a statement.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// The evidence as stored, with hashes for wordings; `None` if absent.
    pub(super) text: Option<Box<RawValue>>,
    /// Beside every box.
    all: Shown,
    /// Beside single boxes.
    of_box: BTreeMap<String, Shown>,
}

impl Evidence {
    /// Reads the field.
    ///
    /// # Errors
    /// `wrong_type` or `text_too_long` for one of its members.
    pub(super) fn read(line: &Line<'_, '_>) -> FieldResult<Evidence> {
        if !line.reader.is_present(Field::Evidence) {
            return Ok(Evidence::default());
        }
        let raw = line.reader.fields.raw(Field::Evidence);
        if raw.len() > MAX_FIELD {
            return Err(too_long(Field::Evidence, MAX_FIELD));
        }
        let mut evidence = Evidence::default();
        let mut text = compact(raw);
        if let Ok(mut members) = serde_json::from_str::<Members<'_>>(raw) {
            let mut hashes = BTreeMap::new();
            evidence.all = Shown::take(&mut members, &mut hashes)?;
            let mut own_boxes = BTreeMap::new();
            if let Some(boxes) = members.get("boxes")
                && let Ok(boxes) =
                    serde_json::from_str::<BTreeMap<String, Members<'_>>>(boxes.get())
            {
                for (name, mut members) in boxes {
                    let mut hashes = BTreeMap::new();
                    let shown = Shown::take(&mut members, &mut hashes)?;
                    own_boxes.insert(name.clone(), object(&members, &hashes));
                    evidence.of_box.insert(name, shown);
                }
            }
            if evidence.has_wording() {
                if !own_boxes.is_empty() {
                    members.remove("boxes");
                    let boxes = own_boxes.iter().map(|(name, text)| (name.as_str(), text));
                    hashes.insert("boxes", join(boxes));
                }
                text = object(&members, &hashes);
            }
        }
        if text.len() > MAX_EVIDENCE {
            return Err(too_long(Field::Evidence, MAX_EVIDENCE));
        }
        evidence.text = RawValue::from_string(text).ok();
        Ok(evidence)
    }

    fn has_wording(&self) -> bool {
        let mut all = self.of_box.values().chain([&self.all]);
        all.any(|shown| shown.wording.is_some())
    }

    /// Whether a tick of a box counts as absent; without a box, whether any
    /// does.
    pub(super) fn is_implied(&self, name: Option<&str>) -> bool {
        match name {
            Some(name) => self.beside(name).is_implied(),
            None => self.all.is_implied() || self.of_box.values().any(Shown::is_implied),
        }
    }

    /// What was shown beside a box.
    fn beside(&self, name: &str) -> Shown {
        let all = self.all.clone();
        let Some(own) = self.of_box.get(name).cloned() else {
            return all;
        };
        Shown {
            notice: own.notice.or(all.notice),
            version: own.version.or(all.version),
            language: own.language.or(all.language),
            wording: own.wording.or(all.wording),
            preticked: own.preticked.or(all.preticked),
            method: own.method.or(all.method),
        }
    }

    /// The boxes with what was shown beside them, with announced labels; `None`
    /// if the evidence says nothing of it.
    pub(super) fn boxes(
        &self,
        line: &mut Line<'_, '_>,
        boxes: &BTreeMap<String, bool>,
        sink: &mut impl Sink,
    ) -> Option<Arc<[NoticeBox]>> {
        let mut all = Vec::new();
        for (name, ticked) in boxes {
            let mut shown = self.beside(name);
            if shown.notice.is_none() {
                let configured = line.brand.boxes.get(name.as_str());
                shown.notice = configured.and_then(|of| of.notice.clone());
            }
            if shown == Shown::default() {
                continue;
            }
            let answer = match (ticked, shown.is_implied()) {
                (false, _) => BoxAnswer::Unticked,
                (true, true) => BoxAnswer::Preticked,
                (true, false) => BoxAnswer::Ticked,
            };
            let mut label =
                |text: Option<&str>| line.labels.announce(text.unwrap_or_default(), sink);
            all.push(NoticeBox {
                name: label(Some(name)),
                answer,
                notice: label(shown.notice.as_deref()),
                version: label(shown.version.as_deref()),
                language: label(shown.language.as_deref()),
                wording: label(shown.wording.as_deref()),
            });
        }
        (!all.is_empty()).then(|| all.into())
    }
}

impl Shown {
    /// Reads the members that mean something. A wording moves out of the members,
    /// and its hash into `hashes`.
    fn take(
        members: &mut Members<'_>,
        hashes: &mut BTreeMap<&'static str, String>,
    ) -> FieldResult<Shown> {
        let text = |members: &Members<'_>, name: &str, limit: usize| {
            let Some(raw) = members.get(name) else {
                return Ok(None);
            };
            let text = match raw.get() {
                "null" => return Ok(None),
                number if number.parse::<i64>().is_ok() => number.to_owned(),
                text => serde_json::from_str(text).map_err(|_| refuse(name, "a string"))?,
            };
            if text.len() > limit {
                let detail = format!("`evidence.{name}` is longer than {limit} bytes");
                return Err(Refusal::new(Reason::TextTooLong, detail));
            }
            Ok(Some(text).filter(|text| !text.is_empty()))
        };
        let preticked = match members.get("preticked").map(|raw| raw.get()) {
            None | Some("null") => None,
            Some("true") => Some(true),
            Some("false") => Some(false),
            Some(_) => return Err(refuse("preticked", "`true` or `false`")),
        };
        let shown = Shown {
            notice: text(members, "notice", MAX_LABEL)?,
            version: text(members, "notice_version", MAX_LABEL)?,
            language: text(members, "language", MAX_LABEL)?,
            wording: text(members, "wording", MAX_WORDING)?,
            preticked,
            method: text(members, "method", MAX_LABEL)?,
        };
        if let Some(wording) = &shown.wording {
            members.remove("wording");
            let hash = HEXLOWER.encode(&Sha256::digest(wording.as_bytes()));
            hashes.insert("wording_sha256", format!("\"{hash}\""));
        }
        Ok(shown)
    }

    fn is_implied(&self) -> bool {
        let method = self.method.as_deref();
        self.preticked == Some(true) || method.is_some_and(|method| IMPLIED.contains(&method))
    }
}

fn refuse(name: &str, must_be: &str) -> Refusal {
    let detail = format!("`evidence.{name}` must be {must_be}");
    Refusal::new(Reason::WrongType, detail)
}

/// An object of members and of others, by name.
fn object(members: &Members<'_>, others: &BTreeMap<&'static str, String>) -> String {
    let members = members
        .iter()
        .map(|(name, raw)| (&**name, compact(raw.get())));
    let mut all: BTreeMap<&str, String> = members.collect();
    all.extend(others.iter().map(|(name, text)| (*name, text.clone())));
    join(all.iter().map(|(name, text)| (*name, text)))
}

/// An object of names and JSON.
fn join<'a>(members: impl Iterator<Item = (&'a str, &'a String)>) -> String {
    let members = members.map(|(name, text)| {
        let name = serde_json::to_string(name).unwrap_or_default();
        format!("{name}:{text}")
    });
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

/// JSON without white space between its tokens.
pub(super) fn compact(raw: &str) -> String {
    let mut quoted = false;
    let mut escaped = false;
    let compact = raw.chars().filter(|c| {
        let kept = quoted || !c.is_ascii_whitespace();
        quoted ^= *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        kept
    });
    compact.collect()
}
