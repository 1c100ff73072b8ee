//! The topics of the service, and the subject of each.

use std::time::Duration;

/// How long a question may take. Whoever asks waits a little longer, to hear of it.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What a brand may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Released cells.
    Query,
    /// Why two pseudonyms are one person, and why a cell is what it is.
    Explain,
    /// How much is past its retention at a time, or will be.
    Retention,
    /// A data subject's right, to be handed in.
    Rights,
    /// That one process exchanges its secrets; not for the brand.
    Keys(usize),
}

impl Topic {
    /// Those that any process answers for the whole cluster.
    pub const ALL: [Topic; 4] = [
        Topic::Query,
        Topic::Explain,
        Topic::Retention,
        Topic::Rights,
    ];

    /// The name of its endpoints.
    pub fn name(self) -> &'static str {
        match self {
            Topic::Query => "query",
            Topic::Explain => "explain",
            Topic::Retention => "retention",
            Topic::Rights => "rights",
            Topic::Keys(_) => "keys",
        }
    }

    /// Where a brand is asked: `tributary.query.<brand>`, `tributary.explain.<brand>`, `tributary.retention.<brand>`,
    /// `tributary.rights-request.<brand>`, `tributary.keys.<brand>.<process>`.
    pub fn subject(self, brand: &str) -> String {
        let word = match self {
            // The stream of rights captures what is below `tributary.rights`, unchecked.
            Topic::Rights => "rights-request",
            Topic::Query | Topic::Explain | Topic::Retention => self.name(),
            Topic::Keys(process) => return format!("tributary.keys.{brand}.{process}"),
        };
        format!("tributary.{word}.{brand}")
    }
}
