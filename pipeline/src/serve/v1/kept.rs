//! Answers that are expensive to read and may be some seconds old: one per brand,
//! so that many open pages cost one read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

/// How long an answer is given again, from the end of its reading.
pub(super) const FRESH: Duration = Duration::from_secs(3);

/// The last answers by brand. The brands are configured, so that their number is
/// bounded. One read at a time.
pub(super) struct Kept<T>(Mutex<BTreeMap<String, (Instant, Arc<T>)>>);

impl<T> Default for Kept<T> {
    fn default() -> Kept<T> {
        Kept(Mutex::default())
    }
}

impl<T> Kept<T> {
    /// The answer of a brand: the last one while it is fresh, or what `read` yields.
    /// An answer of `None` is not kept.
    pub(super) async fn get(
        &self,
        brand: &str,
        now: impl Fn() -> Instant,
        read: impl Future<Output = Option<T>>,
    ) -> Option<Arc<T>> {
        let mut last = self.0.lock().await;
        if let Some((at, answer)) = last.get(brand)
            && now().duration_since(*at) < FRESH
        {
            return Some(answer.clone());
        }
        let answer = Arc::new(read.await?);
        last.insert(brand.to_owned(), (now(), answer.clone()));
        Some(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_is_read_again_when_it_is_no_longer_fresh() {
        let kept = Kept::default();
        let begin = Instant::now();
        let get = async |brand: &'static str, seconds, read: Option<u8>| {
            let now = || begin + Duration::from_secs(seconds);
            kept.get(brand, now, async { read })
                .await
                .as_deref()
                .copied()
        };
        assert_eq!(get("acme", 0, None).await, None);
        assert_eq!(get("acme", 0, Some(1)).await, Some(1));
        assert_eq!(get("zeta", 1, Some(2)).await, Some(2));
        assert_eq!(get("acme", 2, Some(3)).await, Some(1));
        assert_eq!(get("acme", 3, None).await, None);
        assert_eq!(get("acme", 3, Some(4)).await, Some(4));
        assert_eq!(get("zeta", 3, Some(5)).await, Some(2));
    }
}
