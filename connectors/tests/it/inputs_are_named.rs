//! Arguments name traces and files of CSV sources; several are read one after the other, and a
//! wrong one is reported before anything is read.

use std::path::Path;

use tributary_config::model::Config;
use tributary_connectors::inputs::{self, InputsError};

fn config(folder: &Path) -> Config {
    std::fs::write(folder.join("secret"), "s".repeat(40)).unwrap();
    std::fs::write(folder.join("other"), "o".repeat(40)).unwrap();
    let source = "[[brand.source]]\nname = \"till\"\nkind = \"transaction\"\nformat = \"csv\"\n\
                  [brand.source.csv]\ncolumns = { id = \"no\", ts = \"time\", store = \"shop\", amount = \"sum\" }\n";
    let text = format!(
        "[[brand]]\nname = \"acme\"\nsecret_file = \"secret\"\n{source}\
         [[brand]]\nname = \"birch\"\nsecret_file = \"other\"\n{source}"
    );
    tributary_config::parse(&text, &folder.join("c.toml"))
        .unwrap()
        .config
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn traces_and_csv_files_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let config = config(folder);
    let trace = write(
        folder,
        "a=b.ndjson",
        "{\"subject\":\"tributary.in.acme.web\",\"at\":5,\"data\":{}}\nnonsense\n",
    );
    let rows = write(
        folder,
        "till.csv",
        "no,time,shop,sum\n1,2024-01-01T10:00:00Z,s1,12.50\n",
    );
    let arguments = [trace.clone(), format!("birch/till={rows}"), trace];
    let mut opened = inputs::open(Some(&config), &arguments).unwrap();
    let subjects: Vec<String> = opened.by_ref().map(|line| line.unwrap().subject).collect();
    let expected = [
        "tributary.in.acme.web",
        "tributary.in.birch.transaction.till",
        "tributary.in.acme.web",
    ];
    assert_eq!(subjects, expected);
    assert_eq!((opened.messages(), opened.skipped()), (3, 2));
}

#[test]
fn a_wrong_argument_says_what_would_be_right() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let config = config(folder);
    let rows = write(folder, "till.csv", "no,time,shop,sum\n");
    let said = |config: Option<&Config>, argument: String| {
        inputs::open(config, &[argument]).err().unwrap().to_string()
    };
    assert!(said(Some(&config), format!("till={rows}")).contains("brand/till=path"));
    assert!(said(Some(&config), format!("acme/web={rows}")).contains("not in the csv format"));
    assert!(said(Some(&config), format!("shop={rows}")).contains("acme/till, birch/till"));
    assert!(said(None, format!("acme/till={rows}")).contains("configuration"));
    assert!(said(Some(&config), "absent.ndjson".to_owned()).contains("absent.ndjson"));
    assert!(matches!(inputs::open(None, &[]), Err(InputsError::None)));
}
