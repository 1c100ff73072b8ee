//! Why two identifiers are one person, and why a cell is what it is: pseudonyms travel, clear values never do.

use crate::services_common::{Running, answering, config_file, connect};
use futures::StreamExt;
use tributary::cli::args;
use tributary::epochs::queries::Queries;
use tributary::serve::services::Services;
use tributary_connectors::keys::BrandKey;
use tributary_operators::ask::{Hop, Question, Reply};
use tributary_operators::cell::{Cell, Dim, Family};
use tributary_operators::label::{Channel, Label};
use tributary_operators::record::{IdKind, Pseudonym, SaleKind};
use tributary_testkit::NatsServer;

/// The workers' part: the cookie and the e-mail are linked by way of a customer number; whoever else is asked about is a hub.
fn answer(question: &Question, cookie: Pseudonym, email: Pseudonym) -> Vec<Reply> {
    match question {
        Question::Link { from, to, .. } if from[..] == [cookie] && to[..] == [email] => {
            let hop = |from, to, source| Hop {
                from,
                to,
                source: Label::of(source),
                day: 20_387,
            };
            vec![Reply::Link {
                known: [true, true],
                hub: [false, false],
                hops: Some(vec![
                    hop(IdKind::Cookie, IdKind::Customer, "web"),
                    hop(IdKind::Customer, IdKind::Email, "tills"),
                ]),
            }]
        }
        Question::Link { .. } => {
            vec![Reply::Link {
                known: [true, false],
                hub: [true, false],
                hops: None,
            }]
        }
        Question::Paths { of, channel, .. } => {
            assert_eq!(*channel, Channel::of("google", "cpc", ""));
            assert_eq!(
                (of.kind, of.store),
                (SaleKind::Transaction, Label::of("lyon"))
            );
            assert_eq!((of.day, of.currency.as_str()), (20_387, "EUR"));
            let part = |persons| Reply::NamedPath {
                path: vec![[Some("google".into()), Some("cpc".into()), None]],
                persons,
                conversions: persons + 1,
            };
            let rare = Reply::NamedPath {
                path: vec![[Some("rare".into()), None, None]],
                persons: 2,
                conversions: 2,
            };
            // Two workers know persons of the one path.
            vec![part(2), rare, part(1)]
        }
        other @ (Question::Records { .. }
        | Question::Members { .. }
        | Question::DeviceDays { .. }
        | Question::Expired { .. }
        | Question::Settle { .. }
        | Question::AcceptedSightings { .. }
        | Question::ActiveSince { .. }) => panic!("{other:?}"),
        Question::Cells { family, .. } => match family {
            Some(Family::Attribution) => vec![Reply::Cell(credit())],
            _ => vec![],
        },
    }
}

/// The published rest that counts the conversions of the day.
fn credit() -> Cell {
    let text = |word: &str| Dim::Text(word.into());
    Cell {
        family: Family::Attribution,
        dims: vec![
            text("acme"),
            text("linear"),
            text("google"),
            text("cpc"),
            text("*"),
            text("transaction"),
            text("*"),
            Dim::Month(2025 * 12 + 9),
            text("EUR"),
        ],
        values: vec![7_500_000, 12_345],
    }
}

#[tokio::test]
async fn an_officer_asks_why() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let file = config_file(&server, &["acme"], 3);
    let config = tributary::load(&file).unwrap();
    let key = BrandKey::new(&config.brands[0]);
    let pseudonym = |kind, text| key.identify(kind, text)[0].pseudonym;
    let cookie = pseudonym(IdKind::Cookie, "c-1");
    let email = pseudonym(IdKind::Email, "jane@example.org");

    let queries = Queries::default();
    let dataflow = answering(&queries, move |question| answer(question, cookie, email));
    let services = Services::start(connect(&config).await, &config, queries)
        .await
        .unwrap();
    let running = Running::start(services);
    // Somebody who hears everything that goes over the broker.
    let ear = connect(&config).await;
    let mut messages = ear.subscribe(">").await.unwrap();
    ear.publish("begin", "".into()).await.unwrap();
    assert_eq!(messages.next().await.unwrap().subject.as_str(), "begin");

    let person = |first: &str, second: &str, json| {
        args::Explain::Person(args::ExplainPerson {
            config: file.clone(),
            brand: None,
            identifiers: vec![first.to_owned(), second.to_owned()],
            json,
        })
    };
    let say = |args| async move { tributary::cli::explain::answer(&args).await };

    let why = say(person("cookie=c-1", "email= Jane@Example.ORG ", false))
        .await
        .unwrap();
    let expected = "\
The cookie and the e-mail address belong to one person, through 2 links:

  the cookie and a customer number occurred in one record of source `web` on 2025-10-26;
  that customer number and the e-mail address occurred in one record of source `tills` on 2025-10-26
";
    assert_eq!(why, expected);
    let json = say(person("cookie=c-1", "email=jane@example.org", true))
        .await
        .unwrap();
    assert_eq!(
        json,
        concat!(
            r#"{"hops":[{"day":"2025-10-26","from":"cookie","source":"web","to":"customer"},"#,
            r#"{"day":"2025-10-26","from":"customer","source":"tills","to":"email"}],"#,
            r#""hub":[false,false],"known":[true,true]}"#,
            "\n"
        )
    );
    let hub = say(person(
        "phone=06 12 34 56 78",
        "email=jane@example.org",
        false,
    ))
    .await
    .unwrap();
    assert!(
        hub.contains("the phone number is a hub") && hub.contains("the e-mail address is unknown")
    );

    for (first, second) in [
        ("jane@example.org", "cookie=c-1"),
        ("jane@example.org=email", "cookie=c-1"),
        ("phone=12", "cookie=c-1"),
        ("cookie=c-1", "email=test@test.com"),
        ("name_postcode=Jane/Doe/75001", "cookie=c-1"),
    ] {
        let error = format!("{:#}", say(person(first, second, false)).await.unwrap_err());
        for value in ["jane", "12", "c-1", "test@", "Doe"] {
            assert!(!error.contains(value), "{error}");
        }
    }

    let cell = |day: &str, exact| {
        args::Explain::Cell(args::ExplainCell {
            config: file.clone(),
            brand: None,
            source: Some("google".to_owned()),
            medium: Some("cpc".to_owned()),
            campaign: None,
            kind: "transaction".to_owned(),
            store: Some("lyon".to_owned()),
            day: day.to_owned(),
            currency: None,
            exact,
            json: false,
        })
    };
    let why = say(cell("2025-10-26", true)).await.unwrap();
    assert!(
        why.contains("\n      3            5  google/cpc\n"),
        "{why}"
    );
    assert!(
        why.contains("1 more path is hidden: fewer than 3 persons"),
        "{why}"
    );
    assert!(!why.contains("rare"), "{why}");
    for exact in [true, false] {
        let error = say(cell("26.10.2025", exact))
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("`cell.day`"), "{error}");
    }
    // By default, what is published answers, and counts nobody.
    let published = say(cell("2025-10-26", false)).await.unwrap();
    assert!(
        published.contains("google/cpc/*  all stores  2025-10"),
        "{published}"
    );
    assert!(
        published.contains("7.50") && !published.contains("persons"),
        "{published}"
    );

    // The last word on the broker, so that everything before it has arrived.
    ear.publish("end", "".into()).await.unwrap();
    let (mut requests, mut with_pseudonyms) = (0, 0);
    loop {
        let message = messages.next().await.unwrap();
        if message.subject.as_str() == "end" {
            break;
        }
        requests += usize::from(message.subject.as_str() == "tributary.contributions.acme");
        let text = String::from_utf8_lossy(&message.payload).to_lowercase();
        with_pseudonyms += usize::from(text.contains(&format!("{cookie:032x}")));
        for value in ["jane", "example.org", "c-1", "06 12", "33612"] {
            assert!(!text.contains(value), "{}: {text}", message.subject);
        }
    }
    assert_eq!((requests, with_pseudonyms), (4, 2));
    messages.unsubscribe().await.unwrap();
    running.stop().await;
    dataflow.abort();
}
