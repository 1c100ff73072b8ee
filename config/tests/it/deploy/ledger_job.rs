//! The job of `ledger.command`: it runs while no worker does, with the volume and the settings of a worker; and what brings
//! ledgers from volume to volume loses nothing when it is killed.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tributary_testkit::skipped;

use super::chart::{chart_or_skip, named, objects, read, values};

/// The one job of some objects.
fn job(objects: &[Value]) -> &Value {
    let mut jobs = objects.iter().filter(|object| object["kind"] == "Job");
    let job = jobs.next().expect("a job");
    assert!(jobs.next().is_none());
    job
}

/// The claims of a pod, by the directory where each is mounted.
fn claims(job: &Value) -> Vec<(String, String)> {
    let pod = &job["spec"]["template"]["spec"];
    let volumes = pod["volumes"].as_array().unwrap();
    let mounts = pod["containers"][0]["volumeMounts"].as_array().unwrap();
    let claim = |name: &Value| {
        let volume = volumes.iter().find(|volume| volume["name"] == *name);
        let claim = volume.unwrap()["persistentVolumeClaim"]["claimName"].as_str();
        claim.map(str::to_owned)
    };
    let found = mounts.iter().filter_map(|mount| {
        Some((
            mount["mountPath"].as_str()?.to_owned(),
            claim(&mount["name"])?,
        ))
    });
    found.collect()
}

#[test]
fn a_job_has_the_volume_and_the_settings_of_a_worker_that_does_not_run() {
    let reshard = json!({"ledger": {"command": ["reshard", "--to", 3]}});
    let restore = json!({
        "processes": 3, "tls": {"secret": "tributary-peers"}, "backup": {"claim": "tributary-backup"},
        "ledger": {"command": ["restore"], "pod": 1},
    });
    let moved = json!({
        "standby": true,
        "ledger": {
            "command": ["move", "--brand", "acme", "--to", "/volumes/ledger-south-tributary-0/process-south-0"],
            "claims": ["ledger-south-tributary-0"],
        },
    });
    let all = [values(&reshard), values(&restore), values(&moved)];
    let Some(rendered) = chart_or_skip("render", &json!(all)) else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let of = |process: usize| {
        (
            "/var/lib/tributary".to_owned(),
            format!("ledger-shop-tributary-{process}"),
        )
    };
    let more = |at: &str, claim: &str| (at.to_owned(), claim.to_owned());
    let south = more(
        "/volumes/ledger-south-tributary-0",
        "ledger-south-tributary-0",
    );
    let backup = more("/var/backup/tributary", "tributary-backup");
    let expected = [vec![of(0)], vec![of(1), backup], vec![of(0), south]];
    for ((given, rendered), (process, expected)) in
        (all.iter().zip(rendered.as_array().unwrap())).zip([0, 1, 0].into_iter().zip(expected))
    {
        let objects = objects(rendered);
        for set in objects
            .iter()
            .filter(|object| object["kind"] == "StatefulSet")
        {
            assert_eq!(set["spec"]["replicas"], 0);
        }
        let job = job(&objects);
        let args = job["spec"]["template"]["spec"]["containers"][0]["args"]
            .as_array()
            .unwrap();
        assert_eq!(args[0], "ledger");
        let asked = given["ledger"]["command"].as_array().unwrap();
        for (arg, asked) in args[1..].iter().zip(asked) {
            assert_eq!(arg.as_str().unwrap(), asked.to_string().trim_matches('"'));
        }
        assert_eq!(
            args[1 + asked.len()..],
            ["--config", "/etc/tributary/tributary.toml"]
        );
        let workload = named(&objects, "StatefulSet", "shop-tributary");
        let of_job = read(&objects, job, process, directory.path());
        let of_worker = read(&objects, workload, process, directory.path());
        assert_eq!(format!("{of_job:?}"), format!("{of_worker:?}"));
        assert_eq!(claims(job), expected);
        // A volume that was lost is made anew where a backup is to be put back.
        let made = objects
            .iter()
            .filter(|object| object["kind"] == "PersistentVolumeClaim");
        let made: Vec<&Value> = made.map(|claim| &claim["metadata"]["name"]).collect();
        match args[1] == "restore" {
            true => assert_eq!(made, [&expected[0].1]),
            false => assert_eq!(made.len(), 0),
        }
        let name = job["metadata"]["name"].as_str().unwrap();
        assert!(
            rendered["notes"]
                .as_str()
                .unwrap()
                .contains(&format!("job/{name}"))
        );
    }
}

/// A job cannot be changed: another command is another job. Without a command, there is none, and workers run.
#[test]
fn each_command_is_a_job_of_its_own() {
    let of = |to: u64| values(&json!({"ledger": {"command": ["reshard", "--to", to]}}));
    let stopped = values(&json!({"stopped": true}));
    let Some(rendered) = chart_or_skip("render", &json!([of(2), of(3), of(3), stopped])) else {
        return;
    };
    let rendered: Vec<Vec<Value>> = rendered.as_array().unwrap().iter().map(objects).collect();
    let name = |at: usize| job(&rendered[at])["metadata"]["name"].clone();
    assert_ne!(name(0), name(1));
    assert_eq!(name(1), name(2));
    assert!(rendered[3].iter().all(|object| object["kind"] != "Job"));
    assert_eq!(
        named(&rendered[3], "StatefulSet", "shop-tributary")["spec"]["replicas"],
        0
    );
}

/// The script of a job, with its volumes in a directory of the test.
fn script(job: &Value, volumes: &Path) -> String {
    let command = job["spec"]["template"]["spec"]["containers"][0]["command"]
        .as_array()
        .unwrap();
    assert_eq!(command[..2], ["sh", "-euc"]);
    let text = command[2].as_str().unwrap();
    assert!(text.contains("/volumes/2"));
    text.replace("/volumes/", &format!("{}/", volumes.display()))
}

/// Writes what process `number` of the shard north has into a volume.
fn write_process(volume: &Path, number: usize) {
    let directories = [
        format!("process-north-{number}"),
        format!("rights-north-{number}/audit"),
    ];
    for directory in &directories {
        std::fs::create_dir_all(volume.join(directory)).unwrap();
    }
    for file in [
        format!("process-north-{number}/LOCK"),
        format!("process-north-{number}/MANIFEST"),
        format!("rights-north-{number}/audit/acme.jsonl"),
        format!("moves-north-{number}.json"),
    ] {
        std::fs::write(volume.join(&file), format!("content of {file}")).unwrap();
    }
}

/// All files below a directory, by name, with their content.
fn files(directory: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => open.push(path),
                false => {
                    let name = path.strip_prefix(directory).unwrap().display().to_string();
                    found.push((name, std::fs::read_to_string(&path).unwrap()));
                }
            }
        }
    }
    found.sort();
    found
}

/// The scripts of `gather` and `share` of a shard of three, or none with a printed reason.
fn scripts_or_skip(volumes: &Path) -> Option<[String; 2]> {
    for tool in ["sh", "flock", "shred"] {
        if Command::new(tool)
            .arg("--version")
            .stdin(Stdio::null())
            .output()
            .is_err()
        {
            skipped(&format!("no {tool}"));
            return None;
        }
    }
    let config =
        super::chart::CONFIG.replace("name = \"acme\"", "name = \"acme\"\nshard = \"north\"");
    let of = |command: &str| {
        values(
            &json!({"config": config, "shard": "north", "processes": 3, "ledger": {"command": [command]}}),
        )
    };
    let rendered = chart_or_skip("render", &json!([of("gather"), of("share")]))?;
    let rendered: Vec<Vec<Value>> = rendered.as_array().unwrap().iter().map(objects).collect();
    for objects in &rendered {
        let expected: Vec<(String, String)> = (0..3)
            .map(|number| {
                (
                    format!("/volumes/{number}"),
                    format!("ledger-shop-tributary-{number}"),
                )
            })
            .collect();
        assert_eq!(claims(job(objects)), expected);
    }
    // The volumes of processes that are new are made under the names by which their pods find them, and stay.
    let claim = |objects: &[Value], number: usize| {
        let name = format!("ledger-shop-tributary-{number}");
        objects
            .iter()
            .find(|object| {
                object["kind"] == "PersistentVolumeClaim" && object["metadata"]["name"] == name
            })
            .cloned()
    };
    assert_eq!(
        (claim(&rendered[0], 1), claim(&rendered[1], 0)),
        (None, None)
    );
    for number in [1, 2] {
        let claim = claim(&rendered[1], number).unwrap();
        assert_eq!(
            claim["metadata"]["annotations"]["helm.sh/resource-policy"],
            "keep"
        );
        let template =
            named(&rendered[1], "StatefulSet", "shop-tributary")["spec"]["volumeClaimTemplates"][0]
                .clone();
        assert_eq!(claim["spec"], template["spec"]);
    }
    Some([0, 1].map(|at| script(job(&rendered[at]), volumes)))
}

/// Runs a script; whether it ended well, and what it said.
fn sh(script: &str) -> (bool, String) {
    let output = Command::new("sh").args(["-euc", script]).output().unwrap();
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn ledgers_are_gathered_and_shared_whatever_kills_the_job() {
    let directory = tempfile::tempdir().unwrap();
    let volume = |number: usize| directory.path().join(number.to_string());
    let Some([gather, share]) = scripts_or_skip(directory.path()) else {
        return;
    };
    for number in 0..3 {
        std::fs::create_dir(volume(number)).unwrap();
        write_process(&volume(number), number);
    }
    let apart: Vec<_> = (0..3).map(|number| files(&volume(number))).collect();
    let mut together = apart.concat();
    together.sort();

    // A worker that has its ledger open is not disturbed.
    let holder = std::fs::File::open(volume(2).join("process-north-2/LOCK")).unwrap();
    holder.lock().unwrap();
    let (ended_well, said) = sh(&gather);
    assert!(
        !ended_well && said.contains("its worker has not ended yet"),
        "{said}"
    );
    assert_eq!(
        (0..3)
            .map(|number| files(&volume(number)))
            .collect::<Vec<_>>(),
        apart
    );
    drop(holder);

    // Killed at each of its commands in turn, and run again.
    let bin = directory.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let count = bin.join("count");
    for name in ["mv", "cp", "rm", "sync", "shred"] {
        let path = bin.join(name);
        let text = format!(
            "#!/bin/sh\nleft=$(cat {count})\n[ \"$left\" != 0 ] || kill -9 $PPID $$\necho $((left - 1)) >{count}\nPATH=${{PATH#*:}} exec {name} \"$@\"\n",
            count = count.display()
        );
        std::fs::write(&path, text).unwrap();
        crate::common::set_mode(&path, 0o755);
    }
    let until_it_ends_well = |script: &str| {
        let killing = format!("PATH={}:$PATH\n{script}", bin.display());
        let mut kills = 0;
        for steps in 0.. {
            std::fs::write(&count, steps.to_string()).unwrap();
            if sh(&killing).0 {
                break;
            }
            kills += 1;
            assert!(kills < 500);
        }
        kills
    };
    let kills = until_it_ends_well(&gather);
    assert!(kills > 5, "{kills}");
    assert_eq!(files(&volume(0)), together);
    assert_eq!(files(&volume(1)).len() + files(&volume(2)).len(), 0);
    let kills = until_it_ends_well(&share);
    assert!(kills > 5, "{kills}");
    for (number, before) in apart.iter().enumerate() {
        assert_eq!(&files(&volume(number)), before);
    }

    // Two of one name are never made one.
    write_process(&volume(0), 1);
    let (ended_well, said) = sh(&share);
    assert!(
        !ended_well && said.contains("moves-north-1.json is in"),
        "{said}"
    );
    assert_eq!(files(&volume(1)), apart[1]);
}
