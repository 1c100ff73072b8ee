//! What the scenarios share: a configuration whose secrets come from an environment of their own.

use std::path::Path;

use tributary_config::{LoadedConfig, Problem, Problems, parse_in};

/// A secret that is long enough; another for every last letter.
pub fn secret(last: char) -> String {
    format!("224ff3c627f30dd0f8e3fdb63bf28aa{last}")
}

/// An environment that holds `SECRET`, `OTHER` and `SHORT`.
pub fn environment(name: &str) -> Option<String> {
    match name {
        "SECRET" => Some(secret('1')),
        "OTHER" => Some(secret('2')),
        "SHORT" => Some("too short".to_owned()),
        _ => None,
    }
}

/// Reads a text as `tributary.toml`.
pub fn read(text: &str) -> Result<LoadedConfig, Problems> {
    parse_in(text, Path::new("tributary.toml"), &environment)
}

/// Reads a text that is right.
pub fn good(text: &str) -> LoadedConfig {
    read(text).unwrap_or_else(|problems| panic!("{problems}\n--- in ---\n{text}"))
}

/// What is wrong with a text, as it is shown.
pub fn wrong(text: &str) -> Vec<String> {
    match read(text) {
        Ok(_) => Vec::new(),
        Err(problems) => shown(&problems.0),
    }
}

/// Problems as they are shown.
pub fn shown(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(Problem::to_string).collect()
}

/// A brand to which a test adds its lines.
pub fn brand(more: &str) -> String {
    format!("[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_env = \"SECRET\"\n{more}\n")
}

/// A vendor list with a vendor 755, and a vendor 3 that has left.
pub const VENDOR_LIST: &str = r#"{"gvlSpecificationVersion":3,"vendorListVersion":7,"tcfPolicyVersion":4,"vendors":{
    "755":{"id":755,"name":"A","purposes":[1,7],"legIntPurposes":[9],"flexiblePurposes":[],"specialPurposes":[],
           "features":[2],"specialFeatures":[]},
    "3":{"id":3,"name":"B","purposes":[1],"legIntPurposes":[],"flexiblePurposes":[],"specialPurposes":[],
         "features":[],"specialFeatures":[],"deletedDate":"2023-01-01T00:00:00Z"}}}"#;

/// A file and the secrets and certificates that the example names, in a directory of their own.
pub fn example_directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let files = [
        ("acme.secret", secret('3')),
        ("acme.2024.secret", secret('5')),
        ("acme-read.sha256", "ab".repeat(32) + "  -"),
        ("acme-shop.sha256", "cd".repeat(32) + "  -"),
        ("meraki.secret", secret('6')),
        ("tributary.creds", "credentials".to_owned()),
        ("tributary.nk", "seed".to_owned()),
        ("nats.password", "password".to_owned()),
        ("ca.pem", "authorities".to_owned()),
        ("client.pem", "certificate".to_owned()),
        ("worker.pem", "certificate".to_owned()),
        ("rights.pem", "certificate".to_owned()),
        ("rights.key", "key".to_owned()),
        ("otlp.headers", "Authorization: Bearer key".to_owned()),
        ("client-key.pem", "key".to_owned()),
        ("worker-key.pem", "key".to_owned()),
        ("vendor-list.json", VENDOR_LIST.to_owned()),
    ];
    for (name, text) in files {
        let path = directory.path().join(name);
        std::fs::write(&path, format!("{text}\n")).unwrap();
        private(&path);
    }
    directory
}

/// Lets only the owner read a file.
pub fn private(path: &Path) {
    set_mode(path, 0o600);
}

/// Sets the permissions of a file, where there are any.
pub fn set_mode(path: &Path, mode: u32) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    #[cfg(not(unix))]
    let _ = (path, mode);
}
