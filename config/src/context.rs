//! The location of each value in the configuration, and the list of problems
//! found.
//!
//! The TOML parser keeps the byte span of every key and value. [`Input`]
//! carries a value together with its location and its path through the reading,
//! so that any check can report a problem precisely.

use std::path::{Path, PathBuf};

use toml_edit::{ArrayOfTables, Item, TableLike, Value};

use crate::problem::Problem;

/// The location of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Location {
    /// At a byte offset of the file.
    Offset(usize),
    /// In an environment variable.
    Environment,
    /// None: the value is missing, or a default.
    Nowhere,
}

impl Location {
    /// The start of a span; [`Location::Nowhere`] without one.
    pub(crate) fn of(span: Option<std::ops::Range<usize>>) -> Location {
        span.map_or(Location::Nowhere, |span| Location::Offset(span.start))
    }

    /// This location, or `other` if this one is [`Location::Nowhere`].
    pub(crate) fn or(self, other: Location) -> Location {
        if self == Location::Nowhere {
            other
        } else {
            self
        }
    }
}

/// A node of the document.
#[derive(Clone, Copy)]
pub(crate) enum Node<'a> {
    /// A scalar or an array.
    Value(&'a Value),
    /// A table, inline or under a header.
    Table(&'a dyn TableLike),
    /// Tables under `[[headers]]`.
    Tables(&'a ArrayOfTables),
    /// Nothing.
    Nothing,
}

impl<'a> Node<'a> {
    /// The node of an item.
    pub(crate) fn of(item: &'a Item) -> Node<'a> {
        match item {
            Item::None => Node::Nothing,
            Item::Value(value) => Node::of_value(value),
            Item::Table(table) => Node::Table(table),
            Item::ArrayOfTables(tables) => Node::Tables(tables),
        }
    }

    /// The node of a value; an inline table is a table.
    pub(crate) fn of_value(value: &'a Value) -> Node<'a> {
        match value {
            Value::InlineTable(table) => Node::Table(table),
            value => Node::Value(value),
        }
    }

    /// The type, as messages call it.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Node::Value(Value::String(_)) => "a text",
            Node::Value(Value::Integer(_)) => "a whole number",
            Node::Value(Value::Float(_)) => "a decimal number",
            Node::Value(Value::Boolean(_)) => "true or false",
            Node::Value(Value::Datetime(_)) => "a date or a time",
            Node::Value(Value::Array(_)) => "a list",
            Node::Value(Value::InlineTable(_)) | Node::Table(_) => "a table",
            Node::Tables(_) => "a list of tables",
            Node::Nothing => "nothing",
        }
    }
}

/// A value with its location and path.
#[derive(Clone)]
pub(crate) struct Input<'a> {
    /// The setting, such as `brand[0].timezone`, or the name of an environment
    /// variable.
    pub(crate) path: String,
    /// The location.
    pub(crate) place: Location,
    /// The value.
    pub(crate) node: Node<'a>,
}

impl<'a> Input<'a> {
    /// The string, if the value is one.
    pub(crate) fn text(&self) -> Option<&'a str> {
        match self.node {
            Node::Value(value) => value.as_str(),
            _ => None,
        }
    }

    /// The value under a key of this table. A table is located at its key, any
    /// other value at itself.
    pub(crate) fn child(&self, key: &str) -> Option<Input<'a>> {
        let Node::Table(table) = self.node else {
            return None;
        };
        let (name, item) = table.get_key_value(key)?;
        let node = Node::of(item);
        let at_key = Location::of(name.span());
        let place = match node {
            Node::Value(_) => Location::of(item.span()).or(at_key),
            _ => at_key.or(Location::of(item.span())),
        };
        Some(Input {
            path: join(&self.path, key),
            place: place.or(self.place),
            node,
        })
    }

    /// The keys of this table with their locations, in the order of the file;
    /// none if it is not a table.
    pub(crate) fn keys(&self) -> Vec<(String, Location)> {
        let Node::Table(table) = self.node else {
            return Vec::new();
        };
        table
            .iter()
            .map(|(key, _)| {
                let place = Location::of(table.key(key).and_then(|key| key.span()));
                (key.to_owned(), place.or(self.place))
            })
            .collect()
    }

    /// The elements of an array or of repeated tables, with positions in their
    /// paths; `None` if it is neither.
    pub(crate) fn elements(&self) -> Option<Vec<Input<'a>>> {
        let element = |i: usize, place: Location, node: Node<'a>| Input {
            path: format!("{}[{i}]", self.path),
            place: place.or(self.place),
            node,
        };
        match self.node {
            Node::Value(Value::Array(list)) => Some(
                (list.iter().enumerate())
                    .map(|(i, v)| element(i, Location::of(v.span()), Node::of_value(v)))
                    .collect(),
            ),
            Node::Tables(tables) => Some(
                (tables.iter().enumerate())
                    .map(|(i, t)| element(i, Location::of(t.span()), Node::Table(t)))
                    .collect(),
            ),
            _ => None,
        }
    }
}

/// A path and a key below it. A key that is not a bare key of TOML is quoted.
pub(crate) fn join(path: &str, key: &str) -> String {
    let bare = !key.is_empty()
        && (key.bytes()).all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    let key = if bare { key.to_owned() } else { quote(key) };
    match path.is_empty() {
        true => key,
        false => format!("{path}.{key}"),
    }
}

/// A value for a message: quoted, control characters escaped, at most 60
/// characters.
pub(crate) fn quote(text: &str) -> String {
    /// The maximum number of characters that are quoted.
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
    }
}

/// The inputs and the findings of one reading. Reading never stops at a
/// problem: it notes the problem here and continues with the default, so that
/// one run reports everything.
pub(crate) struct Context<'a> {
    /// The text of the file, for line and column.
    text: &'a str,
    /// The file as the caller named it.
    file: String,
    /// Where relative paths start.
    directory: PathBuf,
    /// Looks up an environment variable.
    environment: &'a dyn Fn(&str) -> Option<String>,
    /// Whether lines with syntax errors were skipped, which may contain what
    /// seems to be missing.
    pub(crate) incomplete: bool,
    /// The mistakes so far.
    pub(crate) problems: Vec<Problem>,
    /// The warnings so far.
    pub(crate) warnings: Vec<Problem>,
}

impl<'a> Context<'a> {
    /// A context for the text of the file `origin`.
    pub(crate) fn new(
        text: &'a str,
        origin: &Path,
        environment: &'a dyn Fn(&str) -> Option<String>,
    ) -> Context<'a> {
        let directory = origin.parent().unwrap_or(Path::new("")).to_owned();
        Context {
            text,
            file: origin.display().to_string(),
            directory,
            environment,
            incomplete: false,
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The absolute form of a path of the configuration.
    pub(crate) fn resolve(&self, path: &str) -> PathBuf {
        let joined = self.directory.join(path);
        std::path::absolute(&joined).unwrap_or(joined)
    }

    /// The value of an environment variable that is set and not empty.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        (self.environment)(name).filter(|value| !value.is_empty())
    }

    /// Notes a mistake; `fix` may be empty.
    pub(crate) fn report(
        &mut self,
        place: Location,
        path: &str,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        let problem = self.at(place, path, message.into(), fix.into());
        self.problems.push(problem);
    }

    /// Notes a mistake in a value.
    pub(crate) fn report_invalid(
        &mut self,
        given: &Input<'_>,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.report(given.place, &given.path, message, fix);
    }

    /// Notes that something is missing, unless lines were skipped.
    pub(crate) fn report_missing(
        &mut self,
        place: Location,
        path: &str,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        if !self.incomplete {
            self.report(place, path, message, fix);
        }
    }

    /// Notes a warning.
    pub(crate) fn warn(
        &mut self,
        place: Location,
        path: &str,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        let warning = self.at(place, path, message.into(), fix.into());
        self.warnings.push(warning);
    }

    /// A problem at a location.
    fn at(&self, place: Location, path: &str, message: String, fix: String) -> Problem {
        let (line, column) = match place {
            Location::Offset(offset) => self.position(offset),
            Location::Environment | Location::Nowhere => (0, 0),
        };
        Problem {
            file: match place {
                Location::Environment => "environment".to_owned(),
                _ => self.file.clone(),
            },
            line,
            column,
            path: path.to_owned(),
            message,
            fix,
        }
    }

    /// Line and column of a byte offset, both from 1. An offset within a
    /// character counts as its start, and a byte order mark takes no column.
    fn position(&self, offset: usize) -> (usize, usize) {
        let mut end = offset.min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        let before = self.text.get(..end).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default();
        (
            line,
            column.trim_start_matches('\u{feff}').chars().count() + 1,
        )
    }
}
