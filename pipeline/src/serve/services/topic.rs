//! Topics of the service, and their subjects.

use std::time::Duration;

/// Maximum time for an answer. A client waits a little longer, to receive the
/// error.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What a client may request of a brand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Released cells.
    Query,
    /// How the value of a cell came about, from released cells.
    Explain,
    /// Why two pseudonyms belong to one person, and exact numbers of persons behind
    /// a cell; for the workers' account, not for the brand.
    Contributions,
    /// How many records are past their retention at a time, or will be.
    Retention,
    /// Submission of a data subject's request.
    Rights,
    /// Released cells of one partner's channel sources.
    Partner,
    /// Key rotation of one process; for the operator, not for the brand.
    Keys(usize),
}

impl Topic {
    /// Those that any process answers for the whole cluster, besides those of
    /// partners.
    pub const ALL: [Topic; 5] = [
        Topic::Query,
        Topic::Explain,
        Topic::Contributions,
        Topic::Retention,
        Topic::Rights,
    ];

    /// Name of its endpoints.
    pub fn name(self) -> &'static str {
        match self {
            Topic::Query => "query",
            Topic::Explain => "explain",
            Topic::Contributions => "contributions",
            Topic::Retention => "retention",
            Topic::Rights => "rights",
            Topic::Partner => "partner",
            Topic::Keys(_) => "keys",
        }
    }

    /// Subject of a brand: `tributary.query.<brand>`, `tributary.explain.<brand>`,
    /// `tributary.contributions.<brand>`, `tributary.retention.<brand>`, `tributary.rights-request.<brand>`,
    /// `tributary.keys.<brand>.<process>`. That of a partner continues with its
    /// name: `tributary.partner.<brand>.<partner>`.
    pub fn subject(self, brand: &str) -> String {
        let word = match self {
            // The stream of rights captures what is below `tributary.rights`, unchecked.
            Topic::Rights => "rights-request",
            Topic::Query
            | Topic::Explain
            | Topic::Contributions
            | Topic::Retention
            | Topic::Partner => self.name(),
            Topic::Keys(process) => return format!("tributary.keys.{brand}.{process}"),
        };
        format!("tributary.{word}.{brand}")
    }
}
