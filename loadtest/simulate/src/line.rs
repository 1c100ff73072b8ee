//! A line of a trace.

/// A message, as a trace contains it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The subject, `tributary.in.<brand>.<kind>`.
    pub subject: String,
    /// The time of arrival, Unix milliseconds; ascending within a trace.
    pub at: i64,
    /// The payload: one JSON object, NDJSON, or malformed text.
    pub data: String,
    /// Whether `data` is one JSON object, so that a trace line can contain it unchanged.
    pub object: bool,
}

impl Line {
    /// The line of a trace file, without a line break: `{"subject":…,"at":…,"data":…}`. `data` is
    /// the object, or for anything else a string with the payload.
    ///
    /// ```
    /// use tributary_simulate::Line;
    ///
    /// let line = Line {
    ///     subject: "tributary.in.orchard.ping".to_owned(),
    ///     at: 1_759_701_784_587,
    ///     data: "not JSON".to_owned(),
    ///     object: false,
    /// };
    /// let text = r#"{"subject":"tributary.in.orchard.ping","at":1759701784587,"data":"not JSON"}"#;
    /// assert_eq!(line.to_trace_line(), text);
    /// ```
    pub fn to_trace_line(&self) -> String {
        let mut line = String::with_capacity(self.data.len() + self.subject.len() + 48);
        line.push_str("{\"subject\":\"");
        // Brands and kinds are subject tokens: nothing in them needs escaping.
        line.push_str(&self.subject);
        line.push_str("\",\"at\":");
        line.push_str(&self.at.to_string());
        line.push_str(",\"data\":");
        match self.object {
            true => line.push_str(&self.data),
            false => line.push_str(&serde_json::Value::from(self.data.as_str()).to_string()),
        }
        line.push('}');
        line
    }
}
