use super::*;

#[test]
fn the_page_is_whole_small_and_asks_nobody_else() {
    let document = Document::new();
    let html = &document.html;
    assert!(html.len() < 40_000, "{} bytes", html.len());
    for left in ["{{build}}", "{{version}}", "{{style}}", "{{script}}"] {
        assert!(!html.contains(left), "{left}");
    }
    assert!(html.contains(&document.build));
    // No address but that of SVG's names, no handler and no style in an attribute, which the policy would refuse.
    assert_eq!(
        html.matches("://").count(),
        html.matches("http://www.w3.org/2000/svg").count()
    );
    for refused in [
        " onclick=",
        " onload=",
        " onerror=",
        " style=\"",
        "innerHTML",
        "outerHTML",
        "eval(",
    ] {
        assert!(!html.contains(refused), "{refused}");
    }
}

#[test]
fn the_policy_names_the_very_style_and_script() {
    let document = Document::new();
    for (tag, of) in [("style", "style-src"), ("script", "script-src")] {
        let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
        assert_eq!(document.html.matches(&close).count(), 1, "one {tag}");
        let inside = document.html.split_once(&open).unwrap().1;
        let inside = inside.split_once(&close).unwrap().0;
        let hash = STANDARD.encode(Sha256::digest(inside));
        assert!(
            document.policy.contains(&format!("{of} 'sha256-{hash}';")),
            "{tag}"
        );
    }
    assert!(document.policy.starts_with("default-src 'none';"));
}
