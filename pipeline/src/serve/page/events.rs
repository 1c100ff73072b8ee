//! Events of the page (server-sent events; HTML Living Standard, section 9.2):
//! a stream for each open page.
//!
//! A listener has a task that checks twice a second whether the released cells
//! have another stamp. If so, it takes the model of the brand, which is
//! computed once for all listeners, from a clone of the cells and on a blocking
//! thread. In between, at least every two seconds, it sends the status of the
//! process, which also shows that the process lives.
//!
//! A stream ends when the configuration is reloaded, so that no token outlives it.
//! Nothing is queued: the task of a listener that does not accept its event in
//! time ends, and an event is created only when the previous one was accepted.
//! There are at most [`MAX_LISTENERS`](super::MAX_LISTENERS).

use std::convert::Infallible;
use std::time::Duration;

use axum::Extension;
use axum::extract;
use axum::http::header::{CACHE_CONTROL, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, StatusCode, Uri};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

use super::frame::Frame;
use super::model;
use super::status::Status;
use super::{Brand, PageState};
use crate::serve::access::{Identified, Viewer};

/// Interval between two checks, and minimum age of a model before another is
/// computed.
const STEP: Duration = Duration::from_millis(500);

/// After a computation, no other begins for this many times its duration, so
/// that watching stays cheap.
const REST: u32 = 4;

/// Maximum time between two events.
const BEAT: Duration = Duration::from_secs(2);

/// Maximum time for a listener to accept an event.
const PATIENCE: Duration = Duration::from_secs(10);

/// `GET /events`: `status` at once and every two seconds, `model` at once and
/// whenever the cells have changed; a viewer with the role `privacy` gets no model.
/// `?brand=` selects the brand, by default the first that the viewer may see.
/// 401 or 403 without such a brand, 503 with too many listeners.
pub async fn events(
    extract::State(state): extract::State<PageState>,
    Extension(viewer): Extension<Viewer>,
    Extension(by): Extension<Identified>,
    uri: Uri,
) -> Response {
    let Some(brand) = chosen(&state, &viewer, uri.query()) else {
        return viewer
            .refuse("the page needs a token of its brand with the role read, operate or privacy");
    };
    let Ok(seat) = state.page.listeners.clone().try_acquire_owned() else {
        let headers = [(RETRY_AFTER, "5"), (CACHE_CONTROL, "no-store")];
        let sorry = "too many pages are open: close some\n";
        return (StatusCode::SERVICE_UNAVAILABLE, headers, sorry).into_response();
    };
    let (sender, mut receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        tell(&state, (&viewer, &by), brand, &sender).await;
        drop(seat);
    });
    let stream = futures::stream::poll_fn(move |context| {
        let event = receiver.poll_recv(context);
        event.map(|event| event.map(Ok::<Event, Infallible>))
    });
    let headers = [
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // A proxy in between passes events on as they come.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, Sse::new(stream)).into_response()
}

/// Index of the brand that a query names, or of the first that a viewer may see.
/// A token is refused for a brand that it is not for.
fn chosen(state: &PageState, viewer: &Viewer, query: Option<&str>) -> Option<usize> {
    let mut words = query.unwrap_or_default().split('&');
    // A brand's name has nothing that would be escaped.
    let named = words.find_map(|word| word.strip_prefix("brand="));
    let mut brands = state.page.brands.iter();
    let named_at = named.and_then(|named| brands.position(|brand| brand.name == named));
    let may_see = |at: &usize| {
        let brand = state.page.brands.get(*at);
        brand.is_some_and(|brand| {
            viewer.may_read(&brand.name) || viewer.may_list_rights(&brand.name)
        })
    };
    match (named_at, viewer) {
        (None, Viewer::Token { .. }) if named.is_some_and(|named| !named.is_empty()) => None,
        (None, _) => (0..state.page.brands.len()).find(may_see),
        (Some(at), _) => Some(at).filter(may_see),
    }
}

/// Sends events to a listener until it leaves or the server ends.
async fn tell(
    state: &PageState,
    (viewer, by): (&Viewer, &Identified),
    brand: usize,
    to: &mpsc::Sender<Event>,
) {
    let mut ended = state.page.ended.subscribe();
    let mut every = tokio::time::interval(STEP);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut shown, mut beat) = (None, None::<Instant>);
    let Some(brand) = state.page.brands.get(brand) else {
        return;
    };
    let mut sent = None;
    loop {
        tokio::select! {
            _ = every.tick() => {}
            () = to.closed() => return,
            _ = ended.wait_for(|ended| *ended) => return,
        }
        // The token may be another one's now, or nobody's: the page asks again.
        if !state.live.is(&by.0) {
            return;
        }
        let due = beat.is_none_or(|beat| beat.elapsed() >= BEAT);
        let status = Status::of(state, viewer, brand);
        if due || shown.as_ref() != Some(&status) {
            let json = serde_json::to_string(&status).unwrap_or_default();
            let event = Event::default().event("status").data(json);
            if to.send_timeout(event, PATIENCE).await.is_err() {
                return;
            }
            (shown, beat) = (Some(status), Some(Instant::now()));
        }
        if !viewer.may_read(&brand.name) {
            continue;
        }
        let key = (state.cells.lock().stamp(), state.page.today(brand));
        if sent == Some(key) {
            continue;
        }
        if let Some(frame) = frame(state, brand).await
            && sent != Some((frame.stamp, frame.today))
        {
            sent = Some((frame.stamp, frame.today));
            if to.send_timeout(frame.event, PATIENCE).await.is_err() {
                return;
            }
        }
    }
}

/// The newest model of a brand: the last one if nothing has changed or it is
/// too recent.
async fn frame(state: &PageState, brand: &Brand) -> Option<Frame> {
    let mut last = brand.last.lock().await;
    let today = state.page.today(brand);
    if let Some(frame) = &*last {
        let same = (frame.stamp, frame.today) == (state.cells.lock().stamp(), today);
        if same || frame.computed.elapsed() < STEP.max(REST * frame.took) {
            return Some(frame.clone());
        }
    }
    let board = state.cells.lock().clone();
    let (page, name) = (state.page.clone(), brand.name.clone());
    let computed = tokio::task::spawn_blocking(move || {
        let begun = Instant::now();
        let brand = page.brands.iter().find(|known| known.name == name);
        let json = brand.map(|brand| model::json(&board, &name, today, brand.release()));
        let json = json.transpose()?.unwrap_or_default();
        let frame = Frame {
            stamp: board.stamp(),
            today,
            computed: Instant::now(),
            took: begun.elapsed(),
            event: Event::default().event("model").data(json),
        };
        Ok::<_, serde_json::Error>(frame)
    });
    match computed
        .await
        .map_err(anyhow::Error::from)
        .and_then(|made| Ok(made?))
    {
        Ok(frame) => {
            *last = Some(frame.clone());
            Some(frame)
        }
        Err(error) => {
            tracing::error!(%error, "cannot compute the page");
            None
        }
    }
}
