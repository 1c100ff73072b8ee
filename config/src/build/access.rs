//! Access to the HTTP servers, and the client configuration of a brand.

use super::network::check_broker;
use super::tables::{tables, top};
use crate::context::{Context, Input, Location, Node, join, quote};
use crate::model::{
    Brand, ClientBrand, ClientConfig, Http, HttpIngest, HttpToken, IngestToken, Nats, Role,
};
use crate::read::{SectionReading, read_section};
use crate::settings::SettingsModel;
use crate::syntax;

/// Reads the access tokens of the HTTP server. Reports a token for a brand that
/// is not configured, a token without a brand that is not for operators, and
/// two tokens with one digest, of which only one role could apply.
pub(super) fn tokens(root: &Input<'_>, brands: &[Brand], cx: &mut Context<'_>) -> Vec<HttpToken> {
    let given = root.child("http").and_then(|http| http.child("token"));
    let tables = given.map_or_else(Vec::new, |given| tables(&given, "[[http.token]]", cx));
    read_tokens(
        &tables,
        |token: &HttpToken| token.digest.sha256,
        check_brand,
        brands,
        cx,
    )
}

/// Reads tokens. Reports what `check` does, and two tokens with one digest.
fn read_tokens<T: SettingsModel>(
    tables: &[Input<'_>],
    digest: fn(&T) -> [u8; 32],
    check: fn(&SectionReading<T>, &[Brand], &mut Context<'_>),
    brands: &[Brand],
    cx: &mut Context<'_>,
) -> Vec<T> {
    let mut read: Vec<T> = Vec::new();
    for table in tables {
        let token: SectionReading<T> = read_section(Some(table), &table.path, table.place, cx);
        check(&token, brands, cx);
        let is_taken = |other: &T| digest(other) == digest(&token.model);
        if token.are_valid(&["sha256_file"]) && read.iter().any(is_taken) {
            let (place, path) = token.location_of("sha256_file");
            let message = "is the digest of another token as well";
            cx.report(place, &path, message, "draw a token for each entry");
        }
        read.push(token.model);
    }
    read
}

/// Reports a brand that is not configured.
fn report_brand<T>(token: &SectionReading<T>, name: &str, brands: &[Brand], cx: &mut Context<'_>) {
    let (place, path) = token.location_of("brand");
    let message = format!("{} is no brand of this configuration", quote(name));
    let known: Vec<&str> = brands.iter().map(|brand| brand.name.as_str()).collect();
    let fix = format!("the brands are {}", known.join(", "));
    cx.report(place, &path, message, fix);
}

/// Reports a token whose brand is missing or not configured.
fn check_brand(token: &SectionReading<HttpToken>, brands: &[Brand], cx: &mut Context<'_>) {
    if !token.are_valid(&["brand", "role"]) {
        return;
    }
    match &token.model.brand {
        None if token.model.role != Role::Operate => {
            let (place, path) = token.location_of("brand");
            let message = format!("is missing for the role {:?}", token.model.role.name());
            cx.report_missing(
                place,
                &path,
                &message,
                "name the brand that the token is for",
            );
        }
        Some(name) if !brands.iter().any(|brand| brand.name == *name) => {
            report_brand(token, name, brands, cx);
        }
        _ => {}
    }
}

/// Reads the tokens of the HTTP ingest server. Reports a token for a brand or a
/// source that does not exist, and two tokens with one digest, which would not
/// say to which source a record belongs.
pub(super) fn ingest_tokens(
    root: &Input<'_>,
    brands: &[Brand],
    cx: &mut Context<'_>,
) -> Vec<IngestToken> {
    let given = root
        .child("http_ingest")
        .and_then(|ingest| ingest.child("token"));
    let tables = given.map_or_else(Vec::new, |given| {
        tables(&given, "[[http_ingest.token]]", cx)
    });
    read_tokens(
        &tables,
        |token: &IngestToken| token.digest.sha256,
        check_source,
        brands,
        cx,
    )
}

/// Reports a token whose brand or source is not configured.
fn check_source(token: &SectionReading<IngestToken>, brands: &[Brand], cx: &mut Context<'_>) {
    let IngestToken { brand, source, .. } = &token.model;
    if !token.are_valid(&["brand"]) {
        return;
    }
    let Some(found) = brands.iter().find(|known| known.name == *brand) else {
        return report_brand(token, brand, brands, cx);
    };
    let known: Vec<&str> = (found.sources.iter())
        .map(|source| source.name.as_str())
        .collect();
    if token.are_valid(&["source"]) && !known.contains(&source.as_str()) {
        let (place, path) = token.location_of("source");
        let message = format!("{} is no source of the brand {brand}", quote(source));
        let fix = format!("its sources are {}", known.join(", "));
        cx.report(place, &path, message, fix);
    }
}

/// Reports an ingest address that others can reach without tokens, and one that
/// is also the address of `[http]`.
pub(super) fn check_http_ingest(
    ingest: &SectionReading<HttpIngest>,
    http: &SectionReading<Http>,
    cx: &mut Context<'_>,
) {
    let Some(listen) = ingest
        .model
        .listen
        .filter(|_| ingest.are_valid(&["listen"]))
    else {
        return;
    };
    let (place, path) = ingest.location_of("listen");
    if !ingest.model.is_protected() {
        let message = format!("{listen} can be reached by others, and no ingest token is set");
        let fix = "add [[http_ingest.token]] with a brand, a source and a sha256_file, or listen on 127.0.0.1";
        cx.report(place, &path, message, fix);
    } else if http.are_valid(&["listen"]) && listen == http.model.listen && listen.port() != 0 {
        let message = format!("{listen} is also the address of [http]");
        cx.report(place, &path, message, "choose another port");
    }
}

/// Reports a listen address that others can reach without tokens, and warns if
/// the operator has opened it.
pub(super) fn check_http(http: &SectionReading<Http>, cx: &mut Context<'_>) {
    let Http {
        listen,
        ref opendsr_domain,
        open,
        ref tokens,
        ..
    } = http.model;
    if !http.are_valid(&["listen", "open"]) || listen.ip().is_loopback() || !tokens.is_empty() {
        return;
    }
    let may = match opendsr_domain {
        None => "read every number",
        Some(_) => "read every number and erase every person",
    };
    let (place, path) = http.location_of("listen");
    if open {
        let message = format!("{listen} is open to everybody who reaches it, without a token");
        let fix = format!("let only those reach it who may {may}, or add [[http.token]]");
        cx.warn(place, &path, message, fix);
    } else {
        let message = format!("{listen} can be reached by others, and no access token is set");
        let fix = format!(
            "add [[http.token]] with a role and a sha256_file, listen on 127.0.0.1, or set http.open = true if everybody who reaches it may {may}"
        );
        cx.report(place, &path, message, fix);
    }
}

/// Reports callbacks that would not be encrypted.
pub(super) fn check_opendsr(http: &SectionReading<Http>, cx: &mut Context<'_>) {
    let callbacks = &http.model.opendsr_callbacks;
    if http.are_valid(&["opendsr_callbacks"])
        && callbacks
            .iter()
            .any(|origin| !origin.starts_with("https://"))
    {
        let (place, path) = http.location_of("opendsr_callbacks");
        let message = "has an origin without TLS, and a callback names a request";
        cx.report(
            place,
            &path,
            message,
            "write it like \"https://controller.example\"",
        );
    }
}

/// Builds a client configuration from a text; `None` if the text has no
/// `[client]`. Problems are noted in the context.
pub(crate) fn client(text: &str, cx: &mut Context<'_>) -> Option<ClientConfig> {
    let (document, mistakes) = syntax::parse(text);
    let document = document?;
    let root = Input {
        path: String::new(),
        place: Location::Nowhere,
        node: Node::Table(document.as_table()),
    };
    root.child(ClientBrand::SECTION.path)?;
    for mistake in mistakes {
        cx.incomplete = true;
        cx.report(Location::Offset(mistake.offset), "", mistake.message, "");
    }
    let known = [Nats::SECTION.path, ClientBrand::SECTION.path];
    for (key, place) in root.keys() {
        if !known.contains(&key.as_str()) {
            let fix = "a client configuration has [nats] and [client] only";
            cx.report(place, &join("", &key), "does not belong here", fix);
        }
    }
    let nats = top::<Nats>(&root, cx);
    check_broker(&nats, cx);
    let nats = nats.model;
    let brand = top::<ClientBrand>(&root, cx).model.brand;
    Some(ClientConfig { nats, brand })
}
