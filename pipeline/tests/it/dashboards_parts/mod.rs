//! What stands in `grafana/`, as a test reads it: dashboards with their queries and variables, and rules.

pub mod prometheus;
pub mod reference;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

pub fn grafana() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../grafana")
}

pub fn read(file: &str) -> String {
    std::fs::read_to_string(grafana().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// One query of a panel, or of what else on a dashboard has one.
pub struct Query {
    pub panel: String,
    pub expr: String,
    pub legend: String,
}

pub struct Dashboard {
    pub name: String,
    pub json: Value,
}

impl Dashboard {
    pub fn all() -> Vec<Dashboard> {
        let folder = std::fs::read_dir(grafana().join("dashboards")).unwrap();
        let mut all: Vec<_> = folder
            .map(|file| {
                let path = file.unwrap().path();
                let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                let json = std::fs::read_to_string(&path).unwrap();
                let json = serde_json::from_str(&json).unwrap();
                Dashboard { name, json }
            })
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    pub fn list(&self, pointer: &str) -> impl Iterator<Item = &Value> {
        self.json
            .pointer(pointer)
            .unwrap()
            .as_array()
            .unwrap()
            .iter()
    }

    /// Everything that shows something; rows are headings.
    pub fn panels(&self) -> impl Iterator<Item = &Value> {
        self.list("/panels").filter(|panel| panel["type"] != "row")
    }

    pub fn queries(&self) -> Vec<Query> {
        let of = |panel: &Value, target: &Value| Query {
            panel: text(&panel["title"]),
            expr: text(&target["expr"]),
            legend: text(&target["legendFormat"]),
        };
        self.panels()
            .flat_map(|panel| {
                let targets = panel["targets"].as_array().unwrap().iter();
                let of_prometheus = targets.filter(|target| target["url"].is_null());
                of_prometheus.map(move |target| of(panel, target))
            })
            .collect()
    }

    /// The queries of the Infinity data source: the title of the panel, and the target.
    pub fn infinity(&self) -> Vec<(String, &Value)> {
        let targets = self.panels().flat_map(|panel| {
            let targets = panel["targets"].as_array().unwrap().iter();
            targets.map(move |target| (text(&panel["title"]), target))
        });
        targets
            .filter(|(_, target)| target["url"].is_string())
            .collect()
    }

    /// Every combination of the words of closed lists: windows and months.
    pub fn choices(&self) -> Vec<BTreeMap<String, String>> {
        let mut all = vec![BTreeMap::new()];
        for of in self.list("/templating/list") {
            if of["type"] != "custom" || of["name"] == "model" {
                continue;
            }
            let words = text(&of["query"]);
            all = words
                .split(',')
                .flat_map(|word| {
                    all.iter()
                        .cloned()
                        .map(|mut chosen: BTreeMap<String, String>| {
                            chosen.insert(text(&of["name"]), word.to_owned());
                            chosen
                        })
                })
                .collect();
        }
        all
    }

    /// The expression and the label of each variable whose words Prometheus knows.
    pub fn asked_variables(&self) -> impl Iterator<Item = (&Value, &str, &str)> {
        let asked = self
            .list("/templating/list")
            .filter(|of| of["type"] == "query");
        asked.map(|of| {
            let query = of["query"]["query"].as_str().unwrap();
            let inner = query
                .strip_prefix("label_values(")
                .unwrap()
                .strip_suffix(')')
                .unwrap();
            let (expr, label) = inner.rsplit_once(", ").unwrap();
            (of, expr, label)
        })
    }

    /// A word for each variable: the chosen one of a closed list, and something for those that Prometheus knows.
    pub fn words(&self) -> BTreeMap<String, String> {
        let mut words = BTreeMap::from([
            ("__rate_interval".to_owned(), "30s".to_owned()),
            ("__range".to_owned(), "1m".to_owned()),
        ]);
        for of in self.list("/templating/list") {
            let word = match of["type"].as_str().unwrap() {
                "custom" => text(&of["current"]["value"]),
                "query" if of["includeAll"] == true => text(&of["allValue"]),
                "query" => "something".to_owned(),
                _ => continue,
            };
            words.insert(text(&of["name"]), word);
        }
        // The current month is empty on its first day, and has few cells on the next ones.
        if words.contains_key("month") && jiff::Zoned::now().day() <= 3 {
            words.insert("month".to_owned(), "last_month".to_owned());
        }
        words
    }
}

pub fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("no text: {value}"))
        .to_owned()
}

/// An expression as Grafana would send it.
pub fn filled(expr: &str, words: &BTreeMap<String, String>) -> String {
    let mut expr = expr.to_owned();
    for (name, word) in words {
        expr = expr.replace(&format!("${name}"), word);
    }
    assert!(!expr.contains('$'), "no such variable: {expr}");
    expr
}

pub struct Rule {
    pub name: String,
    pub alert: bool,
    pub expr: String,
    pub runbook: Option<String>,
}

/// The rules of a file, which promtool must count alike.
pub fn rules(file: &str) -> Vec<Rule> {
    let whole = read(file);
    let mut rules: Vec<Rule> = Vec::new();
    let mut lines = whole.lines().peekable();
    while let Some(line) = lines.next() {
        let indent = |line: &str| line.len() - line.trim_start().len();
        let Some((key, value)) = line.trim().trim_start_matches("- ").split_once(": ") else {
            continue;
        };
        match key {
            "alert" | "record" => rules.push(Rule {
                name: value.to_owned(),
                alert: key == "alert",
                expr: String::new(),
                runbook: None,
            }),
            "expr" if value == "|" => {
                let deeper = |next: &&str| indent(next) > indent(line);
                while let Some(next) = lines.next_if(deeper) {
                    rules.last_mut().unwrap().expr += &format!("{}\n", next.trim());
                }
            }
            "expr" => rules.last_mut().unwrap().expr = value.to_owned(),
            "runbook_url" => rules.last_mut().unwrap().runbook = Some(value.to_owned()),
            _ => {}
        }
    }
    rules
}

pub fn all_rules() -> Vec<Rule> {
    let mut all = rules("rules/recording.yml");
    all.extend(rules("rules/alerts.yml"));
    all
}
