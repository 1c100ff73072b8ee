//! Host names by which the server answers, and origins whose scripts it answers.
//!
//! A web page may let its own name resolve to the address of this server and
//! then read what a browser beside the server may read (DNS rebinding). A
//! request is therefore answered only if its `Host` header (RFC 9110, section
//! 7.2) is an IP address, a name without a dot, a name below `localhost`, or a
//! name that the configuration lists (`http.hosts`). An `Origin` header (RFC
//! 6454) must name the same host: a script of another page is answered nothing.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header::{HOST, ORIGIN};
use axum::middleware::Next;
use axum::response::Response;
use tributary_config::model::Http;

use crate::serve::response::{TEXT, text};

/// Whether the server answers by the value of a `Host` header. `names` are in
/// lower case.
fn is_known(host: &str, names: &[&str]) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => {
            return rest
                .split_once(']')
                .is_some_and(|(address, _)| address.parse::<IpAddr>().is_ok());
        }
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    name.parse::<IpAddr>().is_ok()
        || (!name.is_empty() && !name.contains('.'))
        || name.ends_with(".localhost")
        || names.contains(&name.as_str())
}

/// Whether a request comes from no script, or from one of a page of this server.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    headers.get_all(ORIGIN).iter().all(|origin| {
        let authority = origin
            .to_str()
            .ok()
            .and_then(|origin| origin.split_once("://"))
            .map(|(_, authority)| authority);
        authority
            .zip(host)
            .is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host))
    })
}

/// Refuses requests for another host with 421, and those of a script of another
/// page with 403.
pub(super) async fn check(http: &Http, request: Request, next: Next) -> Response {
    let names: Vec<&str> = http
        .hosts
        .iter()
        .chain(&http.opendsr_domain)
        .map(String::as_str)
        .collect();
    let mut hosts = request.headers().get_all(HOST).iter();
    let known = match (hosts.next(), hosts.next()) {
        (None, _) => true,
        (Some(host), None) => host.to_str().is_ok_and(|host| is_known(host, &names)),
        (Some(_), Some(_)) => false,
    };
    if known && !is_same_origin(request.headers()) {
        return text(
            StatusCode::FORBIDDEN,
            TEXT,
            "scripts of other pages are not answered\n",
        );
    }
    match known {
        true => next.run(request).await,
        false => text(
            StatusCode::MISDIRECTED_REQUEST,
            TEXT,
            "this server does not answer by that name: use its address, or list the name in http.hosts\n",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_scripts_of_this_server_are_answered() {
        let of = |pairs: &[(axum::http::HeaderName, &'static str)]| {
            let pairs = pairs
                .iter()
                .map(|(name, value)| (name.clone(), axum::http::HeaderValue::from_static(value)));
            is_same_origin(&pairs.collect())
        };
        assert!(of(&[(HOST, "localhost:9464")]));
        assert!(of(&[
            (HOST, "localhost:9464"),
            (ORIGIN, "http://localhost:9464")
        ]));
        assert!(of(&[(HOST, "m.example"), (ORIGIN, "https://M.example")]));
        for origin in [
            "null",
            "",
            "http://localhost",
            "http://evil.example",
            "http://localhost:94640",
        ] {
            assert!(
                !of(&[(HOST, "localhost:9464"), (ORIGIN, origin)]),
                "{origin}"
            );
        }
        assert!(!of(&[(ORIGIN, "http://localhost:9464")]));
    }

    #[test]
    fn addresses_local_names_and_listed_names_are_known() {
        let names = ["metrics.shop.example"];
        for host in [
            "127.0.0.1:9464",
            "[::1]:9464",
            "[::1]",
            "10.0.0.7",
            "localhost",
            "LOCALHOST:80",
            "tributary:9464",
            "app.localhost",
            "metrics.shop.example",
            "Metrics.Shop.Example.:443",
        ] {
            assert!(is_known(host, &names), "{host}");
        }
        for host in [
            "",
            ":80",
            "evil.example",
            "evil.example:9464",
            "metrics.shop.example.evil.example",
            "127.0.0.1.evil.example",
            "[evil.example]",
            "localhost.evil.example",
        ] {
            assert!(!is_known(host, &names), "{host}");
        }
    }
}
