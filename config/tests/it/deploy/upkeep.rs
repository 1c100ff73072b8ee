//! What an operator of the chart does after the installation: the notes name commands that work with the way in which pods are
//! replaced, a worker has a budget below its limit of memory, and a loss is accepted for one upgrade.

use serde_json::{Value, json};

use super::chart::{
    chart_or_skip, cluster, cluster_with_standbys, named, objects, read, single, standby, values,
};

/// `kubectl rollout status` ends with an error where pods are replaced by hand.
#[test]
fn the_notes_name_commands_that_work() {
    let all = json!([single(), standby(), cluster(), cluster_with_standbys()]);
    let Some(rendered) = chart_or_skip("render", &all) else {
        return;
    };
    for rendered in rendered.as_array().unwrap() {
        let objects = objects(rendered);
        let notes = rendered["notes"].as_str().unwrap();
        let sets = objects.iter().filter(|one| one["kind"] == "StatefulSet");
        let strategies: Vec<&Value> = sets
            .map(|set| &set["spec"]["updateStrategy"]["type"])
            .collect();
        let by_hand = strategies.iter().all(|one| *one == "OnDelete");
        assert!(by_hand || strategies == ["RollingUpdate"], "{strategies:?}");
        assert_eq!(
            notes.contains("kubectl --namespace prod rollout status"),
            !by_hand,
            "{notes}"
        );
        assert_eq!(
            notes.contains("kubectl --namespace prod delete pod"),
            by_hand,
            "{notes}"
        );
        // What is deleted and waited for are the workers, and the standbys of a cluster.
        let selector = match strategies.len() {
            1 => "--selector app.kubernetes.io/instance=shop,app.kubernetes.io/component=worker\n",
            _ => {
                "--selector 'app.kubernetes.io/instance=shop,app.kubernetes.io/component in (worker, standby)'\n"
            }
        };
        assert_eq!(notes.contains(selector), by_hand, "{notes}");
    }
    // With one standby, the order is that in which a change of the image costs one takeover.
    let notes = rendered[1]["notes"].as_str().unwrap();
    let at = |text: &str| {
        notes
            .find(text)
            .unwrap_or_else(|| panic!("{text}: {notes}"))
    };
    let first = at("delete pod shop-tributary-1\n");
    let waited = at("wait --for=condition=Ready --timeout=1h pod/shop-tributary-1\n");
    assert!(
        first < waited && waited < at("delete pod shop-tributary-0\n"),
        "{notes}"
    );
}

/// Input waits at the broker before the kernel ends the process.
#[test]
fn a_worker_has_a_budget_below_its_limit() {
    let limit = |memory: Value| values(&json!({"resources": {"limits": {"memory": memory}}}));
    let cases = [
        (single(), Some(7372)),
        (limit(json!("512Mi")), Some(460)),
        (limit(json!("1.5Gi")), Some(1382)),
        (limit(json!("16G")), Some(13732)),
        (limit(json!(8_589_934_592_u64)), Some(7372)),
        (limit(json!("50Mi")), Some(64)),
        (limit(Value::Null), None),
        (
            values(&json!({"environment": {"TRIBUTARY_WORKERS_MEMORY": "5000"}})),
            Some(5000),
        ),
        (
            values(&json!({"environment": {"TRIBUTARY_WORKERS_MEMORY": ""}})),
            None,
        ),
    ];
    let all: Vec<&Value> = cases.iter().map(|(values, _)| values).collect();
    let Some(rendered) = chart_or_skip("render", &json!(all)) else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    for (rendered, (given, budget)) in rendered.as_array().unwrap().iter().zip(&cases) {
        let objects = objects(rendered);
        let workload = named(&objects, "StatefulSet", "shop-tributary");
        let config = read(&objects, workload, 0, directory.path());
        assert_eq!(config.workers.memory_mib, *budget, "{given:#}");
        // Kubernetes would take the last one of two.
        let variables = workload["spec"]["template"]["spec"]["containers"][0]["env"].as_array();
        let named = variables
            .unwrap()
            .iter()
            .filter(|one| one["name"] == "TRIBUTARY_WORKERS_MEMORY");
        assert!(named.count() < 2, "{given:#}");
    }
}

/// The flag is for one upgrade, and the notes warn as long as it is there. A standby, whose ledger may be an older copy, does
/// not get it.
#[test]
fn a_loss_is_accepted_by_workers_and_not_by_standbys() {
    let mut all = [single(), cluster_with_standbys()];
    for one in &mut all {
        one["acceptLoss"] = json!(true);
    }
    let Some(rendered) = chart_or_skip("render", &json!([all[0], all[1], single()])) else {
        return;
    };
    let flagged = |rendered: &Value, name: &str| {
        let objects = objects(rendered);
        let workload = named(&objects, "StatefulSet", name);
        let args = &workload["spec"]["template"]["spec"]["containers"][0]["args"];
        args.as_array().unwrap().contains(&json!("--accept-loss"))
    };
    assert!(flagged(&rendered[0], "shop-tributary"));
    assert!(flagged(&rendered[1], "shop-tributary"));
    assert!(!flagged(&rendered[1], "shop-tributary-standby"));
    assert!(!flagged(&rendered[2], "shop-tributary"));
    let warns = |rendered: &Value| {
        rendered["notes"]
            .as_str()
            .unwrap()
            .contains("WARNING: acceptLoss is true")
    };
    assert!(warns(&rendered[0]) && warns(&rendered[1]) && !warns(&rendered[2]));
}
