//! Rights that are kept: a restricted person is held and counts nowhere, and counts again when the restriction ends; a
//! record that was rectified stays so; what is to happen after death happens on notice. Two brands with the same
//! customers share none of it.

use crate::support::story::{last, ready, until};
use crate::support::{Worker, published, succeed, tributary};
use tributary_config::model::Nats;
use tributary_connectors::trace::TraceLine;
use tributary_testkit::NatsServer;

const NOON: i64 = 1_759_834_800_000;

struct Two {
    directory: tempfile::TempDir,
    broker: Nats,
}

impl Two {
    fn new(broker: &Nats) -> Two {
        let directory = tempfile::tempdir().unwrap();
        let mut text = format!(
            "[nats]\nurl = \"{}\"\npings_stream = \"\"\n[http]\nlisten = \"127.0.0.1:0\"\n[release]\nk = 1\ncadence = \"1s\"\n",
            broker.url
        );
        for brand in ["acme", "birch"] {
            let secret = directory.path().join(brand);
            let text_of = format!("{brand}-secret-of-thirty-two-bytes-or-more");
            tributary_testkit::write_secret(&secret, &text_of);
            text.push_str(&format!(
                "[[brand]]\nname = \"{brand}\"\ntimezone = \"Europe/Paris\"\nsecret_file = \"{}\"\n\
                 [brand.retention]\ntransactions_months = 1200\ncookies_months = 1200\nidentification_months = 1200\n",
                secret.display()
            ));
        }
        std::fs::write(directory.path().join("tributary.toml"), text).unwrap();
        Two {
            directory,
            broker: broker.clone(),
        }
    }

    fn config(&self) -> std::path::PathBuf {
        self.directory.path().join("tributary.toml")
    }

    fn ask(&self, brand: &str, right: &str, more: &[&str]) {
        let mut command = tributary();
        command
            .args([
                "rights", right, "--proof", "t", "--brand", brand, "--config",
            ])
            .arg(self.config())
            .args(more);
        eprintln!(
            "{right} of {brand}: {}",
            String::from_utf8_lossy(&succeed(&mut command).stderr)
        );
    }

    /// The revenue of the brand's stores as it stands outside, once it is the expected one.
    async fn takes(&self, brand: &str, revenue: Option<i64>) {
        let begun = std::time::Instant::now();
        loop {
            let mut takings = None;
            for line in published(&self.broker).await {
                let cell: serde_json::Value = serde_json::from_str(&line).unwrap();
                if cell["family"] == "store_day" && cell["cell"]["brand"] == brand {
                    takings = cell["value"]["revenue_minor"].as_i64();
                }
            }
            if takings == revenue {
                return;
            }
            assert!(
                begun.elapsed() < crate::support::PATIENCE,
                "{brand} takes {takings:?}, not {revenue:?}"
            );
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }
}

fn sale(brand: &str, id: &str, email: &str, amount: &str) -> TraceLine {
    let data = serde_json::json!({"id": id, "ts": NOON, "store": "lyon", "amount": amount, "email": email});
    TraceLine {
        subject: format!("tributary.in.{brand}.transaction"),
        at: NOON + 1,
        headers: Vec::new(),
        data: data.to_string().into_bytes(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_counts_for_one_brand_alone() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = Two::new(&broker);
    let client = ready(&broker).await;
    let mut lines = Vec::new();
    for brand in ["acme", "birch"] {
        lines.push(sale(brand, "1", "jane@shop.example", "10.00"));
        lines.push(sale(brand, "2", "john@shop.example", "2.50"));
    }
    crate::support::story::play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    let worker = tokio::task::block_in_place(|| {
        let worker = Worker::start(&world.config(), &[]);
        worker.wait_until_read(end);
        worker
    });
    world.takes("acme", Some(1_250)).await;
    world.takes("birch", Some(1_250)).await;

    let ask =
        |right: &str, more: &[&str]| tokio::task::block_in_place(|| world.ask("acme", right, more));
    ask("restrict", &["email=jane@shop.example"]);
    world.takes("acme", Some(250)).await;
    world.takes("birch", Some(1_250)).await;

    // It is held across a restart, and still counts nowhere.
    let worker = tokio::task::block_in_place(|| {
        worker.kill();
        let worker = Worker::start(&world.config(), &[]);
        until("ready", || {
            worker
                .get("/readyz")
                .is_some_and(|(status, _)| status == 200)
        });
        worker
    });
    world.takes("acme", Some(250)).await;
    ask("unrestrict", &["email=jane@shop.example"]);
    world.takes("acme", Some(1_250)).await;

    // A record as it should be, which its source does not turn back.
    let record = world.directory.path().join("record.json");
    let data = sale("acme", "1", "jane@shop.example", "7.00").data;
    std::fs::write(&record, data).unwrap();
    ask(
        "rectify",
        &[
            "email=jane@shop.example",
            "--record",
            record.to_str().unwrap(),
        ],
    );
    world.takes("acme", Some(950)).await;
    let again = [sale("acme", "1", "jane@shop.example", "10.00")];
    crate::support::story::play(&client, &again, None).await;
    let end = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| worker.wait_until_read(end));
    world.takes("acme", Some(950)).await;
    // Not of somebody else's record.
    let mut other = tributary();
    other
        .args([
            "rights",
            "rectify",
            "email=john@shop.example",
            "--proof",
            "t",
            "--brand",
            "acme",
        ])
        .args(["--record", record.to_str().unwrap(), "--config"])
        .arg(world.config());
    let output = tokio::task::block_in_place(|| other.output().unwrap());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("not_theirs"), "{said}");
    assert!(said.contains("`record.data.id`"), "{said}");
    // A correction that names nobody leaves the record with its person, who may correct it again.
    let mut unnamed: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&record).unwrap()).unwrap();
    let data = unnamed.as_object_mut().unwrap();
    assert!(data.remove("email").is_some());
    std::fs::write(&record, unnamed.to_string()).unwrap();
    for _ in 0..2 {
        ask(
            "rectify",
            &[
                "email=jane@shop.example",
                "--record",
                record.to_str().unwrap(),
            ],
        );
    }

    ask("do_not_sell", &["email=john@shop.example"]);
    ask(
        "directive",
        &["email=john@shop.example", "--directive", "erase"],
    );
    world.takes("acme", Some(950)).await;
    ask("directive", &["email=john@shop.example", "--notice"]);
    world.takes("acme", Some(700)).await;
    ask("object", &["email=jane@shop.example"]);
    world.takes("acme", None).await;
    world.takes("birch", Some(1_250)).await;
    tokio::task::block_in_place(|| worker.stop());
}

/// A number without a country code is that of a person of every region in which a source of the brand reads it; a number
/// with one is nobody else's, however alike.
#[tokio::test(flavor = "multi_thread")]
async fn a_telephone_number_is_read_in_every_region_of_the_brand() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = Two::new(&broker);
    let mut text = std::fs::read_to_string(world.config()).unwrap();
    text = text.replace(
        "name = \"birch\"\n",
        "name = \"birch\"\nphone_region = \"FR\"\n",
    );
    for (source, region) in [("fr", "FR"), ("be", "BE"), ("us", "US")] {
        text.push_str(&format!(
            "[[brand.source]]\nname = \"{source}\"\nkind = \"transaction\"\nphone_region = \"{region}\"\n"
        ));
    }
    std::fs::write(world.config(), text).unwrap();
    let sale = |source: &str, id: &str, phone: &str, amount: &str| {
        let data = serde_json::json!({"id": id, "ts": NOON, "store": "lyon", "amount": amount, "phone": phone});
        TraceLine {
            subject: format!("tributary.in.birch.transaction.{source}"),
            at: NOON + 1,
            headers: Vec::new(),
            data: data.to_string().into_bytes(),
        }
    };
    let lines = [
        sale("be", "liege", "0470 12 34 56", "1.00"),
        sale("fr", "vichy", "04 70 12 34 56", "2.00"),
        sale("us", "vienna", "+43 1 664804732", "4.00"),
        sale("us", "chicago", "(312) 555-0142", "8.00"),
    ];
    let client = ready(&broker).await;
    crate::support::story::play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    let worker = tokio::task::block_in_place(|| {
        let worker = Worker::start(&world.config(), &[]);
        worker.wait_until_read(end);
        worker
    });
    world.takes("birch", Some(1_500)).await;

    // The ids of the records that an access request is answered with.
    let records = |phone: &str| -> Vec<String> {
        tokio::task::block_in_place(|| {
            let phone = format!("phone={phone}");
            let mut command = tributary();
            command.args([
                "rights", "access", &phone, "--proof", "t", "--brand", "birch", "--config",
            ]);
            let output = succeed(command.arg(world.config()));
            let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            let records = answer["records"].as_array().unwrap().iter();
            let ids = ["liege", "vichy", "vienna", "chicago"]
                .into_iter()
                .filter(|id| {
                    records
                        .clone()
                        .any(|record| record.to_string().contains(id))
                });
            ids.map(str::to_owned).collect()
        })
    };
    assert_eq!(records("0470 12 34 56"), ["liege", "vichy"]);
    assert_eq!(records("+32470123456"), ["liege"]);
    assert_eq!(records("0033 4 70 12 34 56"), ["vichy"]);
    assert_eq!(records("312-555-0142"), ["chicago"]);
    assert_eq!(records("+43 664 804732"), [""; 0]);
    assert_eq!(records("+43 (1) 664804732"), ["vienna"]);

    let ask = |right: &str, phone: &str| {
        tokio::task::block_in_place(|| world.ask("birch", right, &[&format!("phone={phone}")]));
    };
    ask("erase", "312 555 0142");
    world.takes("birch", Some(700)).await;
    ask("object", "0470 12 34 56");
    world.takes("birch", Some(400)).await;
    // What comes of an objector later is refused, whichever source brings it.
    let later = [
        sale("fr", "liege-2", "+32 470 12 34 56", "16.00"),
        sale("be", "liege-3", "0470/12.34.56", "16.00"),
        sale("us", "vichy-2", "+33 4 70 12 34 56", "16.00"),
        sale("us", "vienna-2", "+43 1 664804732", "32.00"),
    ];
    crate::support::story::play(&client, &later, None).await;
    let end = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| worker.wait_until_read(end));
    world.takes("birch", Some(3_600)).await;
    tokio::task::block_in_place(|| worker.stop());
}
