//! What a page view says of the visit: where the visitor comes from.

use super::json::Json;
use crate::native::channel;

/// Whether a view without a label of its own begins a visit: it has no
/// referrer, or one of another host than the page.
pub(super) fn is_landing(url: Json<'_>, referrer: Json<'_>) -> bool {
    let Some(referrer) = referrer.text() else {
        return true;
    };
    let host = |url: &str| channel::host(url).map(|host| host.into_owned());
    let page = url.text().and_then(|url| host(&url));
    host(&referrer).is_none_or(|referrer| page.is_none_or(|page| page != referrer))
}
