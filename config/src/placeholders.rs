//! Placeholders: the values that software writes where it knows nothing, and
//! that therefore never identify anyone.
//!
//! The list is closed and part of the reference. Each entry is in lower case; a
//! value is compared in any case and without surrounding quotes. Values of
//! zeros alone, and values without a letter or a digit, need no list. An
//! operator adds a brand's own values in `brand.identity.blocked`.

/// The placeholders, in lower case and without surrounding quotes.
/// ```
/// use tributary_config::placeholders::PLACEHOLDERS;
///
/// assert!(PLACEHOLDERS.contains(&"(not set)"));
/// assert!(PLACEHOLDERS.iter().all(|word| *word == word.to_lowercase()));
/// ```
pub const PLACEHOLDERS: [&str; 82] = [
    "null",
    "(null)",
    "<null>",
    "[null]",
    "{null}",
    "nil",
    "(nil)",
    "<nil>",
    "none",
    "(none)",
    "<none>",
    "[none]",
    "undefined",
    "(undefined)",
    "<undefined>",
    "[undefined]",
    "unknown",
    "(unknown)",
    "<unknown>",
    "[unknown]",
    "missing",
    "(missing)",
    "empty",
    "(empty)",
    "blank",
    "(blank)",
    "nan",
    "nat",
    "n/a",
    "(n/a)",
    "n.a.",
    "n.a",
    "na",
    "<na>",
    "#n/a",
    "#na",
    "#null!",
    "#ref!",
    "#value!",
    "#name?",
    "#num!",
    "#div/0!",
    "\\n",
    "\\\\n",
    "-1",
    "true",
    "false",
    "not set",
    "(not set)",
    "not provided",
    "(not provided)",
    "not available",
    "not applicable",
    "anonymous",
    "(anonymous)",
    "anonymised",
    "anonymized",
    "anon",
    "guest",
    "(guest)",
    "not_authenticated",
    "distinct_id",
    "distinctid",
    "redacted",
    "[redacted]",
    "deleted",
    "[deleted]",
    "no email",
    "noemail",
    "no-email",
    "no_email",
    "test@test.com",
    "test@example.com",
    "example@example.com",
    "none@none.com",
    "null@null.com",
    "undefined@undefined.com",
    "unknown@unknown.com",
    "anonymous@anonymous.com",
    "guest@guest.com",
    "noemail@noemail.com",
    "no@email.com",
];

/// The beginning and the end of what JavaScript's `String(object)` writes
/// (ECMAScript, `Object.prototype.toString`), in lower case.
pub const OBJECT: [&str; 2] = ["[object ", "]"];

/// The objects that are usually written so, as JavaScript spells them; needed
/// for their digests.
pub const OBJECTS: [&str; 12] = [
    "Object",
    "Undefined",
    "Null",
    "Array",
    "Function",
    "Promise",
    "Window",
    "Event",
    "Symbol",
    "Map",
    "Set",
    "HTMLInputElement",
];
