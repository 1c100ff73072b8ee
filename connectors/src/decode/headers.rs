//! CloudEvents headers: the defaults for the id, the time and the source of a
//! record that has none of its own.
//!
//! The attributes are those of «CloudEvents 1.0.2», section «Required
//! Attributes», in the binary content mode of the NATS protocol binding, whose
//! headers begin with `ce-`. `ce_` is accepted too, because some clients cannot
//! send hyphens.

/// The CloudEvents attributes of a message that a record may use. An empty
/// value is absent.
#[derive(Clone, Copy, Default)]
pub(super) struct CloudEventHeaders<'a> {
    /// `ce-id`: the id of a record, in a message with one record.
    pub(super) id: Option<&'a str>,
    /// `ce-time`: the `ts` of records without one, RFC 3339.
    pub(super) time: Option<&'a str>,
    /// `ce-source`: the source, if the subject names none.
    pub(super) source: Option<&'a str>,
}

impl<'a> CloudEventHeaders<'a> {
    /// Finds the attributes among the headers, by names in any case. The last
    /// of several counts.
    pub(super) fn of(headers: &'a [(String, String)]) -> CloudEventHeaders<'a> {
        let mut attributes = CloudEventHeaders::default();
        for (name, value) in headers {
            let prefixed = name
                .get(..2)
                .is_some_and(|ce| ce.eq_ignore_ascii_case("ce"));
            let attribute = name.get(2..).and_then(|rest| rest.strip_prefix(['-', '_']));
            let Some(name) = attribute.filter(|_| prefixed) else {
                continue;
            };
            let place = if name.eq_ignore_ascii_case("id") {
                &mut attributes.id
            } else if name.eq_ignore_ascii_case("time") {
                &mut attributes.time
            } else if name.eq_ignore_ascii_case("source") {
                &mut attributes.source
            } else {
                continue;
            };
            *place = Some(value.as_str()).filter(|value| !value.is_empty());
        }
        attributes
    }
}
