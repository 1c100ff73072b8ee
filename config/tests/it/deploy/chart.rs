//! The chart, rendered by Helm, is what Kubernetes accepts, and what its pods are given is a cluster as the program reads it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tributary_config::model::Config;
use tributary_config::parse_in;
use tributary_testkit::skipped;

use super::{deploy, root, run, tool_or_skip};
use crate::common::secret;

/// Where pods find their secrets.
const SECRETS: &str = "/run/secrets/tributary";

/// Where pods find the certificates with which they connect to each other.
const PEERS: &str = "/run/secrets/peers";

/// The configuration of an operator.
pub(super) const CONFIG: &str = r#"
[[http.token]]
role = "operate"
sha256_file = "/run/secrets/tributary/operate.sha256"

[[http_ingest.token]]
brand = "acme"
source = "web"
sha256_file = "/run/secrets/tributary/web.sha256"

[[brand]]
name = "acme"
timezone = "Europe/Paris"
secret_file = "/run/secrets/tributary/acme.secret"

[[brand.source]]
name = "web"
kind = "web"
"#;

/// The values that an operator must give, and others.
pub(super) fn values(more: &Value) -> Value {
    let mut values = json!({"config": CONFIG, "secrets": "tributary-secrets"});
    let own = values.as_object_mut().unwrap();
    own.extend(more.as_object().unwrap().clone());
    values
}

pub(super) fn single() -> Value {
    values(&json!({}))
}

fn shards() -> Value {
    values(
        &json!({"processes": 3, "nats": {"url": "nats://a:4222,nats://b:4222", "partitions": 12, "replicas": 3}}),
    )
}

pub(super) fn standby() -> Value {
    values(&json!({"standby": true}))
}

/// The processes of a cluster, each with a standby.
pub(super) fn cluster_with_standbys() -> Value {
    let mut values = cluster();
    values["standby"] = json!(true);
    values
}

pub(super) fn cluster() -> Value {
    values(&json!({
        "processes": 3,
        "threads": 2,
        "tls": {"secret": "tributary-peers"},
        "follower": {"replicas": 2},
        "ingest": {"enabled": true},
        "image": {"repository": "registry.example.com/tributary", "digest": format!("sha256:{}", "0a".repeat(32))},
        "networkPolicy": {
            "from": [{"namespaceSelector": {"matchLabels": {"team": "marketing"}}}],
            "ingestFrom": [{"ipBlock": {"cidr": "10.0.0.0/8"}}],
        },
        "serviceMonitor": {"enabled": true, "tokenSecret": {"name": "tributary-operate", "key": "token"}},
        "prometheusRule": {"enabled": true, "runbookUrl": "https://wiki.example.org/runbook"},
        "storage": {"size": "100Gi", "className": "local"},
        "backup": {"claim": "tributary-backup"},
        "environment": {"TRIBUTARY_LOG": "debug"},
        "telemetry": {"endpoint": "https://otel.example:4318/shop", "epochShare": "0.125", "headers": "otlp.headers"},
    }))
}

/// What the script says about the chart, or none with a printed reason.
pub(super) fn chart_or_skip(command: &str, input: &Value) -> Option<Value> {
    let packages = tool_or_skip("deploy")?;
    let mut python = Command::new("python3");
    python
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/deploy/chart.py"))
        .arg(command)
        .arg(deploy("helm/tributary"))
        .env("PYTHONPATH", packages)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut python = python.spawn().expect("python3 starts");
    let mut stdin = python.stdin.take().unwrap();
    stdin.write_all(input.to_string().as_bytes()).unwrap();
    drop(stdin);
    let output = python.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let said = String::from_utf8(output.stdout).unwrap();
    let last = said.lines().last().unwrap();
    Some(serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {said}{errors}")))
}

/// The objects of one rendering, which Kubernetes accepts.
pub(super) fn objects(rendered: &Value) -> Vec<Value> {
    assert_eq!(rendered["error"], Value::Null, "{rendered:#}");
    assert_eq!(rendered["problems"], json!([]), "{rendered:#}");
    rendered["objects"].as_array().unwrap().clone()
}

pub(super) fn named<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let mut found = objects
        .iter()
        .filter(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    let one = found.next().unwrap_or_else(|| panic!("no {kind} {name}"));
    assert!(found.next().is_none(), "{kind} {name} twice");
    one
}

/// The configuration that the process of a pod reads, with the secrets in a directory of the test.
pub(super) fn read(objects: &[Value], workload: &Value, pod: usize, secrets: &Path) -> Config {
    for (name, text) in [
        ("acme.secret", secret('1')),
        ("beta.secret", secret('2')),
        ("operate.sha256", "ab".repeat(32)),
        ("web.sha256", "cd".repeat(32)),
        ("ca.crt", "authority".to_owned()),
        ("tls.crt", "certificate".to_owned()),
        ("tls.key", "key".to_owned()),
        ("otlp.headers", "Authorization: Bearer key".to_owned()),
    ] {
        std::fs::write(secrets.join(name), text).unwrap();
        crate::common::set_mode(&secrets.join(name), 0o440);
    }
    let text = named(objects, "ConfigMap", "shop-tributary")["data"]["tributary.toml"].as_str();
    let text = text.unwrap().replace(SECRETS, secrets.to_str().unwrap());
    let name = workload["metadata"]["name"].as_str().unwrap();
    let name = format!("{name}-{pod}");
    let variables = workload["spec"]["template"]["spec"]["containers"][0]["env"].as_array();
    let variables: BTreeMap<&str, String> = variables
        .unwrap()
        .iter()
        .map(|variable| {
            let value = match variable["valueFrom"]["fieldRef"]["fieldPath"].as_str() {
                // Kubernetes writes the number of a pod of a StatefulSet to this label.
                Some("metadata.labels['apps.kubernetes.io/pod-index']") => pod.to_string(),
                Some("metadata.name") => name.clone(),
                None => {
                    let text = variable["value"].as_str().expect("a text");
                    let text = text.replace(PEERS, secrets.to_str().unwrap());
                    let text = text.replace(SECRETS, secrets.to_str().unwrap());
                    text.replace("$(POD_NAME)", &name)
                }
                Some(other) => panic!("{other}"),
            };
            (variable["name"].as_str().unwrap(), value)
        })
        .collect();
    let environment = |name: &str| variables.get(name).cloned();
    parse_in(
        &text,
        Path::new("/etc/tributary/tributary.toml"),
        &environment,
    )
    .unwrap_or_else(|problems| panic!("{problems}"))
    .config
}

/// The ports from which a rule of a policy lets others in, with who they are.
fn doors(policy: &Value) -> BTreeMap<u64, Value> {
    let rules = policy["spec"]["ingress"].as_array().unwrap();
    let doors: BTreeMap<u64, Value> = rules
        .iter()
        .map(|rule| {
            (
                rule["ports"][0]["port"].as_u64().unwrap(),
                rule["from"].clone(),
            )
        })
        .collect();
    assert_eq!(doors.len(), rules.len());
    doors
}

/// That a process exports telemetry as the values of the cluster say.
fn assert_exports(config: &Config) {
    let telemetry = &config.telemetry;
    let endpoint = telemetry.otlp_endpoint.as_deref();
    assert_eq!(endpoint, Some("https://otel.example:4318/shop"));
    assert_eq!(
        (telemetry.epoch_share, telemetry.private_network),
        (125, false)
    );
    let headers = telemetry.otlp_headers.as_ref().unwrap();
    assert!(headers.file().unwrap().ends_with("otlp.headers"));
}

#[test]
fn helm_and_kubernetes_accept_the_chart() {
    let Some(found) = chart_or_skip("lint", &single()) else {
        return;
    };
    assert_eq!(found["errors"], json!([]), "{found:#}");
    // 2 is a warning, 3 an error.
    let messages = found["messages"].as_array().unwrap();
    assert!(
        messages
            .iter()
            .all(|message| message["severity"].as_u64() < Some(2)),
        "{found:#}"
    );
    let all = json!([
        single(),
        standby(),
        shards(),
        cluster(),
        cluster_with_standbys()
    ]);
    let rendered = chart_or_skip("render", &all).unwrap();
    for rendered in rendered.as_array().unwrap() {
        let objects = objects(rendered);
        assert!(objects.len() >= 6, "{}", objects.len());
        for object in objects
            .iter()
            .filter(|object| object["spec"]["template"].is_object())
        {
            let pod = &object["spec"]["template"]["spec"];
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
            assert_eq!(pod["automountServiceAccountToken"], false);
            let container = &pod["containers"][0];
            assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
            assert_eq!(
                container["securityContext"]["capabilities"],
                json!({"drop": ["ALL"]})
            );
            let labels = object["spec"]["template"]["metadata"]["labels"]
                .as_object()
                .unwrap();
            let selector = object["spec"]["selector"]["matchLabels"]
                .as_object()
                .unwrap();
            assert!(
                selector
                    .iter()
                    .all(|(name, value)| labels.get(name) == Some(value))
            );
        }
    }
}

#[test]
fn pods_are_the_processes_of_one_cluster() {
    let all = json!([single(), shards(), cluster()]);
    let Some(rendered) = chart_or_skip("render", &all) else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    for (given, rendered) in all
        .as_array()
        .unwrap()
        .iter()
        .zip(rendered.as_array().unwrap())
    {
        let objects = objects(rendered);
        let workload = named(&objects, "StatefulSet", "shop-tributary");
        let processes = given["processes"].as_u64().unwrap_or(1) as usize;
        assert_eq!(workload["spec"]["replicas"], processes);
        let update = &workload["spec"]["updateStrategy"]["type"];
        assert_eq!(
            update,
            if processes > 1 {
                "OnDelete"
            } else {
                "RollingUpdate"
            }
        );
        // A process that is not ready yet is found by the others, or none would ever be.
        assert_eq!(workload["spec"]["podManagementPolicy"], "Parallel");
        let peers = named(
            &objects,
            "Service",
            workload["spec"]["serviceName"].as_str().unwrap(),
        );
        assert_eq!(peers["spec"]["publishNotReadyAddresses"], true);
        assert_eq!(peers["spec"]["clusterIP"], "None");

        let mut hosts = Vec::new();
        for pod in 0..processes {
            let config = read(&objects, workload, pod, directory.path());
            assert_eq!(config.workers.process, pod);
            assert_eq!(
                config.workers.hosts.len(),
                if processes > 1 { processes } else { 0 }
            );
            if let Some(own) = config.workers.hosts.get(pod) {
                let name = format!(
                    "shop-tributary-{pod}.shop-tributary-peers.prod.svc.cluster.local:2101"
                );
                assert_eq!(own, &name);
            }
            hosts.push(config.workers.hosts.clone());
            let has_tls = given["tls"]["secret"].is_string();
            assert_eq!(config.workers.has_tls(), has_tls);
            assert_eq!(config.workers.private_network, processes > 1 && !has_tls);
            assert_eq!(config.http.listen.to_string(), "0.0.0.0:9464");
            assert!(config.http.is_protected());
            assert_eq!(config.ledger.directory, Path::new("/var/lib/tributary"));
            let backup = given["backup"]["claim"].as_str();
            let backup = backup.map(|_| Path::new("/var/backup/tributary"));
            assert_eq!(config.ledger.backup.as_deref(), backup);
            let partitions = given["nats"]["partitions"].as_u64().unwrap_or(0);
            assert_eq!(u64::from(config.nats.partitions), partitions);
            let replicas = given["nats"]["replicas"].as_u64().unwrap_or(1);
            assert_eq!(config.nats.replicas as u64, replicas);
            let ingest = config.http_ingest.listen.map(|address| address.port());
            assert_eq!(ingest, given["ingest"]["enabled"].as_bool().map(|_| 9465));
            match given["telemetry"].is_object() {
                true => assert_exports(&config),
                false => assert_eq!(config.telemetry.otlp_endpoint, None),
            }
        }
        assert!(hosts.windows(2).all(|two| two[0] == two[1]));

        // The ledger is the volume of the pod, the backup that of all, and everything else is read only.
        let pod = &workload["spec"]["template"]["spec"];
        let mounts = pod["containers"][0]["volumeMounts"].as_array().unwrap();
        let written: Vec<&Value> = mounts
            .iter()
            .filter(|mount| mount["readOnly"] != true)
            .collect();
        let ledger = json!({"name": "ledger", "mountPath": "/var/lib/tributary"});
        let backup = json!({"name": "backup", "mountPath": "/var/backup/tributary"});
        let mut expected = vec![&ledger];
        if let Some(claim) = given["backup"]["claim"].as_str() {
            expected.push(&backup);
            let volumes = pod["volumes"].as_array().unwrap();
            let volume = volumes.iter().find(|volume| volume["name"] == "backup");
            let volume = &volume.unwrap()["persistentVolumeClaim"]["claimName"];
            assert_eq!(volume, claim);
        }
        assert_eq!(written, expected);
        assert_eq!(
            workload["spec"]["volumeClaimTemplates"][0]["metadata"]["name"],
            "ledger"
        );
        assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() > 25);
        let startup = &pod["containers"][0]["startupProbe"];
        let budget = startup["periodSeconds"].as_u64().unwrap()
            * startup["failureThreshold"].as_u64().unwrap();
        assert_eq!(budget, 300);
        assert_eq!(startup["httpGet"]["path"], "/livez");
        assert_eq!(
            pod["containers"][0]["readinessProbe"]["httpGet"]["path"],
            "/readyz"
        );
    }
}

/// One release for each shard, all with one configuration.
#[test]
fn a_release_serves_the_brands_of_its_shard() {
    let config = CONFIG.replace("name = \"acme\"", "name = \"acme\"\nshard = \"north\"");
    let beta = "\n[[brand]]\nname = \"beta\"\nshard = \"south\"\ntimezone = \"UTC\"\nsecret_file = \"/run/secrets/tributary/beta.secret\"\n";
    let config = config + beta;
    let of = |shard: &str| values(&json!({"config": config, "shard": shard}));
    let all = json!([of("north"), of("south")]);
    let Some(rendered) = chart_or_skip("render", &all) else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    for (rendered, brand) in rendered.as_array().unwrap().iter().zip(["acme", "beta"]) {
        let objects = objects(rendered);
        let workload = named(&objects, "StatefulSet", "shop-tributary");
        let config = read(&objects, workload, 0, directory.path());
        let config = config.of_its_shard().unwrap();
        let brands: Vec<&str> = config.brands.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(brands, [brand]);
    }
}

/// Before a release is upgraded, the new image looks at what each of its workers and standbys would read, and cannot change it.
#[test]
fn an_upgrade_is_checked_before_anything_is_changed() {
    let check = |more: Value| {
        let mut given = values(&more);
        given["upgradeCheck"] = json!({"enabled": true});
        given
    };
    let north = CONFIG.replace("name = \"acme\"", "name = \"acme\"\nshard = \"north\"");
    let all = json!([
        check(json!({"config": north, "shard": "north"})),
        check(json!({"processes": 3, "tls": {"secret": "tributary-peers"}})),
        check(json!({"standby": true})),
        check(json!({"standby": true, "processes": 3})),
        single(),
    ]);
    const OWN: &str = "shop-tributary";
    const STANDBYS: &str = "shop-tributary-standby";
    let pods: [&[(&str, usize)]; 5] = [
        &[(OWN, 1)],
        &[(OWN, 3)],
        &[(OWN, 2)],
        &[(OWN, 3), (STANDBYS, 3)],
        &[],
    ];
    let Some(rendered) = chart_or_skip("render", &all) else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let rendered = rendered.as_array().unwrap();
    for (rendered, sets) in rendered.iter().zip(pods) {
        let processes: usize = sets.iter().map(|(_, pods)| pods).sum();
        let objects = objects(rendered);
        let is_hook =
            |object: &&Value| object["metadata"]["annotations"]["helm.sh/hook"].is_string();
        assert_eq!(
            objects.iter().filter(is_hook).count(),
            if processes > 0 { processes + 1 } else { 0 }
        );
        let of_sets = sets
            .iter()
            .flat_map(|(set, pods)| (0..*pods).map(move |pod| (*set, pod)));
        for (set, process) in of_sets {
            let workload = named(&objects, "StatefulSet", set);
            let job = named(&objects, "Job", &format!("{set}-upgrade-check-{process}"));
            let pod = &job["spec"]["template"]["spec"];
            let container = &pod["containers"][0];
            let command = json!([
                "upgrade",
                "check",
                "--config",
                "/etc/tributary/tributary.toml"
            ]);
            assert_eq!(container["args"], command);
            // The configuration is the new one, which the ConfigMap of the workers does not have yet.
            let new = named(&objects, "ConfigMap", "shop-tributary-upgrade-check");
            assert_eq!(
                pod["volumes"][0]["configMap"]["name"],
                new["metadata"]["name"]
            );
            assert_eq!(new["metadata"]["annotations"]["helm.sh/hook-weight"], "-1");
            assert_eq!(
                new["data"],
                named(&objects, "ConfigMap", "shop-tributary")["data"]
            );
            let of_job = read(&objects, job, process, directory.path());
            let of_worker = read(&objects, workload, process, directory.path());
            assert_eq!(format!("{of_job:?}"), format!("{of_worker:?}"));
            let mounts = container["volumeMounts"].as_array().unwrap();
            assert!(mounts.iter().all(|mount| mount["readOnly"] == true));
            let volumes = pod["volumes"].as_array().unwrap();
            assert_eq!(mounts.len(), volumes.len());
            let ledger = volumes.iter().find(|volume| volume["name"] == "ledger");
            assert_eq!(
                ledger.unwrap()["persistentVolumeClaim"]["claimName"],
                format!("ledger-{set}-{process}")
            );
        }
    }
}

#[test]
fn only_workers_reach_the_port_of_the_peers() {
    let Some(rendered) = chart_or_skip("render", &json!([single(), cluster()])) else {
        return;
    };
    let rendered: Vec<Vec<Value>> = rendered.as_array().unwrap().iter().map(objects).collect();
    let [single, cluster] = &rendered[..] else {
        panic!()
    };
    let everyone = json!([{"podSelector": {}}]);
    let policy = named(single, "NetworkPolicy", "shop-tributary");
    assert_eq!(doors(policy), BTreeMap::from([(9464, everyone)]));

    let policy = named(cluster, "NetworkPolicy", "shop-tributary");
    let workers = named(cluster, "StatefulSet", "shop-tributary")["spec"]["selector"].clone();
    let marketing = json!([{"namespaceSelector": {"matchLabels": {"team": "marketing"}}}]);
    let shops = json!([{"ipBlock": {"cidr": "10.0.0.0/8"}}]);
    let expected = [
        (2101, json!([{"podSelector": workers}])),
        (9464, marketing),
        (9465, shops),
    ];
    assert_eq!(doors(policy), BTreeMap::from(expected));
    for kind in ["worker", "follower"] {
        let budget = named(
            cluster,
            "PodDisruptionBudget",
            &format!("shop-tributary-{kind}"),
        );
        assert_eq!(budget["spec"]["maxUnavailable"], 1);
    }
}

#[test]
fn a_standby_is_a_second_worker_that_knows_it() {
    let Some(rendered) = chart_or_skip("render", &json!([standby()])) else {
        return;
    };
    let objects = objects(&rendered[0]);
    let workload = named(&objects, "StatefulSet", "shop-tributary");
    assert_eq!(workload["spec"]["replicas"], 2);
    // A pod with another setting than the leader is never ready, and a rolling update would wait for it.
    assert_eq!(workload["spec"]["updateStrategy"]["type"], "OnDelete");
    let affinity = &workload["spec"]["template"]["spec"]["affinity"];
    assert!(affinity["podAntiAffinity"].is_object());
    let directory = tempfile::tempdir().unwrap();
    for pod in 0..2 {
        let config = read(&objects, workload, pod, directory.path());
        assert!(config.workers.standby);
        assert_eq!((config.workers.process, config.workers.hosts.len()), (0, 0));
    }
}

#[test]
fn each_process_of_a_cluster_has_a_standby_with_its_number() {
    let Some(rendered) = chart_or_skip("render", &json!([cluster_with_standbys()])) else {
        return;
    };
    let objects = objects(&rendered[0]);
    let directory = tempfile::tempdir().unwrap();
    let mut addresses = std::collections::BTreeSet::new();
    for name in ["shop-tributary", "shop-tributary-standby"] {
        let workload = named(&objects, "StatefulSet", name);
        assert_eq!(workload["spec"]["replicas"], 3);
        assert_eq!(workload["spec"]["updateStrategy"]["type"], "OnDelete");
        // The name of the service is the domain of the pods, which are found before they are ready.
        let service = workload["spec"]["serviceName"].as_str().unwrap();
        let peers = named(&objects, "Service", service);
        assert_eq!(peers["spec"]["publishNotReadyAddresses"], true);
        let labels = &workload["spec"]["template"]["metadata"]["labels"];
        let component = "app.kubernetes.io/component";
        assert_eq!(peers["spec"]["selector"][component], labels[component]);
        for pod in 0..3 {
            let config = read(&objects, workload, pod, directory.path());
            let workers = config.workers;
            assert!(workers.standby);
            assert_eq!((workers.process, workers.hosts.len()), (pod, 3));
            let address = format!("{name}-{pod}.{service}.prod.svc.cluster.local:2101");
            assert_eq!(workers.address(), address);
            assert!(addresses.insert(address));
        }
    }
    let policy = named(&objects, "NetworkPolicy", "shop-tributary");
    let peers = doors(policy)[&2101].clone();
    let of = |name: &str| {
        let workload = named(&objects, "StatefulSet", name);
        json!({"podSelector": workload["spec"]["selector"]})
    };
    assert_eq!(
        peers,
        json!([of("shop-tributary"), of("shop-tributary-standby")])
    );
    let budget = named(&objects, "PodDisruptionBudget", "shop-tributary-standby");
    assert_eq!(budget["spec"]["maxUnavailable"], 1);
}

#[test]
fn followers_serve_without_a_ledger() {
    let Some(rendered) = chart_or_skip("render", &json!([cluster()])) else {
        return;
    };
    let objects = objects(&rendered[0]);
    let follower = named(&objects, "Deployment", "shop-tributary-follower");
    assert_eq!(follower["spec"]["replicas"], 2);
    let container = &follower["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["args"][0], "serve");
    let image = container["image"].as_str().unwrap();
    assert!(
        image.starts_with("registry.example.com/tributary@sha256:0a0a"),
        "{image}"
    );
    let mounts = container["volumeMounts"].as_array().unwrap();
    assert!(mounts.iter().all(|mount| mount["readOnly"] == true));
    let directory = tempfile::tempdir().unwrap();
    let config = read(&objects, follower, 0, directory.path());
    assert_eq!(config.workers.hosts.len(), 0);
    assert_exports(&config);
    // It is no target of Prometheus: operational numbers are those of workers.
    let monitor = named(&objects, "ServiceMonitor", "shop-tributary");
    let service = named(&objects, "Service", "shop-tributary");
    let wanted = monitor["spec"]["selector"]["matchLabels"]
        .as_object()
        .unwrap();
    let labels = |of: &Value| of["metadata"]["labels"].as_object().unwrap().clone();
    let matches = |of: &Value| {
        wanted
            .iter()
            .all(|(name, value)| labels(of).get(name) == Some(value))
    };
    let services = objects
        .iter()
        .filter(|object| object["kind"] == "Service" && matches(object));
    assert_eq!(services.collect::<Vec<_>>(), [service]);
    assert_eq!(
        monitor["spec"]["endpoints"][0]["port"],
        service["spec"]["ports"][0]["name"]
    );
    assert_eq!(labels(service)["app.kubernetes.io/name"], "tributary");
    assert_eq!(monitor["spec"]["jobLabel"], "app.kubernetes.io/name");
}

#[test]
fn the_rules_are_those_of_grafana() {
    let Some(rendered) = chart_or_skip("render", &json!([cluster()])) else {
        return;
    };
    let objects = objects(&rendered[0]);
    let rule = named(&objects, "PrometheusRule", "shop-tributary");
    let groups = rule["spec"]["groups"].as_array().unwrap();
    let rules = groups
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap());
    let (alerts, recorded): (Vec<&Value>, Vec<&Value>) =
        rules.partition(|rule| rule["alert"].is_string());
    let text =
        |name: &str| std::fs::read_to_string(root().join("grafana/rules").join(name)).unwrap();
    assert_eq!(alerts.len(), text("alerts.yml").matches("- alert:").count());
    assert_eq!(
        recorded.len(),
        text("recording.yml").matches("- record:").count()
    );
    for alert in &alerts {
        let url = format!(
            "https://wiki.example.org/runbook#{}",
            alert["alert"].as_str().unwrap()
        );
        assert_eq!(
            alert["annotations"]["runbook_url"]
                .as_str()
                .unwrap()
                .to_lowercase(),
            url.to_lowercase()
        );
    }

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rules.yml");
    std::fs::write(&file, json!({"groups": groups}).to_string()).unwrap();
    let Some(promtool) = promtool_or_skip() else {
        return;
    };
    let (output, said) = run(
        promtool,
        &["check".as_ref(), "rules".as_ref(), file.as_os_str()],
    );
    assert!(output.status.success(), "{said}");
}

/// The program, or none with a printed reason.
pub fn promtool_or_skip() -> Option<std::path::PathBuf> {
    let own = root().join("target/tools/bin/promtool");
    let found = [own, "promtool".into()]
        .into_iter()
        .find(|program| Command::new(program).arg("--version").output().is_ok());
    if found.is_none() {
        skipped("no promtool: run `bash .ci/tools.sh promtool`");
    }
    found
}

#[test]
fn wrong_values_are_refused_by_name() {
    let wrong = [
        ("config", json!({"config": ""})),
        ("config", json!({"config": "[nats]\n"})),
        ("secrets", json!({"secrets": ""})),
        ("secrets", json!({"secrets": "Not a name"})),
        ("processes", json!({"processes": 0})),
        ("processes", json!({"processes": "3"})),
        ("shard", json!({"shard": "Not a shard"})),
        ("shard", json!({"shard": 3})),
        (
            "TRIBUTARY_WORKERS_SHARD",
            json!({"environment": {"TRIBUTARY_WORKERS_SHARD": "north"}}),
        ),
        ("standby", json!({"standby": "yes"})),
        ("standby", json!({"standby": 1})),
        (
            "TRIBUTARY_WORKERS_ADDRESS",
            json!({"environment": {"TRIBUTARY_WORKERS_ADDRESS": "a:2101"}}),
        ),
        ("replicas", json!({"replicas": 3})),
        ("threads", json!({"threads": 2000})),
        ("tls/secret", json!({"tls": {"secret": "Not a name"}})),
        ("tls", json!({"tls": {"ca": "x"}})),
        ("nats/url", json!({"nats": {"url": "http://nats:4222"}})),
        (
            "nats/url",
            json!({"nats": {"url": "nats://user:password@nats:4222"}}),
        ),
        (
            "nats/partitions",
            json!({"nats": {"url": "nats://n", "partitions": 257}}),
        ),
        (
            "nats.partitions",
            json!({"processes": 3, "nats": {"url": "nats://n", "partitions": 4}}),
        ),
        (
            "image/pullPolicy",
            json!({"image": {"repository": "t", "pullPolicy": "Sometimes"}}),
        ),
        (
            "image/digest",
            json!({"image": {"repository": "t", "digest": "sha256:abc"}}),
        ),
        ("image/repository", json!({"image": {"repository": "T T"}})),
        ("storage/size", json!({"storage": {"size": "20"}})),
        ("storage/size", json!({"storage": {"size": "0Gi"}})),
        ("backup/claim", json!({"backup": {"claim": "a b"}})),
        (
            "TRIBUTARY_WORKERS_PROCESS",
            json!({"environment": {"TRIBUTARY_WORKERS_PROCESS": "1"}}),
        ),
        ("PATH", json!({"environment": {"PATH": "/bin"}})),
        (
            "environment/TRIBUTARY_LOG",
            json!({"environment": {"TRIBUTARY_LOG": true}}),
        ),
        ("follower/replicas", json!({"follower": {"replicas": -1}})),
        ("http/address", json!({"http": {"address": "127.0.0.1"}})),
        (
            "telemetry/endpoint",
            json!({"telemetry": {"endpoint": "https://user:password@otel:4318"}}),
        ),
        (
            "telemetry/epochShare",
            json!({"telemetry": {"epochShare": "1.5"}}),
        ),
        (
            "telemetry/headers",
            json!({"telemetry": {"headers": "../token"}}),
        ),
        ("startupSeconds", json!({"startupSeconds": 0})),
        (
            "upgradeCheck/enabled",
            json!({"upgradeCheck": {"enabled": "always"}}),
        ),
        (
            "networkPolicy/from",
            json!({"networkPolicy": {"from": [{"everyone": true}]}}),
        ),
        (
            "serviceMonitor/interval",
            json!({"serviceMonitor": {"interval": "15"}}),
        ),
        (
            "tokenSecret.key",
            json!({"serviceMonitor": {"enabled": true, "tokenSecret": {"name": "t"}}}),
        ),
        (
            "prometheusRule/runbookUrl",
            json!({"prometheusRule": {"runbookUrl": "wiki"}}),
        ),
        ("stopped", json!({"stopped": "yes"})),
        ("acceptLoss", json!({"acceptLoss": "yes"})),
        ("acceptLoss", json!({"acceptLoss": true, "standby": true})),
        ("ledger/command", json!({"ledger": {"command": "restore"}})),
        (
            "ledger/command/0",
            json!({"ledger": {"command": ["destroy"]}}),
        ),
        ("ledger.command", json!({"ledger": {"command": ["gather"]}})),
        (
            "ledger.command",
            json!({"processes": 3, "ledger": {"command": ["share", "--to", "3"]}}),
        ),
        ("ledger/claims", json!({"ledger": {"claims": ["a b"]}})),
        ("ledger/pod", json!({"ledger": {"pod": -1}})),
        (
            "resources/limits/memory",
            json!({"resources": {"limits": {"memory": "8 GB"}}}),
        ),
    ];
    let given: Vec<Value> = wrong.iter().map(|(_, more)| values(more)).collect();
    let mut given = Value::Array(given);
    given.as_array_mut().unwrap().push(json!({}));
    let Some(rendered) = chart_or_skip("render", &given) else {
        return;
    };
    let rendered = rendered.as_array().unwrap();
    for ((field, more), rendered) in wrong.iter().zip(rendered) {
        let error = rendered["error"]
            .as_str()
            .unwrap_or_else(|| panic!("accepted: {more}"));
        assert!(error.contains(field), "{field}: {error}");
    }
    // Nothing is installed by mistake: a brand and its secrets must be named.
    let nothing = rendered.last().unwrap()["error"].as_str().unwrap();
    assert!(
        nothing.contains("config") && nothing.contains("secrets"),
        "{nothing}"
    );
}

#[test]
fn the_chart_has_the_version_of_the_program() {
    let text = std::fs::read_to_string(deploy("helm/tributary/Chart.yaml")).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert!(text.contains(&format!("\nversion: {version}\n")), "{text}");
    assert!(
        text.contains(&format!("\nappVersion: \"{version}\"\n")),
        "{text}"
    );
}
