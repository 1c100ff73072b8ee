use super::openapi::openapi;
use tributary_operators::cell::Family;

#[test]
fn the_description_has_a_path_for_each_family_and_resolves() {
    let description = openapi();
    assert_eq!(description["openapi"], "3.1.0");
    let paths = description["paths"].as_object().unwrap();
    let of_cells = paths.keys().filter(|path| path.starts_with("/v1/cells/"));
    assert_eq!(of_cells.count(), Family::ALL.len());
    // What the HTTP ingest server serves: two paths of records, and eight calls of Segment's API. Two are of the privacy tab.
    assert_eq!(paths.len(), Family::ALL.len() + 12);
    for family in Family::ALL {
        let get = &paths[&format!("/v1/cells/{}", family.name())]["get"];
        let names: Vec<&str> = get["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        for dim in family.dims() {
            assert!(names.contains(dim), "{family:?} {dim}");
        }
        let row = &get["responses"]["200"]["content"]["application/x-ndjson"]["schema"];
        for value in family.values() {
            assert!(row["properties"]["value"]["properties"][*value].is_object());
        }
    }
    let error = &description["components"]["schemas"]["Error"]["properties"]["error"];
    for member in ["parameter", "message", "fix"] {
        assert!(error["properties"][member].is_object(), "{error}");
    }
    let text = description.to_string();
    assert_eq!(
        text.matches("$ref").count(),
        text.matches("#/components/schemas/Error").count()
            + text.matches("#/components/schemas/IngestError").count()
    );
}
