//! Creates missing streams and checks existing ones against the configuration
//! that the server returns.
//!
//! An operator who creates a stream by hand keeps their choice of replicas,
//! placement, limits and age as long as the stream can do its work. Otherwise
//! the error names the stream, its current setting and the required one. This
//! module never changes an existing stream.
//!
//! Each is created with `nats.replicas`, and must have as many.
//!
//! | stream | subjects | must | created with |
//! |---|---|---|---|
//! | input | `tributary.in.*.<kind>` and `tributary.in.*.<kind>.>` for every kind but `ping` | retention `limits`, no copy, partitioned as configured | 3 days |
//! | pings | the same for `ping` and `partner_mac` | as the input, and an age of at most `nats.pings_max_age` | 1 hour |
//! | output | `tributary.out.>` | retention `limits`, one message per subject, discard `old`, no age | no expiry |
//! | dead letters | `tributary.deadletter.>` | retention `limits`, no copy | 7 days |
//! | rights | `tributary.rights.>` | retention `limits`, no copy, no age, message TTLs, deletable | no expiry |
//! | leases | those of a key-value bucket | one message per subject, no age | no expiry |
//!
//! Without `nats.pings_stream`, the input stream captures all of `tributary.in.>`.
//! With it, a message whose subject names no kind is captured by no stream, because
//! a pattern cannot exclude a word: its publisher learns so from the broker, if it
//! asks for an acknowledgment.
//!
//! The input and the dead letters contain records in clear, so both are
//! short-lived by default. The ledger is the durable copy. The output contains
//! aggregates, one message per cell.

use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::CreateStreamErrorKind;
use async_nats::jetstream::stream::{Config, DiscardPolicy, Info, RetentionPolicy, StorageType};
use tributary_config::model::Nats;

use super::error::{NatsError, NatsErrorKind};
use super::stream_state::{
    StreamState, bad_name, existing, found, no_jetstream, unanswered, unusable,
};
use super::{lease_bucket, mirrors, share, subject};

/// A day, for the age of streams.
const DAY: Duration = Duration::from_secs(86_400);
/// How long the server remembers message ids in the streams that are created
/// here.
const DUPLICATES: Duration = Duration::from_secs(600);

/// Creates or checks the stream of records, and that of pings if they have their
/// own.
///
/// An existing stream must capture the subjects of every brand of `brands` (of any
/// brand if there are none), be no copy of another
/// stream, and keep messages by limits: a work-queue or interest stream would
/// delete what has not been read. It must be partitioned into `nats.partitions`
/// (see [`super::InputRequest`]).
///
/// # Errors
/// [`NatsErrorKind::NoJetStream`], [`NatsErrorKind::Stream`], or `Unreachable`
/// if the server does not respond.
pub async fn ensure_input_stream(
    client: &Client,
    nats: &Nats,
    brands: &[impl AsRef<str>],
) -> Result<StreamState, NatsError> {
    let info = made(
        client,
        Config {
            description: Some("What enters Tributary".to_owned()),
            max_age: 3 * DAY,
            subject_transform: share::transform(nats.partitions),
            subjects: subject::input(nats),
            ..plain(nats, &nats.input_stream, subject::INPUT)
        },
    )
    .await?;
    mirrors::refuse_mirror(&info)?;
    match nats.pings_stream {
        None => captures(&info, subject::INPUT, "tributary.in.", ".>", brands)?,
        Some(_) => {
            leaves_pings(&info, nats)?;
            for word in subject::words_of_others() {
                captures_word(&info, word, brands)?;
            }
        }
    }
    limits(&info)?;
    share::judge(&info, nats.partitions)?;
    if let Some(pings) = &nats.pings_stream {
        ensure_pings_stream(client, nats, pings, brands).await?;
    }
    Ok((&info).into())
}

/// Creates or checks the stream of pings. Its messages contain MAC addresses in
/// clear, so it must delete them at the configured age or earlier.
///
/// # Errors
/// As [`ensure_input_stream`].
async fn ensure_pings_stream(
    client: &Client,
    nats: &Nats,
    name: &str,
    brands: &[impl AsRef<str>],
) -> Result<(), NatsError> {
    let age = Duration::from_millis(nats.pings_max_age_ms.unsigned_abs());
    let info = made(
        client,
        Config {
            description: Some("What enters Tributary with MAC addresses in clear".to_owned()),
            max_age: age,
            subject_transform: share::transform(nats.partitions),
            subjects: subject::pings(),
            duplicate_window: DUPLICATES.min(age),
            ..plain(nats, name, "")
        },
    )
    .await?;
    mirrors::refuse_mirror(&info)?;
    for word in subject::words_of_pings() {
        captures_word(&info, word, brands)?;
    }
    limits(&info)?;
    let kept = info.config.max_age;
    let shown = match kept.is_zero() {
        true => "for ever".to_owned(),
        false => format!("for {} s", kept.as_secs()),
    };
    must(
        &info,
        !kept.is_zero() && kept <= age,
        &format!(
            "keeps pings with MAC addresses in clear {shown}, longer than nats.pings_max_age permits: nats stream edit {name} --max-age={}s",
            age.as_secs()
        ),
    )?;
    share::judge(&info, nats.partitions)
}

/// Checks that the input stream captures no ping, so that none is kept longer
/// than the stream of pings keeps it.
fn leaves_pings(info: &Info, nats: &Nats) -> Result<(), NatsError> {
    let (name, subjects) = (&nats.input_stream, &info.config.subjects);
    let pings = subject::pings();
    let takes = |pattern: &String| pings.iter().any(|ping| subject::overlap(pattern, ping));
    must(
        info,
        !subjects.iter().any(takes),
        &format!(
            "captures {}, and thereby pings, which nats.pings_stream keeps apart: nats stream edit {name} --subjects='{}'. \
             Pings that it holds are read; delete them once they are: nats stream purge {name} --subject='tributary.in.*.ping.>', \
             and the same with 'tributary.in.*.ping'. \
             Or set nats.pings_stream to \"\": the broker then keeps MAC addresses in clear as long as everything else",
            subjects.join(", "),
            subject::input(nats).join(","),
        ),
    )
}

/// Checks that a stream captures the subjects with a word for the kind, of every
/// brand, or of all if there are none.
fn captures_word(info: &Info, word: &str, brands: &[impl AsRef<str>]) -> Result<(), NatsError> {
    let [short, long] = subject::of_word("*", word);
    let (after, longer) = (format!(".{word}"), format!(".{word}.>"));
    captures(info, &short, "tributary.in.", &after, brands)?;
    captures(info, &long, "tributary.in.", &longer, brands)
}

/// Creates or checks the stream that keeps the last value of every cell: it
/// must capture `tributary.out.<brand>.>`, keep one message per subject,
/// discard the old one for the new one, and let none expire.
///
/// # Errors
/// As [`ensure_input_stream`].
pub async fn ensure_output_stream(
    client: &Client,
    nats: &Nats,
    brands: &[impl AsRef<str>],
) -> Result<StreamState, NatsError> {
    let info = made(
        client,
        Config {
            description: Some("The last value of every cell of Tributary".to_owned()),
            max_messages_per_subject: 1,
            allow_direct: true,
            ..plain(nats, &nats.output_stream, subject::OUTPUT)
        },
    )
    .await?;
    captures(&info, subject::OUTPUT, "tributary.out.", ".>", brands)?;
    limits(&info)?;
    let config = &info.config;
    must(
        &info,
        config.max_messages_per_subject == 1,
        "keeps more or fewer than the last message of each subject; it needs max_msgs_per_subject 1",
    )?;
    must(
        &info,
        config.discard == DiscardPolicy::Old,
        "refuses new values for the old ones; it needs the discard policy `old`",
    )?;
    must(
        &info,
        config.max_age.is_zero(),
        "forgets cells that have not changed for a while; it needs no max_age",
    )?;
    Ok((&info).into())
}

/// Creates or checks the stream of dead letters: it must capture
/// `tributary.deadletter.>`, including the dead letters of unknown brands.
///
/// # Errors
/// As [`ensure_input_stream`].
pub async fn ensure_dead_letter_stream(
    client: &Client,
    nats: &Nats,
) -> Result<StreamState, NatsError> {
    let info = made(
        client,
        Config {
            description: Some("What Tributary refused, with the reason".to_owned()),
            max_age: 7 * DAY,
            ..plain(nats, &nats.dead_letter_stream, subject::DEAD_LETTER)
        },
    )
    .await?;
    mirrors::refuse_mirror(&info)?;
    captures(&info, subject::DEAD_LETTER, "", "", &[] as &[&str])?;
    limits(&info)?;
    Ok((&info).into())
}

/// Creates or checks the stream of data-subject requests: it must capture
/// `tributary.rights.>` and let none expire before it is answered.
///
/// # Errors
/// As [`ensure_input_stream`].
pub async fn ensure_rights_stream(client: &Client, nats: &Nats) -> Result<StreamState, NatsError> {
    let info = made(
        client,
        Config {
            description: Some("Rights requests of Tributary, until they are answered".to_owned()),
            allow_message_ttl: true,
            ..plain(nats, &nats.rights_stream, subject::RIGHTS)
        },
    )
    .await?;
    fits_rights(&info)?;
    Ok((&info).into())
}

/// Creates or checks the bucket of the leases of the output stream's publishers.
///
/// # Errors
/// As [`ensure_input_stream`].
pub async fn ensure_leases(client: &Client, nats: &Nats) -> Result<StreamState, NatsError> {
    let subjects = format!("$KV.{}.>", lease_bucket::bucket(&nats.output_stream));
    let info = made(
        client,
        Config {
            description: Some("Which processes publish cells of Tributary".to_owned()),
            max_messages_per_subject: 1,
            allow_direct: true,
            allow_rollup: true,
            deny_delete: true,
            discard: DiscardPolicy::New,
            duplicate_window: Duration::from_secs(120),
            // No sequence of an earlier bucket of this name is one of this bucket.
            first_sequence: Some(1 + u64::from(rand::random::<u32>())),
            ..plain(nats, &lease_bucket::stream(&nats.output_stream), &subjects)
        },
    )
    .await?;
    captures(&info, &subjects, "", "", &[] as &[&str])?;
    limits(&info)?;
    must(
        &info,
        info.config.max_messages_per_subject >= 1 && info.config.max_age.is_zero(),
        "forgets who publishes; it needs max_msgs_per_subject 1 and no max_age",
    )?;
    Ok((&info).into())
}

/// Checks whether the stream of data-subject requests can still do its work,
/// without creating it.
///
/// # Errors
/// As [`ensure_input_stream`].
pub async fn check_rights_stream(client: &Client, nats: &Nats) -> Result<(), NatsError> {
    fits_rights(&existing(client, &nats.rights_stream).await?)
}

/// Checks the settings of the stream of data-subject requests.
fn fits_rights(info: &Info) -> Result<(), NatsError> {
    mirrors::refuse_mirror(info)?;
    captures(info, subject::RIGHTS, "", "", &[] as &[&str])?;
    limits(info)?;
    must(
        info,
        info.config.max_age.is_zero(),
        "forgets requests that are not answered yet; it needs no max_age",
    )?;
    must(
        info,
        info.config.allow_message_ttl,
        "keeps sealed answers for ever; it needs allow_msg_ttl",
    )?;
    must(
        info,
        !info.config.deny_delete,
        "does not let requests be deleted that are answered; it needs deny_delete false",
    )
}

/// The settings that all created streams share: file storage, retention by
/// limits, and as many replicas as configured.
fn plain(nats: &Nats, name: &str, subject: &str) -> Config {
    Config {
        num_replicas: nats.replicas,
        name: name.to_owned(),
        subjects: vec![subject.to_owned()],
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::Old,
        storage: StorageType::File,
        duplicate_window: DUPLICATES,
        ..Config::default()
    }
}

/// The stream, created if it does not exist. Several processes may create it at
/// the same time.
async fn made(client: &Client, config: Config) -> Result<Info, NatsError> {
    let name = config.name.clone();
    let replicas = config.num_replicas;
    if let Some(info) = found(client, &name).await? {
        return replicated(info, replicas);
    }
    let subjects = config.subjects.join(", ");
    let jetstream = async_nats::jetstream::new(client.clone());
    let error = match jetstream.create_stream(config).await {
        Ok(stream) => {
            tracing::info!(stream = %name, %subjects, "created the stream");
            return Ok(stream.cached_info().clone());
        }
        Err(error) => error,
    };
    match error.kind() {
        CreateStreamErrorKind::JetStream(answer) => match answer.error_code() {
            // Another process made it meanwhile, with other settings.
            ErrorCode::STREAM_NAME_EXIST => match found(client, &name).await? {
                Some(info) => replicated(info, replicas),
                None => Err(NatsError::new(
                    NatsErrorKind::Stream,
                    format!("stream {name} comes and goes"),
                )),
            },
            ErrorCode::STREAM_REPLICAS_NOT_SUPPORTED => Err(NatsError::new(
                NatsErrorKind::Stream,
                format!(
                    "cannot make the stream {name} with {replicas} replicas: the broker is no cluster. Set nats.replicas to 1, or \
                     use a NATS cluster of {replicas} servers"
                ),
            )),
            ErrorCode::STREAM_SUBJECT_OVERLAP => Err(NatsError::new(
                NatsErrorKind::Stream,
                format!(
                    "cannot make the stream {name} for {subjects}: another stream captures these subjects already. Name \
                     that one in the [nats] section of the configuration, or take the subjects from it"
                ),
            )),
            ErrorCode::JETSTREAM_NOT_ENABLED | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => {
                Err(no_jetstream())
            }
            _ => Err(unusable(&name, answer)),
        },
        CreateStreamErrorKind::JetStreamUnavailable => Err(no_jetstream()),
        CreateStreamErrorKind::EmptyStreamName | CreateStreamErrorKind::InvalidStreamName => {
            Err(bad_name(&name))
        }
        _ => Err(unanswered(&name, error)),
    }
}

/// The stream, unless fewer servers store it than configured.
fn replicated(info: Info, replicas: usize) -> Result<Info, NatsError> {
    let (name, stored) = (&info.config.name, info.config.num_replicas.max(1));
    must(
        &info,
        stored >= replicas,
        &format!(
            "is stored by {stored} of the {replicas} servers that nats.replicas asks for: nats stream update {name} --replicas {replicas}"
        ),
    )?;
    Ok(info)
}

/// Checks that a stream captures all of `all`, or else `<before><brand><after>`
/// for every brand.
fn captures(
    info: &Info,
    all: &str,
    before: &str,
    after: &str,
    brands: &[impl AsRef<str>],
) -> Result<(), NatsError> {
    let covered = |wanted: &str| {
        info.config
            .subjects
            .iter()
            .any(|pattern| subject::covers(pattern, wanted))
    };
    if covered(all) {
        return Ok(());
    }
    let missing: Vec<String> = match brands {
        [] => vec![all.to_owned()],
        brands => brands
            .iter()
            .map(|brand| format!("{before}{}{after}", brand.as_ref()))
            .filter(|wanted| !covered(wanted))
            .collect(),
    };
    must(
        info,
        missing.is_empty(),
        &format!(
            "captures {} and so misses {}; add the latter to its subjects",
            info.config.subjects.join(", "),
            missing.join(", ")
        ),
    )
}

/// Checks that a stream keeps messages by limits and accepts new ones.
fn limits(info: &Info) -> Result<(), NatsError> {
    must(
        info,
        info.config.retention == RetentionPolicy::Limits,
        "deletes messages once they are read or nobody waits for them; it needs the retention `limits`",
    )?;
    must(info, !info.config.sealed, "is sealed")
}

/// An error that names the stream, unless a condition holds.
fn must(info: &Info, kept: bool, otherwise: &str) -> Result<(), NatsError> {
    match kept {
        true => Ok(()),
        false => Err(NatsError::new(
            NatsErrorKind::Stream,
            format!("stream {} {otherwise}", info.config.name),
        )),
    }
}
